"""First poses of a proof, and the layers that bring them into a stage."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from pxr import Sdf, Usd, UsdPhysics

from scene3d import Scene
from scene3d._errors import FileFormatError
from sim_bridge.engines._phases import HAIR, fall, placed, rest, write_layer
from sim_bridge.engines._stage_bodies import StageBodies, read_bodies
from sim_bridge.engines._supports import solid, support_below
from sim_bridge.usd import export_usd


@pytest.fixture(scope="module")
def model(tabletop_loaded: Scene, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("stage") / "scene.usdc"
    export_usd(tabletop_loaded, path)
    return path


@pytest.fixture(scope="module")
def found(model: Path) -> StageBodies:
    return read_bodies(Usd.Stage.Open(str(model)), "scene.usdc")


def test_a_stage_says_what_the_scene_holds(found: StageBodies, tabletop_loaded: Scene) -> None:
    rigid = [thing for thing in tabletop_loaded.objects if thing.kind == "rigid"]
    assert [body.name for body in found.bodies] == [thing.name for thing in rigid]
    for body, thing in zip(found.bodies, rigid, strict=True):
        assert body.mass == pytest.approx(thing.body.mass, rel=1e-6)
        assert body.com == pytest.approx(thing.body.com, abs=1e-7)
        assert np.linalg.norm(body.inertia - thing.body.inertia) < 1e-6 * np.linalg.norm(thing.body.inertia)
        assert body.friction == pytest.approx(thing.body.material.friction)
        assert body.restitution == pytest.approx(thing.body.material.restitution)
        assert not body.kinematic
        assert len(body.corners) >= 64
    assert len(found.statics) == 2
    assert found.soft == ("/World/toy", "/World/rope")
    assert found.gravity == pytest.approx([0, 0, -9.81])


def test_nothing_touches_in_the_fall(found: StageBodies) -> None:
    phase = fall(found.bodies, found.statics)
    boxes = [placed(body, phase.poses[body.name])[0] for body in found.bodies]
    lowest, highest = min(box[:, 2].min() for box in boxes), max(corners[:, 2].max() for corners in found.statics)
    assert lowest - highest > 9.81 * 0.25**2 / 2 + 0.1
    for a, b in combinations(boxes, 2):
        assert (a.min(axis=0) > b.max(axis=0)).any() or (b.min(axis=0) > a.max(axis=0)).any()


def test_bodies_stand_a_hair_above_their_support(found: StageBodies) -> None:
    solids = tuple(solid(corners) for corners in found.statics)
    phase = rest(found.bodies, solids, 2.0)
    assert phase.steps == 480
    for body in found.bodies:
        corners, com = placed(body, phase.poses[body.name])
        top = support_below(solids, com)
        assert top is not None
        assert HAIR - 1e-9 <= top.heights(corners).min() < 2e-3
        assert phase.poses[body.name][3:] == pytest.approx(body.pose[3:])


def test_a_layer_holds_the_poses_and_leaves_out_what_is_not_rigid(
    found: StageBodies, model: Path, tmp_path: Path
) -> None:
    phase = fall(found.bodies, found.statics)
    path = tmp_path / "fall.usda"
    write_layer(model, found.bodies, phase.poses, found.soft, path)
    stage = Usd.Stage.Open(str(path))
    again = read_bodies(stage, "fall.usda")
    for body in again.bodies:
        assert body.pose == pytest.approx(phase.poses[body.name], abs=1e-9)
    assert again.soft == ()
    kinds = {prim.GetTypeName() for prim in stage.Traverse()}
    assert "ParticleField3DGaussianSplat" not in kinds
    assert "Mesh" in kinds
    assert path.stat().st_size < 20_000


def test_a_stage_that_was_led_along_is_free_in_the_proof(found: StageBodies, model: Path, tmp_path: Path) -> None:
    led = tmp_path / "led.usda"
    stage = Usd.Stage.CreateNew(str(led))
    stage.GetRootLayer().subLayerPaths.append(str(model))
    mug = stage.GetPrimAtPath("/World/mug")
    UsdPhysics.RigidBodyAPI(mug).CreateKinematicEnabledAttr(True)
    mug.GetAttribute("xformOp:translate").Set((1.0, 2.0, 3.0), 10.0)
    stage.GetRootLayer().Save()
    phase = rest(found.bodies, tuple(solid(corners) for corners in found.statics), 1.0)
    write_layer(led, found.bodies, phase.poses, (), tmp_path / "rest.usda")
    free = Usd.Stage.Open(str(tmp_path / "rest.usda"))
    mug = free.GetPrimAtPath("/World/mug")
    assert UsdPhysics.RigidBodyAPI(mug).GetKinematicEnabledAttr().Get() is False
    assert [body.name for body in read_bodies(free, "rest.usda").bodies if body.kinematic] == []
    assert tuple(mug.GetAttribute("xformOp:translate").Get(10.0)) == pytest.approx(phase.poses["mug"][:3])


BODY = """
def Xform "World"
{
    def Xform "%(name)s" ( prepend apiSchemas = ["PhysicsRigidBodyAPI", "PhysicsMassAPI"] )
    {
        float physics:mass = %(mass)s
        point3f physics:centerOfMass = (0, 0, 0)
        float3 physics:diagonalInertia = (1, 1, 1)
        quatf physics:principalAxes = (1, 0, 0, 0)
        float3 xformOp:scale = (%(scale)s, 1, 1)
        uniform token[] xformOpOrder = ["xformOp:scale"]
        def Cube "part" ( prepend apiSchemas = ["%(part)s"] )
        {
            double size = 2
        }
    }
}
"""
SOUND = {"name": "box", "mass": "1", "scale": "1", "part": "PhysicsCollisionAPI", "units": "1", "up": "Z"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"units": "0.01"}, r"0.01 m and 1 kg a unit.*scene3d import"),
        ({"up": "Y"}, "Y up"),
        ({"mass": "0"}, "/World/box leaves mass, centre of mass or inertia to the engine"),
        ({"scale": "2"}, "/World/box is scaled"),
        ({"scale": "-1"}, "/World/box is scaled or mirrored"),
        ({"scale": "nan"}, "/World/box is placed at numbers that are not finite"),
        ({"mass": "nan"}, "/World/box leaves mass"),
        ({"part": "MaterialBindingAPI"}, "/World/box has no collider"),
    ],
)
def test_a_stage_that_proves_nothing_is_refused(change: dict[str, str], said: str) -> None:
    values = SOUND | change
    head = f'#usda 1.0\n( metersPerUnit = {values["units"]}\n upAxis = "{values["up"]}"\n kilogramsPerUnit = 1 )\n'
    stage = Usd.Stage.CreateInMemory()
    stage.GetRootLayer().ImportFromString(head + BODY % values)
    with pytest.raises(FileFormatError, match=said):
        read_bodies(stage, "box.usda")


def test_a_sound_stage_and_an_empty_one() -> None:
    stage = Usd.Stage.CreateInMemory()
    stage.GetRootLayer().ImportFromString(
        '#usda 1.0\n( metersPerUnit = 1\n upAxis = "Z"\n kilogramsPerUnit = 1 )\n' + BODY % SOUND
    )
    (body,) = read_bodies(stage, "box.usda").bodies
    assert body.name == "box"
    assert body.corners.min(axis=0) == pytest.approx([-1, -1, -1])
    stage.RemovePrim("/World/box")
    with pytest.raises(FileFormatError, match="no rigid body and nothing deformable"):
        read_bodies(stage, "box.usda")


def test_a_body_within_an_instance_is_refused() -> None:
    stage = Usd.Stage.CreateInMemory()
    stage.GetRootLayer().ImportFromString(
        '#usda 1.0\n( metersPerUnit = 1\n upAxis = "Z"\n kilogramsPerUnit = 1 )\n' + BODY % SOUND
    )
    stage.GetPrimAtPath("/World").SetSpecifier(Sdf.SpecifierClass)
    group = stage.DefinePrim("/Group", "Xform")
    group.GetReferences().AddInternalReference("/World")
    group.SetInstanceable(True)
    with pytest.raises(FileFormatError, match="/Group/box lies within an instance"):
        read_bodies(stage, "group.usda")
