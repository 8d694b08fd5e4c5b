"""Splats on the stage: every attribute of the schema, read back and compared with what was fitted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from pxr import Usd, UsdGeom, UsdVol

from dynamics.poses import rotation_from_wxyz
from scene3d import Gaussians, Scene
from sim_bridge.usd import export_usd
from sim_bridge.usd._splat_prims import splat_arrays

FULL = ("positions", "orientations", "scales", "opacities", "radiance:sphericalHarmonicsCoefficients")


def exported_stage(scene: Scene, path: Path, *, half: bool = False) -> Usd.Stage:
    return Usd.Stage.Open(str(export_usd(scene, path, half=half).path))


def of(scene: Scene, component: int) -> Gaussians:
    return scene.splats[scene.splats.component_index == component]


def test_all_attributes_hold_activated_values(tiny_scene: Scene, tmp_path: Path) -> None:
    stage, splats = exported_stage(tiny_scene, tmp_path / "tiny.usdc"), of(tiny_scene, 2)
    prim = stage.GetPrimAtPath("/World/can/splat")

    assert prim.GetTypeName() == "ParticleField3DGaussianSplat"
    assert np.array_equal(prim.GetAttribute("positions").Get(), splats.means.numpy())
    assert np.array(prim.GetAttribute("scales").Get()) == pytest.approx(splats.scales.exp().numpy(), rel=1e-6)
    assert np.array(prim.GetAttribute("opacities").Get()) == pytest.approx(splats.opacities.sigmoid().numpy(), rel=1e-6)
    quats = torch.nn.functional.normalize(splats.quats, dim=1).numpy()
    authored = [(q.GetReal(), *q.GetImaginary()) for q in prim.GetAttribute("orientations").Get()]
    assert np.array(authored) == pytest.approx(quats, abs=1e-6)
    assert prim.GetAttribute("radiance:sphericalHarmonicsDegree").Get() == 1
    colours = prim.GetAttribute("radiance:sphericalHarmonicsCoefficients")
    stacked = torch.cat([splats.sh0, splats.shN], dim=1).reshape(-1, 3).numpy()
    assert np.array_equal(colours.Get(), stacked)
    assert colours.GetMetadata("elementSize") == 4
    assert colours.GetMetadata("interpolation") == "vertex"
    assert prim.GetAttribute("projectionModeHint").Get() == "perspective"
    assert prim.GetAttribute("sortingModeHint").Get() == "zDepth"
    assert Usd.ColorSpaceAPI(prim).GetColorSpaceNameAttr().Get() == "srgb_rec709_display"
    assert UsdVol.ParticleField3DGaussianSplat(prim)


def test_extent_is_the_box_around_three_deviations(tiny_scene: Scene, tmp_path: Path) -> None:
    stage, splats = exported_stage(tiny_scene, tmp_path / "tiny.usdc"), of(tiny_scene, 2)
    prim = stage.GetPrimAtPath("/World/can/splat")

    # Points of each ellipsoid of 3 deviations in many directions; the box touches them from outside.
    directions = torch.nn.functional.normalize(torch.randn(4000, 3, dtype=torch.float64), dim=1)
    R = rotation_from_wxyz(splats.quats.double())
    shell = splats.means.double()[:, None] + 3 * torch.einsum(
        "nij,nj,kj->nki", R, splats.scales.double().exp(), directions
    )
    low, high = shell.reshape(-1, 3).aminmax(dim=0)
    extent = np.array(prim.GetAttribute("extent").Get())
    assert np.all(extent[0] <= low.numpy() + 1e-7) and np.all(extent[1] >= high.numpy() - 1e-7)
    assert extent == pytest.approx(np.stack([low, high]), abs=0.02 * float((high - low).max()))
    cache = UsdGeom.BBoxCache(Usd.TimeCode.Default(), [UsdGeom.Tokens.default_])
    assert not cache.ComputeWorldBound(prim).GetRange().IsEmpty()


def test_half_precision_halves_all_but_the_places(tiny_scene: Scene, tmp_path: Path) -> None:
    stage, splats = exported_stage(tiny_scene, tmp_path / "tiny.usdc", half=True), of(tiny_scene, 2)
    prim = stage.GetPrimAtPath("/World/can/splat")

    assert np.array_equal(prim.GetAttribute("positions").Get(), splats.means.numpy())
    # A float would win over a half: it must not be authored.
    for name in FULL[1:]:
        assert not prim.GetAttribute(name).HasAuthoredValue()
        assert prim.GetAttribute(name + "h").HasAuthoredValue()
    assert np.array(prim.GetAttribute("scalesh").Get()) == pytest.approx(splats.scales.exp().numpy(), rel=1e-3)
    colours = np.array(prim.GetAttribute("radiance:sphericalHarmonicsCoefficientsh").Get())
    assert colours.reshape(len(splats), 4, 3)[:, 0] == pytest.approx(splats.sh0[:, 0].numpy(), abs=2e-3)
    assert prim.GetAttribute("radiance:sphericalHarmonicsCoefficientsh").GetMetadata("elementSize") == 4


def test_splats_that_are_no_numbers_are_left_out_and_counted(tiny_scene: Scene, tmp_path: Path) -> None:
    means, quats = tiny_scene.splats.means.clone(), tiny_scene.splats.quats.clone()
    means[2, 1] = torch.nan
    means[5] = torch.inf
    quats[8] = 0
    scene = replace(tiny_scene, splats=replace(tiny_scene.splats, means=means, quats=quats))

    exported = export_usd(scene, tmp_path / "tiny.usdc")

    assert exported.splats == len(scene.splats) - 2
    assert any(note.startswith("2 splats") for note in exported.notes)
    stage = Usd.Stage.Open(str(exported.path))
    prim = stage.GetPrimAtPath("/World/can/splat")
    # A quaternion of zeros turns nothing.
    zero = prim.GetAttribute("orientations").Get()[0]
    assert (zero.GetReal(), *zero.GetImaginary()) == (1, 0, 0, 0)


@pytest.mark.parametrize(("degree", "coefficients"), [(0, 1), (2, 9), (3, 16)])
def test_every_degree_of_harmonics(degree: int, coefficients: int) -> None:
    splats = Gaussians.from_points(torch.randn(7, 3), torch.rand(7, 3), sigma=0.01, sh_degree=degree)

    arrays, kept = splat_arrays(splats)

    assert arrays.degree == degree and arrays.harmonics.shape == (7, coefficients, 3) and kept.all()


def test_objects_without_splats_have_no_splat_prim(tiny_scene: Scene, tmp_path: Path) -> None:
    scene = replace(tiny_scene, splats=tiny_scene.splats[tiny_scene.splats.component_index != 2])

    stage = Usd.Stage.Open(str(export_usd(scene, tmp_path / "tiny.usdc").path))

    assert stage.GetPrimAtPath("/World/box/splat") and not stage.GetPrimAtPath("/World/can/splat")
