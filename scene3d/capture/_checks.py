"""What every reader demands of a camera and of a capture, and the messages when it is not so.

JSON of a bounded size and finite numbers from it, rigid poses, positive focal lengths, a principal point that belongs
to the photo, and at least three views.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from scene3d._camera import Camera
from scene3d._errors import CaptureError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from scene3d.capture._capture import View

__all__ = [
    "FEWEST_VIEWS",
    "at_image_size",
    "finite",
    "is_lost",
    "pinhole",
    "pose_matrix",
    "read_json",
    "require_centred",
    "require_enough",
    "rigid",
]

FEWEST_VIEWS = 3
"""A capture needs this many posed photos."""
ROTATION_TOLERANCE = 1e-3
"""Largest entry of R^T R - I that counts as rounding."""
OFF_CENTRE = 0.3
"""Principal points farther than this share of the side from the centre belong to photos of another size."""
LARGEST_JSON = 256 * 1024 * 1024
"""Bytes; hundreds of thousands of frames."""


def read_json(path: Path, *, largest: int = LARGEST_JSON) -> Any:
    """The document in a JSON file of at most ``largest`` bytes.

    Raises:
        CaptureError: The file is absent, too large, or not JSON.
    """
    try:
        if path.stat().st_size > largest:
            raise CaptureError(f"{path} is larger than {largest // 2**20} MiB, which no list of frames is.")
        return json.loads(path.read_bytes())
    except OSError as error:
        raise CaptureError(f"{path} cannot be read ({error.strerror}).") from error
    except (ValueError, RecursionError) as error:
        raise CaptureError(f"{path} is not valid JSON ({error}). Export it again.") from error


def finite(value: Any, key: str, where: str) -> float:
    """A finite number of an untrusted document.

    Raises:
        CaptureError: It is absent, of another kind, NaN or infinite.
    """
    try:
        if not isinstance(value, bool) and isinstance(value, int | float) and math.isfinite(value):
            return float(value)
    except OverflowError:  # An integer beyond the range of floats.
        value = "beyond all bounds"
    raise CaptureError(f"{where}: {key} is {value!r}, but a finite number is needed.")


def is_lost(T: NDArray[np.float64]) -> bool:
    """Whether a pose (4, 4) is how recorders write that tracking was lost: NaN, infinite or zero entries."""
    return not np.isfinite(T).all() or not T[:3, :3].any()


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


def pose_matrix(xyz: NDArray[np.float64], quat_xyzw: NDArray[np.float64]) -> NDArray[np.float64]:
    """Pose (4, 4) of a position (3,) and a quaternion (4,), real part last; NaN when the quaternion has no length."""
    import torch

    from dynamics.poses import rotation_from_wxyz, wxyz_from_xyzw

    T = np.eye(4)
    length = np.linalg.norm(quat_xyzw)
    known = np.isfinite(length) and length > 0.0
    T[:3, :3] = rotation_from_wxyz(wxyz_from_xyzw(torch.from_numpy(quat_xyzw))).numpy() if known else np.nan
    T[:3, 3] = xyz
    return T


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


def require_centred(camera: Camera, where: str) -> None:
    """Refuse a principal point near the border, which tells that the intrinsics belong to photos of another size."""
    cx, cy = camera.K[0, 2].item(), camera.K[1, 2].item()
    width, height = camera.width, camera.height
    if abs(cx - 0.5 * width) > OFF_CENTRE * width or abs(cy - 0.5 * height) > OFF_CENTRE * height:
        raise CaptureError(
            f"{where}: the principal point is ({cx:g}, {cy:g}), far from the centre of photos of {width}x{height} "
            "pixels. Give the intrinsics of photos of this size."
        )


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
