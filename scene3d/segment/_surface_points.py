"""Where the surfaces of a scene are, as one cloud of points with colours and weights.

A sensor that measured depth for most photos knows best, so its maps are taken when they are there: one point for each
pixel of a few views. Otherwise splats are asked, but not by rendering depth: textureless tops are fitted by haze that
reaches centimetres deep, and the mean depth of a pixel lies inside of it. The centres of splats that a photo really
shows, weighted by how much of the photos they make up, lie on the surfaces much more closely.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from scene3d._errors import CaptureError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from scene3d._camera import Camera
    from scene3d._gaussians import Gaussians
    from scene3d.capture._capture import View

__all__ = ["DepthView", "Surface", "spread_views", "surface_points"]

MOST_VIEWS = 24
"""Views that are looked through; more of them tell little more."""
LONGEST_SIDE = 320
"""Size of the views [px]."""
LEAST_SHARE = 0.5
"""Share of photos that must have depth for the sensor to be believed."""
LEAST_WEIGHT = 0.5
"""A splat counts when it makes up this much of all views together [px]."""
LEAST_OPACITY = 0.2
LARGEST = 0.03
"""Splats that are larger than this share of their distance are haze or backdrop."""
SLANTED = 0.03
"""Neighbouring pixels whose depth differs by more than this share are an edge, where sensors mix near and far."""


@dataclass(frozen=True, eq=False)
class DepthView:
    """A view whose depth a sensor measured."""

    camera: Camera
    depth: NDArray[np.float32]
    """Camera z [scene units], 0 where unknown, shape (H, W)."""

    def points(self) -> NDArray[np.float64]:
        """World positions, shape (H, W, 3)."""
        K = self.camera.K.double().cpu().numpy()
        T = self.camera.T_world_cam.double().cpu().numpy()
        u, v = np.meshgrid(np.arange(self.camera.width) + 0.5, np.arange(self.camera.height) + 0.5)
        rays = np.stack([(u - K[0, 2]) / K[0, 0], (v - K[1, 2]) / K[1, 1], np.ones_like(u)], axis=-1)
        return np.asarray((rays * self.depth[..., None]) @ T[:3, :3].T + T[:3, 3], dtype=np.float64)


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
    """Splat that each is the centre of; -1 for points of a sensor, shape (M,)."""
    axes: NDArray[np.float64]
    """The two longest half axes of the splat, one standard deviation long; zero for a sensor, shape (M, 2, 3)."""
    aim: NDArray[np.float64]
    """How near to the middle of the photos each was seen, 0 to 1, shape (M,)."""
    distance: float
    """Median distance of surfaces from the cameras [scene units]: the yardstick of scenes that are not metric."""
    depths: tuple[DepthView | None, ...] = ()
    """Measured depth by view; empty when the points are those of splats."""
    weight_of_splat: NDArray[np.float64] | None = None
    """Weight of every splat of the scene, also of those that are no surface, shape (N,)."""


def spread_views(count: int, most: int = MOST_VIEWS) -> list[int]:
    """Indices of at most ``most`` of ``count`` views, spread evenly."""
    return sorted({int(i) for i in np.linspace(0, count - 1, min(count, most)).round()})


def surface_points(splats: Gaussians, cameras: Sequence[Camera], photos: Sequence[View | None] = ()) -> Surface:
    """The surfaces of a scene.

    Args:
        splats: N splats in the world.
        cameras: Single views.
        photos: Photo of each camera, None where it is not known; they may have measured depth.
    """
    chosen = spread_views(len(cameras))
    small = [cameras[i].fitted(LONGEST_SIDE) for i in chosen]
    measured = _measured([photos[i] for i in chosen], small) if len(photos) == len(cameras) else []
    if sum(depth is not None for depth in measured) >= max(1.0, LEAST_SHARE * len(chosen)):
        return _of_sensor(splats, small, measured)
    return _of_splats(splats, small)


def _of_splats(splats: Gaussians, cameras: Sequence[Camera]) -> Surface:
    import torch

    from scene3d._gaussians import SH_C0

    weights, aim = _contributions(splats, cameras)
    means = splats.means.detach().cpu().double().numpy()
    distance = _distance(means, weights, cameras)
    size = splats.scales.detach().exp().amax(dim=1).cpu().double().numpy()
    opaque = torch.sigmoid(splats.opacities.detach()).cpu().numpy() > LEAST_OPACITY
    kept = np.flatnonzero((weights > LEAST_WEIGHT) & opaque & (size < LARGEST * distance))
    colours = np.clip(splats.sh0.detach()[:, 0].cpu().double().numpy() * SH_C0 + 0.5, 0, 1)
    share = aim / np.maximum(weights, 1e-9)
    axes = _half_axes(splats, kept)
    return Surface(means[kept], colours[kept], weights[kept], kept, axes, share[kept], distance, (), weights)


def _half_axes(splats: Gaussians, index: NDArray[np.int64]) -> NDArray[np.float64]:
    """The two longest half axes (M, 2, 3) of splats."""
    from dynamics.poses import rotation_from_wxyz

    rotations = rotation_from_wxyz(splats.quats.detach().cpu().double()[index]).numpy()
    scales = np.exp(splats.scales.detach().cpu().double().numpy()[index])
    longest = np.argsort(-scales, axis=1, kind="stable")[:, :2]
    rows = np.arange(len(index))[:, None]
    return np.swapaxes(rotations, 1, 2)[rows, longest] * scales[rows, longest, None]


def _of_sensor(splats: Gaussians, cameras: Sequence[Camera], measured: Sequence[DepthView | None]) -> Surface:
    from scene3d.render import render

    points, colours, aim, distances = [], [], [], []
    for camera, view in zip(cameras, measured, strict=True):
        if view is None:
            continue
        good = (view.depth > 0) & ~_edges(view.depth)
        points.append(view.points()[good])
        distances.append(np.linalg.norm(points[-1] - camera.position.cpu().double().numpy(), axis=1))
        colours.append(render(splats.detach(), camera).rgb.cpu().double().numpy()[good].clip(0, 1))
        aim.append(_middle(camera)[good])
    cloud = np.concatenate(points)
    return Surface(
        cloud,
        np.concatenate(colours),
        np.ones(len(cloud)),
        np.full(len(cloud), -1),
        np.zeros((len(cloud), 2, 3)),
        np.concatenate(aim),
        float(np.median(np.concatenate(distances))),
        tuple(measured),
    )


def _measured(photos: Sequence[View | None], cameras: Sequence[Camera]) -> list[DepthView | None]:
    """Sensor depth on the pixels of small cameras, None where there is none or its file is gone."""
    from scene3d.capture._depth_maps import load_depth

    if sum(photo is not None and photo.depth is not None for photo in photos) < LEAST_SHARE * len(photos):
        return []
    maps: list[DepthView | None] = []
    for photo, camera in zip(photos, cameras, strict=True):
        if photo is None or photo.depth is None:
            maps.append(None)
            continue
        try:
            depth = load_depth(photo, photo.camera.resized(camera.width, camera.height))
        except CaptureError:
            maps.append(None)
            continue
        maps.append(DepthView(camera, depth))
    return maps


def _contributions(splats: Gaussians, cameras: Sequence[Camera]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Pixels that each splat makes up, of all and weighted by how near they are to the middle of the photos."""
    import torch

    from scene3d.render import render

    splats = splats.detach()
    total = torch.zeros(len(splats), 2, dtype=torch.float64)
    for camera in cameras:
        probe = torch.zeros(len(splats), 2, device=splats.means.device, requires_grad=True)
        frame = render(splats, camera, features=probe)
        assert frame.features is not None
        middle = torch.from_numpy(_middle(camera)).to(frame.features)
        maps = torch.stack([torch.ones_like(middle), middle], dim=-1)
        total += torch.autograd.grad(frame.features, probe, maps)[0].double().cpu()
    return total[:, 0].numpy(), total[:, 1].numpy()


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


def _edges(depth: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Pixels beside a jump of depth or a hole."""
    edge = np.zeros(depth.shape, dtype=bool)
    for axis in (0, 1):
        a, b = np.moveaxis(depth, axis, 0)[:-1], np.moveaxis(depth, axis, 0)[1:]
        jump = np.abs(a - b) > SLANTED * np.minimum(a, b)
        view = np.moveaxis(edge, axis, 0)
        view[:-1] |= jump
        view[1:] |= jump
    return edge
