"""What ties bodies, as prims: hinges, slides and fixed joints -> UsdPhysics joints with limits and drives.

A joint of USD turns about x, y or z of its frames, in degrees; ours about any axis, in radians. Both frames are turned
so that the axis is z. What holds and damps a joint without a drive has no name in USD: PhysX and Newton are told in
theirs. Bodies that a joint ties pass through each other, as in USD; other pairs that do are listed. Bodies that hang
together are an articulation: Newton takes their joints in no other form, and PhysX their friction.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from sim_bridge.usd._prim_names import prim_names
from sim_bridge.usd._prims import apply_schema, author, describe

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from numpy.typing import NDArray

    from dynamics import Joint

__all__ = ["position_of", "write_articulations", "write_filters", "write_joints"]

FOLDER = "/World/Joints"
NEAR = 1e-6
"""A joint that stands within this of 0 stands there [rad or m]."""


def write_joints(stage: Any, joints: Sequence[Joint], paths: Sequence[str], poses: NDArray[np.float64]) -> None:
    """One prim for each joint.

    Args:
        stage: `Usd.Stage`.
        joints: Between bodies.
        paths: Of the bodies' prims, in the order that the joints count them in.
        poses: Of the bodies, in that order, xyz [m] + wxyz, shape (nb, 7).
    """
    from pxr import UsdGeom

    if not joints:
        return
    UsdGeom.Scope.Define(stage, FOLDER)
    names = prim_names([joint.name for joint in joints], otherwise="joint")
    for joint, name in zip(joints, names, strict=True):
        _written(stage, f"{FOLDER}/{name}", joint, paths, poses)


def write_articulations(stage: Any, joints: Sequence[Joint], paths: Sequence[str], moving: Collection[int]) -> None:
    """Name the root of each tree of bodies that forces move: what hangs on something that stands, or is no child.

    Args:
        stage: `Usd.Stage`.
        joints: Between bodies.
        paths: As in `write_joints`.
        moving: Bodies that forces move.
    """
    from pxr import UsdPhysics

    from scene3d._scene_joints import hanging

    between = [joint for joint in joints if joint.parent in moving and joint.child in moving]
    held = {side for joint in joints for side in (joint.parent, joint.child) if joint not in between}
    children = {joint.child for joint in between}
    trees = {hanging(between, joint.child).objects for joint in between}
    for tree in trees:
        root = min(tree, key=lambda body: (body not in held, body in children, body))
        UsdPhysics.ArticulationRootAPI.Apply(stage.GetPrimAtPath(paths[root]))


def write_filters(stage: Any, pairs: Iterable[tuple[int, int]], paths: Sequence[str]) -> None:
    """Let pairs of bodies pass through each other; `paths` as in `write_joints`."""
    from pxr import UsdPhysics

    for first, second in sorted(pairs):
        filtered = UsdPhysics.FilteredPairsAPI.Apply(stage.GetPrimAtPath(paths[first]))
        filtered.CreateFilteredPairsRel().AddTarget(paths[second])


def _written(stage: Any, path: str, joint: Joint, paths: Sequence[str], poses: NDArray[np.float64]) -> None:
    from pxr import Gf, UsdPhysics

    kinds = {
        "hinge": UsdPhysics.RevoluteJoint,
        "slide": UsdPhysics.PrismaticJoint,
        "fixed": UsdPhysics.FixedJoint,
    }
    prim = kinds[joint.kind].Define(stage, path)
    describe(prim.GetPrim(), joint.name)
    # The world is the parent of what names none.
    if joint.parent >= 0:
        prim.CreateBody0Rel().SetTargets([paths[joint.parent]])
    prim.CreateBody1Rel().SetTargets([paths[joint.child]])
    turn = _to_z(np.asarray(joint.axis, dtype=np.float64))
    frames = [_after(frame, turn).astype(np.float32) for frame in (joint.T_parent_joint, joint.T_child_joint)]
    for number, pose in enumerate(frames):
        getattr(prim, f"CreateLocalPos{number}Attr")(Gf.Vec3f(*pose[:3].tolist()))
        getattr(prim, f"CreateLocalRot{number}Attr")(Gf.Quatf(*pose[3:].tolist()))
    if joint.kind != "fixed":
        _write_motion(prim, joint)
        parent, child = (frame.astype(np.float64).tolist() for frame in frames)
        # Of the frames as they are written, so that reading and writing again gives the same number.
        along = replace(joint, T_parent_joint=parent, T_child_joint=child, axis=(0.0, 0.0, 1.0))
        _write_place(prim.GetPrim(), joint.kind, position_of(along, poses))


def position_of(joint: Joint, poses: NDArray[np.float64]) -> float:
    """Where a joint stands when bodies are at poses (nb, 7): an angle within pi of 0 [rad], or a way [m]."""
    import torch

    from dynamics.poses import compose, invert

    there = torch.from_numpy(np.concatenate([poses, [(0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0)]]))
    parent, child = (
        compose(there[body], torch.tensor(frame, dtype=torch.float64))
        for body, frame in ((joint.parent, joint.T_parent_joint), (joint.child, joint.T_child_joint))
    )
    between = compose(invert(parent), child).numpy()
    if joint.kind == "slide":
        return float(np.dot(joint.axis, between[:3]))
    angle = 2 * math.atan2(float(np.dot(joint.axis, between[4:])), between[3])
    return math.remainder(angle, 2 * math.pi) if joint.kind == "hinge" else 0.0


def _write_place(prim: Any, kind: str, position: float) -> None:
    """Where a joint begins: engines do not look where its bodies are, but put them where it says."""
    from pxr import Sdf

    word, value = ("angular", math.degrees(position)) if kind == "hinge" else ("linear", position)
    if abs(position) < NEAR:
        return
    apply_schema(prim, f"PhysicsJointStateAPI:{word}")
    for name in (f"state:{word}:physics:position", f"newton:{word}:position"):
        author(prim, name, Sdf.ValueTypeNames.Float, value)


def _write_motion(prim: Any, joint: Joint) -> None:
    """Axis, limits, drive and friction, per degree where it turns."""
    from pxr import Sdf, UsdPhysics

    hinge = joint.kind == "hinge"
    unit, word = (math.radians(1.0), "angular") if hinge else (1.0, "linear")
    prim.CreateAxisAttr(UsdPhysics.Tokens.z)
    if math.isfinite(joint.low):
        prim.CreateLowerLimitAttr(joint.low / unit)
    if math.isfinite(joint.high):
        prim.CreateUpperLimitAttr(joint.high / unit)
    if joint.stiffness or joint.drive_damping:
        drive = UsdPhysics.DriveAPI.Apply(prim.GetPrim(), word)
        drive.CreateTypeAttr(UsdPhysics.Tokens.force)
        drive.CreateStiffnessAttr(joint.stiffness * unit)
        drive.CreateDampingAttr(joint.drive_damping * unit)
        if math.isfinite(joint.force_limit):
            drive.CreateMaxForceAttr(joint.force_limit)
    if joint.friction or joint.damping:
        apply_schema(prim.GetPrim(), f"PhysxJointAxisAPI:{word}", "NewtonJointAPI")
        for name, value in {
            f"physxJointAxis:{word}:staticFrictionEffort": joint.friction,
            f"physxJointAxis:{word}:dynamicFrictionEffort": joint.friction,
            f"physxJointAxis:{word}:viscousFrictionCoefficient": joint.damping * unit,
            "newton:friction": joint.friction,
            "newton:damping": joint.damping * unit,
        }.items():
            author(prim.GetPrim(), name, Sdf.ValueTypeNames.Float, value)


def _to_z(axis: NDArray[np.float64]) -> NDArray[np.float64]:
    """Unit quaternion wxyz that turns z into the axis, by the shortest way."""
    w = 1 + axis[2]
    if w < 1e-9:
        return np.array([0.0, 1.0, 0.0, 0.0])
    quat = np.array([w, -axis[1], axis[0], 0.0])
    return quat / np.linalg.norm(quat)


def _after(frame: Sequence[float], turn: NDArray[np.float64]) -> NDArray[np.float64]:
    """The joint frame with its axes turned about its own origin, xyz + wxyz."""
    import torch

    from dynamics.poses import compose

    own = torch.tensor([0.0, 0.0, 0.0, *turn.tolist()], dtype=torch.float64)
    return compose(torch.tensor(frame, dtype=torch.float64), own).numpy()
