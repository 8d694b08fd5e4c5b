"""Equidistant fisheye photos undone: against the model's formula, and on a photo that was bent and straightened."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from scene3d._camera import Camera
from scene3d.capture import DepthFile, View
from scene3d.capture._undistort import distorted_positions

CX, CY, FOCAL = 43.0, 31.0, 30.0
WIDTH, HEIGHT = 80, 60


def camera(width: int, height: int, focal: float, cx: float, cy: float) -> Camera:
    return Camera(width, height, torch.tensor([[focal, 0, cx], [0, focal, cy], [0, 0, 1]]), torch.eye(4))


def bent(theta: np.ndarray, k: tuple[float, ...]) -> np.ndarray:
    """Angle on the fisheye picture of a ray at angle theta from the axis."""
    t2 = theta * theta
    return theta * (1 + t2 * (k[0] + t2 * (k[1] + t2 * (k[2] + t2 * k[3]))))


def straightened(theta_d: np.ndarray, k: tuple[float, ...]) -> np.ndarray:
    """The inverse of `bent` by bisection."""
    low, high = np.zeros_like(theta_d), np.full_like(theta_d, np.pi / 2)
    for _ in range(60):
        middle = (low + high) / 2
        under = bent(middle, k) < theta_d
        low, high = np.where(under, middle, low), np.where(under, high, middle)
    return low


def pixel_grid(width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
    return tuple(np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5))  # type: ignore[return-value]


small = st.floats(-0.02, 0.02)


@given(small, small, small, small)
def test_positions_follow_the_formula(k1: float, k2: float, k3: float, k4: float) -> None:
    k = (k1, k2, k3, k4)
    column, row, seen = distorted_positions(camera(WIDTH, HEIGHT, FOCAL, CX, CY), k, "fisheye")
    x, y = pixel_grid(WIDTH, HEIGHT)
    x, y = (x - CX) / FOCAL, (y - CY) / FOCAL
    radius = np.hypot(x, y)
    scale = bent(np.arctan(radius), k) / radius
    # OpenCV's centre of the first pixel is 0, ours 0.5.
    assert np.abs(column + 0.5 - (FOCAL * x * scale + CX))[seen].max() < 1e-3
    assert np.abs(row + 0.5 - (FOCAL * y * scale + CY))[seen].max() < 1e-3
    assert seen.any()


def test_no_coefficients_are_a_fisheye_all_the_same(tmp_path: Path) -> None:
    """A smooth picture is drawn as the fisheye sees it; undone, it must be the picture seen by the pinhole."""

    def picture(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return 128 + 100 * np.sin(3 * x) * np.cos(2 * y)

    x, y = pixel_grid(WIDTH, HEIGHT)
    x, y = (x - CX) / FOCAL, (y - CY) / FOCAL
    theta_d = np.hypot(x, y)
    stretch = np.tan(np.minimum(theta_d, 1.5)) / theta_d
    path = tmp_path / "a.png"
    Image.fromarray(np.repeat(picture(x * stretch, y * stretch)[..., None].round(), 3, axis=2).astype(np.uint8)).save(
        path
    )
    photo = View("a", path, camera(WIDTH, HEIGHT, FOCAL, CX, CY), projection="fisheye").load()
    error = np.abs(photo.rgb[..., 0] - picture(x, y))[photo.valid]
    slope = 100 * 3 / FOCAL  # Grey levels per pixel: a half-pixel slip would show as five.
    assert np.median(error) < 0.1 * slope
    assert np.quantile(error, 0.99) < 0.25 * slope
    assert photo.valid.all()


def test_a_photo_bent_and_straightened_is_the_photo(tabletop: Path, tmp_path: Path) -> None:
    k = (-0.04, 0.012, -0.006, 0.001)
    focal, width, height = 380.0, 640, 480
    source = np.asarray(Image.open(tabletop / "images" / "0001.jpg"))
    x, y = pixel_grid(width, height)
    x, y = (x - width / 2) / focal, (y - height / 2) / focal
    theta_d = np.hypot(x, y)
    stretch = np.tan(straightened(theta_d, k)) / theta_d
    map_x = (focal * x * stretch + width / 2 - 0.5).astype(np.float32)
    map_y = (focal * y * stretch + height / 2 - 0.5).astype(np.float32)
    fisheye = cv2.remap(source, map_x, map_y, cv2.INTER_CUBIC)
    fisheye_path, depth_path = tmp_path / "f.png", tmp_path / "d.png"
    Image.fromarray(fisheye).save(fisheye_path)
    depth = np.asarray(Image.open(tabletop / "depths" / "0001.png"))
    Image.fromarray(cv2.remap(depth, map_x, map_y, cv2.INTER_NEAREST)).save(depth_path)
    pinhole = camera(width, height, focal, width / 2, height / 2)
    view = View("f", fisheye_path, pinhole, k, "fisheye", depth=DepthFile(depth_path))
    photo = view.load()
    # A fisheye of this focal length sees past the pinhole's frame, so nothing is lost at the borders.
    assert photo.valid.all()
    inner = (slice(8, -8), slice(8, -8))
    mse = np.mean((photo.rgb[inner].astype(float) - source[inner]) ** 2)
    assert 10 * np.log10(255**2 / mse) > 32  # What two interpolations take away.
    shifted = np.mean((np.roll(photo.rgb, 1, axis=1)[inner].astype(float) - source[inner]) ** 2)
    assert shifted > 4 * mse  # One pixel would show.
    assert photo.depth is not None
    off = np.abs(photo.depth[inner] - depth[inner] * 1e-3)
    assert np.median(off) < 0.001
    assert np.mean(off > 0.02) < 0.01


def test_rays_steeper_than_80_degrees_are_not_used(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.new("RGB", (WIDTH, HEIGHT), (9, 9, 9)).save(path)
    photo = View("a", path, camera(WIDTH, HEIGHT, 5.0, 40, 30), projection="fisheye").load()
    x, y = pixel_grid(WIDTH, HEIGHT)
    assert np.array_equal(photo.valid, np.hypot(x - 40, y - 30) / 5 < np.tan(np.deg2rad(80)))
    assert 0 < photo.valid.mean() < 1


@pytest.mark.parametrize("k1", [-0.5, -0.3])
def test_a_model_that_folds_back_is_not_used_beyond_the_fold(tmp_path: Path, k1: float) -> None:
    path = tmp_path / "a.png"
    Image.new("RGB", (WIDTH, HEIGHT), (9, 9, 9)).save(path)
    photo = View("a", path, camera(WIDTH, HEIGHT, 15.0, 40, 30), (k1, 0, 0, 0), "fisheye").load()
    x, y = pixel_grid(WIDTH, HEIGHT)
    theta = np.arctan(np.hypot(x - 40, y - 30) / 15)
    fold = 1 / np.sqrt(-3 * k1)  # Where d/dt (t + k1 t^3) is zero.
    assert not photo.valid[theta > fold + 0.01].any()
    assert photo.valid[theta < fold - 0.01].all()
