"""The proof in MuJoCo, from an exported model and in a process of its own."""

# pyright: reportAttributeAccessIssue=false
# mujoco is a compiled module without annotations.

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scene3d import Scene
from scene3d.files import load_scene
from sim_bridge.engines import _mujoco_worker
from sim_bridge.mjcf._export import export_mjcf

DT = 1 / 240
WORKER = Path(_mujoco_worker.__file__)


@pytest.fixture(scope="module")
def scene(tabletop_scene: Path) -> Scene:
    return load_scene(tabletop_scene)


def lifted(pose: tuple[float, ...], height: float) -> list[float]:
    return [*pose[:2], pose[2] + height, *pose[3:]]


def request(scene: Scene, model: Path) -> dict[str, Any]:
    rigid = [thing for thing in scene.objects if thing.kind == "rigid"]
    high = {thing.name: lifted(thing.T_world_body, 1.0 + number) for number, thing in enumerate(rigid)}
    there = {thing.name: list(thing.T_world_body) for thing in rigid}
    return {
        "version": 1,
        "engine": "mujoco",
        "model": str(model),
        "bodies": [{"name": thing.name} for thing in rigid],
        "dt": DT,
        "phases": [
            {"name": "fall", "poses": high, "steps": 60, "read": [30, 60]},
            {"name": "rest", "poses": there, "steps": 480, "read": [240, 480]},
        ],
    }


@pytest.fixture(scope="module")
def asked(scene: Scene, tmp_path_factory) -> dict[str, Any]:
    return request(scene, export_mjcf(scene, tmp_path_factory.mktemp("mujoco") / "desk.xml").path)


@pytest.fixture(scope="module")
def answer(asked: dict[str, Any], tmp_path_factory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("worker")
    (folder / "request.json").write_text(json.dumps(asked))
    command = [sys.executable, "-I", str(WORKER), str(folder / "request.json"), str(folder / "answer.json")]
    subprocess.run(command, check=True, cwd=folder, timeout=120)
    return json.loads((folder / "answer.json").read_text())


def test_the_worker_imports_nothing_of_ours() -> None:
    text = WORKER.read_text()
    assert all(f"import {name}" not in text for name in ("dynamics", "scene3d", "sim_bridge"))
    assert all(f"from {name}" not in text for name in ("dynamics", "scene3d", "sim_bridge"))


def test_what_it_holds_is_what_the_scene_says(scene: Scene, answer: dict[str, Any]) -> None:
    assert answer["version"].startswith("MuJoCo ")
    assert list(answer["bodies"]) == ["mug", "can", "box"]
    for name, found in answer["bodies"].items():
        body = scene.objects[scene.index(name)].body
        assert found["mass"] == pytest.approx(body.mass, rel=1e-4)
        assert np.abs(np.array(found["com"]) - body.com).max() < 1e-4
        inertia = np.array(found["inertia"]).reshape(3, 3)
        assert np.abs(inertia - body.inertia).max() < 1e-3 * np.abs(body.inertia).max()
        assert found["friction"] == pytest.approx(body.material.friction)
        assert found["restitution"] == pytest.approx(body.material.restitution, abs=1e-6)


def test_flight_is_a_parabola(scene: Scene, asked: dict[str, Any], answer: dict[str, Any]) -> None:
    starts, fall = asked["phases"][0]["poses"], answer["phases"]["fall"]
    for name, start in starts.items():
        for count, pose, twist in zip((30, 60), fall["poses"][name], fall["twists"][name], strict=True):
            time = count * DT
            drop = start[2] - pose[2] - 0.5 * 9.81 * time**2
            assert 0 <= drop < 9.81 * DT * time
            assert twist[2] == pytest.approx(-9.81 * time, rel=1e-6)
            assert np.abs(twist[3:]).max() < 1e-9


def test_what_stood_still_stands_still(asked: dict[str, Any], answer: dict[str, Any]) -> None:
    for name, start in asked["phases"][1]["poses"].items():
        first, last = answer["phases"]["rest"]["poses"][name]
        assert abs(last[2] - start[2]) < 1e-3
        assert np.abs(np.array(last) - first).max() < 1e-4
    assert answer["phases"]["rest"]["asleep"] == {"mug": None, "can": None, "box": None}


def test_twists_are_of_the_centre_of_mass_in_world_axes(asked: dict[str, Any]) -> None:
    import mujoco

    model = mujoco.MjModel.from_xml_path(asked["model"])
    data = mujoco.MjData(model)
    joint = model.body_jntadr[model.body("mug").id]
    data.qpos[2 + model.jnt_qposadr[joint]] = 5.0
    half = math.sqrt(0.5)
    data.qpos[model.jnt_qposadr[joint] + 3 : model.jnt_qposadr[joint] + 7] = half, half, 0, 0
    data.qvel[model.jnt_dofadr[joint] : model.jnt_dofadr[joint] + 6] = 1, 2, 3, 0.5, -0.4, 0.3
    mujoco.mj_forward(model, data)
    wanted = np.zeros(6)
    mujoco.mj_objectVelocity(model, data, mujoco.mjtObj.mjOBJ_BODY, model.body("mug").id, wanted, 0)
    _, twist = _mujoco_worker.read(model, data, "mug")
    assert twist[3:] == pytest.approx(wanted[:3])
    com = data.body("mug").xipos - data.body("mug").xpos
    assert twist[:3] == pytest.approx(np.array([1.0, 2.0, 3.0]) + np.cross(wanted[:3], com))


def test_steps_are_divided_into_whole_ones_of_the_models(asked: dict[str, Any]) -> None:
    import mujoco

    model = mujoco.MjModel.from_xml_path(asked["model"])
    assert _mujoco_worker.whole_substeps(model, DT) == 4
    assert _mujoco_worker.whole_substeps(model, 1e-4) == 1
    assert model.opt.timestep == 1e-4


def test_a_spring_of_the_other_form_has_no_restitution() -> None:
    assert _mujoco_worker.rebound(0.02, 1.0) is None
    assert _mujoco_worker.rebound(-100.0, -20.0) == 0.0
