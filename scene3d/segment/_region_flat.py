"""The outline of a flat thing that was clicked on, from the clicked picture.

A magazine is no higher than the noise of the table, so only its colours tell it apart. The table is looked at straight
from above through the clicked view, which undoes perspective; colours around the click are taken for the thing's,
those far away for its surroundings', and a graph cut with colour models of both finds the border [Rother 2004,
GrabCut].
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from scene3d.segment._find_supports import basis

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from scene3d._camera import Camera
    from scene3d._gaussians import Gaussians
    from scene3d._support import SupportPlane

__all__ = ["FlatRegion", "flat_map", "flat_region"]

SIDE = 240
"""Cells along a side of the window."""
WINDOW = 0.55
"""Side of the window, as a share of the distance from the camera."""
SEED = 0.04
"""Radius of the clicked disc, as a share of the window."""
LARGEST = 0.45
"""What fills more of the window is no thing but a surface."""
SMALLEST = 0.001
ROUNDS = 6
CONTRAST = 2.0
"""Steps of colour along an outline, as a multiple of those around it."""
LEAST_STEP = 0.02


@dataclass(frozen=True, eq=False)
class FlatRegion:
    """A part of a support."""

    support: SupportPlane
    middle: NDArray[np.float64]
    """Middle of the window on the plane [scene units], shape (3,)."""
    cell: float
    """Edge of a cell [scene units]."""
    own: NDArray[np.bool_]
    """Cells of the region, shape (SIDE, SIDE)."""

    def contains(self, points: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which points (M, 3) lie in the region, or above or below it."""
        spots = np.floor((points - self.middle) @ basis(self.support.normal).T / self.cell + SIDE / 2)
        within = np.all((spots >= 0) & (spots < SIDE), axis=1)
        spots = np.where(within[:, None], spots, 0).astype(np.int64)
        return np.logical_and(within, self.own[spots[:, 0], spots[:, 1]])


def flat_region(
    splats: Gaussians, camera: Camera, pixel: tuple[float, float], support: SupportPlane
) -> FlatRegion | None:
    """The flat thing at a pixel; None where there is no such thing.

    Args:
        splats: N splats in the world.
        camera: The clicked view.
        pixel: Column and row [px].
        support: What the thing lies on.
    """
    from scipy import ndimage

    from scene3d.render import render

    image = render(splats.detach(), camera).rgb.cpu().numpy()
    middle = _on_plane(camera, np.array([pixel]), support)[0]
    if not np.isfinite(middle).all():
        return None
    across = basis(support.normal)
    distance = float(np.linalg.norm(middle - camera.position.cpu().double().numpy()))
    cell = WINDOW * distance / SIDE
    steps = (np.arange(SIDE) + 0.5 - SIDE / 2) * cell
    grid = middle + steps[:, None, None] * across[0] + steps[None, :, None] * across[1]
    columns, rows, ahead = _project(camera, grid)
    seen = ahead & (columns >= 0) & (columns < camera.width) & (rows >= 0) & (rows < camera.height)
    top = ndimage.map_coordinates
    colours = np.stack([top(image[..., k], [rows - 0.5, columns - 0.5], order=1, mode="nearest") for k in range(3)], -1)
    mask = _cut((colours.clip(0, 1) * 255).astype(np.uint8), seen)
    areas = np.zeros(mask.shape, dtype=np.int32)
    ndimage.label(mask, output=areas)
    own = np.asarray(ndimage.binary_fill_holes(mask & (areas == areas[SIDE // 2, SIDE // 2])), dtype=bool)
    share = own.sum() / max(1, seen.sum())
    if not mask[SIDE // 2, SIDE // 2] or not SMALLEST < share < LARGEST or not _stands_out(colours, own, seen):
        return None
    return FlatRegion(support, middle, cell, own)


def flat_map(camera: Camera, regions: Sequence[tuple[int, FlatRegion]]) -> NDArray[np.int64]:
    """Where a view shows flat regions, if nothing stands before them.

    Args:
        camera: Single view.
        regions: Label and region of each.

    Returns:
        Labels (H, W), 0 elsewhere.
    """
    u, v = np.meshgrid(np.arange(camera.width) + 0.5, np.arange(camera.height) + 0.5)
    pixels = np.stack([u.ravel(), v.ravel()], axis=1)
    result = np.zeros(len(pixels), dtype=np.int64)
    for label, region in regions:
        result[region.contains(_on_plane(camera, pixels, region.support))] = label
    return result.reshape(u.shape)


def _stands_out(colours: NDArray, own: NDArray[np.bool_], seen: NDArray[np.bool_]) -> bool:
    """Whether colours change along most of a region's outline more than they do around it anyway."""
    from scipy import ndimage

    steps = np.sqrt(sum(ndimage.gaussian_gradient_magnitude(colours[..., k], 1.0) ** 2 for k in range(3)))
    steps = ndimage.maximum_filter(steps, 3)
    # The edge of what the picture shows is a step as well, but says nothing.
    inner = np.asarray(ndimage.binary_erosion(seen, iterations=4), dtype=bool)
    grown, shrunk, wide = (
        ndimage.binary_dilation(own),
        ndimage.binary_erosion(own),
        ndimage.binary_dilation(own, None, 4),
    )
    outline = np.logical_and(grown, np.logical_not(shrunk)) & inner
    around = np.logical_not(wide) & inner
    if outline.sum() < 8 or around.sum() < 8:
        return False
    return float(np.median(steps[outline])) > max(CONTRAST * float(np.median(steps[around])), LEAST_STEP)


def _cut(image: NDArray[np.uint8], seen: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The thing in the middle of a picture from above."""
    import cv2

    x = np.arange(SIDE) - (SIDE - 1) / 2
    radius = np.hypot(x[:, None], x[None, :])
    mask = np.full(image.shape[:2], cv2.GC_PR_BGD, dtype=np.uint8)
    mask[radius < 0.25 * SIDE] = cv2.GC_PR_FGD
    mask[radius > 0.47 * SIDE] = cv2.GC_BGD
    mask[~seen] = cv2.GC_BGD
    mask[radius < SEED * SIDE] = cv2.GC_FGD
    cv2.setRNGSeed(0)
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(image[..., ::-1].copy(), mask, (0, 0, SIDE, SIDE), *models, ROUNDS, cv2.GC_INIT_WITH_MASK)
    return (mask == cv2.GC_FGD) | (mask == cv2.GC_PR_FGD)


def _on_plane(camera: Camera, pixels: NDArray, support: SupportPlane) -> NDArray[np.float64]:
    """Where the rays of pixels (M, 2) meet a plane, nan where they do not, shape (M, 3)."""
    K, T = camera.K.cpu().double().numpy(), camera.T_world_cam.cpu().double().numpy()
    rays = np.concatenate([pixels, np.ones((len(pixels), 1))], axis=1) @ np.linalg.inv(K).T @ T[:3, :3].T
    down = rays @ support.normal
    along = (support.offset - float(support.normal @ T[:3, 3])) / np.where(np.abs(down) < 1e-9, np.nan, down)
    return T[:3, 3] + np.where(along > 0, along, np.nan)[:, None] * rays


def _project(camera: Camera, points: NDArray) -> tuple[NDArray, NDArray, NDArray]:
    """Columns, rows, and whether points (..., 3) lie in front."""
    K, T = camera.K.cpu().double().numpy(), camera.T_world_cam.cpu().double().numpy()
    local = (points - T[:3, 3]) @ T[:3, :3]
    z = np.maximum(local[..., 2], 1e-9)
    return K[0, 0] * local[..., 0] / z + K[0, 2], K[1, 1] * local[..., 1] / z + K[1, 2], local[..., 2] > 1e-6
