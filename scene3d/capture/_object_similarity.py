"""Objects and supports of a scene after a change of world: poses, geometry, mass, inertia and particles.

A body's frame turns with the world and its geometry grows about it. Mass that was computed as density times volume
grows with the volume; mass that somebody gave in kilograms stays what it is.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from scene3d._support import SupportPlane

if TYPE_CHECKING:
    from dynamics import Body, TriangleMesh
    from scene3d._scene_object import SceneObject
    from scene3d.capture._similarity import Similarity

__all__ = ["scaled_body", "transform_object", "transform_support"]

SAME_MASS = 0.01
"""Relative difference of mass and density times volume up to which one was made from the other."""


def transform_object(thing: SceneObject, s: Similarity) -> SceneObject:
    """The same object in another world; its splats are changed by `transform_splats`."""
    from scipy.spatial.transform import Rotation

    T = np.asarray(thing.T_world_body, dtype=np.float64)
    quat_wxyz = T[3:]
    if not np.array_equal(s.R, np.eye(3)):
        turned = Rotation.from_matrix(s.R) * Rotation.from_quat(T[[4, 5, 6, 3]])
        quat_wxyz = turned.as_quat()[[3, 0, 1, 2]]
    pose = [float(value) for value in (*s.points(T[:3]), *quat_wxyz)]
    body = thing.body if s.scale == 1 else scaled_body(thing.body, s.scale, derived="mass" in thing.guessed)
    return replace(thing, body=body, T_world_body=tuple(pose))


def scaled_body(body: Body, factor: float, *, derived: bool = False) -> Body:
    """The same body with every length multiplied by ``factor`` > 0.

    Args:
        body: What to scale.
        factor: On lengths.
        derived: The mass is known to be density times volume; otherwise that is found out by comparing them.
    """
    grown = body.scaled(factor)  # Of the same density, so that the mass grows with the volume.
    if derived or _is_density_times_volume(body):
        return grown
    return grown.with_mass(body.mass, mass_log_std=body.mass_log_std)


def transform_support(support: SupportPlane, s: Similarity) -> SupportPlane:
    """The same support in another world."""
    normal = s.directions(support.normal)
    return SupportPlane(
        normal=normal,
        offset=float(s.scale * support.offset + normal @ s.t),
        noise=s.scale * support.noise,
        outline=s.points(support.outline),
    )


def _is_density_times_volume(body: Body) -> bool:
    expected = body.material.density * _volume(body.mesh)
    return abs(body.mass - expected) <= SAME_MASS * abs(body.mass)


def _volume(mesh: TriangleMesh) -> float:
    """Volume of a closed mesh: the sum of the tetrahedra that its faces span with one point."""
    if not len(mesh.faces):
        return 0.0
    corners = mesh.vertices[mesh.faces] - mesh.vertices.mean(axis=0)
    return float(np.einsum("fi,fi->", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])) / 6)
