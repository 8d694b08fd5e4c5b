# pyright: basic
"""Bodies that hang together: from the motion of one of them and of the joints to the motion of all.

A recording of a jointed thing says where its root body is and how far each joint has moved. `linked_poses` and
`linked_twists` walk from the root along the joints, in either direction, and give every body. The way back, from poses
to joints, is `dynamics._joint_geometry.joint_positions`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dynamics._errors import UsageError
from dynamics.poses import compose, invert, rotation_from_wxyz

if TYPE_CHECKING:
    from torch import Tensor

    from dynamics._world import Joint, World

__all__ = ["linked_bodies", "linked_poses", "linked_twists"]


def linked_bodies(world: World, root: int) -> list[tuple[int, bool]]:
    """Joints in the order in which they are met from the root: their index, and True where the parent is met first."""
    met, found = {root}, list[tuple[int, bool]]()
    while True:
        fresh = [
            (k, joint.parent in met)
            for k, joint in enumerate(world.joints)
            if joint.parent >= 0 and (joint.parent in met) != (joint.child in met)
        ]
        if not fresh:
            return found
        k, forward = fresh[0]
        met.add(world.joints[k].child if forward else world.joints[k].parent)
        found.append((k, forward))


def linked_poses(world: World, root: int, T_world_root: Tensor, joint_q: Tensor) -> dict[int, Tensor]:
    """Poses of the root and of all bodies that joints tie to it.

    Args:
        world: Its joints.
        root: Body that `T_world_root` is of.
        T_world_root: Poses xyz [m] + wxyz, shape (..., 7).
        joint_q: Positions of all joints of the world [rad or m], shape (..., nj).

    Returns:
        Poses (..., 7) by body.

    Raises:
        UsageError: The recording has another number of joints than the world.
    """
    if joint_q.shape[-1] != len(world.joints):
        raise UsageError(f"The recording has {joint_q.shape[-1]} joints, the world {len(world.joints)}.")
    poses = {root: T_world_root}
    for k, forward in linked_bodies(world, root):
        joint = world.joints[k]
        T_parent_child = _between(joint, joint_q[..., k])
        if forward:
            poses[joint.child] = compose(poses[joint.parent], T_parent_child)
        else:
            poses[joint.parent] = compose(poses[joint.child], invert(T_parent_child))
    return poses


def linked_twists(
    world: World, root: int, poses: dict[int, Tensor], twist: Tensor, joint_qd: Tensor
) -> dict[int, Tensor]:
    """Velocities of the same bodies: of their frames' origins [m/s] and angular [rad/s], world axes, (..., 6) each.

    Args:
        world: Its joints.
        root: Body that `twist` is of.
        poses: From `linked_poses`.
        twist: Of the root, shape (..., 6).
        joint_qd: Velocities of all joints [rad/s or m/s], shape (..., nj).
    """
    import torch

    twists = {root: twist}
    for k, forward in linked_bodies(world, root):
        joint = world.joints[k]
        known, other, sign = (joint.parent, joint.child, 1.0) if forward else (joint.child, joint.parent, -1.0)
        T_world_joint = _frame(poses[joint.child], joint.T_child_joint)
        axis = rotation_from_wxyz(T_world_joint[..., 3:]) @ twist.new_tensor(joint.axis)
        rate = sign * joint_qd[..., k : k + 1] * axis
        none = torch.zeros_like(rate)
        turning, sliding = {"hinge": (rate, none), "slide": (none, rate), "fixed": (none, none)}[joint.kind]
        origin, spin = twists[known][..., :3], twists[known][..., 3:]
        anchor = T_world_joint[..., :3]
        at_anchor = origin + torch.linalg.cross(spin, anchor - poses[known][..., :3]) + sliding
        spin = spin + turning
        moved = at_anchor + torch.linalg.cross(spin, poses[other][..., :3] - anchor)
        twists[other] = torch.cat([moved, spin], dim=-1)
    return twists


def _frame(pose: Tensor, local: tuple[float, ...]) -> Tensor:
    return compose(pose, pose.new_tensor(local).expand_as(pose))


def _between(joint: Joint, q: Tensor) -> Tensor:
    """Pose of the child's frame in the parent's at joint positions q (...)."""
    import torch

    axis = q.new_tensor(joint.axis)
    moved = torch.zeros(*q.shape, 7, dtype=q.dtype)
    moved[..., 3] = 1.0
    if joint.kind == "slide":
        moved[..., :3] = q[..., None] * axis
    elif joint.kind == "hinge":
        moved[..., 3] = torch.cos(q / 2)
        moved[..., 4:] = torch.sin(q / 2)[..., None] * axis
    parent = moved.new_tensor(joint.T_parent_joint).expand_as(moved)
    child = moved.new_tensor(joint.T_child_joint).expand_as(moved)
    return compose(compose(parent, moved), invert(child))
