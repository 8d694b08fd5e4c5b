"""The union of two closed meshes, without a boolean library: side by side where they lie apart, resampled else.

Where solids overlap, the smaller of the two signed distances is negative exactly inside the union, so the union's
surface is its zero level, by marching cubes [Lorensen & Cline 1987].
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dynamics import TriangleMesh

__all__ = ["closest_faces", "signed_distances", "union"]

Marked = tuple["TriangleMesh", "NDArray[np.bool_]"]
"""A mesh, and a mark on each of its faces, shape (F,)."""
CELLS = 128
"""Cells along the longest side of the grid."""
MOST_POINTS = 200_000
"""Points of the grid, which is coarser when there would be more."""
DEEP = 0.5
"""Solids overlap when a point is this deep in both, in cells; less is a touch."""
SIGN_RAYS = 3
"""Rays that vote on whether a point lies inside."""
MOST_FACES = 6000
"""Triangles of a mesh that was sampled anew."""


def union(a: Marked, b: Marked) -> Marked:
    """One mesh of two, both in the same frame; each face of the result keeps the mark of the face that it came from."""
    from dynamics import TriangleMesh

    if not _overlap(a[0], b[0]):
        faces = np.concatenate([a[0].faces, b[0].faces + len(a[0].vertices)])
        vertices = np.concatenate([a[0].vertices, b[0].vertices])
        return TriangleMesh(vertices, faces), np.concatenate([a[1], b[1]])
    mesh = _resampled(a[0], b[0])
    middles = mesh.vertices[mesh.faces].mean(axis=1)
    (near_a, face_a), (near_b, face_b) = closest_faces(a[0], middles), closest_faces(b[0], middles)
    return mesh, np.where(near_a <= near_b, a[1][face_a], b[1][face_b])


def closest_faces(mesh: TriangleMesh, points: NDArray) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Distance of points (M, 3) to the nearest face (M,), and which that is (M,)."""
    found = _ray_scene(mesh).compute_closest_points(_tensor(points))
    away = np.linalg.norm(found["points"].numpy() - points, axis=1)
    return away, found["primitive_ids"].numpy().astype(np.int64)


def _overlap(a: TriangleMesh, b: TriangleMesh) -> bool:
    low, high = np.maximum(a.bounds[0], b.bounds[0]), np.minimum(a.bounds[1], b.bounds[1])
    if (low >= high).any():
        return False
    points, _, cell = _grid(low, high)
    inside_a = points[signed_distances(a, points) < -DEEP * cell]
    return bool(len(inside_a)) and bool((signed_distances(b, inside_a) < -DEEP * cell).any())


def _resampled(a: TriangleMesh, b: TriangleMesh) -> TriangleMesh:
    from skimage.measure import marching_cubes

    from dynamics import TriangleMesh

    low, high = np.minimum(a.bounds[0], b.bounds[0]), np.maximum(a.bounds[1], b.bounds[1])
    margin = 2 * (high - low).max() / CELLS
    points, shape, cell = _grid(low - margin, high + margin)
    values = np.minimum(signed_distances(a, points), signed_distances(b, points)).reshape(shape)
    # Inside is below zero here: with "descent" faces are counter-clockwise seen from outside.
    vertices, faces, _, _ = marching_cubes(values, 0.0, spacing=(cell, cell, cell), gradient_direction="descent")
    return _simplified(TriangleMesh(vertices.astype(np.float64) + low - margin, faces))


def _simplified(mesh: TriangleMesh) -> TriangleMesh:
    """Fewer triangles where they are still closed [Garland & Heckbert 1997], else the mesh as it is."""
    from open3d import geometry, utility

    from dynamics import TriangleMesh, mass_properties
    from dynamics._errors import BodyError

    shape = geometry.TriangleMesh(utility.Vector3dVector(mesh.vertices), utility.Vector3iVector(mesh.faces))
    small = shape.simplify_quadric_decimation(MOST_FACES)
    found = TriangleMesh(np.asarray(small.vertices), np.asarray(small.triangles))
    try:
        mass_properties(found, 1.0)
    except BodyError:
        return mesh
    return found


def _grid(low: NDArray, high: NDArray) -> tuple[NDArray[np.float64], tuple[int, ...], float]:
    """Points (M, 3) of a grid that covers a box, its shape and its spacing."""
    cell = max(float((high - low).max()) / CELLS, float(np.prod(high - low) / MOST_POINTS) ** (1 / 3))
    shape = tuple(int(n) + 1 for n in np.ceil((high - low) / cell))
    lines = [a + cell * np.arange(n) for a, n in zip(low, shape, strict=True)]
    return np.stack(np.meshgrid(*lines, indexing="ij"), axis=-1).reshape(-1, 3), shape, cell


def signed_distances(mesh: TriangleMesh, points: NDArray) -> NDArray[np.float64]:
    """Signed distances (M,) of points (M, 3), negative inside."""
    found = _ray_scene(mesh).compute_signed_distance(_tensor(points), nsamples=SIGN_RAYS)
    return found.numpy().astype(np.float64)


def _ray_scene(mesh: TriangleMesh) -> Any:
    from open3d import core, t

    scene = t.geometry.RaycastingScene()
    scene.add_triangles(_tensor(mesh.vertices), core.Tensor.from_numpy(mesh.faces.astype(np.uint32)))
    return scene


def _tensor(points: NDArray) -> Any:
    from open3d import core

    return core.Tensor.from_numpy(np.ascontiguousarray(points, dtype=np.float32))
