"""A support: the flat top that things stand on, as segmentation finds it and a scene keeps it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["SupportPlane"]


@dataclass(frozen=True, eq=False)
class SupportPlane:
    """normal . x = offset, within an outline."""

    normal: NDArray[np.float64]
    """Unit normal that points up, shape (3,)."""
    offset: float
    """Distance from the origin along the normal [scene units]."""
    noise: float
    """Standard deviation of the surface around the plane [scene units]."""
    outline: NDArray[np.float64]
    """Corners of the convex polygon that was seen, counter-clockwise from above, in the plane, shape (K, 3)."""

    def heights(self, points: NDArray) -> NDArray[np.float64]:
        """Signed heights (...) of points (..., 3) above the plane."""
        return np.asarray(points, dtype=np.float64) @ self.normal - self.offset
