"""Colliders of a body -> its closed surface and its convex parts.

Engines collide what the approximation says, not what is drawn: the hull of a mesh, its box, its ball. That is what
becomes of it here too. A stage of ours keeps the true surface beside the parts; elsewhere the surface is the union of
the colliders, sampled anew where they overlap.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from scene3d._errors import BodyError
from sim_bridge.usd._import_mass import Solid
from sim_bridge.usd._read_shapes import PART_VERTICES, hull_mesh, read_shape
from sim_bridge.usd._read_values import our_data

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from dynamics import TriangleMesh
    from sim_bridge.usd._import_inventory import OwnedPrims
    from sim_bridge.usd._read_frames import BodyFrame
    from sim_bridge.usd._read_values import StageReader

__all__ = ["Geometry", "closed_volume", "read_geometry", "read_unseen"]

Geometry = tuple["TriangleMesh", "tuple[TriangleMesh, ...]", "list[Solid]"]
"""Surface, convex parts (none when the surface is convex), and solids to weigh, all in the body's frame."""
WHOLE = {"none", "sdf", "convexDecomposition", "meshSimplification"}
"""Approximations that keep cavities; ``none`` on a moving body is what engines treat each in their own way."""
CONVEX = 0.02
"""Share of its hull that a mesh may leave empty and still count as convex."""
MOST_SOLIDS = 4096
CELLS = 112
"""Cells along the longest side of the grid on which overlapping solids become one."""
LEVEL = 0.1
"""Distance at which the surface is taken there, in cells: where solids touch, none of it runs between them."""


def read_geometry(
    reader: StageReader, at: BodyFrame, owned: OwnedPrims, densities: dict[str, float | None]
) -> Geometry | None:
    """The shape of a body.

    Args:
        reader: Of the stage; gets notes about what was made up.
        at: The body's frame.
        owned: What belongs to the body.
        densities: Of the materials of its colliders [kg/m^3], by path.

    Returns:
        None when it has nothing that encloses a volume.
    """
    where = at.prim.GetPath()
    if len(owned.colliders) > MOST_SOLIDS:
        reader.note(f"{where} has {len(owned.colliders)} colliders; the first {MOST_SOLIDS} were read.")
    solids, parts = _collided(reader, at, owned.colliders[:MOST_SOLIDS], densities)
    surface = _surface(reader, at)
    if surface is not None:
        if all(str(prim.GetTypeName()) == "Sphere" for prim in owned.colliders):
            reader.note(f"{where} collides as {len(owned.colliders)} spheres; its convex parts were made anew.")
            return surface, _parts_of(reader, at, surface), solids
        return surface, parts, solids
    if not solids:
        return _guessed(reader, at, owned)
    if len(solids) == 1:
        mesh = solids[0].mesh
        if our_data(at.prim):  # Ours, and without a surface of its own: the collider is the surface.
            return mesh, (), solids
        if _is_convex(mesh):
            return mesh, (parts[0],) if len(mesh.vertices) > PART_VERTICES else (), solids
        reader.note(f"{where} has cavities: its convex parts were made anew.")
        return mesh, _parts_of(reader, at, mesh), solids
    return _united([solid.mesh for solid in solids]), parts, solids


def read_unseen(prim: Any, faces: int) -> NDArray[np.bool_]:
    """Which faces of a surface no photo saw, shape (F,); empty when that is not said."""
    subset = prim.GetChild("unseen") if prim else None
    indices = subset.GetAttribute("indices").Get() if subset else None
    if indices is None or not len(indices):
        return np.zeros(0, dtype=bool)
    chosen = np.asarray(indices)
    unseen = np.zeros(faces, dtype=bool)
    unseen[chosen[(chosen >= 0) & (chosen < faces)]] = True
    return unseen


def closed_volume(mesh: TriangleMesh) -> float | None:
    """Volume of a closed mesh [m^3]; None for one that encloses nothing."""
    from dynamics import mass_properties

    try:
        return mass_properties(mesh, 1.0).volume
    except BodyError:
        return None


def _collided(
    reader: StageReader, at: BodyFrame, prims: Sequence[Any], densities: dict[str, float | None]
) -> tuple[list[Solid], tuple[TriangleMesh, ...]]:
    """What engines collide: closed solids, and a convex part of at most 64 vertices for each."""
    solids: list[Solid] = []
    parts: list[TriangleMesh] = []
    for prim in prims:
        matrix, path = at.within(reader, prim), str(prim.GetPath())
        is_mesh = str(prim.GetTypeName()) == "Mesh"
        mesh = (
            _approximated(reader, prim, read_shape(reader, prim, matrix))
            if is_mesh
            else read_shape(reader, prim, matrix)
        )
        if mesh is None:
            reader.note(f"The collider {path} encloses no volume and was left out.")
            continue
        small = len(mesh.vertices) <= PART_VERTICES
        part = (
            mesh if small and is_mesh else hull_mesh(mesh) if is_mesh else read_shape(reader, prim, matrix, fine=False)
        )
        solids.append(Solid(prim, mesh, densities.get(path)))
        parts.append(part or mesh)
    return solids, tuple(parts)


def _approximated(reader: StageReader, prim: Any, mesh: TriangleMesh) -> TriangleMesh | None:
    """A mesh as its approximation says; None when it is flat."""
    how = str(reader.value(prim, "physics:approximation") or "none")
    closed = closed_volume(mesh)
    if how in WHOLE and closed is not None:
        return mesh
    hull = hull_mesh(mesh)
    if hull is None:
        return None
    if how in WHOLE:
        reader.note(f"The collider {prim.GetPath()} is not closed; its convex hull was taken.")
    if how in ("boundingCube", "boundingSphere"):
        return _bounding(mesh, how)
    whole = (
        closed is not None and len(mesh.vertices) <= PART_VERTICES and closed >= (1 - 1e-4) * (closed_volume(hull) or 0)
    )
    return mesh if whole else hull


def _bounding(mesh: TriangleMesh, how: str) -> TriangleMesh:
    from importlib import import_module

    from dynamics import TriangleMesh

    trimesh: Any = import_module("trimesh")
    low, high = mesh.bounds
    middle = (low + high) / 2
    if how == "boundingCube":
        shape = trimesh.creation.box(extents=high - low)
    else:
        radius = float(np.linalg.norm(mesh.vertices - middle, axis=1).max())
        shape = trimesh.creation.icosphere(subdivisions=2, radius=radius)
    return TriangleMesh(np.asarray(shape.vertices) + middle, np.asarray(shape.faces))


def _surface(reader: StageReader, at: BodyFrame) -> TriangleMesh | None:
    """The surface that the exporter kept beside the colliders."""
    prim = at.prim.GetChild("surface")
    if not our_data(at.prim) or not prim or str(prim.GetTypeName()) != "Mesh":
        return None
    return read_shape(reader, prim, at.within(reader, prim))


def _guessed(reader: StageReader, at: BodyFrame, owned: OwnedPrims) -> Geometry | None:
    """The hull of what is drawn of a body without colliders."""
    from dynamics import TriangleMesh
    from sim_bridge.usd._read_frames import apply
    from sim_bridge.usd._read_splats import read_raw

    points: list[NDArray[np.float64]] = []
    for prim in owned.visuals:
        if str(prim.GetTypeName()) != "Plane":
            points.append(read_shape(reader, prim, at.within(reader, prim)).vertices)
    for prim in owned.splats:
        centres = read_raw(reader, prim).positions.astype(np.float64)
        points.append(apply(at.within(reader, prim), centres[np.isfinite(centres).all(axis=1)]))
    everything = np.concatenate(points) if points else np.zeros((0, 3))
    if len(everything) < 4:
        return None
    count = len(everything) - len(everything) % 3
    cloud = TriangleMesh(everything, np.arange(count, dtype=np.int32).reshape(-1, 3))
    hull = hull_mesh(cloud)
    if hull is None:
        return None
    reader.note(f"{at.prim.GetPath()} has no collider: the convex hull of what is drawn of it was taken.")
    return hull, (), [Solid(at.prim, hull, None)]


def _is_convex(mesh: TriangleMesh) -> bool:
    hull, volume = hull_mesh(mesh, 4096), closed_volume(mesh)
    full = None if hull is None else closed_volume(hull)
    return volume is None or full is None or volume >= (1 - CONVEX) * full


def _parts_of(reader: StageReader, at: BodyFrame, mesh: TriangleMesh) -> tuple[TriangleMesh, ...]:
    from sim_bridge.usd._import_parts import parts_apart

    found = parts_apart(mesh)
    if found:
        return found
    reader.note(f"{at.prim.GetPath()} could not be cut into convex parts; its hull stands for them.")
    hull = hull_mesh(mesh)
    return () if hull is None else (hull,)


def _united(meshes: Sequence[TriangleMesh]) -> TriangleMesh:
    """One surface around several solids: side by side where their boxes lie apart, sampled anew else."""
    from dynamics import TriangleMesh

    low = np.array([mesh.bounds[0] for mesh in meshes])
    high = np.array([mesh.bounds[1] for mesh in meshes])
    meet = (np.maximum(low[:, None], low) < np.minimum(high[:, None], high)).all(axis=2)
    if meet.sum() > len(meshes):
        return _sampled(meshes)
    starts = np.cumsum([0, *(len(mesh.vertices) for mesh in meshes)])
    faces = [mesh.faces + start for mesh, start in zip(meshes, starts, strict=False)]
    return TriangleMesh(np.concatenate([mesh.vertices for mesh in meshes]), np.concatenate(faces))


def _sampled(meshes: Sequence[TriangleMesh]) -> TriangleMesh:
    """The zero level of the least signed distance, by marching cubes [Lorensen & Cline 1987]."""
    from importlib import import_module

    from dynamics import TriangleMesh
    from scene3d.edit._union import signed_distances

    measure: Any = import_module("skimage.measure")
    low = np.min([mesh.bounds[0] for mesh in meshes], axis=0)
    high = np.max([mesh.bounds[1] for mesh in meshes], axis=0)
    cell = float((high - low).max()) / CELLS
    low, shape = low - 2 * cell, tuple(int(n) + 5 for n in np.ceil((high - low) / cell))
    lines = [start + cell * np.arange(n) for start, n in zip(low, shape, strict=True)]
    grid = np.stack(np.meshgrid(*lines, indexing="ij"), axis=-1)
    values = np.full(shape, np.inf)
    for mesh in meshes:
        # Far from a solid its box is distance enough, so only the part of the grid around it is looked at.
        a = np.maximum(np.floor((mesh.bounds[0] - low) / cell).astype(int) - 2, 0)
        b = np.minimum(np.ceil((mesh.bounds[1] - low) / cell).astype(int) + 3, shape)
        block = tuple(slice(i, j) for i, j in zip(a, b, strict=True))
        near = signed_distances(mesh, grid[block].reshape(-1, 3)).reshape(values[block].shape)
        values[block] = np.minimum(values[block], near)
    values[~np.isfinite(values)] = 2 * cell
    vertices, faces, _, _ = measure.marching_cubes(
        values, LEVEL * cell, spacing=(cell, cell, cell), gradient_direction="descent"
    )
    return TriangleMesh(vertices.astype(np.float64) + low, faces)
