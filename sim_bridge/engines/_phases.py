"""The two phases of a proof: bodies of a stage in, first poses and the layers that hold them out.

In the fall every body hangs in a row of its own far above everything, so that nothing touches. In the rest bodies stand
where the scene has them, raised until no corner is lower than a hair above what they stand on. Each phase is a small
layer over the stage: engines load it as they would load the stage itself, so no engine needs a way to move bodies.
Splats and deformables are left out of it; a rigid proof has no use for them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sim_bridge.engines._supports import Solid, support_below

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from sim_bridge.engines._stage_bodies import StageBodies, StageBody

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


def placed(body: StageBody, pose: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Corners (V, 3) of a body's colliders and its centre of mass (3,) in the world [m]."""
    import torch

    from dynamics.poses import matrix_from_pose

    given = torch.tensor(np.asarray(pose, dtype=np.float64))
    given[3:] /= given[3:].norm()
    T = matrix_from_pose(given).numpy()
    return body.corners @ T[:3, :3].T + T[:3, 3], T[:3, :3] @ body.com + T[:3, 3]


def fall(found: StageBodies) -> Phase:
    """Every body in the air, apart from all others."""
    corners = [placed(body, body.pose)[0] for body in found.bodies]
    highest = max(points[:, 2].max() for points in [*corners, *found.statics])
    poses, x = {}, 0.0
    for body, points in zip(found.bodies, corners, strict=True):
        low, high = points.min(axis=0), points.max(axis=0)
        pose = body.pose.copy()
        pose[0] += x - low[0]
        pose[2] += highest + HIGH - low[2]
        x += high[0] - low[0] + APART
        poses[body.name] = pose
    return Phase(FALL, poses, FALL_STEPS, (FALL_STEPS // 4, FALL_STEPS // 2, FALL_STEPS))


def rest(found: StageBodies, solids: Sequence[Solid], seconds: float) -> Phase:
    """Every body where the scene has it, raised until it stands free of its support by a hair."""
    poses = {}
    for body in found.bodies:
        corners, com = placed(body, body.pose)
        top = support_below(solids, com)
        pose = body.pose.copy()
        if top is not None:
            lift = max(0.0, HAIR - float(top.heights(corners).min()))
            pose[:3] += lift * top.normal
        poses[body.name] = pose
    steps = max(2, round(seconds / DT))
    return Phase(REST, poses, steps, (steps // 2, steps))


def write_layer(model: Path, found: StageBodies, phase: Phase, path: Path) -> None:
    """Write a layer over a stage that holds the first poses of a phase.

    Args:
        model: The stage.
        found: What was read from it.
        phase: The phase.
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
    for body in found.bodies:
        _place(stage, body.path, phase.poses[body.name])
        # An exported rollout leads its bodies along; here they are free.
        moved = UsdPhysics.RigidBodyAPI(stage.GetPrimAtPath(body.path)).GetKinematicEnabledAttr()
        if moved.Get():
            moved.Set(False)
    for prim in list(stage.Traverse()):
        if prim.GetTypeName().startswith("ParticleField"):
            prim.SetActive(False)
    for soft in found.soft:
        prim = stage.GetPrimAtPath(soft)
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
