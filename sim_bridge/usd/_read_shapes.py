"""Geometry prims -> triangle meshes: Mesh, Cube, Sphere, Capsule, Cylinder, Cone, each in a frame that is asked for.

Round shapes become polyhedra whose cross sections have the area of the circle that they stand for, so that volume and
mass stay close. Any affine transform, uneven scale too, is exact for points.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from scene3d._errors import BodyError, FileFormatError
from sim_bridge.usd._read_frames import apply

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dynamics import TriangleMesh
    from sim_bridge.usd._read_values import StageReader

__all__ = ["SHAPES", "hull_mesh", "read_shape"]

SHAPES = ("Mesh", "Cube", "Sphere", "Capsule", "Capsule_1", "Cylinder", "Cylinder_1", "Cone")
"""Types of prims that are read as colliders."""
MOST_VERTICES, MOST_CORNERS = 5_000_000, 30_000_000
"""Of a mesh."""
MOST_FOLDED = 10_000
"""Polygons that are cut ear by ear; each takes a loop."""
SECTIONS, RINGS = 48, 16
"""Around the axis of a round shape, and along a quarter of a meridian of a rounded end."""
FEW_SECTIONS, FEW_RINGS = 12, 2
"""The same for a convex part, which may have 64 vertices in PhysX."""
PART_VERTICES = 64
HULL_GAP = 1e-4
"""Vertices of a hull that reach out less than this share of its diagonal are left out."""


def read_shape(reader: StageReader, prim: Any, matrix: NDArray[np.float64], *, fine: bool = True) -> TriangleMesh:
    """The surface of a prim.

    Args:
        reader: Of the stage.
        prim: Of a type in `SHAPES`.
        matrix: From the prim's coordinates to the wanted ones, shape (4, 4).
        fine: Round shapes with many triangles; False keeps them to 64 vertices.

    Raises:
        FileFormatError: Its numbers make no shape.
    """
    from dynamics import TriangleMesh

    kind = str(prim.GetTypeName())
    if kind == "Mesh":
        vertices, faces = _mesh(reader, prim)
    elif kind == "Cube":
        vertices, faces = _box(_length(reader, prim, "size") / 2)
    else:
        vertices, faces = _revolved(*_profile(reader, prim, kind, fine))
        vertices = _along(vertices, str(reader.value(prim, "axis") or "Z"))
    if np.linalg.det(matrix[:3, :3]) < 0:
        faces = faces[:, ::-1]
    try:
        return TriangleMesh(apply(matrix, vertices), faces.astype(np.int32))
    except BodyError as error:
        raise FileFormatError(f"{reader.path}: {prim.GetPath()}: {error}") from error


def hull_mesh(mesh: TriangleMesh, most: int = PART_VERTICES) -> TriangleMesh | None:
    """The convex hull of a mesh with at most ``most`` vertices; None when the mesh is flat."""
    from importlib import import_module

    from dynamics import TriangleMesh
    from dynamics._surface_points import hull_points

    trimesh: Any = import_module("trimesh")
    spatial: Any = import_module("scipy.spatial")

    points = mesh.vertices[np.unique(mesh.faces)]
    try:
        with np.errstate(all="ignore"):  # Of a flat one the volume is 0 / 0.
            hull = trimesh.convex.convex_hull(points)
            if len(hull.vertices) > most:
                gap = HULL_GAP * float(np.linalg.norm(np.ptp(points, axis=0)))
                hull = trimesh.convex.convex_hull(hull_points(points, gap, most))
            volume = float(hull.volume)
    except (spatial.QhullError, ValueError, IndexError):
        return None
    return TriangleMesh(np.asarray(hull.vertices), np.asarray(hull.faces)) if volume > 0 else None


def _mesh(reader: StageReader, prim: Any) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Vertices and triangles: polygons are cut into fans from their first corner."""
    where = f"{reader.path}: the mesh {prim.GetPath()}"
    points = reader.array(prim, "points", 3, MOST_VERTICES)
    counts = reader.array(prim, "faceVertexCounts", 1, MOST_CORNERS, np.int64)
    corners = reader.array(prim, "faceVertexIndices", 1, MOST_CORNERS, np.int64)
    if points is None or counts is None or corners is None or not len(counts):
        raise FileFormatError(f"{where} has no points or no faces. Export it again.")
    if counts.min() < 3 or counts.sum() != len(corners):
        raise FileFormatError(f"{where} has faces that its corners do not add up to. Export it again.")
    wrong = corners[(corners < 0) | (corners >= len(points))]
    if len(wrong):
        raise FileFormatError(f"{where} of {len(points)} points names point {wrong[0]}. Export it again.")
    if not np.isfinite(points).all():
        raise FileFormatError(f"{where} has points that are not finite numbers. Export it again.")
    faces = _triangles(points, counts, corners)
    return points, faces[:, ::-1] if reader.value(prim, "orientation") == "leftHanded" else faces


def _triangles(points: NDArray[np.float64], counts: NDArray[np.int64], corners: NDArray[np.int64]) -> NDArray[np.int64]:
    """Polygons cut into fans from their first corner, or ear by ear where a fan would fold over."""
    start = np.cumsum(counts) - counts
    polygon = np.repeat(np.arange(len(counts)), counts - 2)
    inner = np.arange(len(polygon)) - np.repeat(np.cumsum(counts - 2) - (counts - 2), counts - 2)
    first = start[polygon]
    faces = corners[np.stack([first, first + inner + 1, first + inner + 2], axis=1)]
    a, b, c = (points[faces[:, column]] for column in range(3))
    normals = np.cross(b - a, c - a)
    whole = np.zeros((len(counts), 3))
    np.add.at(whole, polygon, normals)
    folded = np.unique(polygon[(normals * whole[polygon]).sum(axis=1) < 0])
    if not len(folded):
        return faces
    ears = [_ears(points, corners[start[i] : start[i] + counts[i]], whole[i]) for i in folded[:MOST_FOLDED]]
    return np.concatenate([faces[~np.isin(polygon, folded[:MOST_FOLDED])], *ears])


def _ears(points: NDArray[np.float64], corners: NDArray[np.int64], normal: NDArray[np.float64]) -> NDArray[np.int64]:
    """One simple polygon as triangles: a corner that no other lies in is cut off, again and again [Meisters 1975]."""
    left, found = [int(corner) for corner in corners], []
    while len(left) > 3:
        for place in range(len(left)):
            a, b, c = left[place - 1], left[place], left[(place + 1) % len(left)]
            others = points[[corner for corner in left if corner not in (a, b, c)]]
            if _is_ear(points[a], points[b], points[c], others, normal):
                break
        else:
            place = 0  # It crosses itself: no cut is right, any will do.
            a, b, c = left[-1], left[0], left[1]
        found.append((a, b, c))
        del left[place]
    return np.array([*found, tuple(left)])


def _is_ear(a: NDArray, b: NDArray, c: NDArray, others: NDArray, normal: NDArray) -> bool:
    if np.cross(b - a, c - b) @ normal <= 0:
        return False
    sides = [np.cross(end - begin, others - begin) @ normal for begin, end in ((a, b), (b, c), (c, a))]
    return not (np.array(sides) > 0).all(axis=0).any()


def _box(half: float) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    corners = half * np.array([[x, y, z] for x in (-1.0, 1.0) for y in (-1.0, 1.0) for z in (-1.0, 1.0)])
    quads = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    return corners, np.array([face for a, b, c, d in quads for face in ((a, b, c), (a, c, d))])


def _profile(reader: StageReader, prim: Any, kind: str, fine: bool) -> tuple[NDArray[np.float64], int]:
    """Radius and height (K, 2) of the points of a meridian, from below, and how many sections go around."""
    sections, rings = (SECTIONS, RINGS) if fine else (FEW_SECTIONS, FEW_RINGS)
    if kind == "Sphere":
        radius = _length(reader, prim, "radius")
        rings = rings if fine else FEW_RINGS + 1  # It has no straight part, which leaves corners over.
        angle = np.linspace(-np.pi / 2, np.pi / 2, 2 * rings + 1)
        return radius * np.stack([np.cos(angle), np.sin(angle)], axis=1), sections
    half = _length(reader, prim, "height") / 2
    if kind.endswith("_1"):
        low, high = (_length(reader, prim, name) for name in ("radiusBottom", "radiusTop"))
    else:
        low = high = _length(reader, prim, "radius")
    if kind.startswith("Capsule"):
        if low != high:
            reader.note(f"The ends of {prim.GetPath()} differ; both were taken for half balls.")
        angle = np.linspace(0, np.pi / 2, rings + 1)
        top = np.stack([high * np.cos(angle), half + high * np.sin(angle)], axis=1)
        angle = angle[::-1]
        bottom = np.stack([low * np.cos(angle), -half - low * np.sin(angle)], axis=1)
        return np.concatenate([bottom, top]), sections
    if kind == "Cone":
        return np.array([[0.0, -half], [low, -half], [0.0, half]]), sections
    return np.array([[0.0, -half], [low, -half], [high, half], [0.0, half]]), sections


def _revolved(profile: NDArray[np.float64], sections: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """A closed surface around z of a meridian (K, 2) whose first and last points are on the axis."""
    turn = 2 * np.pi / sections
    wider = np.sqrt(turn / np.sin(turn))  # A polygon of that radius has the area of the circle.
    angles = turn * np.arange(sections)
    around = np.stack([np.cos(angles), np.sin(angles)], axis=1) * wider
    inner = profile[1:-1]
    rings = [np.column_stack([radius * around, np.full(sections, height)]) for radius, height in inner]
    ends = np.array([[0.0, 0.0, profile[0, 1]], [0.0, 0.0, profile[-1, 1]]])
    vertices = np.concatenate([*rings, ends])
    here = np.arange(sections)
    ahead = np.roll(here, -1)
    low, high = len(vertices) - 2, len(vertices) - 1
    last = (len(inner) - 1) * sections
    faces = [np.stack([np.full(sections, low), ahead, here], axis=1)]
    for ring in range(len(inner) - 1):
        a, b = ring * sections + here, ring * sections + ahead
        faces += [np.stack([a, b, b + sections], axis=1), np.stack([a, b + sections, a + sections], axis=1)]
    faces.append(np.stack([np.full(sections, high), last + here, last + ahead], axis=1))
    return vertices, np.concatenate(faces)


def _along(vertices: NDArray[np.float64], axis: str) -> NDArray[np.float64]:
    """Vertices around z, turned around another axis; a cyclic change keeps the surface's outside outside."""
    order = {"X": [2, 0, 1], "Y": [1, 2, 0], "Z": [0, 1, 2]}.get(axis, [0, 1, 2])
    return vertices[:, order]


def _length(reader: StageReader, prim: Any, name: str) -> float:
    found = float(reader.value(prim, name))
    if not (np.isfinite(found) and found > 0):
        raise FileFormatError(
            f"{reader.path}: {prim.GetPath()} has a {name} of {found:g}; it takes a number above zero."
        )
    return found
