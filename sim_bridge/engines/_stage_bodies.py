"""What a stage says of its bodies, for comparing: a composed stage in, rigid bodies and what stands still out.

This reads only what a proof compares with: mass properties as authored, friction, poses, and the corners of colliders,
each in its body's frame. It takes stages as this project exports them, in metres and kilograms with Z up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from scene3d._errors import FileFormatError
from sim_bridge.engines._stage_places import is_scaled, matrix_of, moved, pose_of, rotation_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["StageBodies", "StageBody", "StageThing", "name_of", "read_bodies", "schemas_of"]

EARTH = 9.81
"""[m/s^2]"""
CUBE = np.array([(x, y, z) for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)])
WIDE = 1000.0
"""A plane without end is taken for a slab of this side [m]."""


@dataclass(frozen=True, eq=False)
class StageThing:
    """Something of a stage that moves, or what a proof compares an engine's with."""

    name: str
    """As the scene calls it."""
    path: str
    """Of its prim."""
    pose: NDArray[np.float64]
    """Of its frame in the world, xyz [m] + wxyz, shape (7,)."""
    mass: float
    """[kg]"""
    com: NDArray[np.float64]
    """Centre of mass in its frame [m], shape (3,)."""
    corners: NDArray[np.float64]
    """Points of its surface in its frame [m], no other of which lies farther out, shape (V, 3)."""


@dataclass(frozen=True, eq=False)
class StageBody(StageThing):
    """A rigid body; its corners are the vertices of its colliders."""

    inertia: NDArray[np.float64]
    """About the centre of mass, body axes [kg m^2], shape (3, 3)."""
    friction: float | None
    """Dynamic friction of its colliders."""
    static_friction: float | None
    """Static friction of its colliders."""
    restitution: float | None
    """Of its colliders."""
    kinematic: bool = False
    """Whether the stage leads it along, whatever is in its way."""


@dataclass(frozen=True, eq=False)
class StageBodies:
    """Everything of a stage that a proof looks at."""

    bodies: tuple[StageBody, ...]
    """Rigid bodies."""
    statics: tuple[NDArray[np.float64], ...]
    """Corners of each collider that stands still, in the world [m], shape (V, 3)."""
    soft: tuple[str, ...]
    """Paths of deformable objects."""
    joints: tuple[str, ...]
    """Paths of joints."""
    gravity: NDArray[np.float64]
    """[m/s^2], shape (3,)."""


def read_bodies(stage: Any, where: str) -> StageBodies:
    """Read the bodies of a stage.

    Args:
        stage: `Usd.Stage`.
        where: What messages call it.

    Raises:
        FileFormatError: Other units or another up axis, nothing that moves, or a body without mass or colliders.
    """
    from pxr import Usd, UsdGeom, UsdPhysics

    meters, kilograms = UsdGeom.GetStageMetersPerUnit(stage), UsdPhysics.GetStageKilogramsPerUnit(stage)
    up = UsdGeom.GetStageUpAxis(stage)
    if not (abs(meters - 1) <= 1e-9 and abs(kilograms - 1) <= 1e-9 and up == "Z"):
        raise FileFormatError(
            f"{where} has {meters:g} m and {kilograms:g} kg a unit and {up} up; a proof takes metres, kilograms and Z. "
            "Make a scene of it with `scene3d import`, and prove that."
        )
    places = UsdGeom.XformCache()
    moving: dict[str, list[Any]] = {}
    statics: list[NDArray[np.float64]] = []
    soft: list[str] = []
    joints: list[str] = []
    for prim in stage.Traverse(Usd.TraverseInstanceProxies()):
        if _moves(prim):
            moving.setdefault(str(prim.GetPath()), [])
        if soft and prim.GetPath().HasPrefix(soft[-1]):
            continue
        if _is_soft(prim):
            soft.append(str(prim.GetPath()))
        elif prim.IsA(UsdPhysics.Joint):
            joints.append(str(prim.GetPath()))
        elif prim.HasAPI(UsdPhysics.CollisionAPI) and UsdPhysics.CollisionAPI(prim).GetCollisionEnabledAttr().Get():
            owner = _owner(prim)
            if owner is None:
                statics.append(moved(_corners(prim), matrix_of(places, prim)))
            else:
                moving.setdefault(str(owner.GetPath()), []).append(prim)
    if not moving and not soft:
        raise FileFormatError(f"{where} has no rigid body and nothing deformable, so there is nothing to prove.")
    bodies = tuple(_body(stage.GetPrimAtPath(path), prims, places, where) for path, prims in moving.items())
    names = [body.name for body in bodies]
    if len(set(names)) < len(names):
        raise FileFormatError(f"{where} has two bodies of one name among {', '.join(names)}. Rename one.")
    solids = tuple(corners for corners in statics if len(corners))
    return StageBodies(bodies, solids, tuple(soft), tuple(joints), _gravity(stage))


def name_of(prim: Any) -> str:
    """What people call a prim."""
    return str(prim.GetCustomDataByKey("scene3d:name") or prim.GetDisplayName() or prim.GetName())


def _gravity(stage: Any) -> NDArray[np.float64]:
    """As USD has it: no direction is down, and no magnitude is the earth's."""
    from pxr import UsdPhysics

    for prim in stage.Traverse():
        if prim.IsA(UsdPhysics.Scene):
            scene = UsdPhysics.Scene(prim)
            way = np.array(scene.GetGravityDirectionAttr().Get() or (0, 0, 0), dtype=np.float64)
            size = float(scene.GetGravityMagnitudeAttr().Get())
            way = np.array([0.0, 0, -1]) if not way.any() else way / np.linalg.norm(way)
            return way * (size if np.isfinite(size) and size >= 0 else EARTH)
    return np.array([0.0, 0, -EARTH])


def _is_soft(prim: Any) -> bool:
    return any("Deformable" in name and "Material" not in name for name in schemas_of(prim))


def schemas_of(prim: Any) -> tuple[str, ...]:
    """Names of schemas applied to a prim as they stand: USD itself knows none of those of deformables."""
    schemas = prim.GetMetadata("apiSchemas")
    return () if schemas is None else tuple(schemas.GetAppliedItems())


def _owner(prim: Any) -> Any:
    """The rigid body that a collider belongs to, None for one that stands still."""
    while prim and not _moves(prim):
        prim = prim.GetParent()
    return prim or None


def _moves(prim: Any) -> bool:
    """Whether a prim is a rigid body that is not switched off."""
    from pxr import UsdPhysics

    return prim.HasAPI(UsdPhysics.RigidBodyAPI) and bool(UsdPhysics.RigidBodyAPI(prim).GetRigidBodyEnabledAttr().Get())


def _body(prim: Any, colliders: list[Any], places: Any, where: str) -> StageBody:
    from pxr import UsdPhysics

    path, name = str(prim.GetPath()), name_of(prim)
    if prim.IsInstanceProxy():
        raise FileFormatError(
            f"{where}: {path} lies within an instance, so a proof cannot put it anywhere. Take `instanceable` off what "
            "it lies in."
        )
    world = matrix_of(places, prim)
    if not np.isfinite(world).all():
        raise FileFormatError(f"{where}: {path} is placed at numbers that are not finite. Export it again.")
    if is_scaled(world):
        raise FileFormatError(
            f"{where}: {path} is scaled or mirrored; a rigid body has a translation and a rotation only."
        )
    mass_api = UsdPhysics.MassAPI(prim)
    mass, com = mass_api.GetMassAttr().Get() or 0.0, mass_api.GetCenterOfMassAttr().Get()
    moments, axes = mass_api.GetDiagonalInertiaAttr().Get(), mass_api.GetPrincipalAxesAttr().Get()
    if com is None or moments is None or axes is None or not (_sound(mass, moments, com) and axes.GetLength() > 0):
        raise FileFormatError(
            f"{where}: {path} leaves mass, centre of mass or inertia to the engine, and engines differ there. "
            "Author all four attributes of PhysicsMassAPI with numbers above zero; `scene3d check` names them."
        )
    inward = np.linalg.inv(world)
    corners = [moved(_corners(part), inward @ matrix_of(places, part)) for part in colliders]
    if not sum(map(len, corners)):
        raise FileFormatError(f"{where}: {path} has no collider, so it falls through everything.")
    if not all(np.isfinite(part).all() for part in corners):
        raise FileFormatError(f"{where}: a collider of {path} has points that are no numbers. Export it again.")
    R = rotation_of(np.array([axes.GetReal(), *axes.GetImaginary()]))
    surface = _surface(colliders)
    return StageBody(
        name=name,
        path=path,
        pose=pose_of(world),
        mass=float(mass),
        com=np.array(com, dtype=np.float64),
        corners=np.concatenate(corners),
        inertia=R @ np.diag(np.array(moments, dtype=np.float64)) @ R.T,
        friction=None if surface is None else float(surface.GetDynamicFrictionAttr().Get()),
        static_friction=None if surface is None else float(surface.GetStaticFrictionAttr().Get()),
        restitution=None if surface is None else float(surface.GetRestitutionAttr().Get()),
        kinematic=bool(UsdPhysics.RigidBodyAPI(prim).GetKinematicEnabledAttr().Get()),
    )


def _sound(mass: float, moments: Any, com: Any) -> bool:
    """Whether mass properties are those of a body."""
    return bool(np.isfinite([mass, *moments, *com]).all() and min(mass, *moments) > 0)


def _surface(colliders: list[Any]) -> Any:
    """`UsdPhysics.MaterialAPI` of the first collider that has one, None without."""
    from pxr import UsdPhysics, UsdShade

    for prim in colliders:
        material, _ = UsdShade.MaterialBindingAPI(prim).ComputeBoundMaterial("physics")
        if material and material.GetPrim().HasAPI(UsdPhysics.MaterialAPI):
            return UsdPhysics.MaterialAPI(material.GetPrim())
    return None


def _corners(prim: Any) -> NDArray[np.float64]:
    """Corners of a collider in its own frame; of a sphere, points all over it."""
    from pxr import UsdGeom

    if prim.IsA(UsdGeom.Mesh):
        points = UsdGeom.Mesh(prim).GetPointsAttr().Get()
        return np.array(points if points is not None else [], dtype=np.float64).reshape(-1, 3)
    if prim.IsA(UsdGeom.Cube):
        return CUBE * float(UsdGeom.Cube(prim).GetSizeAttr().Get())
    if prim.IsA(UsdGeom.Sphere):
        turn = np.arange(500) * np.pi * (1 + 5**0.5)
        z = np.linspace(-1, 1, 500)
        flat = np.sqrt(1 - z * z)
        points = np.stack([flat * np.cos(turn), flat * np.sin(turn), z], axis=1)
        return points * float(UsdGeom.Sphere(prim).GetRadiusAttr().Get())
    if prim.IsA(UsdGeom.Plane) and UsdGeom.Plane(prim).GetAxisAttr().Get() == "Z":
        return CUBE * [WIDE, WIDE, 1.0] - [0.0, 0.0, 0.5]
    return np.zeros((0, 3))
