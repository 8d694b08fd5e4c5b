"""Cameras <-> pycolmap's `Camera` and the world-to-camera `Rigid3d` of an image.

COLMAP's axes and pixels are ours: OpenCV axes, top left corner of the image at 0, 0, pixel centres at +0.5. Poses are
world-to-camera and quaternions xyzw (in model files wxyz). Distortion chooses the camera model: PINHOLE without,
OPENCV with four coefficients, FULL_OPENCV with more, OPENCV_FISHEYE for a fisheye.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from scene3d._errors import UsageError
from scene3d.interop._arrays import Calibration, join, single, world_to_camera

if TYPE_CHECKING:
    from scene3d._camera import Camera

__all__ = ["from_pycolmap", "to_pycolmap"]

OPENCV_ORDER = {
    "SIMPLE_PINHOLE": 0,
    "PINHOLE": 0,
    "SIMPLE_RADIAL": 1,
    "RADIAL": 2,
    "OPENCV": 4,
    "FULL_OPENCV": 8,
}
"""Models whose coefficients are the first so many of k1, k2, p1, p2, k3, k4, k5, k6."""
FISHEYE_ORDER = {
    "SIMPLE_FISHEYE": 0,
    "FISHEYE": 0,
    "SIMPLE_RADIAL_FISHEYE": 1,
    "RADIAL_FISHEYE": 2,
    "OPENCV_FISHEYE": 4,
}
"""Models whose coefficients are the first so many of k1, k2, k3, k4 of the equidistant fisheye."""


def to_pycolmap(calibration: Calibration | Camera, *, camera_id: int = 1) -> tuple[Any, Any]:
    """A `pycolmap.Camera` and the `pycolmap.Rigid3d` from world to camera.

    Args:
        calibration: One view, with or without distortion.
        camera_id: Number of the camera in its model.

    Raises:
        UsageError: The camera is a batch.
    """
    import pycolmap

    if not isinstance(calibration, Calibration):
        calibration = Calibration(calibration)
    K, T_world_cam = single(calibration.camera, "pycolmap")
    name, coefficients = _model(calibration)
    width, height = calibration.camera.width, calibration.camera.height
    camera = pycolmap.Camera.create_from_model_name(camera_id, name, float(K[0]), width, height)
    camera.params = [*K.tolist(), *coefficients]
    return camera, pycolmap.Rigid3d(world_to_camera(T_world_cam)[:3])


def from_pycolmap(camera: Any, cam_from_world: Any) -> Calibration:
    """A camera with its distortion from a `pycolmap.Camera` and a `pycolmap.Rigid3d` from world to camera.

    Raises:
        UsageError: The camera model has no OpenCV form.
        CaptureError: The pose is not rigid, or an intrinsic cannot be.
    """
    name = camera.model_name
    known = OPENCV_ORDER | FISHEYE_ORDER
    if name not in known:
        raise UsageError(f"COLMAP cameras of kind {name} have no OpenCV form; known are {', '.join(known)}.")
    K = np.asarray(camera.calibration_matrix(), dtype=np.float64)
    given = [float(camera.params[i]) for i in camera.extra_params_idxs()]
    fisheye = name in FISHEYE_ORDER
    distortion = tuple([*given, 0.0, 0.0, 0.0, 0.0][: max(4, len(given))])
    if not fisheye and not any(distortion):
        distortion = ()
    T_cam_world = np.vstack([np.asarray(cam_from_world.matrix(), dtype=np.float64), [0.0, 0.0, 0.0, 1.0]])
    pose = world_to_camera(T_cam_world)
    intrinsics = [K[0, 0], K[1, 1], K[0, 2], K[1, 2]]
    joined = join(int(camera.width), int(camera.height), intrinsics, pose, "COLMAP camera")
    return Calibration(joined, distortion, "fisheye" if fisheye else "opencv")


def _model(calibration: Calibration) -> tuple[str, tuple[float, ...]]:
    """Name and coefficients of the smallest COLMAP model that holds a calibration."""
    distortion = calibration.distortion
    if calibration.projection == "fisheye":
        return "OPENCV_FISHEYE", (*distortion, 0.0, 0.0, 0.0, 0.0)[:4]
    if not any(distortion):
        return "PINHOLE", ()
    if not any(distortion[4:]):
        return "OPENCV", (*distortion, 0.0, 0.0, 0.0, 0.0)[:4]
    if any(distortion[8:]):
        raise UsageError(f"COLMAP has no model of {len(distortion)} distortion coefficients. Undistort its photo.")
    return "FULL_OPENCV", (*distortion, 0.0, 0.0, 0.0)[:8]
