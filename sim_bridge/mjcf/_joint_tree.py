"""Bodies and joints of a twin -> trees as MJCF and URDF write them: every body hangs on one other, or on nothing.

Trees grow from what stands still (the world, supports, bodies that are led) and, where nothing does, from the body that
is no joint's child. A joint that is met from its child's side is turned round: frames change places, the axis points
the other way, so that its position and limits stay the same numbers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sim_bridge.usd._joint_prims import position_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dynamics import Joint
    from sim_bridge.mjcf._described import DescribedBody
    from sim_bridge.usd._twin import Twin

__all__ = ["IDENTITY", "Link", "Pose", "composed", "inverse", "joint_trees", "turned"]

Pose = tuple[float, ...]
IDENTITY: Pose = (0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Link:
    """A body in its tree."""

    body: int
    parent: int
    """The body that it hangs on, -1 for the world."""
    joint: Joint | None
    """What it hangs by, with the parent as its parent; None when it is free, or stands still."""
    position: float = 0.0
    """Where the joint stands [rad or m]."""


def joint_trees(twin: Twin, bodies: Sequence[DescribedBody]) -> tuple[tuple[Link, ...], list[str]]:
    """All bodies, each after the one that it hangs on and before the next tree, and notes for people."""
    joints = list(twin.joints)
    links: dict[int, Link] = {}
    still = [index for index, thing in enumerate(bodies) if thing.body.motion != "dynamic"]
    _grow(twin, [-1, *still], joints, links)
    children = {joint.child for joint in twin.joints}
    loose = [index for index, thing in enumerate(bodies) if thing.body.motion == "dynamic"]
    for root in sorted(loose, key=lambda index: index in children):
        if root not in links:
            links[root] = Link(root, -1, None)
            _grow(twin, [root], joints, links)
    links |= {index: Link(index, -1, None) for index in still}
    notes = [f"Joint {joint.name!r} ties two things that stand still by other ways too; left out." for joint in joints]
    return tuple(_in_order(links)), notes


def _grow(twin: Twin, roots: Sequence[int], joints: list[Joint], links: dict[int, Link]) -> None:
    """Hang on the roots what joints tie to them; takes the joints that it uses off the list."""
    met = set(roots)
    while True:
        joint = next((joint for joint in joints if (joint.parent in met) != (joint.child in met)), None)
        if joint is None:
            return
        joints.remove(joint)
        forward = joint if joint.parent in met else _turned_round(joint)
        links[forward.child] = Link(forward.child, forward.parent, forward, position_of(forward, twin.poses))
        met.add(forward.child)


def _in_order(links: dict[int, Link]) -> list[Link]:
    found: list[Link] = []

    def add(body: int) -> None:
        found.append(links[body])
        for other in sorted(links):
            if links[other].parent == body:
                add(other)

    for body in sorted(links):
        if links[body].parent < 0:
            add(body)
    return found


def _turned_round(joint: Joint) -> Joint:
    x, y, z = joint.axis
    return replace(
        joint,
        parent=joint.child,
        child=joint.parent,
        T_parent_joint=joint.T_child_joint,
        T_child_joint=joint.T_parent_joint,
        axis=(-x + 0.0, -y + 0.0, -z + 0.0),
    )


def composed(T_a_b: Sequence[float], T_b_c: Sequence[float]) -> Pose:
    """``T_a_c`` of two poses xyz + wxyz."""
    import torch

    from dynamics.poses import compose

    a, b = (torch.tensor(list(pose), dtype=torch.float64) for pose in (T_a_b, T_b_c))
    return tuple(compose(a, b).tolist())


def inverse(T_a_b: Sequence[float]) -> Pose:
    """``T_b_a`` of a pose xyz + wxyz."""
    import torch

    from dynamics.poses import invert

    return tuple(invert(torch.tensor(list(T_a_b), dtype=torch.float64)).tolist())


def turned(pose: Sequence[float], vector: Sequence[float]) -> Pose:
    """A direction of the pose's own frame, seen from outside."""
    return composed((0.0, 0.0, 0.0, *pose[3:]), (*vector, 1.0, 0.0, 0.0, 0.0))[:3]
