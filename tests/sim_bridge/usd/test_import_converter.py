"""Stages that usd-convert-gsplat itself wrote, where it is installed: the demo scene's splats come back.

It pins another numpy, so it lives in an interpreter of its own, which `make converter` makes. What is tested without it
is a stage laid out as its documents say (test_import_layouts.py).
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import numpy as np
import pxr
import pytest
import torch

from dynamics.poses import rotation_from_wxyz
from scene3d import Gaussians, Scene
from scene3d.files import load_splats, save_splats
from sim_bridge.usd import check_usd, import_usd
from sim_bridge.usd._read_values import FROM_Y_UP

SPLATS = 3000


@pytest.fixture(scope="module")
def interpreter(repository: Path, missing: Callable[[str], NoReturn]) -> Path:
    """The converter's Python; without it the test skips (CI: fails)."""
    found = repository / ".venv-convert" / "bin" / "python"
    if not found.is_file():
        missing("usd-convert-gsplat is not installed; `make converter` installs it")
    return found


@pytest.fixture(scope="module")
def source(tabletop_loaded: Scene, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some splats of the demo scene as a PLY."""
    whole = tabletop_loaded.splats
    some = whole[torch.arange(0, len(whole), len(whole) // SPLATS)]
    path = tmp_path_factory.mktemp("source") / "splats.ply"
    save_splats(some, path)
    return path


@pytest.mark.parametrize("up", ["Z", "Y"])
def test_a_stage_of_the_converter_holds_the_same_splats(
    interpreter: Path, source: Path, repository: Path, tmp_path: Path, up: str
) -> None:
    target = tmp_path / "converted.usdc"
    script = repository / "tests" / "benchmarks" / "_usd_converter.py"
    usd_core = Path(pxr.__file__).parents[1]
    ran = subprocess.run(
        [interpreter, script, usd_core, source, target, "1", up], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    meant, found = load_splats(source).splats, import_usd(target)
    splats = found.scene.splats
    assert len(splats) == len(meant) > SPLATS / 2 and splats.sh_degree == meant.sh_degree == 3
    R = np.eye(3) if up == "Z" else FROM_Y_UP
    np.testing.assert_allclose(splats.means, meant.means.numpy() @ R.T, atol=1e-6)
    np.testing.assert_allclose(splats.scales.exp(), meant.scales.exp(), rtol=2e-6)
    np.testing.assert_allclose(splats.opacities.sigmoid(), meant.opacities.sigmoid(), atol=1e-6)
    np.testing.assert_allclose(splats.sh0, meant.sh0, atol=1e-6)
    turned = torch.from_numpy(R).double() @ _rotations(meant)
    np.testing.assert_allclose(_rotations(splats), turned, atol=1e-5)
    if up == "Z":  # Nothing was to be turned, so nothing was touched.
        np.testing.assert_array_equal(splats.means, meant.means)
        np.testing.assert_array_equal(splats.shN, meant.shN)
    assert any("Y-up" in note for note in found.notes) == (up == "Y")
    assert not found.scene.objects
    assert not [finding for finding in check_usd(target) if finding.severity == "error"]


def _rotations(splats: Gaussians) -> torch.Tensor:
    return rotation_from_wxyz(torch.nn.functional.normalize(splats.quats.double(), dim=1))
