"""Convex parts that every engine takes as they are: a convex mesh in, one or a few convex meshes of few faces out.

PhysX cooks a hull for the GPU, also when it runs on a CPU: at most 64 vertices and 64 faces of at most 32 corners.
What does not fit is left off without a word; a can of 64 vertices, which has 124 triangles, then stands 1.2 mm inside
the table. So vertices that matter least go first, and a hull that has too many faces still is cut into slices,
which together are exactly that hull.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dynamics import TriangleMesh

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["MOST_FACES", "within_limits"]

MOST_VERTICES = 64
MOST_FACES = 64
MOST_CORNERS = 32
"""Of a face."""
SMALL = 2.5e-4
"""A vertex that reaches out of the hull of the others by less than this may go [m]."""
FLAT = 1e-6
"""Triangles whose planes differ by less are one face; of the normal, and of the offset in metres."""
MOST_CUTS = 6
"""A hull is cut in half at most so many times in a row."""


def within_limits(part: TriangleMesh) -> tuple[TriangleMesh, ...]:
    """The hull of a part as convex meshes of at most 64 vertices and 64 faces.

    Args:
        part: Convex mesh [m].

    Returns:
        The part itself when it is within the limits; else its hull, less vertices that reach out by under 0.25 mm,
        or slices of that.
    """
    corners = np.asarray(part.vertices, dtype=np.float64)
    if _fits(_hull(corners)):
        return (part,)
    return tuple(_mesh(slice_) for slice_ in _sliced(_fewer(corners), MOST_CUTS))


def _hull(corners: NDArray[np.float64]) -> Any:
    from scipy.spatial import ConvexHull

    return ConvexHull(corners)


def _fits(hull: Any) -> bool:
    faces = _faces(hull)
    triangles = np.bincount(faces)
    return len(hull.vertices) <= MOST_VERTICES and len(triangles) <= MOST_FACES and triangles.max() + 2 <= MOST_CORNERS


def _faces(hull: Any) -> NDArray[np.int64]:
    """Which face each triangle of a hull is part of: those with one plane are one."""
    planes = np.round(hull.equations / FLAT)
    return np.unique(planes, axis=0, return_inverse=True)[1].reshape(-1)


def _fewer(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    """Leave out the vertex that reaches out least, again and again, while that is little and there are too many."""
    corners = corners[_hull(corners).vertices]
    reach = np.array([_reach(corners, index) for index in range(len(corners))])
    while not _fits(hull := _hull(corners)):
        least = int(np.argmin(reach))
        if reach[least] > SMALL:
            break
        beside = set(hull.simplices[(hull.simplices == least).any(axis=1)].ravel().tolist()) - {least}
        corners, reach = np.delete(corners, least, axis=0), np.delete(reach, least)
        for index in beside:
            index -= index > least
            reach[index] = _reach(corners, index)
    return corners


def _reach(corners: NDArray[np.float64], index: int) -> float:
    """How far a vertex reaches out of the hull of all others [m]."""
    planes = _hull(np.delete(corners, index, axis=0)).equations
    return float((planes[:, :3] @ corners[index] + planes[:, 3]).max())


def _sliced(corners: NDArray[np.float64], cuts: int) -> list[NDArray[np.float64]]:
    """Halves of halves of a hull, cut across its longest side, until each is within the limits."""
    hull = _hull(corners)
    corners = corners[hull.vertices]
    if cuts == 0 or _fits(hull):
        return [corners]
    axis = int(np.argmax(np.ptp(corners, axis=0)))
    order = np.sort(corners[:, axis])
    # Between the two vertices of the middle that are farthest apart, so that no slice is a sliver.
    middle = slice(len(order) // 3, max(2 * len(order) // 3, len(order) // 3 + 2))
    gap = int(np.argmax(np.diff(order[middle])))
    plane = float(order[middle][gap : gap + 2].mean())
    edge = _on_plane(corners, _hull(corners).simplices, axis, plane)
    sides = (corners[:, axis] < plane, corners[:, axis] > plane)
    return [piece for side in sides for piece in _sliced(np.concatenate([corners[side], edge]), cuts - 1)]


def _on_plane(
    corners: NDArray[np.float64], triangles: NDArray[np.int32], axis: int, plane: float
) -> NDArray[np.float64]:
    """Where the edges of a hull cross a plane, shape (N, 3)."""
    edges = np.sort(np.concatenate([triangles[:, pair] for pair in ([0, 1], [1, 2], [2, 0])]), axis=1)
    first, second = corners[np.unique(edges, axis=0)].transpose(1, 0, 2)
    crosses = (first[:, axis] < plane) != (second[:, axis] < plane)
    first, second = first[crosses], second[crosses]
    share = (plane - first[:, axis]) / (second[:, axis] - first[:, axis])
    points = first + share[:, None] * (second - first)
    points[:, axis] = plane
    return points


def _mesh(corners: NDArray[np.float64]) -> TriangleMesh:
    """The hull of corners, faces counterclockwise from outside."""
    hull = _hull(corners)
    points = corners[hull.vertices]
    place = np.full(len(corners), -1)
    place[hull.vertices] = np.arange(len(hull.vertices))
    faces = place[hull.simplices]
    first, second, third = points[faces].transpose(1, 0, 2)
    inward = (np.cross(second - first, third - first) * hull.equations[:, :3]).sum(axis=1) < 0
    faces[inward] = faces[inward][:, ::-1]
    return TriangleMesh(points, faces)
