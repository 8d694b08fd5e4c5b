# pyright: basic
"""Contacts and joints solved together in plain torch: the twin of the solver in the fused kernel.

A sweep goes over all rows of contacts, then along the free direction of one joint after the other, then solves all
that holds joints together at once, since chains would take Gauss-Seidel many sweeps. Along the free direction of a
joint act viscous damping, dry friction, a drive of limited force and the limits, all at once: their sum is a falling
function of velocity, made of straight pieces, and the one velocity at which the impulses add up is found in closed
form.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dynamics._joint_arrays import FIXED
from dynamics._joint_geometry import joint_frames, joint_places
from dynamics._joint_rows import CLOSING, CLOSING_SPEED, LEAST, closing_error, joint_blocks, substituted
from dynamics._solve import solve_rows
from dynamics._world_arrays import world_arrays

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from dynamics._inertia import Inertia
    from dynamics._joint_rows import Drive, JointBlocks
    from dynamics._rows import Rows
    from dynamics._world import World

__all__ = ["CLOSINGS", "JointProblem", "held_together", "landing_joints", "rebound_joints", "solve_jointed"]

CLOSINGS = 4
"""Sweeps before which it is found anew how far joints will be apart."""

STRONGEST = 1e12
"""Stands for no limit of a force [N m or N]."""


@dataclass(frozen=True, eq=False)
class JointProblem:
    """nj joints as the solver sees them in one of the two halves of a step."""

    world: World
    blocks: JointBlocks
    guess: Tensor
    """Impulses of friction, drives and limits to start from, (B, nj)."""
    drive: Drive
    place: Tensor
    """Where the joints stand, (B, nj)."""
    slowest: Tensor
    """Least velocity that the limits allow, (B, nj)."""
    fastest: Tensor
    """Greatest velocity that they allow, (B, nj)."""
    missing: Callable[[Tensor, float], Tensor] | None
    """Velocities (B, nj, 6) that joints lack, at velocities (B, nb, 6), to close by a share; None for rates only."""


def landing_joints(
    world: World, poses: Tensor, inertia: Inertia, guess: Tensor, near: Tensor, drive: Drive
) -> JointProblem:
    """Joints at the start of the step, for the velocities that move the bodies."""
    frames = joint_frames(world, poses)
    place = joint_places(world, frames, near)
    low, high = _limits(world, place)
    blocks = joint_blocks(world, frames, inertia)

    def missing(twist: Tensor, share: float) -> Tensor:
        return closing_error(world, poses, inertia, twist, world.dt, share=share) / world.dt

    speeds = (low.clamp_max(CLOSING_SPEED), high.clamp_min(-CLOSING_SPEED))
    return JointProblem(world, blocks, guess, drive, place, *speeds, missing)


def rebound_joints(
    world: World, poses: Tensor, inertia: Inertia, turned: Tensor, guess: Tensor, near: Tensor, drive: Drive
) -> JointProblem:
    """Joints at the end of the step, for the velocities that bodies are left with.

    Args:
        world: Bodies and joints.
        poses: At the end, (B, nb, 7).
        inertia: With inverse inertia at the start, centres of mass at the end.
        turned: As for `joint_blocks`.
        guess: Impulses to start from, (B, nj).
        near: Joint positions that angles are next to, (B, nj).
        drive: What drives aim at.
    """
    frames = joint_frames(world, poses)
    place = joint_places(world, frames, near)
    low, high = _limits(world, place)
    blocks = joint_blocks(world, frames, inertia, turned)
    return JointProblem(world, blocks, guess, drive, place, low.clamp_max(0.0), high.clamp_min(0.0), None)


def _limits(world: World, place: Tensor) -> tuple[Tensor, Tensor]:
    """Velocities at which the limits are reached within a step, (B, nj)."""
    import torch

    joints = world_arrays(world).joints
    low, high = (torch.as_tensor(part).to(place) for part in (joints.joint_low, joints.joint_high))
    return (low - place) / world.dt, (high - place) / world.dt


def held_together(joints: JointProblem, twist: Tensor) -> Tensor:
    """Velocities (B, nb, 6) that leave joints as they are, with nothing else acting: what the step's turn asks for."""
    import torch

    v = torch.cat([twist, torch.zeros_like(twist[:, :1])], dim=1)
    inverse = _inverse(joints)
    for _ in range(CLOSINGS):
        v = v + _holding(joints, inverse, v, _targets(joints, v, 0.0))
    return v[:, :-1]


def solve_jointed(
    rows: Rows | None, joints: JointProblem, twist: Tensor, sweeps: int, guess: Tensor | None
) -> tuple[Tensor, Tensor | None, Tensor]:
    """Velocities with contacts and joints.

    Args:
        rows: Of contacts; None without any.
        joints: All of the world's.
        twist: Velocities before, shape (B, nb, 6).
        sweeps: Number of Gauss-Seidel sweeps.
        guess: Impulses of contacts to start from, shape (B, R).

    Returns:
        Velocities (B, nb, 6), impulses of contacts (B, R), and those of friction, drives and limits of joints (B, nj).
    """
    import torch

    kind = world_arrays(joints.world).joints.joint_kind
    moving = [j for j in range(len(kind)) if kind[j] != FIXED]
    free = torch.as_tensor(kind != FIXED) & (joints.blocks.diagonal[..., 5] > LEAST)
    impulses = list((joints.guess * free).unbind(1))
    inverse = _inverse(joints)
    padded = torch.cat([twist, torch.zeros_like(twist[:, :1])], dim=1)
    change = torch.zeros_like(padded)
    for j in moving:
        change = change + _push(joints, j, impulses[j])
    pressed = guess
    v = padded + change if rows is None else _contacts(rows, padded + change, 0, guess)[0]
    target = torch.zeros_like(joints.blocks.diagonal)
    if joints.missing is not None:
        target = _targets(joints, v, 0.0)
    held = _holding(joints, inverse, v, target)
    v, change = v + held, change + held
    for sweep in range(sweeps):
        if joints.missing is not None and sweep < CLOSINGS:
            target = _targets(joints, v, CLOSING)
        if rows is not None:
            v, pressed = _contacts(rows, padded + change, 1, pressed)
        for j in moving:
            new = _freed(joints, j, v, impulses[j], target[:, j, 5])
            push = _push(joints, j, new - impulses[j])
            v, change, impulses[j] = v + push, change + push, new
        held = _holding(joints, inverse, v, target)
        v, change = v + held, change + held
    return v[:, :-1], pressed, torch.stack(impulses, dim=1)


def _contacts(rows: Rows, v: Tensor, sweeps: int, guess: Tensor | None) -> tuple[Tensor, Tensor]:
    import torch

    after, impulses = solve_rows(rows, v[:, :-1], sweeps, guess)
    return torch.cat([after, v[:, -1:]], dim=1), impulses


def _push(joints: JointProblem, j: int, impulse: Tensor) -> Tensor:
    """Change of velocities (B, nb + 1, 6) by an impulse (B,) along the free direction of joint j."""
    import torch

    arrays = world_arrays(joints.world).joints
    push = joints.blocks.W[:, j, 5] * impulse[:, None]
    both = torch.as_tensor([arrays.joint_child[j], arrays.joint_parent[j]]).long()
    change = push.new_zeros(len(push), len(joints.world.bodies) + 1, 6)
    return change.index_add(1, both, push.reshape(-1, 2, 6))


def _holding(joints: JointProblem, inverse: Tensor, v: Tensor, target: Tensor) -> Tensor:
    """Change of velocities (B, nb + 1, 6) by all that holds joints together."""
    import torch

    arrays = world_arrays(joints.world).joints
    rest = (target - _speeds(joints, v)).reshape(len(v), -1, 1)
    impulses = (inverse @ rest).reshape(*target.shape, 1)
    push = (joints.blocks.W * impulses).sum(2)
    change = torch.zeros_like(v)
    for body, part in ((arrays.joint_child, push[..., :6]), (arrays.joint_parent, push[..., 6:])):
        change = change.index_add(1, torch.as_tensor(body).long(), part)
    return change


def _targets(joints: JointProblem, v: Tensor, share: float) -> Tensor:
    """Velocities of the mixed rows that close the joints; in the last place what the others add to the free one."""
    import torch

    assert joints.missing is not None
    arrays, blocks = world_arrays(joints.world).joints, joints.blocks
    target = _speeds(joints, v) + substituted(blocks.mix, joints.missing(v[:, :-1], share))
    free = -(blocks.mix[..., 5, :5] * target[..., :5]).sum(-1)
    last = torch.where(torch.as_tensor(arrays.joint_kind == FIXED), target[..., 5], free)
    return torch.cat([target[..., :5], last[..., None]], dim=-1)


def _speeds(joints: JointProblem, v: Tensor) -> Tensor:
    """J v, (B, nj, 6)."""
    import torch

    arrays = world_arrays(joints.world).joints
    both = [v[:, torch.as_tensor(body).long()] for body in (arrays.joint_child, arrays.joint_parent)]
    return (joints.blocks.J @ torch.cat(both, dim=-1)[..., None])[..., 0]


def _inverse(joints: JointProblem) -> Tensor:
    """Impulses of all rows that hold joints together, per velocity that they lack, (B, 6 nj, 6 nj)."""
    import torch

    blocks, arrays = joints.blocks, world_arrays(joints.world).joints
    batch, count = blocks.diagonal.shape[:2]
    bodies = len(joints.world.bodies) + 1
    child, parent = arrays.joint_child.tolist(), arrays.joint_parent.tolist()
    wide = [blocks.J.new_zeros(batch, count, 6, bodies, 6) for _ in range(2)]
    for full, part in zip(wide, (blocks.J, blocks.W), strict=True):
        for j, (a, b) in enumerate(zip(child, parent, strict=True)):
            full[:, j, :, a] = part[:, j, :, :6]
            full[:, j, :, b] = part[:, j, :, 6:]
    J, W = (full.reshape(batch, 6 * count, 6 * bodies) for full in wide)
    holds = blocks.diagonal > LEAST
    holds[..., 5] &= torch.as_tensor(arrays.joint_kind == FIXED)
    both = holds.reshape(batch, -1, 1) & holds.reshape(batch, 1, -1)
    eye = torch.eye(6 * count).to(J)
    inverse = torch.linalg.inv(torch.where(both, J @ W.transpose(-1, -2), eye))
    return torch.where(both, inverse, torch.zeros_like(inverse))


def _freed(joints: JointProblem, j: int, v: Tensor, old: Tensor, target: Tensor) -> Tensor:
    """The impulse (B,) along the free direction of joint j."""
    import torch

    d = joints.blocks.diagonal[:, j, 5]
    unpushed = _speeds(joints, v)[:, j, 5] - target - d * old
    movable = d > LEAST
    given = (_along(joints, j, unpushed, d) - unpushed) / torch.where(movable, d, 1.0)
    return torch.where(movable, given, torch.zeros_like(given))


def _along(joints: JointProblem, j: int, unpushed: Tensor, d: Tensor) -> Tensor:
    """Velocity (B,) along the free direction, given that without any impulse there."""
    import torch

    arrays, drive, dt = world_arrays(joints.world).joints, joints.drive, joints.world.dt
    time = dt if joints.missing is None else 0.5 * dt
    share = 1 / (1 + d * time * float(arrays.joint_damping[j]))
    u, d = unpushed * share, d * share
    steep = time * (drive.gain[:, j] * dt + drive.rate[:, j])
    push = time * (drive.gain[:, j] * (drive.goal[:, j] - joints.place[:, j]) + drive.rate[:, j] * drive.pace[:, j])
    most = time * drive.most[:, j].clamp_max(STRONGEST)
    at_rest = u + d * torch.minimum(torch.maximum(push, -most), most)
    held = d * time * float(arrays.joint_friction[j])
    u = u - torch.minimum(torch.maximum(at_rest, -held), held)
    v = (u + d * push) / (1 + d * steep)
    given = push - steep * v
    v = torch.where(given > most, u + d * most, torch.where(given < -most, u - d * most, v))
    v = torch.where(at_rest.abs() <= held, torch.zeros_like(v), v)
    return torch.minimum(torch.maximum(v, joints.slowest[:, j]), joints.fastest[:, j])
