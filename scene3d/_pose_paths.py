"""Poses over time: positions and rotations in between those that are given, and angles between rotations.

Plain arrays of xyz [m] + wxyz, for paths that objects follow and recordings that futures are compared with.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["angles_between", "poses_at"]

Array = NDArray[np.float64]


def poses_at(times: Array, poses: NDArray[np.floating], wanted: Array) -> Array:
    """Poses at other times: positions linearly, rotations along the shorter arc at a constant rate.

    Args:
        times: Rising [s], shape (T,).
        poses: xyz [m] + unit quaternions wxyz of either sign, shape (..., T, 7); of a long path only what is wanted is
            looked at.
        wanted: Times [s], in any order, shape (W,); before the first and after the last the poses there hold.

    Returns:
        Shape (..., W, 7), float64. A pose that holds what is no number spoils only what lies next to it in time.
    """
    if len(times) == 1:
        return np.repeat(np.asarray(poses, dtype=np.float64), len(wanted), axis=-2)
    after = np.clip(np.searchsorted(times, wanted, side="right"), 1, len(times) - 1)
    share = np.clip((wanted - times[after - 1]) / (times[after] - times[after - 1]), 0.0, 1.0)[:, None]
    a, b = (np.asarray(poses[..., side, :], dtype=np.float64) for side in (after - 1, after))
    # Of a neighbour that has no part in it not even NaN comes through.
    a, b = np.where(share == 1, b, a), np.where(share == 0, a, b)
    place = (1 - share) * a[..., :3] + share * b[..., :3]
    p, q = a[..., 3:], b[..., 3:]
    cosine = (p * q).sum(-1, keepdims=True)
    q, cosine = np.where(cosine < 0, -q, q), np.clip(np.abs(cosine), 0.0, 1.0)
    angle = np.arccos(cosine)
    sine = np.sin(angle)
    # Where both are nearly equal, the chord is as good as the arc.
    near = sine < 1e-6
    safe = np.where(near, 1.0, sine)
    mixed = np.where(near, 1 - share, np.sin((1 - share) * angle) / safe) * p
    mixed = mixed + np.where(near, share, np.sin(share * angle) / safe) * q
    mixed /= np.linalg.norm(mixed, axis=-1, keepdims=True)
    return np.concatenate([place, mixed], axis=-1)


def angles_between(a_wxyz: Array, b_wxyz: Array) -> Array:
    """Angles [rad] of the turns between rotations (..., 4) and (..., 4), 0 to pi."""
    chord = np.minimum(np.linalg.norm(a_wxyz - b_wxyz, axis=-1), np.linalg.norm(a_wxyz + b_wxyz, axis=-1))
    return 4 * np.arcsin(np.minimum(chord / 2, 1.0))
