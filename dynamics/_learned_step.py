# pyright: basic
"""One step of contact dynamics with the contact network inside: velocities and poses before -> after.

1. Gravity acts; the contacts of the step are given, found from poses and these velocities.
2. The network's residuals enter the rows: friction, restitution, gap, and the point where the impulse acts (surfaces
   yield in an impact, and the centre of pressure is not the deepest point).
3. Projected Gauss-Seidel gives impulses; the network adds its own, equal and opposite at the same point of both bodies,
   where the solver found pressure. One factor per world shrinks what it adds until kinetic energy is not above what it
   was before contact, in closed form.
4. Bodies move with the velocity before impact until they touch, and with that after for the rest of the step. Without
   it, what strikes at 1 m/s stops up to 7 mm above the table at 148 steps a second.

Without a network, with zero weights, and outside the support of the training data this is plain physics.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from dynamics._contact_features import after_features, before_features, scales
from dynamics._contact_network import impulse_residuals, solver_residuals
from dynamics._contact_rows import ContactSettings, contact_frames, contact_rows, relative_velocity, with_normal_targets
from dynamics._integrate import moved_poses
from dynamics._solve import solve_rows
from dynamics._solve_warp import solve_rows_warp

if TYPE_CHECKING:
    from torch import Tensor

    from dynamics._contact_features import Scales
    from dynamics._contact_network import ContactNetwork
    from dynamics._contact_support import ContactSupport
    from dynamics._contacts import Contacts
    from dynamics._inertia import Inertia

__all__ = ["LearnedStep", "Moved", "Surface", "learned_step", "with_gravity"]

PRESSED = 0.02
"""A normal impulse of this share of m sqrt(g l) opens half of the gate."""


@dataclass(frozen=True, eq=False)
class Surface:
    """How contacts behave, before the network."""

    friction: Tensor
    """Coulomb coefficient, shape (B, C)."""
    restitution: Tensor
    """0 to 1, shape (B, C)."""
    patch: Tensor
    """As for `before_features`, shape (B, C, 2, 3) [m]."""
    recovery: Tensor | float = 0.1
    """Share of an overlap that is undone in a step."""


@dataclass(frozen=True, eq=False)
class LearnedStep:
    """What does not change from step to step."""

    dt: float
    """Length of a step [s]."""
    gravity: Tensor | float = 9.81
    """Downwards [m/s^2], one for all or of each world, shape (B, 1)."""
    network: ContactNetwork | None = None
    """None is plain physics."""
    support: ContactSupport | None = None
    """Where the network may speak; None lets it speak everywhere."""
    settings: ContactSettings = field(default_factory=ContactSettings)
    """Slop, speed of recovery and of rest; its `recovery` is replaced by the surface's."""
    sweeps: int = 10
    """Gauss-Seidel sweeps."""
    mirrored: Tensor | None = None
    """As in `solver_residuals`."""
    member: Tensor | None = None
    """The same."""
    warp: bool = True
    """Solve by the Warp kernel (float32) instead of its torch twin."""


@dataclass(frozen=True, eq=False)
class Moved:
    """The state after a step, and what happened."""

    T_world_body: Tensor
    """Poses, shape (B, nb, 7)."""
    twist: Tensor
    """Velocities, shape (B, nb, 6)."""
    impulses: Tensor
    """Of each contact on body a, world axes [N s], shape (B, C, 3)."""
    gate: Tensor
    """1 where the network was in its support, 0 where physics spoke alone, shape (B, C)."""


def learned_step(
    step: LearnedStep, T_world_body: Tensor, twist: Tensor, inertia: Inertia, contacts: Contacts, surface: Surface
) -> Moved:
    """One step of B worlds.

    Args:
        step: Constants and network.
        T_world_body: Poses before, shape (B, nb, 7).
        twist: Velocities with gravity's change of this step applied (`with_gravity`), shape (B, nb, 6).
        inertia: At these poses.
        contacts: Of this step.
        surface: Friction and restitution.
    """
    if contacts.gap.shape[1] == 0:
        return _flown(step, T_world_body, twist, inertia, contacts)
    relative = relative_velocity(contacts, inertia, twist)
    frames = contact_frames(contacts, relative).detach()
    units = scales(contacts, inertia, step.gravity)
    used = contacts.used.to(twist)
    solved = _solved(step, twist, inertia, contacts, surface, relative, frames, units)
    after = solved.twist
    if step.network is not None:
        added = _added(step, solved, inertia, contacts, frames, units)
        after, added = _without_energy(twist, after, added, solved.contacts, inertia)
        solved = replace(solved, impulses=solved.impulses + added)
    poses = _moved(step, T_world_body, twist, after, inertia, solved)
    return Moved(poses, after, solved.impulses * used[..., None], solved.gate)


@dataclass(frozen=True, eq=False)
class _Solved:
    twist: Tensor
    features: Tensor | None
    local: Tensor
    """Impulses along slip direction, binormal and normal, (B, C, 3)."""
    impulses: Tensor
    gate: Tensor
    contacts: Contacts
    """With the points where impulses act."""
    delay: Tensor
    """Time until impact [s], of each body, (B, nb)."""


def _solved(
    step: LearnedStep,
    twist: Tensor,
    inertia: Inertia,
    contacts: Contacts,
    surface: Surface,
    relative: Tensor,
    frames: Tensor,
    units: Scales,
) -> _Solved:
    import torch

    friction, restitution, gap = surface.friction, surface.restitution, contacts.gap
    features, gate = None, torch.zeros_like(gap)
    if step.network is not None:
        features = before_features(contacts, inertia, twist, relative, frames, surface.patch, units, step.dt)
        residuals = solver_residuals(step.network, features, contacts, twist.shape[1], step.mirrored, step.member)
        gate = torch.ones_like(gap) if step.support is None else step.support.gate(features, residuals.spread)
        friction = friction * (gate * residuals.log_friction).exp()
        restitution = torch.sigmoid(torch.logit(restitution, eps=1e-4) + gate * residuals.logit_restitution)
        gap = gap + gate * residuals.gap * units.length
        shift = (residuals.shift[..., None] * frames[..., :2, :]).sum(-2) * (gate * units.length)[..., None]
        contacts = replace(contacts, point=contacts.point + shift)
        relative = relative_velocity(contacts, inertia, twist)
    approach = (relative * contacts.normal).sum(-1)
    impact = approach < -step.settings.rest_speed
    rows = contact_rows(contacts, inertia, relative, friction, restitution, step.dt, step.settings, frames=frames)
    rows = with_normal_targets(rows, _targets(step, gap, approach, impact, restitution, surface.recovery))
    after, impulses = (solve_rows_warp if step.warp else solve_rows)(rows, twist, step.sweeps)
    local = impulses.reshape(*gap.shape, 3)[..., [1, 2, 0]]
    waits = impact & (gap > 0) & contacts.used & (local[..., 2] > 0)
    delay = _delay(gap, approach, waits, contacts, twist.shape[1], step.dt)
    world = (local[..., None] * frames).sum(-2)
    return _Solved(after, features, local, world, gate * contacts.used, contacts, delay)


def _targets(
    step: LearnedStep, gap: Tensor, approach: Tensor, impact: Tensor, restitution: Tensor, recovery: Tensor | float
) -> Tensor:
    """Velocities along the normal: rebound for impacts, else gaps are closed and overlaps undone bit by bit."""
    import torch

    settings = step.settings
    undone = (recovery * (-(gap + settings.slop)).clamp_min(0.0) / step.dt).clamp_max(settings.recovery_speed)
    rest = torch.where(gap > 0, -gap / step.dt, undone)
    return torch.where(impact, torch.maximum(rest, -restitution * approach), rest)


def _delay(gap: Tensor, approach: Tensor, waits: Tensor, contacts: Contacts, bodies: int, dt: float) -> Tensor:
    """Time until the first impact of each body, 0 for those without one, (B, nb)."""
    import torch

    wait = torch.where(waits, gap / (-approach).clamp_min(0.05), torch.full_like(gap, float("inf")))
    delay = torch.full((len(gap), bodies), float("inf"), dtype=gap.dtype, device=gap.device)
    for body in (contacts.body_a, contacts.body_b):
        delay = delay.scatter_reduce(1, body.long(), wait, "amin")
    return torch.where(delay.isinf(), torch.zeros_like(delay), delay.clamp(0.0, dt))


def _added(
    step: LearnedStep, solved: _Solved, inertia: Inertia, contacts: Contacts, frames: Tensor, units: Scales
) -> Tensor:
    """The network's impulses on body a, world axes [N s], shape (B, C, 3)."""
    import torch

    assert step.network is not None and solved.features is not None
    left = relative_velocity(solved.contacts, inertia, solved.twist)
    features = torch.cat([solved.features, after_features(solved.local, left, frames, units)], dim=-1)
    wanted = impulse_residuals(step.network, features, contacts, inertia.com.shape[1], step.mirrored, step.member)
    unit = units.mass * units.speed
    pressed = solved.local[..., 2].clamp_min(0.0) / unit
    size = solved.gate * unit * pressed / (pressed + PRESSED)
    return ((wanted * size[..., None])[..., None] * frames).sum(-2)


def _without_energy(
    free: Tensor, solved: Tensor, added: Tensor, contacts: Contacts, inertia: Inertia
) -> tuple[Tensor, Tensor]:
    """Velocities after added impulses, which are shrunk until contact has not made energy.

    With kinetic energy E, change d of the velocities and inner product <,> of the masses, the factor s <= 1 is the root
    of <d,d> s^2 + 2 <d,v> s = max(0, 2 E(free) - 2 E(solved)).
    """
    change = _change(added, contacts, inertia)
    a = _inner(change, change, inertia) + 1e-12
    b = _inner(change, solved, inertia)
    room = (_inner(free, free, inertia) - _inner(solved, solved, inertia)).clamp_min(0.0)
    factor = (((b * b + a * room + 1e-20).sqrt() - b) / a).clamp(0.0, 1.0)[:, None, None]
    return solved + factor * change, factor * added


def _change(impulses: Tensor, contacts: Contacts, inertia: Inertia) -> Tensor:
    """Change of the bodies' velocities by impulses on bodies a at the contact points, shape (B, nb, 6)."""
    import torch

    total = impulses.new_zeros(*inertia.com.shape[:2], 6)
    for body, sign in ((contacts.body_a, 1.0), (contacts.body_b, -1.0)):
        index = body.long()[..., None]
        arm = contacts.point - inertia.com.gather(1, index.expand(-1, -1, 3))
        wrench = torch.cat([impulses, torch.linalg.cross(arm, impulses)], dim=-1) * sign
        total = total.scatter_add(1, index.expand(-1, -1, 6), wrench)
    linear = total[..., :3] * inertia.inverse_mass[..., None]
    return torch.cat([linear, (inertia.inverse_inertia @ total[..., 3:, None])[..., 0]], dim=-1)


def _inner(x: Tensor, y: Tensor, inertia: Inertia) -> Tensor:
    """x^T M y over the bodies that move, shape (B,)."""
    import torch

    moves = inertia.inverse_mass > 0
    mass = torch.where(moves, 1 / torch.where(moves, inertia.inverse_mass, 1.0), 0.0)
    linear = (mass * (x[..., :3] * y[..., :3]).sum(-1)).sum(1)
    return linear + (x[..., 3:] * (inertia.inertia @ y[..., 3:, None])[..., 0]).sum((1, 2))


def _flown(step: LearnedStep, T_world_body: Tensor, twist: Tensor, inertia: Inertia, contacts: Contacts) -> Moved:
    """A step in which nothing touches in any world."""
    import torch

    free = torch.ones_like(inertia.inverse_mass)
    poses = moved_poses(T_world_body, inertia.com, twist, _acceleration(step, twist, inertia), free, step.dt)
    return Moved(poses, twist, contacts.point, contacts.gap)


def _acceleration(step: LearnedStep, twist: Tensor, inertia: Inertia) -> Tensor:
    import torch

    down = torch.zeros_like(twist[..., :3])
    down[..., 2] = -1.0
    gravity = step.gravity
    if not isinstance(gravity, int | float) and gravity.ndim > 0:
        gravity = gravity[..., None]
    return down * gravity * (inertia.inverse_mass > 0)[..., None]


def _moved(
    step: LearnedStep, T_world_body: Tensor, before: Tensor, after: Tensor, inertia: Inertia, solved: _Solved
) -> Tensor:
    import torch

    share = (solved.delay / step.dt)[..., None]
    moving = after + share * (before - after)
    pressed = torch.zeros_like(solved.delay)
    for body in (solved.contacts.body_a, solved.contacts.body_b):
        pressed = pressed.scatter_add(1, body.long(), solved.local[..., 2] * solved.contacts.used)
    free = (pressed <= 1e-9).to(after)
    acceleration = _acceleration(step, after, inertia)
    return moved_poses(T_world_body, inertia.com, moving, acceleration, free, step.dt)


def with_gravity(step: LearnedStep, twist: Tensor, inertia: Inertia) -> Tensor:
    """Velocities at the end of the step if nothing touched, shape (B, nb, 6)."""
    import torch

    change = step.dt * _acceleration(step, twist, inertia)
    return twist + torch.cat([change, torch.zeros_like(change)], dim=-1)
