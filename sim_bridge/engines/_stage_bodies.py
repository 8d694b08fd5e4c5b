"""What a stage says of its bodies, for comparing: a composed stage in, rigid bodies and what stands still out.

This reads only what a proof compares with: mass properties as authored, friction, poses, and the corners of colliders,
each in its body's frame. It takes stages as this project exports them, in metres and kilograms with Z up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from scene3d._errors import FileFormatError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["StageBodies", "StageBody", "read_bodies"]

EARTH = 9.81
"""[m/s^2]"""
CUBE = np.array([(x, y, z) for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)])
WIDE = 1000.0
"""A plane without end is taken for a slab of this side [m]."""


@dataclass(frozen=True, eq=False)
class StageBody:
    """A rigid body of a stage, or what a proof compares an engine's with."""

    name: str
    """As the scene calls it."""
    path: str
    """Of its prim."""
    pose: NDArray[np.float64]
    """Of the body frame in the world, xyz [m] + wxyz, shape (7,)."""
    mass: float
    """[kg]"""
    com: NDArray[np.float64]
    """In the body frame [m], shape (3,)."""
    inertia: NDArray[np.float64]
    """About the centre of mass, body axes [kg m^2], shape (3, 3)."""
    friction: float | None
    """Dynamic friction of its colliders."""
    corners: NDArray[np.float64]
    """Vertices of its colliders in the body frame [m], shape (V, 3)."""


@dataclass(frozen=True, eq=False)
class StageBodies:
    """Everything of a stage that a proof looks at."""

    bodies: tuple[StageBody, ...]
    """Rigid bodies."""
    statics: tuple[NDArray[np.float64], ...]
    """Corners of each collider that stands still, in the world [m], shape (V, 3)."""
    soft: tuple[str, ...]
    """Paths of deformable objects."""
    gravity: NDArray[np.float64]
    """[m/s^2], shape (3,)."""


def read_bodies(stage: Any, where: str) -> StageBodies:
    """Read the bodies of a stage.

    Args:
        stage: `Usd.Stage`.
        where: What messages call it.

    Raises:
        FileFormatError: Other units or another up axis, no rigid body, or one without mass or colliders.
    """
    from pxr import Usd, UsdGeom, UsdPhysics

    meters, kilograms = UsdGeom.GetStageMetersPerUnit(stage), UsdPhysics.GetStageKilogramsPerUnit(stage)
    up = UsdGeom.GetStageUpAxis(stage)
    if abs(meters - 1) > 1e-9 or abs(kilograms - 1) > 1e-9 or up != "Z":
        raise FileFormatError(
            f"{where} has {meters:g} m and {kilograms:g} kg a unit and {up} up; a proof takes metres, kilograms and Z. "
            "Make a scene of it with `scene3d import`, and prove that."
        )
    places = UsdGeom.XformCache()
    moving: dict[str, list[Any]] = {}
    statics: list[NDArray[np.float64]] = []
    soft: list[str] = []
    for prim in stage.Traverse(Usd.TraverseInstanceProxies()):
        if prim.HasAPI(UsdPhysics.RigidBodyAPI):
            moving.setdefault(str(prim.GetPath()), [])
        if soft and prim.GetPath().HasPrefix(soft[-1]):
            continue
        if _is_soft(prim):
            soft.append(str(prim.GetPath()))
        elif prim.HasAPI(UsdPhysics.CollisionAPI):
            owner = _owner(prim)
            if owner is None:
                statics.append(_moved(_corners(prim), _matrix(places, prim)))
            else:
                moving.setdefault(str(owner.GetPath()), []).append(prim)
    if not moving:
        raise FileFormatError(f"{where} has no rigid body, so there is nothing to prove.")
    bodies = tuple(_body(stage.GetPrimAtPath(path), prims, places, where) for path, prims in moving.items())
    names = [body.name for body in bodies]
    if len(set(names)) < len(names):
        raise FileFormatError(f"{where} has two bodies of one name among {', '.join(names)}. Rename one.")
    return StageBodies(bodies, tuple(corners for corners in statics if len(corners)), tuple(soft), _gravity(stage))


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
    """Whether a prim is deformable; USD itself knows none of these schemas, so their names are read as they stand."""
    schemas = prim.GetMetadata("apiSchemas")
    names = () if schemas is None else schemas.GetAppliedItems()
    return any("Deformable" in name and "Material" not in name for name in names)


def _owner(prim: Any) -> Any:
    """The rigid body that a collider belongs to, None for one that stands still."""
    from pxr import UsdPhysics

    while prim and not prim.HasAPI(UsdPhysics.RigidBodyAPI):
        prim = prim.GetParent()
    return prim or None


def _body(prim: Any, colliders: list[Any], places: Any, where: str) -> StageBody:
    from pxr import UsdPhysics

    path = str(prim.GetPath())
    name = (prim.GetCustomDataByKey("scene3d:name") or prim.GetDisplayName()) or prim.GetName()
    world = _matrix(places, prim)
    turn = world[:3, :3]
    if not np.allclose(turn @ turn.T, np.eye(3), atol=1e-4):
        raise FileFormatError(f"{where}: {path} is scaled; a rigid body has a translation and a rotation only.")
    mass_api = UsdPhysics.MassAPI(prim)
    mass, com = mass_api.GetMassAttr().Get() or 0.0, mass_api.GetCenterOfMassAttr().Get()
    moments, axes = mass_api.GetDiagonalInertiaAttr().Get(), mass_api.GetPrincipalAxesAttr().Get()
    if not mass > 0 or com is None or moments is None or axes is None or not min(moments) > 0:
        raise FileFormatError(
            f"{where}: {path} leaves mass, centre of mass or inertia to the engine, and engines differ there. "
            "Author all four attributes of PhysicsMassAPI; `scene3d check` names them."
        )
    inward = np.linalg.inv(world)
    corners = [_moved(_corners(part), inward @ _matrix(places, part)) for part in colliders]
    if not sum(map(len, corners)):
        raise FileFormatError(f"{where}: {path} has no collider, so it falls through everything.")
    R = _rotation(np.array([axes.GetReal(), *axes.GetImaginary()]))
    return StageBody(
        str(name),
        path,
        np.array([*world[:3, 3], *_wxyz(turn)]),
        float(mass),
        np.array(com, dtype=np.float64),
        R @ np.diag(np.array(moments, dtype=np.float64)) @ R.T,
        _friction(colliders),
        np.concatenate(corners),
    )


def _friction(colliders: list[Any]) -> float | None:
    from pxr import UsdPhysics, UsdShade

    for prim in colliders:
        material, _ = UsdShade.MaterialBindingAPI(prim).ComputeBoundMaterial("physics")
        if material and material.GetPrim().HasAPI(UsdPhysics.MaterialAPI):
            return float(UsdPhysics.MaterialAPI(material.GetPrim()).GetDynamicFrictionAttr().Get())
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


def _matrix(places: Any, prim: Any) -> NDArray[np.float64]:
    """Places column vectors of a prim's frame in the world, shape (4, 4)."""
    return np.array(places.GetLocalToWorldTransform(prim), dtype=np.float64).T


def _moved(points: NDArray[np.float64], matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    return points @ matrix[:3, :3].T + matrix[:3, 3]


def _rotation(wxyz: NDArray[np.float64]) -> NDArray[np.float64]:
    import torch

    from dynamics.poses import matrix_from_pose

    unit = wxyz / np.linalg.norm(wxyz)
    return matrix_from_pose(torch.tensor([0.0, 0, 0, *unit], dtype=torch.float64)).numpy()[:3, :3]


def _wxyz(turn: NDArray[np.float64]) -> NDArray[np.float64]:
    import torch

    from dynamics.poses import wxyz_from_rotation

    return wxyz_from_rotation(torch.from_numpy(np.ascontiguousarray(turn))).numpy()
