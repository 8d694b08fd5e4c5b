"""Checks: a sound stage passes, each thing that can be wrong with one is found by its rule, with a hint."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pxr import Gf, Sdf, Usd, UsdGeom, UsdPhysics, Vt

from scene3d import load_scene
from sim_bridge.usd import check_usd, export_usd
from sim_bridge.usd._check import findings

from .made_stages import SIDES, add_body, add_mesh, add_splats, new_stage, save, some_splats, sound_stage

BOX, PART, SPLAT, ROOM = "/World/box", "/World/box/colliders/part", "/World/box/splat", "/World/room"
HARMONICS = "radiance:sphericalHarmonicsCoefficients"


def _set(path: str, name: str, value: Any) -> Callable[[Any], None]:
    return lambda stage: stage.GetPrimAtPath(path).GetAttribute(name).Set(value)


def _clear(path: str, *names: str) -> Callable[[Any], None]:
    def change(stage: Any) -> None:
        for name in names:
            stage.GetPrimAtPath(path).GetAttribute(name).Clear()

    return change


def _without_mass(stage: Any) -> None:
    stage.GetPrimAtPath(BOX).RemoveAPI(UsdPhysics.MassAPI)
    _clear(BOX, *(f"physics:{name}" for name in ("mass", "centerOfMass", "diagonalInertia", "principalAxes")))(stage)


def _density_only(stage: Any) -> None:
    _without_mass(stage)
    UsdPhysics.MassAPI.Apply(stage.GetPrimAtPath(BOX)).CreateDensityAttr(400)


def _fine_hull(stage: Any) -> None:
    angle = np.linspace(0, 2 * np.pi, 70, endpoint=False)
    ring = 0.1 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    points = np.concatenate([np.column_stack([ring, np.full(70, z)]) for z in (-0.05, 0.05)])
    prim = stage.GetPrimAtPath(PART)
    prim.GetAttribute("points").Set(Vt.Vec3fArray.FromNumpy(points.astype(np.float32)))
    faces = [(i, (i + 1) % 70, 70 + (i + 1) % 70, 70 + i) for i in range(70)]
    prim.GetAttribute("faceVertexCounts").Set([4] * 70)
    prim.GetAttribute("faceVertexIndices").Set([i for face in faces for i in face])


def _many_parts(stage: Any) -> None:
    for number in range(70):
        add_mesh(stage, f"{BOX}/colliders/more{number}", SIDES, approximation="convexHull")


def _twice(stage: Any) -> None:
    half = Vt.HalfArray.FromNumpy(some_splats()["opacities"].astype(np.float16))
    stage.GetPrimAtPath(ROOM).GetAttribute("opacitiesh").Set(half)


def _squeeze(path: str, scale: tuple[float, float, float]) -> Callable[[Any], None]:
    return lambda stage: UsdGeom.Xformable(stage.GetPrimAtPath(path)).AddScaleOp().Set(Gf.Vec3f(*scale)) and None


def _other_ops(stage: Any) -> None:
    xform = UsdGeom.Xformable(stage.GetPrimAtPath(BOX))
    xform.ClearXformOpOrder()
    xform.AddRotateXYZOp().Set(Gf.Vec3f(1, 2, 3))


WRONG: list[tuple[str, str, Callable[[Any], None], str]] = [
    ("splat-missing", "error", _clear(ROOM, "scales"), ROOM),
    ("splat-lengths", "error", _set(ROOM, "scales", Vt.Vec3fArray(3, Gf.Vec3f(0.1))), ROOM),
    ("splat-degree", "error", _set(ROOM, "radiance:sphericalHarmonicsDegree", 2), ROOM),
    ("splat-degree", "error", _clear(ROOM, "radiance:sphericalHarmonicsDegree"), ROOM),
    ("splat-range", "error", _set(ROOM, "scales", Vt.Vec3fArray(40, Gf.Vec3f(-4.0))), ROOM),
    ("splat-range", "error", _set(ROOM, "opacities", Vt.FloatArray(40, 2.5)), ROOM),
    ("splat-range", "error", _set(ROOM, HARMONICS, Vt.Vec3fArray(160, Gf.Vec3f(float("nan")))), ROOM),
    ("splat-quaternions", "error", _set(ROOM, "orientations", Vt.QuatfArray(40, Gf.Quatf(1.01, 0, 0, 0))), ROOM),
    ("splat-extent", "warning", _clear(ROOM, "extent"), ROOM),
    ("splat-extent", "warning", _set(ROOM, "extent", [(-0.49, -0.49, -0.49), (0.49, 0.49, 0.49)]), ROOM),
    ("splat-twice", "warning", _twice, ROOM),
    ("splat-colour-space", "warning", _clear(ROOM, "colorSpace:name"), ROOM),
    ("splat-scale", "error", _squeeze(ROOM, (1, 1, 2)), ROOM),
    ("body-scale", "error", _squeeze(BOX, (1, 2, 1)), BOX),
    ("body-scale", "error", _squeeze(BOX, (2, 2, 2)), BOX),
    ("body-transform", "warning", _other_ops, BOX),
    ("body-place", "error", _set(BOX, "xformOp:orient", Gf.Quatd(float("nan"), 0, 0, 0)), BOX),
    ("body-place", "error", _set(BOX, "xformOp:translate", Gf.Vec3d(0, float("inf"), 0)), BOX),
    ("body-place", "warning", _set(BOX, "xformOp:translate", Gf.Vec3d(0, 1e6, 0)), BOX),
    ("mass", "warning", _without_mass, BOX),
    ("mass", "error", _set(BOX, "physics:mass", 0.0), BOX),
    ("mass", "error", _set(BOX, "physics:mass", -1.0), BOX),
    ("mass-density", "warning", _density_only, BOX),
    ("mass-partial", "warning", _clear(BOX, "physics:diagonalInertia"), BOX),
    ("mass", "error", _set(BOX, "physics:centerOfMass", Gf.Vec3f(0, 0, float("nan"))), BOX),
    ("mass-centre", "warning", _set(BOX, "physics:centerOfMass", Gf.Vec3f(0, 0, 0.5)), BOX),
    ("inertia", "error", _set(BOX, "physics:diagonalInertia", Gf.Vec3f(1, 1, 2.1)), BOX),
    ("inertia", "error", _set(BOX, "physics:diagonalInertia", Gf.Vec3f(1, 0, 1)), BOX),
    ("inertia", "error", _set(BOX, "physics:principalAxes", Gf.Quatf(1.1, 0, 0, 0)), BOX),
    ("collider-missing", "error", lambda stage: stage.RemovePrim(PART) and None, BOX),
    ("collider-missing", "error", _set(PART, "physics:collisionEnabled", False), BOX),
    ("collider-none", "error", _set(PART, "physics:approximation", "none"), PART),
    ("collider-broken", "error", _set(PART, "faceVertexCounts", [4, 4]), PART),
    ("hull-flat", "error", _set(PART, "points", Vt.Vec3fArray(8, Gf.Vec3f(0.1))), PART),
    ("hull-size", "warning", _fine_hull, PART),
    ("hull-count", "warning", _many_parts, BOX),
    ("material-missing", "warning", lambda s: s.GetPrimAtPath(PART).RemoveProperty("material:binding:physics"), PART),
    ("material", "error", _set("/World/Materials/wood", "physics:dynamicFriction", -1.0), "/World/Materials/wood"),
    ("material", "warning", _set("/World/Materials/wood", "physics:dynamicFriction", 0.9), "/World/Materials/wood"),
    ("material", "error", _set("/World/Materials/wood", "physics:restitution", 1.5), "/World/Materials/wood"),
    ("labels", "warning", lambda stage: stage.GetPrimAtPath(BOX).RemoveAPI("SemanticsLabelsAPI", "class"), BOX),
    ("ground", "warning", lambda stage: stage.RemovePrim("/World/ground") and None, BOX),
    ("gravity", "warning", lambda stage: stage.RemovePrim("/World/PhysicsScene") and None, "stage.usda"),
    ("up-axis", "warning", lambda stage: UsdGeom.SetStageUpAxis(stage, "Y") and None, "stage.usda"),
    ("units", "warning", lambda stage: UsdGeom.SetStageMetersPerUnit(stage, 0.01) and None, "stage.usda"),
    ("usd:MissingDefaultPrim", "error", lambda stage: stage.ClearDefaultPrim(), "stage.usda"),
    ("usd:InvalidNestedGprims", "error", lambda s: UsdGeom.Cube.Define(s, f"{PART}/x") and None, f"{PART}/x"),
    ("body-nested", "error", lambda stage: add_body(stage, f"{BOX}/lid") and None, f"{BOX}/lid"),
]


def test_a_sound_stage_has_no_findings(tmp_path: Path) -> None:
    assert check_usd(save(sound_stage(tmp_path), tmp_path / "stage.usdc")) == ()


@pytest.mark.parametrize(
    ("rule", "severity", "change", "prim"), WRONG, ids=[f"{i}-{w[0]}" for i, w in enumerate(WRONG)]
)
def test_each_fault_is_found(
    tmp_path: Path, rule: str, severity: str, change: Callable[[Any], None], prim: str
) -> None:
    stage = sound_stage(tmp_path / "stage.usda")
    change(stage)
    found = [finding for finding in findings(save(stage, tmp_path / "stage.usda")) if finding.rule == rule]
    assert [(finding.severity, finding.prim) for finding in found] == [(severity, prim)], found
    assert found[0].message.endswith((".", ">", prim))
    assert found[0].hint.endswith(".")


def test_errors_come_first(tmp_path: Path) -> None:
    stage = sound_stage(tmp_path)
    for change in (_clear(ROOM, "extent"), _set(BOX, "physics:mass", -1.0), _other_ops):
        change(stage)
    severities = [finding.severity for finding in findings(save(stage, tmp_path / "stage.usda"))]
    assert severities == sorted(severities)
    assert {"error", "warning"} == set(severities)


def test_a_moving_mesh_may_be_sdf_and_a_standing_one_anything(tmp_path: Path) -> None:
    stage = sound_stage(tmp_path)
    _set(PART, "physics:approximation", "sdf")(stage)
    _set("/World/ground", "physics:approximation", "none")(stage)
    assert not findings(save(stage, tmp_path / "stage.usda"))


def test_names_that_we_promise(tmp_path: Path) -> None:
    stage = sound_stage(tmp_path)
    stage.GetRootLayer().customLayerData = {"scene3d": {"version": 1}}
    group = UsdGeom.Xform.Define(stage, "/World/group")
    add_body(stage, f"{group.GetPath()}/ball")
    for path in (BOX, f"{group.GetPath()}/ball"):
        stage.GetPrimAtPath(path).SetCustomDataByKey("scene3d", {"name": "box"})
    found = [finding for finding in findings(save(stage, tmp_path / "stage.usda")) if finding.rule == "names"]
    assert [(finding.severity, finding.prim) for finding in found] == [
        ("error", "/World"),
        ("error", "/World/group/ball"),
    ]
    assert "2 objects are called 'box'" in found[0].message


def test_half_precision_is_precise_enough(tmp_path: Path) -> None:
    stage = new_stage(tmp_path)
    arrays = some_splats(degree=3)
    add_splats(stage, "/World/room", arrays, half=True)
    low, high = arrays["positions"].min(axis=0) - 0.5, arrays["positions"].max(axis=0) + 0.5
    stage.GetPrimAtPath("/World/room").GetAttribute("extent").Set(Vt.Vec3fArray.FromNumpy(np.stack([low, high])))
    assert not findings(save(stage, tmp_path / "stage.usdc"))


def test_a_package_that_is_not_aligned(tmp_path: Path) -> None:
    import zipfile

    save(sound_stage(tmp_path), tmp_path / "stage.usdc")
    with zipfile.ZipFile(tmp_path / "stage.usdz", "w", zipfile.ZIP_STORED) as package:
        package.write(tmp_path / "stage.usdc", "stage.usdc")
    rules = {finding.rule for finding in findings(tmp_path / "stage.usdz")}
    assert "usd:ByteMisalignment" in rules


def test_references_inside_references_that_are_missing(tmp_path: Path) -> None:
    stage = sound_stage(tmp_path)
    stage.DefinePrim("/World/more").GetReferences().AddReference("./gone.usda")
    stage.DefinePrim("/World/map").CreateAttribute("inputs:file", Sdf.ValueTypeNames.Asset).Set("./gone.png")
    found = findings(save(stage, tmp_path / "stage.usda"))
    assert {"usd:CompositionError", "usd:UnresolvableDependency"} <= {finding.rule for finding in found}
    assert str(tmp_path) not in found[0].message


def test_our_own_export_has_no_findings(tmp_path: Path, tabletop_scene: Path) -> None:
    exported = export_usd(load_scene(tabletop_scene), tmp_path / "table.usdc")
    assert check_usd(exported.path) == ()
    opened = Usd.Stage.Open(str(exported.path))  # And it is the whole scene that was looked at.
    assert len([prim for prim in opened.Traverse() if prim.HasAPI(UsdPhysics.RigidBodyAPI)]) == 3


def test_a_stage_with_nothing_in_it_is_not_all_right(tmp_path: Path) -> None:
    (found,) = findings(save(new_stage(tmp_path), tmp_path / "empty.usda"))
    assert (found.severity, found.rule) == ("warning", "empty")
