"""Cameras <-> nerfstudio: tensors of its `Cameras`, and entries of transforms.json.

nerfstudio's cameras look along -z with y up (OpenGL axes) and store camera-to-world as (3, 4). Intrinsics are in
pixels with pixel centres at +0.5, as ours. Everything here works without nerfstudio; only `to_nerfstudio` imports it,
because it returns an object of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from scene3d._errors import UsageError
from scene3d.interop._arrays import Calibration, flip_yz, join, optional_module, single, split

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from scene3d._camera import Camera

__all__ = [
    "NerfstudioArrays",
    "from_nerfstudio",
    "from_nerfstudio_arrays",
    "from_transforms_entry",
    "nerfstudio_arrays",
    "to_nerfstudio",
    "to_transforms_entry",
]

OPENCV_KEYS = ("k1", "k2", "p1", "p2", "k3")
FISHEYE_KEYS = ("k1", "k2", "k3", "k4")
BOTTOM = (0.0, 0.0, 0.0, 1.0)


@dataclass(frozen=True)
class NerfstudioArrays:
    """What nerfstudio's `Cameras` holds of N pinhole cameras of one size."""

    camera_to_worlds: NDArray[np.float64]
    """Camera-to-world transforms, camera in OpenGL axes, shape (N, 3, 4)."""
    fx: NDArray[np.float64]
    """Horizontal focal length [px], shape (N,)."""
    fy: NDArray[np.float64]
    """Vertical focal length [px], shape (N,)."""
    cx: NDArray[np.float64]
    """Principal point from the left edge [px], shape (N,)."""
    cy: NDArray[np.float64]
    """Principal point from the top edge [px], shape (N,)."""
    width: int
    """Image width [px]."""
    height: int
    """Image height [px]."""


def nerfstudio_arrays(camera: Camera) -> NerfstudioArrays:
    """The arrays of nerfstudio's `Cameras` for a camera or a batch, flattened to N views."""
    K, T_world_cam = split(camera)
    K, poses = K.reshape(-1, 4), flip_yz(T_world_cam).reshape(-1, 4, 4)
    return NerfstudioArrays(poses[:, :3], K[:, 0], K[:, 1], K[:, 2], K[:, 3], camera.width, camera.height)


def from_nerfstudio_arrays(arrays: NerfstudioArrays) -> Camera:
    """A batch of N cameras (N, ...).

    Raises:
        CaptureError: A pose is not rigid, or an intrinsic cannot be.
    """
    K = np.stack([arrays.fx, arrays.fy, arrays.cx, arrays.cy], axis=-1)
    return join(arrays.width, arrays.height, K, flip_yz(np.asarray(arrays.camera_to_worlds)), "nerfstudio cameras")


def to_nerfstudio(camera: Camera) -> Any:
    """A `nerfstudio.cameras.cameras.Cameras` of N perspective views.

    Raises:
        UsageError: nerfstudio is not installed.
    """
    import torch

    module = optional_module("nerfstudio.cameras.cameras", "nerfstudio")
    arrays = nerfstudio_arrays(camera)
    tensors = {
        name: torch.from_numpy(getattr(arrays, name)).float() for name in ("camera_to_worlds", "fx", "fy", "cx", "cy")
    }
    return module.Cameras(**tensors, width=arrays.width, height=arrays.height)


def from_nerfstudio(cameras: Any) -> Camera:
    """A batch of cameras from a `nerfstudio.cameras.cameras.Cameras` of perspective views of one size.

    Raises:
        UsageError: The views differ in size, or have distortion.
    """
    size = {(int(w), int(h)) for w, h in zip(_flat(cameras.width), _flat(cameras.height), strict=True)}
    if len(size) != 1:
        raise UsageError(
            f"The nerfstudio cameras have sizes {sorted(size)}, but a batch has one. Convert them one by one."
        )
    distortion = getattr(cameras, "distortion_params", None)
    if distortion is not None and np.any(_flat(distortion)):
        raise UsageError("The nerfstudio cameras have distortion, but a Camera is a pinhole. Undistort them first.")
    poses = _array(cameras.camera_to_worlds).reshape(-1, 3, 4)
    fx, fy, cx, cy = (np.broadcast_to(_flat(getattr(cameras, name)), len(poses)) for name in ("fx", "fy", "cx", "cy"))
    return from_nerfstudio_arrays(NerfstudioArrays(poses, fx, fy, cx, cy, *size.pop()))


def to_transforms_entry(calibration: Calibration | Camera) -> dict[str, Any]:
    """What transforms.json says of one view: fl_x, fl_y, cx, cy, w, h, camera_model, coefficients, transform_matrix.

    Raises:
        UsageError: More coefficients than transforms.json has names for.
    """
    if not isinstance(calibration, Calibration):
        calibration = Calibration(calibration)
    camera, distortion = calibration.camera, calibration.distortion
    fisheye = calibration.projection == "fisheye"
    keys = FISHEYE_KEYS if fisheye else OPENCV_KEYS
    if any(distortion[len(keys) :]):
        raise UsageError(
            f"transforms.json has no names for the {len(distortion)} distortion coefficients of this camera. "
            "Undistort its photo first."
        )
    (fx, fy, cx, cy), T_world_cam = single(camera, "a transforms.json entry")
    entry: dict[str, Any] = {"camera_model": "OPENCV_FISHEYE" if fisheye else "OPENCV"}
    entry |= {"fl_x": float(fx), "fl_y": float(fy), "cx": float(cx), "cy": float(cy)}
    entry |= {"w": camera.width, "h": camera.height}
    names: tuple[str, ...] = keys if fisheye or any(distortion[4:]) else keys[:4]
    given: dict[str, float] = dict(zip(keys, distortion, strict=False))
    entry |= {name: float(given.get(name, 0.0)) for name in names}
    return entry | {"transform_matrix": flip_yz(T_world_cam).tolist()}


def from_transforms_entry(entry: Mapping[str, Any]) -> Calibration:
    """The camera of an entry with fl_x, fl_y, cx, cy, w, h and transform_matrix; missing coefficients are 0.

    Raises:
        UsageError: A key is missing, or the camera model has no formula here.
        CaptureError: The pose is not rigid, or an intrinsic cannot be.
    """
    missing = [name for name in ("fl_x", "fl_y", "cx", "cy", "w", "h", "transform_matrix") if name not in entry]
    if missing:
        raise UsageError(f"The transforms.json entry has no {', '.join(missing)}. Read whole files with read_capture.")
    model = str(entry.get("camera_model", "OPENCV"))
    if model not in ("OPENCV", "OPENCV_FISHEYE", "PINHOLE", "SIMPLE_PINHOLE"):
        raise UsageError(f"Cameras of kind {model} have no formula here, only OPENCV, OPENCV_FISHEYE and PINHOLE.")
    fisheye = model == "OPENCV_FISHEYE"
    keys = () if model.endswith("PINHOLE") else FISHEYE_KEYS if fisheye else OPENCV_KEYS
    coefficients = tuple(float(entry.get(key, 0.0)) for key in keys)
    if not fisheye:
        coefficients = coefficients if any(coefficients[4:]) else coefficients[:4]
        coefficients = coefficients if any(coefficients) else ()
    matrix = np.array(entry["transform_matrix"], dtype=np.float64)
    pose = flip_yz(matrix if len(matrix) == 4 else np.vstack([matrix, BOTTOM]))
    K = [entry["fl_x"], entry["fl_y"], entry["cx"], entry["cy"]]
    camera = join(int(entry["w"]), int(entry["h"]), K, pose, "transforms.json entry")
    return Calibration(camera, coefficients, "fisheye" if fisheye else "opencv")


def _array(tensor: Any) -> NDArray[np.float64]:
    """A float64 array of a tensor of any device, an array or numbers."""
    return np.asarray(tensor.detach().cpu() if hasattr(tensor, "detach") else tensor, dtype=np.float64)


def _flat(tensor: Any) -> NDArray[np.float64]:
    return _array(tensor).reshape(-1)
