"""Our cameras as plain arrays and back, and what no other library may change on the way.

Every conversion of this package starts at `split`, which gives intrinsics and pose in double precision, and ends at
`join`, which checks them and makes a float32 `Camera`. OpenGL axes (x right, y up, z back) differ from ours (x right,
y down, z forward) in the sign of y and z; `flip_yz` goes both ways. Distortion travels beside the camera, as in `View`.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from scene3d._camera import Camera
from scene3d._errors import UsageError
from scene3d.capture._checks import pinhole, rigid

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from scene3d.capture._capture import Projection

__all__ = ["Calibration", "flip_yz", "join", "optional_module", "single", "split"]

SKEW_TOLERANCE = 1e-6
"""Share of the focal length."""


@dataclass(frozen=True)
class Calibration:
    """A camera with the distortion of its photo."""

    camera: Camera
    """Pinhole camera at the photo's full size, OpenCV axes."""
    distortion: tuple[float, ...] = ()
    """OpenCV coefficients k1, k2, p1, p2[, k3, k4, k5, k6], of a fisheye k1, k2, k3, k4; empty for none."""
    projection: Projection = "opencv"
    """Camera model that `distortion` belongs to."""


def split(camera: Camera) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Intrinsics fx, fy, cx, cy [px], shape (..., 4), and camera-to-world transforms (..., 4, 4) in OpenCV axes.

    Raises:
        UsageError: The camera has skew, which none of the other libraries knows.
    """
    K = camera.K.detach().cpu().double().numpy()
    T_world_cam = camera.T_world_cam.detach().cpu().double().numpy()
    if (np.abs(K[..., 0, 1]) > SKEW_TOLERANCE * np.abs(K[..., 0, 0])).any():
        raise UsageError("The camera has skew (K[0, 1] is not 0), which other libraries do not know. Set it to 0.")
    return np.stack([K[..., 0, 0], K[..., 1, 1], K[..., 0, 2], K[..., 1, 2]], axis=-1), T_world_cam.copy()


def single(camera: Camera, library: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """`split` of one view, for libraries whose cameras are single.

    Raises:
        UsageError: The camera is a batch.
    """
    if camera.batch_shape:
        shape = tuple(camera.batch_shape)
        raise UsageError(f"The camera is a batch of shape {shape}, but {library} takes one view. Pass camera[i].")
    return split(camera)


def join(width: int, height: int, K: ArrayLike, T_world_cam: ArrayLike, where: str) -> Camera:
    """A float32 camera of fx, fy, cx, cy [px], shape (..., 4), and poses (..., 4, 4) in OpenCV axes.

    Raises:
        CaptureError: An intrinsic is not finite or a pose is not rigid.
    """
    intrinsics, poses = np.asarray(K, dtype=np.float64), np.asarray(T_world_cam, dtype=np.float64)
    batch = intrinsics.shape[:-1]
    cameras = [
        pinhole(int(width), int(height), (float(k[0]), float(k[1]), float(k[2]), float(k[3])), rigid(T, where), where)
        for k, T in zip(intrinsics.reshape(-1, 4), poses.reshape(-1, *poses.shape[-2:]), strict=True)
    ]
    if not batch:
        return cameras[0]
    stacked = Camera.stack(cameras)
    return Camera(stacked.width, stacked.height, stacked.K.view(*batch, 3, 3), stacked.T_world_cam.view(*batch, 4, 4))


def flip_yz(T_world_cam: NDArray[np.float64]) -> NDArray[np.float64]:
    """Camera-to-world transforms (..., 3 | 4, 4) from OpenCV to OpenGL axes of the camera, or back."""
    flipped = T_world_cam.copy()
    flipped[..., :3, 1:3] *= -1.0
    return flipped


def world_to_camera(T_world_cam: NDArray[np.float64]) -> NDArray[np.float64]:
    """Inverse of rigid transforms (..., 4, 4)."""
    inverse = np.zeros_like(T_world_cam)
    R = np.swapaxes(T_world_cam[..., :3, :3], -1, -2)
    inverse[..., :3, :3] = R
    inverse[..., :3, 3] = -np.einsum("...ij,...j->...i", R, T_world_cam[..., :3, 3])
    inverse[..., 3, 3] = 1.0
    return inverse


def optional_module(name: str, package: str) -> Any:
    """Import a module of a package that we neither need nor declare.

    Raises:
        UsageError: The package is not installed.
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise UsageError(
            f"{package} is not installed, and objects of {package} were asked for. "
            f"Install {package}, or use the functions that return plain arrays."
        ) from error
