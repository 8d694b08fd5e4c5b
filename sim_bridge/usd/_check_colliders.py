"""Rules about colliders: every body has some, they are what engines can cook, and they touch with known friction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from scene3d._errors import FileFormatError
from sim_bridge.usd._check_finding import Finding
from sim_bridge.usd._read_shapes import PART_VERTICES, read_shape
from sim_bridge.usd._read_values import finite

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from sim_bridge.usd._import_inventory import OwnedPrims
    from sim_bridge.usd._read_frames import BodyFrame
    from sim_bridge.usd._read_values import StageReader

__all__ = ["check_colliders", "check_standing"]

MOST_FACES, MOST_CORNERS = 64, 32
"""Polygons of a hull that PhysX cooks for the GPU, which it does on a CPU too (there up to 255), and their corners."""
FLAT = 1e-4
"""Neighbours whose normals differ by less lie in one plane."""
MANY_PARTS = 64
"""More hulls than this make every contact of the body slow."""
THIN = 1e-9
"""Volume of a hull over that of its cube, under which it is flat."""
OUT_OF_HULL = 0.05
"""Share of its size by which a centre of mass may lie outside of the box of the colliders."""


def check_colliders(reader: StageReader, owned: OwnedPrims, at: BodyFrame | None) -> Iterator[Finding]:
    """The rules for the colliders of one body.

    Args:
        reader: Of the stage.
        owned: The body and what belongs to it.
        at: The body's frame; None when it has none.
    """
    path = str(owned.prim.GetPath())
    kinematic = bool(reader.value(owned.prim, "physics:kinematicEnabled"))
    if not owned.colliders:
        message = "The body has no collider, so it falls through everything."
        hint = "Apply CollisionAPI to its geometry, with MeshCollisionAPI approximation convexHull for meshes."
        yield Finding("error", "collider-missing", path, message, hint)
        return
    if len(owned.colliders) > MANY_PARTS:
        message = f"The body has {len(owned.colliders)} colliders; contacts of it will be slow."
        yield Finding("warning", "hull-count", path, message, f"Merge convex parts to {MANY_PARTS} or fewer.")
    boxes: list[NDArray[np.float64]] = []
    for prim in owned.colliders:
        yield from _shape(reader, prim, at, boxes, moving=not kinematic)
        yield from _material(reader, prim)
    if at is not None and boxes:
        yield from _centre(reader, at, boxes)


def check_standing(reader: StageReader, prim: Any) -> Iterator[Finding]:
    """The rules for a collider that belongs to no body."""
    if str(prim.GetTypeName()) != "Plane":
        yield from _shape(reader, prim, None, [], moving=False)


def _shape(
    reader: StageReader, prim: Any, at: BodyFrame | None, boxes: list[NDArray[np.float64]], *, moving: bool
) -> Iterator[Finding]:
    path = str(prim.GetPath())
    try:
        mesh = read_shape(reader, prim, np.eye(4) if at is None else at.within(reader, prim))
    except FileFormatError as reason:
        said = str(reason).removeprefix(f"{reader.path}: ")
        yield Finding("error", "collider-broken", path, said, "Export the shape again.")
        return
    boxes.append(mesh.bounds)
    if str(prim.GetTypeName()) != "Mesh":
        return
    how = str(reader.value(prim, "physics:approximation") or "none")
    if how == "none" and moving:
        message = (
            "The approximation is none on a body that moves. PhysX silently takes the hull instead, other engines the "
            "triangles, so the same stage behaves differently."
        )
        hint = "Set physics:approximation to convexHull, and cut concave shapes into convex parts."
        yield Finding("error", "collider-none", path, message, hint)
    if how == "meshSimplification" and moving:
        message = "The approximation meshSimplification is not taken for bodies that move."
        yield Finding("error", "collider-none", path, message, "Set physics:approximation to convexHull.")
    if how == "convexHull":
        yield from _hull(path, mesh.vertices[np.unique(mesh.faces)])


def _hull(path: str, points: NDArray[np.float64]) -> Iterator[Finding]:
    from importlib import import_module

    spatial: Any = import_module("scipy.spatial")
    size = float(np.ptp(points, axis=0).max()) if len(points) else 0.0
    try:
        hull = spatial.ConvexHull(points)
    except (spatial.QhullError, ValueError):
        hull = None
    if hull is None or hull.volume <= THIN * size**3:
        message = "The hull of the collider is flat, and engines refuse to cook it."
        yield Finding("error", "hull-flat", path, message, "Give it a thickness, or remove it.")
        return
    polygons = _polygons(hull)
    vertices, faces, corners = len(hull.vertices), len(polygons), int(polygons.max()) + 2
    if vertices > PART_VERTICES or faces > MOST_FACES or corners > MOST_CORNERS:
        message = (
            f"The hull has {vertices} vertices and {faces} faces of up to {corners} corners. PhysX takes "
            f"{PART_VERTICES}, {MOST_FACES} and {MOST_CORNERS} and leaves the rest off, so that other engines collide "
            "another shape."
        )
        hint = "Simplify the hull, or cut it into several: scene3d import FILE --out SCENE, then scene3d export does."
        yield Finding("warning", "hull-size", path, message, hint)


def _polygons(hull: Any) -> NDArray[np.int64]:
    """Triangles in each face of a hull: neighbours that lie in one plane belong to one face."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components

    normals = hull.equations[:, :3]
    first, second = np.repeat(np.arange(len(normals)), 3), hull.neighbors.ravel()
    flat = np.linalg.norm(normals[first] - normals[second], axis=1) < FLAT
    size = (len(normals), len(normals))
    graph: Any = csr_array((np.ones(int(flat.sum())), (first[flat], second[flat])), shape=size)
    return np.bincount(connected_components(graph, directed=False)[1])


def _material(reader: StageReader, prim: Any) -> Iterator[Finding]:
    from pxr import UsdPhysics, UsdShade

    path = str(prim.GetPath())
    material, _ = UsdShade.MaterialBindingAPI(prim).ComputeBoundMaterial("physics")
    found = material.GetPrim() if material else None
    if not found or not found.HasAPI(UsdPhysics.MaterialAPI):
        message = "The collider has no physics material, so each engine chooses friction and restitution itself."
        hint = 'Bind a Material with PhysicsMaterialAPI with the purpose "physics".'
        yield Finding("warning", "material-missing", path, message, hint)
        return
    static, sliding, bounce = (
        finite(reader.value(found, f"physics:{name}")) for name in ("staticFriction", "dynamicFriction", "restitution")
    )
    where = str(found.GetPath())
    if static is None or sliding is None or static < 0 or sliding < 0:
        yield Finding("error", "material", where, "A friction is below zero or no number.", "Give 0 or more.")
    elif sliding > static + 1e-6:
        message = f"Dynamic friction {float(sliding):g} exceeds static friction {float(static):g}."
        yield Finding("warning", "material", where, message, "Give a static friction of at least the dynamic one.")
    if bounce is None or not 0 <= bounce <= 1:
        yield Finding("error", "material", where, "The restitution is not within 0 to 1.", "Give a share from 0 to 1.")


def _centre(reader: StageReader, at: BodyFrame, boxes: list[NDArray[np.float64]]) -> Iterator[Finding]:
    com = finite(reader.value(at.prim, "physics:centerOfMass", fallback=False), 3)
    if com is None:
        return
    low, high = np.min([box[0] for box in boxes], axis=0), np.max([box[1] for box in boxes], axis=0)
    away = float(np.maximum(low - com * at.scale, com * at.scale - high).max())
    if away > OUT_OF_HULL * float((high - low).max()):
        message = f"The centre of mass lies {away:.3g} m outside of the box of the colliders."
        hint = "Give it in the body's own frame, about the body's origin."
        yield Finding("warning", "mass-centre", str(at.prim.GetPath()), message, hint)
