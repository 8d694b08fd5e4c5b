"""Gravity: exact tables and rooms in any pose, cameras held in any way, and the demo capture without its up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from scene3d._camera import Camera
from scene3d.capture import read_capture, triangulate
from scene3d.capture._camera_up import camera_up
from scene3d.capture._gravity import estimate_up
from scene3d.capture._similarity import Similarity, transform_capture

Z = np.array([0.0, 0.0, 1.0])


def looking(
    count: int, *, arc: float = 2 * np.pi, down: float = 0.7, roll: float = 0.03, turned: float = 0.0
) -> list[Camera]:
    """Cameras on an arc around the origin, looking down, held a little askew; a share of them turned by 90 degrees."""
    rng = np.random.default_rng(1)
    cameras = []
    for index, angle in enumerate(np.linspace(0, arc, count, endpoint=False)):
        place = 1.5 * np.array([np.cos(angle) * np.cos(down), np.sin(angle) * np.cos(down), np.sin(down)])
        T = Camera.look_at(torch.from_numpy(place), torch.zeros(3, dtype=torch.float64))
        askew = rng.normal(0, roll) + (np.pi / 2 if index < turned * count else 0)
        T[:3, :3] = T[:3, :3] @ torch.from_numpy(Rotation.from_rotvec([0, 0, askew]).as_matrix())
        cameras.append(Camera.from_fov(640, 480, 1.0, T))
    return cameras


def table(noise: float = 0.002) -> NDArray:
    """A table with a box on it, unevenly dense, above a floor, and points that belong to nothing."""
    rng = np.random.default_rng(0)
    top = np.c_[rng.uniform(-0.5, 0.5, (1200, 2)), np.zeros(1200)]
    printed = np.c_[rng.uniform(0.3, 0.4, (3000, 2)), np.zeros(3000)]
    box = rng.uniform((-0.3, -0.2, 0.0), (-0.1, 0.0, 0.25), (900, 3))
    floor = np.c_[rng.uniform(-1.5, 1.5, (800, 2)), np.full(800, -0.7)]
    floor = floor[np.abs(floor[:, :2]).max(axis=1) > 0.6]
    solid = np.concatenate([top, printed, box, floor])
    return np.concatenate([solid + rng.normal(0, noise, solid.shape), rng.uniform(-2, 2, (300, 3))])


def degrees(a: NDArray | tuple, b: NDArray | tuple) -> float:
    return float(np.degrees(np.arccos(np.clip(np.dot(a, b), -1, 1))))


def moved(s: Similarity, points: NDArray, cameras: list[Camera]) -> tuple[NDArray, list[Camera]]:
    return s.points(points), [s.camera(camera) for camera in cameras]


@settings(max_examples=8)
@given(st.integers(0, 2**31), st.floats(0.01, 100))
def test_table_in_any_pose_and_scale(seed: int, scale: float) -> None:
    s = Similarity(
        scale,
        Rotation.from_quat(np.random.default_rng(seed).normal(size=4)).as_matrix(),
        np.array([3.0, -2.0, 1.0]) * scale,
    )
    found = estimate_up(*moved(s, table(), looking(12)))
    assert found.source == "support plane"
    assert degrees(found.up, s.R @ Z) < 0.2
    assert found.plane is not None
    normal, offset = found.plane
    heights = s.points([[0.0, 0.0, 0.0], [0.2, 0.1, 0.0]]) @ np.array(normal) + offset
    assert np.abs(heights).max() < 0.003 * scale
    assert 0.2 < found.share < 1


def test_result_is_the_same_every_time() -> None:
    points, cameras = table(), looking(12)
    first, second = estimate_up(points, cameras, seed=5), estimate_up(points, cameras, seed=5)
    assert first == second


@pytest.mark.parametrize("turned", [0.0, 0.4, 1.0])
def test_phones_turned_on_their_side_say_the_same(turned: float) -> None:
    held = camera_up(looking(20, turned=turned))
    assert held.sure
    assert degrees(held.up, Z) < 3


def test_photos_straight_down() -> None:
    cameras = [
        Camera.from_fov(64, 48, 1.0, Camera.look_at(torch.tensor([0.1 * i, 0.0, 2.0]), torch.tensor([0.1 * i, 0.0, 0])))
        for i in range(3)
    ]
    for i, camera in enumerate(cameras):
        camera.T_world_cam[:3, :3] @= torch.from_numpy(Rotation.from_rotvec([0, 0, i]).as_matrix()).float()
    assert degrees(camera_up(cameras).up, Z) < 1


def test_photos_from_one_side_are_not_sure_but_the_table_is() -> None:
    cameras = looking(8, arc=0.2, down=0.8)
    assert not camera_up(cameras).sure
    found = estimate_up(table(), cameras)
    assert np.degrees(found.angle) > 30
    assert degrees(found.up, Z) < 0.2
    assert "degrees from the cameras' up" in found.note


def test_ceiling_and_wall_are_no_support() -> None:
    rng = np.random.default_rng(0)
    flat = rng.uniform(-1, 1, (3000, 2))
    cameras = looking(12, down=0.2)
    ceiling = np.c_[flat, np.full(3000, 2.0)]
    assert estimate_up(ceiling, cameras).source == "cameras"
    wall = np.c_[flat[:, 0], np.full(3000, -3.0), flat[:, 1]] + rng.normal(0, 0.002, (3000, 3))
    found = estimate_up(wall, cameras)
    assert found.source == "cameras"
    assert "wall" in found.note
    assert abs(found.up[1]) < 1e-3
    assert degrees(found.up, Z) < 3


def test_cloud_without_surface_falls_back() -> None:
    points = np.random.default_rng(0).normal(0, 0.5, (5000, 3))
    found = estimate_up(points, looking(12))
    assert found.source == "cameras"
    assert found.plane is None
    assert "no support plane" in found.note
    assert estimate_up(np.zeros((0, 3)), looking(12)).source == "cameras"


def test_prior_and_weights() -> None:
    points = table()
    slope = points @ Rotation.from_rotvec([0.35, 0, 0]).as_matrix().T + [0, 0, 0.5]
    both, weights = np.concatenate([points, slope]), np.r_[np.ones(len(points)), np.zeros(len(slope))]
    assert degrees(estimate_up(both, looking(12), weights=weights).up, Z) < 0.2
    assert estimate_up(points, looking(12), prior=(0, 1, 0)).source == "cameras"
    for bad in ((0, 0, 0), (float("nan"), 0, 1)):
        with pytest.raises(ValueError, match="up direction"):
            estimate_up(points, looking(3), prior=bad)
    with pytest.raises(ValueError, match="at least one camera"):
        estimate_up(points, [])
    with pytest.raises(ValueError, match="weights"):
        estimate_up(points, looking(3), weights=[1.0])


def test_tabletop_without_its_up(tabletop: Path) -> None:
    capture = read_capture(tabletop)
    s = Similarity(
        0.37, Rotation.from_quat(np.random.default_rng(3).normal(size=4)).as_matrix(), np.array([1.0, 2.0, 3.0])
    )
    capture = transform_capture(replace(capture, views=capture.views[::3]), s)
    cloud = triangulate(capture, longest_side=320)
    found = estimate_up(cloud.points, [view.camera for view in capture.views])
    assert found.source == "support plane"
    assert degrees(found.up, s.R @ Z) < 0.1  # 0.5 are asked for; 0.03 was measured.


@pytest.mark.data
def test_redkitchen_table_and_walls(needs: Callable[[str], Path]) -> None:
    from scene3d.capture import depth_points

    capture = read_capture(needs("redkitchen"))
    views = capture.views[::8]
    cloud = depth_points(views)
    found = estimate_up(cloud.points, [view.camera for view in views])
    assert found.source == "support plane"
    # A wall of the room, fitted by hand: its normal lies level.
    assert abs(np.dot(found.up, (-0.9957, 0.0, -0.0932))) < np.sin(np.radians(3))
