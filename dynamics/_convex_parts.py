"""Convex parts of a mesh, for engines that collide convex shapes only: mesh in, a few convex meshes out.

CoACD cuts the mesh by planes until each part differs from its hull by less than a threshold that is measured on the
surface and inside, which keeps cavities open [Wei, Liu, Su: Approximate Convex Decomposition for 3D Meshes with
Collision-Aware Concavity and Tree Search, SIGGRAPH 2022]. A mesh that is convex but for the threshold comes back as
its hull. Its search grows with the number of triangles, so a fine mesh is simplified first.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dynamics._errors import BodyError
from dynamics._mass_properties import mass_properties
from dynamics._surface_points import hull_points, surface_points
from dynamics._triangle_mesh import TriangleMesh

__all__ = ["convex_parts"]

MOST_VERTICES = 64
"""Of each part: what PhysX takes."""
HULL_GAP = 1e-4
"""Vertices of a hull that reach out less than this share of the diagonal are left out."""
MOST_FACES = 1500
"""Finer meshes are simplified to this many triangles."""
HULL_SAMPLES = 2000
RESOLUTION = 1000
"""Surface samples that CoACD measures concavity with."""
ITERATIONS, NODES, DEPTH = 20, 10, 2
"""Of CoACD's tree search at each cut: longer plans are barely better and many times slower."""


def convex_parts(
    mesh: TriangleMesh, *, threshold: float = 0.05, most_parts: int = 32, seed: int = 0
) -> tuple[TriangleMesh, ...]:
    """Convex meshes whose union approximates a closed mesh.

    Args:
        mesh: Closed surface.
        threshold: Concavity that a part may keep, as a share of half the longest side of the mesh, 0.01 to 1. A mesh
            that its hull exceeds by no more than this share of the volume, and nowhere by more than this share of
            the longest side, counts as convex.
        most_parts: Parts are merged until there are no more than these.
        seed: Of CoACD's search; the result is the same for any number of threads.

    Returns:
        At least one part, each of at most 64 vertices.

    Raises:
        BodyError: The mesh is open, inside out or flat, or an option is out of range.
    """
    if not 0.01 <= threshold <= 1:
        raise BodyError(f"Convex parts keep a concavity of 0.01 to 1, found {threshold:g}.")
    if most_parts < 1:
        raise BodyError(f"A mesh has at least one convex part, found a limit of {most_parts}.")
    volume = mass_properties(mesh, 1.0).volume
    hull = _hull(mesh.vertices)
    if most_parts == 1 or _is_convex(mesh, volume, hull, threshold):
        return (hull,)
    simple = _simplified(mesh)
    coacd: Any = import_module("coacd")
    coacd.set_log_level("off")
    found = coacd.run_coacd(
        coacd.Mesh(simple.vertices, simple.faces),
        threshold=threshold,
        max_convex_hull=most_parts,
        # The mesh is closed already; what touches itself would come back with far more triangles than went in.
        preprocess_mode="off",
        resolution=RESOLUTION,
        mcts_iterations=ITERATIONS,
        mcts_nodes=NODES,
        mcts_max_depth=DEPTH,
        max_ch_vertex=MOST_VERTICES,
        seed=seed,
    )
    parts = [_hull(np.asarray(vertices, dtype=np.float64)) for vertices, _ in found if len(vertices) > 3]
    return tuple(parts) or (hull,)


def _hull(points: NDArray[np.float64]) -> TriangleMesh:
    """Convex hull of the points that reach out most."""
    gap = HULL_GAP * float(np.linalg.norm(np.ptp(points, axis=0)))
    convex: Any = import_module("trimesh.convex")
    hull = convex.convex_hull(hull_points(points, gap, MOST_VERTICES))
    return TriangleMesh(np.asarray(hull.vertices), np.asarray(hull.faces))


def _is_convex(mesh: TriangleMesh, volume: float, hull: TriangleMesh, threshold: float) -> bool:
    """Whether the hull is nowhere far from the mesh, nor much larger."""
    if 1 - volume / mass_properties(hull, 1.0).volume > threshold:
        return False
    o3d: Any = import_module("open3d")
    scene = o3d.t.geometry.RaycastingScene()
    scene.add_triangles(mesh.vertices.astype(np.float32), mesh.faces.astype(np.uint32))
    away = scene.compute_distance(surface_points(hull, HULL_SAMPLES)).numpy()
    return bool(away.max() <= threshold * float(np.ptp(mesh.bounds, axis=0).max()))


def _simplified(mesh: TriangleMesh) -> TriangleMesh:
    """The mesh with fewer triangles [Garland and Heckbert 1997], unless that tears it."""
    # Open3D must be imported before CoACD, whichever mesh comes: afterwards its bindings fail to load.
    o3d: Any = import_module("open3d")
    if len(mesh.faces) <= MOST_FACES:
        return mesh
    fine = o3d.geometry.TriangleMesh(
        o3d.utility.Vector3dVector(mesh.vertices), o3d.utility.Vector3iVector(mesh.faces)
    ).remove_duplicated_vertices()
    coarse = fine.simplify_quadric_decimation(MOST_FACES)
    found = TriangleMesh(np.asarray(coarse.vertices), np.asarray(coarse.triangles))
    try:
        mass_properties(found, 1.0)
    except BodyError:
        return mesh
    return found
