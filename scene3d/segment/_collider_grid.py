"""The grid of voxels around an object: where its collider is looked for.

Its axes are upright and turned so that the box is as tight as it can be; cells are fine enough for the object's size
and for memory: at most `MOST_CELLS` along any side.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Grid", "tight_turn", "upright_axes"]

MOST_CELLS = 256
MOST_VOXELS = 1_500_000
TURNS = 180
"""Directions that are tried for the tightest box, half a degree apart."""


@dataclass(frozen=True, eq=False)
class Grid:
    """nx x ny x nz cubes."""

    axes: NDArray[np.float64]
    """Rows are the grid's axes in the world, the last one up, shape (3, 3)."""
    low: NDArray[np.float64]
    """Lowest corner in those axes [scene units], shape (3,)."""
    cell: float
    """Side of a cube [scene units]."""
    shape: tuple[int, int, int]
    """Number of cubes along each axis."""

    @staticmethod
    def around(low: NDArray, high: NDArray, axes: NDArray, cell: float) -> Grid:
        """Cubes of at least ``cell`` [scene units] that cover a box (3,) to (3,) given in the axes (3, 3)."""
        sides = np.maximum(np.asarray(high) - low, 1e-9)
        cell = max(cell, float(sides.max()) / MOST_CELLS, float(np.prod(sides) / MOST_VOXELS) ** (1 / 3))
        nx, ny, nz = (max(4, int(np.ceil(side / cell))) for side in sides)
        return Grid(np.asarray(axes, dtype=np.float64), np.asarray(low, dtype=np.float64), cell, (nx, ny, nz))

    def coarser(self, times: float = 2.0) -> Grid:
        """Cubes so many times as large over the same box, or a little more."""
        nx, ny, nz = (max(4, int(np.ceil(n / times - 1e-9))) for n in self.shape)
        return Grid(self.axes, self.low, times * self.cell, (nx, ny, nz))

    def centres(self) -> NDArray[np.float64]:
        """World positions of all voxels, shape (nx, ny, nz, 3)."""
        lines = [self.low[i] + self.cell * (np.arange(n) + 0.5) for i, n in enumerate(self.shape)]
        return np.stack(np.meshgrid(*lines, indexing="ij"), axis=-1) @ self.axes

    def world(self, index: NDArray) -> NDArray[np.float64]:
        """World positions of fractional voxel indices (..., 3); whole ones are centres."""
        return (self.low + self.cell * (np.asarray(index) + 0.5)) @ self.axes

    def corners(self) -> NDArray[np.float64]:
        """World positions of the box's corners, shape (8, 3)."""
        ends = np.stack([self.low, self.low + self.cell * np.asarray(self.shape)])
        chosen = np.stack(np.meshgrid([0, 1], [0, 1], [0, 1], indexing="ij"), axis=-1).reshape(-1, 3)
        return ends[chosen, [0, 1, 2]] @ self.axes


def upright_axes(up: NDArray) -> NDArray[np.float64]:
    """Axes (3, 3), rows in the world, whose z is up and whose x lies as close as it can to the world's x."""
    z = np.asarray(up, dtype=np.float64) / np.linalg.norm(up)
    first = np.array([1.0, 0.0, 0.0]) if abs(z[0]) < 0.9 else np.array([0.0, 0.0, 1.0])
    x = first - z * (first @ z)
    x /= np.linalg.norm(x)
    return np.stack([x, np.cross(z, x), z])


def tight_turn(points: NDArray) -> tuple[float, float, float]:
    """How far to turn x towards y so that the rectangle around points (N, 2) is smallest, x along its longer side.

    Returns:
        The angle in (-pi/2, pi/2] [rad], the longer and the shorter side.
    """
    angles = np.arange(TURNS) * (0.5 * np.pi / TURNS)
    along = points @ np.stack([np.cos(angles), np.sin(angles)])
    across = points @ np.stack([-np.sin(angles), np.cos(angles)])
    sides = np.stack([np.ptp(along, axis=0), np.ptp(across, axis=0)])
    best = int(np.argmin(sides[0] * sides[1]))
    angle, (a, b) = float(angles[best]), sides[:, best]
    if b > a:
        angle, a, b = angle + 0.5 * np.pi, b, a
    return (angle - np.pi if angle > 0.5 * np.pi else angle), float(a), float(b)
