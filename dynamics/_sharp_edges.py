"""Sharp edges of a mesh as short straight pieces: mesh in, their middles and directions out.

Where two edges cross, such as a can's rim over a mug's, they touch at a point that is no vertex of either. So an edge
is no row of points for contacts but a row of pieces, and the contact slides along its piece to where the other shape is
nearest. Edges that bulge outwards count, wherever they lie; they are traced from corner to corner, or once around, and
cut into pieces of equal length.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dynamics._mass_properties import welded

if TYPE_CHECKING:
    from dynamics._triangle_mesh import TriangleMesh

__all__ = ["edge_directions", "edge_pieces", "sharp_corners", "sharp_edges"]

SHARP = np.cos(np.radians(40))
"""Cosine of the angle between the normals of two faces from which their edge is sharp, or of two edges in a row."""


def sharp_edges(mesh: TriangleMesh) -> NDArray[np.int64]:
    """Vertices of sharp convex edges, shape (E, 2), wherever they lie."""
    faces = welded(mesh)
    corners = mesh.vertices[faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals /= np.maximum(np.linalg.norm(normals, axis=1), 1e-30)[:, None]
    start, end = faces.ravel(), np.roll(faces, -1, axis=1).ravel()
    key = np.minimum(start, end) * len(mesh.vertices) + np.maximum(start, end)
    order = np.argsort(key, kind="stable")
    twin = np.flatnonzero(key[order][1:] == key[order][:-1])
    a, b = order[twin], order[twin + 1]
    turned = (normals[a // 3] * normals[b // 3]).sum(axis=1) < SHARP
    # The third corner of the second face lies below the first face where the edge is convex.
    opposite = mesh.vertices[np.roll(faces, 1, axis=1).ravel()[b]]
    convex = ((opposite - mesh.vertices[start[a]]) * normals[a // 3]).sum(axis=1) < 0
    sharp = a[turned & convex]
    return np.stack([start[sharp], end[sharp]], axis=1).astype(np.int64)


def sharp_corners(mesh: TriangleMesh, edges: NDArray[np.int64]) -> NDArray[np.float64]:
    """Vertices (M, 3) where at least three of the edges (E, 2) meet."""
    meeting = np.bincount(edges.ravel(), minlength=len(mesh.vertices))
    return mesh.vertices[meeting >= 3]


def edge_directions(mesh: TriangleMesh, edges: NDArray[np.int64], points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Unit vectors (M, 3) along the edge that goes through each of the points (M, 3), zero where none or corners are.

    Points are vertices of the mesh.
    """
    through: dict[bytes, NDArray[np.float64]] = {}
    for vertex, others in _neighbours(edges).items():
        if not _is_corner(mesh, vertex, others):
            way = mesh.vertices[others[1]] - mesh.vertices[others[0]]
            through[mesh.vertices[vertex].tobytes()] = way / np.linalg.norm(way)
    zero = np.zeros(3)
    return np.array([through.get(point.tobytes(), zero) for point in points]).reshape(-1, 3)


def edge_pieces(
    mesh: TriangleMesh, edges: NDArray[np.int64], longest: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Straight pieces of the edges (E, 2), no longer than that [m]; those of the longest edges first.

    Pieces of an edge come in an order in which any beginning is spread over it.

    Returns:
        Their middles, on the edges, shape (M, 3), and half of each as a vector, shape (M, 3) [m].
    """
    lines: list[NDArray[np.float64]] = [mesh.vertices[np.array(line)] for line in _lines(mesh, edges)]
    lengths = [float(np.linalg.norm(np.diff(line, axis=0), axis=1).sum()) for line in lines]
    middles, halves = [np.zeros((0, 3))], [np.zeros((0, 3))]
    ranks: list[int] = np.argsort(-np.array(lengths), kind="stable").tolist()
    for which in ranks:
        line: NDArray[np.float64] = lines[which]
        reached = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))])
        count = int(np.ceil(reached[-1] / longest))
        share = np.arange(2 * count + 1) / (2 * count) * reached[-1]
        interp: Any = np.interp  # numpy leaves its result untyped.
        places: NDArray[np.float64] = np.stack([interp(share, reached, line[:, i]) for i in range(3)], axis=1)
        order = _spread(count)
        middles.append(places[1::2][order])
        halves.append(0.5 * (places[2::2] - places[:-2:2])[order])
    return np.concatenate(middles), np.concatenate(halves)


def _spread(count: int) -> NDArray[np.int64]:
    """0 to count - 1 by their bits in reverse, as van der Corput's sequence has them."""
    width = max(count - 1, 1).bit_length()
    return np.argsort([int(f"{i:0{width}b}"[::-1], 2) for i in range(count)], kind="stable")


def _lines(mesh: TriangleMesh, edges: NDArray[np.int64]) -> list[list[int]]:
    """Rows of vertices along the edges, from corner to corner; a ring ends where it began."""
    beside = _neighbours(edges)
    ends = [vertex for vertex, others in beside.items() if _is_corner(mesh, vertex, others)]
    corners, used = set(ends), set[tuple[int, int]]()
    lines: list[list[int]] = []
    for start in [*ends, *beside]:
        for second in beside[start]:
            if (start, second) in used:
                continue
            line = [start, second]
            used |= {(start, second), (second, start)}
            while line[-1] not in corners and line[-1] != start:
                a, b = beside[line[-1]]
                line.append(b if a == line[-2] else a)
                used |= {(line[-2], line[-1]), (line[-1], line[-2])}
            lines.append(line)
    return lines


def _neighbours(edges: NDArray[np.int64]) -> dict[int, list[int]]:
    """The vertices that each vertex is joined to by an edge."""
    beside: dict[int, list[int]] = {}
    for a, b in edges.tolist():
        beside.setdefault(a, []).append(b)
        beside.setdefault(b, []).append(a)
    return beside


def _is_corner(mesh: TriangleMesh, vertex: int, others: list[int]) -> bool:
    """Whether edges meet there rather than go on."""
    if len(others) != 2:
        return True
    into, out = mesh.vertices[vertex] - mesh.vertices[others[0]], mesh.vertices[others[1]] - mesh.vertices[vertex]
    return bool(into @ out < SHARP * np.linalg.norm(into) * np.linalg.norm(out))
