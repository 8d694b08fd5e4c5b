"""Poses and depths that iPhones record, in our conventions.

ARKit gives camera-to-world transforms in OpenGL axes (x right, y up, z back) and a world with Y up, in metres. Apps
export these as they are. Here the camera turns to OpenCV axes and the world to Z up, and the limits of the lidar are
written down.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["LIDAR_FARTHEST", "T_WORLD_ARKIT", "UP", "to_opencv_axes", "world_pose"]

LIDAR_FARTHEST = 5.0
"""The lidar reaches this far [m]; ARKit fills in what lies beyond by guessing."""
UP = (0.0, 0.0, 1.0)
OPENGL_TO_OPENCV = (1.0, -1.0, -1.0)
"""Signs of the camera's x, y and z axes."""
T_WORLD_ARKIT = ((1.0, 0.0, 0.0, 0.0), (0.0, 0.0, -1.0, 0.0), (0.0, 1.0, 0.0, 0.0), (0.0, 0.0, 0.0, 1.0))
"""From a world with Y up to one with Z up: a quarter turn about x."""


def to_opencv_axes(T_world_cam: NDArray[np.float64]) -> NDArray[np.float64]:
    """Camera-to-world (4, 4) of OpenCV axes from one of OpenGL axes."""
    out = T_world_cam.copy()
    out[:3, :3] *= OPENGL_TO_OPENCV
    return out


def world_pose(T_arkit_cam: NDArray[np.float64]) -> NDArray[np.float64]:
    """Camera-to-world (4, 4) in OpenCV axes and a world with Z up from a pose as ARKit gives it."""
    return np.array(T_WORLD_ARKIT) @ to_opencv_axes(T_arkit_cam)
