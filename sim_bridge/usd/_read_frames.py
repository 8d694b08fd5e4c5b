"""Frames of prims: a matrix as USD composes it -> the rigid frame of a body and what is left of scale.

USD puts scale anywhere in a transform; a body frame of ours is a rotation and a place. So a body's matrix is split
into both, and whatever belongs to the body is expressed in the rigid frame, its scale folded into the points.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from scene3d._errors import FileFormatError
from sim_bridge.usd._read_values import finite

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from scene3d.capture._similarity import Similarity
    from sim_bridge.usd._read_values import StageReader

__all__ = ["BodyFrame", "apply", "body_frame", "is_identity", "pose_of", "rigid_frame", "similarity_of"]

Pose = tuple[float, float, float, float, float, float, float]
SHEAR = 1e-4
"""Largest cosine between axes that still counts as a right angle, and largest relative difference of scales."""
SAME = 1e-6
"""Relative difference under which a scale is 1 and a matrix the identity: what single precision leaves."""


@dataclass(frozen=True, eq=False)
class BodyFrame:
    """Where a body is, and how what belongs to it is expressed in its rigid frame."""

    prim: Any
    """`Usd.Prim` of the body."""
    T_world_body: Pose
    """xyz [m] + wxyz."""
    frame: NDArray[np.float64]
    """The same as a matrix, shape (4, 4)."""
    scale: NDArray[np.float64]
    """Lengths of the prim's axes in metres: its own scale and the stage's unit, shape (3,)."""

    def within(self, reader: StageReader, prim: Any) -> NDArray[np.float64]:
        """Coordinates of a prim below the body -> the body's frame [m], shape (4, 4)."""
        local = reader.matrix_within(prim, self.prim)
        if local is None:
            return np.linalg.inv(self.frame) @ reader.matrix(prim)
        return np.diag([*self.scale, 1.0]) @ local


def body_frame(reader: StageReader, prim: Any) -> BodyFrame:
    """The frame of a body's prim.

    Raises:
        FileFormatError: Its transform is none of a body.
    """
    matrix = reader.matrix(prim)
    frame = rigid_frame(matrix, f"{reader.path}: the body {prim.GetPath()}")
    scale = np.linalg.norm(matrix[:3, :3], axis=0)
    scale = np.where(np.abs(scale - 1) < SAME, 1.0, scale)
    pose = _authored_pose(reader, prim)
    return BodyFrame(prim, pose_of(frame) if pose is None else pose, frame, scale)


def _authored_pose(reader: StageReader, prim: Any) -> Pose | None:
    """The pose to the bit where it is a translation and a rotation below nothing that moves; None elsewhere."""
    from pxr import UsdGeom

    if reader.units.up != "Z" or reader.units.metres != 1 or prim.GetParent().IsPseudoRoot():
        return None
    above = reader.matrix(prim.GetParent())
    ops = UsdGeom.Xformable(prim).GetOrderedXformOps()
    if not np.array_equal(above, np.eye(4)) or [op.GetOpName() for op in ops] != [
        "xformOp:translate",
        "xformOp:orient",
    ]:
        return None
    place, quat = (op.Get(reader.time_of(op.GetAttr())) for op in ops)
    if finite(place, 3) is None or not hasattr(quat, "GetReal"):
        return None
    wxyz = [quat.GetReal(), *quat.GetImaginary()]
    if not abs(float(np.linalg.norm(wxyz)) - 1) <= SAME:  # No number is neither more nor less.
        return None
    x, y, z, w, a, b, c = (float(value) for value in (*place, *wxyz))
    return (x, y, z, w, a, b, c)


def is_identity(matrix: NDArray[np.float64]) -> bool:
    """True for the identity, up to what single precision leaves."""
    return bool(np.abs(matrix - np.eye(4)).max() < SAME)


def rigid_frame(matrix: NDArray[np.float64], what: str) -> NDArray[np.float64]:
    """The rotation and place (4, 4) of an affine matrix (4, 4) whose axes may be scaled.

    Args:
        matrix: Coordinates of the prim to the world.
        what: The prim, for the message.

    Raises:
        FileFormatError: The axes are flat, mirrored, or not at right angles.
    """
    linear = matrix[:3, :3]
    lengths = np.linalg.norm(linear, axis=0)
    if not (lengths > 0).all() or np.linalg.det(linear) <= 0:
        raise FileFormatError(f"{what} is flattened or mirrored by its transform, which no body can be. Remove that.")
    unit = linear / lengths
    if np.abs(unit.T @ unit - np.eye(3)).max() > SHEAR:
        raise FileFormatError(
            f"{what} is sheared: a scale that is not uniform lies above a rotation. Apply the scale to the geometry."
        )
    U, _, Vt = np.linalg.svd(unit)
    frame = np.eye(4)
    frame[:3, :3], frame[:3, 3] = U @ Vt, matrix[:3, 3]
    return frame


def similarity_of(matrix: NDArray[np.float64], what: str) -> Similarity:
    """The rotation, place and uniform scale that a matrix (4, 4) is.

    Args:
        matrix: Coordinates of the prim to where they are wanted.
        what: The prim, for the message.

    Raises:
        FileFormatError: It scales axes differently, shears or mirrors; splats cannot follow that.
    """
    from scene3d.capture._similarity import Similarity

    frame = rigid_frame(matrix, what)
    lengths = np.linalg.norm(matrix[:3, :3], axis=0)
    if np.ptp(lengths) > SHEAR * lengths.max():
        x, y, z = lengths
        raise FileFormatError(
            f"{what} is scaled by {x:.4g}, {y:.4g}, {z:.4g} along its axes. Splats keep their colours under uniform "
            "scale only: make the three equal, or apply the scale in the program that made the splats."
        )
    return Similarity(float(lengths.mean()), frame[:3, :3], frame[:3, 3])


def apply(matrix: NDArray[np.float64], points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Points (N, 3) after an affine matrix (4, 4); unchanged to the bit by the identity."""
    if is_identity(matrix):
        return points
    return points @ matrix[:3, :3].T + matrix[:3, 3]


def pose_of(frame: NDArray[np.float64]) -> Pose:
    """Xyz + wxyz of a rigid frame (4, 4), w at least 0."""
    import torch

    from dynamics.poses import pose_from_matrix

    pose: Any = pose_from_matrix(torch.from_numpy(np.ascontiguousarray(frame))).numpy()
    x, y, z, *wxyz = pose.tolist()
    sign = -1.0 if wxyz[0] < 0 else 1.0
    w, a, b, c = (sign * value for value in wxyz)
    return (x, y, z, w, a, b, c)
