"""A made-up desk: splats on a board, on what stands on it and on what lies beside it, and cameras all around."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from scene3d._camera import Camera
from scene3d._gaussians import Gaussians

SIZE = (240, 180)


def around(count: int = 10, radius: float = 0.8, height: float = 0.6) -> list[Camera]:
    """Cameras on a circle that look at the middle of the desk."""
    angles = torch.arange(count) * (2 * torch.pi / count)
    places = torch.stack([radius * angles.cos(), radius * angles.sin(), torch.full_like(angles, height)], dim=1)
    return [Camera.from_fov(*SIZE, 0.9, Camera.look_at(place, torch.tensor([0.0, 0.0, 0.02]))) for place in places]


def board(noise: float = 0.0, half: float = 0.35, step: float = 0.012) -> NDArray[np.float64]:
    """Points of a square top at z = 0."""
    x = np.arange(-half, half + 1e-9, step)
    points = np.stack([*(g.ravel() for g in np.meshgrid(x, x)), np.zeros(len(x) ** 2)], axis=1)
    points[:, 2] += noise * np.random.default_rng(3).standard_normal(len(points))
    return points


def block(x: float, y: float, sides: tuple[float, float, float], step: float = 0.005) -> NDArray[np.float64]:
    """Points of the five visible faces of a block that stands on the board at (x, y)."""
    across = [np.arange(step / 2, side, step) for side in sides]
    grid = np.stack([g.ravel() for g in np.meshgrid(*across, indexing="ij")], axis=1)
    margin = np.minimum(grid[:, :2], np.array(sides[:2]) - grid[:, :2]).min(axis=1)
    shell = (margin < step) | (grid[:, 2] > sides[2] - step)
    return grid[shell] + np.array([x - sides[0] / 2, y - sides[1] / 2, 0.0])


def splats(*parts: tuple[NDArray[np.float64], tuple[float, float, float]], sigma: float = 0.005) -> Gaussians:
    """Opaque splats at points of one colour each."""
    points = torch.from_numpy(np.concatenate([points for points, _ in parts])).float()
    colours = torch.cat([torch.tensor([colour]).expand(len(part), 3) for part, colour in parts])
    return Gaussians.from_points(points, colours, sigma=sigma, opacity=0.9)


def counts(*parts: tuple[NDArray[np.float64], tuple[float, float, float]]) -> NDArray[np.int64]:
    """Which part each splat belongs to."""
    return np.repeat(np.arange(len(parts)), [len(points) for points, _ in parts])
