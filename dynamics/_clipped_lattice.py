"""A lattice of tetrahedra cut to a closed mesh: signed distances in, tetrahedra that end on the surface out.

mesh -> body-centred cubic lattice over its box -> signed distance at every lattice point -> points very near the
surface move onto it, so that no sliver arises -> tetrahedra that straddle the surface are cut along it. This is
isosurface stuffing [Labelle and Shewchuk 2007], with prisms split by the order of their vertices instead of by parity.
It gives the same result every time and its cost is known beforehand, neither of which holds for mesh improvement.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dynamics._errors import BodyError

if TYPE_CHECKING:
    from dynamics._triangle_mesh import TriangleMesh

__all__ = ["clip", "clipped_lattice", "depths", "inside_lattice"]

MOST_POINTS = 1_000_000
"""Lattice points over the box of a mesh."""
NEAR = 0.3
"""A lattice point moves onto the surface when that cuts one of its edges within this share of the edge."""
SMALLEST = 1e-4
"""Tetrahedra of less than this share of a whole one are dropped."""
_TETRAHEDRON_EDGES = ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3))


def depths(mesh: TriangleMesh, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """How deep points (N, 3) lie inside a closed mesh [m], negative outside, shape (N,)."""
    o3d: Any = import_module("open3d")
    middle = mesh.bounds.mean(axis=0)
    scene = o3d.t.geometry.RaycastingScene()
    scene.add_triangles(
        o3d.core.Tensor((mesh.vertices - middle).astype(np.float32)),
        o3d.core.Tensor(np.ascontiguousarray(mesh.faces, dtype=np.uint32)),
    )
    queries = o3d.core.Tensor((points - middle).astype(np.float32))
    # Three rays a point: one that grazes an edge is outvoted.
    return -np.asarray(scene.compute_signed_distance(queries, nsamples=3).numpy(), dtype=np.float64)


def inside_lattice(mesh: TriangleMesh, spacing: float) -> NDArray[np.float64]:
    """Points (N, 3) of a cubic lattice inside a closed mesh, each standing for ``spacing`` cubed of it.

    Raises:
        BodyError: The lattice would have too many points.
    """
    low, high = mesh.bounds
    _check_size(high - low, spacing, 1)
    axes = [np.arange(a + spacing / 2, b + spacing / 2, spacing) for a, b in zip(low, high, strict=True)]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    return points[depths(mesh, points) > 0]


def clipped_lattice(mesh: TriangleMesh, spacing: float) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    """Tetrahedra that fill a closed mesh.

    Args:
        mesh: Closed, counter-clockwise seen from outside.
        spacing: Edge of the lattice's cubes [m]; inner particles are 0.87 of it apart.

    Returns:
        Points [m] (P, 3) and tetrahedra of positive volume (C, 4); none where the mesh is thinner than the lattice.

    Raises:
        BodyError: The lattice would have too many points.
    """
    low, high = mesh.bounds
    _check_size(high - low, spacing, 2)
    points, cells = _cubic_lattice(low, high, spacing)
    depth = depths(mesh, points)
    touched = (depth[cells] > 0).any(axis=1)
    points, cells = clip(points, cells[touched], depth)
    corners = points[cells]
    volumes = np.einsum(
        "ci,ci->c",
        corners[:, 1] - corners[:, 0],
        np.cross(corners[:, 2] - corners[:, 0], corners[:, 3] - corners[:, 0]),
    )
    cells = np.where(volumes[:, None] < 0, cells[:, [0, 1, 3, 2]], cells)[np.abs(volumes) > SMALLEST * spacing**3 / 2]
    used, cells = np.unique(cells, return_inverse=True)
    return points[used], cells.reshape(-1, 4).astype(np.int32)


def clip(
    points: NDArray[np.float64], cells: NDArray[np.int64], depth: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The part of a mesh of triangles or tetrahedra where a function is positive.

    Args:
        points: Shape (N, D).
        cells: Triangles (C, 3) or tetrahedra (C, 4).
        depth: The function at the points, linear in between, shape (N,).

    Returns:
        Points, of which the first N are those given, some moved onto the boundary, and cells; unused points are left
        in, orientations are not kept.
    """
    corners = cells.shape[1]
    pairs = [(a, b) for a, b in _TETRAHEDRON_EDGES if b < corners]
    edges = np.unique(np.sort(np.concatenate([cells[:, pair] for pair in pairs]), axis=1), axis=0)
    points, depth = _snapped(points, depth, edges)
    positive = depth > 0
    edges = edges[(depth[edges[:, 0]] * depth[edges[:, 1]]) < 0]
    share = depth[edges[:, 0]] / (depth[edges[:, 0]] - depth[edges[:, 1]])
    cuts = points[edges[:, 0]] + share[:, None] * (points[edges[:, 1]] - points[edges[:, 0]])
    keys = edges[:, 0] * len(points) + edges[:, 1]

    def between(inside: NDArray[np.int64], outside: NDArray[np.int64]) -> NDArray[np.int64]:
        """The cut between two points; the inner one itself where it lies on the boundary."""
        key = np.minimum(inside, outside) * len(points) + np.maximum(inside, outside)
        at = np.searchsorted(keys, key)
        return np.where(depth[inside] == 0, inside, len(points) + np.minimum(at, len(keys) - 1))

    cells = cells[positive[cells].any(axis=1)]
    # Inner corners first; a point on the boundary counts as inner.
    order = np.argsort(depth[cells] < 0, axis=1, kind="stable")
    cells = np.take_along_axis(cells, order, axis=1)
    inner = (depth[cells] >= 0).sum(axis=1)
    pieces = [cells[inner == corners]]
    for count in range(1, corners):
        chosen = cells[inner == count]
        cut = {(i, o): between(chosen[:, i], chosen[:, o]) for i in range(count) for o in range(count, corners)}
        pieces += _inner_piece(chosen, cut, count)
    found = np.concatenate(pieces)
    ranked = np.sort(found, axis=1)
    return np.concatenate([points, cuts]), found[(ranked[:, 1:] != ranked[:, :-1]).all(axis=1)]


def _inner_piece(
    cells: NDArray[np.int64], cut: dict[tuple[int, int], NDArray[np.int64]], inner: int
) -> list[NDArray[np.int64]]:
    """Triangles or tetrahedra of the part of ``cells`` beside their first ``inner`` corners."""
    corners = [cells[:, i] for i in range(cells.shape[1])]
    outer = range(inner, len(corners))
    if inner == 1:
        return [np.stack([corners[0], *(cut[0, o] for o in outer)], axis=1)]
    if len(corners) == 3:
        a, b, c, d = corners[0], corners[1], cut[1, 2], cut[0, 2]
        first = np.minimum(a, c) < np.minimum(b, d)
        one = np.where(first, [a, b, c], [a, b, d])
        return [one.T, np.where(first, [a, c, d], [b, c, d]).T]
    if inner == 2:
        return _prism([corners[0], cut[0, 2], cut[0, 3]], [corners[1], cut[1, 2], cut[1, 3]])
    return _prism(corners[:3], [cut[0, 3], cut[1, 3], cut[2, 3]])


def _prism(bottom: list[NDArray[np.int64]], top: list[NDArray[np.int64]]) -> list[NDArray[np.int64]]:
    """Three tetrahedra of each prism; its sides are split at their smallest vertices, hence as its neighbours' are."""
    vertices = np.stack([*bottom, *top], axis=1)
    # Turn each prism so that vertex 0 is its smallest; two sides are split there, one choice is left.
    turns = np.array([[0, 1, 2, 3, 4, 5], [1, 2, 0, 4, 5, 3], [2, 0, 1, 5, 3, 4]])
    turns = np.concatenate([turns, turns[:, [3, 5, 4, 0, 2, 1]]])
    smallest = np.argmin(vertices, axis=1)
    which = np.argmax(turns[:, 0] == smallest[:, None], axis=1)
    v = np.take_along_axis(vertices, turns[which], axis=1)
    straight = np.minimum(v[:, 1], v[:, 5]) < np.minimum(v[:, 2], v[:, 4])
    one = np.where(straight[:, None], v[:, [0, 1, 2, 5]], v[:, [0, 1, 2, 4]])
    two = np.where(straight[:, None], v[:, [0, 1, 5, 4]], v[:, [0, 4, 2, 5]])
    return [one, two, v[:, [0, 4, 5, 3]]]


def _snapped(
    points: NDArray[np.float64], depth: NDArray[np.float64], edges: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Points that the boundary passes closely, moved onto it along the edge that it cuts nearest to them."""
    both = np.concatenate([edges, edges[:, ::-1]])
    both = both[depth[both[:, 0]] * depth[both[:, 1]] < 0]
    share = depth[both[:, 0]] / (depth[both[:, 0]] - depth[both[:, 1]])
    both, share = both[share < NEAR], share[share < NEAR]
    step = share[:, None] * (points[both[:, 1]] - points[both[:, 0]])
    order = np.lexsort((np.einsum("ei,ei->e", step, step), both[:, 0]))
    moved, first = np.unique(both[order, 0], return_index=True)
    points, depth = points.copy(), depth.copy()
    points[moved] += step[order[first]]
    depth[moved] = 0.0
    return points, depth


def _cubic_lattice(
    low: NDArray[np.float64], high: NDArray[np.float64], spacing: float
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Body-centred cubic points (N, 3) around a box, and tetrahedra (C, 4).

    Each spans two neighbouring centres of cubes and an edge of the square between them.
    """
    counts = np.ceil((high - low) / spacing).astype(np.int64) + 3
    start = (low + high) / 2 - (counts - 1) * spacing / 2
    grid: NDArray[np.int64] = np.indices(tuple(counts)).reshape(3, -1).T
    points = np.concatenate([start + spacing * grid, start + spacing * (grid + 0.5)])
    strides = np.array([counts[1] * counts[2], counts[2], 1])
    cells: list[NDArray[np.int64]] = []
    for axis in range(3):
        u, v = np.eye(3, dtype=np.int64)[[(axis + 1) % 3, (axis + 2) % 3]]
        ahead = np.eye(3, dtype=np.int64)[axis]
        here = grid[(grid + ahead + u + v < counts).all(axis=1)]
        centre = here @ strides + len(grid)
        square = [(here + ahead + offset) @ strides for offset in (np.zeros(3, dtype=np.int64), u, u + v, v)]
        for corner in range(4):
            cells.append(np.stack([centre, centre + strides[axis], square[corner], square[(corner + 1) % 4]], axis=1))
    return points, np.concatenate(cells)


def _check_size(extent: NDArray[np.float64], spacing: float, each: int) -> None:
    if not (np.isfinite(spacing) and spacing > 0):
        raise BodyError(f"The spacing of particles is a length in metres above zero, found {spacing!r}.")
    count = each * float(np.prod(extent / spacing + 3))
    if count > MOST_POINTS:
        raise BodyError(
            f"Particles {spacing:.3g} m apart would need {count:.2g} lattice points for a body of "
            f"{' x '.join(f'{side:.3g}' for side in extent)} m; at most {MOST_POINTS} are laid. Take a larger spacing."
        )
