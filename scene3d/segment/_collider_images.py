"""One view of all objects, and what it says about one of them: its outline as a distance, and its surface.

The renderer carries, for each label, the share of the pixel that it takes and the first two moments of its depth.
Where the object takes more than half of what is seen the pixel is the object's. Pixels of things that stand in front
say nothing about it. Splats are a fuzzy layer around the surface that they stand for, mostly behind it: on fitted
scenes with known surfaces a ray has met `FRONT` standard deviations less than its mean depth where the surface is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

    from scene3d._camera import Camera
    from scene3d._gaussians import Gaussians
    from scene3d.segment._collider_grid import Grid

__all__ = ["ObjectImages", "SeenObjects", "object_images", "observe_objects"]

LONGEST_SIDE = 480
"""Size at which views are rendered [px]."""
FRONT = 0.55
FEWEST_PIXELS = 20
"""A view shows the object when it has at least this many of its pixels."""
SOLID = 0.5
"""Opacity from which a pixel shows anything."""
OPENING = 0.1
"""An opening has pixels of which the object takes less than this."""
FINER = 2
"""Outlines are traced at this many times the pixels."""


@dataclass(frozen=True, eq=False)
class SeenObjects:
    """One rendered view of L labels, the background among them."""

    camera: Camera
    """Single view of these pixels."""
    share: NDArray[np.float32]
    """Weight of each label, shape (H, W, L)."""
    first: NDArray[np.float32]
    """Sum of weight times camera z [scene units], shape (H, W, L)."""
    second: NDArray[np.float32]
    """Sum of weight times its square, shape (H, W, L)."""


@dataclass(frozen=True, eq=False)
class ObjectImages:
    """The part of a view that shows one object's box, (h, w) pixels of it."""

    camera: Camera
    """The whole view."""
    left: int
    """Column of the view where the part begins."""
    top: int
    """Row of the view where it begins."""
    fields: NDArray[np.float32]
    """Distance to the outline, positive inside, NaN where something stands in front [px]; camera z of the seen surface,
    NaN where the pixel is not the object's [scene units]; how sure that is, 0 to 1; shape (3, h, w)."""
    spread: NDArray[np.float32]
    """Standard deviation of the depth of the splats that make up a pixel, NaN as before [scene units], shape (h, w)."""


def observe_objects(splats: Gaussians, of_splat: Tensor, objects: int, camera: Camera) -> SeenObjects:
    """Render label shares and depth moments of labels 0 to ``objects`` of N splats in the world's frame."""
    import torch

    from scene3d.render import render

    camera = camera.fitted(LONGEST_SIDE)
    labels = objects + 1
    with torch.no_grad():
        splats = replace(splats.detach(), shN=splats.shN.detach()[:, :0])  # Colours play no part.
        T = camera.T_world_cam.to(splats.means)
        z = (splats.means - T[:3, 3]) @ T[:3, 2]
        known = (of_splat >= 0).to(z)  # Nobody knows what the others are.
        row, label = torch.arange(len(z), device=z.device), of_splat.clamp_min(0).to(z.device)
        moments = z.new_zeros(len(z), 3 * labels)
        for power in range(3):
            moments[row, power * labels + label] = known * z**power
        frame = render(splats, camera, features=moments)
    assert frame.features is not None
    features = frame.features.cpu().numpy()
    parts = (features[..., i * labels : (i + 1) * labels] for i in range(3))
    return SeenObjects(camera, *parts)


def object_images(seen: SeenObjects, label: int, grid: Grid) -> ObjectImages | None:
    """What a view says about one object within its grid; None when it does not show it."""
    part = _part(seen.camera, grid)
    if part is None:
        return None
    top, bottom, left, right = part
    share, first, second = (field[top:bottom, left:right] for field in (seen.share, seen.first, seen.second))
    total = share.sum(axis=-1)
    own = share[..., label] / np.maximum(total, 1e-6) * np.clip(total / SOLID, 0, 1)
    if (own > 0.5).sum() < FEWEST_PIXELS:
        return None
    nearest = _entry(seen.camera, grid, part)
    depth = first.sum(axis=-1) / np.maximum(total, 1e-6)
    hidden = (own <= 0.5) & (((total > SOLID) & (depth < nearest)) | _translucent(own))
    inside = _signed_distance(own, hidden)
    weight = np.maximum(share[..., label], 1e-6)
    mean = first[..., label] / weight
    spread = np.sqrt(np.maximum(second[..., label] / weight - mean * mean, 0))
    surface = np.where(own > 0.5, mean - FRONT * spread, np.nan)
    sure = np.where(own > 0.5, 2 * own - 1, 0)  # A pixel that mixes object and surroundings is worth little.
    fields = np.stack([inside, surface, sure]).astype(np.float32)
    return ObjectImages(seen.camera, left, top, fields, np.where(own > 0.5, spread, np.nan).astype(np.float32))


def _part(camera: Camera, grid: Grid) -> tuple[int, int, int, int] | None:
    """Rows and columns (top, bottom, left, right) that show the grid's box; None when it is not wholly in front."""
    T = np.linalg.inv(camera.T_world_cam.double().numpy())
    corners = grid.corners() @ T[:3, :3].T + T[:3, 3]
    if corners[:, 2].min() <= 1e-6:
        return None
    pixels = corners @ camera.K.double().numpy().T
    pixels = pixels[:, :2] / pixels[:, 2:]
    low, high = np.floor(pixels.min(axis=0)).astype(int) - 2, np.ceil(pixels.max(axis=0)).astype(int) + 2
    left, top = max(0, int(low[0])), max(0, int(low[1]))
    right, bottom = min(camera.width, int(high[0])), min(camera.height, int(high[1]))
    return (top, bottom, left, right) if bottom - top > 3 and right - left > 3 else None


def _entry(camera: Camera, grid: Grid, part: tuple[int, int, int, int]) -> NDArray[np.float64]:
    """Camera z at which each pixel's ray enters the grid's box, infinite where it misses, less a cell of slack."""
    top, bottom, left, right = part
    K, T = camera.K.double().numpy(), camera.T_world_cam.double().numpy()
    columns, rows = np.meshgrid(np.arange(left, right) + 0.5, np.arange(top, bottom) + 0.5)
    rays = np.stack([(columns - K[0, 2]) / K[0, 0], (rows - K[1, 2]) / K[1, 1], np.ones_like(rows)], axis=-1)
    rays = rays @ (grid.axes @ T[:3, :3]).T
    start = grid.axes @ T[:3, 3]
    rays = np.where(np.abs(rays) < 1e-12, 1e-12, rays)
    ends = np.stack([(grid.low - start) / rays, (grid.low + grid.cell * np.asarray(grid.shape) - start) / rays])
    enter, leave = ends.min(axis=0).max(axis=-1), ends.max(axis=0).min(axis=-1)
    return np.where(enter < leave, enter, 0.0) - 2 * grid.cell


def _translucent(own: NDArray) -> NDArray[np.bool_]:
    """Holes in the outline through which the surroundings only shimmer: haze in a hollow, not an opening."""
    import cv2

    holes = np.asarray(cv2.connectedComponents((own <= 0.5).astype(np.uint8), connectivity=4)[1], dtype=np.int64)
    clearest = np.full(holes.max() + 1, np.inf)
    np.minimum.at(clearest, holes.ravel(), own.ravel())
    return (clearest > OPENING)[holes]


def _signed_distance(own: NDArray, hidden: NDArray) -> NDArray[np.float32]:
    """Distance to where the object's share falls to half, positive inside [px]; beyond hidden pixels it may go on."""
    import cv2

    height, width = own.shape
    size = (width * FINER, height * FINER)
    is_own = cv2.resize(own.astype(np.float32), size, interpolation=cv2.INTER_LINEAR) > 0.5
    free = ~is_own & (cv2.resize(hidden.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) == 0)
    into = cv2.distanceTransform((~free).astype(np.uint8), cv2.DIST_L2, 5) if free.any() else np.full(free.shape, 1e3)
    away = cv2.distanceTransform((~is_own).astype(np.uint8), cv2.DIST_L2, 5)
    signed = np.where(free, 0.5 - away, np.minimum(into, 1e3) - 0.5) / FINER
    signed = np.asarray(cv2.resize(signed.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA))
    return np.where(hidden, np.nan, signed).astype(np.float32)
