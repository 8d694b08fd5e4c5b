"""What was thrown: the cube that this project's networks know, or the one link of a URDF.

The cube is described here by three measured numbers, so that recordings of it need no file beside them.
"""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dynamics._toss_body import toss_body
from dynamics._triangle_mesh import TriangleMesh

if TYPE_CHECKING:
    from dynamics._body import Body
    from dynamics._toss_body import TossBody
    from dynamics._world import World

__all__ = ["cube_body", "is_cube", "load_thrown", "thrown_body"]

CUBE_EDGE, CUBE_MASS, CUBE_INERTIA = 0.1048, 0.37, 8.1e-4
"""Of the recorded cube [m, kg, kg m^2]."""


def cube_body() -> TossBody:
    """The cube of the recorded tosses, its frame in the middle."""
    corners = np.array([[x, y, z] for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)])
    quads = [[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]]
    faces = np.array([face for a, b, c, d in quads for face in ((a, b, c), (a, c, d))])
    return toss_body(TriangleMesh(CUBE_EDGE * corners, faces), CUBE_MASS, np.eye(3) * CUBE_INERTIA)


def is_cube(body: TossBody) -> bool:
    """Whether a body is the cube, to within a percent."""
    cube = cube_body()
    if len(body.points) != len(cube.points) or not np.isclose(body.mass, cube.mass, rtol=0.01):
        return False
    order = np.lexsort(body.points.round(4).T)
    same = np.allclose(body.points[order], cube.points[np.lexsort(cube.points.round(4).T)], atol=0.01 * cube.width)
    return bool(same and np.allclose(body.inertia, cube.inertia, atol=0.01 * CUBE_INERTIA))


def load_thrown(path: Path, dt: float) -> TossBody | World:
    """What a URDF describes: one rigid body, or a world of a table and bodies with joints.

    Args:
        path: The URDF.
        dt: Length of the world's step [s].

    Raises:
        FileFormatError: The file or a mesh cannot be read.
        BodyError: A body makes no physical sense.
    """
    from dynamics._urdf import world_from_urdf

    world = world_from_urdf(path, dt=dt)
    if len(world.bodies) == 2:
        return thrown_body(world.bodies[1])
    return world


def thrown_body(body: Body) -> TossBody:
    """A rigid body as tosses see it: the corners of its convex hull, mass, centre of mass, inertia."""
    spatial: Any = import_module("scipy.spatial")
    vertices = np.asarray(body.mesh.vertices, dtype=np.float64)
    hull = spatial.ConvexHull(vertices)
    used = np.sort(hull.vertices)
    place = np.full(len(vertices), -1)
    place[used] = np.arange(len(used))
    faces = place[hull.simplices]
    middle = vertices[used].mean(0)
    a, b, c = (vertices[used][faces[:, i]] for i in range(3))
    inwards = ((np.cross(b - a, c - a) * (a - middle)).sum(1) < 0)[:, None]
    mesh = TriangleMesh(vertices[used], np.where(inwards, faces[:, ::-1], faces))
    thrown = toss_body(mesh, body.mass, body.inertia)
    return replace(thrown, com=np.asarray(body.com, dtype=np.float64))
