"""Joints of a URDF: a body's place in its tree in, elements ``joint`` out.

A URDF has one frame for a joint and the link that hangs on it, so that link's frame is the joint's, and everything of
the body is placed in it. Position 0 is the only one that a URDF knows: where a joint stands in the photos is said.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from sim_bridge.mjcf._described import numbers
from sim_bridge.mjcf._joint_tree import IDENTITY, composed, inverse

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sim_bridge.mjcf._described import DescribedBody
    from sim_bridge.mjcf._joint_tree import Link, Pose

__all__ = ["add_joint", "frame_in_link", "place", "rpy", "said_of_joints"]

ENDLESS = 1e3
"""Stands for limits that are not there, where a URDF must have some [rad, m, N, N m or m/s]."""
STANDS = 1e-3
"""From here on a joint stands elsewhere than at 0 [rad or m]."""


def frame_in_link(link: Link) -> Pose:
    """Where a body's frame is in that of its link."""
    return IDENTITY if link.joint is None else inverse(link.joint.T_child_joint)


def add_joint(
    robot: ElementTree.Element, link: Link, bodies: Sequence[DescribedBody], frames: Mapping[int, Pose]
) -> None:
    """What a link hangs by.

    Args:
        robot: Gets the element.
        link: With a joint.
        bodies: Of the scene.
        frames: Of bodies in their links.
    """
    joint, add = link.joint, ElementTree.SubElement
    assert joint is not None
    endless = joint.kind == "hinge" and math.isinf(joint.low) and math.isinf(joint.high)
    kind = {"hinge": "continuous" if endless else "revolute", "slide": "prismatic", "fixed": "fixed"}[joint.kind]
    element = add(robot, "joint", name=joint.name, type=kind)
    parent = "world" if link.parent < 0 else bodies[link.parent].name
    add(element, "parent", link=parent)
    add(element, "child", link=bodies[link.body].name)
    add(element, "origin", place(composed(frames.get(link.parent, IDENTITY), joint.T_parent_joint)))
    if joint.kind == "fixed":
        return
    add(element, "axis", xyz=numbers(joint.axis))
    limit = add(element, "limit", effort=numbers(min(joint.force_limit, ENDLESS)), velocity=numbers(ENDLESS))
    if not endless:
        limit.set("lower", numbers(max(joint.low, -ENDLESS)))
        limit.set("upper", numbers(min(joint.high, ENDLESS)))
    add(element, "dynamics", damping=numbers(joint.damping), friction=numbers(joint.friction))


def said_of_joints(links: Sequence[Link]) -> list[str]:
    """What a URDF cannot say of them."""
    joints = [(link.joint, link.position) for link in links if link.joint is not None]
    drives = [joint.name for joint, _ in joints if joint.stiffness or joint.drive_damping]
    stand = [f"{joint.name} at {position:.3g}" for joint, position in joints if abs(position) > STANDS]
    notes = [f"URDF holds no drives: {', '.join(drives)} moves freely."] if drives else []
    return notes + (
        [f"A URDF begins at position 0; in the scene stand {', '.join(stand)} (rad or m)."] if stand else []
    )


def place(pose: Sequence[float]) -> dict[str, str]:
    """Attributes of an ``origin``, from xyz [m] + wxyz."""
    return {"xyz": numbers(pose[:3]), "rpy": numbers(rpy(pose[3:]))}


def rpy(wxyz: Sequence[float]) -> tuple[float, float, float]:
    """Roll, pitch, yaw about fixed axes, R = Rz Ry Rx; at a pitch of 90 degrees roll is 0."""
    w, x, y, z = wxyz
    sine = max(-1.0, min(1.0, 2 * (w * y - x * z)))
    if abs(sine) > 1 - 1e-12:
        return 0.0, math.copysign(math.pi / 2, sine), -2 * math.copysign(1.0, sine) * math.atan2(x, w)
    roll = math.atan2(2 * (w * x + y * z), 1 - 2 * (x * x + y * y))
    return roll, math.asin(sine), math.atan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z))
