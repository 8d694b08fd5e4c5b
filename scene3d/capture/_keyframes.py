"""Long recordings -> the frames that show something new.

Apps record 30 or 60 posed frames a second, and most repeat the frame before. `spread_frames` picks some that are evenly
spread over the way that the camera went, turning included, so that standing still costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["MOST_FRAMES", "spread_frames"]

MOST_FRAMES = 400
"""Photos of one place beyond this number only cost time."""
METRES_PER_RADIAN = 1.0
"""A turn counts as much as this way [m]: it moves a scene one metre away across the image as fast."""


def spread_frames(T_world_cam: NDArray[np.float64], most: int = MOST_FRAMES) -> NDArray[np.int64]:
    """Indices of at most ``most`` poses, ascending, evenly spread over the camera's way.

    Args:
        T_world_cam: Poses in the order of recording [m], shape (N, 4, 4).
        most: Number of poses to keep; all are kept when there are no more.
    """
    if len(T_world_cam) <= most:
        return np.arange(len(T_world_cam))
    steps = np.linalg.norm(np.diff(T_world_cam[:, :3, 3], axis=0), axis=1)
    R = T_world_cam[:, :3, :3]
    # trace(R_a^T R_b) = 1 + 2 cos(angle).
    cosine = 0.5 * (np.einsum("nij,nij->n", R[:-1], R[1:]) - 1.0)
    steps = steps + METRES_PER_RADIAN * np.arccos(np.clip(cosine, -1.0, 1.0))
    way = np.concatenate([[0.0], np.cumsum(steps)])
    if not way[-1] > 0.0:
        return np.unique(np.linspace(0, len(way) - 1, most).round().astype(np.int64))
    return np.unique(np.searchsorted(way, np.linspace(0.0, way[-1], most)).clip(max=len(way) - 1))
