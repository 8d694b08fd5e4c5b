"""Sensor depth of many views -> one cloud that covers the surfaces evenly.

Every view's depth is lifted to points with a colour, a normal and the size of its pixel there. Space is cut into cubes
as small as the number of points wanted allows; each cube keeps the observation that saw it best, from near and
straight on. Points that hang in front of what other views measured behind them are sensor errors and are dropped.
`depth_points` reads the views itself; a fit, which has the photos in memory, calls `fused_surface`.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from scene3d.capture._capture import PointCloud
from scene3d.capture._geometry import Poses, project, unproject
from scene3d.capture._sensor_depth import without_edges

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from scene3d._camera import Camera
    from scene3d.capture._capture import View

__all__ = ["DepthView", "Surface", "confirmed", "depth_points", "fused_surface"]

MOST_OBSERVATIONS = 1_500_000
"""Points that are lifted in all; views are sampled more coarsely beyond."""
HALVINGS = 10
"""Bisections of the cube's side."""
AGREES, THROUGH = 0.03, 0.06
"""Relative depth by which a view confirms a point, and by which it saw through it."""
LEAST_COSINE = 0.15
"""Surfaces seen at a flatter angle count as seen at this one."""


@dataclass(frozen=True)
class DepthView:
    """One photo with sensor depth in memory."""

    camera: Camera
    """Pinhole camera of these pixels."""
    rgb: NDArray[np.float32]
    """Colours in [0, 1], shape (H, W, 3)."""
    depth: NDArray[np.float32]
    """Depth along the camera's z axis without its edges [m], 0 where unknown, shape (H, W)."""


@dataclass(frozen=True)
class Surface:
    """M points on surfaces."""

    points: NDArray[np.float32]
    """Positions [m], shape (M, 3)."""
    colors: NDArray[np.float32]
    """Colours in [0, 1], shape (M, 3)."""
    normals: NDArray[np.float32]
    """Unit normals on the side of the camera that saw them, shape (M, 3)."""
    size: NDArray[np.float32]
    """Width of a pixel there, along the surface [m], shape (M,)."""

    def __getitem__(self, chosen: NDArray) -> Surface:
        """Some of the points."""
        return Surface(self.points[chosen], self.colors[chosen], self.normals[chosen], self.size[chosen])

    @staticmethod
    def cat(parts: Sequence[Surface]) -> Surface:
        """The points of several surfaces."""
        names = ("points", "colors", "normals", "size")
        empty = [np.zeros((0, 3), np.float32)] * 3 + [np.zeros(0, np.float32)]
        return Surface(
            *(np.concatenate([none, *(getattr(p, n) for p in parts)]) for n, none in zip(names, empty, strict=True))
        )


def depth_points(
    views: Sequence[View], *, longest_side: int = 160, most: int = 60_000, seed: int = 0, threads: int = 2
) -> PointCloud:
    """Points on the surfaces that sensor depth of these views measured, in the capture's world and unit.

    Args:
        views: Posed views; those without depth add nothing.
        longest_side: Size at which depth is read [px].
        most: Largest number of points.
        seed: Seed of the choice where cubes alone do not come down to `most`.
        threads: Photos decoded at a time.

    Returns:
        The cloud; empty when no view has depth.

    Raises:
        CaptureError: A photo or its depth cannot be read.
    """

    def loaded(view: View) -> DepthView | None:
        photo = view.load(longest_side)
        if photo.depth is None:
            return None
        usable = photo.valid if photo.outside is None else photo.valid & ~photo.outside
        depth = np.where(usable, without_edges(photo.depth), np.float32(0))
        return DepthView(photo.camera, photo.rgb.astype(np.float32) / 255.0, depth)

    with ThreadPoolExecutor(threads) as pool:
        found = [view for view in pool.map(loaded, views) if view is not None]
    surface = fused_surface(found, most=most, seed=seed)
    return PointCloud(surface.points, (255.0 * surface.colors).round().astype(np.uint8))


def fused_surface(views: Sequence[DepthView], *, most: int, seed: int = 0) -> Surface:
    """Points of all views, at most `most`, spread evenly over the surfaces."""
    pixels = sum(view.depth.size for view in views)
    stride = max(1, int(np.ceil(np.sqrt(pixels / MOST_OBSERVATIONS))))
    surface = Surface.cat([_lifted(view, stride) for view in views])
    surface = _thinned(surface, most)
    surface = surface[confirmed(surface.points, views)]
    if len(surface.points) > most:
        surface = surface[np.sort(np.random.default_rng(seed).choice(len(surface.points), most, replace=False))]
    return surface


def _lifted(view: DepthView, stride: int) -> Surface:
    """Points of one view, where depth and its slope are known."""
    poses, depth = Poses.of([view.camera]), view.depth
    rows, columns = (np.arange(stride // 2, side, stride) for side in depth.shape)
    grid = np.stack(np.meshgrid(columns + 0.5, rows + 0.5), axis=-1)
    z = depth[np.ix_(rows, columns)].astype(np.float64)
    points = poses.centres[0] + unproject(poses, grid, 0) * z[..., None]
    normals, sound = _normals(points, z > 0)
    sight = points - poses.centres[0]
    cosine = (normals * sight).sum(axis=-1) / np.maximum(np.linalg.norm(sight, axis=-1), 1e-12)
    normals *= -np.sign(cosine)[..., None]
    size = z / poses.K[0, 0, 0] / np.sqrt(np.maximum(np.abs(cosine), LEAST_COSINE))
    return Surface(
        points[sound].astype(np.float32),
        view.rgb[np.ix_(rows, columns)][sound],
        normals[sound].astype(np.float32),
        size[sound].astype(np.float32),
    )


def _normals(points: NDArray[np.float64], known: NDArray[np.bool_]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Unit normals (H, W, 3) from the neighbours on both sides, and where all four of them are known (H, W)."""
    sound = np.zeros_like(known)
    core = known[1:-1, 1:-1] & known[1:-1, 2:] & known[1:-1, :-2] & known[2:, 1:-1] & known[:-2, 1:-1]
    sound[1:-1, 1:-1] = core
    normals = np.zeros_like(points)
    cross = np.cross(points[1:-1, 2:] - points[1:-1, :-2], points[2:, 1:-1] - points[:-2, 1:-1])
    normals[1:-1, 1:-1] = cross / np.maximum(np.linalg.norm(cross, axis=-1, keepdims=True), 1e-30)
    return normals, sound & (np.abs(normals).sum(axis=-1) > 0.5)


def _thinned(surface: Surface, most: int) -> Surface:
    """The best seen point of every cube, with the smallest cubes that leave at most `most`."""
    if len(surface.points) <= most:
        return surface
    points = surface.points.astype(np.float64)
    origin = points.min(axis=0)
    span = float((points.max(axis=0) - origin).max())
    # Packed into 21 bits an axis, so that one sort of integers finds what shares a cube.
    low, high = span / (1 << 20), span
    for _ in range(HALVINGS):
        side = float(np.sqrt(low * high))
        if len(np.unique(_cubes(points, origin, side))) > most:
            low = side
        else:
            high = side
    cubes = _cubes(points, origin, high)
    order = np.lexsort((surface.size, cubes))
    first = np.ones(len(order), dtype=bool)
    first[1:] = cubes[order][1:] != cubes[order][:-1]
    return surface[np.sort(order[first])]


def _cubes(points: NDArray[np.float64], origin: NDArray[np.float64], side: float) -> NDArray[np.int64]:
    x, y, z = ((points - origin) / side).astype(np.int64).T
    return (x << 42) | (y << 21) | z


def confirmed(points: NDArray, views: Sequence[DepthView]) -> NDArray[np.bool_]:
    """Whether at least as many views measured a surface at each of the points (M, 3) as saw through it, shape (M,).

    Views that know no depth there, or something in front, say nothing.
    """
    votes = np.zeros(len(points), dtype=np.int64)
    for view in views:
        poses, (height, width) = Poses.of([view.camera]), view.depth.shape
        pixels, z = project(poses, points, 0)
        seen = np.flatnonzero((z > 0) & (pixels >= 0).all(axis=1) & (pixels < [width, height]).all(axis=1))
        column, row = pixels[seen].astype(np.int64).T
        measured = view.depth[row, column]
        known = measured > 0
        ratio = z[seen][known] / measured[known] - 1.0
        votes[seen[known]] += np.where(np.abs(ratio) < AGREES, 1, np.where(ratio < -THROUGH, -1, 0))
    return votes >= 0
