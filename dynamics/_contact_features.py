"""What the contact network sees of each contact: numbers without units, in the contact's own frame.

The frame is slip direction, binormal, normal, so nothing depends on where the world's axes point. Lengths are divided
by the gyration radius l of the smaller moving body, velocities by sqrt(g l), impulses by m sqrt(g l) with the reduced
mass m of the pair: one network serves bodies of all sizes. Features of the state before contact are followed, for the
second network, by the solver's impulses and the slip that they leave.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from dynamics._contacts import Contacts
    from dynamics._inertia import Inertia

__all__ = [
    "AFTER",
    "BEFORE",
    "MIRROR_AFTER",
    "MIRROR_BEFORE",
    "Scales",
    "after_features",
    "before_features",
    "in_frame",
    "scales",
]

NEAR = 0.2
"""Gaps are measured in this share of l: what matters happens close to the surface."""
_SIDE = ("arm_s", "arm_b", "arm_n", "velocity_s", "velocity_b", "velocity_n", "spin_s", "spin_b", "spin_n")
_SIDE_MIRROR = (1.0, -1.0, 1.0, 1.0, -1.0, 1.0, -1.0, 1.0, -1.0)
_PAIR = ("gap", "gap_after", "overlaps", "slip", "approach", "log_slip", "log_approach", "share_a", "share_b", "count")
_PATCH = ("near_s", "near_b", "wide_s", "wide_b")
BEFORE = (*_PAIR, *_PATCH, *(f"a_{name}" for name in _SIDE), *(f"b_{name}" for name in _SIDE))
"""Names of the features before contact; the last axis of `before_features`."""
AFTER = ("impulse_s", "impulse_b", "impulse_n", "left_s", "left_b", "left_n")
"""Names of what `after_features` adds."""
MIRROR_BEFORE = (*(1.0,) * len(_PAIR), 1.0, -1.0, 1.0, -1.0, *_SIDE_MIRROR, *_SIDE_MIRROR)
"""Sign of each feature under reflection in the plane of slip and normal; spins are axial vectors."""
MIRROR_AFTER = (1.0, -1.0, 1.0, 1.0, -1.0, 1.0)


@dataclass(frozen=True, eq=False)
class Scales:
    """Units of each contact, shape (B, C) each."""

    length: Tensor
    """Gyration radius of the smaller moving body [m]."""
    speed: Tensor
    """sqrt(g l) [m/s]."""
    mass: Tensor
    """Reduced mass of the pair [kg]."""
    share_a: Tensor
    """Reduced mass over the mass of body a: 1 when b cannot move, 0 when a cannot."""
    share_b: Tensor
    """The same of body b."""


def scales(contacts: Contacts, inertia: Inertia, gravity: Tensor | float) -> Scales:
    """Units of each contact; where neither body moves they are 1."""
    import torch

    moment = inertia.inertia.diagonal(dim1=-2, dim2=-1).sum(-1) / 3
    radius = (moment * inertia.inverse_mass).clamp_min(1e-12).sqrt()
    radius = torch.where(inertia.inverse_mass > 0, radius, torch.full_like(radius, float("inf")))
    a, b = contacts.body_a.long(), contacts.body_b.long()
    inverse_a, inverse_b = inertia.inverse_mass.gather(1, a), inertia.inverse_mass.gather(1, b)
    inverse = inverse_a + inverse_b
    moves = inverse > 0
    one = torch.ones_like(inverse)
    length = torch.where(moves, torch.minimum(radius.gather(1, a), radius.gather(1, b)), one)
    mass = 1 / torch.where(moves, inverse, one)
    return Scales(length, (gravity * length).sqrt(), mass, inverse_a * mass, inverse_b * mass)


def before_features(
    contacts: Contacts,
    inertia: Inertia,
    twist: Tensor,
    relative: Tensor,
    frames: Tensor,
    patch: Tensor,
    units: Scales,
    dt: float,
) -> Tensor:
    """Features of the state before contact, shape (B, C, len(BEFORE)).

    Args:
        contacts: C contacts in each of B worlds.
        inertia: Of the bodies.
        twist: Velocities with the forces of the step applied, shape (B, nb, 6).
        relative: Velocity of a's contact point over b's, shape (B, C, 3) [m/s].
        frames: Rows slip direction, binormal, normal, shape (B, C, 3, 3).
        patch: Where surface points lie that are nearly as close as the contact, on the average, less the contact:
            for a narrow and a wide layer, shape (B, C, 2, 3) [m].
        units: From `scales`.
        dt: Length of the step [s].
    """
    import torch

    size, u = units.length, units.speed
    local = in_frame(frames, relative) / u[..., None]
    slip, approach = local[..., 0], local[..., 2]
    gap = contacts.gap / (NEAR * size)
    nearby = (in_frame(frames[:, :, None], patch) / size[..., None, None])[..., :2].flatten(-2)
    a, b = contacts.body_a, contacts.body_b
    count = _count(contacts, inertia)
    pair = [
        gap.clamp(-1.0, 1.5),
        (gap + approach * u * dt / (NEAR * size)).clamp(-2.0, 2.0),
        (gap < 0).to(gap),
        slip,
        approach,
        torch.log1p(10 * slip.clamp_min(0)) / 3,
        torch.log1p(10 * (-approach).clamp_min(0)) / 3,
        units.share_a,
        units.share_b,
        (units.share_a * count.gather(1, a.long()) + units.share_b * count.gather(1, b.long())) / 4,
    ]
    sides = [
        _side(a, b, contacts, inertia, twist, frames, units, units.share_a),
        _side(b, a, contacts, inertia, twist, frames, units, units.share_b),
    ]
    return torch.cat([torch.stack(pair, dim=-1), nearby, *sides], dim=-1)


def after_features(impulses: Tensor, relative: Tensor, frames: Tensor, units: Scales) -> Tensor:
    """What the solver did, shape (B, C, len(AFTER)).

    Args:
        impulses: Along slip direction, binormal, normal, shape (B, C, 3) [N s].
        relative: Velocity of a's contact point over b's that the solver left, shape (B, C, 3) [m/s].
        frames: Rows slip direction, binormal, normal, shape (B, C, 3, 3).
        units: From `scales`.
    """
    import torch

    left = in_frame(frames, relative) / units.speed[..., None]
    return torch.cat([impulses / (units.mass * units.speed)[..., None], left], dim=-1)


def in_frame(frames: Tensor, vectors: Tensor) -> Tensor:
    """Components (..., 3) of vectors along the rows of frames (..., 3, 3); matmul is slow for matrices so small."""
    return (frames * vectors[..., None, :]).sum(-1)


def _count(contacts: Contacts, inertia: Inertia) -> Tensor:
    """How many contacts each body has, (B, nb)."""
    used = contacts.used.to(contacts.gap)
    count = contacts.gap.new_zeros(inertia.inverse_mass.shape)
    return count.scatter_add(1, contacts.body_a.long(), used).scatter_add(1, contacts.body_b.long(), used)


def _side(
    body: Tensor,
    other: Tensor,
    contacts: Contacts,
    inertia: Inertia,
    twist: Tensor,
    frames: Tensor,
    units: Scales,
    share: Tensor,
) -> Tensor:
    """Arm, velocity over the other body and spin of one side, zero for a side that cannot move, (B, C, 9)."""
    import torch

    def of(values: Tensor, index: Tensor) -> Tensor:
        return values.gather(1, index.long()[..., None].expand(-1, -1, values.shape[-1]))

    arm = (contacts.point - of(inertia.com, body)) / units.length[..., None]
    velocity = (of(twist[..., :3], body) - of(twist[..., :3], other)) / units.speed[..., None]
    spin = of(twist[..., 3:], body) * (units.length / units.speed)[..., None]
    vectors = in_frame(frames[:, :, None], torch.stack([arm, velocity, spin], dim=-2))
    return vectors.flatten(-2) * (share > 0)[..., None]
