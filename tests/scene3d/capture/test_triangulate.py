"""Triangulation: exact tracks, rendered squares of known place, and the fox."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from scene3d._camera import Camera
from scene3d.capture import Capture, View, random_points_in_frusta, read_capture, triangulate
from scene3d.capture._geometry import Poses, depth_range, neighbours, project
from scene3d.capture._tracks import Tracks, build_tracks, solve_tracks

WIDTH, HEIGHT = 320, 240


def ring(count: int) -> list[Camera]:
    """Cameras on an arc that look at the origin from 3 m."""
    angles = np.linspace(0, 1.2, count)
    places = [torch.tensor([3 * np.cos(a), 3 * np.sin(a), 1.0], dtype=torch.float32) for a in angles]
    return [Camera.from_fov(WIDTH, HEIGHT, 0.8, Camera.look_at(place, torch.zeros(3))) for place in places]


@pytest.fixture
def floor(tmp_path: Path) -> Capture:
    """Six photos of a plane z = 0 with random spots on it."""
    noise = np.random.default_rng(0).integers(0, 256, (100, 100)).astype(np.uint8)
    spots = np.array(Image.fromarray(noise).resize((640, 640), Image.Resampling.BICUBIC))
    views = []
    for i, camera in enumerate(ring(6)):
        poses = Poses.of([camera])
        column, row = np.meshgrid(np.arange(WIDTH) + 0.5, np.arange(HEIGHT) + 0.5)
        rays = np.stack([column, row, np.ones_like(row)], -1) @ np.linalg.inv(poses.K[0]).T @ poses.R[0]
        hit = poses.centres[0] - rays * (poses.centres[0, 2] / rays[..., 2:])
        index = ((hit[..., :2] + 2) * 160).astype(int).clip(0, 639)
        grey = np.where((np.abs(hit[..., :2]) < 2).all(-1), spots[index[..., 1], index[..., 0]], 128)
        Image.fromarray(np.repeat(grey[..., None], 3, axis=2).astype(np.uint8)).save(tmp_path / f"{i}.png")
        views.append(View(f"{i}.png", tmp_path / f"{i}.png", camera))
    return Capture(tmp_path, tuple(views))


def observations(poses: Poses, points: np.ndarray) -> Tracks:
    cameras = np.arange(len(poses.K))
    track, camera = (part.ravel() for part in np.meshgrid(np.arange(len(points)), cameras, indexing="ij"))
    pixels, _ = project(poses, points[track], camera)
    return Tracks(track, camera, pixels, np.arange(len(track)))


def test_exact_tracks_give_exact_points() -> None:
    poses = Poses.of(ring(5))
    points = np.random.default_rng(0).uniform(-0.5, 0.5, (200, 3))
    solved, tracks = solve_tracks(poses, observations(poses, points), largest_error=1.0, least_angle=0.02)
    assert np.allclose(solved, points, atol=1e-6)
    assert len(tracks) == 200


def test_outliers_are_dropped_and_narrow_points_too() -> None:
    poses = Poses.of(ring(6))
    points = np.random.default_rng(0).uniform(-0.5, 0.5, (100, 3))
    tracks = observations(poses, points)
    tracks.pixels[tracks.camera == 2] += (25.0, -14.0)
    solved, kept = solve_tracks(poses, tracks, largest_error=1.5, least_angle=0.02)
    assert len(solved) > 95
    assert not (kept.camera == 2).any()
    assert len(solve_tracks(poses, tracks, largest_error=1.5, least_angle=3.0)[0]) == 0


def test_tracks_never_hold_two_features_of_a_view() -> None:
    pixels = [np.zeros((2, 2)), np.ones((1, 2)), np.zeros((2, 2))]
    first, second = np.array([[0, 0]]), np.array([[0, 1]])
    one = np.ones(1, np.float32)
    matches = [(0, 1, first, one), (1, 2, second, 0.9 * one), (0, 2, np.array([[1, 1]]), 0.8 * one)]
    tracks = build_tracks(pixels, matches)
    assert tracks.feature.tolist() == [0, 2, 4]  # Joining feature 1 would bring a second one of view 0.
    assert len(build_tracks(pixels, matches, used=tracks.feature)) == 0
    assert len(build_tracks(pixels, [])) == 0


def test_depth_and_neighbours_of_a_ring() -> None:
    poses = Poses.of(ring(12))
    near, far = depth_range(poses)
    assert near < 2.5
    assert far > 4
    pairs = neighbours(poses, 4)
    assert len({camera for pair in pairs for camera in pair}) == 12
    assert all(a < b for a, b in pairs)


def test_parallel_and_single_place_cameras_still_have_a_depth() -> None:
    for spread in (0.0, 1.0):
        poses = [torch.eye(4) for _ in range(4)]
        for i, pose in enumerate(poses):
            pose[0, 3] = spread * i
        near, far = depth_range(Poses.of([Camera.from_fov(8, 8, 1.0, pose) for pose in poses]))
        assert 0 < near < far < float("inf")


def test_floor_is_found(floor: Capture) -> None:
    stages: list[tuple[str, float]] = []
    cloud = triangulate(floor, progress=lambda stage, share: stages.append((stage, share)))
    assert len(cloud.points) > 100
    assert np.median(np.abs(cloud.points[:, 2])) < 0.01
    assert cloud.colors.shape == cloud.points.shape
    shares = [share for _, share in stages]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_threads_change_nothing(floor: Capture) -> None:
    one, two = triangulate(floor, threads=1), triangulate(floor, threads=2)
    assert np.array_equal(one.points, two.points)
    assert np.array_equal(one.colors, two.colors)


def test_blank_photos_give_no_points(floor: Capture) -> None:
    for view in floor.views:
        Image.new("RGB", (WIDTH, HEIGHT), (90, 90, 90)).save(view.path)
    cloud = triangulate(floor)
    assert cloud.points.shape == cloud.colors.shape == (0, 3)


def test_random_points_are_seen_and_repeatable(floor: Capture) -> None:
    cloud = random_points_in_frusta(floor, 500, seed=3)
    assert cloud.points.shape == (500, 3)
    poses = Poses.of([view.camera for view in floor.views])
    seen = np.zeros(500, int)
    for i in range(len(floor.views)):
        pixels, depth = project(poses, cloud.points, i)
        seen += (depth > 0) & (pixels >= -1e-3).all(1) & (pixels <= np.array([WIDTH, HEIGHT]) + 1e-3).all(1)
    assert (seen >= 2).all()
    again = random_points_in_frusta(floor, 500, seed=3)
    assert np.array_equal(cloud.points, again.points)
    assert not np.array_equal(cloud.points, random_points_in_frusta(floor, 500, seed=4).points)


@pytest.mark.data
@pytest.mark.slow
def test_fox(needs: Callable[[str], Path]) -> None:
    capture = read_capture(needs("fox"))
    cloud = triangulate(capture)
    assert len(cloud.points) >= 10_000
