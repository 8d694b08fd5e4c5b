"""Density control: where splats are taken away and where they are added; the same torch code on every device.

Between two calls `DensityStats` collects, per splat, how often it was seen, how hard its projected centre was pulled
[Kerbl 2023], and how much error it covered. `control_density` then drops what is transparent or far too large, and
spends the freed and the growing budget on splats drawn with a probability that grows with pull and covered error:
each is split in two along its own shape. The budget is a hard cap, as in MCMC splatting [Kheradmand 2024].
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from scene3d.fit._config import FitConfig
    from scene3d.fit._optimizer import SplatOptimizer

__all__ = ["DensityStats", "control_density"]

SPLIT_SHRINK = 1.5
"""Both halves of a split are smaller than the splat by this factor."""
LARGEST = 0.5
"""Splats larger than this share of the extent are dropped."""


@dataclass
class DensityStats:
    """Sums over the steps since the last control."""

    seen: Tensor
    """Views that saw each splat, shape (N,)."""
    pull: Tensor
    """Gradient of the loss at the projected centre, times half the longest side, shape (N,)."""
    covered: Tensor
    """Absolute error that it covers, sum of w |error| [px], shape (N,)."""

    @staticmethod
    def zeros(count: int, device: torch.device | str = "cpu") -> DensityStats:
        """Nothing seen yet."""
        import torch

        return DensityStats(*(torch.zeros(count, device=device) for _ in range(3)))


def control_density(
    splats: SplatOptimizer, stats: DensityStats, config: FitConfig, *, extent: float, generator: torch.Generator
) -> tuple[int, int]:
    """Prune, then grow up to the budget, in place; returns how many were dropped and how many were added."""
    import torch

    keep = torch.sigmoid(splats.params["opacities"]) > config.prune_opacity
    keep &= splats.params["scales"].amax(dim=1) < math.log(LARGEST * extent)
    # A NaN passes neither comparison above; centres and orientations have none of their own.
    keep &= torch.isfinite(splats.params["means"].sum(dim=1) + splats.params["quats"].sum(dim=1))
    kept = keep.nonzero()[:, 0]
    room = config.budget - len(kept)
    count = max(0, min(room, round(config.growth * len(kept))))
    score = _score(stats)[kept]
    count = min(count, int((score > 0).sum()))
    dropped = len(splats) - len(kept)
    if count == 0:
        if dropped:
            splats.replace(kept, {name: p[:0] for name, p in splats.params.items()})
        return dropped, 0
    # Drawn on the CPU, so that one generator serves every device.
    drawn = torch.multinomial(score.cpu(), count, replacement=False, generator=generator)
    parents = kept[drawn.to(kept.device)]
    splats.replace(kept, _split(splats, parents, generator))
    return dropped, count


def _score(stats: DensityStats) -> Tensor:
    """Chance to be split: pull and covered error per view, each relative to its mean, weighed together."""
    views = stats.seen.clamp_min(1)
    pull, covered = stats.pull / views, stats.covered / views
    return ((pull / pull.mean().clamp_min(1e-12)) * (covered / covered.mean().clamp_min(1e-12))).sqrt()


def _split(splats: SplatOptimizer, parents: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
    """Shrink the parents in place and return their second halves, displaced by a draw from the parent's shape."""
    import torch

    from dynamics.poses import rotation_from_wxyz

    p = splats.params
    sigma = p["scales"][parents].exp()
    draw = torch.randn(len(parents), 3, generator=generator).to(sigma.device) * sigma
    offset = (rotation_from_wxyz(p["quats"][parents]) @ draw[..., None]).squeeze(-1)
    p["scales"][parents] -= math.log(SPLIT_SHRINK)
    half = {name: p[name][parents].clone() for name in p}
    half["means"] += offset
    return half
