"""Newton renders an exported stage, read by its own readers, and sees what our renderer sees."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import NoReturn

import numpy as np
import pytest
import torch

from scene3d import Camera, Scene, SceneView
from scene3d.files import load_scene
from sim_bridge.usd import export_usd

SIZE = (160, 120)


@pytest.fixture(scope="module")
def pictures(repository: Path, missing: Callable[[str], NoReturn]) -> ModuleType:
    """The benchmark that compares pictures; the test skips (CI: fails) without Newton."""
    if not (repository / ".venv-newton" / "bin" / "python").is_file():
        missing("Newton is not installed; make engines")
    folder = repository / "tests" / "benchmarks"
    sys.path.insert(0, str(folder))
    try:
        spec = importlib.util.spec_from_file_location("usd_pictures", folder / "usd_pictures.py")
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules["usd_pictures"] = module
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(folder))
    return module


@pytest.fixture(scope="module")
def scene(tabletop_scene: Path) -> Scene:
    """The objects of the table without what is around them, close up, by a camera that is not a simple one."""
    whole = load_scene(tabletop_scene)
    splats = whole.splats[whole.splats.component_index > 0]
    T = Camera.look_at(torch.tensor([0.25, -0.45, 0.4]), torch.tensor([0.03, 0.03, 0.04]))
    K = torch.tensor([[190.0, 0.0, 70.5], [0.0, 170.0, 66.25], [0.0, 0.0, 1.0]])
    return replace(whole, splats=splats, views=(SceneView("a.jpg", Camera(*SIZE, K, T)),), filled=0)


def test_newton_sees_the_same_picture(pictures: ModuleType, scene: Scene, tmp_path: Path) -> None:
    export_usd(scene, tmp_path / "scene.usdc")
    (theirs,), _, _ = pictures.newton_pictures(tmp_path / "scene.usdc", ["a.jpg"], SIZE)
    ours = pictures.our_picture(scene, 0, SIZE, pictures.NO_BLUR)
    covered = theirs.max(axis=-1) > 0
    assert 0.15 < covered.mean() < 0.9
    agreement = pictures.psnr(ours, theirs, covered)
    assert agreement > 30
    # Half a pixel or another axis would show.
    for moved in (np.roll(ours, 1, axis=1), np.roll(ours, 1, axis=0)):
        assert pictures.psnr(moved, theirs, covered) < agreement - 6
