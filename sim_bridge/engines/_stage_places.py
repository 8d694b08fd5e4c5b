"""Where prims are, in numpy: a prim in, the matrix to the world out, and rotations from and to quaternions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["is_scaled", "matrix_of", "moved", "pose_of", "rotation_of"]


def matrix_of(places: Any, prim: Any) -> NDArray[np.float64]:
    """Places column vectors of a prim's frame in the world, shape (4, 4); `places` is a `UsdGeom.XformCache`."""
    return np.array(places.GetLocalToWorldTransform(prim), dtype=np.float64).T


def moved(points: NDArray[np.float64], matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Points (N, 3) after an affine matrix (4, 4)."""
    return points @ matrix[:3, :3].T + matrix[:3, 3]


def is_scaled(matrix: NDArray[np.float64]) -> bool:
    """Whether a matrix (4, 4) is anything but a rotation and a translation."""
    turn = matrix[:3, :3]
    return not (np.allclose(turn @ turn.T, np.eye(3), atol=1e-4) and np.linalg.det(turn) > 0)


def pose_of(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Xyz + wxyz of a rotation and a translation (4, 4), shape (7,)."""
    import torch

    from dynamics.poses import wxyz_from_rotation

    turn = torch.from_numpy(np.ascontiguousarray(matrix[:3, :3]))
    return np.array([*matrix[:3, 3], *wxyz_from_rotation(turn).numpy()])


def rotation_of(wxyz: NDArray[np.float64]) -> NDArray[np.float64]:
    """The rotation (3, 3) of a quaternion of any length but 0."""
    import torch

    from dynamics.poses import matrix_from_pose

    unit = wxyz / np.linalg.norm(wxyz)
    return matrix_from_pose(torch.tensor([0.0, 0, 0, *unit], dtype=torch.float64)).numpy()[:3, :3]
