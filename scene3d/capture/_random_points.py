"""Points where the cameras look, when nothing better is known: the last resort for starting a fit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scene3d.capture._capture import PointCloud
from scene3d.capture._geometry import Poses, depth_range, project, unproject

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from scene3d.capture._capture import Capture, View

__all__ = ["random_points_in_frusta"]

COLOR_SIDE = 128
"""Longest side of the photos that colours are taken from [px]."""
FEWEST_WITNESSES = 2
ROUNDS = 20
"""Draws before points that only one view sees are taken as well."""


def random_points_in_frusta(capture: Capture, count: int, seed: int = 0) -> PointCloud:
    """Random points that at least two views see, each with the colour of a photo there.

    Args:
        capture: Posed photos; near and far are guessed from where the cameras stand and look.
        count: Number of points.
        seed: Same capture, count and seed: same points.
    """
    rng = np.random.default_rng(seed)
    poses = Poses.of([view.camera.fitted(COLOR_SIDE) for view in capture.views])
    points, owner, pixels = _draw(poses, count, rng)
    colors = np.zeros((count, 3), dtype=np.uint8)
    for index, view in enumerate(capture.views):
        mine = owner == index
        if mine.any():
            colors[mine] = _colors(view, pixels[mine])
    return PointCloud(points.astype(np.float32), colors)


def _draw(
    poses: Poses, count: int, rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]]:
    """Points (count, 3), the view that each was drawn from (count,) and its pixel there (count, 2)."""
    near, far = depth_range(poses)
    parts, found = [], 0
    for turn in range(ROUNDS + 1):
        owner = rng.integers(len(poses.K), size=count)
        pixels = rng.random((count, 2)) * poses.sizes[owner]
        depth = np.exp(rng.uniform(np.log(near), np.log(far), count))  # Near things are larger in the image.
        points = poses.centres[owner] + unproject(poses, pixels, owner) * depth[:, None]
        kept = _witnesses(poses, points) >= FEWEST_WITNESSES if turn < ROUNDS else np.ones(count, dtype=bool)
        parts.append((points[kept], owner[kept], pixels[kept]))
        found += int(kept.sum())
        if found >= count:
            break
    points, owner, pixels = (np.concatenate(part)[:count] for part in zip(*parts, strict=True))
    return points, owner, pixels


def _witnesses(poses: Poses, points: NDArray[np.float64]) -> NDArray[np.int64]:
    seen = np.zeros(len(points), dtype=np.int64)
    for camera in range(len(poses.K)):
        pixels, depth = project(poses, points, camera)
        seen += (depth > 0) & (pixels >= 0).all(axis=1) & (pixels < poses.sizes[camera]).all(axis=1)
    return seen


def _colors(view: View, pixels: NDArray[np.float64]) -> NDArray[np.uint8]:
    rgb = view.load(COLOR_SIDE).rgb
    column, row = pixels.astype(np.int64).T
    return rgb[row.clip(0, rgb.shape[0] - 1), column.clip(0, rgb.shape[1] - 1)]
