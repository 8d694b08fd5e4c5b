# pyright: basic
"""Poses -> joints: how far each joint's two frames are apart, where the joint stands, how fast it moves.

A joint frame is fixed in the parent and one in the child; at position 0 both coincide. Their z is the axis. What a
joint forbids is measured in the parent's frame, the last entry of six being the one that a hinge or slide leaves free:
for a hinge x, y, z of the child's origin and the tilt of its axis about x and y; for a slide x and y, then the rotation
vector; for a fixed joint all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dynamics._joint_arrays import HINGE, SLIDE
from dynamics._world_arrays import world_arrays
from dynamics.poses import multiply, rotation_from_wxyz, transform_points, wxyz_from_xyzw

if TYPE_CHECKING:
    from torch import Tensor

    from dynamics._state import Latents
    from dynamics._world import World

__all__ = ["JointFrames", "joint_frames", "joint_gaps", "joint_places", "joint_positions", "raw_rows"]

TAU = 6.283185307179586


@dataclass(frozen=True, eq=False)
class JointFrames:
    """The two frames of nj joints in the world, with any leading dimensions."""

    parent_point: Tensor
    """Origin in the parent [m], shape (..., nj, 3)."""
    child_point: Tensor
    """Origin in the child [m], shape (..., nj, 3)."""
    parent_wxyz: Tensor
    """Orientation in the parent, shape (..., nj, 4)."""
    child_wxyz: Tensor
    """Orientation in the child, shape (..., nj, 4)."""


def joint_frames(world: World, T_world_body: Tensor) -> JointFrames:
    """The frames at poses (..., nb, 7)."""
    import torch

    joints = world_arrays(world).joints
    poses = T_world_body
    ground = poses.new_tensor([0.0, 0, 0, 1, 0, 0, 0]).expand(*poses.shape[:-2], 1, 7)
    poses = torch.cat([poses, ground], dim=-2)
    sides = []
    for body, point, xyzw in (
        (joints.joint_parent, joints.parent_point, joints.parent_xyzw),
        (joints.joint_child, joints.child_point, joints.child_xyzw),
    ):
        pose = poses[..., torch.as_tensor(body).long(), :]
        place = transform_points(pose, torch.as_tensor(point).to(pose))
        sides.append((place, multiply(pose[..., 3:], wxyz_from_xyzw(torch.as_tensor(xyzw).to(pose)))))
    return JointFrames(sides[0][0], sides[1][0], sides[0][1], sides[1][1])


def joint_gaps(world: World, frames: JointFrames) -> Tensor:
    """What separates the frames although it must not [m, rad], shape (..., nj, 6); free directions are 0."""
    import torch

    hinge, slide = _kinds(world)
    R = rotation_from_wxyz(frames.parent_wxyz)
    apart = _local(R, frames.child_point - frames.parent_point)
    between = _between(frames)
    turn = 2 * between[..., 1:] * torch.where(between[..., :1] < 0, -1.0, 1.0)
    axis = _local(R, rotation_from_wxyz(frames.child_wxyz)[..., 2])
    tilt = torch.stack([-axis[..., 1], axis[..., 0], torch.zeros_like(axis[..., 0])], dim=-1)
    turn = torch.where(hinge[:, None], tilt, turn)
    sliding = torch.cat([apart[..., :2], turn, torch.zeros_like(apart[..., :1])], dim=-1)
    return torch.where(slide[:, None], sliding, torch.cat([apart, turn], dim=-1))


def raw_rows(world: World, frames: JointFrames, com: Tensor) -> Tensor:
    """Jacobian of the six: linear and angular part of the child, then of the parent, shape (B, nj, 6, 12).

    Impulses act on both bodies at one point, the child's origin, so that they keep angular momentum.

    Args:
        world: Bodies and joints.
        frames: Of joints.
        com: Centres of mass [m], shape (B, nb, 3).
    """
    import torch

    joints = world_arrays(world).joints
    com = torch.cat([com, torch.zeros_like(com[:, :1])], dim=1)
    axes = rotation_from_wxyz(frames.parent_wxyz).transpose(-1, -2)
    sides = []
    for body in (joints.joint_child, joints.joint_parent):
        arm = frames.child_point - com[:, torch.as_tensor(body).long()]
        turning = torch.linalg.cross(arm[..., None, :].expand_as(axes), axes)
        moving = torch.cat([axes, turning], dim=-1)
        sides.append(torch.cat([moving, torch.cat([torch.zeros_like(axes), axes], dim=-1)], dim=-2))
    rows = torch.cat([sides[0], -sides[1]], dim=-1)
    slide = _kinds(world)[1][:, None, None]
    return torch.where(slide, rows[..., [0, 1, 3, 4, 5, 2], :], rows)


def joint_places(world: World, frames: JointFrames, near: Tensor | None = None) -> Tensor:
    """Where joints stand [rad or m], shape (..., nj); angles are those next to `near`, else within pi of 0."""
    import torch

    hinge, slide = _kinds(world)
    between = _between(frames)
    angle = 2 * torch.atan2(between[..., 3], between[..., 0])
    wanted = torch.zeros_like(angle) if near is None else near.to(angle)
    angle = angle + TAU * torch.round((wanted - angle).detach() / TAU)
    travel = _local(rotation_from_wxyz(frames.parent_wxyz), frames.child_point - frames.parent_point)[..., 2]
    return torch.where(hinge, angle, torch.where(slide, travel, torch.zeros_like(travel)))


def joint_positions(
    world: World,
    T_world_body: Tensor,
    twist: Tensor | None = None,
    *,
    near: Tensor | None = None,
    latents: Latents | None = None,
) -> tuple[Tensor, Tensor]:
    """Positions [rad or m] and velocities [rad/s or m/s] of joints, both (..., nj), from poses and twists of bodies.

    Args:
        world: Bodies and joints.
        T_world_body: Poses, shape (..., nb, 7).
        twist: Velocities of centres of mass and angular ones, shape (..., nb, 6); None for bodies at rest.
        near: Angles are given next to these, so that a joint may turn more than once, shape (..., nj); None gives
            angles within pi of 0.
        latents: Whose centres of mass count, with one leading dimension; None takes the bodies' own.
    """
    import torch

    joints = world_arrays(world).joints
    frames = joint_frames(world, T_world_body)
    places = joint_places(world, frames, near)
    if twist is None:
        return places, torch.zeros_like(places)
    local = torch.as_tensor(world_arrays(world).com).to(T_world_body)
    if latents is not None:
        local = local + latents.com_offset.to(local)
    com = transform_points(T_world_body, local)
    com, twist = (torch.cat([part, torch.zeros_like(part[..., :1, :])], dim=-2) for part in (com, twist))

    def velocity(body: Tensor) -> tuple[Tensor, Tensor]:
        own = twist[..., body, :]
        arm = frames.child_point - com[..., body, :]
        return own[..., :3] + torch.linalg.cross(own[..., 3:], arm), own[..., 3:]

    child, parent = (velocity(torch.as_tensor(body).long()) for body in (joints.joint_child, joints.joint_parent))
    axis = rotation_from_wxyz(frames.parent_wxyz)[..., 2]
    hinge, slide = _kinds(world)
    speeds = [((of_child - of_parent) * axis).sum(-1) for of_child, of_parent in zip(child, parent, strict=True)]
    return places, torch.where(hinge, speeds[1], torch.where(slide, speeds[0], torch.zeros_like(places)))


def _kinds(world: World) -> tuple[Tensor, Tensor]:
    """Which joints are hinges, which are slides, bool, (nj,)."""
    import torch

    kind = torch.as_tensor(world_arrays(world).joints.joint_kind)
    return kind == HINGE, kind == SLIDE


def _between(frames: JointFrames) -> Tensor:
    """Quaternion from the parent's frame to the child's, seen in the parent's."""
    return multiply(frames.parent_wxyz * frames.parent_wxyz.new_tensor([1.0, -1.0, -1.0, -1.0]), frames.child_wxyz)


def _local(R: Tensor, v: Tensor) -> Tensor:
    return (R.transpose(-1, -2) @ v[..., None])[..., 0]
