"""Answers about deformables, good and bad."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from pxr import Usd

from scene3d import Scene
from sim_bridge.engines._judge import Row
from sim_bridge.engines._judge_soft import judge_soft
from sim_bridge.engines._phases import DT, Phase, fall, placed, rest
from sim_bridge.engines._request import EngineError
from sim_bridge.engines._stage_bodies import read_bodies
from sim_bridge.engines._stage_soft import StageSoft, read_soft
from sim_bridge.engines._supports import Solid, solid
from sim_bridge.usd import export_usd

Change = Callable[[dict[str, Any]], None]
GRAVITY = np.array([0.0, 0.0, -9.81])
RADIUS = 0.0075


@pytest.fixture(scope="module")
def stage(tabletop_loaded: Scene, tmp_path_factory: pytest.TempPathFactory) -> Any:
    path = tmp_path_factory.mktemp("stage") / "scene.usdc"
    export_usd(tabletop_loaded, path)
    return Usd.Stage.Open(str(path))


@pytest.fixture(scope="module")
def trial(stage: Any) -> tuple[StageSoft, tuple[Solid, ...], dict[str, Phase]]:
    """The rope, what it lies on, and how its phases begin."""
    found = read_bodies(stage, "scene.usdc")
    (_, rope), left = read_soft(stage, found.soft)
    assert left == ()
    solids = tuple(solid(corners) for corners in found.statics)
    phases = (fall((rope,), found.statics), rest((rope,), solids, 2.0))
    return rope, solids, {phase.name: phase for phase in phases}


def test_a_stage_says_what_the_scene_holds(stage: Any, tabletop_loaded: Scene) -> None:
    soft, _ = read_soft(stage, read_bodies(stage, "scene.usdc").soft)
    assert [(each.name, each.particles, each.cells) for each in soft] == [("toy", 593, 2005), ("rope", 56, 55)]
    for each in soft:
        particles = tabletop_loaded.objects[tabletop_loaded.index(each.name)].body.particles
        assert particles is not None
        assert each.mass == pytest.approx(particles.masses.sum(), rel=1e-6)
        assert each.com == pytest.approx(particles.masses @ particles.points / particles.masses.sum(), abs=1e-6)
        lowest = placed(each, each.pose)[0][:, 2].min()
        assert lowest == pytest.approx(0.0, abs=1e-3)  # It lies on the table, which is at 0 within its noise.


def test_one_without_masses_is_named_and_left_out(stage: Any) -> None:
    paths = read_bodies(stage, "scene.usdc").soft
    masses = stage.GetPrimAtPath("/World/rope/particles").GetAttribute("physics:masses")
    kept = masses.Get()
    masses.Set(list(kept)[:-1])
    try:
        soft, left = read_soft(stage, paths)
    finally:
        masses.Set(kept)
    assert [each.name for each in soft] == ["toy"] and left == ("rope",)


def judged(
    trial: tuple[StageSoft, tuple[Solid, ...], dict[str, Phase]], change: Change | None = None
) -> tuple[Row, str]:
    rope, solids, phases = trial
    begun = {name: placed(rope, phase.poses["rope"]) for name, phase in phases.items()}
    points, com = begun["rest"]
    centres = points.reshape(-1, 6, 3).mean(axis=1) - [0, 0, 0.001]
    times = DT * np.array(phases["fall"].read)
    falls = begun["fall"][1] + GRAVITY * times[:, None] ** 2 / 2
    answer: dict[str, Any] = {
        "engine": "test",
        "bodies": {"rope": {"mass": rope.mass, "particles": 56, "cells": 55, "radius": RADIUS}},
        "phases": {
            "fall": {"begun": {"rope": begun["fall"][1]}, "coms": {"rope": falls.tolist()}},
            "rest": {
                "begun": {"rope": com.tolist()},
                "coms": {"rope": [(com - [0, 0, 0.001]).tolist()] * 2},
                "speeds": {"rope": [0.0, 0.0, 0.0]},
                "points": {"rope": centres.tolist()},
            },
        },
    }
    if change is not None:
        change(answer)
    (row,), (note,) = judge_soft((rope,), solids, phases, answer, gravity=GRAVITY, exact_flight=True)
    return row, note


def test_a_true_answer_has_no_failures(trial: Any) -> None:
    row, note = judged(trial)
    assert row.failures == ()
    assert row.com_mm.value == pytest.approx(0, abs=1e-6) and row.fall_mm.value == pytest.approx(0, abs=1e-6)
    assert note == "rope: 56 particles and 55 cells as exported, sank by 1.0 mm, drifted 0.0 mm aside in the fall."


def test_a_drift_aside_in_the_fall_is_said(trial: Any) -> None:
    def aside(answer: dict[str, Any]) -> None:
        answer["phases"]["fall"]["coms"]["rope"][2][0] += 0.012

    row, note = judged(trial, aside)
    assert row.failures == () and row.fall_mm.value == pytest.approx(0, abs=1e-6)
    assert "drifted 12.0 mm aside" in note


def lower(by: float) -> Change:
    def change(answer: dict[str, Any]) -> None:
        for point in answer["phases"]["rest"]["points"]["rope"]:
            point[2] -= by

    return change


@pytest.mark.parametrize(
    ("change", "failures"),
    [
        (lambda a: a["bodies"]["rope"].update(mass=0.0648 * 1.001), ("mass",)),
        (lambda a: a["phases"]["rest"]["begun"]["rope"].__setitem__(0, 0.0), ("com_mm",)),
        (lambda a: a["phases"]["fall"]["coms"]["rope"][2].__setitem__(2, 0.0), ("fall_mm",)),
        (lambda a: a["phases"]["rest"]["speeds"].update(rope=[0.0, 0.04, 0.0]), ("speed_mm_s",)),
        (lambda a: a["phases"]["rest"]["coms"].update(rope=[[2.0, 0, -0.5]] * 2), ("fell off its support",)),
        (lower(0.003), ("depth_mm",)),
    ],
)
def test_each_fault_is_found(trial: Any, change: Change, failures: tuple[str, ...]) -> None:
    assert judged(trial, change)[0].failures == failures


def test_other_particles_are_an_error(trial: Any) -> None:
    with pytest.raises(EngineError, match=r"made \(50, 55\) particles and cells of 'rope', not \(56, 55\)"):
        judged(trial, lambda answer: answer["bodies"]["rope"].update(particles=50))


def test_particles_that_are_nowhere_are_an_error(trial: Any) -> None:
    with pytest.raises(EngineError, match="lost 'rope'"):
        judged(trial, lower(float("nan")))
