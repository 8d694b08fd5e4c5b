"""Labels without masks: what stands on a support is an object.

surface points -> clusters above each support -> splats of a cluster, and those hidden below its footprint -> a vote
over the views, which decides about rims and haze -> objects that the views agree on, the largest first. Where a sensor
measured depth, its maps carry the clusters into the views instead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scene3d._errors import SegmentError
from scene3d.segment._cluster_ground import height_band
from scene3d.segment._cluster_outline import sharpened
from scene3d.segment._cluster_views import agreement, whole_shares
from scene3d.segment._clusters import Cluster, find_clusters
from scene3d.segment._find_supports import basis
from scene3d.segment._labels import Labels
from scene3d.segment._surface_points import LONGEST_SIDE, spread_views
from scene3d.segment._vote import labels_of, vote

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from scene3d._camera import Camera
    from scene3d._gaussians import Gaussians
    from scene3d._support import SupportPlane
    from scene3d.segment._surface_points import Surface

__all__ = ["labels_from_geometry", "splats_of_clusters"]

NEARBY = 0.1
"""An object's splats lie this close to its cluster, as a share of its size."""
LEAST_CONFIDENCE = 0.55
"""An object that stands out less is none."""
FEWEST_SPLATS = 20
CUT = 0.8
"""An object that this share of its views cuts by their border is only partly known."""
LEAST_REACH = 1.0
"""Outlines that are known this well are left alone [px]."""
CLEAR = 0.6
"""Share of its votes that moves a splat away from where its centre lies."""
UNSURE = 0.6
"""A pixel whose largest share is smaller votes for nothing."""


def labels_from_geometry(
    splats: Gaussians,
    cameras: Sequence[Camera],
    surface: Surface,
    supports: Sequence[SupportPlane],
    *,
    metric: bool,
    min_height: float | None = None,
) -> Labels:
    """Objects are what rises above a support.

    Args:
        splats: N splats in the world.
        cameras: Single views.
        surface: As from `surface_points`, of the same splats and cameras.
        supports: As from `find_supports`.
        metric: Whether scene units are metres.
        min_height: What rises less is no object [scene units]; None for 8 mm, or 1 % of the distance to the cameras
            where units are not metres. What the noise of the support may explain is no object either way.

    Raises:
        SegmentError: Nothing stands on the supports.
    """
    clusters: list[Cluster] = []
    for index, support in enumerate(supports):
        band = height_band(support, surface.distance, metric, min_height)
        clusters += find_clusters(surface, support, band, index)
    if not clusters:
        unit = " m" if metric else " scene units"
        heights = [height_band(s, surface.distance, metric, min_height).object for s in supports]
        raise SegmentError(
            f"Nothing rises more than {min(heights, default=0.0):.2g}{unit} above the surface that things could stand "
            "on. Lower it with --min-height, give instance masks, or name things by clicks: --point IMAGE,U,V,NAME."
        )
    feet = [height_band(support, surface.distance, metric, min_height).foot for support in supports]
    of_splat = splats_of_clusters(splats, cameras, surface, supports, clusters, feet)
    views = [cameras[i].fitted(LONGEST_SIDE) for i in spread_views(len(cameras))]
    seen = agreement(list(whole_shares(splats, of_splat, len(clusters) + 1, views)))
    return _sorted(of_splat, seen.confidence, seen.cut, clusters, tuple(supports))


def splats_of_clusters(
    splats: Gaussians,
    cameras: Sequence[Camera],
    surface: Surface,
    supports: Sequence[SupportPlane],
    clusters: Sequence[Cluster],
    feet: Sequence[float],
) -> Tensor:
    """Label of each splat, that of cluster i being i + 1, int64, shape (N,).

    Args:
        splats: N splats in the world.
        cameras: Single views.
        surface: As from `surface_points`, of the same splats and cameras.
        supports: What the clusters stand on.
        clusters: As from `find_clusters`.
        feet: Height of each support's `Band.foot`.
    """
    views = [cameras[i].fitted(LONGEST_SIDE) for i in spread_views(len(cameras))]
    found = _by_splats(splats, views, surface, supports, clusters, feet)
    return _without_far(found, splats, surface, supports, clusters)


def _without_far(
    labels: Tensor, splats: Gaussians, surface: Surface, supports: Sequence[SupportPlane], clusters: Sequence[Cluster]
) -> Tensor:
    """Labels without splats that lie far from their cluster: what lines up with an object, seen through its edges."""
    import torch

    labels = labels.clone()
    means = splats.means.detach().cpu().double().numpy()
    for label, cluster in enumerate(clusters, start=1):
        axes = np.vstack([basis(supports[cluster.support].normal), supports[cluster.support].normal])
        own = surface.points[cluster.points] @ axes.T
        low, high = own.min(axis=0), own.max(axis=0)
        size = float(np.linalg.norm(high - low))
        low, high = low - NEARBY * size, high + NEARBY * size
        low[2] -= size  # Shiny insides are fitted by splats below.
        places = means @ axes.T
        away = ((places < low) | (places > high)).any(axis=1)
        labels[(labels == label) & torch.from_numpy(away).to(labels.device)] = 0
    return labels


def _reach(view: Camera, surface: Surface, feet: Sequence[float]) -> float:
    """How far the noise of a support may move an outline in a view [px]."""
    return float(view.K[0, 0]) * max(feet, default=0.0) / surface.distance


def _by_splats(
    splats: Gaussians,
    views: Sequence[Camera],
    surface: Surface,
    supports: Sequence[SupportPlane],
    clusters: Sequence[Cluster],
    feet: Sequence[float],
) -> Tensor:
    """Labels (N,) of splats, from the clusters of their centres."""
    import torch

    first = np.zeros(len(splats), dtype=np.int64)
    means = splats.means.detach().cpu().double().numpy()
    for label, cluster in enumerate(clusters, start=1):
        support = supports[cluster.support]
        hidden = _below(surface, support, cluster, means, feet[cluster.support])
        first[hidden & (first == 0)] = label
    for label, cluster in enumerate(clusters, start=1):
        first[surface.splat[cluster.points]] = label
    start = torch.from_numpy(first).to(splats.means.device)
    shares = whole_shares(splats, start, len(clusters) + 1, views)
    maps = (
        _edges_found(splats, view, share, _reach(view, surface, feet))
        for view, share in zip(views, shares, strict=True)
    )
    votes = vote(splats, views, maps, len(clusters) + 1)
    result = labels_of(votes)
    # What no view shows keeps the side that it lies on, and so does what only a narrow majority would move: thin
    # things lose their rims to the coarse pixels of the vote.
    clear = votes.amax(dim=1) >= CLEAR * votes.sum(dim=1)
    return torch.where((result < 0) | ((start > 0) & ~clear), start, result)


def _edges_found(splats: Gaussians, view: Camera, shares: NDArray, reach: float) -> NDArray[np.int64]:
    from scene3d.render import render

    decided = _decided(shares)
    if reach < LEAST_REACH:
        return decided
    return sharpened(decided, render(splats.detach(), view).rgb.cpu().numpy(), reach)


def _decided(shares: NDArray) -> NDArray[np.int64]:
    """The label map of a view, -1 where no label clearly has the pixel."""
    best = shares.argmax(axis=-1)
    return np.where(shares.max(axis=-1) >= UNSURE, best, -1)


def _below(surface: Surface, support: SupportPlane, cluster: Cluster, means: NDArray, foot: float) -> NDArray[np.bool_]:
    """Splats at or below the support that a cluster stands on, shape (N,).

    Nobody can see the table below a mug, so whatever a photo shows there is the mug: shiny insides are often fitted by
    splats far below.
    """
    from scipy import ndimage

    points = surface.points[cluster.points]
    heights = support.heights(points)
    low = heights < np.quantile(heights, 0.02) + max(0.25 * np.ptp(heights), 0.01 * surface.distance)
    across = basis(support.normal)
    cell = 0.004 * surface.distance
    places = points[low] @ across.T
    if len(places) < 3:
        return np.zeros(len(means), dtype=bool)
    corner = places.min(axis=0) - 8 * cell
    index = np.floor((places - corner) / cell).astype(np.int64)
    grid = np.zeros(index.max(axis=0) + 9, dtype=bool)
    grid[index[:, 0], index[:, 1]] = True
    disk = ndimage.generate_binary_structure(2, 1)
    filled = ndimage.binary_fill_holes(ndimage.binary_closing(grid, disk, iterations=3))
    filled = ndimage.binary_erosion(filled, disk, iterations=3)
    spot = np.floor((means @ across.T - corner) / cell).astype(np.int64)
    within = ((spot >= 0) & (spot < grid.shape)).all(axis=1)
    spot = np.where(within[:, None], spot, 0)
    return within & np.asarray(filled)[spot[:, 0], spot[:, 1]] & (support.heights(means) <= foot)


def _sorted(
    of_splat: Tensor,
    confidence: Sequence[float],
    cut: Sequence[float],
    clusters: Sequence[Cluster],
    supports: tuple[SupportPlane, ...],
) -> Labels:
    """Objects that are believed, the largest first."""
    import torch

    sizes = torch.bincount(of_splat, minlength=len(clusters) + 1)[1:].tolist()
    kept = [i for i in range(len(clusters)) if confidence[i] >= LEAST_CONFIDENCE and sizes[i] >= FEWEST_SPLATS]
    if not kept:
        raise SegmentError(
            f"{len(clusters)} things seem to stand on a surface, but the photos do not agree on any. Take more photos "
            "all around, give instance masks, or name things by clicks: --point IMAGE,U,V,NAME."
        )
    kept.sort(key=lambda i: -clusters[i].size)
    number = of_splat.new_zeros(len(clusters) + 1)
    for label, index in enumerate(kept, start=1):
        number[index + 1] = label
    names = tuple(f"object-{label}" for label in range(1, len(kept) + 1))
    notes = tuple(
        f"{name} is cut by the border of most photos that show it, so only a part of it is known."
        for name, index in zip(names, kept, strict=True)
        if cut[index] >= CUT
    )
    return Labels(
        names, number[of_splat], tuple(confidence[i] for i in kept), supports, tuple(False for _ in kept), notes
    )
