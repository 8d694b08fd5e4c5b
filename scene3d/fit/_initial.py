"""First splats: one per sparse point, as large as the gap to its neighbours.

Points come with the capture, or are triangulated from matches when there are poses alone, or, when too little matches,
lie at random within the frusta. What they leave bare is filled by `_gaps`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from scene3d._gaussians import Gaussians
from scene3d.fit._gaps import GapPoints, fill_gaps

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from scene3d.capture import Capture, PointCloud
    from scene3d.fit._photos import Target

__all__ = ["Start", "first_splats"]

FEWEST_POINTS = 500
RANDOM_POINTS = 10_000
GAP_SHARE = 0.2
"""Largest share of the budget that starts in the gaps between sparse points."""


@dataclass(frozen=True)
class Start:
    """What a fit starts from."""

    splats: Gaussians
    extent: float
    """Typical distance of a point from the middle of the scene [m]."""
    notes: tuple[str, ...]


def first_splats(
    capture: Capture,
    photos: Sequence[Target],
    *,
    seed: int,
    budget: int,
    threads: int,
    progress: Callable[[str, float], None],
) -> Start:
    """Splats at the capture's points, triangulated when it has none; held-out photos are not looked at."""
    from scene3d.capture import random_points_in_frusta, triangulate

    notes: list[str] = []
    seen = replace(capture, views=capture.split()[0])
    cloud = capture.points
    if cloud is None or len(cloud.points) < FEWEST_POINTS:
        cloud = triangulate(seen, threads=threads, progress=progress)
        notes.append(f"{len(cloud.points)} points were triangulated from matches between the photos.")
    if len(cloud.points) < FEWEST_POINTS:
        cloud = random_points_in_frusta(seen, RANDOM_POINTS, seed)
        notes.append("Too few points could be matched; fitting starts from random points within the views.")
    gaps = fill_gaps(cloud, photos, most=round(GAP_SHARE * budget), seed=seed)
    return _from_cloud(cloud, gaps, seed=seed, budget=budget, notes=tuple(notes))


def _from_cloud(cloud: PointCloud, fill: GapPoints, *, seed: int, budget: int, notes: tuple[str, ...]) -> Start:
    import numpy as np
    import torch
    from scipy.spatial import KDTree

    points, colors = cloud.points, cloud.colors
    room = budget - len(fill.points)
    if len(points) > room:
        chosen = np.sort(np.random.default_rng(seed).choice(len(points), room, replace=False))
        points, colors = points[chosen], colors[chosen]
    distance = np.linalg.norm(points - np.median(points, axis=0), axis=1)
    extent = float(np.mean(distance[distance <= np.quantile(distance, 0.99)]))
    gaps = KDTree(points).query(points, k=4, workers=-1)[0][:, 1:].mean(axis=1)
    gaps = np.clip(gaps, 1e-4 * extent, np.quantile(gaps, 0.99))
    splats = Gaussians.from_points(
        torch.from_numpy(np.ascontiguousarray(points, dtype=np.float32)),
        # Off black: a colour of exactly zero sits on the kink of the renderer's max(0, colour).
        torch.from_numpy(colors.astype(np.float32) / 255.0).clamp(0.01, 0.99),
        sigma=torch.from_numpy(gaps.astype(np.float32)),
        opacity=0.1,
    )
    behind = Gaussians.from_points(
        torch.from_numpy(fill.points), torch.from_numpy(fill.colors), sigma=torch.from_numpy(fill.sigma), opacity=0.1
    )
    return Start(Gaussians.cat([splats, behind]), extent, notes)
