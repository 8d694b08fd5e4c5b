"""Cameras <-> trimesh's `scene.Camera` and its camera_transform.

The transform is camera-to-world in OpenGL axes (x right, y up, z back). The camera itself knows resolution (width,
height), focal lengths [px] or fields of view [deg] and nothing else: its principal point is the image's centre. Rays of
`camera_rays` go through pixel centres at +0.5, and their pixel indices count rows from the bottom of the image.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from scene3d._errors import UsageError
from scene3d.interop._arrays import flip_yz, join, optional_module, single

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from scene3d._camera import Camera

__all__ = ["from_trimesh", "to_trimesh"]

CENTRED = 1e-3
"""Distance of the principal point from the image's centre that is rounding [px]."""


def to_trimesh(camera: Camera, *, centre: bool = False) -> tuple[Any, NDArray[np.float64]]:
    """A `trimesh.scene.Camera` and the camera_transform (4, 4) that belongs to it.

    Pass both to a scene: ``trimesh.Scene(geometry, camera=..., camera_transform=...)``.

    Args:
        camera: One view.
        centre: Move an off-centre principal point to the centre, which shifts the picture; otherwise it is refused.

    Raises:
        UsageError: The camera is a batch, its principal point is off centre, or trimesh is not installed.
    """
    (fx, fy, cx, cy), T_world_cam = single(camera, "trimesh")
    off = max(abs(cx - 0.5 * camera.width), abs(cy - 0.5 * camera.height))
    if off > CENTRED and not centre:
        raise UsageError(
            f"The principal point is {off:.1f} px off the image's centre, which a trimesh camera cannot say. "
            "Pass centre=True to move it there, or crop the image around it first."
        )
    module = optional_module("trimesh.scene.cameras", "trimesh")
    return module.Camera(resolution=(camera.width, camera.height), focal=(fx, fy)), flip_yz(T_world_cam)


def from_trimesh(camera: Any, camera_transform: ArrayLike) -> Camera:
    """A camera from a `trimesh.scene.Camera` and its camera_transform (4, 4).

    Raises:
        CaptureError: The transform is not rigid, or the field of view cannot be.
    """
    width, height = (int(side) for side in camera.resolution)
    fx, fy = (float(value) for value in camera.focal)
    T_world_cam = flip_yz(np.asarray(camera_transform, dtype=np.float64))
    return join(width, height, [fx, fy, 0.5 * width, 0.5 * height], T_world_cam, "trimesh camera")
