"""One step of rigid contact dynamics in plain torch: state in, state out, in any precision and with gradients.

1. Forces act: velocities as they would be at the end of the step without contacts. Kinematic bodies get the velocity
   that takes them to their target. Bodies that have rested long enough sleep, unless something lively is near.
2. Contacts are found from poses and these velocities, and become rows for the solver.
3. The rows are solved twice. From the mean of the velocities at both ends, so that surfaces meet exactly and overlaps
   shrink: that moves the bodies, exactly for constant accelerations, dry friction among them. And from the velocities
   at the end, with rebound and without recovery: those are what the bodies are left with. Rebounds that would make
   energy are weakened.
4. Poses follow; angular momentum is kept through the turn.

This is the twin of the fused kernel in `dynamics._rollout_kernels`, which `dynamics.rollout` runs.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from dynamics._contact_rows import (
    ContactSettings,
    contact_rows,
    is_impact,
    landing_targets,
    rebound_targets,
    relative_velocity,
    with_normal_targets,
)
from dynamics._find_contacts import find_contacts, near_pairs
from dynamics._inertia import inertia_at
from dynamics._integrate import midway_turn, moved_poses, turn_between, turned_by
from dynamics._solve import solve_rows
from dynamics._state import Latents, State
from dynamics._world_arrays import DYNAMIC, KINEMATIC, directions, world_arrays
from dynamics.poses import transform_points

if TYPE_CHECKING:
    from torch import Tensor

    from dynamics._contacts import Contacts
    from dynamics._inertia import Inertia
    from dynamics._rows import Rows
    from dynamics._state import Action
    from dynamics._world import World
    from dynamics._world_arrays import WorldArrays

__all__ = ["StepSettings", "contact_memory", "step_torch"]


@dataclass(frozen=True)
class StepSettings:
    """How steps are computed."""

    sweeps: int = 12
    """Gauss-Seidel sweeps over all rows."""
    contact: ContactSettings = field(default_factory=ContactSettings)
    """Constants of the contact model."""
    sleep_after: int = 60
    """Steps of rest after which a body sleeps."""
    sleep_speed: float = 0.01
    """A body that is slower rests [m/s]."""
    sleep_turn: float = 0.1
    """The same for turning [rad/s]."""


@dataclass(frozen=True, eq=False)
class _Motion:
    """What happens to bodies before contacts."""

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


def step_torch(
    world: World,
    state: State,
    action: Action | None = None,
    latents: Latents | None = None,
    settings: StepSettings | None = None,
    *,
    index: int = 0,
) -> State:
    """The state a step later, in the precision of the state's poses; joints and particles stay as they are.

    Args:
        world: Bodies, gravity, length of the step.
        state: B worlds.
        action: What is done to them; None for nothing.
        latents: What photos do not show; None takes the materials' medians.
        settings: How steps are computed.
        index: Which step of the action.
    """
    settings = StepSettings() if settings is None else settings
    latents = Latents.median(world, len(state)) if latents is None else latents
    arrays = world_arrays(world)
    motion = _before_contact(world, arrays, state, action, latents, settings, index)
    contacts = find_contacts(
        world,
        state.T_world_body,
        motion.inertia.com,
        motion.free,
        world.dt,
        margin=settings.contact.margin,
        per_direction=settings.contact.per_direction,
        awake=motion.awake,
    )
    known = contact_memory(world, state, settings)
    landing, rebound, pushed, memory = _solved(world, motion, contacts, known, latents, settings)
    moved = _moved(world, arrays, state, action, index, settings, motion, landing, rebound, pushed)
    return replace(moved, contact_point=memory[0], contact_impulse=memory[1])


def _before_contact(
    world: World,
    arrays: WorldArrays,
    state: State,
    action: Action | None,
    latents: Latents,
    settings: StepSettings,
    index: int,
) -> _Motion:
    import torch

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
    asleep = dynamic & (state.still >= settings.sleep_after) & ~pulled
    lively = (dynamic & (state.still == 0)) | (~dynamic & (twist != 0).any(-1))
    near = near_pairs(arrays, poses, inertia.com, free, world.dt, settings.contact.margin)
    woken = torch.zeros_like(asleep)
    for _ in range(len(arrays.kind)):
        for pair, (a, b) in enumerate(arrays.pairs.tolist()):
            woken = woken.clone()
            woken[:, a] |= asleep[:, a] & near[:, pair] & lively[:, b]
            woken[:, b] |= asleep[:, b] & near[:, pair] & lively[:, a]
        lively = lively | woken
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
    return _Motion(twist * keep, free * keep, acceleration, still, awake, inertia)


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


def contact_memory(world: World, state: State, settings: StepSettings) -> tuple[Tensor, Tensor]:
    """Points (B, M) and impulses (B, M, 3) that a state remembers of its contacts; none if it is from elsewhere."""
    import torch

    length = sum(room for _, _, room in directions(world_arrays(world), settings.contact.per_direction))
    point, impulse = state.contact_point, state.contact_impulse
    if point is None or impulse is None or point.shape[1] != length:
        poses = state.T_world_body
        point = torch.full((len(state), length), -1, dtype=torch.int32, device=poses.device)
        return point, poses.new_zeros(len(state), length, 3)
    return point, impulse


def _first_guess(
    rows: Rows, contacts: Contacts, known: tuple[Tensor, Tensor], impact: Tensor, settings: StepSettings, world: World
) -> Tensor:
    """What the same points gave in the step before, turned into this step's frames and cone, shape (B, R)."""
    import torch

    point, impulse = known
    assert contacts.place is not None and contacts.source_point is not None
    rooms = directions(world_arrays(world), settings.contact.per_direction)
    owner = torch.repeat_interleave(torch.arange(len(rooms)), torch.tensor([room for _, _, room in rooms]))
    same = (owner[contacts.place.long()][..., None] == owner) & (contacts.source_point[..., None] == point[:, None])
    same = same & (contacts.used & ~impact)[..., None]
    vector = same.to(impulse) @ impulse
    axes = rows.J[..., :3].reshape(*contacts.gap.shape, 3, 3)
    given = (axes @ vector[..., None])[..., 0]
    pressed = given[..., :1].clamp_min(0.0)
    slip = given[..., 1:]
    length = ((slip * slip).sum(-1, keepdim=True) + 1e-30).sqrt()
    limit = rows.mu[:, ::3, None] * pressed
    slip = slip * torch.where(length > limit, limit / length, torch.ones_like(length))
    return torch.cat([pressed, slip], dim=-1).reshape(rows.target.shape)


def _forgotten(
    known: tuple[Tensor, Tensor], motion: _Motion, world: World, settings: StepSettings
) -> tuple[Tensor, Tensor]:
    """What is left of the memory without this step's contacts: pairs that sleep keep theirs."""
    import torch

    point, impulse = known
    kept = [
        (~(motion.awake[:, source] | motion.awake[:, target]))[:, None].expand(-1, room)
        for source, target, room in directions(world_arrays(world), settings.contact.per_direction)
    ]
    keep = torch.cat(kept, dim=1) if kept else torch.zeros_like(point, dtype=torch.bool)
    point = torch.where(keep, point, torch.full_like(point, -1))
    return point, torch.where(keep[..., None], impulse, torch.zeros_like(impulse))


def _remembered(
    contacts: Contacts, rows: Rows, impulses: Tensor, left: tuple[Tensor, Tensor]
) -> tuple[Tensor, Tensor]:
    """The memory after the step."""
    assert contacts.place is not None and contacts.source_point is not None
    point, impulse = left
    axes = rows.J[..., :3].reshape(*contacts.gap.shape, 3, 3)
    given = (impulses.reshape(*contacts.gap.shape, 3)[..., None] * axes).sum(-2)
    worlds, contact = contacts.used.nonzero(as_tuple=True)
    place = contacts.place[worlds, contact].long()
    point = point.index_put((worlds, place), contacts.source_point[worlds, contact])
    return point, impulse.index_put((worlds, place), given[worlds, contact])


def _solved(
    world: World,
    motion: _Motion,
    contacts: Contacts,
    known: tuple[Tensor, Tensor],
    latents: Latents,
    settings: StepSettings,
) -> tuple[Tensor, Tensor, Tensor, tuple[Tensor, Tensor]]:
    """Velocities that move the bodies, those that they are left with, which of them a contact pushed, and memory."""
    import torch

    nothing = torch.zeros_like(motion.awake)
    mean = 0.5 * (motion.twist + motion.free)
    if contacts.gap.shape[1] == 0:
        return mean, motion.free, nothing, _forgotten(known, motion, world, settings)
    a, b = contacts.body_a.long(), contacts.body_b.long()
    mu = latents.friction.to(motion.free)
    friction = (mu.gather(1, a) * mu.gather(1, b)).sqrt()
    e = latents.restitution.to(motion.free)
    restitution = torch.maximum(e.gather(1, a), e.gather(1, b))
    velocity = relative_velocity(contacts, motion.inertia, motion.free)
    before = relative_velocity(contacts, motion.inertia, motion.twist)
    rows = contact_rows(contacts, motion.inertia, velocity, friction, restitution, world.dt, settings.contact)
    landing = landing_targets(contacts.gap, world.dt, settings.contact)
    start, approach = (before * contacts.normal).sum(-1), (velocity * contacts.normal).sum(-1)
    rebound = rebound_targets(contacts.gap, start, approach, restitution, world.dt, settings.contact)
    impact = is_impact(contacts.gap, start, approach, world.dt, settings.contact)
    guess = _first_guess(rows, contacts, known, impact, settings, world)
    pushed = nothing
    twists: list[Tensor] = []
    impulses = guess
    for targets, begin, share in ((landing, mean, 0.5), (rebound, motion.free, 1.0)):
        twist, impulses = solve_rows(with_normal_targets(rows, targets), begin, settings.sweeps, share * guess)
        twists.append(twist)
        presses = (impulses.reshape(*targets.shape, 3)[..., 0] > 0) & contacts.used
        counts = torch.zeros_like(motion.still)
        counts = counts.scatter_add(1, a, presses.int()).scatter_add(1, b, presses.int())
        pushed = pushed | (counts > 0)
    twists[1] = _without_gain(world, motion, rows, rebound, impact, twists, settings, latents, guess)
    return twists[0], twists[1], pushed, _remembered(contacts, rows, impulses, _forgotten(known, motion, world, settings))


def _without_gain(
    world: World,
    motion: _Motion,
    rows: Rows,
    rebound: Tensor,
    impact: Tensor,
    twists: list[Tensor],
    settings: StepSettings,
    latents: Latents,
    guess: Tensor,
) -> Tensor:
    """Velocities of rebound, mixed with those of the inelastic solution in worlds that would gain energy by them.

    Newton's law of restitution makes energy where several contacts with friction act at once.
    """
    import torch

    arrays = world_arrays(world)
    inertia = motion.inertia

    def work(a: Tensor, b: Tensor) -> Tensor:
        mass = torch.as_tensor(arrays.mass).to(a) * latents.mass_scale.to(a)
        spin = (a[..., 3:] * (inertia.inertia @ b[..., 3:, None])[..., 0]).sum(-1)
        return (((a[..., :3] * b[..., :3]).sum(-1) * mass + spin) * motion.awake).sum(-1)

    landing, bounced = twists
    size = 0.5 * work(bounced, bounced)
    allowed = 0.5 * work(motion.twist, motion.twist) + work(motion.free - motion.twist, landing)
    driven = ((motion.twist != 0).any(-1) & torch.as_tensor(arrays.motion == KINEMATIC)).any(-1)
    bounces = (impact & (rebound > 0)).any(-1) & ~driven
    gains = bounces & (size - allowed > 1e-6 * size)
    if not bool(gains.any()):
        return bounced
    flat, _ = solve_rows(with_normal_targets(rows, rebound.clamp_max(0.0)), motion.free, settings.sweeps, guess)
    change = bounced - flat
    square, slope, rest = 0.5 * work(change, change), work(flat, change), 0.5 * work(flat, flat) - allowed
    root = (slope * slope - 4 * square * rest).clamp_min(1e-30).sqrt()
    share = torch.where((rest < 0) & (square > 0), (root - slope) / (2 * square.clamp_min(1e-30)), 0.0).clamp(0, 1)
    share = torch.where(gains, share, torch.ones_like(share))[:, None, None]
    return flat + change * share


def _moved(
    world: World,
    arrays: WorldArrays,
    state: State,
    action: Action | None,
    index: int,
    settings: StepSettings,
    motion: _Motion,
    landing: Tensor,
    rebound: Tensor,
    pushed: Tensor,
) -> State:
    import torch

    poses, awake = state.T_world_body, motion.awake[..., None]
    inertia = torch.as_tensor(arrays.inertia).to(poses)
    inverse = torch.as_tensor(arrays.inverse_inertia).to(poses)
    uneven = awake & (torch.as_tensor(arrays.round) == 0)[:, None]
    rate = midway_turn(poses[..., 3:], landing[..., 3:], inertia, inverse, world.dt)
    landing = torch.cat([landing[..., :3], torch.where(uneven, rate, landing[..., 3:])], dim=-1)
    moved = moved_poses(poses, motion.inertia.com, landing, motion.acceleration, torch.zeros_like(poses[..., 0]), world.dt)
    moved = torch.where(awake, moved, poses)
    if action is not None and action.kinematic_target is not None:
        target = action.kinematic_target[:, index].to(poses)
        target = torch.cat([target[..., :3], torch.nn.functional.normalize(target[..., 3:], dim=-1)], dim=-1)
        moved = torch.where(torch.as_tensor(arrays.motion == KINEMATIC)[:, None], target, moved)
    turn = turned_by(poses[..., 3:], moved[..., 3:], rebound[..., 3:], inertia, inverse)
    twist = torch.cat([rebound[..., :3], torch.where(uneven, turn, rebound[..., 3:])], dim=-1)
    slow = (twist[..., :3].norm(dim=-1) < settings.sleep_speed) & (twist[..., 3:].norm(dim=-1) < settings.sleep_turn)
    rested = torch.where(slow & pushed, motion.still + 1, torch.zeros_like(motion.still))
    return replace(state, T_world_body=moved, twist=twist, still=torch.where(motion.awake, rested, motion.still))
