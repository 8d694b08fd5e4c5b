"""Filling gaps: points appear only where no sparse point projects, at the depth of what lies around."""

from __future__ import annotations

import numpy as np
import torch

from scene3d import Camera
from scene3d.capture import PointCloud
from scene3d.fit._gaps import fill_gaps
from scene3d.fit._photos import Target


def photo(valid: torch.Tensor | None = None) -> Target:
    """A camera at the origin that sees red on the left and blue on the right."""
    camera = Camera.from_fov(80, 60, 1.0, torch.eye(4))
    rgb = torch.zeros(60, 80, 3)
    rgb[:, :40, 0] = 1.0
    rgb[:, 40:, 2] = 1.0
    return Target(camera, rgb, valid)


def points_on_the_left(depth: float) -> PointCloud:
    """A dense wall of points at one depth that fills the left half of the photo."""
    K = photo().camera.K.numpy()
    x, y = np.meshgrid(np.arange(0.5, 40.0), np.arange(0.5, 60.0))
    rays = np.stack([(x - K[0, 2]) / K[0, 0], (y - K[1, 2]) / K[1, 1], np.ones_like(x)], axis=-1).reshape(-1, 3)
    points = (depth * rays).astype(np.float32)
    return PointCloud(points, np.zeros((len(points), 3), np.uint8))


def test_only_the_bare_half_is_filled() -> None:
    target = photo()
    found = fill_gaps(points_on_the_left(2.0), [target], most=1000, seed=0)
    assert len(found.points) > 100
    pixels = found.points[:, :2] / found.points[:, 2:] * float(target.camera.K[0, 0]) + [40.0, 30.0]
    assert pixels[:, 0].min() > 40.0
    assert np.allclose(found.points[:, 2], 2.0, atol=1e-5)
    assert np.allclose(found.colors, [0.0, 0.0, 1.0])
    assert np.allclose(found.sigma, found.sigma[0])


def test_thinned_to_the_most_and_the_same_for_a_seed() -> None:
    cloud = points_on_the_left(2.0)
    first, second = (fill_gaps(cloud, [photo()], most=50, seed=3) for _ in range(2))
    assert len(first.points) == 50
    assert np.array_equal(first.points, second.points)
    assert not np.array_equal(first.points, fill_gaps(cloud, [photo()], most=50, seed=4).points)


def test_pixels_that_are_not_valid_and_photos_without_points_give_none() -> None:
    valid = torch.ones(60, 80, dtype=torch.uint8)
    valid[:, 40:] = 0
    assert len(fill_gaps(points_on_the_left(2.0), [photo(valid)], most=100, seed=0).points) == 0
    behind = PointCloud(np.full((100, 3), -1.0, np.float32), np.zeros((100, 3), np.uint8))
    assert len(fill_gaps(behind, [photo()], most=100, seed=0).points) == 0
