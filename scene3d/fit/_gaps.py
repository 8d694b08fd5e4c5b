"""Points for the parts of the photos that no sparse point explains: bare walls, floors, what only two photos saw.

In every training photo a grid of pixels is laid; where no sparse point projects nearby, a point is set along the
pixel's ray at the depth of the farthest of its nearest sparse neighbours in the image, because what is bare is mostly
behind what is textured. Fitting moves these points; without them there would be nothing to move.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from scene3d.capture._geometry import Poses, project, unproject

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from scene3d.capture import PointCloud
    from scene3d.fit._photos import Target

__all__ = ["GapPoints", "fill_gaps"]

GRID = 0.025
"""Spacing of the pixels that are looked at, as a share of the longest side."""
NEIGHBOURS = 4
FEWEST_PROJECTED = 16
"""Photos that see fewer sparse points than this are left alone: depth would be a guess."""


@dataclass(frozen=True)
class GapPoints:
    """Points that were set into gaps."""

    points: NDArray[np.float32]
    """Positions, shape (M, 3)."""
    colors: NDArray[np.float32]
    """Colours of the photo there, in [0, 1], shape (M, 3)."""
    sigma: NDArray[np.float32]
    """Half the spacing of the grid at their depth, shape (M,)."""


def fill_gaps(cloud: PointCloud, targets: Sequence[Target], *, most: int, seed: int) -> GapPoints:
    """Points for pixels of the photos that have no sparse point nearby.

    Args:
        cloud: Sparse points.
        targets: Training photos at a small size.
        most: Largest number of points; more are thinned at random.
        seed: Seed of the thinning.
    """
    parts = [_of_photo(cloud.points.astype(np.float64), target) for target in targets]
    rows = np.concatenate(parts) if parts else np.zeros((0, 7))
    if len(rows) > most:
        rows = rows[np.sort(np.random.default_rng(seed).choice(len(rows), most, replace=False))]
    rows = rows.astype(np.float32)
    return GapPoints(rows[:, :3], rows[:, 3:6], rows[:, 6])


def _of_photo(points: NDArray[np.float64], target: Target) -> NDArray[np.float64]:
    """Rows of position, colour and sigma, shape (M, 7), from one photo."""
    from scipy.spatial import KDTree

    camera = target.camera
    poses = Poses.of([camera])
    pixels, depth = project(poses, points, 0)
    inside = (depth > 1e-6) & ((pixels >= 0) & (pixels < poses.sizes[0])).all(axis=1)
    if inside.sum() < FEWEST_PROJECTED:
        return np.zeros((0, 7))
    pixels, depth = pixels[inside], depth[inside]
    spacing = max(2.0, GRID * max(camera.width, camera.height))
    x, y = np.meshgrid(*(np.arange(0.5 * spacing, side, spacing) for side in (camera.width, camera.height)))
    grid = np.stack([x.ravel(), y.ravel()], axis=1)
    distance, nearest = (np.asarray(part) for part in KDTree(pixels).query(grid, k=NEIGHBOURS))
    column, row = grid.astype(int).T
    bare = (distance[:, 0] > spacing) & _open(target)[row, column]
    z = depth[nearest[bare]].max(axis=1)
    world = poses.centres[0] + unproject(poses, grid[bare], 0) * z[:, None]
    sigma = 0.5 * spacing * z / poses.K[0, 0, 0]
    return np.concatenate([world, target.rgb.numpy()[row[bare], column[bare]], sigma[:, None]], axis=1)


def _open(target: Target) -> NDArray[np.bool_]:
    """Pixels (H, W) that the photo shows and whose depth no sensor knows."""
    pixels = np.ones((target.camera.height, target.camera.width), dtype=bool)
    if target.valid is not None:
        pixels &= target.valid.numpy() != 0
    if target.depth is not None:
        pixels &= target.depth.numpy() == 0
    return pixels
