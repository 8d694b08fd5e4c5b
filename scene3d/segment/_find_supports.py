"""The flat tops that things stand on.

Surface points -> planes by RANSAC -> those that lie level -> ordered by how much the photos look at them. A floor lies
under a table and a shelf above it; whoever photographs things on a table aims at its top, so the level plane that
fills the middle of the photos most is a support, and so is every other one that is looked at nearly as much and lies
neither above nor below it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from scene3d._errors import SegmentError
from scene3d._support import SupportPlane

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from scene3d.segment._surface_points import Surface

__all__ = ["find_supports"]

VOXEL = 0.012
"""Edge of a voxel for RANSAC, as a share of the distance from the cameras."""
THICKNESS = 0.007
"""Half the thickness of a plane for RANSAC, as a share of the distance."""
CELL = 0.01
"""Edge of a cell of the outline and of the noise, as a share of the distance."""
LEVEL = math.radians(6.0)
"""Planes that lean by more than this are no support."""
LEAST_SEEN = 0.25
"""A further support is looked at at least this much, as a share of the first."""
BESIDE = 0.3
"""Share of the area of either that a further support may have above or below another one."""


def find_supports(surface: Surface, up: Sequence[float], *, seed: int = 0) -> tuple[SupportPlane, ...]:
    """The supports of a scene, the one that is looked at most first.

    Args:
        surface: Points on surfaces, as from `surface_points`.
        up: World direction that points up, shape (3,).
        seed: Seed of RANSAC.

    Raises:
        SegmentError: No level plane is seen.
    """
    from scene3d.capture._planes import find_planes, thin

    upright = np.asarray(up, dtype=np.float64) / np.linalg.norm(up)
    weights = surface.weights * np.maximum(surface.aim, 1e-3)
    cloud = thin(surface.points, weights, VOXEL * surface.distance, seed)
    fewest = max(30, len(cloud.voxels) // 200)
    planes = find_planes(cloud, THICKNESS * surface.distance, fewest=fewest, seed=seed)
    found: list[tuple[float, SupportPlane]] = []
    for plane in planes:
        sign = 1.0 if plane.normal @ upright >= 0 else -1.0
        if sign * (plane.normal @ upright) < math.cos(LEVEL):
            continue
        normal, offset = _sharpened(surface, weights, sign * plane.normal, -sign * plane.offset)
        support, seen = _support(surface, normal, offset, weights)
        if support is not None:
            found.append((seen, support))
    found.sort(key=lambda pair: -pair[0])
    kept: list[SupportPlane] = []
    for seen, support in found:
        if seen < LEAST_SEEN * found[0][0]:
            break
        if all(max(_overlap(support, other), _overlap(other, support)) < BESIDE for other in kept):
            kept.append(support)
    if not kept:  # Also when everything that was seen is cut out of its surroundings.
        raise SegmentError(
            "No level surface is seen that things could stand on, so objects cannot be told apart without help. "
            "Give instance masks with the capture, or name things by clicks: --point IMAGE,U,V,NAME."
        )
    return tuple(kept)


def _sharpened(surface: Surface, weights: NDArray, normal: NDArray, offset: float) -> tuple[NDArray[np.float64], float]:
    """The plane moved to where most weight lies in a thin layer.

    Splats of a shiny or plain top leave a haze below it that weighs as much as the top itself, but is spread out.
    """
    points, band = surface.points, THICKNESS * surface.distance
    for width in (band, 0.5 * band, 0.25 * band, 0.12 * band):
        heights = points @ normal - offset
        near = np.flatnonzero(np.abs(heights) < (3 * band if width == band else 2 * width))
        if len(near) < 20:
            break
        order = near[np.argsort(heights[near])]
        total = np.r_[0.0, np.cumsum(weights[order])]
        ends = np.searchsorted(heights[order], heights[order] + 0.5 * width, side="right")
        most = int((total[ends] - total[np.arange(len(order))]).argmax())
        peak = float(np.median(heights[order][most : ends[most]]))
        layer = near[np.abs(heights[near] - peak) < width]
        weight = weights[layer] * (1 - ((heights[layer] - peak) / width) ** 2) ** 2
        if len(layer) < 20 or weight.sum() <= 0:
            break
        middle = weight @ points[layer] / weight.sum()
        moment = (points[layer] - middle).T @ ((points[layer] - middle) * weight[:, None])
        turned = np.linalg.eigh(moment)[1][:, 0]
        turned = turned if turned @ normal >= 0 else -turned
        if turned @ normal > math.cos(LEVEL):
            normal, offset = turned, float(turned @ middle)
    return normal, offset


def _support(surface: Surface, normal: NDArray, offset: float, weights: NDArray) -> tuple[SupportPlane | None, float]:
    """The support of a plane and how much it is looked at; None where it is only a scatter of points."""
    from scipy import ndimage
    from scipy.spatial import ConvexHull, QhullError

    heights = surface.points @ normal - offset
    near = np.abs(heights) < THICKNESS * surface.distance
    if near.sum() < 20:
        return None, 0.0
    across = basis(normal)
    places = surface.points[near] @ across.T
    cell = CELL * surface.distance
    low = places.min(axis=0)
    index = np.floor((places - low) / cell).astype(np.int64)
    # A cell that nobody saw lies between cells that were seen, as texture is uneven: they are closed up first.
    shape = index.max(axis=0) + 1
    if shape.prod() > 4_000_000:
        return None, 0.0
    filled = np.zeros(shape, dtype=bool)
    filled[index[:, 0], index[:, 1]] = True
    closed = ndimage.binary_opening(ndimage.binary_closing(np.pad(filled, 4), iterations=3), iterations=2)[4:-4, 4:-4]
    areas = np.zeros(closed.shape, dtype=np.int32)
    ndimage.label(closed, output=areas)
    count = int(areas.max())
    if count == 0:
        return None, 0.0
    area_of = areas[index[:, 0], index[:, 1]]
    seen = np.bincount(area_of, weights[near], minlength=count + 1)
    seen[0] = 0.0
    best = int(seen.argmax())
    inside = area_of == best
    try:
        hull = ConvexHull(places[inside])
    except QhullError:
        return None, 0.0
    corners = places[inside][hull.vertices]
    outline = corners @ across + offset * normal
    return SupportPlane(normal, offset, _fused_noise(heights[near][inside], index[inside]), outline), float(seen[best])


def _fused_noise(heights: NDArray, index: NDArray) -> float:
    """Standard deviation of the surface: of the medians of cells, which all views have a say in."""
    order = np.lexsort((heights, index[:, 1], index[:, 0]))
    heights, index = heights[order], index[order]
    starts = np.flatnonzero(np.r_[True, (np.diff(index, axis=0) != 0).any(axis=1)])
    ends = np.r_[starts[1:], len(heights)]
    medians = heights[(starts + ends - 1) // 2]
    return float(1.4826 * np.median(np.abs(medians - np.median(medians))))


def basis(normal: NDArray) -> NDArray[np.float64]:
    """Two unit vectors across a normal, right-handed with it, rows of (2, 3)."""
    axis = np.eye(3)[np.argmin(np.abs(normal))]
    x = np.cross(axis, normal)
    x /= np.linalg.norm(x)
    return np.stack([x, np.cross(normal, x)])


def inside_outline(support: SupportPlane, points: NDArray) -> NDArray[np.float64]:
    """How far points (..., 3) are inside of a support's outline, seen from above; negative outside."""
    across = basis(support.normal)
    corners, places = support.outline @ across.T, np.asarray(points) @ across.T
    sides = np.roll(corners, -1, axis=0) - corners
    inward = np.stack([-sides[:, 1], sides[:, 0]], axis=1)
    lengths = np.linalg.norm(inward, axis=1)
    inward = inward[lengths > 0] / lengths[lengths > 0, None]
    return (places @ inward.T - (corners[lengths > 0] * inward).sum(axis=1)).min(axis=-1)


def _overlap(support: SupportPlane, other: SupportPlane) -> float:
    """Share of a support's outline that lies above or below another."""
    corners = support.outline
    middle = corners.mean(axis=0)
    steps = np.sqrt((np.arange(8) + 0.5) / 8)[:, None, None]
    between = np.concatenate([corners, 0.5 * (corners + np.roll(corners, 1, axis=0))])
    grid = (middle + steps * (between - middle)).reshape(-1, 3)
    return float((inside_outline(other, grid) > 0).mean())
