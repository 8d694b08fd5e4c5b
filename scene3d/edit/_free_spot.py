"""A free place on a support: where a body can stand without touching another one.

Bodies are boxes seen from above, along the axes of the support. Places on a grid are refused where the box would
overlap another object's box, leave the support's outline, or stand in things that belong to the background: its solid
splats above the support are counted by a summed-area table. Of what is left the place nearest to a wish is taken.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scene3d._errors import UsageError
from scene3d.edit._apart import splats_of
from scene3d.edit._place import mesh_in_world

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from scene3d._scene import Scene
    from scene3d._support import SupportPlane

__all__ = ["free_shift"]

GAP = 0.1
"""Free space around a body, as a share of the shorter side of its box."""
GRID = 160
"""Places that are tried along the longer side of the support."""
REACH = 8
"""How far places are tried on a support without outline, in sides of the body's box."""
SOLID = 0.5
"""Opacity from which a splat of the background is in the way."""
LOW = 0.15
"""What stands out of the support by less than this share of the body's height is the support itself."""
STRAYS = 4
"""Splats of the background that may float where a body stands."""


def free_shift(scene: Scene, points: NDArray, support: SupportPlane, near: ArrayLike) -> NDArray[np.float64]:
    """How to move a body along its support to a free place.

    Args:
        scene: Its objects and its background are in the way.
        points: Vertices of the body in the world, wherever it is now, shape (V, 3).
        support: What it is to stand on.
        near: World position that its box's middle should be close to, shape (3,).

    Returns:
        Displacement in the plane of the support, shape (3,).

    Raises:
        UsageError: No place is free.
    """
    axes = _axes(support)
    flat = points @ axes.T
    low, high = flat.min(axis=0), flat.max(axis=0)
    middle, half = (low + high) / 2, (high - low) / 2
    wish = axes @ np.asarray(near, dtype=np.float64)
    gap = 2 * GAP * float(half.min())
    centres = _candidates(support, axes, wish, half)
    free = _inside(centres, half, support, axes)
    for thing in scene.objects:
        other = mesh_in_world(thing.T_world_body, thing.body.mesh.vertices) @ axes.T
        a, b = other.min(axis=0), other.max(axis=0)
        free &= (np.abs(centres - (a + b) / 2) >= half + (b - a) / 2 + gap).any(axis=1)
    free[free] = _splats_in_way(scene, support, axes, centres[free], half, np.ptp(support.heights(points))) <= STRAYS
    if not free.any():
        raise UsageError("No place on the support is free for it. Say where it goes, as @X,Y or @X,Y,Z.")
    best = np.argmin(np.where(free, ((centres - wish) ** 2).sum(axis=1), np.inf))
    return (centres[best] - middle) @ axes


def _axes(support: SupportPlane) -> NDArray[np.float64]:
    """Two unit vectors (2, 3) in the plane; for a level one the world's x and y."""
    normal = support.normal / np.linalg.norm(support.normal)
    start = np.eye(3)[0 if abs(normal[0]) < 0.9 else 1]
    x = start - normal * float(start @ normal)
    x = x / np.linalg.norm(x)
    return np.stack([x, np.cross(normal, x)]).astype(np.float64)


def _candidates(support: SupportPlane, axes: NDArray, wish: NDArray, half: NDArray) -> NDArray[np.float64]:
    """Middles of boxes (M, 2) on a grid that has the wish among its points."""
    if len(support.outline) >= 3:
        corners = support.outline @ axes.T
        low, high = corners.min(axis=0), corners.max(axis=0)
        step = float((high - low).max()) / GRID
    else:
        low, high = wish - REACH * 2 * half.max(), wish + REACH * 2 * half.max()
        step = float(half.min()) / 4
    first, last = np.ceil((low - wish) / step), np.floor((high - wish) / step)
    u, v = (np.arange(a, b + 1) * step + c for a, b, c in zip(first, last, wish, strict=True))
    return np.stack(np.meshgrid(u, v, indexing="ij"), axis=-1).reshape(-1, 2)


def _inside(centres: NDArray, half: NDArray, support: SupportPlane, axes: NDArray) -> NDArray[np.bool_]:
    """Which boxes lie within the outline with all corners."""
    corners = support.outline @ axes.T
    inside = np.ones(len(centres), dtype=bool)
    if len(corners) < 3:
        return inside
    along = np.roll(corners, -1, axis=0) - corners
    inward = np.stack([-along[:, 1], along[:, 0]], axis=1)
    for corner, direction in zip(corners, inward, strict=True):
        inside &= (centres - corner) @ direction >= np.abs(direction) @ half
    return inside


def _splats_in_way(
    scene: Scene, support: SupportPlane, axes: NDArray, centres: NDArray, half: NDArray, tall: float
) -> NDArray[np.int64]:
    """How many solid splats of the background stand in each box (M,), counted on a grid."""
    background = splats_of(scene, -1)
    means = background.means.detach().cpu().double().numpy()
    height = support.heights(means)
    solid = background.opacities.detach().cpu().sigmoid().numpy() > SOLID
    way = means[solid & (height > max(4 * support.noise, LOW * tall)) & (height < tall)] @ axes.T
    if not len(way) or not len(centres):
        return np.zeros(len(centres), dtype=np.int64)
    low, high = centres.min(axis=0) - half, centres.max(axis=0) + half
    cell = float(half.min()) / 8
    shape = np.ceil((high - low) / cell).astype(int) + 1
    counts = np.zeros(shape + 1, dtype=np.int64)
    place = np.floor((way - low) / cell).astype(int)
    place = place[((place >= 0) & (place < shape)).all(axis=1)]
    np.add.at(counts, (place[:, 0] + 1, place[:, 1] + 1), 1)
    table = counts.cumsum(axis=0).cumsum(axis=1)
    a = np.floor((centres - half - low) / cell).astype(int).clip(0, shape)
    b = (np.floor((centres + half - low) / cell).astype(int) + 1).clip(0, shape)
    return table[b[:, 0], b[:, 1]] - table[a[:, 0], b[:, 1]] - table[b[:, 0], a[:, 1]] + table[a[:, 0], a[:, 1]]
