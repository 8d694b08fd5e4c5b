"""Our own dynamics answers as every other engine does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from scene3d import Scene
from scene3d._errors import UsageError
from scene3d.files import load_scene
from sim_bridge.engines._own_dynamics import run_own

DT = 1 / 240


@pytest.fixture(scope="module")
def scene(tabletop_scene: Path) -> Scene:
    """The can alone, which takes the shortest to prepare."""
    whole = load_scene(tabletop_scene)
    return replace(whole, objects=tuple(thing for thing in whole.objects if thing.name == "can"))


def test_it_flies_rests_and_sleeps(scene: Scene) -> None:
    (can,) = scene.objects
    high = [*can.T_world_body[:2], can.T_world_body[2] + 1.0, *can.T_world_body[3:]]
    asked = {
        "engine": "own",
        "bodies": [{"name": "can"}],
        "dt": DT,
        "phases": [
            {"name": "fall", "poses": {"can": high}, "steps": 60, "read": [15, 60]},
            {"name": "rest", "poses": {"can": list(can.T_world_body)}, "steps": 241, "read": [60, 240]},
        ],
    }
    answer = run_own(scene, asked)
    held = answer["bodies"]["can"]
    assert held["mass"] == can.body.mass
    assert held["inertia"] == can.body.inertia.ravel().tolist()
    fall, rest = answer["phases"]["fall"], answer["phases"]["rest"]
    for count, pose, twist in zip((15, 60), fall["poses"]["can"], fall["twists"]["can"], strict=True):
        time = count * DT
        assert pose[2] == pytest.approx(high[2] - 0.5 * 9.81 * time**2, abs=1e-4)
        assert twist[2] == pytest.approx(-9.81 * time, rel=1e-4)
    assert not fall["asleep"]["can"] and rest["asleep"]["can"]
    assert rest["poses"]["can"][1][2] == pytest.approx(can.T_world_body[2], abs=1e-3)
    assert answer["version"].startswith("scene3d ")


def test_a_scene_without_scale_is_refused_unless_assumed(scene: Scene) -> None:
    asked = {"engine": "own", "bodies": [], "dt": DT, "phases": []}
    with pytest.raises(UsageError, match="scene3d scale"):
        run_own(replace(scene, metric=False), asked)
    assert run_own(replace(scene, metric=False), {**asked, "assume_scale": True})["bodies"] == {}
