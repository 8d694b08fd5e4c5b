# pyright: basic
"""Cans dropped over mugs: how often two engines agree on where a can ends up.

A can falls on a mug whose mouth is wider by a clearance, from some height, off the axis and tilted. It ends in the mug,
on its rim, or beside it. Everything is drawn from one seed, so that two engines see the same drops. The mug is a mesh
with a cavity: ours meets it as a distance grid, MuJoCo as convex parts.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dynamics._body import body_from_mesh
from dynamics._material import find_material
from dynamics._primitive import body_from_plane
from dynamics._triangle_mesh import TriangleMesh
from dynamics._world import World

if TYPE_CHECKING:
    from dynamics._body import Body
    from dynamics._state import State

__all__ = ["CLASSES", "Drops", "can_over_mug", "classes_of", "drops"]

CLASSES = ("in", "rim", "beside")
CAN_RADIUS, CAN_HEIGHT, CAN_MASS = 0.033, 0.115, 0.37
MUG_HEIGHT, WALL, FLOOR, MUG_MASS = 0.095, 0.005, 0.008, 0.4
SECTIONS = 64
FRICTION = 0.3
DEEP = 0.01
"""A can whose end is this far under the rim, and within the wall, is in the mug [m]."""
LOW = 0.004
"""A can whose lowest point is no higher than this stands or lies on the table [m]."""


@dataclass(frozen=True)
class Drops:
    """What differs between drops; B of them."""

    offset: NDArray[np.float64]
    """Of the can's axis from the mug's, at the can's middle [m], shape (B, 2)."""
    tilt: NDArray[np.float64]
    """Of the can's axis [rad], shape (B,)."""
    heading: NDArray[np.float64]
    """Which way it is tilted [rad], shape (B,)."""
    height: NDArray[np.float64]
    """Of the can's lowest point over the rim [m], shape (B,)."""


def drops(count: int, *, seed: int = 0) -> Drops:
    """Offset up to 40 mm and tilt up to 15 degrees in any direction, height 20 to 80 mm, all uniform.

    Fewer drops of a seed are the first of more.
    """
    away, way, tilt, heading, height = np.random.default_rng(seed).random((count, 5)).T
    offset = 0.04 * away[:, None] * np.stack([np.cos(2 * np.pi * way), np.sin(2 * np.pi * way)], axis=1)
    return Drops(offset, np.radians(15 * tilt), 2 * np.pi * heading, 0.02 + 0.06 * height)


def can_over_mug(clearance: float, falls: Drops, *, dt: float = 1 / 240) -> tuple[World, State]:
    """Table, mug and can; the state of every drop at its start.

    Args:
        clearance: Radius of the mug's mouth less that of the can [m].
        falls: The drops.
        dt: Length of a step [s].
    """
    import torch

    from dynamics._state import State

    material = replace(find_material("stoneware"), friction=FRICTION, restitution=0.0)
    inner = CAN_RADIUS + clearance
    outer = inner + WALL
    cup = [(0, 0), (outer, 0), (outer, MUG_HEIGHT), (inner, MUG_HEIGHT), (inner, FLOOR), (0, FLOOR)]
    tin = [(0, 0), (CAN_RADIUS, 0), (CAN_RADIUS, CAN_HEIGHT), (0, CAN_HEIGHT)]
    world = World(
        (
            body_from_plane("table", material),
            _turned("mug", cup, MUG_MASS),
            _turned("can", [(r, z - CAN_HEIGHT / 2) for r, z in tin], CAN_MASS),
        ),
        dt=dt,
    )
    batch = len(falls.tilt)
    poses = torch.zeros(batch, 3, 7)
    poses[..., 3] = 1
    half = 0.5 * falls.tilt
    turn = [np.cos(half), -np.sin(half) * np.sin(falls.heading), np.sin(half) * np.cos(falls.heading), 0 * half]
    lowest = 0.5 * CAN_HEIGHT * np.cos(falls.tilt) + CAN_RADIUS * np.sin(falls.tilt)
    middle = np.column_stack([falls.offset, MUG_HEIGHT + falls.height + lowest])
    poses[:, 2] = torch.tensor(np.column_stack([middle, *turn]), dtype=torch.float32)
    return world, State.at_rest(world, poses)


def classes_of(world: World, poses: NDArray[np.float64]) -> NDArray[np.int64]:
    """Which of `CLASSES` each can is, from poses (B, 3, 7) at rest; the mug may have moved or fallen over."""
    import torch

    from dynamics.poses import compose, invert, transform_points

    given = torch.as_tensor(poses, dtype=torch.float64)
    mouth = float(np.hypot(*np.moveaxis(world.bodies[1].mesh.vertices[:, :2], -1, 0)).max()) - WALL
    ends = torch.tensor([[0.0, 0, -CAN_HEIGHT / 2], [0, 0, CAN_HEIGHT / 2]], dtype=torch.float64)
    seen = transform_points(compose(invert(given[:, 1]), given[:, 2])[:, None], ends)
    within = (seen[..., :2].norm(dim=-1) < mouth) & (seen[..., 2] > 0) & (seen[..., 2] < MUG_HEIGHT - DEEP)
    rim = torch.tensor(world.bodies[2].mesh.vertices, dtype=torch.float64)
    low = transform_points(given[:, 2, None], rim)[..., 2].amin(dim=-1) < LOW
    return torch.where(within.any(-1), 0, torch.where(low, 2, 1)).numpy()


def _turned(name: str, profile: list[tuple[float, float]], mass: float) -> Body:
    """The solid that a profile of radii and heights sweeps around z."""
    material = replace(find_material("stoneware"), friction=FRICTION, restitution=0.0)
    trimesh: Any = import_module("trimesh")
    solid = trimesh.creation.revolve(np.array(profile), sections=SECTIONS)
    return body_from_mesh(name, TriangleMesh(solid.vertices, solid.faces), material, mass=mass)
