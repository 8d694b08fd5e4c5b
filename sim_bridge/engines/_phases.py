"""The two phases of a proof: what moves in a stage in, first poses and the layers that hold them out.

In the fall everything that moves hangs in a row of its own far above everything, so that nothing touches. In the rest
things stand where the scene has them, raised until no corner is lower than a hair above what they stand on. Each phase
is a small layer over the stage: engines load it as they would load the stage itself, so no engine needs a way to move
things. Rigid and deformable things are proven apart, so the layer leaves out the others; splats too, and joints, which
would tear what hangs in a row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sim_bridge.engines._supports import Solid, support_below

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from sim_bridge.engines._stage_bodies import StageThing

__all__ = ["DT", "FALL", "REST", "Phase", "fall", "placed", "rest", "write_layer"]

DT = 1.0 / 240.0
"""Length of a step [s]."""
FALL, REST = "fall", "rest"
FALL_STEPS = 60
HAIR = 5e-4
"""Bodies are set down from this height [m]."""
APART = 0.2
"""Room between falling bodies [m]."""
HIGH = 0.6
"""Falling bodies begin so far above everything [m]; they fall 0.31 m."""


@dataclass(frozen=True, eq=False)
class Phase:
    """How a phase begins and when it is read."""

    name: str
    poses: dict[str, NDArray[np.float64]]
    """First pose of each body by its name, xyz [m] + wxyz, shape (7,)."""
    steps: int
    """How many steps it takes."""
    read: tuple[int, ...]
    """After how many steps bodies are read."""


def placed(thing: StageThing, pose: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Corners (V, 3) of a thing and its centre of mass (3,) in the world [m]."""
    import torch

    from dynamics.poses import matrix_from_pose

    given = torch.tensor(np.asarray(pose, dtype=np.float64))
    given[3:] /= given[3:].norm()
    T = matrix_from_pose(given).numpy()
    return thing.corners @ T[:3, :3].T + T[:3, 3], T[:3, :3] @ thing.com + T[:3, 3]


def fall(things: Sequence[StageThing], statics: Sequence[NDArray[np.float64]]) -> Phase:
    """Everything that moves in the air, apart from all else."""
    corners = [placed(thing, thing.pose)[0] for thing in things]
    highest = max(points[:, 2].max() for points in [*corners, *statics])
    poses, x = {}, 0.0
    for thing, points in zip(things, corners, strict=True):
        low, high = points.min(axis=0), points.max(axis=0)
        pose = thing.pose.copy()
        pose[0] += x - low[0]
        pose[2] += highest + HIGH - low[2]
        x += high[0] - low[0] + APART
        poses[thing.name] = pose
    return Phase(FALL, poses, FALL_STEPS, (FALL_STEPS // 4, FALL_STEPS // 2, FALL_STEPS))


def rest(things: Sequence[StageThing], solids: Sequence[Solid], seconds: float) -> Phase:
    """Everything that moves where the scene has it, raised until it stands free of its support by a hair."""
    poses = {}
    for thing in things:
        corners, com = placed(thing, thing.pose)
        top = support_below(solids, com)
        pose = thing.pose.copy()
        if top is not None:
            lift = max(0.0, HAIR - float(top.heights(corners).min()))
            pose[:3] += lift * top.normal
        poses[thing.name] = pose
    steps = max(2, round(seconds / DT))
    return Phase(REST, poses, steps, (steps // 2, steps))


def write_layer(
    model: Path, moving: Sequence[StageThing], poses: Mapping[str, NDArray[np.float64]], idle: Iterable[str], path: Path
) -> None:
    """Write a layer over a stage that holds first poses.

    Args:
        model: The stage.
        moving: What the phase is about.
        poses: Of those, by their names, xyz [m] + wxyz.
        idle: Paths of prims that are left out of it.
        path: A .usda file that is not there yet.
    """
    from pxr import Sdf, Usd, UsdGeom, UsdPhysics

    stage = Usd.Stage.CreateNew(str(path))
    stage.GetRootLayer().subLayerPaths.append(str(model))
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.z)
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    UsdPhysics.SetStageKilogramsPerUnit(stage, 1.0)
    default = Sdf.Layer.FindOrOpen(str(model)).defaultPrim
    if default:
        stage.GetRootLayer().defaultPrim = default
    for thing in moving:
        _place(stage, thing.path, poses[thing.name])
        # An exported rollout leads its bodies along; here they are free.
        led = UsdPhysics.RigidBodyAPI(stage.GetPrimAtPath(thing.path)).GetKinematicEnabledAttr()
        if led and led.Get():
            led.Set(False)
    splats = [str(prim.GetPath()) for prim in stage.Traverse() if prim.GetTypeName().startswith("ParticleField")]
    for place in (*splats, *idle):
        prim = stage.GetPrimAtPath(place)
        if prim and prim.IsActive():
            prim.SetActive(False)
    stage.GetRootLayer().Save()


def _place(stage: Any, path: str, pose: NDArray[np.float64]) -> None:
    """Give a prim a pose in the world, whatever stands above it."""
    from pxr import Gf, Sdf, UsdGeom

    prim = stage.GetPrimAtPath(path)
    x, y, z, *turn = map(float, pose)
    local = Gf.Matrix4d(Gf.Rotation(Gf.Quatd(*turn)), Gf.Vec3d(x, y, z))
    local *= UsdGeom.XformCache().GetLocalToWorldTransform(prim.GetParent()).GetInverse()
    order = prim.GetAttribute("xformOpOrder").Get() or []
    if list(order) != ["xformOp:translate", "xformOp:orient"]:
        UsdGeom.Xformable(prim).SetXformOpOrder([])
        prim.CreateAttribute("xformOp:translate", Sdf.ValueTypeNames.Double3, False)
        prim.CreateAttribute("xformOp:orient", Sdf.ValueTypeNames.Quatd, False)
        prim.GetAttribute("xformOpOrder").Set(["xformOp:translate", "xformOp:orient"])
    turn = local.ExtractRotationQuat()
    double = prim.GetAttribute("xformOp:orient").GetTypeName() == Sdf.ValueTypeNames.Quatd
    prim.GetAttribute("xformOp:translate").Set(local.ExtractTranslation())
    prim.GetAttribute("xformOp:orient").Set(turn if double else Gf.Quatf(turn))
