"""Where each pixel of a pinhole camera lies in the distorted photo.

OpenCV holds the camera models: radial and tangential with up to eight coefficients, and equidistant fisheye with four.
Both are asked for the pinhole camera of the same `K` and size as the photo. Pixels that the photo did not see are
named: outside its frame, beyond the radius where the model folds back and would show the photo a second time, and for a
fisheye beyond 80 degrees, where a pinhole image is stretched past use. OpenCV counts pixel centres from 0, we count
them from 0.5, so the principal point is shifted by half a pixel for its calls.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from scene3d._camera import Camera
    from scene3d.capture._capture import Projection

__all__ = ["distorted_positions", "photo_positions"]

STEEPEST = math.radians(80.0)
"""Angle from the axis beyond which fisheye pixels are not used [rad]."""
PhotoK = tuple[float, float, float, float] | None
Positions = tuple["NDArray[np.float32]", "NDArray[np.float32]", "NDArray[np.bool_]"]


def distorted_positions(
    camera: Camera, distortion: tuple[float, ...], projection: Projection, photo_K: PhotoK = None
) -> Positions:
    """Position of each pinhole pixel in the distorted photo.

    Args:
        camera: Pinhole camera; the photo has its size.
        distortion: OpenCV coefficients k1, k2, p1, p2[, k3, k4, k5, k6], of a fisheye k1, k2, k3, k4.
        projection: Model that they belong to.
        photo_K: fx, fy, cx, cy [px] of the photo; None for those of the camera.

    Returns:
        Column and row, counted in OpenCV's way (pixel centres are whole numbers), and whether the photo saw the pixel;
        each of shape (H, W).
    """
    import cv2

    width, height = camera.width, camera.height
    K = np.array(camera.K.tolist(), dtype=np.float64)
    K[:2, 2] -= 0.5
    source = K
    if photo_K is not None:
        fx, fy, cx, cy = photo_K
        source = np.array([[fx, 0.0, cx - 0.5], [0.0, fy, cy - 0.5], [0.0, 0.0, 1.0]])
    x = (np.arange(width) - K[0, 2]) / K[0, 0]
    y = (np.arange(height) - K[1, 2]) / K[1, 1]
    radius = np.hypot(x[None, :], y[:, None])
    if projection == "fisheye":
        coefficients = np.zeros(4)
        coefficients[: len(distortion)] = distortion
        maps = cv2.fisheye.initUndistortRectifyMap(source, coefficients, np.eye(3), K, (width, height), cv2.CV_32FC1)
        seen = radius < math.tan(min(STEEPEST, _fisheye_fold(coefficients)))
    else:
        coefficients = np.array(distortion, dtype=np.float64)
        maps = cv2.initUndistortRectifyMap(source, coefficients, np.eye(3), K, (width, height), cv2.CV_32FC1)
        seen = radius < _radial_fold(coefficients, float(radius.max()))
    left, top = maps[0] + 0.5, maps[1] + 0.5
    seen &= (left >= 0) & (left <= width) & (top >= 0) & (top <= height)
    return maps[0], maps[1], seen  # type: ignore[return-value]


def photo_positions(
    camera: Camera, distortion: tuple[float, ...], projection: Projection, photo_K: PhotoK = None
) -> Positions:
    """`distorted_positions`, remembered because the photos of a capture usually share one camera."""
    K = tuple(float(value) for value in camera.K.flatten().tolist())
    return _remembered(camera.width, camera.height, K, distortion, projection, photo_K)


@lru_cache(maxsize=2)
def _remembered(
    width: int,
    height: int,
    K: tuple[float, ...],
    distortion: tuple[float, ...],
    projection: Projection,
    photo_K: PhotoK,
) -> Positions:
    import torch

    from scene3d._camera import Camera

    camera = Camera(width, height, torch.tensor(K, dtype=torch.float64).reshape(3, 3), torch.eye(4))
    return distorted_positions(camera, distortion, projection, photo_K)


def _radial_fold(coefficients: NDArray[np.float64], largest: float) -> float:
    """Pinhole radius from which the radial polynomial turns back and shows the photo a second time."""
    k = np.zeros(8)
    k[: len(coefficients)] = coefficients
    radius = np.linspace(0.0, 1.001 * largest, 2048)
    r2 = radius * radius
    outer = 1 + r2 * (k[0] + r2 * (k[1] + r2 * k[4]))
    distorted = radius * outer / (1 + r2 * (k[5] + r2 * (k[6] + r2 * k[7])))
    falling = np.flatnonzero(np.diff(distorted) <= 0)
    return float(radius[falling[0]]) if len(falling) else float("inf")


def _fisheye_fold(coefficients: NDArray[np.float64]) -> float:
    """Angle [rad] from which the fisheye polynomial turns back."""
    theta = np.linspace(0.0, STEEPEST, 2048)
    t2 = theta * theta
    k1, k2, k3, k4 = coefficients
    falling = np.flatnonzero(np.diff(theta * (1 + t2 * (k1 + t2 * (k2 + t2 * (k3 + t2 * k4))))) <= 0)
    return float(theta[falling[0]]) if len(falling) else STEEPEST
