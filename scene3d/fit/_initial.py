"""First splats: flat ones on the surfaces that a depth sensor saw, and one per sparse point.

Sparse points come with the capture, or are triangulated from matches when it has none. When too little matches, a few
photos are compared over planes, and else points lie at random within the frusta or within the silhouettes of an object.
Those that sensor depth or silhouettes contradict are dropped. A splat is as large as the gap to its neighbours. What
all of them leave bare is filled by `_gaps`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from scene3d._gaussians import Gaussians
from scene3d.fit._gaps import GapPoints, fill_gaps
from scene3d.fit._hull import has_silhouettes, hull_points, within_silhouettes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from scene3d.capture import Capture, PointCloud
    from scene3d.capture._depth_points import DepthView, Surface
    from scene3d.capture._plane_sweep import SweepView, Swept
    from scene3d.fit._photos import Target

__all__ = ["Start", "first_splats"]

FEWEST_POINTS = 500
RANDOM_POINTS = 10_000
GAP_SHARE = 0.2
"""Largest share of the budget that starts in the gaps between sparse points."""
SURFACE_SHARE = 0.5
"""Largest share of the budget that starts on surfaces of known depth; the rest grows where it is needed."""
FLATNESS = 0.25
"""Thickness of a splat on a surface relative to its width."""
MOST_SWEPT = 8
"""Photos beyond which a sweep would take too long; the time grows with the square of their number."""
SWEPT_SIDE = 200
"""Longest side of the photos that planes are swept through [px]."""
SWEPT_SHARE, GUESSED_SHARE = 0.5, 0.35
"""Largest shares of the budget that start on what a sweep found, and on what it did not."""
GUESSED_SIGMA = 1.5
"""Size of a splat whose depth is a guess [px of the sweep], at a spacing of 2: no gap may show what is behind."""
OPACITY = 0.5
"""Opacity of a splat on a surface: it is certain that something is there."""


@dataclass(frozen=True)
class Start:
    """What a fit starts from."""

    splats: Gaussians
    extent: float
    """Typical distance of a point from the middle of the scene [m]."""
    notes: tuple[str, ...]
    swept: bool = False
    """Whether it is a sweep of planes through a few photos; then `FitConfig.for_few_views` keeps it in shape."""


def first_splats(
    capture: Capture,
    levels: Sequence[Sequence[Target]],
    *,
    seed: int,
    budget: int,
    threads: int,
    progress: Callable[[str, float], None],
) -> Start:
    """Splats at what depth and the capture's points say; points are triangulated when it has none.

    Args:
        capture: Posed photos; held-out ones are not looked at.
        levels: Training photos, coarse first.
        seed: Seed of what is drawn.
        budget: Most splats.
        threads: Threads for matching.
        progress: Told the stage and its share.
    """
    from scene3d.capture import random_points_in_frusta
    from scene3d.capture._depth_points import confirmed

    views = _depth_views(levels[1])
    surface, known = _surface(views, budget, seed)
    notes: list[str] = []
    if len(surface.points):
        where = f"known and believed in {100 * known:.0f} % of the pixels"
        notes.append(f"{len(surface.points)} points come from sensor depth, {where}.")
    seen = replace(capture, views=capture.split()[0])
    cloud = _sparse(seen, threads, progress, notes)
    if has_silhouettes(levels[-1]):
        cloud = _cut_out(cloud, surface, levels[-1], seed, notes)
    elif len(cloud.points) + len(surface.points) < FEWEST_POINTS:
        start = _swept_start(levels[-1], seed=seed, budget=budget, notes=notes)
        if start is not None:
            return start
        cloud = random_points_in_frusta(seen, RANDOM_POINTS, seed)
        notes.append("Too few points could be matched; fitting starts from random points within the views.")
    if len(surface.points):
        cloud = _some(cloud, confirmed(cloud.points, views))
    gaps = fill_gaps(_together(surface, cloud), levels[0], most=round(GAP_SHARE * budget), seed=seed)
    return _start(surface, cloud, gaps, seed=seed, budget=budget, notes=tuple(notes))


def _swept_start(photos: Sequence[Target], *, seed: int, budget: int, notes: list[str]) -> Start | None:
    """Splats from a sweep of planes through a few photos; None where it shows no surface."""
    import numpy as np

    from scene3d.capture import PointCloud
    from scene3d.capture._depth_points import DepthView, fused_surface
    from scene3d.capture._plane_sweep import SURFACE, sweep

    if not 2 <= len(photos) <= MOST_SWEPT:
        return None
    views = [_sweep_view(photo) for photo in photos]
    found, _ = sweep(views)
    seen = [
        DepthView(v.camera, v.rgb, np.where((f.kind == SURFACE) & v.valid, f.depth, np.float32(0)))
        for v, f in zip(views, found, strict=True)
    ]
    surface = fused_surface(seen, most=round(SWEPT_SHARE * budget), seed=seed)
    if len(surface.points) < FEWEST_POINTS:
        return None
    share = float(np.mean([(view.depth > 0).mean() for view in seen]))
    notes.append(
        f"Too few points could be matched; comparing the photos over planes explains {100 * share:.0f} % of the "
        "pixels. Depth of the rest is a guess: it looks right from the photos, and may not from elsewhere."
    )
    fill = _guessed(views, found, round(GUESSED_SHARE * budget), seed)
    cloud = PointCloud(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.uint8))
    start = _start(surface, cloud, fill, seed=seed, budget=budget, notes=tuple(notes), opacity=OPACITY)
    return replace(start, swept=True)


def _sweep_view(photo: Target) -> SweepView:
    """A photo at the size of the sweep."""
    import cv2
    import numpy as np

    from scene3d.capture._plane_sweep import SweepView

    camera = photo.camera.fitted(SWEPT_SIDE)
    size = (camera.width, camera.height)
    rgb = np.asarray(cv2.resize(photo.rgb.numpy(), size, interpolation=cv2.INTER_AREA), dtype=np.float32)
    valid = np.ones(rgb.shape[:2], dtype=bool)
    if photo.valid is not None:
        valid = cv2.resize(photo.valid.numpy(), size, interpolation=cv2.INTER_NEAREST) != 0
    return SweepView(camera, rgb, valid)


def _guessed(views: Sequence[SweepView], found: Sequence[Swept], most: int, seed: int) -> GapPoints:
    """Points on every second pixel whose depth is a guess."""
    import numpy as np

    from scene3d.capture._geometry import Poses, unproject
    from scene3d.capture._plane_sweep import SURFACE

    rows = []
    for view, one in zip(views, found, strict=True):
        poses = Poses.of([view.camera])
        row, column = (part.ravel() for part in np.mgrid[: one.depth.shape[0] : 2, : one.depth.shape[1] : 2])
        taken = (one.kind[row, column] != SURFACE) & view.valid[row, column]
        row, column = row[taken], column[taken]
        z = one.depth[row, column].astype(np.float64)
        world = poses.centres[0] + unproject(poses, np.stack([column + 0.5, row + 0.5], axis=1), 0) * z[:, None]
        rows.append(
            np.concatenate([world, view.rgb[row, column], (GUESSED_SIGMA * z / poses.K[0, 0, 0])[:, None]], axis=1)
        )
    table = np.concatenate(rows).astype(np.float32)
    if len(table) > most:
        table = table[np.sort(np.random.default_rng(seed).choice(len(table), most, replace=False))]
    return GapPoints(table[:, :3], table[:, 3:6], table[:, 6])


def _depth_views(photos: Sequence[Target]) -> list[DepthView]:
    from scene3d.capture._depth_points import DepthView

    return [DepthView(p.camera, p.rgb.numpy(), p.depth.numpy()) for p in photos if p.depth is not None]


def _surface(views: Sequence[DepthView], budget: int, seed: int) -> tuple[Surface, float]:
    """What sensor depth shows, and the share of its pixels in which it is known."""
    import numpy as np

    from scene3d.capture._depth_points import fused_surface

    known = sum(float((view.depth > 0).mean()) for view in views) / max(len(views), 1)
    surface = fused_surface(views, most=round(SURFACE_SHARE * budget), seed=seed)
    return (surface, known) if len(surface.points) >= FEWEST_POINTS else (surface[np.zeros(0, np.int64)], 0.0)


def _sparse(capture: Capture, threads: int, progress: Callable[[str, float], None], notes: list[str]) -> PointCloud:
    """The capture's own points or triangulated ones.

    Points from matches are worth their time beside depth as well: they mark where there is texture, which is where
    many small splats are needed.
    """
    from scene3d.capture import triangulate

    if capture.points is not None and len(capture.points.points) >= FEWEST_POINTS:
        return capture.points
    cloud = triangulate(capture, threads=threads, progress=progress)
    notes.append(f"{len(cloud.points)} points were triangulated from matches between the photos.")
    return cloud


def _cut_out(cloud: PointCloud, surface: Surface, photos: Sequence[Target], seed: int, notes: list[str]) -> PointCloud:
    """Only points within all silhouettes of the object; drawn there when hardly any are."""
    kept = within_silhouettes(cloud.points, photos)
    if kept.sum() + len(surface.points) >= FEWEST_POINTS:
        return _some(cloud, kept)
    hull = hull_points(photos, RANDOM_POINTS, seed)
    if len(hull.points) < FEWEST_POINTS:
        return cloud  # Silhouettes that contradict each other; fitting has to find out.
    notes.append("Fitting starts from random points within the silhouettes of the object.")
    return hull


def _some(cloud: PointCloud, kept: NDArray[np.bool_]) -> PointCloud:
    from scene3d.capture import PointCloud

    return PointCloud(cloud.points[kept], cloud.colors[kept])


def _together(surface: Surface, cloud: PointCloud) -> PointCloud:
    import numpy as np

    from scene3d.capture import PointCloud

    if not len(surface.points):
        return cloud
    colors = (255.0 * surface.colors).round().astype(np.uint8)
    return PointCloud(np.concatenate([surface.points, cloud.points]), np.concatenate([colors, cloud.colors]))


def _start(
    surface: Surface,
    cloud: PointCloud,
    fill: GapPoints,
    *,
    seed: int,
    budget: int,
    notes: tuple[str, ...],
    opacity: float = 0.1,
) -> Start:
    import numpy as np
    import torch

    points, colors = cloud.points, cloud.colors
    room = budget - len(fill.points) - len(surface.points)
    if len(points) > room:
        chosen = np.sort(np.random.default_rng(seed).choice(len(points), room, replace=False))
        points, colors = points[chosen], colors[chosen]
    everything = np.concatenate([surface.points, points])
    distance = np.linalg.norm(everything - np.median(everything, axis=0), axis=1)
    extent = float(np.mean(distance[distance <= np.quantile(distance, 0.99)]))
    gaps = _gaps_between(everything)
    gaps = np.clip(gaps, 1e-4 * extent, np.quantile(gaps, 0.99)).astype(np.float32)
    sparse = Gaussians.from_points(
        torch.from_numpy(np.ascontiguousarray(points, dtype=np.float32)),
        # Off black: a colour of exactly zero sits on the kink of the renderer's max(0, colour).
        torch.from_numpy(colors.astype(np.float32) / 255.0).clamp(0.01, 0.99),
        sigma=torch.from_numpy(gaps[len(surface.points) :]),
        opacity=0.1,
    )
    behind = Gaussians.from_points(
        torch.from_numpy(fill.points),
        torch.from_numpy(fill.colors),
        sigma=torch.from_numpy(fill.sigma),
        opacity=opacity,
    )
    parts = [sparse, behind]
    if len(surface.points):
        parts.insert(0, _flat_splats(surface, gaps[: len(surface.points)]))
    return Start(Gaussians.cat(parts), extent, notes)


def _gaps_between(points: NDArray[np.float32]) -> NDArray[np.float64]:
    """Mean distance of each point to its three nearest neighbours, shape (M,)."""
    from scipy.spatial import KDTree

    return KDTree(points).query(points, k=4, workers=-1)[0][:, 1:].mean(axis=1)  # type: ignore[index]


def _flat_splats(surface: Surface, gaps: NDArray[np.float32]) -> Gaussians:
    """Discs that lie in the surface: their local z axis is its normal."""
    import math

    import torch

    splats = Gaussians.from_points(
        torch.from_numpy(surface.points),
        torch.from_numpy(surface.colors).clamp(0.01, 0.99),
        sigma=torch.from_numpy(gaps),
        opacity=OPACITY,
    )
    normal = torch.from_numpy(surface.normals)
    # A disc has no sides: turned to the upper half, the quaternion from z to the normal never degenerates.
    normal = torch.where(normal[:, 2:] < 0, -normal, normal)
    quats = torch.stack([1 + normal[:, 2], -normal[:, 1], normal[:, 0], torch.zeros(len(normal))], dim=1)
    splats.quats[:] = torch.nn.functional.normalize(quats, dim=1)
    splats.scales[:, 2] += math.log(FLATNESS)
    return splats
