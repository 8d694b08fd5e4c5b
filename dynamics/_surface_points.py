"""Points on a mesh that stand for its surface in contacts: corners and rims first, then evenly spread.

A body that lies on a table touches it with points of its convex hull, so the first points are those that the hull
cannot do without: vertex after vertex, whichever shrinks most the gap between the hull and the hull of the points
chosen so far. That takes all corners of a box and a ring of a can's rim, on sharp meshes and on rounded ones. Corners
within cavities follow, then the middles of pieces of sharp edges, which is where a mug's inner rim meets what falls on
it, then blue noise: always the surface point farthest from those that there are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dynamics._errors import BodyError
from dynamics._sharp_edges import edge_directions, edge_pieces, sharp_corners, sharp_edges

if TYPE_CHECKING:
    from dynamics._triangle_mesh import TriangleMesh

__all__ = ["contact_points", "hull_points", "surface_points"]

DIRECTIONS = 2048
"""Directions in which the hull of the points is compared with that of the mesh."""
GAP = 0.002
"""Gap between the two hulls that is good enough, as a share of the diagonal of the mesh's box."""
FEW = 32
"""Corners alone may use up this many points; of more points at most half."""
CLOSEST = 0.02
"""Corners nearer to each other than this share of the diagonal count as one: a rough surface is no field of corners."""
ALONG = 0.05
"""Length of the pieces of sharp edges, as a share of the diagonal; a rim of a can strays from its pieces by a fifth of
a millimetre."""
EDGES = 0.75
"""Share of the points that corners and edges together may use up."""
POINT = 1e-5
"""Length of the piece that a point on an edge has which stands for no piece, as a share of the diagonal."""
CANDIDATES = 16
"""Surface points that blue noise chooses from, for each that it needs."""


def surface_points(mesh: TriangleMesh, count: int, seed: int = 0) -> NDArray[np.float32]:
    """Contact points of a mesh.

    Args:
        mesh: Closed or open surface.
        count: How many points, P.
        seed: Of the random points that the even ones are chosen from.

    Returns:
        Points on the surface in the mesh's frame [m], shape (P, 3), the most important first: any beginning of them
        is a smaller set of contact points.

    Raises:
        BodyError: The mesh has no area, or the count is not above zero.
    """
    return contact_points(mesh, count, seed)[0]


def contact_points(mesh: TriangleMesh, count: int, seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Contact points as from `surface_points`, and the piece of a sharp edge that each stands for.

    Returns:
        Points [m], shape (P, 3), and half of their pieces as vectors [m], shape (P, 3): very short ones where pieces
        meet, zero for corners and points that are on no edge.
    """
    if count < 1:
        raise BodyError(f"A body needs at least one contact point, found {count}.")
    corners = mesh.vertices[mesh.faces]
    areas = 0.5 * np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    if not areas.sum() > 0:
        raise BodyError("The mesh has no area, so it has no points for contacts.")
    diagonal = float(np.linalg.norm(np.ptp(mesh.bounds, axis=0)))
    budget = max(count // 2, min(count, FEW))
    chosen = hull_points(mesh.vertices[np.unique(mesh.faces)], GAP * diagonal, budget)
    edges = sharp_edges(mesh)
    along = POINT * diagonal * edge_directions(mesh, edges, chosen)
    found = sharp_corners(mesh, edges)
    if len(found) and len(chosen) < budget:
        chosen = np.concatenate([chosen, _farthest(found, chosen, budget - len(chosen), CLOSEST * diagonal)])
    middles, halves = edge_pieces(mesh, edges, ALONG * diagonal)
    more = max(int(EDGES * count) - len(chosen), 0)
    along = np.concatenate([along, np.zeros((len(chosen) - len(along), 3)), halves[:more]])
    chosen = np.concatenate([chosen, middles[:more]])
    left = count - len(chosen)
    if left > 0:
        candidates = _even_points(corners, areas, CANDIDATES * left, seed)
        chosen = np.concatenate([chosen, _farthest(candidates, chosen, left, 0.0)])
    return chosen.astype(np.float32), _padded(along, len(chosen))


def _padded(along: NDArray[np.float64], count: int) -> NDArray[np.float32]:
    """As many rows; those behind are zero."""
    rows = np.zeros((count, 3), dtype=np.float32)
    rows[: len(along)] = along
    return rows


def hull_points(vertices: NDArray[np.float64], gap: float, most: int) -> NDArray[np.float64]:
    """Vertices (M, 3) whose hull comes within the gap of the hull of all, greedily."""
    directions = _directions()
    # Some directions at a time, since a mesh may have many vertices; few of them are extreme in any.
    extreme = np.concatenate([(vertices @ part.T).argmax(axis=0) for part in np.array_split(directions, 32)])
    kept, extreme = np.unique(extreme, return_inverse=True)
    vertices = vertices[kept]
    reach = vertices @ directions.T
    height = reach.max(axis=0)
    chosen = [int(np.argmax(((vertices - vertices.mean(axis=0)) ** 2).sum(axis=1)))]
    covered = reach[chosen[0]]
    while len(chosen) < most:
        worst = int(np.argmax(height - covered))
        if height[worst] - covered[worst] <= gap:
            break
        chosen.append(int(extreme[worst]))
        covered = np.maximum(covered, reach[chosen[-1]])
    return vertices[chosen]


def _directions() -> NDArray[np.float64]:
    """Unit vectors (D, 3) on a Fibonacci spiral; no axis of a box is among them, where vertices would tie."""
    index = np.arange(DIRECTIONS)
    z = 1 - (2 * index + 1) / DIRECTIONS
    angle = index * np.pi * (3 - np.sqrt(5)) + 0.5
    ring = np.sqrt(1 - z * z)
    return np.stack([ring * np.cos(angle), ring * np.sin(angle), z], axis=1)


def _even_points(
    corners: NDArray[np.float64], areas: NDArray[np.float64], count: int, seed: int
) -> NDArray[np.float64]:
    """Random points (M, 3), one from each of equal shares of the area."""
    chance = np.random.default_rng(seed)
    reached = np.cumsum(areas)
    wanted = (np.arange(count) + chance.random(count)) / count * reached[-1]
    face = np.asarray(np.searchsorted(reached, wanted), dtype=np.int64)
    u, v = np.sqrt(chance.random(count)), chance.random(count)
    a, b, c = np.moveaxis(corners[np.minimum(face, len(corners) - 1)], 1, 0)
    return a * (1 - u)[:, None] + b * (u * (1 - v))[:, None] + c * (u * v)[:, None]


def _farthest(
    candidates: NDArray[np.float64], chosen: NDArray[np.float64], count: int, closest: float
) -> NDArray[np.float64]:
    """Up to ``count`` candidates, each the farthest from all before it, while that is beyond ``closest``."""
    nearest = np.full(len(candidates), np.inf)
    for point in chosen:
        nearest = np.minimum(nearest, ((candidates - point) ** 2).sum(axis=1))
    picked: list[int] = []
    for _ in range(min(count, len(candidates))):
        best = int(np.argmax(nearest))
        if nearest[best] < closest**2:
            break
        picked.append(best)
        nearest = np.minimum(nearest, ((candidates - candidates[best]) ** 2).sum(axis=1))
    return candidates[picked]
