# pyright: basic
"""Physics residuals in plain torch: the twin of the Warp kernels, in any precision, and the place of the formulas.

What a step claims to have done is held against mechanics: B worlds with C contacts and nb bodies in, one dimensionless
value per contact or per body out, each zero or above (but for the change of energy) and zero where mechanics is obeyed.
Lengths are in gyration radii l, speeds in sqrt(g l), impulses in m sqrt(g l), as for the contact network.

Symbols: M masses, v velocities before and v+ after the step, p the impulses of contacts on bodies a with normal part
p_n and friction p_t, J what maps v to the relative velocity u of contacts, phi+ the gaps after the step, dt its length.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dynamics._contact_features import scales
from dynamics._contact_rows import relative_velocity
from dynamics._integrate import turn_between
from dynamics.poses import multiply, rotation_from_wxyz

if TYPE_CHECKING:
    from torch import Tensor

    from dynamics._transition import Transition

__all__ = [
    "ResidualUnits",
    "carried_gap",
    "complementarity",
    "cone",
    "dissipation",
    "energy",
    "kinematics",
    "newton_euler",
    "penetration",
    "residual_units",
]

TINY = 1e-30
"""Under square roots, so that their derivatives at zero are finite."""


@dataclass(frozen=True, eq=False)
class ResidualUnits:
    """What makes residuals dimensionless; constants, without gradients."""

    mass: Tensor
    """Of each body, 0 for those that are not judged [kg], shape (B, nb)."""
    body_energy: Tensor
    """m g l of each body, 1 for those that are not judged [J], shape (B, nb)."""
    body_square: Tensor
    """m l^2 of each body, likewise [kg m^2], shape (B, nb)."""
    length: Tensor
    """Gyration radius of the smaller body that moves [m], shape (B, C)."""
    speed: Tensor
    """sqrt(g l) [m/s], shape (B, C)."""
    impulse: Tensor
    """m sqrt(g l) with the reduced mass m of the pair [N s], shape (B, C)."""


def residual_units(transition: Transition) -> ResidualUnits:
    """The units of a step. Without gravity, that of the Earth sets them."""
    import torch

    inertia = transition.inertia
    g = sum(part * part for part in transition.gravity) ** 0.5 or 9.81
    with torch.no_grad():
        moves = inertia.inverse_mass > 0
        one = torch.ones_like(inertia.inverse_mass)
        mass = torch.where(moves, 1 / torch.where(moves, inertia.inverse_mass, one), torch.zeros_like(one))
        square = torch.where(moves, inertia.inertia.diagonal(dim1=-2, dim2=-1).sum(-1) / 3, one)
        length = (square / torch.where(moves, mass, one)).sqrt()
        units = scales(transition.contacts, inertia, g)
        return ResidualUnits(
            mass,
            torch.where(moves, mass * g * length, one),
            square,
            units.length,
            units.speed,
            units.mass * units.speed,
        )


def carried_gap(transition: Transition) -> Tensor:
    """Gaps after the step, phi+, if each contact point rode on both bodies, shape (B, C) [m].

    Normals are held, so this is exact to first order in how far bodies turn; it has gradients with respect to poses.
    """
    contacts = transition.contacts

    def after(body: Tensor) -> Tensor:
        index = body.long()[..., None].expand(-1, -1, 7)
        old, new = transition.T_world_body.gather(1, index), transition.T_world_body_after.gather(1, index)
        return _carried(contacts.point, old, new)

    apart = after(contacts.body_a) - after(contacts.body_b)
    return contacts.gap + (contacts.normal * apart).sum(-1)


def complementarity(transition: Transition, gap_after: Tensor, units: ResidualUnits) -> Tensor:
    """psi(p_n, phi+ / dt)^2 with psi(a, b) = a + b - sqrt(a^2 + b^2), shape (B, C).

    psi is zero exactly where a >= 0, b >= 0 and a b = 0: surfaces press or part, never both [Fischer 1992, "A special
    Newton-type optimization method"]. Overlaps up to `Transition.slop` count as touching.
    """
    gap = _without_slop(gap_after, transition.slop)
    a = (transition.impulse * transition.contacts.normal).sum(-1) / units.impulse
    b = gap / (units.speed * transition.dt)
    fb = a + b - (a * a + b * b + TINY).sqrt()
    return fb * fb


def cone(transition: Transition, units: ResidualUnits) -> Tensor:
    """max(0, |p_t| - mu p_n)^2 + max(0, -p_n)^2: Coulomb's cone, and surfaces do not pull; shape (B, C)."""
    pressed, along = _split(transition)
    over = (_length(along) - transition.friction * pressed.clamp_min(0.0)).clamp_min(0.0) / units.impulse
    pulled = (-pressed).clamp_min(0.0) / units.impulse
    return over * over + pulled * pulled


def dissipation(transition: Transition, units: ResidualUnits) -> Tensor:
    """max(mu p_n, |p_t|) |u_t+| + p_t . u_t+, shape (B, C).

    Zero where nothing slips, and where friction is at the cone and opposes the slip: the principle of maximum
    dissipation [Moreau 1988, "Unilateral contact and dry friction in finite freedom dynamics"], in the form of the loss
    of Bianchini, Halm, Posa 2023, "Simultaneous Learning of Contact and Continuous Dynamics", with |p_t| in place of
    mu p_n outside the cone, where that would be negative.
    """
    import torch

    normal = transition.contacts.normal
    u = relative_velocity(transition.contacts, transition.inertia, transition.twist_after)
    u = u - (u * normal).sum(-1, keepdim=True) * normal
    pressed, along = _split(transition)
    most = torch.maximum(transition.friction * pressed, _length(along))
    return (most * _length(u) + (along * u).sum(-1)) / (units.impulse * units.speed)


def penetration(transition: Transition, gap_after: Tensor, units: ResidualUnits) -> Tensor:
    """(max(0, -phi+ - slop) / l)^2, shape (B, C)."""
    deep = (-gap_after - transition.slop).clamp_min(0.0) / units.length
    return deep * deep


def newton_euler(transition: Transition, units: ResidualUnits) -> Tensor:
    """What no impulse explains of the change of momentum: r . M^-1 r / (m g l), shape (B, nb).

    r = M (v+ - v) - J^T p - f dt; for turning, the angular momentum I omega about the centre of mass at both ends, so
    that a body that tumbles freely has none [the balance of impulses of Stewart, Trinkle 1996, "An implicit
    time-stepping scheme for rigid body dynamics with inelastic collisions and Coulomb friction"; the norm is that of
    Pfrommer, Halm, Posa 2020, "ContactNets", arXiv 2009.11193]. It is the square of a speed in units of sqrt(g l).
    """
    import torch

    contacts, inertia, dt = transition.contacts, transition.inertia, transition.dt
    impulse = transition.impulse * contacts.used[..., None]
    total = torch.zeros_like(transition.twist)
    for body, sign in ((contacts.body_a, 1.0), (contacts.body_b, -1.0)):
        index = body.long()[..., None]
        arm = contacts.point - inertia.com.gather(1, index.expand(-1, -1, 3))
        push = torch.cat([impulse, torch.linalg.cross(arm, impulse)], dim=-1) * sign
        total = total.scatter_add(1, index.expand(-1, -1, 6), push)
    gravity = transition.twist.new_tensor(transition.gravity)
    if transition.wrench is not None:
        total = total + transition.wrench.to(total) * dt
    change = transition.twist_after - transition.twist
    y = units.mass[..., None] * (change[..., :3] - gravity * dt) - total[..., :3]
    before = _times(inertia.inertia, transition.twist[..., 3:])
    z = _times(_turned(transition), transition.twist_after[..., 3:]) - before - total[..., 3:]
    missed = (y * y).sum(-1) * inertia.inverse_mass + (z * _times(inertia.inverse_inertia, z)).sum(-1)
    return torch.where(units.mass > 0, missed / units.body_energy, torch.zeros_like(missed))


def energy(transition: Transition, units: ResidualUnits) -> Tensor:
    """Change of each body's kinetic and potential energy [J], shape (B, nb)."""
    import torch

    inertia = transition.inertia
    before, after = transition.twist, transition.twist_after
    rise = _carried(inertia.com, transition.T_world_body, transition.T_world_body_after) - inertia.com
    linear = units.mass * ((after[..., :3] ** 2).sum(-1) - (before[..., :3] ** 2).sum(-1))
    spin = (after[..., 3:] * _times(_turned(transition), after[..., 3:])).sum(-1)
    spin = spin - (before[..., 3:] * _times(inertia.inertia, before[..., 3:])).sum(-1)
    height = units.mass * (rise @ rise.new_tensor(transition.gravity))
    return torch.where(units.mass > 0, 0.5 * (linear + spin) - height, torch.zeros_like(linear))


def kinematics(transition: Transition, units: ResidualUnits) -> Tensor:
    """Square distance of the motion q+ - q from what velocities allow, over m l^2, shape (B, nb).

    Velocities allow every motion dt ((1 - s) v + s v+) with 0 <= s <= 1: explicit and implicit Euler, the mean of both
    (which is exact for a parabola), and an impact anywhere within the step. The norm is that of the masses.
    """
    import torch

    before, after = transition.T_world_body, transition.T_world_body_after
    moved = _carried(transition.inertia.com, before, after) - transition.inertia.com
    motion = torch.cat([moved, turn_between(before[..., 3:], after[..., 3:])], dim=-1)
    x = motion - transition.dt * transition.twist
    d = transition.dt * (transition.twist_after - transition.twist)

    def inner(a: Tensor, b: Tensor) -> Tensor:
        spin = (a[..., 3:] * _times(transition.inertia.inertia, b[..., 3:])).sum(-1)
        return units.mass * (a[..., :3] * b[..., :3]).sum(-1) + spin

    share = (inner(x, d) / (inner(d, d) + TINY)).clamp(0.0, 1.0)
    x = x - share[..., None] * d
    return torch.where(units.mass > 0, inner(x, x) / units.body_square, torch.zeros_like(share))


def _carried(point: Tensor, before: Tensor, after: Tensor) -> Tensor:
    """Where points (..., 3) of bodies are after these have moved from one pose to another, both (..., 7)."""
    turn = rotation_from_wxyz(after[..., 3:]) @ rotation_from_wxyz(before[..., 3:]).transpose(-1, -2)
    return after[..., :3] + _times(turn, point - before[..., :3])


def _turned(transition: Transition) -> Tensor:
    """Inertia at the poses after, (B, nb, 3, 3)."""
    conjugate = transition.T_world_body[..., 3:] * transition.twist.new_tensor([1.0, -1.0, -1.0, -1.0])
    R = rotation_from_wxyz(multiply(transition.T_world_body_after[..., 3:], conjugate))
    return R @ transition.inertia.inertia @ R.transpose(-1, -2)


def _split(transition: Transition) -> tuple[Tensor, Tensor]:
    """Normal impulses (B, C) and the rest (B, C, 3)."""
    normal = transition.contacts.normal
    pressed = (transition.impulse * normal).sum(-1)
    return pressed, transition.impulse - pressed[..., None] * normal


def _without_slop(gap: Tensor, slop: float) -> Tensor:
    import torch

    return torch.maximum(gap, (gap + slop).clamp_max(0.0))


def _times(matrix: Tensor, vector: Tensor) -> Tensor:
    return (matrix @ vector[..., None])[..., 0]


def _length(vector: Tensor) -> Tensor:
    return ((vector * vector).sum(-1) + TINY).sqrt()
