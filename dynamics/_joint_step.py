# pyright: basic
"""The two halves of a step with joints, in torch: before bodies move, and where they arrive.

What joins the rows of `dynamics._joint_rows` to a step: guesses, drives, and the turn between the two halves.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dynamics._inertia import inertia_at
from dynamics._joint_geometry import joint_positions
from dynamics._joint_rows import drive_of
from dynamics._joint_solve import landing_joints, rebound_joints, solve_jointed
from dynamics._solve import solve_rows
from dynamics._world_arrays import world_arrays

if TYPE_CHECKING:
    from torch import Tensor

    from dynamics._free_motion import FreeMotion
    from dynamics._joint_solve import JointProblem
    from dynamics._rows import Rows
    from dynamics._state import Action, Latents, State
    from dynamics._world import World

__all__ = ["Solution", "early_joints", "late_joints", "solve_all"]


@dataclass(frozen=True, eq=False)
class Solution:
    """What contacts and joints make of B worlds."""

    twist: Tensor
    """Velocities, (B, nb, 6)."""
    contacts: Tensor
    """Impulses of contacts, (B, 3 C)."""
    joints: Tensor
    """What friction, drives and limits of joints gave, (B, nj)."""


def early_joints(
    world: World, state: State, motion: FreeMotion, action: Action | None, index: int
) -> JointProblem | None:
    """Joints before bodies move; None if there are none."""
    import torch

    if not world.joints:
        return None
    poses = state.T_world_body
    near = state.joint_q.to(poses)
    guess = state.joint_impulse
    if guess is None:
        guess = torch.zeros_like(near)
    drive = drive_of(world, action, index, joint_positions(world, poses, near=near)[0])
    return landing_joints(world, poses, motion.inertia, 0.5 * guess.to(poses), near, drive)


def late_joints(
    world: World,
    state: State,
    motion: FreeMotion,
    latents: Latents,
    poses: Tensor,
    early: JointProblem | None,
) -> JointProblem | None:
    """The same joints where bodies arrive, for velocities as they are before bodies turn."""
    import torch

    if early is None:
        return None
    there = inertia_at(world, latents, poses)
    uneven = motion.awake & torch.as_tensor(world_arrays(world).round == 0)
    turned = torch.where(
        uneven[..., None, None], there.inverse_inertia @ motion.inertia.inertia, torch.eye(3).to(poses)
    )
    inertia = replace(motion.inertia, com=there.com)
    return rebound_joints(world, poses, inertia, turned, 2 * early.guess, state.joint_q.to(poses), early.drive)


def solve_all(problem: tuple[Rows, Tensor] | None, joints: JointProblem | None, twist: Tensor, sweeps: int) -> Solution:
    """Velocities with the rows of contacts, from a first guess of their impulses, and with joints; both may be none."""
    none = twist[:, :0, 0]
    rows, guess = (None, None) if problem is None else problem
    if joints is not None:
        after, pressed, impulses = solve_jointed(rows, joints, twist, sweeps, guess)
        return Solution(after, none if pressed is None else pressed, impulses)
    if rows is None:
        return Solution(twist, none, none)
    return Solution(*solve_rows(rows, twist, sweeps, guess), none)
