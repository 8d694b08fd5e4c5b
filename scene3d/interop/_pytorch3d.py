"""Cameras <-> pytorch3d's `PerspectiveCameras`, in NDC and in screen space.

pytorch3d multiplies row vectors, X_view = X_world R + T, and its camera looks along +z with x to the left and y up, so
x and y change sign. In NDC the shorter side of the image spans [-1, 1] and the longer one its share more, on both
axes with one scale s = min(width, height) / 2: fx_ndc = fx / s, px_ndc = (width / 2 - cx) / s. In screen space
(``in_ndc=False``) focal lengths and principal point are in pixels, from the top left corner of the image. Pixel
centres are at +0.5, as ours (releases up to 0.3 counted otherwise). Only `to_pytorch3d` imports pytorch3d.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from scene3d._errors import UsageError
from scene3d.interop._arrays import join, optional_module, split, world_to_camera

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from scene3d._camera import Camera

__all__ = ["Pytorch3dArrays", "from_pytorch3d", "from_pytorch3d_arrays", "pytorch3d_arrays", "to_pytorch3d"]

FLIP_XY = np.array([-1.0, -1.0, 1.0])
"""OpenCV's x right, y down to x left, y up."""


@dataclass(frozen=True)
class Pytorch3dArrays:
    """Arguments of `PerspectiveCameras` for N views of one size."""

    R: NDArray[np.float64]
    """World-to-view rotations for row vectors, shape (N, 3, 3)."""
    T: NDArray[np.float64]
    """World-to-view translations, shape (N, 3)."""
    focal_length: NDArray[np.float64]
    """fx, fy [NDC units or px], shape (N, 2)."""
    principal_point: NDArray[np.float64]
    """px, py [NDC units or px], shape (N, 2)."""
    image_size: NDArray[np.int64]
    """Height and width [px], shape (N, 2)."""
    in_ndc: bool
    """False when focal lengths and principal points are in pixels."""


def pytorch3d_arrays(camera: Camera, *, in_ndc: bool = True) -> Pytorch3dArrays:
    """Arguments of `PerspectiveCameras` for a camera or a batch, flattened to N views."""
    K, T_world_cam = split(camera)
    K = K.reshape(-1, 4)
    T_cam_world = world_to_camera(T_world_cam.reshape(-1, 4, 4))
    focal, principal = K[:, :2], K[:, 2:]
    if in_ndc:
        size = np.array([camera.width, camera.height], dtype=np.float64)
        scale = 0.5 * size.min()
        focal, principal = focal / scale, (0.5 * size - principal) / scale
    return Pytorch3dArrays(
        R=np.swapaxes(T_cam_world[:, :3, :3], 1, 2) * FLIP_XY,
        T=T_cam_world[:, :3, 3] * FLIP_XY,
        focal_length=focal,
        principal_point=principal,
        image_size=np.tile(np.array([[camera.height, camera.width]], dtype=np.int64), (len(K), 1)),
        in_ndc=in_ndc,
    )


def from_pytorch3d_arrays(arrays: Pytorch3dArrays) -> Camera:
    """A batch of N cameras (N, ...).

    Raises:
        UsageError: The views differ in size.
        CaptureError: A rotation is none, or an intrinsic cannot be.
    """
    sizes = np.unique(np.asarray(arrays.image_size).reshape(-1, 2), axis=0)
    if len(sizes) != 1:
        raise UsageError(f"The pytorch3d cameras have {len(sizes)} image sizes, but a batch has one. Split them.")
    height, width = (int(side) for side in sizes[0])
    focal, principal = np.asarray(arrays.focal_length), np.asarray(arrays.principal_point)
    if arrays.in_ndc:
        size = np.array([width, height], dtype=np.float64)
        scale = 0.5 * size.min()
        focal, principal = focal * scale, 0.5 * size - principal * scale
    T_cam_world = np.zeros((len(arrays.R), 4, 4))
    T_cam_world[:, :3, :3] = np.swapaxes(np.asarray(arrays.R) * FLIP_XY, 1, 2)
    T_cam_world[:, :3, 3] = np.asarray(arrays.T) * FLIP_XY
    T_cam_world[:, 3, 3] = 1.0
    K = np.concatenate([focal, principal], axis=-1)
    return join(width, height, K, world_to_camera(T_cam_world), "pytorch3d cameras")


def to_pytorch3d(camera: Camera, *, in_ndc: bool = True) -> Any:
    """A `pytorch3d.renderer.PerspectiveCameras` of N views on the camera's device.

    Raises:
        UsageError: pytorch3d is not installed.
    """
    import torch

    module = optional_module("pytorch3d.renderer", "pytorch3d")
    arrays = pytorch3d_arrays(camera, in_ndc=in_ndc)
    tensors = {
        name: torch.from_numpy(np.ascontiguousarray(getattr(arrays, name))).float().to(camera.K.device)
        for name in ("R", "T", "focal_length", "principal_point", "image_size")
    }
    return module.PerspectiveCameras(**tensors, in_ndc=in_ndc, device=camera.K.device)


def from_pytorch3d(cameras: Any, *, image_size: tuple[int, int] | None = None) -> Camera:
    """A batch of cameras from a `PerspectiveCameras`.

    Args:
        cameras: The object; nothing but its attributes is used.
        image_size: Height and width [px] for cameras that do not know theirs, as those in NDC need not.

    Raises:
        UsageError: The image size is not known.
    """
    size = cameras.image_size if image_size is None else image_size
    if size is None:
        raise UsageError("The pytorch3d cameras have no image_size. Pass image_size=(height, width).")
    R, T, focal, principal = (_array(getattr(cameras, n)) for n in ("R", "T", "focal_length", "principal_point"))
    n = len(R)
    if focal.ndim < 2:  # One number for both axes.
        focal = np.repeat(np.broadcast_to(focal.reshape(-1, 1), (n, 1)), 2, axis=1)
    return from_pytorch3d_arrays(
        Pytorch3dArrays(
            R=R,
            T=np.broadcast_to(T, (n, 3)),
            focal_length=np.broadcast_to(focal, (n, 2)),
            principal_point=np.broadcast_to(principal, (n, 2)),
            image_size=np.broadcast_to(_array(size).astype(np.int64).reshape(-1, 2), (n, 2)),
            in_ndc=bool(cameras.in_ndc()),
        )
    )


def _array(tensor: Any) -> NDArray[np.float64]:
    return np.asarray(tensor.detach().cpu() if hasattr(tensor, "detach") else tensor, dtype=np.float64)
