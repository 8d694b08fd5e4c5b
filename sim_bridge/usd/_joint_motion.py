"""How a joint of a stage moves: its axis, limits, drive, friction and damping, in radians, metres and newtons.

Where it turns, USD counts in degrees, and in units of the stage everywhere. Friction and damping without a drive have
no name in USD: those of PhysX and of Newton are read, as `_joint_prims` writes them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sim_bridge.usd._read_values import authored

if TYPE_CHECKING:
    from collections import Counter

    from sim_bridge.usd._read_values import StageReader

__all__ = ["Motion", "axis_of", "read_motion"]

AXES = {"X": (1.0, 0.0, 0.0), "Y": (0.0, 1.0, 0.0), "Z": (0.0, 0.0, 1.0)}
ENDLESS = 1e30
"""From here on a number of single precision stands for infinity."""
DEGREE = math.radians(1.0)


@dataclass(frozen=True)
class Motion:
    """Of a hinge [rad, N m] or a slide [m, N]."""

    low: float
    high: float
    stiffness: float = 0.0
    drive_damping: float = 0.0
    force_limit: float = math.inf
    goal: float = 0.0
    """Position that the drive aims at."""
    friction: float = 0.0
    damping: float = 0.0


def axis_of(reader: StageReader, prim: Any, kind: str) -> tuple[float, float, float]:
    """Unit axis in the joint's frame; x unless said, as in USD, and z for a fixed joint."""
    return AXES["Z"] if kind == "fixed" else AXES.get(str(reader.value(prim, "physics:axis")), AXES["X"])


def read_motion(reader: StageReader, prim: Any, kind: str, said: Counter[str]) -> Motion | None:
    """Motion of a hinge or slide.

    Args:
        reader: Of the stage.
        prim: The joint.
        kind: ``hinge`` or ``slide``.
        said: Counts what could not be kept, in words that follow ``2 joints``.

    Returns:
        None when a limit is no number.
    """
    units, hinge = reader.units, kind == "hinge"
    word, step = ("angular", DEGREE) if hinge else ("linear", units.metres)
    effort = units.kilograms * units.metres ** (2 if hinge else 1)
    low, high = (_limit(reader.value(prim, f"physics:{which}Limit"), step) for which in ("lower", "upper"))
    if low is None or high is None:
        return None

    def value(*names: str, unit: float) -> float:
        """The first of some attributes that is authored; what is none counts as 0 and is said."""
        name = next((name for name in names if authored(prim, name)), None)
        found = 0.0 if name is None else reader.value(prim, name)
        if not isinstance(found, (int, float)) or not 0 <= found < math.inf:
            said["had friction, damping or a drive that is no number from 0 on; that was taken for 0"] += 1
            return 0.0
        return float(found) * unit

    axis = f"physxJointAxis:{word}"
    friction = value(f"{axis}:staticFrictionEffort", f"{axis}:dynamicFrictionEffort", "newton:friction", unit=effort)
    damping = value(f"{axis}:viscousFrictionCoefficient", "newton:damping", unit=effort / step)
    drive = f"drive:{word}:physics"
    gains = [value(f"{drive}:{name}", unit=effort / step) for name in ("stiffness", "damping")]
    if any(gains) and str(reader.value(prim, f"{drive}:type")) == "acceleration":
        said["had a drive in accelerations, which a scene has not; the drive was left out"] += 1
        gains = [0.0, 0.0]
    if not any(gains):
        return Motion(low, high, friction=friction, damping=damping)
    if reader.value(prim, f"{drive}:targetVelocity"):
        said["had a drive that aims at a speed; in a scene it aims at a position, at rest"] += 1
    goal = _limit(reader.value(prim, f"{drive}:targetPosition"), step) or 0.0
    most = _limit(reader.value(prim, f"{drive}:maxForce"), effort)
    return Motion(
        low,
        high,
        stiffness=gains[0],
        drive_damping=gains[1],
        force_limit=math.inf if most is None else max(0.0, most),
        goal=goal if gains[0] and math.isfinite(goal) else 0.0,
        friction=friction,
        damping=damping,
    )


def _limit(value: Any, unit: float) -> float | None:
    """A position; None when it is no number."""
    if not isinstance(value, (int, float)) or math.isnan(value):
        return None
    return math.copysign(math.inf, value) if abs(value) >= ENDLESS else float(value) * unit
