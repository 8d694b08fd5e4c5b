"""Joints on the stage: frames that coincide at position 0, axes, limits and drives in USD's units."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pxr import Gf, Usd, UsdPhysics

from dynamics import Joint
from scene3d import Scene
from scene3d._errors import UsageError
from scene3d._scene_world import scene_world
from sim_bridge.usd import export_usd

AXIS = (2 / 7, 3 / 7, 6 / 7)
FRAME = (0.1, -0.2, 0.3, 0.5, 0.5, -0.5, 0.5)


def exported(scene: Scene, folder: Path, *joints: Joint) -> Usd.Stage:
    world = replace(scene_world(scene), joints=joints)
    return Usd.Stage.Open(str(export_usd(scene, folder / "joints.usda", world=world).path))


def frame(prim: Usd.Prim, number: int) -> Gf.Matrix4d:
    turn = prim.GetAttribute(f"physics:localRot{number}").Get()
    place = prim.GetAttribute(f"physics:localPos{number}").Get()
    return Gf.Matrix4d(Gf.Rotation(Gf.Quatd(turn)), Gf.Vec3d(place))


def test_hinges_turn_about_the_same_axis_in_both_bodies(tiny_scene: Scene, tmp_path: Path) -> None:
    hinge = Joint("lid hinge", "hinge", 0, 1, T_parent_joint=FRAME, axis=AXIS, low=-0.5, high=1.5, stiffness=3.0)

    stage = exported(tiny_scene, tmp_path, replace(hinge, drive_damping=0.2, force_limit=5.0))

    prim = stage.GetPrimAtPath("/World/Joints/lid_hinge")
    joint = UsdPhysics.RevoluteJoint(prim)
    assert prim.GetTypeName() == "PhysicsRevoluteJoint" and joint.GetAxisAttr().Get() == "Z"
    assert [str(path) for path in joint.GetBody0Rel().GetTargets()] == ["/World/box"]
    assert [str(path) for path in joint.GetBody1Rel().GetTargets()] == ["/World/can"]
    assert joint.GetLowerLimitAttr().Get() == pytest.approx(math.degrees(-0.5))
    assert joint.GetUpperLimitAttr().Get() == pytest.approx(math.degrees(1.5))
    assert tuple(frame(prim, 0).ExtractTranslation()) == pytest.approx(FRAME[:3])
    # In the child, whose joint frame is its own, the axis is that of the joint itself.
    assert tuple(frame(prim, 1).TransformDir(Gf.Vec3d(0, 0, 1))) == pytest.approx(AXIS, abs=1e-6)
    turned = Gf.Rotation(Gf.Quatd(FRAME[3], *FRAME[4:])).TransformDir(Gf.Vec3d(*AXIS))
    assert tuple(frame(prim, 0).TransformDir(Gf.Vec3d(0, 0, 1))) == pytest.approx(tuple(turned), abs=1e-6)
    drive = UsdPhysics.DriveAPI(prim, "angular")
    assert drive.GetStiffnessAttr().Get() == pytest.approx(3.0 * math.pi / 180)
    assert drive.GetDampingAttr().Get() == pytest.approx(0.2 * math.pi / 180)
    assert drive.GetMaxForceAttr().Get() == 5.0


def test_slides_and_fixed_joints_to_the_world(tiny_scene: Scene, tmp_path: Path) -> None:
    slide = Joint("slide", "slide", -1, 0, axis=(0.0, 0.0, -1.0), low=0.0, high=0.25, friction=0.4, damping=0.1)

    stage = exported(tiny_scene, tmp_path, slide, Joint("weld", "fixed", 2, 1))

    prim = stage.GetPrimAtPath("/World/Joints/slide")
    joint = UsdPhysics.PrismaticJoint(prim)
    assert joint.GetBody0Rel().GetTargets() == []
    assert (joint.GetLowerLimitAttr().Get(), joint.GetUpperLimitAttr().Get()) == (0.0, 0.25)
    assert tuple(frame(prim, 1).TransformDir(Gf.Vec3d(0, 0, 1))) == pytest.approx((0, 0, -1), abs=1e-9)
    assert prim.GetAttribute("newton:friction").Get() == pytest.approx(0.4)
    assert prim.GetAttribute("physxJointAxis:linear:viscousFrictionCoefficient").Get() == pytest.approx(0.1)
    weld = stage.GetPrimAtPath("/World/Joints/weld")
    assert weld.GetTypeName() == "PhysicsFixedJoint"
    assert [str(path) for path in UsdPhysics.Joint(weld).GetBody0Rel().GetTargets()] == ["/World/Background/table"]


def test_worlds_of_other_bodies_are_refused(tiny_scene: Scene, tmp_path: Path) -> None:
    other = scene_world(replace(tiny_scene, objects=tiny_scene.objects[::-1]))

    with pytest.raises(UsageError, match="in this order: box, can, table, floor"):
        export_usd(tiny_scene, tmp_path / "joints.usda", world=other)


def test_scenes_without_joints_have_no_folder_for_them(tiny_scene: Scene, tmp_path: Path) -> None:
    assert not exported(tiny_scene, tmp_path).GetPrimAtPath("/World/Joints")
    assert np.isfinite(AXIS).all()


def test_pairs_that_never_touch_are_filtered(tiny_scene: Scene, tmp_path: Path) -> None:
    world = replace(scene_world(tiny_scene), no_contact=frozenset({(0, 1), (0, 2)}))

    stage = Usd.Stage.Open(str(export_usd(tiny_scene, tmp_path / "pairs.usda", world=world).path))

    filtered = UsdPhysics.FilteredPairsAPI(stage.GetPrimAtPath("/World/box")).GetFilteredPairsRel().GetTargets()
    assert [str(path) for path in filtered] == ["/World/can", "/World/Background/table"]
