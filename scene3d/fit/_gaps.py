"""Points for the parts of the photos that no sparse point explains: bare walls, floors, what only two photos saw.

In every training photo a grid of pixels is laid; where no sparse point projects nearby, a point is set along the
pixel's ray at the depth of the farthest of its nearest sparse neighbours in the image, because what is bare is mostly
behind what is textured. Fitting moves these points; without them there would be nothing to move.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

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
    K = camera.K.double().numpy()
    T = camera.T_world_cam.double().numpy()
    local = (points - T[:3, 3]) @ T[:3, :3]
    local = local[local[:, 2] > 1e-6]
    pixels = local[:, :2] / local[:, 2:] * [K[0, 0], K[1, 1]] + [K[0, 2], K[1, 2]]
    inside = ((pixels >= 0) & (pixels < [camera.width, camera.height])).all(axis=1)
    if inside.sum() < FEWEST_PROJECTED:
        return np.zeros((0, 7))
    pixels, depth = pixels[inside], local[inside, 2]
    spacing = max(2.0, GRID * max(camera.width, camera.height))
    x, y = np.meshgrid(*(np.arange(0.5 * spacing, side, spacing) for side in (camera.width, camera.height)))
    grid = np.stack([x.ravel(), y.ravel()], axis=1)
    distance, nearest = (np.asarray(part) for part in KDTree(pixels).query(grid, k=NEIGHBOURS))
    bare = distance[:, 0] > spacing
    column, row = grid[bare].astype(int).T
    if target.valid is not None:
        seen = target.valid.numpy()[row, column] != 0
        bare[np.nonzero(bare)[0][~seen]] = False
        column, row = column[seen], row[seen]
    z = depth[nearest[bare]].max(axis=1)
    rays = np.stack([(grid[bare, 0] - K[0, 2]) / K[0, 0], (grid[bare, 1] - K[1, 2]) / K[1, 1], np.ones(len(z))], axis=1)
    world = (rays * z[:, None]) @ T[:3, :3].T + T[:3, 3]
    sigma = 0.5 * spacing * z / K[0, 0]
    return np.concatenate([world, target.rgb.numpy()[row, column], sigma[:, None]], axis=1)
