"""One optimisation step on a device: the seam between the fit and its hardware.

An engine renders one view, compares it with its photo, and moves the splats that were seen. It reports the loss and
adds to the statistics of density control: which splats were seen, how hard their projected centres were pulled, and
how much error they cover. `CpuEngine` calls the C++ kernels directly; `AutogradEngine` works with any render backend.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from torch import Tensor

    from scene3d.fit._density import DensityStats
    from scene3d.fit._optimizer import SplatOptimizer
    from scene3d.fit._photos import Target
    from scene3d.fit._schedule import Moment

__all__ = ["DEPTH_NOISE", "Engine", "Penalty", "StepResult"]

BETAS = (0.9, 0.99)
EPS = 1e-15
DEPTH_NOISE = 0.01
"""Relative depth error below which the loss is quadratic: what a structured-light sensor errs by at three metres."""


@dataclass(frozen=True)
class Penalty:
    """Regularisation of splats that a view sees."""

    opacity: float
    """Weight of the mean opacity."""
    scale: float
    """Weight of the mean scale over the scene's extent."""
    extent: float
    """Scene extent [m]."""


@dataclass(frozen=True)
class StepResult:
    """What one step saw."""

    loss: float
    mse: float
    """Mean squared error of the clamped colours over the photo's valid pixels."""
    grad_exposure: Tensor
    """Gradient of the photo's colour map, shape (3, 4)."""


class Engine(Protocol):
    """Moves splats by one view."""

    def step(
        self,
        splats: SplatOptimizer,
        target: Target,
        exposure: Tensor | None,
        now: Moment,
        penalty: Penalty,
        ssim_weight: float,
        stats: DensityStats,
    ) -> StepResult:
        """Render, compare, differentiate, apply one sparse Adam step in place, and add to the statistics."""
        ...
