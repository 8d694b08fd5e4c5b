"""Colliders that belong to no body -> supports and static objects.

A scene keeps what things stand on as planes with an outline: the exporter's slabs come back as they were, and the level
top of a wide convex collider (a table, a ground box, a plane) becomes one. Any other collider that stands still becomes
a static object. The exporter's floor is left out: each world of a scene gets one anyway.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from sim_bridge.usd._import_bodies import free_name
from sim_bridge.usd._import_material import read_material
from sim_bridge.usd._import_solids import closed_volume
from sim_bridge.usd._read_frames import pose_of
from sim_bridge.usd._read_shapes import hull_mesh, read_shape
from sim_bridge.usd._read_values import finite, our_data

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from numpy.typing import NDArray

    from dynamics import TriangleMesh
    from scene3d._scene_object import SceneObject
    from scene3d._support import SupportPlane
    from sim_bridge.usd._read_values import StageReader

__all__ = ["read_standing"]

WIDE = 0.05
"""A level top of at least this area, which is deeper than the shape is high, is a support [m^2]: no wall's is."""
LEVEL = 0.02
"""Share of a shape's height by which a top may be uneven."""
CONVEX = 0.02
"""Share of its hull that a shape may leave empty and still count as convex."""
PLANE_HALF = 4.0
"""Half side of the outline of a plane that has no end [m]."""
STALE = 1e-3
"""Distance between a slab's top and the plane that the exporter kept, above which the slab was moved since [m]."""
SUPPORT_NOISE = 1e-4
"""Standard deviation of the surface of a support that is exact [m]."""


def read_standing(
    reader: StageReader, prims: Sequence[Any], taken: Collection[str]
) -> tuple[tuple[SupportPlane, ...], tuple[SceneObject, ...]]:
    """Supports, the widest of each kind of stage first as they come, and static objects.

    Args:
        reader: Of the stage; gets notes.
        prims: Colliders without a body.
        taken: Names that objects of the scene have.
    """
    supports: list[SupportPlane] = []
    objects: list[SceneObject] = []
    names = set(taken)
    for prim in prims:
        ours = our_data(prim)
        if ours.get("kind") == "floor":
            continue
        matrix = reader.matrix(prim)
        if str(prim.GetTypeName()) == "Plane":
            supports.append(_plane(reader, prim, matrix))
            continue
        mesh = read_shape(reader, prim, matrix)
        found = _kept(ours, mesh) or _top(mesh)
        if found is not None:
            supports.append(found)
            if not ours:
                reader.note(f"{prim.GetPath()} stands still and is level on top: kept as a support.")
            continue
        thing = _static_object(reader, prim, mesh, names)
        names.add(thing.name)
        objects.append(thing)
        reader.note(f"{prim.GetPath()} stands still: kept as the static object {thing.name!r}.")
    return tuple(supports), tuple(objects)


def _kept(ours: dict[str, Any], mesh: TriangleMesh) -> SupportPlane | None:
    """The support that the exporter kept, if the slab still lies below it."""
    from scene3d._support import SupportPlane

    normal, offset, noise = finite(ours.get("normal"), 3), finite(ours.get("offset")), finite(ours.get("noise"))
    outline = finite(ours.get("outline"))
    if ours.get("kind") != "support" or normal is None or offset is None or noise is None or outline is None:
        return None
    if outline.size < 9 or outline.size % 3 or abs(float(np.linalg.norm(normal)) - 1) > STALE:
        return None
    if abs(float((mesh.vertices @ normal).max()) - float(offset)) > STALE:
        return None
    return SupportPlane(normal, float(offset), float(noise), outline.reshape(-1, 3))


def _top(mesh: TriangleMesh) -> SupportPlane | None:
    """The level top of a wide convex shape; None of any other."""
    from scene3d._support import SupportPlane

    hull = hull_mesh(mesh, 4096)
    volume, full = closed_volume(mesh), None if hull is None else closed_volume(hull)
    if volume is not None and full is not None and volume < (1 - CONVEX) * full:
        return None
    z = mesh.vertices[:, 2]
    top = float(z.max())
    level = mesh.vertices[z > top - max(LEVEL * float(np.ptp(z)), 1e-6)]
    corners, area = _outline(level[:, :2])
    deep = area / max(float(np.ptp(corners, axis=0).max()), 1e-9) if len(corners) else 0.0
    if area < WIDE or float(np.ptp(z)) > deep:
        return None
    outline = np.column_stack([corners, np.full(len(corners), top)])
    return SupportPlane(np.array([0.0, 0.0, 1.0]), top, SUPPORT_NOISE, outline)


def _plane(reader: StageReader, prim: Any, matrix: NDArray[np.float64]) -> SupportPlane:
    """A plane that collides has no end; its outline here ends somewhere."""
    from scene3d._support import SupportPlane

    order = {"X": [1, 2, 0], "Y": [2, 0, 1], "Z": [0, 1, 2]}[str(reader.value(prim, "axis") or "Z")]
    axes = matrix[:3, :3][:, order]
    axes = axes / np.linalg.norm(axes, axis=0)
    normal, origin = np.cross(axes[:, 0], axes[:, 1]), matrix[:3, 3]
    square = PLANE_HALF * np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])
    reader.note(f"The plane {prim.GetPath()} has no end; it was kept as a support of {2 * PLANE_HALF:g} m.")
    return SupportPlane(normal, float(normal @ origin), SUPPORT_NOISE, origin + square @ axes[:, :2].T)


def _outline(points: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """Corners of the convex hull of points (N, 2), counter-clockwise, and its area; nothing for a line."""
    from importlib import import_module

    spatial: Any = import_module("scipy.spatial")
    try:
        hull = spatial.ConvexHull(points)
    except (spatial.QhullError, ValueError):
        return points[:0], 0.0
    return points[hull.vertices], float(hull.volume)


def _static_object(reader: StageReader, prim: Any, mesh: TriangleMesh, taken: Collection[str]) -> SceneObject:
    """A body that never moves, in a frame at the middle of its box; its mass is that of its box, and nobody asks."""
    from dynamics import Body, TriangleMesh
    from scene3d._scene_object import SceneObject

    low, high = mesh.bounds
    middle, sides = (low + high) / 2, np.maximum(high - low, 1e-6)
    frame = np.eye(4)
    frame[:3, 3] = middle
    local = TriangleMesh(mesh.vertices - middle, mesh.faces)
    material, known = read_material(reader, [prim])
    mass = float(material.density * sides.prod())
    inertia = np.diag(mass / 12 * ((sides**2).sum() - sides**2))
    name = free_name(reader, prim, taken)
    body = Body(name, local, material, mass, np.zeros(3), inertia, motion="static", mass_log_std=1.0)
    return SceneObject(body, pose_of(frame), guessed=("mass",) if known else ("mass", "friction"))
