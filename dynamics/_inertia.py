"""What the solver needs of each body at one moment: where its mass is and how it resists, in the world's axes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dynamics.poses import rotation_from_wxyz, transform_points

if TYPE_CHECKING:
    from torch import Tensor

    from dynamics._state import Latents
    from dynamics._world import World

__all__ = ["Inertia", "inertia_at"]


@dataclass(frozen=True, eq=False)
class Inertia:
    """Masses of nb bodies in B worlds; static and kinematic bodies have infinite ones."""

    com: Tensor
    """Centres of mass in the world [m], shape (B, nb, 3)."""
    inverse_mass: Tensor
    """[1/kg], shape (B, nb)."""
    inverse_inertia: Tensor
    """About the centre of mass, world axes [1/(kg m^2)], shape (B, nb, 3, 3)."""
    inertia: Tensor
    """The same, not inverted [kg m^2]; zero for bodies that obey no forces, shape (B, nb, 3, 3)."""


def inertia_at(world: World, latents: Latents, T_world_body: Tensor) -> Inertia:
    """Inertia of all bodies at poses (B, nb, 7)."""
    import numpy as np
    import torch

    like = T_world_body
    bodies = world.bodies
    com = torch.as_tensor(np.stack([body.com for body in bodies])).to(like) + latents.com_offset.to(like)
    moving = torch.tensor([body.motion == "dynamic" for body in bodies], device=like.device)
    scale = latents.mass_scale.to(like)
    mass = torch.tensor([body.mass for body in bodies], dtype=torch.float64).to(like) * scale
    local = torch.as_tensor(np.stack([body.inertia for body in bodies])).to(like)
    inverse = torch.as_tensor(np.stack([np.linalg.inv(body.inertia) for body in bodies])).to(like)
    R = rotation_from_wxyz(like[..., 3:])
    gate = moving.to(like)
    turned = R @ (local * scale[..., None, None]) @ R.transpose(-1, -2)
    turned_inverse = R @ (inverse / scale[..., None, None]) @ R.transpose(-1, -2)
    return Inertia(
        com=transform_points(like, com),
        inverse_mass=gate / mass,
        inverse_inertia=turned_inverse * gate[:, None, None],
        inertia=turned * gate[:, None, None],
    )
