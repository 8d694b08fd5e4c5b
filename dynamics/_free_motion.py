"""What bodies do in a step before contacts: forces act, kinematic bodies head for their targets, rested ones sleep.

A body that has rested long enough sleeps: it stays where it is and resists like a static one, until something acts on
it or something lively is near, so near that the boxes around both may touch. Lively is what moved in the step before,
and what was woken; bodies that are merely coming to rest wake nobody, or a heap would keep itself awake.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dynamics._find_contacts import boxes_near, near_pairs
from dynamics._inertia import inertia_at
from dynamics._integrate import turn_between
from dynamics._world_arrays import DYNAMIC, KINEMATIC, world_arrays
from dynamics.poses import transform_points

if TYPE_CHECKING:
    from torch import Tensor

    from dynamics._inertia import Inertia
    from dynamics._state import Action, Latents, State
    from dynamics._world import World
    from dynamics._world_arrays import WorldArrays

__all__ = ["FreeMotion", "free_motion"]


@dataclass(frozen=True, eq=False)
class FreeMotion:
    """B worlds of nb bodies between the start of a step and its contacts."""

    twist: Tensor
    """Velocities at the start of the step; those of kinematic bodies take them to their targets, (B, nb, 6)."""
    free: Tensor
    """Velocities at its end without contacts, (B, nb, 6)."""
    acceleration: Tensor
    """Of the centres of mass of dynamic bodies [m/s^2], (B, nb, 3)."""
    still: Tensor
    """As in `State`, 0 for bodies that were woken, (B, nb)."""
    awake: Tensor
    """Dynamic bodies that do not sleep, bool, (B, nb)."""
    inertia: Inertia
    """That of sleeping bodies is infinite."""


def free_motion(
    world: World, state: State, action: Action | None, latents: Latents, index: int, margin: float, sleep_after: int
) -> FreeMotion:
    """Velocities without contacts.

    Args:
        world: Bodies, gravity, length of the step.
        state: B worlds.
        action: What is done to them; None for nothing.
        latents: What photos do not show.
        index: Which step of the action.
        margin: Gaps under this are contacts [m].
        sleep_after: Steps of rest after which a body sleeps.
    """
    import torch

    arrays = world_arrays(world)

    poses = state.T_world_body
    dynamic = torch.as_tensor(arrays.motion == DYNAMIC)
    inertia = inertia_at(world, latents, poses)
    acceleration = poses.new_tensor(world.gravity).expand(*poses.shape[:2], 3)
    turning = torch.zeros_like(acceleration)
    pulled = torch.zeros_like(dynamic)
    if action is not None and action.wrench is not None:
        wrench = action.wrench[:, index].to(poses)
        acceleration = acceleration + wrench[..., :3] * inertia.inverse_mass[..., None]
        turning = (inertia.inverse_inertia @ wrench[..., 3:, None])[..., 0]
        pulled = (wrench != 0).any(-1)
    acceleration = acceleration * dynamic[:, None]
    twist = torch.where(dynamic[:, None], state.twist, _kinematic_twist(arrays, state, action, inertia, index, world))
    free = twist + world.dt * torch.cat([acceleration, turning], dim=-1)
    asleep = dynamic & (state.still >= sleep_after) & ~pulled
    lively = (dynamic & (state.still == 0)) | (~dynamic & (twist != 0).any(-1))
    near = near_pairs(arrays, poses, inertia.com, free, world.dt, margin)
    near = near & boxes_near(arrays, poses, inertia.com, free, world.dt, margin)
    asleep = asleep & ~_driven(arrays, action, asleep)
    woken = torch.zeros_like(asleep)
    joined = list(zip(arrays.joints.joint_parent.tolist(), arrays.joints.joint_child.tolist(), strict=True))
    joined = [(a, b) for a, b in joined if a < len(arrays.kind)]
    for _ in range(len(arrays.kind) * (2 if joined else 1)):
        for pair, (a, b) in enumerate(arrays.pairs.tolist()):
            woken = woken.clone()
            woken[:, a] |= asleep[:, a] & near[:, pair] & lively[:, b]
            woken[:, b] |= asleep[:, b] & near[:, pair] & lively[:, a]
        lively = lively | woken
        for first, second in joined:
            for a, b in ((first, second), (second, first)):
                asleep, woken, lively = asleep.clone(), woken.clone(), lively.clone()
                woken[:, a] |= asleep[:, a] & lively[:, b]
                lively[:, a] |= woken[:, a]
                # A body sleeps only together with all that it is joined to.
                if arrays.motion[b] == DYNAMIC:
                    asleep[:, a] &= woken[:, a] | (asleep[:, b] & ~woken[:, b])
    asleep = asleep & ~woken
    awake = dynamic & ~asleep
    gate = awake.to(poses)
    inertia = replace(
        inertia,
        inverse_mass=inertia.inverse_mass * gate,
        inverse_inertia=inertia.inverse_inertia * gate[..., None, None],
    )
    keep = (~asleep).to(poses)[..., None]
    still = torch.where(woken, torch.zeros_like(state.still), state.still)
    return FreeMotion(twist * keep, free * keep, acceleration, still, awake, inertia)


def _driven(arrays: WorldArrays, action: Action | None, like: Tensor) -> Tensor:
    """Bodies at joints whose drives are on, as `like`."""
    import torch

    driven = torch.zeros_like(like)
    goal = action is not None and action.joint_target is not None
    on = goal or (action is not None and action.joint_velocity_target is not None)
    joints = arrays.joints
    for j in range(len(joints.joint_kind)):
        if (goal and joints.joint_stiffness[j] > 0) or (on and joints.drive_damping[j] > 0):
            for body in (joints.joint_parent[j], joints.joint_child[j]):
                if body < len(arrays.kind):
                    driven[:, body] = True
    return driven


def _kinematic_twist(
    arrays: WorldArrays, state: State, action: Action | None, inertia: Inertia, index: int, world: World
) -> Tensor:
    import torch

    if action is None or action.kinematic_target is None:
        return torch.zeros_like(state.twist)
    target = action.kinematic_target[:, index].to(state.T_world_body)
    com = transform_points(target, torch.as_tensor(arrays.com).to(target))
    velocity = torch.cat([com - inertia.com, turn_between(state.T_world_body[..., 3:], target[..., 3:])], dim=-1)
    return velocity / world.dt * torch.as_tensor(arrays.motion == KINEMATIC)[:, None]
