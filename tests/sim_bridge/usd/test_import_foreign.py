"""Stages of other programs: transforms, shapes and masses of any kind, and what is said about the rest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pxr import Gf, Sdf, Usd, UsdGeom, UsdPhysics, Vt

from dynamics import mass_properties
from dynamics.poses import rotation_from_wxyz
from scene3d._errors import FileFormatError
from sim_bridge.usd._import import Imported, scene_of

from .made_stages import (
    SIDES,
    add_body,
    add_material,
    add_mesh,
    add_splats,
    bind,
    new_stage,
    save,
    some_splats,
    sound_stage,
)


def _read(stage: Any, folder: Path) -> Imported:
    return scene_of(save(stage, folder / "stage.usda"))


def _said(found: Imported, words: str) -> bool:
    return any(words in note for note in found.notes)


def test_transforms_of_any_order_and_depth(tmp_path: Path) -> None:
    stage = new_stage(tmp_path)
    outer = UsdGeom.Xform.Define(stage, "/World/room/shelf")
    outer.AddRotateXYZOp().Set(Gf.Vec3f(10, -20, 30))
    outer.AddTranslateOp().Set(Gf.Vec3d(1, 2, 3))
    outer.AddScaleOp().Set(Gf.Vec3f(2, 2, 2))
    arrays = some_splats()
    splat = add_splats(stage, "/World/room/shelf/cup/splat", arrays)
    inner = UsdGeom.Xform.Define(stage, "/World/room/shelf/cup")
    pivot = inner.AddTranslateOp(opSuffix="pivot")
    pivot.Set(Gf.Vec3d(0.1, 0, 0))
    inner.AddRotateZOp().Set(90.0)
    inner.AddTranslateOp(opSuffix="pivot", isInverseOp=True)
    UsdPhysics.RigidBodyAPI.Apply(inner.GetPrim())
    add_mesh(stage, "/World/room/shelf/cup/shape", SIDES, approximation="boundingCube")
    found = _read(stage, tmp_path)
    (thing,) = found.scene.objects
    # The whole chain, as USD itself composes it.
    M = np.array(UsdGeom.Xformable(splat).ComputeLocalToWorldTransform(Usd.TimeCode.Default())).T
    places = np.column_stack([arrays["positions"], np.ones(40)]) @ M[:3].T
    R = rotation_from_wxyz(torch.tensor(thing.T_world_body[3:], dtype=torch.float64)).numpy()
    np.testing.assert_allclose(
        found.scene.splats.means.double().numpy() @ R.T + thing.T_world_body[:3], places, atol=1e-5
    )
    np.testing.assert_allclose(found.scene.splats.scales.exp(), 2 * arrays["scales"], rtol=1e-5)
    np.testing.assert_allclose(np.ptp(thing.body.mesh.bounds, axis=0), np.multiply(SIDES, 2), rtol=1e-6)


def test_a_reset_transform_leaves_what_is_above(tmp_path: Path) -> None:
    stage = new_stage(tmp_path)
    UsdGeom.Xform.Define(stage, "/World/away").AddTranslateOp().Set(Gf.Vec3d(9, 9, 9))
    prim = add_splats(stage, "/World/away/splat", some_splats())
    UsdGeom.Xformable(prim).SetResetXformStack(True)
    np.testing.assert_array_equal(_read(stage, tmp_path).scene.splats.means, some_splats()["positions"])


def test_uneven_scale_is_exact_for_shapes_and_refused_for_splats(tmp_path: Path) -> None:
    stage = new_stage(tmp_path)
    body = add_body(stage, "/World/box", shape=False)
    cube = UsdGeom.Cube.Define(stage, "/World/box/shape")
    cube.CreateSizeAttr(1.0)
    cube.AddScaleOp().Set(Gf.Vec3f(*SIDES))
    UsdPhysics.CollisionAPI.Apply(cube.GetPrim())
    found = _read(stage, tmp_path)
    np.testing.assert_allclose(np.ptp(found.scene.objects[0].body.mesh.bounds, axis=0), SIDES, rtol=1e-6)
    prim = add_splats(stage, "/World/box/splat", some_splats())
    UsdGeom.Xformable(prim).AddScaleOp().Set(Gf.Vec3f(1, 1, 2))
    with pytest.raises(FileFormatError, match=r"/World/box/splat is scaled by 1, 1, 2 along its axes"):
        _read(stage, tmp_path)
    stage.RemovePrim("/World/box/splat")
    UsdGeom.Xformable(body).AddScaleOp().Set(Gf.Vec3f(1, 1, -1))
    with pytest.raises(FileFormatError, match=r"the body /World/box is flattened or mirrored"):
        _read(stage, tmp_path)


def test_a_sheared_body_is_refused(tmp_path: Path) -> None:
    stage = new_stage(tmp_path)
    UsdGeom.Xform.Define(stage, "/World/squeezed").AddScaleOp().Set(Gf.Vec3f(1, 3, 1))
    add_body(stage, "/World/squeezed/box")
    op = UsdGeom.Xformable(stage.GetPrimAtPath("/World/squeezed/box")).GetOrderedXformOps()[1]
    op.Set(Gf.Quatd(0.9238795, 0, 0, 0.3826834))
    with pytest.raises(FileFormatError, match=r"/World/squeezed/box is sheared"):
        _read(stage, tmp_path)


def test_masses_that_are_left_to_the_engine(tmp_path: Path) -> None:
    stage = new_stage(tmp_path)
    wood = add_material(stage, "/World/wood", density=500)
    volume = float(np.prod(SIDES))
    cases: dict[str, tuple[float, Any]] = {
        "own_density": (700 * volume, lambda p, c: UsdPhysics.MassAPI.Apply(p).CreateDensityAttr(700)),
        "material": (500 * volume, lambda p, c: bind(c, wood)),
        "collider": (0.9, lambda p, c: UsdPhysics.MassAPI.Apply(c).CreateMassAttr(0.9)),
        "nothing": (1000 * volume, lambda p, c: None),
    }
    for name, (_, change) in cases.items():
        prim = UsdGeom.Xform.Define(stage, f"/World/{name}").GetPrim()
        UsdPhysics.RigidBodyAPI.Apply(prim)
        change(prim, add_mesh(stage, f"/World/{name}/shape", SIDES, approximation="convexHull"))
    found = _read(stage, tmp_path)
    a, b, c = SIDES
    for thing in found.scene.objects:
        mass = cases[thing.name][0]
        assert thing.body.mass == pytest.approx(mass, rel=1e-5), thing.name
        own = mass / 12 * np.array([b * b + c * c, a * a + c * c, a * a + b * b])
        np.testing.assert_allclose(thing.body.inertia, np.diag(own), rtol=1e-4, atol=1e-9)
        assert ("mass" in thing.guessed) == (thing.name == "nothing")
        assert ("friction" in thing.guessed) == (thing.name != "material")
    assert _said(found, "/World/own_density gives a density only")
    assert _said(found, "/World/nothing gives neither a mass nor a density")


def test_compounds_become_one_surface_and_its_parts(tmp_path: Path) -> None:
    stage = new_stage(tmp_path)
    prim = add_body(stage, "/World/hammer", shape=False)
    for name in ("diagonalInertia", "centerOfMass", "principalAxes", "mass"):
        prim.GetAttribute(f"physics:{name}").Clear()
    handle = UsdGeom.Capsule.Define(stage, "/World/hammer/handle")
    handle.CreateRadiusAttr(0.02)
    handle.CreateHeightAttr(0.3)
    head = UsdGeom.Cylinder.Define(stage, "/World/hammer/head")
    head.CreateAxisAttr("X")
    head.CreateRadiusAttr(0.04)
    head.CreateHeightAttr(0.12)
    head.AddTranslateOp().Set(Gf.Vec3d(0, 0, 0.15))
    for shape in (handle, head):
        UsdPhysics.CollisionAPI.Apply(shape.GetPrim())
    found = _read(stage, tmp_path)
    body = found.scene.objects[0].body
    assert [len(part.vertices) <= 64 for part in body.parts] == [True, True]
    stick = np.pi * 0.02**2 * 0.3 + 4 / 3 * np.pi * 0.02**3
    drum = np.pi * 0.04**2 * 0.12
    assert body.mass == pytest.approx(1000 * (stick + drum), rel=0.01)
    assert body.com[2] == pytest.approx(drum * 0.15 / (stick + drum), rel=0.01)
    union = mass_properties(body.mesh, 1.0).volume
    # They share the part of the handle that is inside the head: less than both, more than either and a half.
    assert drum + 0.5 * stick < union < drum + stick
    np.testing.assert_allclose(body.mesh.bounds, [[-0.06, -0.04, -0.17], [0.06, 0.04, 0.19]], atol=0.004)


def test_cavities_are_kept_where_engines_keep_them(tmp_path: Path) -> None:
    # An L of two boxes as one mesh: its hull is 1.5 times as large.
    corners = np.array([[0, 0], [2, 0], [2, 1], [1, 1], [1, 2], [0, 2]]) * 0.05
    points = np.concatenate([np.column_stack([corners, np.full(6, z)]) for z in (0.0, 0.05)])
    faces = [[5, 4, 3, 2, 1, 0], [6, 7, 8, 9, 10, 11], *([i, (i + 1) % 6, 6 + (i + 1) % 6, 6 + i] for i in range(6))]
    for how, volume in (("sdf", 3 * 0.05**3), ("convexHull", 3.5 * 0.05**3)):
        stage = new_stage(tmp_path)
        add_body(stage, "/World/angle", shape=False)
        mesh = add_mesh(stage, "/World/angle/shape", SIDES, approximation=how)
        mesh.GetAttribute("points").Set(Vt.Vec3fArray.FromNumpy(points.astype(np.float32)))
        mesh.GetAttribute("faceVertexCounts").Set([len(face) for face in faces])
        mesh.GetAttribute("faceVertexIndices").Set([i for face in faces for i in face])
        # The lower face begins where a fan of triangles would fold over itself.
        found = _read(stage, tmp_path)
        assert found.scene.objects[0].body.volume == pytest.approx(volume, rel=1e-4), how
        assert len(found.scene.objects[0].body.parts) == (2 if how == "sdf" else 0)


def test_bodies_without_shapes(tmp_path: Path) -> None:
    stage = new_stage(tmp_path)
    add_body(stage, "/World/cloud", shape=False)
    add_splats(stage, "/World/cloud/splat", some_splats())
    add_body(stage, "/World/ghost", shape=False)
    found = _read(stage, tmp_path)
    assert [thing.name for thing in found.scene.objects] == ["cloud"]
    assert _said(found, "/World/cloud has no collider: the convex hull of what is drawn")
    assert _said(found, "/World/ghost has no shape that encloses a volume, so it was left out")


def test_static_colliders(tmp_path: Path) -> None:
    stage = sound_stage(tmp_path)
    shelf = add_mesh(stage, "/World/post", (0.05, 0.05, 0.6), approximation=None)
    UsdGeom.Xformable(shelf).AddTranslateOp().Set(Gf.Vec3d(1, 0, 0.3))
    plane = UsdGeom.Plane.Define(stage, "/World/plane")
    plane.AddTranslateOp().Set(Gf.Vec3d(0, 0, -0.75))
    UsdPhysics.CollisionAPI.Apply(plane.GetPrim())
    off = add_body(stage, "/World/fixed", place=(1, 1, 0.03))
    UsdPhysics.RigidBodyAPI(off).CreateRigidBodyEnabledAttr(False)
    moved = add_body(stage, "/World/belt")
    UsdPhysics.RigidBodyAPI(moved).CreateKinematicEnabledAttr(True)
    found = _read(stage, tmp_path)
    motions = {thing.name: thing.body.motion for thing in found.scene.objects}
    assert motions == {"box": "dynamic", "belt": "kinematic", "post": "static", "part": "static"}
    assert [round(support.offset, 6) for support in found.scene.supports] == [0.0, -0.75]
    post = found.scene.objects[found.scene.index("post")]
    np.testing.assert_allclose(post.T_world_body[:3], [1, 0, 0.3], atol=1e-6)
    assert _said(found, "/World/ground stands still and is level on top: kept as a support")
    assert _said(found, "The plane /World/plane has no end")


def test_names(tmp_path: Path) -> None:
    stage = new_stage(tmp_path)
    add_body(stage, "/World/a/mug")
    add_body(stage, "/World/b/mug")
    add_body(stage, "/World/tn__x").SetDisplayName("rote Tasse")
    add_body(stage, "/World/slash").SetDisplayName("a/b")
    found = _read(stage, tmp_path)
    assert [thing.name for thing in found.scene.objects] == ["mug", "mug 2", "rote Tasse", "slash"]
    assert _said(found, "Two bodies are called 'mug'; /World/b/mug is called 'mug 2' here")


def test_what_is_not_supported_is_said(tmp_path: Path) -> None:
    stage = sound_stage(tmp_path)
    UsdPhysics.RevoluteJoint.Define(stage, "/World/hinge")
    UsdGeom.PointInstancer.Define(stage, "/World/many")
    add_splats(stage, "/World/many/prototype", some_splats(seed=5))
    stage.DefinePrim("/World/lamp", "SphereLight")
    stage.DefinePrim("/World/fog", "Volume")
    UsdGeom.Sphere.Define(stage, "/World/globe")
    low = add_splats(stage, "/World/low", some_splats(seed=6))
    UsdGeom.Imageable(low).CreatePurposeAttr("proxy")
    hidden = add_splats(stage, "/World/hidden", some_splats(seed=7))
    UsdGeom.Imageable(hidden).MakeInvisible()
    stage.DefinePrim("/World/unused").SetActive(False)
    stage.GetPrimAtPath("/World/PhysicsScene").GetAttribute("physics:gravityMagnitude").Set(1.62)
    found = _read(stage, tmp_path)
    assert len(found.scene.splats) == 80
    assert _said(found, "One joint was left out")
    assert _said(found, "gravity is 0, 0, -1.62")
    assert _said(found, "1 prims are switched off")
    for words in (
        "1 point instancer",
        "1 SphereLight",
        "1 Volume",
        "1 Sphere that is only drawn",
        "1 invisible set of splats",
        "1 set of splats that is a stand-in",
    ):
        assert _said(found, words), words


def test_instances_and_variants(tmp_path: Path) -> None:
    stage = new_stage(tmp_path)
    UsdGeom.Xform.Define(stage, "/Prototype")
    add_splats(stage, "/Prototype/splat", some_splats())
    for x in (0.0, 5.0):
        copy = UsdGeom.Xform.Define(stage, f"/World/copy{x:.0f}")
        copy.AddTranslateOp().Set(Gf.Vec3d(x, 0, 0))
        copy.GetPrim().GetReferences().AddInternalReference("/Prototype")
        copy.GetPrim().SetInstanceable(True)
    stage.GetPrimAtPath("/Prototype").SetSpecifier(Sdf.SpecifierClass)
    choice = UsdGeom.Xform.Define(stage, "/World/which").GetPrim().GetVariantSets().AddVariantSet("size")
    for name in ("small", "large"):
        choice.AddVariant(name)
        choice.SetVariantSelection(name)
        with choice.GetVariantEditContext():
            add_splats(stage, "/World/which/splat", some_splats(count=7 if name == "small" else 11))
    found = _read(stage, tmp_path)
    assert len(found.scene.splats) == 40 + 40 + 11
    apart = found.scene.splats.means[40:80] - found.scene.splats.means[:40]
    torch.testing.assert_close(apart, torch.tensor([[5.0, 0.0, 0.0]]).expand(40, 3), rtol=0, atol=1e-5)
    assert _said(found, "2 instances were read as copies")
    assert _said(found, "have variants: those that the stage selects were read")


def test_samples_over_time(tmp_path: Path) -> None:
    stage = sound_stage(tmp_path)
    place = UsdGeom.Xformable(stage.GetPrimAtPath("/World/box")).GetOrderedXformOps()[0]
    place.GetAttr().Clear()
    for time in (5, 6):
        place.Set(Gf.Vec3d(time, 0, 0), time)
    room = stage.GetPrimAtPath("/World/room").GetAttribute("positions")
    room.Set(Vt.Vec3fArray(40, Gf.Vec3f(7, 7, 7)), 3)  # Beside a value without time, which wins.
    found = _read(stage, tmp_path)
    assert found.scene.objects[0].T_world_body[:3] == (5.0, 0.0, 0.0)
    np.testing.assert_array_equal(
        found.scene.splats.means[found.scene.splats.component_index == 0], some_splats(seed=1)["positions"]
    )
    assert _said(found, "2 attributes change with time: 1 have samples only, the first was taken")


def test_a_stage_with_nothing_to_import(tmp_path: Path) -> None:
    stage = new_stage(tmp_path)
    UsdGeom.Sphere.Define(stage, "/World/ball")
    with pytest.raises(FileFormatError, match=r"holds neither Gaussian splats .* 1 Sphere that is only drawn"):
        _read(stage, tmp_path)


def test_values_of_other_types_are_not_read(tmp_path: Path) -> None:
    stage = sound_stage(tmp_path)
    text = stage.GetRootLayer().ExportToString()
    text = text.replace("float physics:mass = 0.3", 'string physics:mass = "heavy"')
    text = text.replace("point3f physics:centerOfMass = (0, 0, 0)", 'string physics:centerOfMass = "middle"')
    text = text.replace("quatf physics:principalAxes = (1, 0, 0, 0)", "float physics:principalAxes = 1")
    assert text.count("heavy") == text.count("middle") == 1
    (tmp_path / "stage.usda").write_text(text, encoding="utf-8")
    found = scene_of(tmp_path / "stage.usda")
    assert found.scene.objects[0].body.mass == pytest.approx(1000 * float(np.prod(SIDES)), rel=1e-5)
    assert _said(found, "/World/box.physics:mass holds a value of another type than its own")
