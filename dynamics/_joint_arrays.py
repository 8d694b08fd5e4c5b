"""Joints of a world as flat arrays: what kernels and their torch twins read of them.

Joint frames are turned so that every axis is their z axis. The world itself, parent -1, becomes the body behind the
last one, which has no velocity and cannot be moved.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from dynamics._world import Joint, World

__all__ = ["FIXED", "HINGE", "SLIDE", "JointArrays", "joint_arrays"]

HINGE, SLIDE, FIXED = range(3)
KINDS = {"hinge": HINGE, "slide": SLIDE, "fixed": FIXED}

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class JointArrays:
    """nj joints."""

    joint_kind: Ints
    """`HINGE`, `SLIDE` or `FIXED`, shape (nj,)."""
    joint_parent: Ints
    """Body, nb for the world, shape (nj,)."""
    joint_child: Ints
    """Body, shape (nj,)."""
    parent_point: Floats
    """Origin of the joint frame in the parent's body frame [m], shape (nj, 3)."""
    child_point: Floats
    """The same in the child's, shape (nj, 3)."""
    parent_xyzw: Floats
    """Orientation of the joint frame in the parent's, its z along the axis, shape (nj, 4)."""
    child_xyzw: Floats
    """The same in the child's, shape (nj, 4)."""
    joint_low: Floats
    """Limits and what follows as in `Joint`, shape (nj,)."""
    joint_high: Floats
    """Shape (nj,)."""
    joint_damping: Floats
    """Shape (nj,)."""
    joint_friction: Floats
    """Shape (nj,)."""
    joint_stiffness: Floats
    """Shape (nj,)."""
    drive_damping: Floats
    """Shape (nj,)."""
    drive_limit: Floats
    """Shape (nj,)."""
    joint_order: Ints
    """Joints from the leaves of their trees to the roots: the order in which a solver takes them, shape (nj,)."""
    joint_linked: Ints
    """1 for pairs of places p <= q in that order whose joints share a body, row after row, shape (nj nj,)."""


def joint_arrays(world: World) -> JointArrays:
    """The arrays of a world's joints."""
    joints = world.joints

    def numbers(name: str) -> Floats:
        return np.array([getattr(joint, name) for joint in joints], dtype=np.float64)

    turned = [_turned(joint) for joint in joints]
    order = _order(joints)
    return JointArrays(
        joint_kind=_ints([KINDS[joint.kind] for joint in joints]),
        joint_parent=_ints([len(world.bodies) if joint.parent < 0 else joint.parent for joint in joints]),
        joint_child=_ints([joint.child for joint in joints]),
        parent_point=np.array([joint.T_parent_joint[:3] for joint in joints], dtype=np.float64).reshape(-1, 3),
        child_point=np.array([joint.T_child_joint[:3] for joint in joints], dtype=np.float64).reshape(-1, 3),
        parent_xyzw=np.array([pair[0] for pair in turned], dtype=np.float64).reshape(-1, 4),
        child_xyzw=np.array([pair[1] for pair in turned], dtype=np.float64).reshape(-1, 4),
        joint_low=numbers("low"),
        joint_high=numbers("high"),
        joint_damping=numbers("damping"),
        joint_friction=numbers("friction"),
        joint_stiffness=numbers("stiffness"),
        drive_damping=numbers("drive_damping"),
        drive_limit=numbers("force_limit"),
        joint_order=_ints(order),
        joint_linked=_ints(_linked([joints[j] for j in order])),
    )


def _order(joints: tuple[Joint, ...]) -> list[int]:
    """Again and again a joint is taken one of whose bodies no other joint is left at."""
    left = list(range(len(joints)))
    order: list[int] = []
    while left:
        bodies = [body for j in left for body in (joints[j].parent, joints[j].child) if body >= 0]
        leaf = next(j for j in left if min(bodies.count(joints[j].child), bodies.count(joints[j].parent)) <= 1)
        order.append(leaf)
        left.remove(leaf)
    return order


def _linked(joints: list[Joint]) -> list[int]:
    """Elimination from the leaves on links no others: what is left at a leaf's other body is linked already."""
    sides = [{joint.parent, joint.child} - {-1} for joint in joints]
    return [int(p == q or (p < q and bool(a & b))) for p, a in enumerate(sides) for q, b in enumerate(sides)]


def _turned(joint: Joint) -> tuple[Floats, Floats]:
    """Orientations of the joint frame in parent and child, both after the turn that takes z to the axis."""
    x, y, z = np.array(joint.axis) / np.linalg.norm(joint.axis)
    # The half-way turn from z to the axis; straight down any axis across will do.
    turn = np.array([-y, x, 0.0, 1.0 + z]) if z > -1 + 1e-9 else np.array([1.0, 0.0, 0.0, 0.0])
    turn = turn / np.linalg.norm(turn)
    return _product(joint.T_parent_joint[3:], turn), _product(joint.T_child_joint[3:], turn)


def _product(wxyz: tuple[float, ...], xyzw: Floats) -> Floats:
    w, v = wxyz[0], np.array(wxyz[1:])
    other = xyzw[:3]
    both = np.array([*(w * other + xyzw[3] * v + np.cross(v, other)), w * xyzw[3] - v @ other])
    return both / np.linalg.norm(both)


def _ints(values: list[int]) -> Ints:
    return np.array(values, dtype=np.int32)
