"""Up direction, centre and turntable of cameras whose arrangement is known."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from scene3d import Camera, Gaussians
from scene3d._orbit import centre_of, orbit_splats, turntable
from scene3d.capture import camera_up

CENTRE = torch.tensor([0.3, -0.2, 0.1])


def ring(up: torch.Tensor, count: int = 12, radius: float = 2.0, height: float = 1.0, arc: float = 2.0) -> list[Camera]:
    """Cameras on an arc (in units of pi) around the centre that look at it, level with ``up``."""
    x = torch.nn.functional.normalize(torch.linalg.cross(up, torch.tensor([0.3, 0.9, 0.5])), dim=0)
    y = torch.linalg.cross(up, x)
    cameras = []
    for i in range(count):
        angle = arc * math.pi * i / count
        position = CENTRE + radius * (math.cos(angle) * x + math.sin(angle) * y) + height * up
        cameras.append(Camera.from_fov(64, 48, 1.0, Camera.look_at(position, CENTRE, up=up)))
    return cameras


@given(st.floats(-1, 1), st.floats(-1, 1), st.floats(-1, 1), st.sampled_from([0.5, 1.0, 2.0]))
@settings(max_examples=30, deadline=None)
def test_up_is_recovered(x: float, y: float, z: float, arc: float) -> None:
    up = torch.tensor([x, y, z])
    if up.norm() < 0.1:
        up = torch.tensor([0.0, 1.0, 0.0])
    up = torch.nn.functional.normalize(up, dim=0)
    found = torch.from_numpy(camera_up(ring(up, arc=arc)).up).float()
    assert float(found @ up) > 1 - 1e-4


def test_centre_is_where_the_axes_meet() -> None:
    assert centre_of(ring(torch.tensor([0.0, 0.0, 1.0]))) == pytest.approx(CENTRE.double(), abs=1e-5)


def test_centre_of_parallel_axes_is_ahead() -> None:
    pose = torch.eye(4)
    moved = pose.clone()
    moved[0, 3] = 2.0
    cameras = [Camera.from_fov(64, 48, 1.0, T) for T in (pose, moved)]
    assert centre_of(cameras).tolist() == pytest.approx([1.0, 0.0, 1.0])
    assert centre_of(cameras[:1]).tolist() == pytest.approx([0.0, 0.0, 1.0])


def test_turntable_keeps_radius_and_height() -> None:
    up = torch.tensor([0.0, 0.0, 1.0])
    batch = turntable(ring(up, arc=0.7), 8, up=up.tolist(), size=(80, 60))
    offset = batch.position - CENTRE
    assert (batch.width, batch.height, batch.batch_shape) == (80, 60, (8,))
    assert offset[:, 2].tolist() == pytest.approx([1.0] * 8, abs=1e-4)
    assert offset[:, :2].norm(dim=1).tolist() == pytest.approx([2.0] * 8, abs=1e-4)
    assert batch.T_world_cam[:, 2, 0].abs().max() < 1e-6  # The horizon is level.
    forward = batch.T_world_cam[:, :3, 2]
    assert (forward * torch.nn.functional.normalize(-offset, dim=1)).sum(1).min() > 1 - 1e-5


def test_room_is_seen_from_its_middle() -> None:
    up = torch.tensor([0.0, 0.0, 1.0])
    outward = [
        Camera.from_fov(64, 48, 1.0, Camera.look_at(c.position, 2 * c.position - CENTRE - up, up=up))
        for c in ring(up, radius=0.5)
    ]
    batch = turntable(outward, 4, up=(0.0, 0.0, 1.0))
    assert ((batch.position - CENTRE) * batch.T_world_cam[:, :3, 2]).sum(1).min() > 0


def test_splats_without_cameras_are_in_view() -> None:
    points = torch.rand(200, 3, generator=torch.Generator().manual_seed(1))
    splats = Gaussians.from_points(points, points, sigma=0.01, opacity=0.9)
    batch = orbit_splats(splats, 5, up=(0.0, 0.0, 1.0), size=(90, 60))
    seen = torch.einsum("cij,nj->cni", batch.T_cam_world[:, :3, :3], points) + batch.T_cam_world[:, None, :3, 3]
    pixels = torch.einsum("cij,cnj->cni", batch.K, seen)
    xy = pixels[..., :2] / pixels[..., 2:]
    inside = (seen[..., 2] > 0) & (xy > 0).all(-1) & (xy < torch.tensor([90, 60])).all(-1)
    assert inside.float().mean() > 0.9


@pytest.mark.parametrize("arc", [0.3, 0.6, 1.0])
def test_a_turntable_stays_where_photos_were_taken(arc: float) -> None:
    """Cameras on part of a circle leave the rest unseen; seen from there is black or worse."""
    up = torch.tensor([0.0, 0.0, 1.0])
    taken = torch.stack([camera.position - CENTRE for camera in ring(up, arc=arc)])
    turned = turntable(ring(up, arc=arc), 24, up=(0.0, 0.0, 1.0)).position - CENTRE
    flat = torch.nn.functional.normalize(taken[:, :2], dim=1), torch.nn.functional.normalize(turned[:, :2], dim=1)
    nearest = (flat[1] @ flat[0].T).max(dim=1).values.clamp(max=1).arccos()
    assert float(nearest.max()) < math.radians(45)
    farthest = (flat[0] @ flat[1].T).max(dim=1).values.clamp(max=1).arccos()
    assert float(farthest.max()) < math.radians(20)
