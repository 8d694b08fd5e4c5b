"""Leaving splats out at random: each step fits without a few of them [Park 2025, DropGaussian].

With few photos, splats hide behind one another and explain a single view together; a splat that cannot count on its
neighbours has to be right on its own, which shows in views that were never fitted.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch

    from scene3d.fit._optimizer import SplatOptimizer

__all__ = ["left_out"]

_INVISIBLE = -30.0
"""Logit of an opacity far below what is drawn."""


@contextmanager
def left_out(splats: SplatOptimizer, share: float, generator: torch.Generator) -> Iterator[None]:
    """Make a random share of the splats invisible for the length of the block.

    Invisible splats get no gradient and no optimiser step, so putting their opacity back restores them exactly.
    """
    import torch

    count = round(share * len(splats))
    if count == 0:
        yield
        return
    opacities = splats.params["opacities"]
    # Drawn with repetition: a few less than `count`, but without a pass over all splats.
    chosen = torch.randint(len(splats), (count,), generator=generator).to(opacities.device)
    kept = opacities[chosen].clone()
    opacities[chosen] = _INVISIBLE
    try:
        yield
    finally:
        opacities[chosen] = kept
