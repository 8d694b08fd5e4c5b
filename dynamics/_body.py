"""A body: what physics needs to know of one thing, rigid or deformable.

`body_from_mesh` turns a watertight mesh and a material into mass, centre of mass and inertia; contact geometry (signed
distances, surface points) is made from the mesh when it is first asked for. The body's frame is fixed when it is made
and `com` is stored in it, so that changes of mass never move anything that is drawn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from dynamics._material import Material
    from dynamics._particles import Particles
    from dynamics._triangle_mesh import TriangleMesh

__all__ = ["Body", "Motion"]

Motion = Literal["dynamic", "kinematic", "static"]


@dataclass(frozen=True, eq=False)
class Body:
    """One thing in its own frame."""

    name: str
    """Unique within a world."""
    mesh: TriangleMesh
    """Watertight collider in the body frame."""
    material: Material
    """What it is made of."""
    mass: float
    """[kg]"""
    com: NDArray[np.float64]
    """Centre of mass in the body frame [m], shape (3,)."""
    inertia: NDArray[np.float64]
    """About the centre of mass, in the body frame's axes [kg m^2], shape (3, 3)."""
    parts: tuple[TriangleMesh, ...] = ()
    """Convex parts whose union approximates the mesh; empty when the mesh itself is convex or none were made."""
    motion: Motion = "dynamic"
    """``static`` never moves, ``kinematic`` moves as an action says, ``dynamic`` obeys forces."""
    mass_log_std: float = 0.0
    """Spread of the mass: standard deviation of its natural logarithm; 0 when it is known."""
    particles: Particles | None = None
    """Discretisation of a deformable; None for a rigid body."""
