"""Joints of a stage -> joints of a scene: what they tie, where, how far they go, and what drives and brakes them.

Frames follow the bodies, whose own frames have neither scale nor the stage's units; degrees become radians. What is not
tied to a body of the scene is tied to the world: nothing else of a stage moves. What a scene has no place for (other
kinds, loops, joints of bodies that were not kept) is left out and counted.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from scene3d._errors import FileFormatError
from sim_bridge.usd._joint_motion import Motion, axis_of, read_motion
from sim_bridge.usd._read_frames import is_identity, rigid_frame
from sim_bridge.usd._read_values import finite, our_data

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from numpy.typing import NDArray

    from dynamics import Joint
    from sim_bridge.usd._read_frames import BodyFrame
    from sim_bridge.usd._read_values import StageReader

__all__ = ["read_joints"]

KINDS = {"PhysicsRevoluteJoint": "hinge", "PhysicsPrismaticJoint": "slide", "PhysicsFixedJoint": "fixed"}
IDENTITY = (0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0)
SAID = 1e-3
"""Gaps above this are said [m]."""
MOST = 1000
"""Joints that are read."""
LONGEST_NAME = 200
UNIT = 5e-7
"""Deviation of a quaternion's length from 1 that single precision leaves."""
Pose = tuple[float, float, float, float, float, float, float]


class _LeftOutError(Exception):
    """Why a joint has no place in a scene, as words after a number: ``2 that close a loop``."""


@dataclass(frozen=True, eq=False)
class _Bodies:
    kept: Mapping[str, tuple[int, BodyFrame]]
    lost: Collection[str]


@dataclass(eq=False)
class _Said:
    """What is to be said of all joints together."""

    left_out: Counter[str] = field(default_factory=Counter[str])
    changed: Counter[str] = field(default_factory=Counter[str])


def read_joints(
    reader: StageReader, prims: Sequence[Any], kept: Mapping[str, tuple[int, BodyFrame]], lost: Collection[str]
) -> tuple[Joint, ...]:
    """The joints that a scene can hold; what is left out or changed is noted.

    Args:
        reader: Of the stage; gets notes.
        prims: Joints, in the order of the stage.
        kept: Place in the scene and frame of the body at a path.
        lost: Paths of bodies that are not in the scene.
    """
    from scene3d._scene_joints import without_loops

    said, bodies = _Said(), _Bodies(kept, lost)
    found: list[Joint] = []
    for prim in prims:
        try:
            if len(found) >= MOST:
                raise _LeftOutError(f"beyond the first {MOST}")
            found.append(_read(reader, prim, bodies, [joint.name for joint in found], said))
        except _LeftOutError as reason:
            said.left_out[str(reason)] += 1
    trees = without_loops(found)
    if len(trees) < len(found):
        said.left_out["closing a loop"] += len(found) - len(trees)
    if said.left_out:
        total = sum(said.left_out.values())
        reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(said.left_out.items()))
        reader.note(f"{'One joint was' if total == 1 else f'{total} joints were'} left out: {reasons}.")
    for words, count in sorted(said.changed.items()):
        reader.note(f"{'One joint' if count == 1 else f'{count} joints'} {words}.")
    _say_apart(reader, trees, {index: at.T_world_body for index, at in kept.values()})
    return trees


def _say_apart(reader: StageReader, joints: Sequence[Joint], poses: Mapping[int, Pose]) -> None:
    """Note joints whose bodies are not where the joints hold them."""
    import torch

    from dynamics.poses import compose, invert

    gaps = []
    for joint in joints:
        parent, child = (
            compose(*(torch.tensor(pose, dtype=torch.float64) for pose in (poses.get(body, IDENTITY), frame)))
            for body, frame in ((joint.parent, joint.T_parent_joint), (joint.child, joint.T_child_joint))
        )
        apart = compose(invert(parent), child)[:3].numpy()
        free = np.asarray(joint.axis) * (joint.kind == "slide")
        gaps.append(float(np.linalg.norm(apart - (apart @ free) * free)))
    wide = [gap for gap in gaps if gap > SAID]
    if wide:
        reader.note(
            f"{'One joint holds' if len(wide) == 1 else f'{len(wide)} joints hold'} bodies elsewhere than the stage "
            f"puts them, up to {1000 * max(wide):.1f} mm away: they are pulled there as soon as they move."
        )


def _read(reader: StageReader, prim: Any, bodies: _Bodies, taken: Collection[str], said: _Said) -> Joint:
    from dynamics import Joint

    type_name = str(prim.GetTypeName())
    kind: Any = KINDS.get(type_name)
    if kind is None:
        raise _LeftOutError(f"of type {type_name} (a scene has hinges, slides and fixed joints)")
    if reader.value(prim, "physics:jointEnabled") is False:
        raise _LeftOutError("switched off")
    sides = [_side(reader, prim, number, bodies) for number in (0, 1)]
    axis = axis_of(reader, prim, kind)
    if sides[1][0] < 0:  # The world is the parent: seen from the other body the axis points the other way.
        sides, axis = sides[::-1], (-axis[0] + 0.0, -axis[1] + 0.0, -axis[2] + 0.0)
    (parent, T_parent_joint), (child, T_child_joint) = sides
    if parent == child:
        raise _LeftOutError("tying nothing that moves" if child < 0 else "of a body with itself")
    name = _free_name(prim, taken)
    if reader.value(prim, "physics:collisionEnabled"):
        said.changed["let their bodies collide; in a scene joined bodies pass through each other"] += 1
    breaking = [reader.value(prim, f"physics:break{what}") for what in ("Force", "Torque")]
    if any(value is not None and value < 1e30 for value in breaking):
        said.changed["would break under a force; in a scene they do not"] += 1
    if kind == "fixed":
        return Joint(name, kind, parent, child, T_parent_joint, T_child_joint)
    motion = read_motion(reader, prim, kind, said.changed)
    if motion is None:
        raise _LeftOutError("with limits that are no numbers")
    if not motion.low <= motion.high:
        raise _LeftOutError("with limits the wrong way round")
    if motion.goal:
        T_parent_joint = _moved_along(T_parent_joint, kind, axis, motion.goal)
    return _joint(name, kind, (parent, child), (T_parent_joint, T_child_joint), axis, motion)


def _joint(name: str, kind: Any, bodies: tuple[int, int], frames: Any, axis: Any, motion: Motion) -> Joint:
    """The joint; its position is 0 where its drive aims at."""
    from dynamics import Joint

    return Joint(
        name,
        kind,
        *bodies,
        *frames,
        axis=axis,
        low=motion.low - motion.goal,
        high=motion.high - motion.goal,
        damping=motion.damping,
        friction=motion.friction,
        stiffness=motion.stiffness,
        drive_damping=motion.drive_damping,
        force_limit=motion.force_limit,
    )


def _side(reader: StageReader, prim: Any, number: int, bodies: _Bodies) -> tuple[int, Pose]:
    """Place of the body, -1 for the world, and the joint's frame in its frame."""
    relation = prim.GetRelationship(f"physics:body{number}")
    targets = relation.GetForwardedTargets() if relation else []
    if not targets:
        return -1, _frame(reader, prim, number, reader.matrix(reader.stage.GetPseudoRoot()))
    target = reader.stage.GetPrimAtPath(targets[0])
    if not target:
        raise _LeftOutError("naming a body that is not there")
    above = target
    while above and not above.IsPseudoRoot():
        path = str(above.GetPath())
        if path in bodies.kept:
            index, at = bodies.kept[path]
            return index, _frame(reader, prim, number, at.within(reader, target))
        if path in bodies.lost:
            raise _LeftOutError("of a body that was left out")
        above = above.GetParent()
    return -1, _frame(reader, prim, number, reader.matrix(target))


def _frame(reader: StageReader, prim: Any, number: int, matrix: NDArray[np.float64]) -> Pose:
    """The joint's frame where a matrix (4, 4) takes what it is given in; to the bit if that is the identity."""
    import torch

    from dynamics.poses import multiply, wxyz_from_rotation

    place = finite(reader.value(prim, f"physics:localPos{number}"), 3)
    turn: Any = reader.value(prim, f"physics:localRot{number}")
    wxyz = None if not hasattr(turn, "GetReal") else finite([turn.GetReal(), *turn.GetImaginary()], 4)
    length = 0.0 if wxyz is None else float(np.linalg.norm(wxyz))
    if place is None or wxyz is None or length < 1e-3:
        raise _LeftOutError("with a frame that is none")
    wxyz = wxyz if abs(length - 1) < UNIT else wxyz / length
    if not is_identity(matrix):
        try:
            R = rigid_frame(matrix, str(prim.GetPath()))[:3, :3]
        except FileFormatError as error:
            raise _LeftOutError("on a body part that is flattened, mirrored or sheared") from error
        place = matrix[:3, :3] @ place + matrix[:3, 3]
        both = wxyz_from_rotation(torch.from_numpy(np.ascontiguousarray(R))), torch.from_numpy(wxyz)
        wxyz = multiply(*both).numpy() if not np.array_equal(R, np.eye(3)) else wxyz
        wxyz = wxyz if abs(float(np.linalg.norm(wxyz)) - 1) < UNIT else wxyz / np.linalg.norm(wxyz)
    x, y, z, w, a, b, c = (float(value) for value in (*place, *wxyz))
    return (x, y, z, w, a, b, c)


def _moved_along(frame: Pose, kind: str, axis: Sequence[float], position: float) -> Pose:
    """The parent's frame with position 0 where this position [rad or m] is now."""
    import torch

    from dynamics.poses import compose

    way = [value * position for value in axis] if kind == "slide" else [0.0, 0.0, 0.0]
    half = position / 2 if kind == "hinge" else 0.0
    moved = torch.tensor([*way, math.cos(half), *(value * math.sin(half) for value in axis)], dtype=torch.float64)
    x, y, z, *wxyz = compose(torch.tensor(frame, dtype=torch.float64), moved).tolist()
    w, a, b, c = (value / float(np.linalg.norm(wxyz)) for value in wxyz)
    return (x, y, z, w, a, b, c)


def _free_name(prim: Any, taken: Collection[str]) -> str:
    name = str(our_data(prim).get("name") or prim.GetDisplayName() or prim.GetName())[:LONGEST_NAME]
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name[: LONGEST_NAME - 6]} {number}"
    return free
