"""Splats that belong to an object but lie under its support -> the same splats, just above the support.

The bottom of a shiny bowl is fitted by what mirrors in it: splats below the table, seen through a bottom that is hardly
there. They are the object's, since photos show them within it, but whatever the table is filled up with would hide
them. Moved towards the cameras that see them, along their rays, until they lie within the object, they look the same
from these cameras, and move with the object.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from scene3d.segment._body_frame import support_under
from scene3d.segment._vote import vote

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from scene3d._camera import Camera
    from scene3d._gaussians import Gaussians
    from scene3d._support import SupportPlane

__all__ = ["raise_reflections"]

MOST_VIEWS, SIDE = 24, 320
"""Views that are asked which splats they see, and their size [px]."""
ABOVE = 0.03
"""Reflections are brought this far above the support, as a share of the object's height."""
FLAT = 0.05
"""What is left of their extent along the support's normal."""


def raise_reflections(
    splats: Gaussians, of_splat: Tensor, objects: int, cameras: Sequence[Camera], supports: Sequence[SupportPlane]
) -> Gaussians:
    """Bring objects' splats from under their supports to just above them.

    Args:
        splats: N splats in the world's frame.
        of_splat: Component of each: 0 the background, i + 1 object i, shape (N,).
        objects: Number of objects.
        cameras: Views of the scene.
        supports: What objects stand on.
    """
    places = splats.means.detach().double().cpu().numpy()
    label = of_splat.cpu().numpy()
    found: list[tuple[NDArray[np.int64], SupportPlane, float]] = []
    for index in range(objects):
        own = np.flatnonzero(label == index + 1)
        support = support_under(places[own], tuple(supports)) if len(own) else None
        if support is None:
            continue
        heights = support.heights(places[own])
        under = own[heights < 0]
        if len(under):
            found.append((under, support, ABOVE * float(np.quantile(heights, 0.98))))
    if not found:
        return splats
    views = [camera.fitted(SIDE) for camera in cameras[:: max(1, -(-len(cameras) // MOST_VIEWS))]]
    blank = [np.zeros((view.height, view.width), dtype=np.int64) for view in views]
    seen = [
        vote(splats, [view], [map_], 1)[:, 0].double().cpu().numpy() for view, map_ in zip(views, blank, strict=True)
    ]
    for under, support, height in found:
        shares = np.stack([each[under] for each in seen], axis=1)
        splats = _raised(splats, under, support, height, views, shares)
    return splats


def _raised(
    splats: Gaussians,
    under: NDArray[np.int64],
    support: SupportPlane,
    height: float,
    views: Sequence[Camera],
    seen: NDArray[np.float64],
) -> Gaussians:
    """Splats ``under`` (U,) a support where the rays of those who see them, shares (U, V), cross a height above it."""
    import torch

    eyes = np.stack([view.position.detach().double().cpu().numpy() for view in views])
    places = splats.means.detach().double().cpu().numpy()[under]
    eye_heights, depths = support.heights(eyes), support.heights(places)
    above = eye_heights > height
    seen = np.where(above, seen, 0.0)
    shown = seen.sum(axis=1) > 0
    under, places, depths, seen = under[shown], places[shown], depths[shown], seen[shown]
    if not len(under):
        return splats
    share = (eye_heights - height) / np.where(above, eye_heights - depths[:, None], 1.0)
    weights = seen / seen.sum(axis=1, keepdims=True)
    crossing = eyes + share[..., None] * (places[:, None] - eyes)
    means = (weights[..., None] * crossing).sum(axis=1)
    nearer = (weights * share).sum(axis=1)
    index = torch.from_numpy(under).to(splats.means.device)
    quats, scales = _flattened(splats.quats[index], splats.scales[index], nearer, support.normal)
    moved = [splats.means.clone(), splats.quats.clone(), splats.scales.clone()]
    for values, new in zip(moved, (torch.from_numpy(means), quats, scales), strict=True):
        values[index] = new.to(values)
    return replace(splats, means=moved[0], quats=moved[1], scales=moved[2])


def _flattened(quats: Tensor, scales: Tensor, factor: NDArray, normal: NDArray) -> tuple[Tensor, Tensor]:
    """Quaternions (U, 4) and log scales (U, 3) after shrinking by factors (U,) and pressing flat along a normal."""
    import torch

    from dynamics.poses import rotation_from_wxyz, wxyz_from_rotation

    R = rotation_from_wxyz(torch.nn.functional.normalize(quats.detach().double().cpu(), dim=1))
    n = torch.from_numpy(np.array(normal))
    press = torch.eye(3, dtype=torch.float64) - (1 - FLAT) * n[:, None] * n
    axes = press @ R * scales.detach().double().cpu().exp()[:, None, :] * torch.from_numpy(factor)[:, None, None]
    U, sigma, _ = torch.linalg.svd(axes)
    U = U * torch.cat([torch.ones(len(U), 1, 2), torch.linalg.det(U)[:, None, None]], dim=2)
    return wxyz_from_rotation(U), sigma.clamp_min(1e-9).log()
