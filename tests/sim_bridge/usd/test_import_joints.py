"""Joints of stages: ours come back as they were, those of other programs in metres, radians and with Z up."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pxr import Gf, Sdf, Usd, UsdGeom, UsdPhysics

from dynamics import Joint, World
from dynamics._joint_geometry import joint_frames, joint_gaps, joint_positions
from scene3d import Scene
from scene3d._scene_world import scene_state, scene_world
from sim_bridge.usd import export_usd
from sim_bridge.usd._import import Imported, scene_of

from ...scene3d.jointed_scene import HINGE, PIVOT, half_open_scene, jointed_scene
from .made_stages import add_body, new_stage, save, sound_stage

SLANTED = Joint(
    "drawer",
    "slide",
    parent=3,
    child=0,
    T_parent_joint=(0.1, -0.2, 0.3, 0.5, 0.5, -0.5, 0.5),
    axis=(2 / 7, 3 / 7, 6 / 7),
    high=0.25,
    friction=0.4,
    damping=0.1,
    stiffness=30.0,
    drive_damping=2.0,
    force_limit=5.0,
)
WELD = Joint("weld", "fixed", parent=-1, child=3, T_parent_joint=(-0.4, 0.0, 0.025, 1.0, 0.0, 0.0, 0.0))


def values(path: Path) -> dict[str, Any]:
    """Every attribute and relationship of a stage."""
    stage = Usd.Stage.Open(str(path))
    found: dict[str, Any] = {}
    for prim in stage.TraverseAll():
        found[str(prim.GetPath())] = (str(prim.GetTypeName()), prim.GetAppliedSchemas(), prim.GetCustomData())
        for attribute in prim.GetAttributes():
            if attribute.HasAuthoredValue():
                found[str(attribute.GetPath())] = attribute.Get()
        for relation in prim.GetRelationships():
            found[str(relation.GetPath())] = [str(target) for target in relation.GetTargets()]
    return found


def said(found: Imported, words: str) -> bool:
    return any(words in note for note in found.notes)


def places(scene: Scene) -> tuple[np.ndarray, np.ndarray]:
    """Where joints stand, and how far they are apart."""
    world = scene_world(scene)
    poses = scene_state(scene, world).T_world_body[0]
    return joint_positions(world, poses)[0].numpy(), joint_gaps(world, joint_frames(world, poses)).numpy()


@pytest.mark.parametrize("up", [(0.0, 0.0, 1.0), (0.0, 0.6, 0.8)])
def test_the_second_export_is_the_first(tmp_path: Path, up: tuple[float, float, float]) -> None:
    scene = replace(jointed_scene(HINGE, PIVOT, SLANTED), up=up)

    first = export_usd(scene, tmp_path / "a" / "scene.usda").path
    found = scene_of(first)
    second = export_usd(found.scene, tmp_path / "b" / "scene.usda").path

    assert not said(found, "left out")
    assert [joint.name for joint in found.scene.joints] == ["lid hinge", "pivot", "drawer"]
    assert [(joint.parent, joint.child) for joint in found.scene.joints] == [(0, 1), (-1, 2), (3, 0)]
    before, after = values(first), values(second)
    joints = [name for name in {**before, **after} if name.startswith("/World/Joints")]
    assert len(joints) > 30
    assert [name for name in joints if before[name] != after[name]] == []
    if up[2] == 1:
        assert before.keys() == after.keys()
        assert [name for name in before if "splat" not in name and before[name] != after[name]] == []


def test_the_stage_says_where_joints_stand_and_what_hangs_together(tmp_path: Path) -> None:
    first = export_usd(half_open_scene(), tmp_path / "a" / "scene.usda").path
    back = scene_of(first).scene
    second = export_usd(back, tmp_path / "b" / "scene.usda").path

    stage = Usd.Stage.Open(str(first))
    hinge = stage.GetPrimAtPath("/World/Joints/lid_hinge")
    assert hinge.GetAttribute("state:angular:physics:position").Get() == pytest.approx(math.degrees(0.4), rel=1e-6)
    assert not stage.GetPrimAtPath("/World/Joints/pivot").HasAttribute("state:angular:physics:position")
    roots = [prim.GetName() for prim in stage.Traverse() if prim.HasAPI(UsdPhysics.ArticulationRootAPI)]
    assert roots == ["box"]
    assert places(back)[0][0] == pytest.approx(0.4, abs=1e-6)
    before, after = values(first), values(second)
    assert [name for name in before if "Joints" in name and before[name] != after.get(name)] == []


def test_values_come_back(tmp_path: Path) -> None:
    scene = jointed_scene(HINGE, PIVOT, SLANTED, WELD)

    back = scene_of(export_usd(scene, tmp_path / "scene.usdc").path).scene

    for was, now in zip(scene.joints, back.joints, strict=True):
        assert (was.name, was.kind, was.parent, was.child) == (now.name, now.kind, now.parent, now.child)
        for name in ("low", "high", "damping", "friction", "stiffness", "drive_damping", "force_limit"):
            assert getattr(now, name) == pytest.approx(getattr(was, name), rel=1e-6)
    assert back.joints[0].low == 0 and back.joints[1].high == math.inf
    # The axis is z now; what counts is that the joints stand where they stood and hold the same.
    for was, now in zip(places(scene), places(back), strict=True):
        np.testing.assert_allclose(now, was, atol=1e-6)


def test_recorded_stages_keep_their_joints(tmp_path: Path) -> None:
    from dynamics import rollout

    scene = jointed_scene()
    world = scene_world(scene)
    path = rollout(world, scene_state(scene, world), 8, every=4)

    back = scene_of(export_usd(scene, tmp_path / "scene.usdc", rollout=path).path).scene

    assert [joint.name for joint in back.joints] == ["lid hinge", "pivot"]
    assert [thing.body.motion for thing in back.objects] == ["dynamic"] * 4


def door(folder: Path) -> Any:
    """Y up, centimetres, grams: a frame scaled by two, a door on a hinge, a drawer, a lamp on a fixed joint."""
    stage = new_stage(folder, up="Y", metres=0.01)
    UsdPhysics.SetStageKilogramsPerUnit(stage, 0.001)
    for name, place in {"frame": (0, 50, 0), "door": (30, 50, 0), "drawer": (0, 20, 10), "lamp": (0, 90, 0)}.items():
        body = add_body(stage, f"/World/{name}", place=place)
        body.GetAttribute("physics:mass").Set(2000.0)
        body.GetAttribute("physics:diagonalInertia").Set(Gf.Vec3f(5e5, 5e5, 5e5))
        colliders = UsdGeom.Xformable(stage.GetPrimAtPath(f"/World/{name}/colliders"))
        colliders.AddScaleOp().Set(Gf.Vec3f(100, 100, 100))
    UsdGeom.Xformable(stage.GetPrimAtPath("/World/frame")).AddScaleOp().Set(Gf.Vec3f(2, 2, 2))
    hinge = UsdPhysics.RevoluteJoint.Define(stage, "/World/frame/hinge")
    tie(hinge, "/World/frame", "/World/door", at0=(10, 0, 0), at1=(-10, 0, 0))
    hinge.CreateAxisAttr("Y")
    hinge.CreateLowerLimitAttr(-10.0)
    hinge.CreateUpperLimitAttr(90.0)
    drive = UsdPhysics.DriveAPI.Apply(hinge.GetPrim(), "angular")
    drive.CreateStiffnessAttr(4e4)
    drive.CreateDampingAttr(4e2)
    drive.CreateMaxForceAttr(1e7)
    drive.CreateTargetPositionAttr(30.0)
    slide = UsdPhysics.PrismaticJoint.Define(stage, "/World/slide")
    tie(slide, "/World/drawer", "", at0=(0, 0, -5), at1=(0, 20, 5))
    slide.CreateAxisAttr("Z")
    slide.CreateLowerLimitAttr(-40.0)
    author(slide.GetPrim(), "physxJointAxis:linear:staticFrictionEffort", 2e5)
    author(slide.GetPrim(), "newton:damping", 5e3)
    weld = UsdPhysics.FixedJoint.Define(stage, "/World/weld")
    tie(weld, "/World/frame/colliders", "/World/lamp", at0=(0, 0.2, 0), at1=(0, 0, 0))
    return stage


def tie(joint: Any, body0: str, body1: str, at0: Any = (0, 0, 0), at1: Any = (0, 0, 0)) -> Any:
    for number, (body, at) in enumerate(((body0, at0), (body1, at1))):
        if body:
            getattr(joint, f"CreateBody{number}Rel")().SetTargets([body])
        getattr(joint, f"CreateLocalPos{number}Attr")(Gf.Vec3f(*at))
        getattr(joint, f"CreateLocalRot{number}Attr")(Gf.Quatf(1, 0, 0, 0))
    return joint


def author(prim: Any, name: str, value: float) -> None:
    prim.CreateAttribute(name, Sdf.ValueTypeNames.Float, False).Set(value)


def test_joints_of_other_units_and_axes(tmp_path: Path) -> None:
    found = scene_of(save(door(tmp_path), tmp_path / "door.usda"))

    hinge, slide, weld = found.scene.joints
    names = [thing.name for thing in found.scene.objects]
    assert (names[hinge.parent], names[hinge.child]) == ("frame", "door")
    assert (slide.parent, names[slide.child]) == (-1, "drawer")
    assert (names[weld.parent], names[weld.child], weld.kind) == ("frame", "lamp", "fixed")
    # The frame's scale of two counts for what is given in its coordinates.
    assert hinge.T_parent_joint[:3] == pytest.approx((0.2, 0, 0))
    assert hinge.T_child_joint[:3] == pytest.approx((-0.1, 0, 0))
    assert weld.T_parent_joint[:3] == pytest.approx((0, 0.4, 0))
    # Position 0 is where the drive aims at; the stage stands at 0 of its own, 30 degrees before that.
    assert (hinge.low, hinge.high) == pytest.approx((math.radians(-40), math.radians(60)))
    positions, gaps = places(found.scene)
    np.testing.assert_allclose(positions, [math.radians(-30), 0, 0], atol=1e-6)
    np.testing.assert_allclose(gaps, 0, atol=1e-6)
    # 1 g cm2/s2 is 1e-7 N m.
    assert hinge.stiffness == pytest.approx(4e4 * 1e-7 * 180 / math.pi)
    assert hinge.drive_damping == pytest.approx(4e2 * 1e-7 * 180 / math.pi)
    assert hinge.force_limit == pytest.approx(1.0)
    assert (slide.low, slide.high) == pytest.approx((-0.4, math.inf))
    assert (slide.friction, slide.damping) == pytest.approx((2.0, 5.0))
    assert slide.T_parent_joint[:3] == pytest.approx((0, -0.05, 0.2))


def test_what_lies_in_the_world_follows_the_turn_of_the_axes(tmp_path: Path) -> None:
    scene = scene_of(save(door(tmp_path), tmp_path / "door.usda")).scene
    world = scene_world(scene)
    state = scene_state(scene, world)
    frames = joint_frames(world, state.T_world_body[0])
    from dynamics.poses import rotation_from_wxyz

    def axis(index: int) -> torch.Tensor:
        return rotation_from_wxyz(frames.parent_wxyz[index])[:, 2]

    # y of the stage is up in the scene. The drawer's joint is seen from the world: its z, here -y, turned round.
    torch.testing.assert_close(axis(0), torch.tensor([0.0, 0.0, 1.0]), atol=1e-6, rtol=0)
    torch.testing.assert_close(axis(1), torch.tensor([0.0, 1.0, 0.0]), atol=1e-6, rtol=0)


def test_stages_of_others_are_stable_from_the_first_export_on(tmp_path: Path) -> None:
    scene = scene_of(save(door(tmp_path), tmp_path / "door.usda")).scene
    first = export_usd(scene, tmp_path / "a" / "scene.usda").path
    second = export_usd(scene_of(first).scene, tmp_path / "b" / "scene.usda").path

    before, after = values(first), values(second)
    assert {name: before[name] for name in before if "Joints" in name} == {
        name: after[name] for name in after if "Joints" in name
    }
    assert UsdPhysics.RevoluteJoint(Usd.Stage.Open(str(first)).GetPrimAtPath("/World/Joints/hinge"))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda hinge: hinge.CreateLowerLimitAttr(math.nan), "1 with limits that are no numbers"),
        (lambda hinge: hinge.CreateLowerLimitAttr(95.0), "1 with limits the wrong way round"),
        (lambda hinge: hinge.CreateLocalPos0Attr(Gf.Vec3f(math.inf, 0, 0)), "1 with a frame that is none"),
        (lambda hinge: hinge.CreateLocalRot1Attr(Gf.Quatf(0, 0, 0, 0)), "1 with a frame that is none"),
        (lambda hinge: hinge.CreateJointEnabledAttr(False), "1 switched off"),
        (lambda hinge: hinge.CreateBody1Rel().SetTargets(["/World/gone"]), "1 naming a body that is not there"),
        (lambda hinge: hinge.CreateBody1Rel().SetTargets(["/World/ghost"]), "1 of a body that was left out"),
        (lambda hinge: hinge.CreateBody1Rel().SetTargets(["/World/box"]), "1 of a body with itself"),
        (lambda hinge: hinge.GetPrim().SetTypeName("PhysicsSphericalJoint"), "1 of type PhysicsSphericalJoint"),
        (lambda hinge: hinge.CreateBody0Rel().SetTargets(["/World/ground"]), ""),
        (lambda hinge: hinge.CreateBody0Rel().SetTargets([]), ""),
        (lambda hinge: hinge.CreateBody1Rel().SetTargets([]), ""),
    ],
)
def test_joints_that_are_left_out(tmp_path: Path, change: Any, words: str) -> None:
    stage = sound_stage(tmp_path)
    add_body(stage, "/World/lid")
    ghost = add_body(stage, "/World/ghost", shape=False)
    ghost.RemoveAppliedSchema("PhysicsMassAPI")
    hinge = UsdPhysics.RevoluteJoint.Define(stage, "/World/hinge")
    tie(hinge, "/World/box", "/World/lid")
    hinge.CreateUpperLimitAttr(90.0)
    change(hinge)

    found = scene_of(save(stage, tmp_path / "stage.usda"))

    if words:
        assert found.scene.joints == () and said(found, f"One joint was left out: {words}")
    else:
        # What no body moves is the world.
        (joint,) = found.scene.joints
        other = not hinge.GetBody1Rel().GetTargets()
        assert (joint.parent, joint.child) == (-1, 0 if other else 1)
        assert joint.axis == (-1.0 if other else 1.0, 0.0, 0.0)
        assert (joint.low, joint.high) == (-math.inf, pytest.approx(math.pi / 2))
        assert said(found, "One joint holds bodies elsewhere than the stage puts them, up to")


def test_loops_and_what_cannot_be_kept_are_said(tmp_path: Path) -> None:
    stage = sound_stage(tmp_path)
    for name in ("lid", "arm"):
        add_body(stage, f"/World/{name}")
    ring = [("box", "lid"), ("lid", "arm"), ("arm", "box")]
    for number, (first, second) in enumerate(ring):
        hinge = UsdPhysics.RevoluteJoint.Define(stage, f"/World/hinge_{number}")
        tie(hinge, f"/World/{first}", f"/World/{second}")
        hinge.CreateCollisionEnabledAttr(number == 1)
        author(hinge.GetPrim(), "newton:friction", -1.0 if number == 0 else 0.5)
        drive = UsdPhysics.DriveAPI.Apply(hinge.GetPrim(), "angular")
        drive.CreateTypeAttr("acceleration")
        drive.CreateStiffnessAttr(1.0 if number == 1 else 0.0)

    found = scene_of(save(stage, tmp_path / "stage.usda"))

    assert [joint.name for joint in found.scene.joints] == ["hinge_0", "hinge_1"]
    assert [joint.friction for joint in found.scene.joints] == [0.0, 0.5]
    assert found.scene.joints[1].stiffness == 0
    assert said(found, "One joint was left out: 1 closing a loop")
    assert said(found, "One joint let their bodies collide")
    assert said(found, "One joint had friction, damping or a drive that is no number")
    assert said(found, "One joint had a drive in accelerations")
    assert not said(found, "elsewhere")
    world = scene_world(found.scene)
    assert isinstance(world, World) and len(world.joints) == 2
