"""The visual hull of silhouettes, against a ball whose silhouettes are known exactly."""

from __future__ import annotations

import numpy as np
import torch

from scene3d import Camera
from scene3d.fit._hull import has_silhouettes, hull_points, within_silhouettes
from scene3d.fit._photos import Target

RADIUS = 0.5
AROUND = 5


def ball(count: int = AROUND, masked: bool = True) -> list[Target]:
    """Photos from around a red ball at the origin."""
    photos = []
    for i in range(count):
        angle = 2 * np.pi * i / count
        eye = torch.tensor([3 * np.cos(angle), 3 * np.sin(angle), 0.8], dtype=torch.float32)
        camera = Camera.from_fov(64, 48, 0.8, Camera.look_at(eye, torch.zeros(3)))
        y, x = torch.meshgrid(torch.arange(48) + 0.5, torch.arange(64) + 0.5, indexing="ij")
        rays = torch.stack([x, y, torch.ones_like(x)], dim=-1) @ camera.K.inverse().T @ camera.T_world_cam[:3, :3].T
        rays = torch.nn.functional.normalize(rays, dim=-1)
        nearest = (eye - (rays * eye).sum(-1, keepdim=True) * rays).norm(dim=-1)
        outside = (nearest > RADIUS).to(torch.uint8)
        rgb = torch.zeros(48, 64, 3)
        rgb[..., 0] = 1 - outside.float()
        photos.append(Target(camera, rgb, 1 - outside, None, outside if masked else None))
    return photos


def test_points_are_kept_within_all_silhouettes() -> None:
    rng = np.random.default_rng(0)
    direction = rng.normal(size=(500, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    assert within_silhouettes(0.9 * RADIUS * direction, ball()).all()
    level = direction[np.abs(direction[:, 2]) < 0.3]
    assert not within_silhouettes(1.5 * RADIUS * level, ball()).any()
    assert within_silhouettes(np.array([[0.0, 0.0, 100.0]]), ball()).all(), "out of sight is no objection"
    assert within_silhouettes(2.5 * RADIUS * direction, ball(masked=False)).all()


def test_hull_points_fill_the_ball_and_nothing_else() -> None:
    cloud = hull_points(ball(), 2000, seed=1)
    assert len(cloud.points) == 2000
    distance = np.linalg.norm(cloud.points, axis=1)
    # The hull of five silhouettes is a little larger than the ball.
    assert distance.max() < 1.6 * RADIUS
    assert (distance < RADIUS).mean() > 0.7
    assert np.ptp(cloud.points, axis=0).min() > 1.6 * RADIUS, "on all sides"
    assert (cloud.colors == [255, 0, 0]).all()
    assert np.array_equal(cloud.points, hull_points(ball(), 2000, seed=1).points)


def test_without_masks_there_is_no_hull() -> None:
    assert has_silhouettes(ball()) and not has_silhouettes(ball(masked=False))
    assert len(hull_points(ball(masked=False), 100).points) == 0
