"""What somebody says about a body, against what photos and priors say: fixed mass, friction, bounce, balance.

A `Change` becomes latents that are the same in every future; what it leaves open keeps its spread.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from scene3d.viewer._act_pose import rotation, up_of

if TYPE_CHECKING:
    from dynamics import Latents, World
    from scene3d._scene import Scene

__all__ = ["QUANTITIES", "Change", "Range", "altered", "ranges"]

DRAWS = 512
SHARE = 0.9
SEED = 0


@dataclass(frozen=True)
class Change:
    """Of one body; None leaves a quantity as it is."""

    mass: float | None = None
    """[kg]"""
    friction: float | None = None
    """Coulomb coefficient."""
    restitution: float | None = None
    """0 to 1."""
    balance: float | None = None
    """How far its centre of mass lies above where it was thought to be, as it stood in the photos [m]."""

    def words(self, name: str) -> str:
        """E.g. ``mug: mass 0.8 kg, friction 0.2``; empty when nothing is changed."""
        parts = {"mass": " kg", "friction": "", "restitution": "", "balance": " m"}
        said = [f"{k} {v:.3g}{parts[k]}" for k in QUANTITIES if (v := getattr(self, k)) is not None]
        return f"{name}: {', '.join(said)}" if said else ""


QUANTITIES = tuple(field.name for field in fields(Change))


@dataclass(frozen=True)
class Range:
    """What is known of a quantity without changes."""

    median: float
    low: float
    """90 % lie between this..."""
    high: float
    """...and this."""


def altered(scene: Scene, world: World, latents: Latents, changes: Mapping[int, Change]) -> Latents:
    """Latents of B futures in which the bodies that are changed have the same values everywhere.

    Args:
        scene: For how bodies stood in the photos.
        world: Its world.
        latents: As they were drawn.
        changes: By body.
    """
    mass_scale, com = latents.mass_scale.clone(), latents.com_offset.clone()
    friction, restitution = latents.friction.clone(), latents.restitution.clone()
    for index, change in changes.items():
        if change.mass is not None:
            mass_scale[:, index] = change.mass / world.bodies[index].mass
        if change.friction is not None:
            friction[:, index] = change.friction
        if change.restitution is not None:
            restitution[:, index] = change.restitution
        if change.balance is not None:
            up = rotation(scene.objects[index].T_world_body[3:]).T @ up_of(world)
            com[:, index] = com.new_tensor(change.balance * up)
    return replace(latents, mass_scale=mass_scale, com_offset=com, friction=friction, restitution=restitution)


def ranges(scene: Scene, world: World, index: int, posterior: Path | None) -> dict[str, Range]:
    """What priors, or what recordings told, say of each of `QUANTITIES` of a body.

    Args:
        scene: For how it stood in the photos.
        world: Its world.
        index: The body.
        posterior: File of `scene3d identify`; None for the materials' priors.

    Raises:
        FileFormatError: The file is damaged.
    """
    from dynamics import Latents

    if posterior is None:
        drawn = Latents.sample(world, DRAWS, seed=SEED)
    else:
        from dynamics._posterior import Posterior

        drawn = Posterior.load(posterior).latents(world, DRAWS, SEED)
    up = rotation(scene.objects[index].T_world_body[3:]).T @ up_of(world)
    draws = {
        "mass": drawn.mass_scale[:, index].double().numpy() * world.bodies[index].mass,
        "friction": drawn.friction[:, index].double().numpy(),
        "restitution": drawn.restitution[:, index].double().numpy(),
        "balance": drawn.com_offset[:, index].double().numpy() @ up,
    }
    ends = ((1 - SHARE) / 2, (1 + SHARE) / 2)
    # The first draw has the medians.
    return {name: Range(float(x[0]), *(float(q) for q in np.quantile(x, ends))) for name, x in draws.items()}
