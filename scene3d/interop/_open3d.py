"""Cameras <-> Open3D's `PinholeCameraParameters`.

The extrinsic is world-to-camera in OpenCV axes. Pixel centres depend on which part of Open3D reads the camera: depth
images, point clouds and TSDF volumes (and Open3D's own default intrinsics, 319.5 for a width of 640) put them on whole
numbers, `RaycastingScene` and the offscreen renderer at +0.5 as we do. `pixel_centre` says which is meant.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from scene3d._errors import UsageError
from scene3d.interop._arrays import join, single, world_to_camera

if TYPE_CHECKING:
    from scene3d._camera import Camera

__all__ = ["from_open3d", "to_open3d"]


def to_open3d(camera: Camera, *, pixel_centre: float = 0.0) -> Any:
    """An `open3d.camera.PinholeCameraParameters`.

    Args:
        camera: One view.
        pixel_centre: Where the first pixel's centre lies: 0.0 for depth images, point clouds and TSDF volumes,
            0.5 for `RaycastingScene.create_rays_pinhole` and `OffscreenRenderer.setup_camera`.

    Raises:
        UsageError: The camera is a batch, or `pixel_centre` is neither.
    """
    import open3d

    shift = _shift(pixel_centre)
    (fx, fy, cx, cy), T_world_cam = single(camera, "Open3D")
    parameters = open3d.camera.PinholeCameraParameters()
    parameters.intrinsic = open3d.camera.PinholeCameraIntrinsic(
        camera.width, camera.height, fx, fy, cx - shift, cy - shift
    )
    parameters.extrinsic = world_to_camera(T_world_cam)
    return parameters


def from_open3d(parameters: Any, *, pixel_centre: float = 0.0) -> Camera:
    """A camera from an `open3d.camera.PinholeCameraParameters`; `pixel_centre` as in `to_open3d`.

    Raises:
        UsageError: `pixel_centre` is neither 0.0 nor 0.5.
        CaptureError: The extrinsic is not rigid, or an intrinsic cannot be.
    """
    shift = _shift(pixel_centre)
    K = np.asarray(parameters.intrinsic.intrinsic_matrix, dtype=np.float64)
    T_cam_world = np.asarray(parameters.extrinsic, dtype=np.float64)
    intrinsics = [K[0, 0], K[1, 1], K[0, 2] + shift, K[1, 2] + shift]
    width, height = parameters.intrinsic.width, parameters.intrinsic.height
    return join(width, height, intrinsics, world_to_camera(T_cam_world), "Open3D camera")


def _shift(pixel_centre: float) -> float:
    """What to subtract from our principal point [px]."""
    if pixel_centre not in (0.0, 0.5):
        raise UsageError(f"pixel_centre is {pixel_centre}, but Open3D's pixel centres are at 0.0 or at 0.5.")
    return 0.5 - pixel_centre
