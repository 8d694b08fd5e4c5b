# pyright: basic
"""What is thrown, and the constants of a set of recorded tosses.

The surface of a body is a few points, corners first, each the centre of a small sphere: real corners are round.
`TossConstants` are what identification finds: friction, restitution, how far sizes, inertia and gravity are from what
the drawing says (recorded lengths are a percent or two off), and how the recording leans.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

    from dynamics._triangle_mesh import TriangleMesh

__all__ = ["TEXTBOOK", "TossBody", "TossConstants", "toss_body"]

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class TossBody:
    """What is known of the thrown body."""

    points: Array
    """Surface points in the body frame, corners first [m], shape (P, 3)."""
    inward: Array
    """How each point moves per metre of its sphere's radius, so that the spheres stay inside, shape (P, 3)."""
    mass: float
    """[kg]"""
    com: Array
    """Centre of mass in the body frame [m], shape (3,)."""
    inertia: Array
    """About the centre of mass [kg m^2], shape (3, 3)."""
    width: float
    """What percentages refer to [m]."""


@dataclass(frozen=True, eq=False)
class TossConstants:
    """Physical constants of a set of tosses: scalars, or one value for each of B worlds, shape (B, 1)."""

    friction: Tensor
    """Coulomb coefficient."""
    restitution: Tensor
    """0 to 1."""
    size: Tensor
    """Recorded over drawn lengths."""
    inertia: Tensor
    """Moment of inertia over the drawn one."""
    gravity: Tensor
    """In recorded lengths [m/s^2]."""
    recovery: Tensor
    """Share of an overlap that is undone in a step."""
    corner_radius: Tensor
    """Of edges and corners [m]."""
    spin: Tensor
    """Angular velocity of the first frame over the recorded one: a filter of the recording flattens it."""
    speed: Tensor
    """The same of the velocity."""
    shear_along: Tensor
    """How far recorded positions are displaced in the direction of the throw, over the height above the table."""
    shear_across: Tensor
    """The same to the left of the throw."""
    tilt_along: Tensor
    """Component of gravity along the table in the direction of the throw [m/s^2]."""
    tilt_across: Tensor
    """The same to the left of the throw."""

    @staticmethod
    def of(**values: float) -> TossConstants:
        """From numbers."""
        import torch

        return TossConstants(**{name: torch.tensor(value) for name, value in values.items()})

    def numbers(self) -> dict[str, float]:
        """As numbers by name; of scalars only."""
        return {field.name: float(getattr(self, field.name)) for field in fields(self)}

    def of_worlds(self, index: Tensor) -> TossConstants:
        """One row for each world of `index` (B,), which says whose row it takes; scalars are for all alike."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return TossConstants(**{name: v[index] if v.ndim else v for name, v in values.items()})


TEXTBOOK = {
    "friction": 0.18,
    "restitution": 0.125,
    "size": 1.0,
    "inertia": 1.0,
    "gravity": 9.81,
    "recovery": 0.2,
    "corner_radius": 0.0,
    "spin": 1.0,
    "speed": 1.0,
    "shear_along": 0.0,
    "shear_across": 0.0,
    "tilt_along": 0.0,
    "tilt_across": 0.0,
}
"""The cube's constants as measured by hand: tilted plane, drop, scales, drawing."""


def toss_body(
    mesh: TriangleMesh, mass: float, inertia: Array | None = None, *, points: Array | None = None
) -> TossBody:
    """The body of a convex mesh [m] with its frame's origin as the recording has it.

    Args:
        mesh: Closed collider.
        mass: [kg]
        inertia: About the centre of mass [kg m^2], shape (3, 3); None takes that of the uniform solid.
        points: Surface points, shape (P, 3); None takes the corners.
    """
    from dynamics._mass_properties import mass_properties

    vertices = np.asarray(mesh.vertices, dtype=np.float64)
    solid = mass_properties(mesh, 1.0)
    tensor = solid.inertia * (mass / solid.mass) if inertia is None else np.asarray(inertia, dtype=np.float64)
    corners = np.unique(vertices.round(9), axis=0) if points is None else np.asarray(points, dtype=np.float64)
    extents = np.ptp(vertices, axis=0)
    width = float(np.prod(extents) ** (1 / 3))
    com = np.where(np.abs(solid.com) < 1e-9 * width, 0.0, solid.com)  # Rounding is no offset.
    return TossBody(corners, _inward(vertices, np.asarray(mesh.faces), corners), mass, com, tensor, width)


def _inward(vertices: Array, faces: NDArray[np.integer], points: Array) -> Array:
    """The step c that leaves every face through a point by 1: n . c = -1 for all their normals, least squares."""
    a, b, c = (vertices[faces[:, i]] for i in range(3))
    normals = np.cross(b - a, c - a)
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-300)
    steps = []
    for point in points:
        touching = np.unique(normals[np.abs(((point - a) * normals).sum(1)) < 1e-6].round(6), axis=0)
        steps.append(np.linalg.lstsq(touching, -np.ones(len(touching)), rcond=None)[0])
    return np.stack(steps)
