"""What is done to a scene's objects: pushes, drops and moves, from the command line or from code.

They say what a person would say, in seconds, newtons and metres of the scene's world. `_deeds_file` reads lists of
them, `_deeds_action` turns them into the first state and the action of a rollout.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from scene3d._errors import UsageError

if TYPE_CHECKING:
    from dynamics import Action

__all__ = [
    "FARTHEST",
    "HIGHEST",
    "LONGEST",
    "PUSH_SECONDS",
    "STRONGEST",
    "Deeds",
    "Drop",
    "Move",
    "Push",
    "parse_drop",
    "parse_push",
]

PUSH_SECONDS = 0.1
LONGEST = 120.0
"""Of a rollout [s]."""
STRONGEST = 1e6
"""[N]"""
HIGHEST = 10.0
"""Of a drop [m]."""
FARTHEST = 1e3
"""Coordinate of a pose [m]."""
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"


@dataclass(frozen=True)
class Push:
    """A force on the centre of mass of an object."""

    name: str
    force: tuple[float, float, float]
    """In the world [N]."""
    seconds: float = PUSH_SECONDS
    """How long it lasts [s]."""
    start: float = 0.0
    """When it begins [s]."""

    def __post_init__(self) -> None:
        if not (np.isfinite(self.force).all() and np.abs(self.force).max() <= STRONGEST):
            raise UsageError(f"Found a push of {self.force} N on {self.name!r}; forces are numbers up to 1e6 N.")
        if not 0 < self.seconds <= LONGEST:
            raise UsageError(f"Found a push of {self.seconds:g} s on {self.name!r}; it lasts up to {LONGEST:g} s.")
        if not 0 <= self.start <= LONGEST:
            raise UsageError(f"Found a push of {self.name!r} that starts at {self.start:g} s; it takes 0 or more.")


@dataclass(frozen=True)
class Drop:
    """An object that begins in the air, above where it stood."""

    name: str
    height: float
    """[m]"""

    def __post_init__(self) -> None:
        if not 0 < self.height <= HIGHEST:
            raise UsageError(f"Found a drop of {self.name!r} from {self.height:g} m; heights are above 0, up to 10 m.")


@dataclass(frozen=True)
class Move:
    """An object that a hand or a robot carries along a path, whatever is in its way."""

    name: str
    times: tuple[float, ...]
    """When it is at each pose [s], rising. It sets out at 0 from where it stands, or begins at a pose of time 0."""
    poses: tuple[tuple[float, ...], ...]
    """xyz [m] + wxyz of the object's frame in the world, or xyz alone: then it does not turn. Between them both
    positions and rotations go evenly."""

    def __post_init__(self) -> None:
        times = np.asarray(self.times, dtype=np.float64)
        sizes = {len(pose) for pose in self.poses}
        if len(times) != len(self.poses) or not len(times) or len(sizes) != 1 or not sizes <= {3, 7}:
            raise UsageError(
                f"Found {len(times)} times and {len(self.poses)} poses to move {self.name!r} along; it takes as many "
                "of each, poses of 3 numbers (xyz) or of 7 (xyz + wxyz)."
            )
        if not (np.isfinite(times).all() and times[0] >= 0 and times[-1] <= LONGEST and (np.diff(times) > 0).all()):
            raise UsageError(f"The times to move {self.name!r} at must rise, from 0 to {LONGEST:g} s.")
        poses = np.asarray(self.poses, dtype=np.float64)
        if not (np.isfinite(poses).all() and np.abs(poses[:, :3]).max() <= FARTHEST):
            raise UsageError(f"A pose to move {self.name!r} to holds what is no number, or lies beyond 1000 m.")
        if poses.shape[1] == 7 and not (np.abs(np.linalg.norm(poses[:, 3:], axis=1) - 1) < 1e-2).all():
            raise UsageError(f"A pose to move {self.name!r} to has a quaternion whose length is not 1; they are wxyz.")


@dataclass(frozen=True, eq=False)
class Deeds:
    """All that is done in a rollout."""

    pushes: Sequence[Push] = ()
    drops: Sequence[Drop] = ()
    moves: Sequence[Move] = ()
    action: Action | None = None
    """Forces and paths step by step, one world."""
    driven: Sequence[str] = ()
    """Objects that follow the action's kinematic targets."""

    def __add__(self, other: Deeds) -> Deeds:
        """Both; of actions only one of the two may have some."""
        if self.action is not None and other.action is not None:
            raise UsageError("Only one file of actions step by step can be followed. Leave out the other.")
        return Deeds(
            (*self.pushes, *other.pushes),
            (*self.drops, *other.drops),
            (*self.moves, *other.moves),
            self.action or other.action,
            (*self.driven, *other.driven),
        )


def parse_push(text: str) -> Push:
    """Read ``NAME,FX,FY,FZ[,SECONDS[,START]]``.

    Raises:
        UsageError: Of another form.
    """
    match = re.fullmatch(rf"(.+?){f',({_NUMBER})' * 3}(?:,({_NUMBER})(?:,({_NUMBER}))?)?", text.strip())
    if match is None:
        raise UsageError(
            f"Found --push {text}; it is written NAME,FX,FY,FZ[,SECONDS[,START]] in newtons, e.g. can,2,0,0,0.1."
        )
    name, *numbers = match.groups()
    x, y, z, seconds, start = (None if number is None else float(number) for number in numbers)
    try:
        return Push(
            name.strip(), (x or 0.0, y or 0.0, z or 0.0), PUSH_SECONDS if seconds is None else seconds, start or 0.0
        )
    except UsageError as error:
        raise UsageError(f"--push {text}: {error}") from error


def parse_drop(text: str) -> Drop:
    """Read ``NAME,HEIGHT``.

    Raises:
        UsageError: Of another form.
    """
    match = re.fullmatch(f"(.+?),({_NUMBER})", text.strip())
    if match is None or not 0 < float(match[2]) <= HIGHEST:
        raise UsageError(f"Found --drop {text}; it is written NAME,HEIGHT with a height of 0 to 10 m, e.g. mug,0.1.")
    return Drop(match[1].strip(), float(match[2]))
