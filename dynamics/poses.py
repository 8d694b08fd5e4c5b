"""Rotations and rigid poses in torch: the one module of tested conversions.

A pose is a 7-vector ``xyz + wxyz`` (metres, unit quaternion, real part first) whose name states the target frame
first: ``T_world_body`` maps body coordinates to world coordinates. Everything is differentiable and broadcasts over
leading batch dimensions. Orders other than wxyz exist only at a boundary, through `wxyz_from_xyzw` and
`xyzw_from_wxyz`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "compose",
    "identity",
    "invert",
    "matrix_from_pose",
    "multiply",
    "pose_from_matrix",
    "rotation_from_wxyz",
    "transform_points",
    "wxyz_from_rotation",
    "wxyz_from_xyzw",
    "xyzw_from_wxyz",
]


def wxyz_from_xyzw(quat_xyzw: Tensor) -> Tensor:
    """Reorder quaternions (..., 4) from imaginary-first (Warp, USD, scipy) to real-first."""
    return quat_xyzw[..., [3, 0, 1, 2]]


def xyzw_from_wxyz(quat_wxyz: Tensor) -> Tensor:
    """Reorder quaternions (..., 4) from real-first to imaginary-first (Warp, USD, scipy)."""
    return quat_wxyz[..., [1, 2, 3, 0]]


def multiply(a_wxyz: Tensor, b_wxyz: Tensor) -> Tensor:
    """Hamilton product of quaternions (..., 4): first ``b``, then ``a``."""
    import torch

    aw, ax, ay, az = a_wxyz.unbind(-1)
    bw, bx, by, bz = b_wxyz.unbind(-1)
    return torch.stack(
        [
            aw * bw - ax * bx - ay * by - az * bz,
            aw * bx + ax * bw + ay * bz - az * by,
            aw * by - ax * bz + ay * bw + az * bx,
            aw * bz + ax * by - ay * bx + az * bw,
        ],
        dim=-1,
    )


def rotation_from_wxyz(quat_wxyz: Tensor) -> Tensor:
    """Rotation matrices (..., 3, 3) of quaternions (..., 4), which need not be normalised but must not be zero."""
    import torch

    w, x, y, z = torch.nn.functional.normalize(quat_wxyz, dim=-1, eps=1e-20).unbind(-1)
    rows = [
        1 - 2 * (y * y + z * z),
        2 * (x * y - w * z),
        2 * (x * z + w * y),
        2 * (x * y + w * z),
        1 - 2 * (x * x + z * z),
        2 * (y * z - w * x),
        2 * (x * z - w * y),
        2 * (y * z + w * x),
        1 - 2 * (x * x + y * y),
    ]
    return torch.stack(rows, dim=-1).reshape(*quat_wxyz.shape[:-1], 3, 3)


def wxyz_from_rotation(rotation: Tensor) -> Tensor:
    """Unit quaternions (..., 4) with w >= 0 of rotation matrices (..., 3, 3).

    Uses the branch with the largest of the four squared components (Shepperd 1978), so it is stable for every angle.
    """
    import torch

    r = rotation
    m00, m11, m22 = r[..., 0, 0], r[..., 1, 1], r[..., 2, 2]
    # Row i holds 4 * q_i * (w, x, y, z): each row is parallel to the quaternion, the best-conditioned one is kept.
    rows = torch.stack(
        [
            torch.stack(
                [
                    1 + m00 + m11 + m22,
                    r[..., 2, 1] - r[..., 1, 2],
                    r[..., 0, 2] - r[..., 2, 0],
                    r[..., 1, 0] - r[..., 0, 1],
                ],
                -1,
            ),
            torch.stack(
                [
                    r[..., 2, 1] - r[..., 1, 2],
                    1 + m00 - m11 - m22,
                    r[..., 1, 0] + r[..., 0, 1],
                    r[..., 0, 2] + r[..., 2, 0],
                ],
                -1,
            ),
            torch.stack(
                [
                    r[..., 0, 2] - r[..., 2, 0],
                    r[..., 1, 0] + r[..., 0, 1],
                    1 - m00 + m11 - m22,
                    r[..., 2, 1] + r[..., 1, 2],
                ],
                -1,
            ),
            torch.stack(
                [
                    r[..., 1, 0] - r[..., 0, 1],
                    r[..., 0, 2] + r[..., 2, 0],
                    r[..., 2, 1] + r[..., 1, 2],
                    1 - m00 - m11 + m22,
                ],
                -1,
            ),
        ],
        dim=-2,
    )
    best = torch.diagonal(rows, dim1=-2, dim2=-1).argmax(-1)
    quat = torch.take_along_dim(rows, best[..., None, None], dim=-2).squeeze(-2)
    quat = torch.nn.functional.normalize(quat, dim=-1)
    return torch.where(quat[..., :1] < 0, -quat, quat)


def identity(*batch: int) -> Tensor:
    """Identity poses, shape (*batch, 7)."""
    import torch

    pose = torch.zeros(*batch, 7)
    pose[..., 3] = 1.0
    return pose


def matrix_from_pose(pose: Tensor) -> Tensor:
    """Homogeneous matrices (..., 4, 4) of poses (..., 7)."""
    import torch

    top = torch.cat([rotation_from_wxyz(pose[..., 3:]), pose[..., :3, None]], dim=-1)
    bottom = pose.new_tensor([0.0, 0.0, 0.0, 1.0]).expand(*pose.shape[:-1], 1, 4)
    return torch.cat([top, bottom], dim=-2)


def pose_from_matrix(matrix: Tensor) -> Tensor:
    """Poses (..., 7) of homogeneous rigid matrices (..., 4, 4)."""
    import torch

    return torch.cat([matrix[..., :3, 3], wxyz_from_rotation(matrix[..., :3, :3])], dim=-1)


def transform_points(T_a_b: Tensor, points_b: Tensor) -> Tensor:
    """Map points (..., 3) of frame b to frame a by poses (..., 7)."""
    rotated = (rotation_from_wxyz(T_a_b[..., 3:]) @ points_b[..., None]).squeeze(-1)
    return rotated + T_a_b[..., :3]


def compose(T_a_b: Tensor, T_b_c: Tensor) -> Tensor:
    """``T_a_c`` of two poses (..., 7)."""
    import torch

    xyz = transform_points(T_a_b, T_b_c[..., :3])
    return torch.cat([xyz, multiply(T_a_b[..., 3:], T_b_c[..., 3:])], dim=-1)


def invert(T_a_b: Tensor) -> Tensor:
    """``T_b_a`` of poses (..., 7) with unit quaternions."""
    import torch

    conjugate = T_a_b[..., 3:] * T_a_b.new_tensor([1.0, -1.0, -1.0, -1.0])
    xyz = -(rotation_from_wxyz(conjugate) @ T_a_b[..., :3, None]).squeeze(-1)
    return torch.cat([xyz, conjugate], dim=-1)
