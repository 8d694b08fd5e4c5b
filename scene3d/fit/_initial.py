"""First splats: one per sparse point, as large as the gap to its neighbours.

Points come with the capture, or are triangulated from matches when there are poses alone, or, when too little matches,
lie at random within the frusta.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from scene3d._gaussians import Gaussians

if TYPE_CHECKING:
    from collections.abc import Callable

    from scene3d.capture import Capture, PointCloud

__all__ = ["Start", "first_splats"]

FEWEST_POINTS = 500
RANDOM_POINTS = 10_000


@dataclass(frozen=True)
class Start:
    """What a fit starts from."""

    splats: Gaussians
    extent: float
    """Typical distance of a point from the middle of the scene [m]."""
    notes: tuple[str, ...]


def first_splats(
    capture: Capture, *, seed: int, budget: int, threads: int, progress: Callable[[str, float], None]
) -> Start:
    """Splats at the capture's points, triangulated when it has none."""
    from scene3d.capture import random_points_in_frusta, triangulate

    notes: list[str] = []
    cloud = capture.points
    if cloud is None or len(cloud.points) < FEWEST_POINTS:
        cloud = triangulate(capture, threads=threads, progress=progress)
        notes.append(f"{len(cloud.points)} points were triangulated from matches between the photos.")
    if len(cloud.points) < FEWEST_POINTS:
        cloud = random_points_in_frusta(capture, RANDOM_POINTS, seed)
        notes.append("Too few points could be matched; fitting starts from random points within the views.")
    return _from_cloud(cloud, seed=seed, budget=budget, notes=tuple(notes))


def _from_cloud(cloud: PointCloud, *, seed: int, budget: int, notes: tuple[str, ...]) -> Start:
    import numpy as np
    import torch
    from scipy.spatial import cKDTree

    points, colors = cloud.points, cloud.colors
    if len(points) > budget:
        chosen = np.sort(np.random.default_rng(seed).choice(len(points), budget, replace=False))
        points, colors = points[chosen], colors[chosen]
    distance = np.linalg.norm(points - np.median(points, axis=0), axis=1)
    extent = float(np.mean(distance[distance <= np.quantile(distance, 0.99)]))
    gaps = cKDTree(points).query(points, k=4, workers=-1)[0][:, 1:].mean(axis=1)
    gaps = np.clip(gaps, 1e-4 * extent, np.quantile(gaps, 0.99))
    splats = Gaussians.from_points(
        torch.from_numpy(np.ascontiguousarray(points, dtype=np.float32)),
        torch.from_numpy(colors.astype(np.float32) / 255.0),
        sigma=torch.from_numpy(gaps.astype(np.float32)),
        opacity=0.1,
    )
    return Start(splats, extent, notes)
