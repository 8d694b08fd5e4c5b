"""The static side of physics: bodies, joints, gravity and the time step.

A `World` never changes while time passes; `State` does. Bodies are numbered in order; a joint's parent -1 is the world
itself. What never collides is listed, everything else may.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np

from dynamics._errors import BodyError

if TYPE_CHECKING:
    from dynamics._body import Body

__all__ = ["Joint", "JointKind", "World"]

JointKind = Literal["hinge", "slide", "fixed"]
Pose = tuple[float, float, float, float, float, float, float]
IDENTITY: Pose = (0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Joint:
    """One degree of freedom between two bodies, or none."""

    name: str
    """Unique within a world."""
    kind: JointKind
    """``hinge`` turns about the axis, ``slide`` moves along it, ``fixed`` does neither."""
    parent: int
    """Index of the parent body, -1 for the world."""
    child: int
    """Index of the child body."""
    T_parent_joint: Pose = IDENTITY
    """Joint frame in the parent's body frame, xyz [m] + wxyz."""
    T_child_joint: Pose = IDENTITY
    """Joint frame in the child's body frame; both frames coincide at position 0."""
    axis: tuple[float, float, float] = (0.0, 0.0, 1.0)
    """Unit axis in the joint frame."""
    low: float = -float("inf")
    """Least position [rad or m]."""
    high: float = float("inf")
    """Greatest position [rad or m]."""
    damping: float = 0.0
    """Viscous damping [N m s/rad or N s/m]."""
    friction: float = 0.0
    """Dry friction, the most that it holds [N m or N]."""
    stiffness: float = 0.0
    """Proportional gain of the drive [N m/rad or N/m]."""
    drive_damping: float = 0.0
    """Derivative gain of the drive [N m s/rad or N s/m]."""
    force_limit: float = float("inf")
    """The most that the drive gives [N m or N]."""

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise BodyError(f"Joint {self.name!r} has limits {self.low:g} to {self.high:g}; the lower one comes first.")
        length = float(np.linalg.norm(self.axis))
        if not abs(length - 1) < 1e-6:
            raise BodyError(f"The axis of joint {self.name!r} has length {length:g}; it must be a unit vector.")
        for pose in (self.T_parent_joint, self.T_child_joint):
            if not (np.isfinite(pose).all() and abs(float(np.linalg.norm(pose[3:])) - 1) < 1e-6):
                raise BodyError(f"A frame of joint {self.name!r} is no pose xyz + wxyz with a unit quaternion: {pose}.")
        for name in ("damping", "friction", "stiffness", "drive_damping", "force_limit"):
            if not getattr(self, name) >= 0:
                raise BodyError(f"Joint {self.name!r} has a {name} of {getattr(self, name):g}; it is 0 or more.")


@dataclass(frozen=True, eq=False)
class World:
    """Everything that stays the same while time passes."""

    bodies: tuple[Body, ...]
    """Bodies, in the order of every array with a body axis."""
    joints: tuple[Joint, ...] = ()
    """Joints, in the order of every array with a joint axis."""
    gravity: tuple[float, float, float] = (0.0, 0.0, -9.81)
    """[m/s^2]"""
    dt: float = 1.0 / 240.0
    """Length of a step [s]."""
    no_contact: frozenset[tuple[int, int]] = frozenset()
    """Pairs of bodies (lower index first) that pass through each other; joined bodies do anyway."""

    def __post_init__(self) -> None:
        names = [body.name for body in self.bodies]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise BodyError(f"Two bodies are called {twice!r}. Rename one.")
        if not 0 < self.dt <= 0.1:
            raise BodyError(f"A step of {self.dt:g} s was asked for; steps are above 0 and at most 0.1 s long.")
        self._check_joints()

    def _check_joints(self) -> None:
        """Joints link bodies that are there, one of which moves, to trees."""
        root = list(range(len(self.bodies) + 1))
        known: set[str] = set()
        for joint in self.joints:
            name = joint.name
            if not (-1 <= joint.parent < len(self.bodies) and 0 <= joint.child < len(self.bodies)):
                raise BodyError(f"Joint {name!r} names a body that is not there; the world has {len(self.bodies)}.")
            if name in known:
                raise BodyError(f"Two joints are called {name!r}. Rename one.")
            known.add(name)
            sides = [self.bodies[side].motion for side in (joint.parent, joint.child) if side >= 0]
            if "dynamic" not in sides:
                raise BodyError(f"Joint {name!r} joins nothing that forces move; one of its bodies must be dynamic.")
            # -1, the world, is the last place.
            a, b = (_root(root, side) for side in (joint.parent, joint.child))
            if a == b:
                raise BodyError(f"Joint {name!r} closes a loop; joints must link bodies to trees. Leave one out.")
            root[a] = b

    def index(self, name: str) -> int:
        """Place of the body with that name.

        Raises:
            BodyError: There is none; the message lists those there are.
        """
        names = [body.name for body in self.bodies]
        if name not in names:
            raise BodyError(f"There is no body {name!r} in the world. It has {', '.join(names) or 'none'}.")
        return names.index(name)

    @cached_property
    def pairs(self) -> tuple[tuple[int, int], ...]:
        """Pairs of bodies that may touch, lower index first: at least one of them moves, and no joint joins them."""
        joined = {(min(joint.parent, joint.child), max(joint.parent, joint.child)) for joint in self.joints}
        skipped = joined | set(self.no_contact)
        found: list[tuple[int, int]] = []
        for a, first in enumerate(self.bodies):
            for b in range(a + 1, len(self.bodies)):
                if (first.motion == "dynamic" or self.bodies[b].motion == "dynamic") and (a, b) not in skipped:
                    found.append((a, b))
        return tuple(found)


def _root(root: list[int], place: int) -> int:
    place %= len(root)
    while root[place] != place:
        place = root[place]
    return place
