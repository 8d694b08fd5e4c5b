"""What every reader demands of a camera and of a capture, and the messages when it is not so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from scene3d._camera import Camera
from scene3d._errors import CaptureError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from scene3d.capture._capture import View

__all__ = ["FEWEST_VIEWS", "at_image_size", "pinhole", "require_enough", "rigid"]

FEWEST_VIEWS = 3
"""A capture needs this many posed photos."""
ROTATION_TOLERANCE = 1e-3
"""Largest entry of R^T R - I that counts as rounding."""


def require_enough(views: Sequence[View], path: Path) -> None:
    """Refuse a capture of fewer than three views."""
    if len(views) < FEWEST_VIEWS:
        raise CaptureError(
            f"{path} has {len(views)} usable photo{'' if len(views) == 1 else 's'}, but at least {FEWEST_VIEWS} are "
            "needed. Take more photos from different places."
        )


def rigid(matrix: Any, where: str) -> NDArray[np.float64]:
    """A checked rigid transform (4, 4) of nested lists (3 or 4, 4); rounding of its rotation is undone by SVD."""
    try:
        T = np.array(matrix, dtype=np.float64)
    except (TypeError, ValueError):
        T = np.empty(0)
    if T.shape not in ((4, 4), (3, 4)):
        raise CaptureError(f"{where}: the pose must be a 4x4 matrix of numbers (camera to world).")
    if not np.isfinite(T).all():
        raise CaptureError(
            f"{where}: the pose holds NaN or infinite numbers. Solve the poses again, or drop the frame."
        )
    R = T[:3, :3]
    with np.errstate(over="ignore", invalid="ignore"):
        deviation = float(np.abs(R.T @ R - np.eye(3)).max())
    if not deviation <= ROTATION_TOLERANCE or np.linalg.det(R) <= 0:
        kind = "mirrors" if deviation <= ROTATION_TOLERANCE else f"is not a rotation (R^T R is {deviation:.2g} off)"
        raise CaptureError(
            f"{where}: the upper left 3x3 of the pose {kind}. Poses must be rigid, without scale or mirroring."
        )
    if len(T) == 4 and np.abs(T[3] - (0, 0, 0, 1)).max() > ROTATION_TOLERANCE:
        raise CaptureError(f"{where}: the last row of the pose must be 0 0 0 1. Transposed matrices are not accepted.")
    u, _, vt = np.linalg.svd(R)
    out = np.eye(4)
    out[:3, :3] = u @ vt
    out[:3, 3] = T[:3, 3]
    return out


def pinhole(
    width: int, height: int, K: tuple[float, float, float, float], T_world_cam: NDArray[np.float64], where: str
) -> Camera:
    """A float32 camera of intrinsics fx, fy, cx, cy [px] and a camera-to-world transform (4, 4) in OpenCV axes."""
    import torch

    fx, fy, cx, cy = K
    if not (np.isfinite(K).all() and fx > 0 and fy > 0):
        raise CaptureError(
            f"{where}: the focal lengths are {fx:g} and {fy:g}, but positive numbers of pixels are needed."
        )
    matrix = torch.tensor([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]], dtype=torch.float32)
    return Camera(width, height, matrix, torch.from_numpy(T_world_cam.astype(np.float32)))


def at_image_size(camera: Camera, stored: tuple[int, int]) -> Camera:
    """The camera scaled to an image of the same shape; itself when the sizes agree or the shapes differ.

    Data sets ship reduced copies of the photos with the intrinsics of the originals. A copy is recognised when both
    sides shrink alike within a pixel. Images stored sideways are left to `load_photo`.
    """
    width, height = stored
    if (width, height) == (camera.width, camera.height):
        return camera
    scale = width / camera.width
    return camera.resized(width, height) if abs(height - scale * camera.height) <= 1.0 else camera
