"""Leaving splats out: unseen and unmoved within the block, and the same bits after it."""

from __future__ import annotations

import pytest
import torch

from scene3d import Camera, Gaussians
from scene3d.fit import FitConfig
from scene3d.fit._density import DensityStats
from scene3d.fit._dropout import left_out
from scene3d.fit._engine import Penalty
from scene3d.fit._engine_cpu import CpuEngine
from scene3d.fit._optimizer import NAMES, SplatOptimizer
from scene3d.fit._photos import Target
from scene3d.fit._schedule import moment

COUNT = 50


def board() -> SplatOptimizer:
    """Splats in a row before the camera."""
    points = torch.stack([torch.linspace(-0.5, 0.5, COUNT), torch.zeros(COUNT), torch.full((COUNT,), 2.0)], dim=1)
    return SplatOptimizer.of(Gaussians.from_points(points, torch.rand(COUNT, 3), sigma=0.02), 0)


def copies(splats: SplatOptimizer) -> dict[str, torch.Tensor]:
    return {name: splats.params[name].clone() for name in NAMES}


@pytest.mark.parametrize("share", [0.2, 1.0])
def test_a_step_passes_over_what_is_left_out(share: float) -> None:
    splats, stats = board(), DensityStats.zeros(COUNT)
    before, camera = copies(splats), Camera.from_fov(40, 30, 1.0, torch.eye(4))
    with left_out(splats, share, torch.Generator().manual_seed(0)):
        out = splats.params["opacities"] != before["opacities"]
        target = Target(camera, torch.rand(30, 40, 3), None)
        now = moment(FitConfig(sh_degree=0), 0.5, 1.0)
        CpuEngine().step(splats, target, None, now, Penalty(0.01, 0.01, 1.0), 0.2, stats)
    assert 0.5 * share * COUNT < int(out.sum()) <= share * COUNT
    assert torch.equal(splats.steps, (~out).int())
    assert torch.equal(stats.seen, (~out).float())
    for name in NAMES:
        assert torch.equal(splats.params[name][out], before[name][out]), name
    moved = splats.params["means"] != before["means"]
    assert torch.equal(moved.any(dim=1), ~out)


def test_nothing_is_left_out_of_none() -> None:
    splats, generator = board(), torch.Generator().manual_seed(0)
    before, state = copies(splats), generator.get_state()
    with left_out(splats, 0.0, generator):
        assert torch.equal(splats.params["opacities"], before["opacities"])
    assert torch.equal(generator.get_state(), state)


def test_an_interrupted_step_puts_them_back() -> None:
    splats = board()
    before = copies(splats)
    with pytest.raises(KeyboardInterrupt), left_out(splats, 0.5, torch.Generator().manual_seed(0)):
        raise KeyboardInterrupt
    assert torch.equal(splats.params["opacities"], before["opacities"])
