"""The hollow of a vessel, completed where the views do not tell it.

Into a cup few views look, steeply, at a glossy wall without texture: splats there are haze, and depth comes out
centimetres short. What is sure is that there is a hollow, how wide its mouth is, and how thick the rim. Walls of
vessels are about as thick as their rims, so the hollow is taken to run parallel to the outside at the rim's thickness,
down to the floor: the one that was seen when many views agree on it, else one as thick as the wall. A slice counts as
a vessel's where the hollow is ringed by wall; only deep hollows under a wide mouth are completed, all others stay as
they were seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Hollow", "hollow_of_vessel"]

DEEP = 0.25
"""A vessel's hollow is seen at least this deep, as a share of its mouth's diameter."""
WIDE = 0.35
"""Its mouth takes at least this share of the object's section there, handles left out."""
RIM = 3
"""Levels below the mouth at which the rim's thickness is measured: haze thickens the wall further down."""
THIN = 0.1
"""Quantile of the thickness around the rim: haze in the hollow only ever thickens the wall."""
THINNEST = 1.5
"""Walls have at least this many cells, or they would tear."""
BULKY = 0.4
"""Handles are thinner than this share of the mouth's diameter, and the hollow does not go into them."""
FIRM = 0.35
"""A floor was seen when the depth there is at least this sure, as a share of the outside's median."""


@dataclass(frozen=True, eq=False)
class Hollow:
    """A completed hollow; shapes (nx, ny, nz)."""

    is_vessel: NDArray[np.bool_]
    """Voxels whose depth is to be replaced."""
    depth: NDArray[np.float32]
    """Signed distance to the hollow's wall, positive in the solid [scene units]."""
    thickness: float
    """Of the wall [scene units]."""


def hollow_of_vessel(outline: NDArray, depth: NDArray, weight: NDArray, cell: float) -> Hollow | None:
    """The hollow of an upright vessel, None when the object is none.

    Args:
        outline: Depth inside the outlines and above the support [scene units], shape (nx, ny, nz), z upwards.
        depth: Depth behind the seen surface [scene units].
        weight: How sure that is.
        cell: Size of a voxel [scene units].
    """
    ndimage: Any = import_module("scipy.ndimage")
    within = outline > 0
    solid = within & (depth > 0)
    seen = _ringed_hollow(solid, within)
    if seen is None:
        return None
    levels = np.flatnonzero(seen.any(axis=(0, 1)))
    area = seen.sum(axis=(0, 1)).astype(np.float64)
    mouth = 2 * np.sqrt(area.max() / np.pi)
    bodies = _without_handles(within, 0.5 * BULKY * mouth)
    ringed = bodies[..., levels].sum(axis=(0, 1))
    if len(levels) < DEEP * mouth or area[levels].max() < WIDE * ringed[np.argmax(area[levels])]:
        return None
    top = int(levels[-1])
    bodies[..., top:] = bodies[..., top : top + 1]
    bodies |= seen
    from_outside = ndimage.distance_transform_edt(np.pad(bodies, ((0, 0), (0, 0), (1, 0))))[..., 1:] - 0.5
    thickness = max(_rim_thickness(seen, from_outside, levels), THINNEST)
    signed = thickness - from_outside
    floor = _floor(seen, weight, outline, cell)
    if floor is not None:
        signed[..., : floor + 1] = np.maximum(signed[..., : floor + 1], floor + 0.5 - np.arange(floor + 1))
    is_vessel = bodies.copy()
    is_vessel[..., top:] = False
    return Hollow(is_vessel, (signed * cell).astype(np.float32), float(thickness * cell))


def _ringed_hollow(solid: NDArray[np.bool_], within: NDArray[np.bool_]) -> NDArray[np.bool_] | None:
    """The largest space inside the outlines, seen to be empty, that solid rings in every level slice."""
    ndimage: Any = import_module("scipy.ndimage")
    found = np.zeros_like(solid)
    for level in range(solid.shape[2]):
        section = ndimage.binary_closing(solid[..., level])
        found[..., level] = ndimage.binary_fill_holes(section) & ~section
    found = ndimage.binary_opening(found & within & ~solid)
    labels, count = ndimage.label(found)
    if not count:
        return None
    return labels == 1 + np.argmax(np.bincount(labels.ravel())[1:])


def _without_handles(within: NDArray[np.bool_], radius: float) -> NDArray[np.bool_]:
    """Each level slice without what is thinner than twice a radius [cells]."""
    ndimage: Any = import_module("scipy.ndimage")
    bulky = np.zeros_like(within)
    for level in np.flatnonzero(within.any(axis=(0, 1))):
        core = ndimage.distance_transform_edt(within[..., level]) > radius
        if core.any():
            bulky[..., level] = (ndimage.distance_transform_edt(~core) < radius + 0.5) & within[..., level]
    return bulky


def _rim_thickness(seen: NDArray[np.bool_], from_outside: NDArray, levels: NDArray) -> float:
    """Thickness of the wall in the upper part of a hollow [cells]."""
    ndimage: Any = import_module("scipy.ndimage")
    found = []
    for level in levels[-RIM:]:
        edge = seen[..., level] & ~ndimage.binary_erosion(seen[..., level])
        found.append(np.quantile(from_outside[..., level][edge], THIN) - 0.5)
    return float(np.median(found))


def _floor(seen: NDArray[np.bool_], weight: NDArray, outline: NDArray, cell: float) -> int | None:
    """The level below which the hollow ends as many views agree, None when it was not seen."""
    bottom = int(np.flatnonzero(seen.any(axis=(0, 1)))[0])
    usual = np.median(weight[np.abs(outline) < cell])
    below = seen.any(axis=2)
    level = max(bottom - 1, 0)
    return level if np.median(weight[below][:, level]) > FIRM * usual else None
