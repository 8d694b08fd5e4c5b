# pyright: basic
"""Joints -> rows for the solver: what they forbid, friction and limits along the way that they leave free, drives.

The rows of one joint are made orthogonal in the inner product of the inverse masses (Gram-Schmidt), so that no row
disturbs another of the same joint and a Gauss-Seidel sweep solves each joint at once. That changes nothing in what the
rows say: those that hold a joint together have no bounds, so any mixture of them is as good, and the last row, along
the free direction, only gets what the others answer added.

Positions do not drift: bodies are moved with velocities that close the joints at the end of the step, to second order
(J v = -g(q + v dt) / dt + J v, solved by Newton's method), and are left with velocities that stay within them there.
For joints alone this is the RATTLE integrator [Andersen 1983], which keeps angular momentum, and energy in the mean.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dynamics._integrate import midway_turn, quaternion_of_turn
from dynamics._joint_arrays import FIXED
from dynamics._joint_geometry import JointFrames, joint_frames, joint_gaps, joint_positions, raw_rows
from dynamics._rows import LIMITED, Rows
from dynamics._world_arrays import world_arrays
from dynamics.poses import multiply, rotation_from_wxyz

if TYPE_CHECKING:
    from torch import Tensor

    from dynamics._inertia import Inertia
    from dynamics._state import Action
    from dynamics._world import World

__all__ = [
    "CLOSING",
    "CLOSING_SPEED",
    "Drive",
    "JointBlocks",
    "closing_error",
    "drive_of",
    "end_poses",
    "joint_blocks",
    "joint_rows",
    "substituted",
]

CLOSING = 0.5
"""Share of what a joint is apart that is closed in a step."""
CLOSING_SPEED = 1.0
"""The fastest that a joint closes [m/s or rad/s]."""
FASTEST = 1e6
"""Stands for no bound of a velocity [m/s or rad/s]."""
LEAST = 1e-12
"""Rows with a smaller diagonal are between bodies that cannot move."""


@dataclass(frozen=True, eq=False)
class JointBlocks:
    """Six rows for each of nj joints in B worlds, the last along the free direction; fixed joints have none."""

    J: Tensor
    """Jacobian: linear and angular part of the child, then of the parent, shape (B, nj, 6, 12)."""
    W: Tensor
    """M^-1 J^T in the same layout, shape (B, nj, 6, 12)."""
    diagonal: Tensor
    """J M^-1 J^T; off the diagonal it is 0, shape (B, nj, 6)."""
    mix: Tensor
    """Row r is what geometry gives less mix[r, s] times row s for each s < r, shape (B, nj, 6, 6)."""


@dataclass(frozen=True, eq=False)
class Drive:
    """What drives aim at in one step, each (B, nj)."""

    goal: Tensor
    """Position [rad or m]."""
    pace: Tensor
    """Velocity [rad/s or m/s]."""
    gain: Tensor
    """[N m/rad or N/m]"""
    rate: Tensor
    """[N m s/rad or N s/m]"""
    most: Tensor
    """Greatest force [N m or N]."""
    on: bool
    """Whether any drive has a target."""


def joint_rows(
    world: World,
    T_world_body: Tensor,
    inertia: Inertia,
    twist: Tensor,
    *,
    action: Action | None = None,
    index: int = 0,
    near: Tensor | None = None,
    seconds: float | None = None,
) -> Rows:
    """The rows of all joints, eight each, for callers that solve once and move bodies with the solution.

    First the five that hold a hinge or slide together (six for a fixed joint), then along the free direction dry
    friction with viscous damping, the drive and the limits. The drive's row asks for the velocity that its gains give,
    with impulses within its force limit; its softness is that of the implicit law, for solvers that know what to do
    with it.

    Args:
        world: Bodies and joints.
        T_world_body: Poses at the start of the step, shape (B, nb, 7).
        inertia: Of the bodies there.
        twist: Velocities with the forces of the step applied; closing takes account of how far bodies turn at these,
            shape (B, nb, 6).
        action: Has targets and force limits of the drives.
        index: Which step of the action.
        near: Positions that angles are given next to, as `State.joint_q`, shape (B, nj).
        seconds: Length of the step; None takes the world's.
    """
    import torch

    dt = world.dt if seconds is None else seconds
    joints = world_arrays(world).joints
    blocks = joint_blocks(world, joint_frames(world, T_world_body), inertia)
    missing = closing_error(world, T_world_body, inertia, twist, dt)
    target = _speeds(world, blocks, twist) + substituted(blocks.mix, missing / dt)
    place, speed = joint_positions(world, T_world_body, twist, near=near)
    fixed = torch.as_tensor(joints.joint_kind == FIXED)
    free_target = -(blocks.mix[..., 5, :5] * target[..., :5]).sum(-1)
    last = torch.where(fixed, target[..., 5], free_target)
    drive = drive_of(world, action, index, place)
    stiff = drive.gain * dt + drive.rate
    driven = stiff > 0
    wanted = (drive.gain * (drive.goal - place) + drive.rate * drive.pace) / torch.where(driven, stiff, 1.0)
    endless = torch.full_like(last, torch.finfo(torch.float32).max)
    held = (
        torch.as_tensor(joints.joint_friction).to(last) + torch.as_tensor(joints.joint_damping).to(last) * speed.abs()
    )
    most = torch.where(fixed, endless, (held * dt).expand_as(last))
    lower, upper = (torch.as_tensor(part).to(last) - place for part in (joints.joint_low, joints.joint_high))
    # One row for both limits: they cannot be met at once.
    above = upper < -lower
    bound = torch.where(above, upper, lower) / dt
    bound = bound.clamp(-FASTEST, FASTEST)
    power = torch.where(driven & ~fixed, (drive.most * dt).clamp_max(endless), 0.0)
    zero = torch.zeros_like(last)
    extra_target = torch.stack([last, last + torch.where(driven, wanted, 0.0), last + bound], dim=-1)
    extra_low = torch.stack([-most, -power, torch.where(above & ~fixed, -endless, zero)], dim=-1)
    extra_high = torch.stack([most, power, torch.where(above | fixed, zero, endless)], dim=-1)
    five = endless[..., None].expand(*endless.shape, 5)
    softness = zero[..., None].repeat(1, 1, 8)
    softness[..., 6] = torch.where(driven, 1 / (dt * torch.where(driven, stiff, 1.0)), 0.0)
    return _as_rows(
        world,
        blocks,
        torch.cat([target[..., :5], extra_target], dim=-1),
        torch.cat([-five, extra_low], dim=-1),
        torch.cat([five, extra_high], dim=-1),
        softness,
    )


def _as_rows(world: World, blocks: JointBlocks, target: Tensor, low: Tensor, high: Tensor, softness: Tensor) -> Rows:
    import torch

    joints = world_arrays(world).joints
    batch, count = target.shape[:2]
    rows = [0, 1, 2, 3, 4, 5, 5, 5]
    shape = (batch, 8 * count)

    def whole(values: object) -> Tensor:
        body = torch.as_tensor(values, dtype=torch.int32)
        body = torch.where(body == len(world.bodies), -1, body)
        return body.repeat_interleave(8).expand(shape).contiguous()

    none = torch.zeros(shape, dtype=torch.int32)
    return Rows(
        count=torch.full((batch,), 8 * count, dtype=torch.int32),
        kind=none + LIMITED,
        body_a=whole(joints.joint_child),
        body_b=whole(joints.joint_parent),
        J=blocks.J[:, :, rows].reshape(*shape, 12),
        W=blocks.W[:, :, rows].reshape(*shape, 12),
        target=target.reshape(shape),
        low=low.reshape(shape),
        high=high.reshape(shape),
        normal=none,
        mu=torch.zeros_like(target).reshape(shape),
        softness=softness.reshape(shape),
    )


def joint_blocks(world: World, frames: JointFrames, inertia: Inertia, turned: Tensor | None = None) -> JointBlocks:
    """Rows at the frames.

    Args:
        world: Bodies and joints.
        frames: Of joints, at the bodies' poses when impulses act.
        inertia: Of bodies, whose centres of mass belong to the frames.
        turned: The map from velocities that the solver works with to those at the frames, for bodies that turn between
            the two and keep angular momentum, shape (B, nb, 3, 3); None for the identity.
    """
    import torch

    raw = raw_rows(world, frames, inertia.com)
    joints = world_arrays(world).joints
    sides = [torch.as_tensor(body).long() for body in (joints.joint_child, joints.joint_parent)]
    inverse_mass, inverse_inertia = _padded(inertia.inverse_mass), _padded(inertia.inverse_inertia)
    pushes, speeds = [], []
    for side, part in zip(sides, (raw[..., :6], raw[..., 6:]), strict=True):
        # Impulses at the frames change angular momentum, which turns into velocities as they are before the turn.
        spin = part[..., 3:]
        pushes += [part[..., :3] * inverse_mass[:, side, None, None], spin @ inverse_inertia[:, side]]
        speeds += [part[..., :3], spin if turned is None else spin @ _padded(turned)[:, side]]
    J, W = list(torch.cat(speeds, dim=-1).unbind(2)), list(torch.cat(pushes, dim=-1).unbind(2))
    mix = [[torch.zeros_like(J[0][..., 0]) for _ in range(6)] for _ in range(6)]
    for r in range(6):
        for s in range(r):
            own = (J[s] * W[s]).sum(-1)
            share = torch.where(own > LEAST, (J[r] * W[s]).sum(-1) / own.clamp_min(LEAST), 0.0)
            mix[r][s] = share
            J[r], W[r] = J[r] - share[..., None] * J[s], W[r] - share[..., None] * W[s]
    stacked_J, stacked_W = torch.stack(J, dim=2), torch.stack(W, dim=2)
    table = torch.stack([torch.stack(row, dim=-1) for row in mix], dim=-2)
    return JointBlocks(stacked_J, stacked_W, (stacked_J * stacked_W).sum(-1), table)


def closing_error(
    world: World, T_world_body: Tensor, inertia: Inertia, twist: Tensor, dt: float, *, share: float = CLOSING
) -> Tensor:
    """What joints still have to move within the step beyond what these velocities move them, (B, nj, 6).

    Args:
        world: Bodies and joints.
        T_world_body: Poses before, shape (B, nb, 7).
        inertia: There.
        twist: Velocities that move the bodies, shape (B, nb, 6).
        dt: Length of the step [s].
        share: Of what joints are apart, to be closed.
    """
    start = joint_gaps(world, joint_frames(world, T_world_body))
    closed = (share * start).clamp(-CLOSING_SPEED * dt, CLOSING_SPEED * dt)
    end = joint_gaps(world, joint_frames(world, end_poses(world, T_world_body, inertia, twist, dt)))
    return start - closed - end


def end_poses(world: World, T_world_body: Tensor, inertia: Inertia, twist: Tensor, dt: float) -> Tensor:
    """Poses (B, nb, 7) that these velocities lead to, angular momentum kept."""
    import torch

    arrays = world_arrays(world)
    local = [torch.as_tensor(part).to(twist) for part in (arrays.inertia, arrays.inverse_inertia)]
    uneven = torch.as_tensor(arrays.round == 0)[:, None] & (inertia.inverse_mass > 0)[..., None]
    rate = torch.where(
        uneven, midway_turn(T_world_body[..., 3:], twist[..., 3:], local[0], local[1], dt), twist[..., 3:]
    )
    wxyz = torch.nn.functional.normalize(multiply(quaternion_of_turn(rate * dt), T_world_body[..., 3:]), dim=-1)
    arm = rotation_from_wxyz(T_world_body[..., 3:]).transpose(-1, -2) @ (inertia.com - T_world_body[..., :3])[..., None]
    xyz = inertia.com + dt * twist[..., :3] - (rotation_from_wxyz(wxyz) @ arm)[..., 0]
    return torch.cat([xyz, wxyz], dim=-1)


def substituted(mix: Tensor, raw: Tensor) -> Tensor:
    """Targets of the mixed rows from those of what geometry gives, both (B, nj, 6)."""
    import torch

    found: list[Tensor] = []
    for r in range(6):
        value = raw[..., r]
        for s in range(r):
            value = value - mix[..., r, s] * found[s]
        found.append(value)
    return torch.stack(found, dim=-1)


def drive_of(world: World, action: Action | None, index: int, like: Tensor) -> Drive:
    """What drives aim at in that step, each (B, nj) as `like`; without targets they are off."""
    import torch

    joints = world_arrays(world).joints
    off = torch.zeros_like(like)
    goal = None if action is None else action.joint_target
    pace = None if action is None else action.joint_velocity_target
    most = None if action is None else action.force_limit
    on = goal is not None or pace is not None
    return Drive(
        goal=off if goal is None else goal[:, index].to(like),
        pace=off if pace is None else pace[:, index].to(like),
        gain=off if goal is None else torch.as_tensor(joints.joint_stiffness).to(like).expand_as(like),
        rate=torch.as_tensor(joints.drive_damping).to(like).expand_as(like) if on else off,
        most=torch.as_tensor(joints.drive_limit).to(like).expand_as(like) if most is None else most[:, index].to(like),
        on=on,
    )


def _speeds(world: World, blocks: JointBlocks, twist: Tensor) -> Tensor:
    """J v, (B, nj, 6)."""
    import torch

    joints = world_arrays(world).joints
    twist = _padded(twist)
    both = torch.cat([twist[:, torch.as_tensor(body).long()] for body in (joints.joint_child, joints.joint_parent)], -1)
    return (blocks.J @ both[..., None])[..., 0]


def _padded(part: Tensor) -> Tensor:
    """With the world behind the last body: zeros."""
    import torch

    return torch.cat([part, torch.zeros_like(part[:, :1])], dim=1)
