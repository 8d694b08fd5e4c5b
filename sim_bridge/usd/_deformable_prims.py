"""Deformables as prims: particles in the body's frame -> TetMesh, BasisCurves or Mesh, in the names of two schemas.

Neither schema comes with usd-core, so both are authored by name: that of the AOUSD proposal, which Newton reads, and
OmniPhysics, which Isaac Sim reads. The object is an Xform with a pose and no rigid body; its simulation geometry is the
child `particles`, its splats ride on it by the binding that stays with them, and its closed surface and convex parts
are kept beside it, untouchable.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from scene3d._errors import UsageError
from sim_bridge.usd._body_prims import write_shapes
from sim_bridge.usd._material_prims import SCHEMAS
from sim_bridge.usd._prims import apply_schema, author, bind_physics, set_pose, vectors

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from dynamics import Body, Particles
    from scene3d._scene_object import Binding

__all__ = ["write_binding", "write_deformable", "write_particles_at"]


def write_deformable(stage: Any, path: str, body: Body, pose: ArrayLike, material: Any) -> Any:
    """A body of particles.

    Args:
        stage: `Usd.Stage`.
        path: Of its Xform.
        body: With particles.
        pose: Of its frame in the stage, xyz [m] + wxyz.
        material: `UsdShade.Material` of its family.

    Returns:
        The `Usd.Prim` of the Xform.

    Raises:
        UsageError: It has no particles.
    """
    from pxr import Sdf, UsdGeom, UsdPhysics

    particles = body.particles
    if particles is None:
        raise UsageError(
            f"{body.name!r} is deformable but has no particles. Make it rigid and deformable again with "
            f"`scene3d edit SCENE --kind {body.name}=rigid --kind {body.name}=deformable`."
        )
    prim = UsdGeom.Xform.Define(stage, path).GetPrim()
    set_pose(prim, pose)
    apply_schema(prim, "PhysicsDeformableBodyAPI", "OmniPhysicsDeformableBodyAPI")
    author(prim, "physics:mass", Sdf.ValueTypeNames.Float, body.mass)
    author(prim, "omniphysics:mass", Sdf.ValueTypeNames.Float, body.mass)
    geometry = _GEOMETRY[particles.kind](stage, f"{path}/particles", particles)
    word = SCHEMAS[particles.kind]
    apply_schema(geometry, f"Physics{word}DeformableSimAPI", f"OmniPhysics{word}DeformableSimAPI")
    UsdPhysics.CollisionAPI.Apply(geometry)
    bind_physics(geometry, material)
    author(geometry, "omniphysics:restShapePoints", Sdf.ValueTypeNames.Point3fArray, vectors(particles.points))
    _write_measures(geometry, particles)
    UsdGeom.Imageable(geometry).CreatePurposeAttr(UsdGeom.Tokens.guide)
    write_shapes(stage, path, body, material, touch=False)
    return prim


def write_particles_at(geometry: Any, points: NDArray[np.float64], time: float) -> None:
    """Author where the particles are at a time code, in the body's frame [m], shape (P, 3)."""
    from pxr import UsdGeom

    based = UsdGeom.PointBased(geometry)
    based.GetPointsAttr().Set(vectors(points), time)
    based.GetExtentAttr().Set(vectors(_box(points)), time)


def write_binding(splats: Any, binding: Binding) -> None:
    """Keep with a splat prim which particles carry which splat: k indices and weights each, in the splats' order."""
    from pxr import Sdf, Vt

    indices = Vt.IntArray.FromNumpy(np.ascontiguousarray(binding.indices.ravel(), dtype=np.int32))
    weights = Vt.FloatArray.FromNumpy(np.ascontiguousarray(binding.weights.ravel(), dtype=np.float32))
    for name, kind, value in (
        ("scene3d:binding:indices", Sdf.ValueTypeNames.IntArray, indices),
        ("scene3d:binding:weights", Sdf.ValueTypeNames.FloatArray, weights),
    ):
        attribute = splats.CreateAttribute(name, kind, custom=True)
        attribute.Set(value)
        attribute.SetMetadata("elementSize", binding.indices.shape[1])


def _solid(stage: Any, path: str, particles: Particles) -> Any:
    from pxr import Sdf, Usd, UsdGeom, Vt

    mesh = UsdGeom.TetMesh.Define(stage, path)
    _points(mesh, particles)
    cells = Vt.Vec4iArray.FromNumpy(np.ascontiguousarray(particles.cells, dtype=np.int32))
    mesh.CreateTetVertexIndicesAttr(cells)
    mesh.CreateSurfaceFaceVertexIndicesAttr(UsdGeom.TetMesh.ComputeSurfaceFaces(mesh, Usd.TimeCode.Default()))
    author(mesh.GetPrim(), "omniphysics:restTetVtxIndices", Sdf.ValueTypeNames.Int4Array, cells)
    return mesh.GetPrim()


def _rope(stage: Any, path: str, particles: Particles) -> Any:
    from pxr import Sdf, UsdGeom, Vt

    curve = UsdGeom.BasisCurves.Define(stage, path)
    _points(curve, particles)
    curve.CreateTypeAttr(UsdGeom.Tokens.linear)
    curve.CreateCurveVertexCountsAttr([len(particles)])
    curve.CreateWidthsAttr([2 * particles.radius])
    curve.SetWidthsInterpolation(UsdGeom.Tokens.constant)
    order = Vt.IntArray.FromNumpy(np.arange(len(particles), dtype=np.int32))
    author(curve.GetPrim(), "omniphysics:restCrvVtxIndices", Sdf.ValueTypeNames.IntArray, order)
    return curve.GetPrim()


def _cloth(stage: Any, path: str, particles: Particles) -> Any:
    from pxr import Sdf, UsdGeom, Vt

    mesh = UsdGeom.Mesh.Define(stage, path)
    _points(mesh, particles)
    mesh.CreateFaceVertexCountsAttr(Vt.IntArray(len(particles.cells), 3))
    indices = np.ascontiguousarray(particles.cells.ravel(), dtype=np.int32)
    mesh.CreateFaceVertexIndicesAttr(Vt.IntArray.FromNumpy(indices))
    mesh.CreateSubdivisionSchemeAttr(UsdGeom.Tokens.none)
    cells = Vt.Vec3iArray.FromNumpy(np.ascontiguousarray(particles.cells, dtype=np.int32))
    author(mesh.GetPrim(), "omniphysics:restTriVtxIndices", Sdf.ValueTypeNames.Int3Array, cells)
    return mesh.GetPrim()


_GEOMETRY = {"solid": _solid, "rope": _rope, "cloth": _cloth}


def _points(based: Any, particles: Particles) -> None:
    based.CreatePointsAttr(vectors(particles.points))
    # Curves reach half a width beyond their points.
    reach = particles.radius if particles.kind == "rope" else 0.0
    based.CreateExtentAttr(vectors(_box(particles.points) + np.array([[-reach], [reach]])))


def _write_measures(geometry: Any, particles: Particles) -> None:
    """Masses and thickness as the AOUSD proposal has them, and what it has no names for."""
    from pxr import Sdf, Vt

    masses = Vt.FloatArray.FromNumpy(particles.masses.astype(np.float32))
    author(geometry, "physics:masses", Sdf.ValueTypeNames.FloatArray, masses)
    author(geometry, "physics:masses:elementType", Sdf.ValueTypeNames.Token, "point", uniform=True)
    if particles.kind != "solid":
        author(geometry, "physics:thicknesses", Sdf.ValueTypeNames.FloatArray, [2 * particles.radius])
        author(geometry, "physics:thicknesses:elementType", Sdf.ValueTypeNames.Token, "constant", uniform=True)
    edges = Vt.Vec2iArray.FromNumpy(np.ascontiguousarray(particles.edges, dtype=np.int32))
    geometry.CreateAttribute("scene3d:edges", Sdf.ValueTypeNames.Int2Array, custom=True).Set(edges)
    geometry.CreateAttribute("scene3d:radius", Sdf.ValueTypeNames.Float, custom=True).Set(particles.radius)


def _box(points: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.stack([points.min(axis=0), points.max(axis=0)])
