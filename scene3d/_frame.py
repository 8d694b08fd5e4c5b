"""What a renderer returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Frame"]


@dataclass(frozen=True)
class Frame:
    """Images of one view (H, W, ...) or of a batch of views (..., H, W, ...)."""

    rgb: Tensor
    """sRGB colour over the background, shape (..., H, W, 3); within [0, 1] unless splats overshoot."""
    alpha: Tensor
    """Accumulated opacity in [0, 1], shape (..., H, W)."""
    depth: Tensor
    """Expected depth [m] along the camera's z axis, sum(w z) / sum(w), shape (..., H, W); 0 where alpha is 0."""
    features: Tensor | None = None
    """Accumulated feature channels sum(w f), shape (..., H, W, F); None unless features were passed."""
