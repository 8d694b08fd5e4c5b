"""Joints of a scene while its objects change: numbered anew, expressed in other frames, carried along.

A scene counts the bodies of its joints in its `objects`, and -1 is the world, in which the joint's frame then lies.
Whoever renumbers, moves, joins or grows objects passes the joints through one of these functions, so that each joint
still sits where it sat on the things that it joins.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from scene3d._errors import BodyError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from dynamics import Joint
    from scene3d._scene import Scene
    from scene3d._scene_object import SceneObject
    from scene3d.capture._similarity import Similarity

__all__ = [
    "Hanging",
    "carried",
    "check_joints",
    "hanging",
    "joint_lines",
    "joint_rows",
    "rebased",
    "renumbered",
    "transform_joints",
    "without_loops",
]

Pose = tuple[float, float, float, float, float, float, float]
LONGEST_NAME = 200
"""Characters of a joint's name."""


@dataclass(frozen=True)
class Hanging:
    """What hangs together by joints."""

    objects: frozenset[int]
    """Places of the objects, the one that was asked for among them."""
    anchors: tuple[Joint, ...]
    """Joints that hold some of them in the world."""


def joint_rows(scene: Scene) -> list[dict[str, Any]]:
    """Name and kind of each joint and the names of what it joins, None for the world; for JSON."""
    names = [thing.name for thing in scene.objects]
    return [
        {
            "name": joint.name,
            "kind": joint.kind,
            "parent": None if joint.parent < 0 else names[joint.parent],
            "child": names[joint.child],
        }
        for joint in scene.joints
    ]


def joint_lines(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The same in words."""
    return [f"{row['name']}: {row['kind']} of {row['child']} on {row['parent'] or 'the world'}" for row in rows]


def check_joints(objects: Sequence[SceneObject], joints: Sequence[Joint]) -> None:
    """Make sure that joints join objects of a scene to trees.

    Raises:
        BodyError: One names an object that is not there, two have the same name, they close a loop, or a limit or a
            name is none.
    """
    from dynamics import World

    if not joints:
        return
    for joint in joints:
        if not 1 <= len(joint.name) <= LONGEST_NAME:
            raise BodyError(f"Joint {joint.name[:40]!r} must have a name of 1 to {LONGEST_NAME} characters.")
        if not (joint.low < np.inf and joint.high > -np.inf):
            raise BodyError(f"Joint {joint.name!r} has limits {joint.low:g} to {joint.high:g}, which are none.")
    # What moves is for the world to say that is made of the scene; here all of it could.
    World(tuple(thing.body.with_motion("dynamic") for thing in objects), tuple(joints))


def renumbered(joints: Sequence[Joint], places: Mapping[int, int]) -> tuple[Joint, ...]:
    """Joints of objects that are at other places now.

    Args:
        joints: Of the scene before.
        places: Old place -> new place; joints of objects that it leaves out are left out too.
    """
    new = {**places, -1: -1}
    return tuple(
        replace(joint, parent=new[joint.parent], child=new[joint.child])
        for joint in joints
        if joint.parent in new and joint.child in new
    )


def without_loops(joints: Sequence[Joint]) -> tuple[Joint, ...]:
    """Joints that link bodies to trees: of those that close a loop, the last is left out."""
    root: dict[int, int] = {}

    def find(place: int) -> int:
        while root.get(place, place) != place:
            place = root[place]
        return place

    kept: list[Joint] = []
    for joint in joints:
        a, b = find(joint.parent), find(joint.child)
        if a != b:
            root[a] = b
            kept.append(joint)
    return tuple(kept)


def rebased(joints: Sequence[Joint], index: int, R: NDArray[np.float64], t: NDArray[np.float64]) -> tuple[Joint, ...]:
    """Joints after the frame of object ``index`` became another one: its points p are now R p + t."""
    change = _pose(R, t)
    return tuple(
        replace(
            joint,
            T_parent_joint=_composed(change, joint.T_parent_joint) if joint.parent == index else joint.T_parent_joint,
            T_child_joint=_composed(change, joint.T_child_joint) if joint.child == index else joint.T_child_joint,
        )
        for joint in joints
    )


def hanging(joints: Sequence[Joint], index: int) -> Hanging:
    """Everything that object ``index`` hangs together with; what hangs on the world alone is no part of that."""
    found, before = {index}, 0
    while len(found) > before:
        before = len(found)
        for joint in joints:
            if joint.parent >= 0 and (joint.parent in found or joint.child in found):
                found |= {joint.parent, joint.child}
    return Hanging(frozenset(found), tuple(joint for joint in joints if joint.parent < 0 and joint.child in found))


def carried(
    joints: Sequence[Joint], poses: Mapping[int, Sequence[float]], index: int, pose: Sequence[float]
) -> tuple[dict[int, Pose], tuple[Joint, ...]]:
    """Moves an object with all that hangs on it, as if it were one piece; so no joint turns or comes apart.

    Args:
        joints: Of the scene.
        poses: Where objects are, xyz + wxyz, by their places.
        index: The object that is moved.
        pose: Where it goes.

    Returns:
        New poses of what moves, and the joints: those that hold it in the world hold it at the new place.
    """
    moving = hanging(joints, index)
    x, y, z, *wxyz = (float(value) for value in pose)
    placed: dict[int, Pose] = {index: (x, y, z, wxyz[0], wxyz[1], wxyz[2], wxyz[3])}
    if len(moving.objects) == 1 and not moving.anchors:
        return placed, tuple(joints)
    move = _composed(pose, _inverse(poses[index]))
    placed |= {other: _composed(move, poses[other]) for other in sorted(moving.objects - {index})}
    names = {joint.name for joint in moving.anchors}
    return placed, tuple(
        replace(joint, T_parent_joint=_composed(move, joint.T_parent_joint)) if joint.name in names else joint
        for joint in joints
    )


def transform_joints(joints: Sequence[Joint], s: Similarity) -> tuple[Joint, ...]:
    """The same joints in another world.

    Frames and the limits of slides grow with the bodies, frames in the world move with it. Friction, damping, drives
    and their limits are in newtons, metres and seconds as somebody gave them and stay, as a known mass does.
    """
    return tuple(_transformed(joint, s) for joint in joints)


def _transformed(joint: Joint, s: Similarity) -> Joint:
    grown = {name: _grown(getattr(joint, name), s.scale) for name in ("T_parent_joint", "T_child_joint")}
    if joint.parent < 0:
        grown["T_parent_joint"] = _composed(_pose(s.R, s.t), grown["T_parent_joint"])
    factor = s.scale if joint.kind == "slide" else 1.0
    return replace(joint, **grown, low=joint.low * factor, high=joint.high * factor)


def _grown(pose: Sequence[float], factor: float) -> Pose:
    x, y, z, a, b, c, d = pose
    return (factor * x, factor * y, factor * z, a, b, c, d)


def _pose(R: NDArray[np.float64], t: NDArray[np.float64]) -> Pose:
    import torch

    from dynamics.poses import wxyz_from_rotation

    w, a, b, c = wxyz_from_rotation(torch.from_numpy(np.ascontiguousarray(R, dtype=np.float64))).tolist()
    x, y, z = (float(value) for value in t)
    return (x, y, z, w, a, b, c)


def _composed(T_a_b: Sequence[float], T_b_c: Sequence[float]) -> Pose:
    import torch

    from dynamics.poses import compose

    both = (torch.tensor([float(value) for value in pose], dtype=torch.float64) for pose in (T_a_b, T_b_c))
    x, y, z, *wxyz = compose(*both).tolist()
    w, a, b, c = (value / float(np.linalg.norm(wxyz)) for value in wxyz)
    return (x, y, z, w, a, b, c)


def _inverse(pose: Sequence[float]) -> Pose:
    import torch

    from dynamics.poses import invert

    given = torch.tensor([float(value) for value in pose], dtype=torch.float64)
    given[3:] /= given[3:].norm()
    x, y, z, w, a, b, c = invert(given).tolist()
    return (x, y, z, w, a, b, c)
