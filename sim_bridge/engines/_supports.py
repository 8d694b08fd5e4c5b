"""What bodies stand on, as planes, and where a body comes to rest: convex solids and corners in, heights out.

Everything that stands still is a convex solid. Below a body's centre of mass the highest top is its support. How high
the centre of mass lies at rest follows from geometry alone: the body rolls over the facets of its hull, each lower
than the one before, until the centre of mass is above the facet that it lies on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from scene3d._errors import FileFormatError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["Solid", "Top", "depth_in", "rest_height", "solid", "support_below"]

LEVEL = 0.5
"""A top that things stand on has at least this cosine to the vertical."""


@dataclass(frozen=True, eq=False)
class Solid:
    """A convex solid in the world: points x with ``normals @ x <= offsets``."""

    normals: NDArray[np.float64]
    """Outward unit normals, shape (F, 3)."""
    offsets: NDArray[np.float64]
    """[m], shape (F,)."""


@dataclass(frozen=True, eq=False)
class Top:
    """A plane that something stands on."""

    normal: NDArray[np.float64]
    """Upward unit normal, shape (3,)."""
    offset: float
    """[m]; points on it have ``normal @ x == offset``."""
    solid: int
    """Which solid it is the top of."""

    def heights(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Signed distances of points (N, 3) above the plane [m]."""
        return points @ self.normal - self.offset


def solid(corners: NDArray[np.float64]) -> Solid:
    """The convex hull of corners (V, 3).

    Raises:
        FileFormatError: It is flat.
    """
    from scipy.spatial import ConvexHull, QhullError

    try:
        planes = ConvexHull(corners).equations
    except (QhullError, ValueError) as error:
        raise FileFormatError(
            f"A collider with {len(corners)} corners encloses no volume, so nothing can stand on it or with it. Give "
            "it a thickness."
        ) from error
    return Solid(planes[:, :3], -planes[:, 3])


def support_below(solids: Sequence[Solid], point: NDArray[np.float64]) -> Top | None:
    """The highest top below a point, by the vertical through it; None when there is nothing."""
    best: tuple[float, Top] | None = None
    for index, each in enumerate(solids):
        rise = each.normals[:, 2]
        level = np.abs(rise) > 1e-9
        beside = each.normals[~level] @ point > each.offsets[~level]
        if beside.any():
            continue
        reach = (each.offsets[level] - each.normals[level, :2] @ point[:2]) / rise[level]
        above = rise[level] > 0
        facet = int(np.argmin(np.where(above, reach, np.inf)))
        height, normal = reach[facet], each.normals[level][facet]
        bottom = np.max(np.where(above, -np.inf, reach))
        if height <= bottom or height > point[2] or normal[2] < LEVEL:
            continue
        if best is None or height > best[0]:
            best = float(height), Top(normal, float(each.offsets[level][facet]), index)
    return None if best is None else best[1]


def depth_in(solids: Sequence[Solid], points: NDArray[np.float64], radius: float = 0.0) -> float:
    """How deep the deepest of the balls around points (N, 3) reaches into any of the solids [m], 0 for none."""
    inside = [float((each.offsets - points @ each.normals.T).min(axis=1).max()) for each in solids]
    return max(0.0, radius + max(inside)) if inside else 0.0


def rest_height(corners: NDArray[np.float64], com: NDArray[np.float64], down: NDArray[np.float64]) -> float:
    """Height of the centre of mass above a plane that the body has come to rest on.

    From the orientation in which it is set down it takes the facet under the centre of mass, then the one under it
    when that facet lies flat, and so on; heights fall, so this ends.

    Args:
        corners: Of the body's colliders, body frame [m], shape (V, 3).
        com: Centre of mass in the body frame [m], shape (3,).
        down: Unit vector to the plane in the body frame when it is set down, shape (3,).
    """
    hull = solid(corners - com)
    facet = -1
    for _ in range(len(hull.offsets)):
        facing = hull.normals @ down
        distance = np.where(facing > 1e-9, hull.offsets / np.maximum(facing, 1e-9), np.inf)
        under = int(np.argmin(distance))
        if facet >= 0 and distance[under] >= hull.offsets[facet] - 1e-9:
            break
        facet, down = under, hull.normals[under]
    return float(hull.offsets[facet])
