"""Photos of printed markers on a table, computed from first principles: what the tests of markers look at.

Every pixel is a bundle of rays through a known camera (distortion included) that hit the plane z = 0, blurred as a lens
does, then bent by a tone curve and rounded to bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image

from scene3d._camera import Camera
from scene3d.capture import Capture, Projection, View

WIDTH, HEIGHT, FOCAL, RAYS = 320, 240, 330.0, 3
"""Size [px], focal length [px], rays per pixel and axis."""
Tone = Callable[[np.ndarray], np.ndarray]


def srgb(light: np.ndarray) -> np.ndarray:
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * np.maximum(light, 1e-9) ** (1 / 2.4) - 0.055)


def filmic(light: np.ndarray) -> np.ndarray:
    """Bright and with a soft shoulder, as phones do."""
    return srgb(1 - np.exp(-3.0 * light))


def contrasty(light: np.ndarray) -> np.ndarray:
    x = srgb(light)
    return x * x * (3 - 2 * x)


@dataclass(frozen=True)
class Print:
    """A marker on the table."""

    dictionary: str
    id: int
    size: float
    """Side of its black square."""
    centre: tuple[float, float] = (0.0, 0.0)
    turn: float = 0.0
    """Angle about z [rad]."""


def camera_at(azimuth: float, elevation: float, distance: float) -> Camera:
    """A camera that looks at a point near the origin; angles in degrees."""
    a, e = np.radians([azimuth, elevation])
    position = distance * np.array([np.cos(a) * np.cos(e), np.sin(a) * np.cos(e), np.sin(e)])
    pose = Camera.look_at(torch.from_numpy(position), torch.tensor([0.01, -0.02, 0.0], dtype=torch.float64))
    K = torch.tensor([[FOCAL, 0, WIDTH / 2 + 7], [0, FOCAL, HEIGHT / 2 - 4], [0, 0, 1]], dtype=torch.float64)
    return Camera(WIDTH, HEIGHT, K, pose)


def photograph(
    folder: Path,
    cameras: Sequence[Camera],
    prints: Sequence[Print],
    *,
    tone: Tone = srgb,
    distortion: tuple[float, ...] = (),
    projection: Projection = "opencv",
) -> Capture:
    """Write the photos and describe them."""
    views = []
    for index, camera in enumerate(cameras):
        path = folder / f"{index:02d}.png"
        Image.fromarray(_photo(camera, prints, tone, distortion, projection)).save(path)
        views.append(View(path.name, path, camera, distortion, projection=projection))
    return Capture(folder, tuple(views))


def _photo(
    camera: Camera, prints: Sequence[Print], tone: Tone, distortion: tuple[float, ...], projection: Projection
) -> np.ndarray:
    place = (np.arange(WIDTH * RAYS) + 0.5) / RAYS, (np.arange(HEIGHT * RAYS) + 0.5) / RAYS
    pixels = np.stack(np.meshgrid(*place), axis=-1).reshape(-1, 1, 2)
    K = camera.K.numpy()
    if not distortion:
        flat = (pixels - K[:2, 2]) / K[[0, 1], [0, 1]]
    elif projection == "fisheye":
        flat = cv2.fisheye.undistortPoints(pixels, K, np.array(distortion))
    else:
        flat = cv2.undistortPoints(pixels, K, np.array(distortion))
    T = camera.T_world_cam.numpy()
    rays = np.asarray(flat, dtype=np.float64).reshape(-1, 2) @ T[:3, :2].T + T[:3, 2]
    points = T[:2, 3] - T[2, 3] / np.minimum(rays[:, 2:], -1e-6) * rays[:, :2]
    light = _table(points, prints).reshape(HEIGHT * RAYS, WIDTH * RAYS)
    light = cv2.GaussianBlur(light, (0, 0), 0.6 * RAYS)
    light = light.reshape(HEIGHT, RAYS, WIDTH, RAYS).mean(axis=(1, 3))
    noise = np.random.default_rng(0).normal(size=light.shape) * 0.004
    return np.repeat(np.round(255 * np.clip(tone(light) + noise, 0, 1)).astype(np.uint8)[..., None], 3, axis=2)


def _table(points: np.ndarray, prints: Sequence[Print]) -> np.ndarray:
    """Linear light at points (N, 2) of the table: grey cloth, white paper, black print."""
    light = 0.18 + 0.04 * np.sin(9 * points[:, 0]) * np.sin(7 * points[:, 1])
    for p in prints:
        table = cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, p.dictionary))
        n = int(table.markerSize) + 2
        cells = np.pad(np.asarray(cv2.aruco.generateImageMarker(table, p.id, n)) > 127, 2, constant_values=True)
        c, s = np.cos(p.turn), np.sin(p.turn)
        x, y = ((points - p.centre) @ np.array([[c, -s], [s, c]]) / p.size).T
        column, row = np.floor((x + 0.5) * n).astype(int) + 2, np.floor((0.5 - y) * n).astype(int) + 2
        on = (column >= 0) & (column < n + 4) & (row >= 0) & (row < n + 4)
        light[on] = np.where(cells[row[on], column[on]], 0.75, 0.03)
    return light
