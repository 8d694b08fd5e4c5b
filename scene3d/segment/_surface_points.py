"""Where the surfaces of a scene are, as one cloud of points with colours and weights.

Splats are asked, but not by rendering depth: textureless tops are fitted by haze that reaches centimetres deep, and the
mean depth of a pixel lies inside of it. The centres of splats that a photo really shows, weighted by how much of the
photos they make up, lie on the surfaces much more closely. Depth that a sensor measured is not asked again: it took
part in the fit, and it often lies some pixels beside the photos, where outlines would follow it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from scene3d.segment._vote import vote

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from scene3d._camera import Camera
    from scene3d._gaussians import Gaussians

__all__ = ["Surface", "spread_views", "surface_points"]

MOST_VIEWS = 24
"""Views that are looked through; more of them tell little more."""
LONGEST_SIDE = 320
"""Size of the views [px]."""
LEAST_WEIGHT = 0.5
"""A splat counts when it makes up this much of all views together [px]."""
LEAST_OPACITY = 0.2
LARGEST = 0.03
"""Splats that are larger than this share of their distance are haze or backdrop."""


@dataclass(frozen=True, eq=False)
class Surface:
    """M points on surfaces."""

    points: NDArray[np.float64]
    """World positions [scene units], shape (M, 3)."""
    colours: NDArray[np.float64]
    """sRGB, shape (M, 3)."""
    weights: NDArray[np.float64]
    """How much of the views each makes up [px], shape (M,)."""
    splat: NDArray[np.int64]
    """Splat that each is the centre of, shape (M,)."""
    axes: NDArray[np.float64]
    """The two longest half axes of the splat, one standard deviation long, shape (M, 2, 3)."""
    aim: NDArray[np.float64]
    """How near to the middle of the photos each was seen, 0 to 1, shape (M,)."""
    distance: float
    """Median distance of surfaces from the cameras [scene units]: the yardstick of scenes that are not metric."""
    weight_of_splat: NDArray[np.float64] | None = None
    """Weight of every splat of the scene, also of those that are no surface, shape (N,)."""


def spread_views(count: int, most: int = MOST_VIEWS) -> list[int]:
    """Indices of at most ``most`` of ``count`` views, spread evenly."""
    return sorted({int(i) for i in np.linspace(0, count - 1, min(count, most)).round()})


def surface_points(splats: Gaussians, cameras: Sequence[Camera]) -> Surface:
    """The surfaces of a scene.

    Args:
        splats: N splats in the world.
        cameras: Single views.
    """
    import torch

    from scene3d._gaussians import SH_C0

    cameras = [cameras[i].fitted(LONGEST_SIDE) for i in spread_views(len(cameras))]
    weights, aim = _contributions(splats, cameras)
    means = splats.means.detach().cpu().double().numpy()
    distance = _distance(means, weights, cameras)
    size = splats.scales.detach().exp().amax(dim=1).cpu().double().numpy()
    opaque = torch.sigmoid(splats.opacities.detach()).cpu().numpy() > LEAST_OPACITY
    kept = np.flatnonzero((weights > LEAST_WEIGHT) & opaque & (size < LARGEST * distance))
    colours = np.clip(splats.sh0.detach()[:, 0].cpu().double().numpy() * SH_C0 + 0.5, 0, 1)
    share = aim / np.maximum(weights, 1e-9)
    axes = _half_axes(splats, kept)
    return Surface(means[kept], colours[kept], weights[kept], kept, axes, share[kept], distance, weights)


def _half_axes(splats: Gaussians, index: NDArray[np.int64]) -> NDArray[np.float64]:
    """The two longest half axes (M, 2, 3) of splats."""
    from dynamics.poses import rotation_from_wxyz

    rotations = rotation_from_wxyz(splats.quats.detach().cpu().double()[index]).numpy()
    scales = np.exp(splats.scales.detach().cpu().double().numpy()[index])
    longest = np.argsort(-scales, axis=1, kind="stable")[:, :2]
    rows = np.arange(len(index))[:, None]
    return np.swapaxes(rotations, 1, 2)[rows, longest] * scales[rows, longest, None]


def _contributions(splats: Gaussians, cameras: Sequence[Camera]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Pixels that each splat makes up, of all and weighted by how near they are to the middle of the photos."""
    maps = [np.zeros((camera.height, camera.width), dtype=np.int32) for camera in cameras]
    middle = [_middle(camera).astype(np.float32) for camera in cameras]
    total = vote(splats, cameras, maps, 1)[:, 0]
    aim = vote(splats, cameras, maps, 1, weights=middle)[:, 0]
    return total.double().cpu().numpy(), aim.double().cpu().numpy()


def _middle(camera: Camera) -> NDArray[np.float64]:
    """1 in the middle of a picture, falling off towards its border: people aim at what they want, shape (H, W)."""
    x = (np.arange(camera.width) + 0.5) / camera.width - 0.5
    y = (np.arange(camera.height) + 0.5) / camera.height - 0.5
    return np.exp(-0.5 * (x[None] ** 2 + y[:, None] ** 2) / 0.25**2)


def _distance(means: NDArray, weights: NDArray, cameras: Sequence[Camera]) -> float:
    """Median distance from cameras to splats, by their weights."""
    seen = np.flatnonzero(weights > 0)
    if not len(seen):
        return 1.0
    centres = np.stack([camera.position.cpu().double().numpy() for camera in cameras[:: max(1, len(cameras) // 6)]])
    away = np.median(np.linalg.norm(means[seen][:, None] - centres[None], axis=-1), axis=1)
    order = np.argsort(away)
    total = np.cumsum(weights[seen][order])
    return float(away[order][np.searchsorted(total, 0.5 * total[-1])])
