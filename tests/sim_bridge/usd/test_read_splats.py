"""Splat prims as arrays: activations undone, half precision, arrays that do not fit, values that make no sense."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pxr import Gf, Sdf, Usd, UsdGeom, Vt

from scene3d import Gaussians
from scene3d._errors import FileFormatError
from scene3d._gaussians import SH_C0
from sim_bridge.usd._read_splats import read_splats
from sim_bridge.usd._read_values import StageReader, Units

from .made_stages import add_splats, some_splats

HARMONICS, DEGREE = "radiance:sphericalHarmonicsCoefficients", "radiance:sphericalHarmonicsDegree"


def _stage(arrays: dict[str, np.ndarray], **how: bool) -> tuple[StageReader, Any]:
    stage = Usd.Stage.CreateInMemory()
    prim = add_splats(stage, "/splat", arrays, **how)
    return StageReader(Path("splats.usda"), stage, Units(1.0, 1.0, "Z", True)), prim


def _read(reader: StageReader, prim: Any) -> Gaussians:
    return read_splats(reader, prim, None, 3)


def test_activations_are_undone() -> None:
    arrays = some_splats(degree=2)
    reader, prim = _stage(arrays)
    splats = _read(reader, prim)
    np.testing.assert_array_equal(splats.means, arrays["positions"])
    np.testing.assert_array_equal(splats.quats, arrays["orientations"])
    np.testing.assert_allclose(splats.scales, np.log(arrays["scales"].astype(np.float64)), rtol=1e-7)
    opacities = arrays["opacities"].astype(np.float64)
    np.testing.assert_allclose(splats.opacities, np.log(opacities / (1 - opacities)), rtol=1e-5, atol=1e-7)
    np.testing.assert_array_equal(torch.cat([splats.sh0, splats.shN], dim=1), arrays["harmonics"])
    assert splats.component_index.tolist() == [3] * 40
    assert not reader.notes


def test_half_precision_is_read_and_single_wins() -> None:
    arrays = some_splats()
    reader, prim = _stage(arrays, half=True)
    np.testing.assert_array_equal(_read(reader, prim).means, arrays["positions"].astype(np.float16))
    prim.GetAttribute("positions").Set(Vt.Vec3fArray(40, Gf.Vec3f(1, 2, 3)))
    assert _read(reader, prim).means[7].tolist() == [1, 2, 3]


def test_opacities_without_a_logit_stay_finite() -> None:
    arrays = some_splats()
    arrays["opacities"][:2] = 0, 1
    splats = _read(*_stage(arrays))
    assert torch.isfinite(splats.opacities).all()
    assert splats.opacities[:2].sigmoid().tolist() == [pytest.approx(0, abs=1e-9), 1.0]


def test_splats_that_make_no_sense_are_left_out() -> None:
    arrays = some_splats()
    arrays["positions"][0, 1] = np.nan
    arrays["scales"][1, 2] = -0.1
    arrays["orientations"][2] = 0
    arrays["opacities"][3] = np.inf
    arrays["harmonics"][4, 0, 0] = np.nan
    reader, prim = _stage(arrays)
    assert len(_read(reader, prim)) == 35
    assert reader.notes == ["5 of 40 splats of /splat hold numbers that make no sense and were left out."]


def test_short_arrays_are_ignored_and_long_ones_cut() -> None:
    reader, prim = _stage(some_splats())
    prim.GetAttribute("scales").Set(Vt.Vec3fArray(39, Gf.Vec3f(0.1)))
    prim.GetAttribute("opacities").Set(Vt.FloatArray(41, 0.5))
    splats = _read(reader, prim)
    assert splats.scales.eq(0).all()
    assert splats.opacities.tolist() == [0.0] * 40
    assert [note[:34] for note in reader.notes] == [
        "The scales of /splat are only 39 o",
        "The opacities of /splat are 41, mo",
    ]


def test_degrees() -> None:
    reader, prim = _stage(some_splats(count=3, degree=4))
    assert _read(reader, prim).sh_degree == 3
    assert "degrees above 3 were left out" in reader.notes[0]
    prim.GetAttribute(DEGREE).Clear()  # Then the number of coefficients tells.
    prim.GetAttribute(HARMONICS).Set(Vt.Vec3fArray(12, Gf.Vec3f(1.0)))
    assert _read(reader, prim).sh_degree == 1


def test_colours_without_harmonics() -> None:
    reader, prim = _stage(some_splats(count=2))
    prim.GetAttribute(HARMONICS).Clear()
    assert _read(reader, prim).sh0.eq(0).all()
    assert "they are grey, as the schema says" in reader.notes[-1]
    shown = UsdGeom.PrimvarsAPI(prim).CreatePrimvar("displayColor", Sdf.ValueTypeNames.Color3fArray, "vertex")
    shown.Set([(1, 0.5, 0), (0, 0, 0)])
    splats = _read(reader, prim)
    np.testing.assert_allclose(0.5 + SH_C0 * splats.sh0[:, 0], [[1, 0.5, 0], [0, 0, 0]], atol=1e-6)


def test_bounds() -> None:
    reader, prim = _stage(some_splats())
    with pytest.MonkeyPatch.context() as patch, pytest.raises(FileFormatError, match="at most 39 are read"):
        patch.setattr("sim_bridge.usd._read_splats.MOST_SPLATS", 39)
        _read(reader, prim)
    prim.GetAttribute("positions").Clear()
    with pytest.raises(FileFormatError, match=r"splats\.usda: the splats /splat have no positions"):
        _read(reader, prim)


def test_linear_colours_are_said() -> None:
    reader, prim = _stage(some_splats())
    prim.GetAttribute("colorSpace:name").Set("lin_rec709_scene")
    _read(reader, prim)
    assert "declared lin_rec709_scene" in reader.notes[0]
