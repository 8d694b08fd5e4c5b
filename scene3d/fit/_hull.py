"""Where an object cut out by masks can be: the visual hull of its silhouettes [Laurentini 1994].

A point that any photo shows outside the object is not part of it, so such points are dropped before fitting. When too
few are left, for a plain object matches hardly ever, points are drawn in the hull itself: along the rays of silhouette
pixels, as far as no other silhouette objects.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scene3d.capture._capture import PointCloud
from scene3d.capture._geometry import Poses, depth_range, project, unproject

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from scene3d.fit._photos import Target

__all__ = ["has_silhouettes", "hull_points", "within_silhouettes"]

DEPTHS = 192
"""Samples along a ray."""
MOST_RAYS = 3000
"""Rays of one photo; more are thinned at random."""


def has_silhouettes(photos: Sequence[Target]) -> bool:
    """Whether masks say where an object ends."""
    return any(photo.outside is not None for photo in photos)


def within_silhouettes(points: NDArray, photos: Sequence[Target]) -> NDArray[np.bool_]:
    """Points (M, 3) that no photo shows outside the object, shape (M,); out of sight is no objection."""
    kept = np.ones(len(points), dtype=bool)
    for photo in photos:
        if photo.outside is not None:
            seen, column, row = _seen(points, photo)
            kept[seen[photo.outside.numpy()[row, column] != 0]] = False
    return kept


def hull_points(photos: Sequence[Target], most: int, seed: int = 0) -> PointCloud:
    """At most `most` random points of the hull, each with the colour of a pixel that it lies behind.

    Where at least two photos look at the object, only points that two of them see are taken.
    """
    rng = np.random.default_rng(seed)
    near, far = depth_range(Poses.of([photo.camera for photo in photos]))
    parts = [_along_rays(photo, near, far, rng) for photo in photos if photo.outside is not None]
    points, colors = (np.concatenate(part) for part in zip(*parts, strict=True)) if parts else (np.zeros((0, 3)),) * 2
    kept = within_silhouettes(points, photos)
    witnesses = _witnesses(points, photos)
    kept &= witnesses >= min(2, int(witnesses.max(initial=0)))
    chosen = np.flatnonzero(kept)
    if len(chosen) > most:
        chosen = np.sort(rng.choice(chosen, most, replace=False))
    return PointCloud(points[chosen].astype(np.float32), (255.0 * colors[chosen]).round().astype(np.uint8))


def _along_rays(
    photo: Target, near: float, far: float, rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Points and colours along the rays of the object's pixels."""
    poses = Poses.of([photo.camera])
    row, column = np.nonzero(_inside(photo))
    if len(row) > MOST_RAYS:
        chosen = np.sort(rng.choice(len(row), MOST_RAYS, replace=False))
        row, column = row[chosen], column[chosen]
    rays = unproject(poses, np.stack([column + 0.5, row + 0.5], axis=1), 0)
    # Each ray has its own random offset, so that points fill the hull instead of lying in layers.
    share = (np.arange(DEPTHS) + rng.random((len(rays), 1))) / DEPTHS
    z = near * (far / near) ** share
    points = (poses.centres[0] + rays[:, None] * z[..., None]).reshape(-1, 3)
    return points, np.repeat(photo.rgb.numpy()[row, column].astype(np.float64), DEPTHS, axis=0)


def _inside(photo: Target) -> NDArray[np.bool_]:
    inside = np.ones((photo.camera.height, photo.camera.width), dtype=bool)
    if photo.valid is not None:
        inside &= photo.valid.numpy() != 0
    return inside if photo.outside is None else inside & (photo.outside.numpy() == 0)


def _witnesses(points: NDArray[np.float64], photos: Sequence[Target]) -> NDArray[np.int64]:
    """How many photos show the object where a point lies, shape (M,)."""
    count = np.zeros(len(points), dtype=np.int64)
    for photo in photos:
        seen, column, row = _seen(points, photo)
        count[seen] += _inside(photo)[row, column]
    return count


def _seen(points: NDArray, photo: Target) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Indices of the points in a photo's view, and their columns and rows there."""
    poses = Poses.of([photo.camera])
    pixels, z = project(poses, points, 0)
    seen = np.flatnonzero((z > 0) & ((pixels >= 0) & (pixels < poses.sizes[0])).all(axis=1))
    column, row = pixels[seen].astype(np.int64).T
    return seen, column, row
