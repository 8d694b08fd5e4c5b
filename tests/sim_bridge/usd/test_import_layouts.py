"""Stages of other programs: how converters lay splats out, and units and axes that differ from ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pxr import Gf, Sdf, Usd, UsdGeom, UsdPhysics

from dynamics.poses import rotation_from_wxyz
from sim_bridge.usd import import_usd
from sim_bridge.usd._import import Imported, scene_of
from sim_bridge.usd._read_values import FROM_Y_UP

from .made_stages import (
    MASS,
    SIDES,
    add_body,
    add_mesh,
    add_splats,
    converter_stage,
    new_stage,
    save,
    some_splats,
)


def _read(stage: Any, folder: Path) -> Imported:
    return scene_of(save(stage, folder / "stage.usda"))


def _said(found: Imported, words: str) -> bool:
    return any(words in note for note in found.notes)


@pytest.mark.parametrize("up", ["Y", "Z"])
def test_layout_of_usd_convert_gsplat(tmp_path: Path, up: str) -> None:
    arrays = some_splats(degree=3)
    found = import_usd(converter_stage(tmp_path / "garden.usda", arrays, up))
    splats = found.scene.splats
    R = FROM_Y_UP if up == "Y" else np.eye(3)
    np.testing.assert_allclose(splats.means, arrays["positions"] @ R.T, atol=1e-6)
    np.testing.assert_allclose(splats.scales.exp(), arrays["scales"], rtol=1e-6)
    np.testing.assert_allclose(splats.opacities.sigmoid(), arrays["opacities"], atol=1e-6)
    np.testing.assert_allclose(splats.sh0, arrays["harmonics"][:, :1], atol=1e-6)
    was = R @ rotation_from_wxyz(torch.from_numpy(arrays["orientations"]).double()).numpy()
    np.testing.assert_allclose(rotation_from_wxyz(splats.quats.double()), was, atol=1e-6)
    assert splats.sh_degree == 3
    assert not found.scene.objects
    assert found.scene.metric
    assert _said(found, "is Y-up: it was turned to Z-up") == (up == "Y")
    if up == "Z":  # Nothing was to be turned, so nothing was touched.
        np.testing.assert_array_equal(splats.shN, arrays["harmonics"][:, 1:])


def test_view_dependent_colour_turns_with_the_world(tmp_path: Path) -> None:
    from scene3d.render._spherical_harmonics import sh_basis

    arrays = some_splats(count=5, degree=3)
    splats = scene_of(converter_stage(tmp_path / "garden.usda", arrays, "Y")).scene.splats
    directions = torch.nn.functional.normalize(torch.randn(9, 3, dtype=torch.float64), dim=1)
    before = torch.from_numpy(arrays["harmonics"]).double()
    R = torch.from_numpy(FROM_Y_UP)
    was = torch.einsum("dk,nkc->ndc", sh_basis(3, directions), before[:, 1:])
    now = torch.einsum("dk,nkc->ndc", sh_basis(3, directions @ R.T), splats.shN.double())
    torch.testing.assert_close(now, was, rtol=0, atol=1e-5)


def test_layout_of_3dgrut(tmp_path: Path) -> None:
    parts = tmp_path / "gaussians.usda"
    arrays = some_splats(degree=2)
    inner = Usd.Stage.CreateInMemory()
    inner.SetDefaultPrim(UsdGeom.Xform.Define(inner, "/World").GetPrim())
    UsdGeom.Xform.Define(inner, "/World/Gaussians")
    add_splats(inner, "/World/Gaussians/gaussians", arrays)
    save(inner, parts)
    stage = new_stage(tmp_path, up="Z")
    stage.GetPrimAtPath("/World").GetReferences().AddReference("./gaussians.usda")
    stage.GetRootLayer().customLayerData = {"renderSettings": {"rtx:post:tonemap:op": 2}}
    camera = UsdGeom.Camera.Define(stage, "/World/Cameras/cam0")
    camera.AddTransformOp().Set(Gf.Matrix4d().SetTranslate(Gf.Vec3d(0, 0, 2)))
    save(stage, tmp_path / "default.usda")
    with Sdf.ZipFileWriter.CreateNew(str(tmp_path / "scene.usdz")) as package:
        for name in ("default.usda", "gaussians.usda"):
            package.AddFile(str(tmp_path / name), name)
    found = scene_of(tmp_path / "scene.usdz")
    np.testing.assert_array_equal(found.scene.splats.means, arrays["positions"])
    (view,) = found.scene.views
    assert (view.name, view.camera.width, view.camera.height) == ("cam0", 1024, 747)
    assert float(view.camera.K[0, 0]) == pytest.approx(50 / 20.955 * 1024, rel=1e-5)
    torch.testing.assert_close(view.camera.position, torch.tensor([0.0, 0.0, 2.0]))
    torch.testing.assert_close(view.camera.T_world_cam[:3, 2], torch.tensor([0.0, 0.0, -1.0]))  # Looks down.
    assert _said(found, "Cameras without a size in pixels")


def test_centimetres_grams_and_y_up(tmp_path: Path) -> None:
    stage = new_stage(tmp_path, up="Y", metres=0.01)
    UsdPhysics.SetStageKilogramsPerUnit(stage, 0.001)
    box = add_body(stage, "/World/box", place=(10, 50, -20), shape=False)
    x, y, z = (100 * side for side in SIDES)
    api = UsdPhysics.MassAPI(box)
    api.CreateMassAttr(300)
    api.CreateCenterOfMassAttr(Gf.Vec3f(0, 1, 0))
    api.CreateDiagonalInertiaAttr(Gf.Vec3f(25 * (y * y + z * z), 25 * (x * x + z * z), 25 * (x * x + y * y)))
    add_mesh(stage, "/World/box/shape", (x, y, z), approximation="convexHull")
    add_splats(stage, "/World/box/splat", some_splats())
    ground = add_mesh(stage, "/World/ground", (400, 10, 400), approximation=None)
    UsdGeom.Xformable(ground).AddTranslateOp().Set(Gf.Vec3d(0, -5, 0))
    found = _read(stage, tmp_path)
    (thing,) = found.scene.objects
    np.testing.assert_allclose(thing.T_world_body[:3], [0.1, 0.2, 0.5], atol=1e-6)
    R = rotation_from_wxyz(torch.tensor(thing.T_world_body[3:], dtype=torch.float64)).numpy()
    np.testing.assert_allclose(R, FROM_Y_UP, atol=1e-6)
    assert thing.body.mass == pytest.approx(MASS, rel=1e-6)
    np.testing.assert_allclose(thing.body.com, [0, 0.01, 0], atol=1e-7)
    np.testing.assert_allclose(np.ptp(thing.body.mesh.bounds, axis=0), SIDES, rtol=1e-6)
    a, b, c = SIDES
    own = MASS / 12 * np.array([b * b + c * c, a * a + c * c, a * a + b * b])
    np.testing.assert_allclose(thing.body.inertia, np.diag(own), rtol=1e-5, atol=1e-9)
    splats, arrays = found.scene.splats, some_splats()
    np.testing.assert_allclose(splats.means, 0.01 * arrays["positions"], atol=1e-7)
    np.testing.assert_allclose(splats.scales.exp(), 0.01 * arrays["scales"], rtol=1e-5)
    assert splats.component_index.tolist() == [1] * 40
    (support,) = found.scene.supports
    np.testing.assert_allclose(support.normal, [0, 0, 1])
    assert support.offset == pytest.approx(0, abs=1e-6)
    np.testing.assert_allclose(np.ptp(support.outline, axis=0), [4, 4, 0], atol=1e-6)
    for words in ("Y-up", "unit is 0.01 m", "unit of mass is 0.001 kg"):
        assert _said(found, words)


def test_units_that_nobody_says(tmp_path: Path) -> None:
    arrays = some_splats()
    stage = new_stage(tmp_path, up="Z", metres=None)
    add_splats(stage, "/World/splat", arrays)
    found = _read(stage, tmp_path)
    assert not found.scene.metric
    np.testing.assert_array_equal(found.scene.splats.means, arrays["positions"])
    add_body(stage, "/World/box")
    found = _read(stage, tmp_path)
    assert found.scene.metric
    np.testing.assert_allclose(found.scene.objects[0].T_world_body[:3], [0.001, 0.002, 0.005], atol=1e-9)
    assert _said(found, "taken for centimetres, as engines do")
