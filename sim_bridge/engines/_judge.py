"""An engine's answer against what it should be: bodies, phases and an answer in, one row of figures per body out.

Mass properties are compared as the engine holds them; the fall with the closed form of a body in free flight; the rest
with geometry: where the centre of mass of the body's colliders comes to lie on its support, and how deep corners lie in
what stands still. Where a body ends up sideways is not compared: contacts amplify the smallest difference.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sim_bridge.engines._phases import DT, FALL, REST, Phase, placed
from sim_bridge.engines._request import EngineError
from sim_bridge.engines._supports import Solid, depth_in, rest_height, support_below

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

    from sim_bridge.engines._stage_bodies import StageBody

__all__ = ["TOLERANCES", "Figure", "Row", "flight", "judge"]

TOLERANCES = {
    "mass": 1e-4,
    "inertia": 1e-3,
    "com_mm": 0.1,
    "friction": 1e-3,
    "restitution": 1e-4,
    "fall_mm": 1.0,
    "rest_mm": 1.0,
    "depth_mm": 1.0,
    "speed_mm_s": 30.0,
}
"""The most that each figure may be.

The fall of engines of first order may be off by gravity x step x time instead. The speed leaves room for what was
reconstructed and rocks on three corners: the worst of the scenes in the README moves at 15 mm/s, and a body that slides
or jumps at several times that. PhysX lets bodies sleep below 100 mm/s.
"""
STANDS = 0.02
"""A body whose lowest corner is farther above its support than this stands on something else [m]."""


@dataclass(frozen=True)
class Figure:
    """One number and the most that it may be."""

    value: float | None
    """None where the engine cannot say, or nothing is to be compared with."""
    limit: float

    @property
    def ok(self) -> bool:
        """Whether it is within its limit, or not there."""
        return self.value is None or bool(abs(self.value) <= self.limit)


@dataclass(frozen=True)
class Row:
    """What an engine made of one body, or of one deformable, of which less is to be said."""

    body: str
    mass: Figure
    """Relative difference."""
    inertia: Figure
    """Norm of the difference over the norm."""
    com_mm: Figure
    """Distance of the centres of mass [mm]."""
    friction: Figure
    """Difference; the greater one where the engine tells static friction from dynamic."""
    restitution: Figure
    """Relative difference; of what does not bounce at all, the difference."""
    fall_mm: Figure
    """Greatest distance from free flight [mm]; the limit grows with time for engines of first order."""
    rest_mm: Figure
    """Height of the centre of mass less that of the body at rest by geometry [mm]."""
    depth_mm: Figure
    """How deep it lies in what stands still [mm]."""
    speed_mm_s: Figure
    """Speed of the centre of mass at the end [mm/s], 0 when it sleeps."""
    height_mm: float | None
    """Height of the centre of mass above what it stands on, at the end [mm]; told, not judged."""
    tilt_deg: float | None
    """How far it turned away from the vertical while it settled; told, not judged; None of a deformable."""
    asleep: bool | None
    """Whether the engine put it to sleep; None when it has no sleep."""
    same_support: bool
    """Whether it is still above what it stood on."""

    @property
    def failures(self) -> tuple[str, ...]:
        """Names of the figures beyond their limits."""
        beyond = [name for name in TOLERANCES if not getattr(self, name).ok]
        return (*beyond, *(() if self.same_support else ("fell off its support",)))

    def document(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "failures": list(self.failures)}


def judge(
    bodies: Sequence[StageBody],
    solids: Sequence[Solid],
    phases: Mapping[str, Phase],
    answer: Mapping[str, Any],
    *,
    gravity: NDArray[np.float64],
    exact_flight: bool,
) -> tuple[Row, ...]:
    """Compare an answer with what it should be.

    Args:
        bodies: What the engine should have found.
        solids: What stands still.
        phases: Both phases, by name.
        answer: As `sim_bridge.engines._request` describes it.
        gravity: [m/s^2], shape (3,).
        exact_flight: Whether the engine's free flight has second order.

    Raises:
        EngineError: A pose is no number.
    """
    rows = []
    _require_numbers(bodies, answer)
    for body in bodies:
        held, (settled, end) = answer["bodies"][body.name], _end(answer, body.name)
        first = phases[REST].poses[body.name]
        top = support_below(solids, placed(body, first)[1])
        corners, com = placed(body, settled)
        now = support_below(solids, com + np.array([0, 0, 0.005]))
        expected = _expected_height(body, first, solids)
        asleep = answer["phases"][REST]["asleep"][body.name]
        falling, seen = phases[FALL], answer["phases"][FALL]["poses"][body.name]
        places = [pose[:3] for pose in seen]
        height = None if top is None else float(top.heights(com[None])[0])
        rest_mm = None if expected is None or height is None else 1e3 * (height - expected)
        rows.append(
            Row(
                body.name,
                Figure(held["mass"] / body.mass - 1, TOLERANCES["mass"]),
                Figure(_apart(np.reshape(held["inertia"], (3, 3)), body.inertia), TOLERANCES["inertia"]),
                Figure(1e3 * float(np.linalg.norm(np.array(held["com"]) - body.com)), TOLERANCES["com_mm"]),
                Figure(_friction(held, body), TOLERANCES["friction"]),
                Figure(_relative(held["restitution"], body.restitution), TOLERANCES["restitution"]),
                flight(falling.poses[body.name][:3], DT * np.array(falling.read), places, gravity, exact_flight),
                Figure(rest_mm, TOLERANCES["rest_mm"]),
                Figure(1e3 * depth_in(solids, corners), TOLERANCES["depth_mm"]),
                Figure(0.0 if asleep or end is None else 1e3 * float(np.linalg.norm(end)), TOLERANCES["speed_mm_s"]),
                None if height is None else 1e3 * height,
                _tilt(first, settled),
                asleep,
                top is None or (now is not None and now.solid == top.solid),
            )
        )
    return tuple(rows)


def _require_numbers(bodies: Sequence[StageBody], answer: Mapping[str, Any]) -> None:
    for body in bodies:
        poses = [answer["phases"][phase]["poses"][body.name] for phase in (FALL, REST)]
        if not all(np.isfinite(np.array(each, dtype=np.float64)).all() for each in poses):
            raise EngineError(f"{answer['engine']} lost {body.name!r}: its pose is no number.")


def _end(answer: Mapping[str, Any], name: str) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """Last pose (7,) and last velocity (3,) of a body."""
    phase = answer["phases"][REST]
    twists = phase["twists"][name]
    return np.array(phase["poses"][name][-1]), np.array(twists[-1][:3]) if twists else None


def _expected_height(body: StageBody, first: NDArray[np.float64], solids: Sequence[Solid]) -> float | None:
    """Where its centre of mass comes to lie, None for a body that does not stand on what stands still."""
    corners, com = placed(body, first)
    top = support_below(solids, com)
    if top is None or top.heights(corners).min() > STANDS:
        return None
    return rest_height(corners, com, -top.normal)


def flight(
    first: NDArray[np.float64], times: NDArray[np.float64], places: ArrayLike, gravity: NDArray[np.float64], exact: bool
) -> Figure:
    """Distance from free flight [mm], where it is greatest for its limit; the last of equals.

    Args:
        first: Where it began at rest [m], shape (3,).
        times: When it was seen [s], shape (T,).
        places: Where it was then [m], shape (T, 3).
        gravity: [m/s^2], shape (3,).
        exact: Whether the engine's free flight has second order.
    """
    worst, limit = 0.0, TOLERANCES["fall_mm"]
    for time, place in zip(times.tolist(), np.asarray(places, dtype=np.float64), strict=True):
        expected = first + gravity * time * time / 2
        error = 1e3 * float(np.linalg.norm(place - expected))
        allowed = TOLERANCES["fall_mm"]
        if not exact:
            allowed = max(allowed, 1e3 * float(np.linalg.norm(gravity)) * DT * time)
        if round(error / allowed, 2) >= round(worst / limit, 2):
            worst, limit = error, allowed
    return Figure(worst, limit)


def _friction(held: Mapping[str, Any], body: StageBody) -> float | None:
    both = (_less(held["friction"], body.friction), _less(held["static_friction"], body.static_friction))
    return max((less for less in both if less is not None), key=abs, default=None)


def _less(held: float | None, meant: float | None) -> float | None:
    return None if held is None or meant is None else held - meant


def _relative(held: float | None, meant: float | None) -> float | None:
    less = _less(held, meant)
    return less / meant if less is not None and meant else less


def _apart(held: NDArray[np.float64], meant: NDArray[np.float64]) -> float:
    return float(np.linalg.norm(held - meant) / np.linalg.norm(meant))


def _tilt(first: NDArray[np.float64], last: NDArray[np.float64]) -> float:
    """Angle [deg] between where the vertical of the first pose is in the body, and that of the last."""
    up = [
        np.array([2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)])
        for w, x, y, z in (pose[3:] / np.linalg.norm(pose[3:]) for pose in (first, last))
    ]
    return float(np.degrees(np.arccos(np.clip(up[0] @ up[1], -1, 1))))
