# pyright: basic
"""Contacts -> rows for the solver: one that keeps surfaces apart and two of friction each.

The normal row asks for the velocity with which the gap closes exactly at the end of the step; an impact faster than
`ContactSettings.rest_speed` asks for its share of rebound instead; an overlap asks for a part of it to be undone, at a
bounded speed. `landing_targets` and `rebound_targets` hold the two apart: the step moves bodies with the solution of
the one and leaves them with the velocities of the other, so that neither recovery nor rebound makes energy.
Residuals of the contact network enter here: on the logarithm of friction, on the logit of restitution, on the gap.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dynamics._rows import FRICTION, LIMITED, Rows

if TYPE_CHECKING:
    from torch import Tensor

    from dynamics._contacts import Contacts
    from dynamics._inertia import Inertia

__all__ = [
    "ContactSettings",
    "contact_frames",
    "contact_rows",
    "is_impact",
    "landing_targets",
    "rebound_targets",
    "relative_velocity",
    "with_normal_targets",
]


@dataclass(frozen=True)
class ContactSettings:
    """Constants of the contact model that no body carries."""

    slop: float = 0.0005
    """Overlap that is left alone, so that resting contacts persist [m]."""
    recovery: float = 0.2
    """Share of the rest of an overlap that is undone in a step."""
    recovery_speed: float = 1.0
    """The fastest that overlap is undone [m/s]."""
    rest_speed: float = 0.1
    """Slower impacts do not rebound [m/s]."""
    margin: float = 0.002
    """Gaps under this are contacts, now or at the end of the step [m]."""
    per_direction: int = 8
    """The most contacts of a pair of bodies in each direction."""


def relative_velocity(contacts: Contacts, inertia: Inertia, twist: Tensor) -> Tensor:
    """Velocity of a's point over b's [m/s], world axes, shape (B, C, 3)."""
    import torch

    def of(body: Tensor) -> Tensor:
        index = body.long()[..., None]
        velocity = twist.gather(1, index.expand(-1, -1, 6))
        arm = contacts.point - inertia.com.gather(1, index.expand(-1, -1, 3))
        return velocity[..., :3] + torch.linalg.cross(velocity[..., 3:], arm)

    return of(contacts.body_a) - of(contacts.body_b)


def contact_frames(contacts: Contacts, velocity: Tensor) -> Tensor:
    """Axes of each contact as rows: slip direction, binormal, normal; shape (B, C, 3, 3).

    The slip direction is that of the velocity (B, C, 3) along the surface; where nothing slips, any direction does.
    """
    import torch

    n = contacts.normal
    slip = velocity - (velocity * n).sum(-1, keepdim=True) * n
    speed = slip.norm(dim=-1, keepdim=True)
    flattest = torch.nn.functional.one_hot(n.abs().argmin(-1), 3).to(n)
    other = torch.nn.functional.normalize(torch.linalg.cross(n, flattest), dim=-1)
    first = torch.where(speed > 1e-6, slip / speed.clamp_min(1e-9), other)
    return torch.stack([first, torch.linalg.cross(n, first), n], dim=-2)


def contact_rows(
    contacts: Contacts,
    inertia: Inertia,
    velocity: Tensor,
    friction: Tensor,
    restitution: Tensor,
    dt: float,
    settings: ContactSettings,
    *,
    frames: Tensor | None = None,
    gap_residual: Tensor | None = None,
) -> Rows:
    """The rows of contacts, three each: normal, slip, binormal.

    Normal rows ask for the faster of landing and rebound, for callers that solve once.

    Args:
        contacts: C contacts in each of B worlds.
        inertia: Of the bodies at the same moment.
        velocity: Relative velocity before contact, with the forces of the step applied (B, C, 3) [m/s].
        friction: Coulomb coefficient of each contact, shape (B, C).
        restitution: Of each contact, 0 to 1, shape (B, C).
        dt: Length of the step [s].
        settings: Constants of the model.
        frames: As from `contact_frames`, made when not given.
        gap_residual: Added to the gaps [m], shape (B, C).
    """
    import torch

    frames = contact_frames(contacts, velocity) if frames is None else frames
    batch, most = contacts.gap.shape
    axes = frames[:, :, [2, 0, 1]]
    blocks = [
        _blocks(contacts.body_a, contacts, inertia, axes, 1.0),
        _blocks(contacts.body_b, contacts, inertia, axes, -1.0),
    ]
    J = torch.cat([blocks[0][0], blocks[1][0]], dim=-1).reshape(batch, 3 * most, 12)
    W = torch.cat([blocks[0][1], blocks[1][1]], dim=-1).reshape(batch, 3 * most, 12)
    gap = contacts.gap if gap_residual is None else contacts.gap + gap_residual
    approach = (velocity * contacts.normal).sum(-1)
    landing = landing_targets(gap, dt, settings)
    wanted = torch.maximum(landing, rebound_targets(gap, approach, approach, restitution, dt, settings))
    zero = torch.zeros_like(wanted)
    device = gap.device
    row = torch.arange(3 * most, device=device, dtype=torch.int32)
    kind = torch.tensor([LIMITED, FRICTION, -1], device=device, dtype=torch.int32).repeat(most)
    return Rows(
        count=3 * contacts.count,
        kind=kind.expand(batch, -1).contiguous(),
        body_a=contacts.body_a.repeat_interleave(3, dim=1),
        body_b=contacts.body_b.repeat_interleave(3, dim=1),
        J=J,
        W=W,
        target=torch.stack([wanted, zero, zero], dim=-1).reshape(batch, -1),
        low=torch.zeros(batch, 3 * most, dtype=J.dtype, device=device),
        high=torch.full((batch, 3 * most), torch.finfo(torch.float32).max, dtype=J.dtype, device=device),
        normal=(row // 3 * 3).expand(batch, -1).contiguous(),
        mu=friction.repeat_interleave(3, dim=1),
        softness=torch.zeros(batch, 3 * most, dtype=J.dtype, device=device),
    )


def landing_targets(gap: Tensor, dt: float, settings: ContactSettings) -> Tensor:
    """Velocities (B, C) along the normal that close gaps (B, C) by the end of the step and undo a part of overlaps."""
    import torch

    overlap = (-(gap + settings.slop)).clamp_min(0.0)
    undone = (settings.recovery * overlap / dt).clamp_max(settings.recovery_speed)
    return torch.where(gap > 0, -gap / dt, undone)


def rebound_targets(
    gap: Tensor, before: Tensor, approach: Tensor, restitution: Tensor, dt: float, settings: ContactSettings
) -> Tensor:
    """Velocities (B, C) along the normal after contact: Newton's rebound for impacts, else at rest or closing a gap.

    Args:
        gap: Of each contact [m], shape (B, C).
        before: Velocity along the normal at the start of the step, shape (B, C).
        approach: The same at its end if there were no contact, shape (B, C).
        restitution: Speed after over speed at impact, shape (B, C).
        dt: Length of the step [s].
        settings: Constants of the model.

    The speed at impact follows from constant acceleration over the gap, so that a ball with restitution 1 comes back
    to the height that it fell from.
    """
    import torch

    gained = 2 * (before - approach) / dt * gap.clamp_min(0.0)
    squared = before * before + gained
    speed = torch.where(squared > 0, squared, torch.ones_like(squared)).sqrt() * (squared > 0)
    impact = is_impact(gap, before, approach, dt, settings)
    rebound = torch.where(impact, restitution * speed, torch.zeros_like(gap))
    return torch.where(_meets(gap, before, approach, dt), rebound, -gap / dt)


def is_impact(gap: Tensor, before: Tensor, approach: Tensor, dt: float, settings: ContactSettings) -> Tensor:
    """Which contacts (B, C) meet within the step, too fast to come to rest; arguments as of `rebound_targets`."""
    return _meets(gap, before, approach, dt) & (approach < -settings.rest_speed)


def _meets(gap: Tensor, before: Tensor, approach: Tensor, dt: float) -> Tensor:
    return (gap <= 0) | (gap + 0.5 * (before + approach) * dt < 0)


def with_normal_targets(rows: Rows, targets: Tensor) -> Rows:
    """The same rows of contacts with other targets (B, C) in their normal rows."""
    import torch

    zero = torch.zeros_like(targets)
    return replace(rows, target=torch.stack([targets, zero, zero], dim=-1).reshape(rows.target.shape))


def _blocks(body: Tensor, contacts: Contacts, inertia: Inertia, axes: Tensor, sign: float) -> tuple[Tensor, Tensor]:
    """J and M^-1 J^T of one side of each contact, both (B, C, 3, 6)."""
    import torch

    index = body.long()[..., None]
    arm = contacts.point - inertia.com.gather(1, index.expand(-1, -1, 3))
    turning = sign * torch.linalg.cross(arm[:, :, None].expand_as(axes), axes)
    inverse_mass = inertia.inverse_mass.gather(1, index[..., 0])[..., None, None]
    inverse_inertia = inertia.inverse_inertia.gather(1, index[..., None].expand(-1, -1, 3, 3))
    J = torch.cat([sign * axes, turning], dim=-1)
    W = torch.cat([sign * axes * inverse_mass, turning @ inverse_inertia], dim=-1)
    return J, W
