"""The exported stage, read back with pxr: layout, masses, colliders, materials, names, what the background holds."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from pxr import Gf, Usd, UsdGeom, UsdPhysics, UsdSemantics, UsdShade, UsdValidation
from scipy.spatial.transform import Rotation

from dynamics import TriangleMesh
from scene3d import Scene
from scene3d._errors import UsageError
from scene3d._scene_world import scene_world
from scene3d._support import SupportPlane
from sim_bridge.usd import export_usd


def opened(path: Path) -> Usd.Stage:
    return Usd.Stage.Open(str(path))


def inertia_of(prim: Usd.Prim) -> np.ndarray:
    """The tensor that MassAPI means, in the body's axes."""
    mass = UsdPhysics.MassAPI(prim)
    axes = mass.GetPrincipalAxesAttr().Get()
    R = Rotation.from_quat([*axes.GetImaginary(), axes.GetReal()]).as_matrix()
    return R @ np.diag(mass.GetDiagonalInertiaAttr().Get()) @ R.T


def collided(stage: Usd.Stage) -> list[Usd.Prim]:
    return [prim for prim in stage.Traverse() if prim.HasAPI(UsdPhysics.CollisionAPI)]


def test_stage_says_its_units_and_has_gravity(tiny_scene: Scene, tmp_path: Path) -> None:
    export_usd(tiny_scene, tmp_path / "tiny.usdc")

    stage = opened(tmp_path / "tiny.usdc")

    assert UsdGeom.GetStageUpAxis(stage) == "Z"
    assert UsdGeom.GetStageMetersPerUnit(stage) == 1.0
    assert UsdPhysics.GetStageKilogramsPerUnit(stage) == 1.0
    assert stage.GetDefaultPrim().GetPath() == "/World"
    gravity = UsdPhysics.Scene(stage.GetPrimAtPath("/World/PhysicsScene"))
    assert gravity.GetGravityDirectionAttr().Get() == Gf.Vec3f(0, 0, -1)
    assert gravity.GetGravityMagnitudeAttr().Get() == pytest.approx(9.81)
    assert stage.GetRootLayer().customLayerData["scene3d"]["metric"] is True
    assert not stage.HasAuthoredTimeCodeRange()


@pytest.mark.parametrize("suffix", [".usd", ".usda", ".usdc", ".usdz"])
def test_every_kind_of_file_passes_the_validators_of_usd(tabletop_loaded: Scene, tmp_path: Path, suffix: str) -> None:
    kept = torch.arange(len(tabletop_loaded.splats)) % 50 == 0
    # Deformables keep theirs, which their bindings count.
    kept |= tabletop_loaded.splats.component_index >= 4
    scene = replace(tabletop_loaded, splats=tabletop_loaded.splats[kept], filled=0)

    exported = export_usd(scene, tmp_path / f"table{suffix}")

    validators = UsdValidation.ValidationRegistry().GetOrLoadAllValidators()
    found = UsdValidation.ValidationContext(validators).Validate(opened(exported.path))
    assert [f"{error.GetName()}: {error.GetMessage()}" for error in found] == []
    assert len(validators) > 20


def test_bodies_are_below_world_with_exactly_a_translation_and_a_rotation(tiny_scene: Scene, tmp_path: Path) -> None:
    exported = export_usd(tiny_scene, tmp_path / "tiny.usdc")

    stage = opened(exported.path)
    assert exported.bodies == ("box", "can")
    for name, thing in zip(exported.bodies, tiny_scene.objects, strict=True):
        prim = stage.GetPrimAtPath(f"/World/{name}")
        assert prim.GetTypeName() == "Xform"
        assert prim.HasAPI(UsdPhysics.RigidBodyAPI)
        ops = [op.GetOpName() for op in UsdGeom.Xformable(prim).GetOrderedXformOps()]
        assert ops == ["xformOp:translate", "xformOp:orient"]
        assert tuple(prim.GetAttribute("xformOp:translate").Get()) == thing.T_world_body[:3]
        turned = prim.GetAttribute("xformOp:orient").Get()
        assert (turned.GetReal(), *turned.GetImaginary()) == pytest.approx(thing.T_world_body[3:], abs=1e-12)
        assert UsdSemantics.LabelsAPI(prim, "class").GetLabelsAttr().Get() == [name]
        assert prim.GetCustomDataByKey("scene3d")["name"] == name


def test_masses_are_whole_and_exact(tabletop_loaded: Scene, tmp_path: Path) -> None:
    stage = opened(export_usd(tabletop_loaded, tmp_path / "table.usdc").path)

    for thing in tabletop_loaded.objects[:3]:
        prim, body = stage.GetPrimAtPath(f"/World/{thing.name}"), thing.body
        mass = UsdPhysics.MassAPI(prim)
        assert mass.GetMassAttr().Get() == pytest.approx(body.mass, rel=1e-6)
        assert np.allclose(mass.GetCenterOfMassAttr().Get(), body.com, atol=1e-7)
        assert np.abs(inertia_of(prim) - body.inertia).max() < 1e-6 * np.abs(body.inertia).max()


def test_dynamic_bodies_collide_as_convex_hulls_that_nobody_sees(tabletop_loaded: Scene, tmp_path: Path) -> None:
    stage = opened(export_usd(tabletop_loaded, tmp_path / "table.usdc").path)

    parts = [prim for prim in collided(stage) if "/colliders/" in str(prim.GetPath())]
    assert len(parts) > 26
    for prim in parts:
        assert prim.HasAPI(UsdPhysics.MeshCollisionAPI)
        assert UsdPhysics.MeshCollisionAPI(prim).GetApproximationAttr().Get() == "convexHull"
        assert UsdGeom.Imageable(prim).ComputePurpose() == "guide"
        assert len(UsdGeom.Mesh(prim).GetPointsAttr().Get()) <= 64
        bound, _ = UsdShade.MaterialBindingAPI(prim).ComputeBoundMaterial("physics")
        assert bound.GetPrim().HasAPI(UsdPhysics.MaterialAPI)
    # What only draws is bound to nothing.
    splat = stage.GetPrimAtPath("/World/mug/splat")
    assert not UsdShade.MaterialBindingAPI(splat).ComputeBoundMaterial()[0]


def test_materials_say_friction_bounce_and_density(tiny_scene: Scene, tmp_path: Path) -> None:
    stage = opened(export_usd(tiny_scene, tmp_path / "tiny.usdc").path)

    material = tiny_scene.objects[1].body.material
    prim = stage.GetPrimAtPath("/World/Materials/aluminium_can_full")
    physics = UsdPhysics.MaterialAPI(prim)
    assert physics.GetDynamicFrictionAttr().Get() == pytest.approx(material.friction)
    assert physics.GetStaticFrictionAttr().Get() == pytest.approx(material.friction)
    assert physics.GetRestitutionAttr().Get() == pytest.approx(material.restitution)
    assert physics.GetDensityAttr().Get() == pytest.approx(material.density)
    assert prim.GetCustomDataByKey("scene3d")["name"] == "aluminium-can-full"
    assert prim.GetAttribute("physxMaterial:restitutionCombineMode").Get() == "max"


def test_supports_and_floor_stand_still_where_dynamics_has_them(tiny_scene: Scene, tmp_path: Path) -> None:
    stage = opened(export_usd(tiny_scene, tmp_path / "tiny.usdc").path)

    tops = {}
    for name in ("table", "floor"):
        prim = stage.GetPrimAtPath(f"/World/Background/{name}")
        assert prim.HasAPI(UsdPhysics.CollisionAPI) and not prim.HasAPI(UsdPhysics.RigidBodyAPI)
        matrix = np.array(UsdGeom.Xformable(prim).ComputeLocalToWorldTransform(Usd.TimeCode.Default()))
        points = np.array(UsdGeom.Mesh(prim).GetPointsAttr().Get()) @ matrix[:3, :3] + matrix[3, :3]
        tops[name] = points[:, 2].max()
        if name == "floor":
            assert np.ptp(points, axis=0) == pytest.approx([10, 10, 1])
    world = scene_world(tiny_scene)
    assert [body.name for body in world.bodies] == ["box", "can", "table", "floor"]
    assert tops["table"] == pytest.approx(0.0, abs=1e-6)
    assert tops["floor"] == pytest.approx(-0.72, abs=1e-6)
    kept = stage.GetPrimAtPath("/World/Background/table").GetCustomDataByKey("scene3d")
    assert np.array(kept["outline"]) == pytest.approx(tiny_scene.supports[0].outline)
    assert kept["noise"] == 0.001


def test_surface_keeps_the_mesh_and_what_no_photo_saw(tiny_scene: Scene, tmp_path: Path) -> None:
    stage = opened(export_usd(tiny_scene, tmp_path / "tiny.usdc").path)

    # The box is its own collider; the can has a part beside its mesh.
    assert not stage.GetPrimAtPath("/World/box/surface")
    surface = UsdGeom.Mesh(stage.GetPrimAtPath("/World/can/surface"))
    body = tiny_scene.objects[1].body
    assert np.array(surface.GetPointsAttr().Get()) == pytest.approx(body.mesh.vertices, abs=1e-7)
    assert np.array(surface.GetFaceVertexIndicesAttr().Get()).reshape(-1, 3).tolist() == body.mesh.faces.tolist()
    assert not surface.GetPrim().HasAPI(UsdPhysics.CollisionAPI)
    assert surface.ComputeVisibility() == "invisible"
    unseen = UsdGeom.Subset(stage.GetPrimAtPath("/World/can/surface/unseen"))
    assert list(unseen.GetIndicesAttr().Get()) == [0, 1, 2, 3]


def test_initial_conditions_name_every_body(tiny_scene: Scene, tmp_path: Path) -> None:
    exported = export_usd(tiny_scene, tmp_path / "tiny.usdc")

    document = json.loads((tmp_path / "initial_conditions.json").read_text(encoding="utf-8"))
    assert exported.files == (tmp_path / "tiny.usdc", tmp_path / "initial_conditions.json")
    assert document["poses"] == [{thing.name: pytest.approx(thing.T_world_body) for thing in tiny_scene.objects}]


def test_names_that_are_no_prim_paths_become_some(tiny_scene: Scene, tmp_path: Path) -> None:
    names = ["my mug!", "1can", "Background", "кружка", "my mug"]
    box = tiny_scene.objects[0]
    objects = tuple(replace(box, body=box.body.renamed(name)) for name in names)

    exported = export_usd(replace(tiny_scene, objects=objects), tmp_path / "names.usda")

    assert exported.bodies == ("my_mug", "object_1can", "Background_2", "object", "my_mug_2")
    assert "'кружка' is object" in " ".join(exported.notes)
    stage = opened(exported.path)
    for prim, name in zip(exported.bodies, names, strict=True):
        found = stage.GetPrimAtPath(f"/World/{prim}")
        assert found.GetDisplayName() == name
        assert found.GetCustomDataByKey("scene3d")["name"] == name
    assert not stage.GetPrimAtPath("/World/Background").HasAPI(UsdPhysics.RigidBodyAPI)


def test_same_scene_gives_the_same_text(tiny_scene: Scene, tmp_path: Path) -> None:
    first = export_usd(tiny_scene, tmp_path / "a.usda").path.read_bytes()
    second = export_usd(tiny_scene, tmp_path / "b.usda").path.read_bytes()

    assert first == second
    assert str(tmp_path).encode() not in first


def test_objects_that_begin_inside_their_support_are_lifted_onto_it(tiny_scene: Scene, tmp_path: Path) -> None:
    box, can = tiny_scene.objects
    sunk = (replace(box, T_world_body=(0.1, 0.0, -0.0004, 1.0, 0.0, 0.0, 0.0)), can)

    exported = export_usd(replace(tiny_scene, objects=sunk), tmp_path / "sunk.usdc")

    stage = opened(exported.path)
    place = stage.GetPrimAtPath("/World/box").GetAttribute("xformOp:translate").Get()
    assert tuple(place) == pytest.approx((0.1, 0.0, 0.0), abs=1e-7)
    assert any("0.40 mm" in note for note in exported.notes)
    # What hangs beside the table or below it is left where it is.
    beside = (replace(box, T_world_body=(0.6, 0.0, -0.3, 1.0, 0.0, 0.0, 0.0)), can)
    exported = export_usd(replace(tiny_scene, objects=beside), tmp_path / "beside.usdc", overwrite=True)
    stage = opened(exported.path)
    assert stage.GetPrimAtPath("/World/box").GetAttribute("xformOp:translate").Get()[2] == -0.3


def test_a_world_with_another_up_is_turned(tiny_scene: Scene, tmp_path: Path) -> None:
    # The tiny scene as it would be with y up: everything turned by -90 degrees about x.
    half = math.sqrt(0.5)
    turn = Rotation.from_quat([-half, 0, 0, half])

    def turned(pose: tuple[float, ...]) -> tuple[float, ...]:
        x, y, z, w = (turn * Rotation.from_quat([*pose[4:], pose[3]])).as_quat()
        return (*turn.apply(pose[:3]).tolist(), w, x, y, z)

    objects = tuple(replace(thing, T_world_body=turned(thing.T_world_body)) for thing in tiny_scene.objects)
    support = tiny_scene.supports[0]
    table = SupportPlane(turn.apply(support.normal), 0.0, support.noise, turn.apply(support.outline))
    scene = replace(tiny_scene, up=(0.0, 1.0, 0.0), objects=objects, supports=(table,))

    exported = export_usd(scene, tmp_path / "up.usdc")

    stage = opened(exported.path)
    assert any("turned to Z" in note for note in exported.notes)
    for thing in tiny_scene.objects:
        matrix = np.array(UsdGeom.Xformable(stage.GetPrimAtPath(f"/World/{thing.name}")).GetLocalTransformation())
        w, *v = thing.T_world_body[3:]
        assert matrix[3, :3] == pytest.approx(thing.T_world_body[:3], abs=1e-6)
        assert matrix[:3, :3].T == pytest.approx(Rotation.from_quat([*v, w]).as_matrix(), abs=1e-6)
    # Splats of the background turn with the world: their own y is up on the stage.
    splat = UsdGeom.Xformable(stage.GetPrimAtPath("/World/Background/splat"))
    up = splat.ComputeLocalToWorldTransform(Usd.TimeCode.Default()).TransformDir(Gf.Vec3d(0, 1, 0))
    assert tuple(up) == pytest.approx((0, 0, 1), abs=1e-12)


def test_scenes_without_scale_are_refused_or_taken_as_metres(tiny_scene: Scene, tmp_path: Path) -> None:
    scene = replace(tiny_scene, metric=False)

    with pytest.raises(UsageError, match=r"scene3d scale.*--assume-scale"):
        export_usd(scene, tmp_path / "tiny.usdc")
    assert list(tmp_path.iterdir()) == []
    exported = export_usd(scene, tmp_path / "tiny.usdc", assume_scale=True)

    assert "taken for a metre" in exported.notes[0]
    stage = opened(exported.path)
    assert stage.GetRootLayer().customLayerData["scene3d"]["metric"] is False


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"mass": 0.0}, r"'can' has a mass of 0 kg.*--mass can=KG"),
        ({"mass": math.nan}, "mass of nan"),
        ({"inertia": np.zeros((3, 3))}, "principal moments"),
        ({"mesh": TriangleMesh(np.zeros((0, 3)), np.zeros((0, 3), np.int32)), "parts": ()}, "'can' has no collider"),
        (
            {"mesh": TriangleMesh(np.eye(3), np.array([[0, 1, 2], [0, 2, 1]], np.int32)), "parts": ()},
            "collider of 'can' is flat",
        ),
    ],
)
def test_bodies_that_no_engine_takes_are_refused(tiny_scene: Scene, tmp_path: Path, change: dict, said: str) -> None:
    box, can = tiny_scene.objects
    scene = replace(tiny_scene, objects=(box, replace(can, body=replace(can.body, **change))))

    with pytest.raises(UsageError, match=said):
        export_usd(scene, tmp_path / "tiny.usdc")

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("pose", [(math.nan, 0, 0, 1, 0, 0, 0), (0, 0, 0, 0, 0, 0, 0)])
def test_objects_that_are_nowhere_are_refused(tiny_scene: Scene, tmp_path: Path, pose: tuple) -> None:
    box, can = tiny_scene.objects

    with pytest.raises(UsageError, match=r"pose of 'can' is .*no place and no rotation"):
        export_usd(replace(tiny_scene, objects=(box, replace(can, T_world_body=pose))), tmp_path / "tiny.usdc")

    assert list(tmp_path.iterdir()) == []


def test_scenes_without_objects_are_shown(tiny_scene: Scene, tmp_path: Path) -> None:
    scene = replace(tiny_scene, objects=(), splats=tiny_scene.splats[tiny_scene.splats.component_index == 0])

    (tmp_path / "initial_conditions.json").write_text("{}", encoding="utf-8")
    exported = export_usd(scene, tmp_path / "bare.usdc")

    assert (tmp_path / "initial_conditions.json").read_text(encoding="utf-8") == "{}", "of another stage"
    assert exported.bodies == () and exported.splats == len(scene.splats)
    assert "scene3d segment" in exported.notes[0]
    assert collided(opened(exported.path)) == []
