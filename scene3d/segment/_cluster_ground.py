"""A support seen from above: how high things rise above it, and whether it goes on around them.

The noise of the support decides which heights mean anything. Sensors and camera poses bend a top by a centimetre or
two, so heights are measured from where the support was seen nearby. An object stands free when the support was seen
around its footprint; a chair that leans over the edge of a table does not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from scene3d.segment._find_supports import basis, inside_outline

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from scene3d._support import SupportPlane
    from scene3d.segment._surface_points import Surface

__all__ = ["Band", "Ground", "height_band", "levelled_heights"]

LEAST_HEIGHT = 0.008
"""What rises less than this above its support is no object, unless asked for [m]."""
LEAST_HEIGHT_SHARE = 0.01
"""The same in a scene that is not metric, as a share of its distance from the cameras."""
SIGMAS = 3.0
"""Heights up to this many standard deviations of the support are noise."""
FOOT = 0.25
"""Lowest height of an object's foot, as a share of the least height of an object."""
CELL = 0.008
"""Edge of a cell of the support seen from above, as a share of the distance."""
SURROUNDED = 0.6
"""Share of the cells around an object's footprint, of those that were seen, that must be support."""
LEVELLING = 4.0
"""Deviation of the average of the support nearby [cells]."""


@dataclass(frozen=True)
class Band:
    """Heights that tell objects from their support."""

    object: float
    """What rises higher is an object [scene units]."""
    foot: float
    """What lies lower is the support."""


def height_band(support: SupportPlane, distance: float, metric: bool, min_height: float | None = None) -> Band:
    """Heights above which things are objects, and below which they are the support.

    Args:
        support: The plane and its noise.
        distance: Of surfaces from the cameras [scene units].
        metric: Whether scene units are metres.
        min_height: Height that the user asked for [scene units]; noise still counts.
    """
    least = LEAST_HEIGHT if metric else LEAST_HEIGHT_SHARE * distance
    if min_height is not None:
        least = min_height
    noise = SIGMAS * support.noise
    return Band(max(least, noise), max(FOOT * least, noise))


def levelled_heights(surface: Surface, support: SupportPlane, band: Band) -> NDArray[np.float64]:
    """Heights (M,) above the support as it was seen nearby, which sensors and poses bend a little.

    Args:
        surface: Points on surfaces.
        support: The plane.
        band: What counts as the support is averaged, over a few hand's breadths.
    """
    from scipy import ndimage

    heights = support.heights(surface.points)
    across, cell = basis(support.normal), 2 * CELL * surface.distance
    edge = support.outline @ across.T
    corner = edge.min(axis=0)
    shape = np.ceil(np.ptp(edge, axis=0) / cell).astype(np.int64) + 1
    spots = np.clip(np.floor((surface.points @ across.T - corner) / cell).astype(np.int64), 0, shape - 1)
    own = (np.abs(heights) < band.object) & (inside_outline(support, surface.points) > 0)
    flat = spots[own, 0] * shape[1] + spots[own, 1]
    weight = np.bincount(flat, surface.weights[own], minlength=int(shape.prod()))
    total = np.bincount(flat, surface.weights[own] * heights[own], minlength=int(shape.prod()))
    # Each cell counts once, however often it was seen, and few points count less.
    mean = (total / np.maximum(weight, 1e-12)).reshape(shape)
    trust = np.minimum(weight / max(float(np.median(weight[weight > 0])) if own.any() else 1.0, 1e-12), 1)
    trust = trust.reshape(shape)
    below = ndimage.gaussian_filter(trust, LEVELLING, mode="constant")
    bend = ndimage.gaussian_filter(trust * mean, LEVELLING, mode="constant") / np.maximum(below, 1e-3)
    return heights - bend[spots[:, 0], spots[:, 1]]


@dataclass(frozen=True, eq=False)
class Ground:
    """A support seen from above, as cells."""

    across: NDArray[np.float64]
    """Directions of the cells' rows and columns, shape (2, 3)."""
    corner: NDArray[np.float64]
    cell: float
    support: NDArray[np.bool_]
    """Cells where the support itself was seen."""
    beyond: NDArray[np.bool_]
    """Cells that are seen not to be support, because something lower is seen there or because they lie outside."""

    @staticmethod
    def of(
        surface: Surface, support: SupportPlane, heights: NDArray[np.float64], inside: NDArray[np.float64], band: Band
    ) -> Ground:
        """The cells within and around a support's outline."""
        from scipy import ndimage

        across, cell = basis(support.normal), CELL * surface.distance
        edge = support.outline @ across.T
        corner = edge.min(axis=0) - 20 * cell
        shape = np.ceil((np.ptp(edge, axis=0)) / cell).astype(np.int64) + 40
        spots = np.floor((surface.points @ across.T - corner) / cell).astype(np.int64)
        on = ((spots >= 0) & (spots < shape)).all(axis=1)

        def cells(which: NDArray[np.bool_]) -> NDArray[np.bool_]:
            grid = np.zeros(shape, dtype=bool)
            grid[spots[which & on, 0], spots[which & on, 1]] = True
            return grid

        top = cells((np.abs(heights) <= band.foot) & (inside > 0))
        filled = np.asarray(ndimage.binary_closing(top, iterations=2), dtype=bool) | top
        middles = corner + (np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1) + 0.5) * cell
        outside = inside_outline(support, middles @ across + support.offset * support.normal) < 0
        return Ground(across, corner, cell, filled & ~outside, outside | (cells(heights < -3 * band.object) & ~filled))

    def surrounds(self, points: NDArray[np.float64]) -> bool:
        """Whether the support goes on around a thing's footprint."""
        from scipy import ndimage

        spots = np.floor((points @ self.across.T - self.corner) / self.cell).astype(np.int64)
        spots = np.clip(spots, 0, np.array(self.support.shape) - 1)
        print_ = np.zeros(self.support.shape, dtype=bool)
        print_[spots[:, 0], spots[:, 1]] = True
        near, wide = (np.asarray(ndimage.binary_dilation(print_, iterations=k), dtype=bool) for k in (1, 4))
        ring = wide & ~near
        good, bad = (ring & self.support).sum(), (ring & self.beyond & ~self.support).sum()
        return bool(good >= SURROUNDED * max(1, good + bad))

    def nearest(
        self, points: NDArray[np.float64], things: list[NDArray[np.float64]]
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """The nearest of several things as seen from above, and how far it is."""
        from scipy.spatial import KDTree

        owner = np.repeat(np.arange(len(things)), [len(thing) for thing in things])
        away, nearest = KDTree(np.concatenate(things) @ self.across.T).query(points @ self.across.T)
        return owner[nearest], np.asarray(away)
