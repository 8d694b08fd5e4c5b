"""A raster of square cells on a support plane: where things stand over it, and what cameras see of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from scene3d._camera import Camera

__all__ = ["PlaneRaster", "bilinear", "pixels_of"]


@dataclass(frozen=True, eq=False)
class PlaneRaster:
    """Cells on a plane."""

    corner: NDArray[np.float64]
    """World position of the corner of cell [0, 0], shape (3,)."""
    axes: NDArray[np.float64]
    """Unit vectors along rows, along columns, and up, shape (3, 3)."""
    size: float
    """Side of a cell [scene units]."""
    shape: tuple[int, int]
    extent: float
    """Size of the object on the plane [scene units]."""

    def centres(self) -> NDArray[np.float64]:
        """World positions, shape (H, W, 3)."""
        rows, columns = np.meshgrid(*(np.arange(n) + 0.5 for n in self.shape), indexing="ij")
        return self.corner + self.size * (rows[..., None] * self.axes[0] + columns[..., None] * self.axes[1])

    def places(self, points: NDArray) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Row and column (M, 2) of points (M, 3), and whether they lie in the raster."""
        cell = np.floor((points - self.corner) @ self.axes[:2].T / self.size).astype(np.int64)
        return cell, np.asarray(((cell >= 0) & (cell < self.shape)).all(axis=1), dtype=bool)

    def mask(self, points: NDArray) -> NDArray[np.bool_]:
        """Cells (H, W) that points (M, 3) lie over."""
        cell, inside = self.places(points)
        mask = np.zeros(self.shape, dtype=bool)
        mask[tuple(cell[inside].T)] = True
        return mask


def pixels_of(camera: Camera, points: NDArray) -> tuple[NDArray, NDArray, NDArray]:
    """Columns and rows in pixels, and camera z, of points (M, 3) of the world; all finite, whatever z is."""
    T = camera.T_world_cam.double().cpu().numpy()
    K = camera.K.double().cpu().numpy()
    local = (points - T[:3, 3]) @ T[:3, :3]
    z = np.maximum(local[:, 2], 1e-9)
    return K[0, 0] * local[:, 0] / z + K[0, 2], K[1, 1] * local[:, 1] / z + K[1, 2], local[:, 2]


def bilinear(image: NDArray, u: NDArray, v: NDArray) -> NDArray:
    """Colours (M, 3) at positions in pixels, whose centres are at +0.5."""
    height, width = image.shape[:2]
    x, y = np.clip(u - 0.5, 0, width - 1.001), np.clip(v - 0.5, 0, height - 1.001)
    column, row = x.astype(np.int64), y.astype(np.int64)
    a, b = (x - column)[:, None], (y - row)[:, None]
    top = image[row, column] * (1 - a) + image[row, column + 1] * a
    bottom = image[row + 1, column] * (1 - a) + image[row + 1, column + 1] * a
    return top * (1 - b) + bottom * b
