"""Exact shapes: a half-space, a box, a sphere. Points in, signed distances and normals out, without any grid.

A body made of one of them carries it beside its mesh: contacts use the exact shape, everything else (drawing, export)
the mesh. A box is looked at through points of its own: corners, then points a little within each face, where the
normal of a face that they touch is beyond doubt, then edges and faces.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib import import_module
from itertools import product
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from dynamics._errors import BodyError

if TYPE_CHECKING:
    from dynamics._body import Body, Motion
    from dynamics._material import Material

__all__ = ["Primitive", "body_from_box", "body_from_plane", "body_from_sphere"]

PrimitiveKind = Literal["plane", "box", "sphere"]
WITHIN = 0.9
"""Where the first points of a face lie, over its half lengths."""
PLANE_SIDE, PLANE_DEPTH = 4.0, 0.1
"""Half length and depth of the slab that draws a plane [m]."""


@dataclass(frozen=True)
class Primitive:
    """A shape at the origin of a body's frame."""

    kind: PrimitiveKind
    """``plane`` fills z <= 0 and has no end, ``box`` and ``sphere`` have their centre at the origin."""
    size: tuple[float, float, float]
    """Half lengths of a box, radius three times for a sphere, zeros for a plane [m]."""

    def scaled(self, factor: float) -> Primitive:
        """Every length times the factor."""
        x, y, z = self.size
        return replace(self, size=(x * factor, y * factor, z * factor))

    @property
    def points(self) -> NDArray[np.float32]:
        """Points on the surface that contacts are looked for at, corners first [m], shape (P, 3).

        None for a plane. A sphere has none either: contacts take its centre and its radius.
        """
        if self.kind != "box":
            return np.zeros((0, 3), dtype=np.float32)
        signs = np.array(list(product((-1.0, 1.0), repeat=3)))
        points = [signs]
        for share in (WITHIN, 0.45):
            for axis in range(3):
                face = signs * share
                face[:, axis] = signs[:, axis]
                points.append(face)
        for axis in range(3):
            for along in (0.0, -0.5, 0.5):
                edge = signs[signs[:, axis] > 0].copy()
                edge[:, axis] = along
                points.append(edge)
        points.append(np.concatenate([np.eye(3), -np.eye(3)]))
        return (np.concatenate(points) * np.array(self.size)).astype(np.float32)


def body_from_box(
    name: str,
    size: tuple[float, float, float],
    material: Material,
    *,
    mass: float | None = None,
    motion: Motion = "dynamic",
) -> Body:
    """A solid box with full side lengths `size` [m], its centre at the origin of its frame.

    Raises:
        BodyError: A length or the mass is not above zero.
    """
    _checked(name, size)
    return _body(name, Primitive("box", (size[0] / 2, size[1] / 2, size[2] / 2)), size, material, mass, motion)


def body_from_sphere(
    name: str, radius: float, material: Material, *, mass: float | None = None, motion: Motion = "dynamic"
) -> Body:
    """A solid ball of that radius [m], its centre at the origin of its frame; mass and inertia are exact.

    Raises:
        BodyError: The radius or the mass is not above zero.
    """
    from dynamics._body import body_from_mesh
    from dynamics._triangle_mesh import TriangleMesh

    trimesh: Any = import_module("trimesh")

    _checked(name, (radius,))
    ball = trimesh.creation.icosphere(subdivisions=3, radius=radius)
    mesh = TriangleMesh(np.asarray(ball.vertices), np.asarray(ball.faces))
    chosen = material.density * 4 / 3 * np.pi * radius**3 if mass is None else mass
    body = body_from_mesh(name, mesh, material, mass=chosen, com=np.zeros(3), motion=motion)
    spread = material.density_log_std if mass is None else 0.0
    inertia = 0.4 * chosen * radius**2 * np.eye(3)
    return replace(body, inertia=inertia, mass_log_std=spread, primitive=Primitive("sphere", (radius, radius, radius)))


def body_from_plane(name: str, material: Material) -> Body:
    """A static half-space z <= 0 of its frame, drawn as a slab."""
    body = _body(
        name,
        Primitive("plane", (0.0, 0.0, 0.0)),
        (2 * PLANE_SIDE, 2 * PLANE_SIDE, PLANE_DEPTH),
        material,
        None,
        "static",
    )
    return replace(body, com=np.zeros(3))


def _body(
    name: str,
    primitive: Primitive,
    size: tuple[float, float, float],
    material: Material,
    mass: float | None,
    motion: Motion,
) -> Body:
    from dynamics._body import body_from_mesh
    from dynamics._triangle_mesh import TriangleMesh

    corners = np.array(list(product((-0.5, 0.5), repeat=3))) * np.array(size)
    if primitive.kind == "plane":
        corners[:, 2] -= size[2] / 2
    quads = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    faces = np.array([face for a, b, c, d in quads for face in ((a, b, c), (a, c, d))], dtype=np.int32)
    body = body_from_mesh(name, TriangleMesh(corners, faces), material, mass=mass, motion=motion)
    return replace(body, primitive=primitive)


def _checked(name: str, lengths: tuple[float, ...]) -> None:
    wrong = next((length for length in lengths if not (np.isfinite(length) and length > 0)), None)
    if wrong is not None:
        raise BodyError(f"{name}: found a length of {wrong:g} m; it takes numbers above zero.")
