# pyright: basic
"""One step of rigid contact dynamics in plain torch: state in, state out, in any precision and with gradients.

1. Forces act: velocities as they would be at the end of the step without contacts. Kinematic bodies get the velocity
   that takes them to their target. Bodies that have rested long enough sleep, unless something lively is near.
2. Contacts are found from poses and these velocities, and become rows for the solver.
3. The rows are solved twice. From the mean of the velocities at both ends, so that surfaces meet exactly and overlaps
   shrink: that moves the bodies, exactly for constant accelerations, dry friction among them. And from the velocities
   at the end, with rebound and without recovery: those are what the bodies are left with. Rebounds that would make
   energy are weakened.
4. Poses follow; angular momentum is kept through the turn.

Joints are solved with the contacts. Bodies move with velocities that leave joints closed where they arrive, and what
joints gave for that counts for the velocities they are left with too; those are made to fit the joints at the end.

This is the twin of the fused kernel in `dynamics._rollout_kernels`, which `dynamics.rollout` runs.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from dynamics._contact_memory import contact_memory, first_guess, forgotten, remembered
from dynamics._contact_rows import (
    ContactSettings,
    contact_rows,
    is_impact,
    landing_targets,
    rebound_targets,
    relative_velocity,
    with_normal_targets,
)
from dynamics._find_contacts import find_contacts
from dynamics._free_motion import free_motion
from dynamics._integrate import midway_turn, moved_poses, turned_by
from dynamics._joint_geometry import joint_positions
from dynamics._joint_solve import held_together
from dynamics._joint_step import early_joints, late_joints, solve_all
from dynamics._keep_energy import keep_energy
from dynamics._keep_momentum import keep_momentum
from dynamics._state import Latents, State
from dynamics._world_arrays import KINEMATIC, world_arrays

if TYPE_CHECKING:
    from torch import Tensor

    from dynamics._contacts import Contacts
    from dynamics._free_motion import FreeMotion
    from dynamics._rows import Rows
    from dynamics._state import Action
    from dynamics._world import World

__all__ = ["StepSettings", "step_torch"]


@dataclass(frozen=True)
class StepSettings:
    """How steps are computed."""

    sweeps: int = 12
    """The most Gauss-Seidel sweeps over all rows."""
    tolerance: float = 1e-6
    """The fused kernel ends after a sweep that corrected no velocity by more [m/s]; the torch twin never does."""
    contact: ContactSettings = field(default_factory=ContactSettings)
    """Constants of the contact model."""
    sleep_after: int = 60
    """Steps of rest after which a body sleeps."""
    sleep_speed: float = 0.01
    """A body that is slower rests [m/s]."""
    sleep_turn: float = 0.1
    """The same for turning [rad/s]."""


@dataclass(frozen=True, eq=False)
class _Problem:
    """C contacts as the solver sees them."""

    rows: Rows
    """Three rows each."""
    landing: Tensor
    """Normal velocities with which bodies move, (B, C)."""
    rebound: Tensor
    """Normal velocities that they are left with, (B, C)."""
    bounces: Tensor
    """Which contacts are impacts with rebound, bool, (B, C)."""
    guess: Tensor
    """Impulses to start from, (B, 3 C)."""

    @property
    def to_land(self) -> tuple[Rows, Tensor]:
        """Rows and first guess for the velocities that move the bodies."""
        return with_normal_targets(self.rows, self.landing), 0.5 * self.guess

    @property
    def to_rebound(self) -> tuple[Rows, Tensor]:
        """The same for those that bodies are left with."""
        return with_normal_targets(self.rows, self.rebound), self.guess

    @property
    def inelastic(self) -> tuple[Rows, Tensor]:
        """The same without rebound."""
        return with_normal_targets(self.rows, self.rebound.clamp_max(0.0)), self.guess


def step_torch(
    world: World,
    state: State,
    action: Action | None = None,
    latents: Latents | None = None,
    settings: StepSettings | None = None,
    *,
    index: int = 0,
) -> State:
    """The state a step later, in the precision of the state's poses; particles stay as they are.

    Args:
        world: Bodies, gravity, length of the step.
        state: B worlds.
        action: What is done to them; None for nothing.
        latents: What photos do not show; None takes the materials' medians.
        settings: How steps are computed.
        index: Which step of the action.
    """
    import torch

    settings = StepSettings() if settings is None else settings
    latents = Latents.median(world, len(state)) if latents is None else latents
    near = settings.contact
    motion = free_motion(world, state, action, latents, index, near.margin, settings.sleep_after)
    contacts = find_contacts(
        world,
        state.T_world_body,
        motion.inertia.com,
        motion.free,
        world.dt,
        margin=near.margin,
        per_direction=near.per_direction,
        awake=motion.awake,
    )
    known = contact_memory(world, state, near.per_direction)
    left = forgotten(known, motion.awake, world, near.per_direction)
    touching = contacts.gap.shape[1] > 0
    problem = _problem(world, motion, contacts, known, latents, settings) if touching else None
    mean, free = 0.5 * (motion.twist + motion.free), motion.free
    early = early_joints(world, state, motion, action, index)
    if early is not None:
        held = held_together(early, mean)
        mean, free = held, free + held - mean
    landing = solve_all(problem and problem.to_land, early, mean, settings.sweeps)
    poses = _moved(world, state, action, index, motion, landing.twist)
    late = late_joints(world, state, motion, latents, poses, early)
    final = solve_all(problem and problem.to_rebound, late, free, settings.sweeps)
    rebound, pushed, memory = final.twist, torch.zeros_like(motion.awake), left
    if problem is not None:
        driven = early is not None and early.drive.on
        gains = keep_energy(world, latents, motion, landing.twist, rebound, poses[..., 3:], problem.bounces)
        if gains is not None and not driven:
            rebound = gains(solve_all(problem.inelastic, late, free, settings.sweeps).twist)
        pushed = _pushed(contacts, landing.contacts, motion) | _pushed(contacts, final.contacts, motion)
        memory = remembered(contacts, problem.rows, final.contacts, left)
    if problem is not None or world.joints:
        rebound = keep_momentum(world, latents, motion, contacts, landing.twist, rebound)
    after = _after(world, state, motion, poses, rebound, pushed, memory, settings)
    if late is None:
        return after
    places, speeds = joint_positions(world, poses, after.twist, near=state.joint_q, latents=latents)
    return replace(after, joint_q=places, joint_qd=speeds, joint_impulse=final.joints)


def _problem(
    world: World,
    motion: FreeMotion,
    contacts: Contacts,
    known: tuple[Tensor, Tensor],
    latents: Latents,
    settings: StepSettings,
) -> _Problem:
    import torch

    a, b = contacts.body_a.long(), contacts.body_b.long()
    mu = latents.friction.to(motion.free)
    friction = (mu.gather(1, a) * mu.gather(1, b)).sqrt()
    e = latents.restitution.to(motion.free)
    restitution = torch.maximum(e.gather(1, a), e.gather(1, b))
    velocity = relative_velocity(contacts, motion.inertia, motion.free)
    approach = (velocity * contacts.normal).sum(-1)
    before = (relative_velocity(contacts, motion.inertia, motion.twist) * contacts.normal).sum(-1)
    rows = contact_rows(contacts, motion.inertia, velocity, friction, restitution, world.dt, settings.contact)
    rebound = rebound_targets(contacts.gap, before, approach, restitution, world.dt, settings.contact)
    impact = is_impact(contacts.gap, before, approach, world.dt, settings.contact)
    return _Problem(
        rows,
        landing_targets(contacts.gap, world.dt, settings.contact),
        rebound,
        impact & (rebound > 0) & contacts.used,
        first_guess(rows, contacts, known, impact, settings.contact.per_direction, world),
    )


def _pushed(contacts: Contacts, impulses: Tensor, motion: FreeMotion) -> Tensor:
    """Which bodies a contact presses on, bool, (B, nb)."""
    import torch

    presses = ((impulses.reshape(*contacts.gap.shape, 3)[..., 0] > 0) & contacts.used).int()
    counts = torch.zeros_like(motion.still)
    for body in (contacts.body_a, contacts.body_b):
        counts = counts.scatter_add(1, body.long(), presses)
    return counts > 0


def _moved(
    world: World, state: State, action: Action | None, index: int, motion: FreeMotion, landing: Tensor
) -> Tensor:
    """Poses after the step."""
    import torch

    arrays, poses = world_arrays(world), state.T_world_body
    inertia = torch.as_tensor(arrays.inertia).to(poses)
    inverse = torch.as_tensor(arrays.inverse_inertia).to(poses)
    uneven = torch.as_tensor(arrays.round == 0)[:, None]
    rate = midway_turn(poses[..., 3:], landing[..., 3:], inertia, inverse, world.dt)
    landing = torch.cat([landing[..., :3], torch.where(uneven, rate, landing[..., 3:])], dim=-1)
    # Velocities are means over the step already: no body needs the correction of a parabola.
    free = torch.zeros_like(poses[..., 0])
    moved = moved_poses(poses, motion.inertia.com, landing, motion.acceleration, free, world.dt)
    moved = torch.where(motion.awake[..., None], moved, poses)
    if action is None or action.kinematic_target is None:
        return moved
    target = action.kinematic_target[:, index].to(poses)
    target = torch.cat([target[..., :3], torch.nn.functional.normalize(target[..., 3:], dim=-1)], dim=-1)
    return torch.where(torch.as_tensor(arrays.motion == KINEMATIC)[:, None], target, moved)


def _after(
    world: World,
    state: State,
    motion: FreeMotion,
    poses: Tensor,
    rebound: Tensor,
    pushed: Tensor,
    memory: tuple[Tensor, Tensor],
    settings: StepSettings,
) -> State:
    import torch

    arrays = world_arrays(world)
    inertia = torch.as_tensor(arrays.inertia).to(poses)
    inverse = torch.as_tensor(arrays.inverse_inertia).to(poses)
    uneven = motion.awake[..., None] & torch.as_tensor(arrays.round == 0)[:, None]
    turn = turned_by(state.T_world_body[..., 3:], poses[..., 3:], rebound[..., 3:], inertia, inverse)
    twist = torch.cat([rebound[..., :3], torch.where(uneven, turn, rebound[..., 3:])], dim=-1)
    slow = (twist[..., :3].norm(dim=-1) < settings.sleep_speed) & (twist[..., 3:].norm(dim=-1) < settings.sleep_turn)
    rested = torch.where(slow & pushed, motion.still + 1, torch.zeros_like(motion.still))
    return replace(
        state,
        T_world_body=poses,
        twist=twist,
        still=torch.where(motion.awake, rested, motion.still),
        contact_point=memory[0],
        contact_impulse=memory[1],
    )
