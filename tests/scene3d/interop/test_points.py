"""Splats as point clouds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from scene3d import Gaussians, interop, load_ply


@pytest.fixture
def splats() -> Gaussians:
    """Three splats: red and opaque, green and half transparent, brighter than white."""
    colors = torch.tensor([[1.0, 0, 0], [0, 1, 0], [2, 2, 2]])
    points = torch.tensor([[0.0, 0, 0], [1, 2, 3], [-1, 0, 4]])
    splats = Gaussians.from_points(points, colors, sigma=0.1)
    splats.opacities[:] = torch.tensor([0.98, 0.5, 0.2]).logit()
    return splats


def test_open3d_point_cloud(splats: Gaussians) -> None:
    cloud = interop.splats_to_open3d(splats)
    assert np.array_equal(cloud.points, splats.means.numpy())
    assert np.allclose(cloud.colors, [[1, 0, 0], [0, 1, 0], [1, 1, 1]], atol=1e-6)
    assert len(interop.splats_to_open3d(splats, least_opacity=0.4).points) == 2


def test_trimesh_point_cloud(splats: Gaussians) -> None:
    cloud = interop.splats_to_trimesh(splats)
    assert np.array_equal(cloud.vertices, splats.means.numpy())
    assert np.array_equal(cloud.colors, [[255, 0, 0, 250], [0, 255, 0, 128], [255, 255, 255, 51]])
    assert len(interop.splats_to_trimesh(splats, least_opacity=0.4).vertices) == 2


def test_real_splats(needs: Callable[[str], Path]) -> None:
    splats = load_ply(needs("plush_splat/point_cloud_29999_clean.ply"))
    cloud = interop.splats_to_open3d(splats)
    assert len(cloud.points) == len(splats)
    assert 0.05 < np.asarray(cloud.colors).mean() < 0.95
