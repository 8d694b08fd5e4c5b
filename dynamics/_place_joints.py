# pyright: basic
"""Joint positions -> poses: bodies are put where their joints say, from the roots of the trees on.

The inverse of `dynamics._joint_geometry.joint_positions`. What is given may have any leading dimensions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dynamics.poses import compose, invert, rotation_from_wxyz, transform_points

if TYPE_CHECKING:
    from torch import Tensor

    from dynamics._world import Joint, World

__all__ = ["place_joints"]


def place_joints(
    world: World,
    T_world_body: Tensor,
    joint_q: Tensor,
    twist: Tensor | None = None,
    joint_qd: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Poses (..., nb, 7) and twists (..., nb, 6) at joint positions and velocities.

    Bodies that are no joint's child keep what is given; a body that hangs on the world is put where its joint says.

    Args:
        world: Bodies and joints.
        T_world_body: Poses; of bodies that joints place anything, shape (..., nb, 7).
        joint_q: Positions [rad or m], shape (..., nj).
        twist: Velocities of centres of mass and angular ones, shape (..., nb, 6); None for bodies at rest.
        joint_qd: Velocities [rad/s or m/s], shape (..., nj); None for joints at rest.
    """
    import torch

    twist = torch.zeros_like(T_world_body[..., :6]) if twist is None else twist
    joint_qd = torch.zeros_like(joint_q) if joint_qd is None else joint_qd
    ground = T_world_body.new_tensor([0.0, 0, 0, 1, 0, 0, 0])
    poses, twists = list(T_world_body.unbind(-2)), list(twist.unbind(-2))
    poses.append(ground.expand_as(poses[0]))
    twists.append(torch.zeros_like(twists[0]))
    children = {joint.child for joint in world.joints}
    known = {-1} | {body for body in range(len(world.bodies)) if body not in children}
    left = list(enumerate(world.joints))
    while left:
        at = next((k for k, (_, joint) in enumerate(left) if joint.parent in known or joint.child in known), 0)
        j, joint = left.pop(at)
        backwards = joint.parent not in known and joint.child in known
        near, far = (joint.child, joint.parent) if backwards else (joint.parent, joint.child)
        across = _across(joint, joint_q[..., j])
        poses[far] = compose(poses[near], invert(across) if backwards else across)
        frame = compose(poses[joint.parent], poses[near].new_tensor(joint.T_parent_joint).expand_as(poses[near]))
        axis = (rotation_from_wxyz(frame[..., 3:]) @ frame.new_tensor(joint.axis)[:, None])[..., 0]
        rate = axis * joint_qd[..., j, None] * (-1.0 if backwards else 1.0)
        twists[far] = _carried(world, joint, poses, twists[near], near, far, rate)
        known |= {near, far}
    return torch.stack(poses[:-1], dim=-2), torch.stack(twists[:-1], dim=-2)


def _across(joint: Joint, q: Tensor) -> Tensor:
    """``T_parent_child`` at positions (...)."""
    import torch

    axis = q.new_tensor(joint.axis)
    zero = torch.zeros_like(q)[..., None]
    travel = axis * q[..., None] if joint.kind == "slide" else axis * zero
    half = 0.5 * q[..., None] if joint.kind == "hinge" else zero
    moved = torch.cat([travel, half.cos(), half.sin() * axis], dim=-1)
    first = q.new_tensor(joint.T_parent_joint).expand_as(moved)
    return compose(compose(first, moved), invert(q.new_tensor(joint.T_child_joint)).expand_as(moved))


def _carried(
    world: World, joint: Joint, poses: list[Tensor], given: Tensor, near: int, far: int, rate: Tensor
) -> Tensor:
    """Twist of the far body, which moves with the near one but for the joint's rate along its axis."""
    import torch

    def com(body: int) -> Tensor:
        local = rate.new_tensor(world.bodies[body].com) if body >= 0 else rate.new_zeros(3)
        return transform_points(poses[body], local)

    turn, velocity = given[..., 3:], given[..., :3]
    if joint.kind == "hinge":
        turn = turn + rate
    pivot = transform_points(poses[joint.child], rate.new_tensor(joint.T_child_joint[:3]))
    velocity = velocity + torch.linalg.cross(given[..., 3:], pivot - com(near))
    if joint.kind == "slide":
        velocity = velocity + rate
    return torch.cat([velocity + torch.linalg.cross(turn, com(far) - pivot), turn], dim=-1)
