"""Rebounds that would make energy are weakened until they do not.

Newton's law of restitution, contact by contact, makes energy where several contacts or friction act at once. The
velocities that it asks for and those of the inelastic solution are both reached by impulses within the friction cones,
and so is every mixture of the two: the one is taken that has just the energy that there was, and what forces added on
the way. Kinetic energy is that after the step's turn, under which angular momentum stays.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dynamics._world_arrays import KINEMATIC, world_arrays
from dynamics.poses import rotation_from_wxyz

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from dynamics._free_motion import FreeMotion
    from dynamics._state import Latents
    from dynamics._world import World

__all__ = ["keep_energy"]

LEAST = 1e-6
"""Gains smaller than this share of the kinetic energy are rounding."""


def keep_energy(
    world: World,
    latents: Latents,
    motion: FreeMotion,
    landing: Tensor,
    rebound: Tensor,
    wxyz: Tensor,
    bounces: Tensor,
) -> Callable[[Tensor], Tensor] | None:
    """What mends velocities after rebound, given those of the inelastic solution (B, nb, 6); None if nothing gained.

    Args:
        world: Bodies.
        latents: Their masses.
        motion: Before contacts.
        landing: Velocities that moved the bodies, shape (B, nb, 6).
        rebound: Velocities after rebound, shape (B, nb, 6).
        wxyz: Orientations after the step, shape (B, nb, 4).
        bounces: Which contacts rebound, bool, shape (B, C). Worlds in which none does are left alone, and those in
            which a kinematic body moves, since it does work.
    """
    import torch

    arrays = world_arrays(world)
    inertia = motion.inertia.inertia
    scale = latents.mass_scale.to(rebound)
    mass = torch.as_tensor(arrays.mass).to(rebound) * scale
    R = rotation_from_wxyz(wxyz)
    inverse = R @ torch.as_tensor(arrays.inverse_inertia).to(rebound) @ R.transpose(-1, -2) / scale[..., None, None]
    uneven = torch.as_tensor(arrays.round == 0)

    def product(a: Tensor, b: Tensor, *, turned: bool) -> Tensor:
        first, second = ((inertia @ part[..., 3:, None])[..., 0] for part in (a, b))
        spin = (a[..., 3:] * second).sum(-1)
        if turned:
            spin = torch.where(uneven, (first * (inverse @ second[..., None])[..., 0]).sum(-1), spin)
        return (((a[..., :3] * b[..., :3]).sum(-1) * mass + spin) * motion.awake).sum(-1)

    size = 0.5 * product(rebound, rebound, turned=True)
    allowed = 0.5 * product(motion.twist, motion.twist, turned=False)
    allowed = allowed + product(motion.free - motion.twist, landing, turned=False)
    driven = ((motion.twist != 0).any(-1) & torch.as_tensor(arrays.motion == KINEMATIC)).any(-1)
    gains = bounces.any(-1) & ~driven & (size - allowed > LEAST * size)
    if not bool(gains.any()):
        return None

    def mended(flat: Tensor) -> Tensor:
        change = rebound - flat
        square, slope = 0.5 * product(change, change, turned=True), product(flat, change, turned=True)
        rest = 0.5 * product(flat, flat, turned=True) - allowed
        root = (slope * slope - 4 * square * rest).clamp_min(1e-30).sqrt()
        share = torch.where((rest < 0) & (square > 0), (root - slope) / (2 * square.clamp_min(1e-30)), 0.0).clamp(0, 1)
        share = torch.where(gains, share, torch.ones_like(share))[:, None, None]
        return flat + change * share

    return mended
