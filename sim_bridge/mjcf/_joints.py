"""Joints of an MJCF model: a body's place in its tree in, elements ``joint``, ``actuator`` and ``exclude`` out.

Positions are those of the scene: ``ref`` is where a joint stands in the photos, so that 0, limits and drives mean what
they mean there. Joined bodies pass through each other, as everywhere; MuJoCo would let them touch where one is fixed.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from sim_bridge.mjcf._described import numbers
from sim_bridge.mjcf._joint_tree import composed, inverse, turned

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sim_bridge.mjcf._described import DescribedBody
    from sim_bridge.mjcf._joint_tree import Link

__all__ = ["add_drives", "add_joint", "first_positions", "joined", "pose_in_parent"]

ENDLESS = 1e4
"""Stands for a limit that is not there where only the other one is [rad or m]."""
HAIR = 1e-9


def pose_in_parent(link: Link, bodies: Sequence[DescribedBody]) -> tuple[float, ...]:
    """Pose of a body in the one that it hangs on."""
    pose = bodies[link.body].pose
    return pose if link.parent < 0 else composed(inverse(bodies[link.parent].pose), pose)


def add_joint(part: ElementTree.Element, link: Link) -> None:
    """What a body hangs by; a fixed joint needs no element."""
    joint = link.joint
    if joint is None or joint.kind == "fixed":
        return
    frame = joint.T_child_joint
    element = ElementTree.SubElement(part, "joint", name=joint.name, type=joint.kind)
    element.set("pos", numbers(frame[:3]))
    element.set("axis", numbers(turned(frame, joint.axis)))
    element.set("ref", numbers(link.position))
    if math.isfinite(joint.low) or math.isfinite(joint.high):
        low, high = max(joint.low, -ENDLESS), min(joint.high, ENDLESS)
        element.set("range", numbers((low, max(high, low + HAIR))))
    for name, value in {"damping": joint.damping, "frictionloss": joint.friction}.items():
        if value:
            element.set(name, numbers(value))


def add_drives(root: ElementTree.Element, links: Sequence[Link], bodies: Sequence[DescribedBody]) -> None:
    """Actuators that hold position 0, and pairs of bodies that never touch."""
    driven = [link.joint for link in links if link.joint and (link.joint.stiffness or link.joint.drive_damping)]
    actuator = ElementTree.SubElement(root, "actuator") if driven else root
    for joint in driven:
        drive = ElementTree.SubElement(actuator, "position", name=f"{joint.name} drive", joint=joint.name)
        drive.set("kp", numbers(joint.stiffness))
        drive.set("kv", numbers(joint.drive_damping))
        if math.isfinite(joint.force_limit):
            drive.set("forcerange", numbers((-joint.force_limit, joint.force_limit)))
    pairs = sorted(joined(links))
    contact = ElementTree.SubElement(root, "contact") if pairs else root
    for a, b in pairs:
        ElementTree.SubElement(contact, "exclude", body1=bodies[a].name, body2=bodies[b].name)


def joined(links: Sequence[Link]) -> set[tuple[int, int]]:
    """Pairs of bodies that a joint ties, the lower place first."""
    tied = [(link.body, link.parent) for link in links if link.joint is not None and link.parent >= 0]
    return {(min(pair), max(pair)) for pair in tied}


def first_positions(links: Sequence[Link], bodies: Sequence[DescribedBody]) -> list[str]:
    """``qpos`` of the photos' moment: poses of free bodies, positions of joints, in the order of the model."""
    found = []
    for link in links:
        if link.joint is None and bodies[link.body].body.motion == "dynamic":
            found.append(numbers(bodies[link.body].pose))
        elif link.joint is not None and link.joint.kind != "fixed":
            found.append(numbers(link.position))
    return found
