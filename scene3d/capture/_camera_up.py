"""Which way is up as the photos were held: cameras in, a direction and how far to trust it out.

People keep the horizon level and tilt the camera down, so a photo's horizontal axis says more than its vertical one:
up is the direction that is most nearly perpendicular to the horizontal axes of all photos. A phone turned on its side
swaps the two axes of its photo; each camera may therefore choose which of its axes is the level one. Photos that all
look the same way leave a whole circle of directions open, and then the mean of the image-up directions has to do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from scene3d._camera import Camera

__all__ = ["CameraUp", "camera_up"]

CANDIDATES = 1000
"""Directions that are tried before the best is refined; about 5 degrees apart."""
ON_ITS_SIDE = 0.15
"""What it costs a camera [sine of an angle] to be explained as turned on its side."""
LARGEST_TILT = 0.4
"""Cameras rolled by more [sine of an angle] count no worse: they are outliers."""
TYPICAL_TILT = 0.05
"""Roll of a hand-held photo [sine of an angle]."""
LEAST_SPREAD = 0.02
"""Smallest mean squared spread of the level axes that says anything about the direction across them."""
ROUNDS = 20


@dataclass(frozen=True)
class CameraUp:
    """The cameras' opinion on where up is."""

    up: NDArray[np.float64]
    """Unit direction in the world, shape (3,)."""
    sure: bool
    """True when photos were taken from directions that differ enough; up is then good to a few degrees, else it is
    wrong by as much as the cameras look down."""


def camera_up(cameras: Sequence[Camera]) -> CameraUp:
    """Up from the poses of hand-held photos.

    Args:
        cameras: Single views, at least one.
    """
    T = np.stack([camera.T_world_cam.detach().cpu().double().numpy() for camera in cameras])
    right, down, forward = T[:, :3, 0], T[:, :3, 1], T[:, :3, 2]
    candidates = _hemisphere(CANDIDATES)
    up = candidates[int(np.argmin([_cost(right, down, candidate) for candidate in candidates]))]
    sure = True
    for _ in range(ROUNDS):
        level = np.where(_is_turned(right, down, up)[:, None], down, right)
        weight = 1 / (1 + ((level @ up) / TYPICAL_TILT) ** 2)
        values, vectors = np.linalg.eigh((level * weight[:, None]).T @ level / weight.sum())
        up, sure = vectors[:, 0], bool(values[1] > LEAST_SPREAD)
    straight = ~_is_turned(right, down, up)
    mean_up = -down[straight if straight.any() else slice(None)].mean(axis=0)
    if not sure:
        length = np.linalg.norm(mean_up)
        return CameraUp(mean_up / length if length > 0 else np.array([0.0, 0.0, 1.0]), sure=False)
    # Photos taken straight down have no image-up that points up; then what was photographed lies below.
    sign = mean_up @ up if abs(mean_up @ up) > 0.1 else -forward.mean(axis=0) @ up
    return CameraUp(up if sign >= 0 else -up, sure=True)


def _is_turned(right: NDArray, down: NDArray, up: NDArray) -> NDArray[np.bool_]:
    """Which cameras (C,) are better explained as turned on their side."""
    return np.abs(down @ up) + ON_ITS_SIDE < np.abs(right @ up)


def _cost(right: NDArray, down: NDArray, up: NDArray) -> float:
    tilt = np.minimum(np.abs(right @ up), np.abs(down @ up) + ON_ITS_SIDE)
    return float(np.minimum(tilt, LARGEST_TILT).mean())


def _hemisphere(count: int) -> NDArray[np.float64]:
    """Directions (count, 3) spread evenly over half of the sphere, on a spiral."""
    index = np.arange(count)
    z = (index + 0.5) / count
    angle = index * np.pi * (3 - np.sqrt(5))
    return np.stack([np.sqrt(1 - z * z) * np.cos(angle), np.sqrt(1 - z * z) * np.sin(angle), z], axis=1)
