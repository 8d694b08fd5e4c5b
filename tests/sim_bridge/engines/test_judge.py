"""Answers of an engine, good and bad, against bodies and phases."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from sim_bridge.engines._judge import TOLERANCES, Row, judge
from sim_bridge.engines._phases import DT, fall, rest
from sim_bridge.engines._request import EngineError
from sim_bridge.engines._stage_bodies import StageBody
from sim_bridge.engines._supports import solid

CUBE = np.array([(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], dtype=np.float64)
TABLE = CUBE * [0.5, 0.4, 0.02] - [0, 0, 0.02]
GRAVITY = np.array([0.0, 0.0, -9.81])
POSE = np.array([0.1, 0.0, 0.049, 1.0, 0.0, 0.0, 0.0])
SURFACE = {"friction": 0.5, "static_friction": None, "restitution": 0.3}
Change = Callable[[dict[str, Any]], None]


@pytest.fixture
def brick() -> StageBody:
    inertia = np.diag([2e-4, 3e-4, 4e-4])
    corners = CUBE * [0.03, 0.04, 0.05]
    com = np.array([0.0, 0.0, 0.01])
    return StageBody("brick", "/World/brick", POSE, 0.25, com, corners, inertia, 0.5, 0.6, restitution=0.3)


def judged(body: StageBody, change: Change | None = None, *, exact: bool = True) -> Row:
    solids = (solid(TABLE),)
    phases = {phase.name: phase for phase in (fall((body,), (TABLE,)), rest((body,), solids, 2.0))}
    first, steps = phases["fall"].poses["brick"], phases["fall"].read
    lag = 0.0 if exact else 0.5 * DT
    falls = [[*(first[:3] + GRAVITY * step * DT * (step * DT / 2 + lag)), *first[3:]] for step in steps]
    rests = [[0.1, 0.0, 0.05, 1.0, 0.0, 0.0, 0.0]] * 2
    answer: dict[str, Any] = {
        "engine": "test",
        "bodies": {"brick": {"mass": 0.25, "com": [0, 0, 0.01], "inertia": body.inertia.ravel()} | SURFACE},
        "phases": {
            "fall": {"poses": {"brick": falls}},
            "rest": {"poses": {"brick": rests}, "twists": {"brick": [[0.0] * 6] * 2}, "asleep": {"brick": None}},
        },
    }
    if change is not None:
        change(answer)
    return judge((body,), solids, phases, answer, gravity=GRAVITY, exact_flight=exact)[0]


def held(**values: Any) -> Change:
    return lambda answer: answer["bodies"]["brick"].update(values)


def at(*pose: float) -> Change:
    return lambda answer: answer["phases"]["rest"]["poses"].update(brick=[list(pose)] * 2)


def test_a_true_answer_has_no_failures(brick: StageBody) -> None:
    row = judged(brick)
    assert row.failures == ()
    assert row.rest_mm.value == pytest.approx(0.0, abs=1e-6)
    assert row.depth_mm.value == pytest.approx(0.0, abs=1e-6)
    assert row.fall_mm.value == pytest.approx(0.0, abs=1e-6)
    assert row.tilt_deg == pytest.approx(0.0, abs=1e-6)
    assert row.document()["failures"] == []


@pytest.mark.parametrize(
    ("change", "failures"),
    [
        (held(mass=0.2501), ("mass",)),
        (held(inertia=np.diag([2e-4, 3e-4, 4.01e-4]).ravel()), ("inertia",)),
        (held(inertia=np.diag([3e-4, 2e-4, 4e-4]).ravel()), ("inertia",)),
        (held(com=[0, 0.0002, 0.01]), ("com_mm",)),
        (held(friction=0.6), ("friction",)),
        (held(static_friction=0.5), ("friction",)),
        (held(static_friction=0.6), ()),
        (held(restitution=0.30004), ("restitution",)),
        (at(0.1, 0, 0.0485, 1, 0, 0, 0), ("rest_mm", "depth_mm")),
        (at(0.1, 0, 0.0515, 1, 0, 0, 0), ("rest_mm",)),
        (at(0.1, 0, 0.03, 0.5**0.5, 0, 0.5**0.5, 0), ("rest_mm",)),
        (at(0.9, 0, -0.67, 1, 0, 0, 0), ("rest_mm", "fell off its support")),
        (lambda a: a["phases"]["rest"]["twists"].update(brick=[[0.3, 0, 0, 0, 0, 0]] * 2), ("speed_mm_s",)),
    ],
)
def test_each_fault_is_found(brick: StageBody, change: Change, failures: tuple[str, ...]) -> None:
    assert judged(brick, change).failures == failures


def test_a_fall_of_first_order_is_allowed_to_engines_of_first_order(brick: StageBody) -> None:
    behind = judged(brick, exact=False)
    assert behind.failures == ()
    assert behind.fall_mm.value == pytest.approx(1e3 * 9.81 * DT * 0.25 / 2)
    assert behind.fall_mm.limit == pytest.approx(1e3 * 9.81 * DT * 0.25)

    def late(answer: dict[str, Any]) -> None:
        for pose in answer["phases"]["fall"]["poses"]["brick"]:
            pose[2] += 0.0011

    assert judged(brick, late).failures == ("fall_mm",)
    assert judged(brick, late).fall_mm.limit == TOLERANCES["fall_mm"]


def test_what_an_engine_cannot_say_is_not_held_against_it(brick: StageBody) -> None:
    row = judged(brick, held(friction=None, restitution=None))
    assert row.failures == ()
    assert row.friction.value is None and row.restitution.value is None


def test_what_does_not_bounce_is_compared_by_the_difference(brick: StageBody) -> None:
    dead = replace(brick, restitution=0.0)
    assert judged(dead, held(restitution=0.0)).failures == ()
    assert judged(dead, held(restitution=2e-4)).failures == ("restitution",)


def test_a_pose_that_is_no_number_is_an_error(brick: StageBody) -> None:
    with pytest.raises(EngineError, match="test lost 'brick': its pose is no number"):
        judged(brick, at(0, 0, float("nan"), 1, 0, 0, 0))
