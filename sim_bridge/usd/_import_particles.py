"""Deformables that our exporter wrote -> objects with particles and the binding of their splats.

Only stages of ours have the binding that makes splats ride on particles; a deformable of another program is therefore
left out, and said by the walk over the stage.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from scene3d._errors import BodyError
from sim_bridge.usd._import_bodies import described
from sim_bridge.usd._import_material import read_material, written
from sim_bridge.usd._import_solids import closed_volume, read_unseen
from sim_bridge.usd._read_frames import apply
from sim_bridge.usd._read_shapes import read_shape
from sim_bridge.usd._read_values import finite, our_data

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dynamics import Body, Particles, TriangleMesh
    from scene3d import Gaussians
    from scene3d._scene_object import Binding, SceneObject
    from sim_bridge.usd._import_inventory import OwnedPrims
    from sim_bridge.usd._read_frames import BodyFrame
    from sim_bridge.usd._read_values import StageReader

__all__ = ["read_binding", "read_deformable"]

KINDS = {"TetMesh": "solid", "BasisCurves": "rope", "Mesh": "cloth"}
MOST_PARTICLES, MOST_BINDINGS = 2_000_000, 800_000_000


def read_deformable(reader: StageReader, at: BodyFrame, owned: OwnedPrims, name: str) -> SceneObject | None:
    """An object of particles, still without its binding.

    Args:
        reader: Of the stage; gets notes.
        at: The frame of its Xform.
        owned: What belongs to it.
        name: Its name in the scene.

    Returns:
        None when its particles make no sense; that is noted.
    """
    prim = at.prim
    try:
        particles = _particles(reader, at, prim.GetChild("particles"))
    except BodyError as error:
        particles = None
        reader.note(f"{prim.GetPath()}: {error}")
    meshes = _meshes(reader, at)
    if particles is None or meshes is None:
        reader.note(f"The deformable {prim.GetPath()} is not whole and was left out; its splats stay where they are.")
        return None
    material, _ = read_material(reader, [prim.GetChild("particles")])
    body = _body(reader, at, name, meshes, material, particles)
    unseen = read_unseen(prim.GetChild("surface"), len(meshes[0].faces))
    return described(prim, body, at, [], unseen)


def read_binding(reader: StageReader, prims: Sequence[Any], splats: Gaussians, body: Body) -> Binding:
    """How an object's splats ride on its particles: as the exporter kept it, else worked out anew.

    Args:
        reader: Of the stage; gets notes.
        prims: The object's splat prims, in order.
        splats: What was read from them, in the rest shape.
        body: With particles.
    """
    from scene3d._binding import bind
    from scene3d._scene_object import Binding

    particles = body.particles
    assert particles is not None
    found = [_rows(reader, prim) for prim in prims]
    whole = [rows for rows in found if rows is not None]
    if len(whole) == len(prims) and len({rows[0].shape[1] for rows in whole}) == 1:
        indices = np.concatenate([rows[0] for rows in whole])
        weights = np.concatenate([rows[1] for rows in whole])
        sums = weights.sum(axis=1)
        in_range = len(indices) == len(splats) and indices.min(initial=0) >= 0
        if in_range and indices.max(initial=0) < len(particles) and (np.abs(sums - 1) < 1e-2).all():
            return Binding(indices.astype(np.int32), weights.astype(np.float32))
    reader.note(f"The splats of {body.name!r} were bound to its particles anew.")
    return bind(splats.means.double().numpy(), particles)


def _rows(reader: StageReader, prim: Any) -> tuple[Any, Any] | None:
    """Particles and weights of each splat of a prim, shape (N, k)."""
    indices = reader.array(prim, "scene3d:binding:indices", 1, MOST_BINDINGS, np.int64)
    weights = reader.array(prim, "scene3d:binding:weights", 1, MOST_BINDINGS, np.float32)
    attribute = prim.GetAttribute("scene3d:binding:indices")
    k = int(attribute.GetMetadata("elementSize") or 0) if attribute else 0
    if indices is None or weights is None or k < 1 or len(indices) % k or len(indices) != len(weights):
        return None
    return indices.reshape(-1, k), weights.reshape(-1, k)


def _particles(reader: StageReader, at: BodyFrame, prim: Any) -> Particles | None:
    from dynamics import Particles

    kind = KINDS.get(str(prim.GetTypeName()))
    rest = reader.array(prim, "omniphysics:restShapePoints", 3, MOST_PARTICLES)
    points = reader.array(prim, "points", 3, MOST_PARTICLES) if rest is None else rest
    masses = reader.array(prim, "physics:masses", 1, MOST_PARTICLES)
    edges = reader.array(prim, "scene3d:edges", 2, 8 * MOST_PARTICLES, np.int32)
    radius = finite(reader.value(prim, "scene3d:radius", fallback=False))
    if kind is None or points is None or masses is None or radius is None:
        return None
    points = apply(at.within(reader, prim), points)
    scale = float(at.scale.mean())
    cells = np.zeros((0, 4), dtype=np.int32)
    if kind == "solid":
        found = reader.array(prim, "tetVertexIndices", 4, 8 * MOST_PARTICLES, np.int32)
        cells = cells if found is None else found
    elif kind == "cloth":
        cells = read_shape(reader, prim, np.eye(4)).faces
    edges = np.zeros((0, 2), dtype=np.int32) if edges is None else edges
    return Particles(kind, points, masses * reader.units.kilograms, edges, cells, written(float(radius)) * scale)  # type: ignore[arg-type]


def _meshes(reader: StageReader, at: BodyFrame) -> tuple[TriangleMesh, tuple[TriangleMesh, ...]] | None:
    """Surface and convex parts, which the exporter keeps beside the particles."""
    folder = at.prim.GetChild("colliders")
    prims = [child for child in folder.GetChildren() if str(child.GetTypeName()) == "Mesh"] if folder else []
    parts = tuple(read_shape(reader, prim, at.within(reader, prim)) for prim in prims)
    surface = at.prim.GetChild("surface")
    if surface and str(surface.GetTypeName()) == "Mesh":
        return read_shape(reader, surface, at.within(reader, surface)), parts
    return (parts[0], ()) if parts else None


def _body(reader: StageReader, at: BodyFrame, name: str, meshes: Any, material: Any, particles: Particles) -> Body:
    """Mass, centre and inertia as the exporter kept them, else those of the particles."""
    from dynamics import Body, mass_properties
    from sim_bridge.usd._import_mass import BodyMass, exact_mass

    mesh, parts = meshes
    given = finite(reader.value(at.prim, "physics:mass", fallback=False))
    total = float(particles.masses.sum())
    mass = written(float(given)) * reader.units.kilograms if given is not None and given > 0 else total
    if closed_volume(mesh) is not None:
        solid = mass_properties(mesh, 1.0)
        com, inertia = solid.com, solid.inertia * (mass / solid.mass)
    else:
        com = particles.masses @ particles.points / total
        arm = particles.points - com
        square = np.einsum("p,pi,pj->ij", particles.masses, arm, arm) * (mass / total)
        inertia = np.trace(square) * np.eye(3) - square
    weight = exact_mass(at.prim, BodyMass(mass, com, inertia, True), mass_only=True)
    spread = finite(our_data(at.prim).get("mass_log_std"))
    scaled = replace(particles, masses=particles.masses * (weight.mass / total))
    return Body(
        name,
        mesh,
        material,
        weight.mass,
        weight.com,
        weight.inertia,
        parts,
        mass_log_std=0.0 if spread is None else float(spread),
        particles=scaled,
    )
