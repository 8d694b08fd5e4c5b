"""A signed field on a grid -> a closed triangle mesh of few faces.

Marching cubes [Lewiner 2003] on the largest piece, smoothed without shrinking [Taubin 1995], then simplified [Garland
and Heckbert 1997]. Each step is kept only when the mesh stays closed; where nothing else helps the hull is taken.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from dynamics import TriangleMesh, mass_properties
from scene3d._errors import BodyError, SegmentError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from scene3d.segment._collider_grid import Grid

__all__ = ["mesh_of_field"]

MOST_FACES = 5000
ROUNDS = 8
"""Rounds of Taubin's filter."""
FEWEST_VOXELS = 30


def mesh_of_field(field: NDArray, grid: Grid, name: str) -> TriangleMesh:
    """The surface where a field (nx, ny, nz), positive inside [scene units], is zero, in the world.

    Raises:
        SegmentError: Nothing, or next to nothing, is inside.
    """
    solid = _largest_piece(field > 0)
    if int(solid.sum()) < FEWEST_VOXELS:
        raise SegmentError(
            f"What the photos show of {name} encloses no volume. Take photos from more sides, or merge it with the "
            "object that it belongs to."
        )
    kept = np.where(solid == (field > 0), field, np.where(solid, grid.cell, -grid.cell))
    for blur in (0.0, 0.7, 1.2):
        found = _surface(kept, grid, blur)
        if found is not None:
            return found
    return _hull(kept, grid)


def _largest_piece(solid: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The largest connected piece, without voids inside."""
    ndimage: Any = import_module("scipy.ndimage")
    labels, count = ndimage.label(solid)
    if count > 1:
        solid = labels == 1 + np.argmax(np.bincount(labels.ravel())[1:])
    return ndimage.binary_fill_holes(solid)


def _surface(field: NDArray, grid: Grid, blur: float) -> TriangleMesh | None:
    """Marching cubes, smoothed and simplified; None when the mesh is not closed."""
    import trimesh
    from scipy import ndimage
    from skimage.measure import marching_cubes

    values = np.clip(field / grid.cell, -2, 2)
    if blur:
        values = ndimage.gaussian_filter(values, blur)
    vertices, faces, _, _ = marching_cubes(np.pad(values, 1, constant_values=-2), 0.0)
    rough = _outward(grid.world(vertices - 1), faces)
    mesh = trimesh.Trimesh(rough.vertices, rough.faces, process=True)
    pieces = mesh.split(only_watertight=True)
    if not len(pieces):
        return None
    mesh = max(pieces, key=lambda piece: abs(piece.volume))
    smooth: Any = trimesh.smoothing.filter_taubin(mesh.copy(), lamb=0.5, nu=0.53, iterations=ROUNDS)
    for candidate in (smooth, mesh):
        fine = TriangleMesh(np.asarray(candidate.vertices), np.asarray(candidate.faces))
        for found in (_simplified(fine), fine):
            if _closed(found):
                return found
    return None


def _outward(vertices: NDArray, faces: NDArray) -> TriangleMesh:
    a, b, c = (vertices[faces[:, i]] - vertices[0] for i in range(3))
    volume = float(np.einsum("ij,ij->i", a, np.cross(b, c)).sum())
    return TriangleMesh(vertices, faces if volume > 0 else faces[:, ::-1])


def _simplified(mesh: TriangleMesh) -> TriangleMesh:
    if len(mesh.faces) <= MOST_FACES:
        return mesh
    import open3d as o3d

    fine = o3d.geometry.TriangleMesh(
        o3d.utility.Vector3dVector(mesh.vertices), o3d.utility.Vector3iVector(mesh.faces.astype(np.int32))
    )
    coarse = fine.simplify_quadric_decimation(MOST_FACES)
    return TriangleMesh(np.asarray(coarse.vertices), np.asarray(coarse.triangles))


def _closed(mesh: TriangleMesh) -> bool:
    try:
        return mass_properties(mesh, 1.0).volume > 0
    except BodyError:
        return False


def _hull(field: NDArray, grid: Grid) -> TriangleMesh:
    import trimesh

    hull = trimesh.convex.convex_hull(grid.world(np.argwhere(field > 0).astype(float)))
    return _outward(np.asarray(hull.vertices), np.asarray(hull.faces))
