"""Bodies as prims: a rigid body with its mass, its colliders and its names; a support or the floor, which only stand.

Masses are always authored whole (mass, centre, principal moments and axes): left to the engine they would follow from
its own cooked hulls, which differ by more than half between engines. A moving body never collides as a bare mesh:
its convex parts do, or spheres packed into it. An object that stands still is no rigid body, and keeps its cavities.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from scene3d._errors import UsageError
from sim_bridge.usd._prims import bind_physics, hidden, set_pose, write_mesh

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from dynamics import Body, TriangleMesh

__all__ = ["check_body", "collider_parts", "with_small_parts", "write_rigid", "write_shapes", "write_static"]

CONVEX = 0.02
"""Share of its hull that a mesh may leave empty and still count as convex."""


def check_body(body: Body) -> None:
    """Say what keeps a body from being simulated elsewhere.

    Raises:
        UsageError: It has no collider, no mass, or an inertia that no solid has.
    """
    if not len(body.mesh.faces) and not any(len(part.faces) for part in body.parts):
        raise UsageError(
            f"{body.name!r} has no collider, so nothing can touch it. Make one by segmenting the scene again, or leave "
            f"the object out with `scene3d edit SCENE --remove {body.name!r}`."
        )
    if not (np.isfinite(body.mass) and body.mass > 0):
        raise UsageError(
            f"{body.name!r} has a mass of {body.mass:g} kg, and engines need one above zero. Set it with "
            f"`scene3d edit SCENE --mass {body.name}=KG`."
        )
    moments = np.linalg.eigvalsh(body.inertia) if np.isfinite(body.inertia).all() else np.zeros(3)
    if not (moments[0] > 0 and np.isfinite(body.com).all()):
        raise UsageError(
            f"{body.name!r} has principal moments of {moments.tolist()} kg m^2, and all must be above zero. Set its "
            f"mass again with `scene3d edit SCENE --mass {body.name}=KG`."
        )


def with_small_parts(body: Body) -> Body:
    """The body with convex parts that every engine takes as they are; none when its mesh is such a part itself."""
    from scipy.spatial import QhullError

    from sim_bridge.usd._hull_faces import within_limits

    if _is_bare(body):
        return body
    pieces: list[TriangleMesh] = []
    for part in collider_parts(body):
        try:
            pieces += within_limits(part)
        except QhullError:  # It is flat: no hull, and no part of a collider either.
            continue
    if not pieces:
        raise UsageError(
            f"The collider of {body.name!r} is flat, and engines need a solid. Make one by segmenting the scene again, "
            f"or leave the object out with `scene3d edit SCENE --remove {body.name!r}`."
        )
    itself = not body.parts and len(pieces) == 1 and pieces[0] is body.mesh
    return replace(body, parts=() if itself else tuple(pieces))


def collider_parts(body: Body) -> tuple[TriangleMesh, ...]:
    """What a body touches with: its convex parts, or the mesh itself."""
    return tuple(part for part in body.parts if len(part.faces)) or (body.mesh,)


def _is_bare(body: Body) -> bool:
    """Whether a body collides as its very triangles: it stands still, and its hull would fill cavities."""
    from scipy.spatial import ConvexHull, QhullError

    from sim_bridge.usd._import_solids import closed_volume

    if body.motion != "static" or body.parts:
        return False
    volume = closed_volume(body.mesh)
    try:
        return volume is None or volume < (1 - CONVEX) * float(ConvexHull(body.mesh.vertices).volume)
    except QhullError:  # A wall without thickness.
        return True


def write_rigid(stage: Any, path: str, body: Body, pose: ArrayLike, material: Any, *, spheres: bool = False) -> Any:
    """A body that forces move, a kinematic one, or one that stands still, which has colliders and no RigidBodyAPI.

    Args:
        stage: `Usd.Stage`.
        path: Of its Xform.
        body: What it is.
        pose: Of its frame in the stage, xyz [m] + wxyz.
        material: `UsdShade.Material` of its colliders.
        spheres: Spheres packed into the body in place of its convex parts.

    Returns:
        The `Usd.Prim`.
    """
    from pxr import Gf, UsdGeom, UsdPhysics

    prim = UsdGeom.Xform.Define(stage, path).GetPrim()
    set_pose(prim, pose)
    if body.motion != "static":
        rigid = UsdPhysics.RigidBodyAPI.Apply(prim)
        if body.motion == "kinematic":
            rigid.CreateKinematicEnabledAttr(True)
    mass = UsdPhysics.MassAPI.Apply(prim)
    moments, axes = body.principal_inertia()
    mass.CreateMassAttr(body.mass)
    mass.CreateCenterOfMassAttr(Gf.Vec3f(*body.com.tolist()))
    mass.CreateDiagonalInertiaAttr(Gf.Vec3f(*moments.tolist()))
    mass.CreatePrincipalAxesAttr(Gf.Quatf(*_wxyz(axes)))
    write_shapes(stage, path, body, material, spheres=spheres)
    return prim


def write_static(stage: Any, path: str, pose: ArrayLike, mesh: TriangleMesh, material: Any) -> Any:
    """Something that never moves: one convex mesh, which no engine needs a mass of."""
    prim = write_mesh(stage, path, mesh).GetPrim()
    set_pose(prim, pose)
    _collide(prim, material)
    return prim


def write_shapes(
    stage: Any, path: str, body: Body, material: Any, *, spheres: bool = False, touch: bool = True
) -> None:
    """The colliders of a body, and its surface where that is something else.

    Args:
        stage: `Usd.Stage`.
        path: Of the body's Xform.
        body: What it is.
        material: `UsdShade.Material` of its colliders.
        spheres: See `write_rigid`.
        touch: Whether these shapes touch anything; those of a deformable do not, its particles do.
    """
    from pxr import UsdGeom

    folder = UsdGeom.Xform.Define(stage, f"{path}/colliders")
    folder.CreatePurposeAttr(UsdGeom.Tokens.guide)
    if spheres:
        _write_spheres(stage, f"{path}/colliders", body, material)
    else:
        bare = _is_bare(body)
        for number, part in enumerate(collider_parts(body)):
            prim = write_mesh(stage, f"{path}/colliders/part_{number:03d}", part).GetPrim()
            if touch:
                _collide(prim, material, bare=bare)
            else:
                hidden(prim)
    if body.parts or spheres:
        hidden(write_mesh(stage, f"{path}/surface", body.mesh).GetPrim())


def write_unseen(mesh: Any, unseen: NDArray[np.bool_]) -> None:
    """Name the faces of a mesh that no photo saw, shape (F,)."""
    from pxr import UsdGeom, Vt

    if unseen.any():
        faces = Vt.IntArray.FromNumpy(np.flatnonzero(unseen).astype(np.int32))
        UsdGeom.Subset.CreateGeomSubset(mesh, "unseen", UsdGeom.Tokens.face, faces, "scene3d")


def _collide(prim: Any, material: Any, *, bare: bool = False) -> None:
    from pxr import UsdPhysics

    UsdPhysics.CollisionAPI.Apply(prim)
    if prim.GetTypeName() == "Mesh":
        how = UsdPhysics.Tokens.none if bare else UsdPhysics.Tokens.convexHull
        UsdPhysics.MeshCollisionAPI.Apply(prim).CreateApproximationAttr(how)
    bind_physics(prim, material)


def _write_spheres(stage: Any, folder: str, body: Body, material: Any) -> None:
    from pxr import Gf, UsdGeom

    from sim_bridge.usd._sphere_pack import sphere_pack

    for number, (x, y, z, radius) in enumerate(sphere_pack(body).tolist()):
        ball = UsdGeom.Sphere.Define(stage, f"{folder}/sphere_{number:03d}")
        ball.CreateRadiusAttr(radius)
        ball.CreateExtentAttr([(-radius,) * 3, (radius,) * 3])
        ball.CreatePurposeAttr(UsdGeom.Tokens.guide)
        ball.AddTranslateOp().Set(Gf.Vec3d(x, y, z))
        _collide(ball.GetPrim(), material)


def _wxyz(rotation: NDArray[np.float64]) -> tuple[float, float, float, float]:
    import torch

    from dynamics.poses import wxyz_from_rotation

    w, x, y, z = wxyz_from_rotation(torch.from_numpy(np.ascontiguousarray(rotation))).tolist()
    return w, x, y, z
