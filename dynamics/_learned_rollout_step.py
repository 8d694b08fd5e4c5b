# pyright: basic
"""A step of any world with the contact network inside, in plain torch: any precision, and gradients.

It is `dynamics._step.step_torch`, spoken into in three places:

1. Friction of both solves is multiplied by exp of the network's first residual.
2. The solve for rebound, which leaves bodies their velocities, has its contacts at shifted points; odds of restitution
   are multiplied, and gaps that do not close within the step are changed. The solve for landing, which moves bodies,
   knows neither: surfaces meet where they are, and nothing is lifted.
3. The network's impulses are added, equal and opposite at one point of both bodies.

Two guards follow. The impulses are shrunk until kinetic energy is not above what it would be without contact. And if
the result still has more than forces gave on the way, it is mixed with the solution without rebound, shift and impulses
until it has not. So angular and linear momentum are kept, energy does not grow, and zero weights or a closed gate are
plain physics. This is the twin of the kernels that `dynamics.rollout_learned` launches.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from dynamics._contact_features import after_features, before_features, scales
from dynamics._contact_memory import contact_memory, first_guess, forgotten, remembered
from dynamics._contact_network import impulse_residuals, solver_residuals
from dynamics._contact_rows import (
    contact_frames,
    contact_rows,
    is_impact,
    landing_targets,
    relative_velocity,
    with_normal_targets,
)
from dynamics._find_contacts import find_contacts
from dynamics._free_motion import free_motion
from dynamics._joint_geometry import joint_positions
from dynamics._joint_solve import _holding, _inverse, held_together
from dynamics._joint_step import early_joints, late_joints, solve_all
from dynamics._keep_energy import keep_energy
from dynamics._keep_momentum import keep_momentum
from dynamics._learned_rollout_patch import patches
from dynamics._learned_step import PRESSED, _without_energy
from dynamics._state import Latents
from dynamics._step import StepSettings, _after, _moved, _pushed, step_torch
from dynamics._world_arrays import world_arrays

if TYPE_CHECKING:
    from torch import Tensor

    from dynamics._contact_features import Scales
    from dynamics._contact_network import ContactNetwork
    from dynamics._contact_support import ContactSupport
    from dynamics._contacts import Contacts
    from dynamics._free_motion import FreeMotion
    from dynamics._joint_solve import JointProblem
    from dynamics._state import Action, State
    from dynamics._world import World

__all__ = ["ContactModel", "HasNetwork", "Spoken", "gravity_scale", "gyration_radii", "learned_step_torch"]


def gravity_scale(world: World) -> float:
    """What the network's units take for gravity [m/s^2]: its strength, that of the earth where there is none."""
    strength = sum(part * part for part in world.gravity) ** 0.5
    return strength if strength > 1e-3 else 9.81


def gyration_radii(world: World) -> list[float]:
    """Of each body [m]."""
    arrays = world_arrays(world)
    return [float((tensor.trace() / 3 / mass) ** 0.5) for tensor, mass in zip(arrays.inertia, arrays.mass, strict=True)]


@dataclass(frozen=True, eq=False)
class ContactModel:
    """What a rollout takes of a trained model; a `TossModel` will do as well."""

    network: ContactNetwork | None = None
    """None is plain physics."""
    support: ContactSupport | None = None
    """Where the network may speak; None lets it speak everywhere."""


class HasNetwork(Protocol):
    """Anything with a network and its support."""

    @property
    def network(self) -> ContactNetwork | None:
        """None is plain physics."""
        ...

    @property
    def support(self) -> ContactSupport | None:
        """Where the network may speak; None lets it speak everywhere."""
        ...


@dataclass(frozen=True, eq=False)
class Spoken:
    """The state after a step, and what the network had to do with it."""

    state: State
    """B worlds."""
    gate: Tensor
    """Of each contact, 0 for padding, shape (B, C)."""
    pressing: Tensor
    """Which contacts pressed, bool, shape (B, C)."""


@dataclass(frozen=True, eq=False)
class _Seen:
    """A step before the network speaks: what moves, what touches, and how that looks."""

    motion: FreeMotion
    contacts: Contacts
    relative: Tensor
    """Of contact points, with forces applied [m/s], shape (B, C, 3)."""
    frames: Tensor
    units: Scales
    features: Tensor


@dataclass(frozen=True, eq=False)
class _Said:
    """What the network wants in the solver, gate included, shape (B, C) but for `point`."""

    log_friction: Tensor
    logit_restitution: Tensor
    gap: Tensor
    """[m]"""
    point: Tensor
    """Where impulses act [m], shape (B, C, 3)."""
    gate: Tensor


@dataclass(frozen=True, eq=False)
class _Rub:
    """Of each contact, shape (B, C)."""

    mu: Tensor
    """Friction, the network's residual included."""
    e: Tensor
    """Restitution without it."""


@dataclass(frozen=True, eq=False)
class _Rebound:
    """What the solve for rebound and the network's impulses gave."""

    twist: Tensor
    """Velocities after contact, shape (B, nb, 6)."""
    impulses: Tensor
    """Of the rows, shape (B, 3 C)."""
    bounces: Tensor
    """Contacts that rebound, bool, shape (B, C)."""
    joints: Tensor
    """As in `Solution`."""
    spoke: Tensor
    """Worlds in which the network said anything, bool, shape (B,)."""


def learned_step_torch(
    world: World,
    state: State,
    action: Action | None = None,
    latents: Latents | None = None,
    settings: StepSettings | None = None,
    *,
    model: HasNetwork,
    index: int = 0,
) -> Spoken:
    """The state a step later, in the precision of the state's poses; particles stay as they are.

    Args:
        world: Bodies, gravity, length of the step.
        state: B worlds.
        action: What is done to them; None for nothing.
        latents: What photos do not show; None takes the materials' medians.
        settings: How steps are computed.
        model: Its network and support are used.
        index: Which step of the action.
    """
    import torch

    assert model.network is not None
    settings = StepSettings() if settings is None else settings
    near = settings.contact
    latents = Latents.median(world, len(state)) if latents is None else latents
    seen = _seen(world, state, action, latents, settings, index)
    motion, contacts = seen.motion, seen.contacts
    if contacts.gap.shape[1] == 0:
        return Spoken(step_torch(world, state, action, latents, settings, index=index), contacts.gap, contacts.used)
    mean, free = 0.5 * (motion.twist + motion.free), motion.free
    early = early_joints(world, state, motion, action, index)
    if early is not None:
        held = held_together(early, mean)
        mean, free = held, free + held - mean
    said = _said(model, model.network, seen)
    rub = _rub(seen, said, latents)
    rows = contact_rows(contacts, motion.inertia, seen.relative, rub.mu, rub.e, world.dt, near, frames=seen.frames)
    before = (relative_velocity(contacts, motion.inertia, motion.twist) * contacts.normal).sum(-1)
    impact = is_impact(contacts.gap, before, (seen.relative * contacts.normal).sum(-1), world.dt, near)
    known = contact_memory(world, state, near.per_direction)
    guess = first_guess(rows, contacts, known, impact, near.per_direction, world)
    touching = with_normal_targets(rows, landing_targets(contacts.gap, world.dt, near))
    landing = solve_all((touching, 0.5 * guess), early, mean, settings.sweeps)
    poses = _moved(world, state, action, index, motion, landing.twist)
    late = late_joints(world, state, motion, latents, poses, early)
    rebound = _rebounded(world, seen, said, rub, guess, settings, model.network, late, free)

    def flat() -> Tensor:
        targets, _ = _targets(world, seen, contacts, rub.e, torch.zeros_like(rub.e), settings)
        calm = with_normal_targets(rows, targets.clamp_max(0.0))
        return solve_all((calm, guess), late, free, settings.sweeps).twist

    def turned(twist: Tensor) -> Tensor:
        return keep_momentum(world, latents, motion, contacts, landing.twist, twist)

    undriven = early is None or not early.drive.on
    silent = ~rebound.spoke[:, None]
    doubtful = rebound.bounces & silent & undriven
    gains = keep_energy(world, latents, motion, landing.twist, rebound.twist, poses[..., 3:], doubtful)
    twist = turned(rebound.twist if gains is None else gains(flat()))
    # Landing and rebound are further apart than in physics alone, and the turn may bring energy.
    gains = keep_energy(world, latents, motion, landing.twist, twist, poses[..., 3:], ~silent & undriven)
    twist = twist if gains is None else gains(turned(flat()))
    pushed = _pushed(contacts, landing.contacts, motion) | _pushed(contacts, rebound.impulses, motion)
    left = forgotten(known, motion.awake, world, near.per_direction)
    memory = remembered(contacts, rows, rebound.impulses, left)
    after = _after(world, state, motion, poses, twist, pushed, memory, settings)
    if late is not None:
        places, speeds = joint_positions(world, poses, after.twist, near=state.joint_q, latents=latents)
        after = replace(after, joint_q=places, joint_qd=speeds, joint_impulse=rebound.joints)
    return Spoken(after, said.gate, (rebound.impulses[:, ::3] > 0) & contacts.used)


def _rub(seen: _Seen, said: _Said, latents: Latents) -> _Rub:
    import torch

    a, b = seen.contacts.body_a.long(), seen.contacts.body_b.long()
    e, mu = latents.restitution.to(seen.features), latents.friction.to(seen.features)
    mu = (mu.gather(1, a) * mu.gather(1, b)).sqrt() * said.log_friction.exp()
    return _Rub(mu, torch.maximum(e.gather(1, a), e.gather(1, b)))


def _seen(
    world: World, state: State, action: Action | None, latents: Latents, settings: StepSettings, index: int
) -> _Seen:
    near = settings.contact
    motion = free_motion(world, state, action, latents, index, near.margin, settings.sleep_after)
    inertia = motion.inertia
    contacts = find_contacts(
        world,
        state.T_world_body,
        inertia.com,
        motion.free,
        world.dt,
        margin=near.margin,
        per_direction=near.per_direction,
        awake=motion.awake,
    )
    relative = relative_velocity(contacts, inertia, motion.free)
    frames = contact_frames(contacts, relative).detach()
    units = scales(contacts, inertia, gravity_scale(world))
    patch = patches(world, contacts, state.T_world_body, units.length)
    features = before_features(contacts, inertia, motion.free, relative, frames, patch, units, world.dt)
    return _Seen(motion, contacts, relative, frames, units, features)


def _said(model: HasNetwork, network: ContactNetwork, seen: _Seen) -> _Said:
    import torch

    contacts = seen.contacts
    raw = solver_residuals(network, seen.features, contacts, seen.motion.free.shape[1])
    gate = torch.ones_like(contacts.gap) if model.support is None else model.support.gate(seen.features, raw.spread)
    gate = gate * contacts.used
    size = gate * seen.units.length
    shift = (raw.shift[..., None] * seen.frames[..., :2, :]).sum(-2) * size[..., None]
    return _Said(gate * raw.log_friction, gate * raw.logit_restitution, raw.gap * size, contacts.point + shift, gate)


def _rebounded(
    world: World,
    seen: _Seen,
    said: _Said,
    rub: _Rub,
    guess: Tensor,
    settings: StepSettings,
    network: ContactNetwork,
    late: JointProblem | None,
    free: Tensor,
) -> _Rebound:
    """Velocities after contact: the solve with residuals, then the network's impulses."""
    import torch

    motion, shifted = seen.motion, replace(seen.contacts, point=said.point)
    odds = said.logit_restitution.exp()
    e = rub.e * odds / (1 - rub.e + rub.e * odds)
    targets, bounces = _targets(world, seen, shifted, e, said.gap, settings)
    near = settings.contact
    rows = contact_rows(shifted, motion.inertia, seen.relative, rub.mu, e, world.dt, near, frames=seen.frames)
    solved = solve_all((with_normal_targets(rows, targets), guess), late, free, settings.sweeps)
    twist, impulses = solved.twist, solved.contacts
    local = impulses.reshape(*e.shape, 3)[..., [1, 2, 0]]
    left = relative_velocity(shifted, motion.inertia, twist)
    features = torch.cat([seen.features, after_features(local, left, seen.frames, seen.units)], dim=-1)
    wanted = impulse_residuals(network, features, shifted, twist.shape[1])
    unit = seen.units.mass * seen.units.speed
    pressed = local[..., 2].clamp_min(0.0) / unit
    size = said.gate * unit * pressed / (pressed + PRESSED)
    added = ((wanted * size[..., None])[..., None] * seen.frames).sum(-2)
    after, _ = _without_energy(motion.free, twist, added, shifted, motion.inertia)
    if late is not None:
        after = torch.where((added != 0).any(-1).any(-1)[:, None, None], _held(late, after), after)
    spoke = (said.log_friction != 0) | (said.logit_restitution != 0) | (said.gap != 0)
    spoke = spoke | (said.point != seen.contacts.point).any(-1) | (added != 0).any(-1)
    return _Rebound(after, impulses, bounces & shifted.used, solved.joints, (spoke & shifted.used).any(-1))


def _held(late: JointProblem, twist: Tensor) -> Tensor:
    """Velocities (B, nb, 6) that do not open joints."""
    import torch

    padded = torch.cat([twist, torch.zeros_like(twist[:, :1])], dim=1)
    return (padded + _holding(late, _inverse(late), padded, torch.zeros_like(late.blocks.diagonal)))[:, :-1]


def _targets(
    world: World, seen: _Seen, contacts: Contacts, e: Tensor, more: Tensor, settings: StepSettings
) -> tuple[Tensor, Tensor]:
    """Normal velocities that contacts are left with (B, C), and which of them rebound.

    As `rebound_targets`, but gaps that do not close within the step are `more` wider [m].
    """
    import torch

    inertia, dt, gap = seen.motion.inertia, world.dt, contacts.gap
    approach = (relative_velocity(contacts, inertia, seen.motion.free) * contacts.normal).sum(-1)
    before = (relative_velocity(contacts, inertia, seen.motion.twist) * contacts.normal).sum(-1)
    squared = before * before + 2 * (before - approach) / dt * gap.clamp_min(0.0)
    speed = torch.where(squared > 0, squared, torch.ones_like(squared)).sqrt() * (squared > 0)
    impact = is_impact(gap, before, approach, dt, settings.contact)
    meets = (gap <= 0) | (gap + 0.5 * (before + approach) * dt < 0)
    rebound = torch.where(impact, e * speed, torch.zeros_like(gap))
    rebound = torch.where(meets, rebound, -(gap + more).clamp_min(0.0) / dt)
    return rebound, impact & (rebound > 0)
