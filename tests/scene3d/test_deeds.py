"""What is done to objects: how it is written, in words and in files, and what of it makes no sense."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from dynamics import Action
from dynamics._state_file import save_tensors
from scene3d import Scene
from scene3d._deeds import Deeds, Drop, Move, Push, parse_drop, parse_push
from scene3d._deeds_action import action_of, check_deeds, driven_objects, first_state
from scene3d._deeds_file import load_deeds
from scene3d._errors import FileFormatError, Scene3dError, UsageError
from scene3d._scene_world import scene_state, scene_world

NAME = "Wooden block!"


@pytest.mark.parametrize(
    "text",
    ["can", "can,1,2", "can,1,2,nan", "can,1,2,3,-1", ",1,2,3", "can,1,2,3,0.1,-1", "can,1,2,3,1e3", "c,1e9,0,0"],
)
def test_pushes_that_are_none(text: str) -> None:
    with pytest.raises(UsageError, match=r"--push"):
        parse_push(text)


def test_pushes_and_drops_in_words() -> None:
    assert parse_push("can, red,1,0,0") == Push("can, red", (1.0, 0.0, 0.0))
    assert parse_push("can,1,-2,.5,0.3") == Push("can", (1.0, -2.0, 0.5), 0.3)
    assert parse_push("can,1,0,0,0.3,1.5") == Push("can", (1.0, 0.0, 0.0), 0.3, 1.5)
    assert parse_drop("mug,0.1") == Drop("mug", 0.1)
    for text in ("mug", "mug,-1", "mug,11", "mug,nan"):
        with pytest.raises(UsageError, match=r"NAME,HEIGHT"):
            parse_drop(text)


@pytest.mark.parametrize(
    ("times", "poses", "says"),
    [
        ((), (), "as many"),
        ((1.0,), ((0.0, 0.0),), "3 numbers"),
        ((0.0, 1.0), ((0.0, 0.0, 0.0), (0.0,) * 7), "3 numbers"),
        ((1.0, 0.5), ((0.0,) * 3,) * 2, "must rise"),
        ((-1.0,), ((0.0,) * 3,), "must rise"),
        ((1.0,), ((0.0, float("nan"), 0.0),), "no number"),
        ((1.0,), ((0.0,) * 3 + (2.0, 0.0, 0.0, 0.0),), "not 1"),
    ],
)
def test_moves_that_are_none(times: tuple[float, ...], poses: tuple[tuple[float, ...], ...], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        Move("box", times, poses)


def test_a_list_in_yaml_and_in_json(objects_scene: Scene, tmp_path: Path) -> None:
    entries = [
        {"push": NAME, "force": [3, 0, 0.5], "start": 0.5, "seconds": 0.2},
        {"drop": NAME, "height": 0.1},
        {"move": NAME, "times": [0.5, 1.0], "poses": [[0, 0, 0.1], [0.1, 0, 0.1]]},
    ]
    for name in ("deeds.yaml", "deeds.json"):
        (tmp_path / name).write_text(json.dumps(entries))
        deeds = load_deeds(tmp_path / name, objects_scene)
        assert list(deeds.pushes) == [Push(NAME, (3.0, 0.0, 0.5), 0.2, 0.5)]
        assert list(deeds.drops) == [Drop(NAME, 0.1)]
        assert list(deeds.moves) == [Move(NAME, (0.5, 1.0), ((0.0, 0.0, 0.1), (0.1, 0.0, 0.1)))]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("drop: x", "must hold a list"),
        ("- 3", "deed 1 is 3; each has one of the keys"),
        ("- {}", "deed 1 is"),
        ("- {push: a, drop: b}", "one of the keys push, drop and move"),
        ("- {drop: Wooden block!, height: 0.1}\n- {drop: Wooden block!, heigth: 0.1}", "deed 2 is no drop"),
        ("- {drop: Wooden block!, height: .nan}", "deed 1 is no drop"),
        ("- {push: Wooden block!, force: [1, 2]}", "deed 1 is no push"),
        ("- {push: Wooden block!, force: [1, 2, .inf]}", "deed 1 is no push"),
        ("- {drop: cup, height: 0.1}", "no object 'cup'"),
        ("- {drop: [", r"not valid YAML .* A list of deeds looks like - \{drop: mug, height: 0.1\}\.$"),
        ("- {push: Wooden block!, force: [1, 2, 3], begin: 1}", r"no push \(push, force, start, seconds\): .*`begin`"),
    ],
)
def test_lists_that_are_none(objects_scene: Scene, tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "deeds.yaml"
    path.write_text(text)
    with pytest.raises(Scene3dError, match=says):
        load_deeds(path, objects_scene)


def test_files_of_other_kinds(objects_scene: Scene, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"\.yaml or \.json"):
        load_deeds(tmp_path / "deeds.txt", objects_scene)
    with pytest.raises(FileFormatError, match=r"no file"):
        load_deeds(tmp_path / "deeds.yaml", objects_scene)
    for name, says in (("deeds.json", "not valid JSON"), ("deeds.npz", "cannot be read as an npz")):
        (tmp_path / name).write_text("{")
        with pytest.raises(FileFormatError, match=says):
            load_deeds(tmp_path / name, objects_scene)


def test_an_action_step_by_step(objects_scene: Scene, tmp_path: Path) -> None:
    world = scene_world(objects_scene)
    wrench = torch.zeros(1, 5, 4, 6)
    wrench[0, 2, 0, 1] = 2.0
    save_tensors(Action(wrench=wrench), tmp_path / "action.npz")
    deeds = load_deeds(tmp_path / "action.npz", objects_scene)
    begun = first_state(objects_scene, world, scene_state(objects_scene, world), deeds)
    tap = Deeds(pushes=[Push(NAME, (0.0, 0.0, 1.0), 0.001)])
    for steps in (3, 8):
        action = action_of(objects_scene, world, begun, deeds + tap, steps)
        assert action is not None
        assert action.wrench is not None
        assert action.wrench.shape == (1, steps, 4, 6)
        assert action.wrench[0, :, 0, 1].tolist() == [0.0, 0.0, 2.0, 0.0, 0.0, 0.0, 0.0, 0.0][:steps]
        assert action.wrench[0, :2, 0, 2].tolist() == [1.0, 0.0]
        assert action.kinematic_target is None
    np.savez(tmp_path / "objects.npz", wrench=np.array([1, 0])[:, None] * np.ones((5, 2, 6), np.float32))
    given = load_deeds(tmp_path / "objects.npz", objects_scene).action
    assert given is not None
    assert given.wrench is not None
    assert given.wrench[0, 0, :, 0].tolist() == [1.0, 0.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({}, "holds nothing"),
        ({"force": np.zeros(3)}, "holds force; an action has wrench"),
        ({"joint_target": np.zeros((1, 4, 0))}, "which drive joints"),
        ({"wrench": np.zeros((4, 3, 6))}, r"has shape \(4, 3, 6\)"),
        ({"wrench": np.zeros((2, 4, 4, 6))}, r"has shape \(2, 4, 4, 6\)"),
        ({"wrench": np.zeros((4, 2, 6), int)}, "type int64"),
        ({"wrench": np.full((4, 2, 6), np.nan)}, "'Wooden block!' is not a number in step 0"),
        ({"wrench": np.full((4, 2, 6), 1e300)}, r"wrench holds 1e\+300; it takes up to 1e\+06"),
        ({"wrench": np.ones((4, 2, 6))}, "pushes 'blue rope', which does not move here"),
        ({"wrench": np.eye(4)[:, :, None] + np.zeros((4, 4, 6))}, "'blue rope'"),
        ({"kinematic_target": np.zeros((4, 2, 7)), "driven": np.array([NAME])}, "length is not 1"),
        (
            {"kinematic_target": np.eye(7)[[3]] + np.zeros((4, 2, 7)), "driven": [NAME], "wrench": np.ones((4, 2, 6))},
            "pushes 'Wooden block!', which follows a path",
        ),
        ({"kinematic_target": np.zeros((4, 2, 7))}, "both kinematic_target and driven"),
        ({"wrench": np.zeros((4, 2, 6)), "driven": np.array(["cup"])}, "no object 'cup'"),
        ({"wrench": np.array([{}])}, "cannot be read"),
    ],
)
def test_actions_that_are_none(objects_scene: Scene, tmp_path: Path, arrays: dict[str, np.ndarray], says: str) -> None:
    np.savez(tmp_path / "action.npz", **arrays)  # pyright: ignore
    with pytest.raises(Scene3dError, match=says):
        load_deeds(tmp_path / "action.npz", objects_scene)


def test_a_path_goes_evenly_and_stays_at_its_end(objects_scene: Scene) -> None:
    move = Move(NAME, (0.5, 1.0), ((0.0, 0.0, 0.2), (0.2, 0.0, 0.2)))
    deeds = Deeds(moves=[move])
    world = scene_world(objects_scene, driven=driven_objects(deeds))
    assert world.bodies[0].motion == "kinematic"
    begun = first_state(objects_scene, world, scene_state(objects_scene, world), deeds)
    start = np.array(objects_scene.objects[0].T_world_body)
    assert begun.T_world_body[0, 0].numpy() == pytest.approx(start, abs=1e-6)
    action = action_of(objects_scene, world, begun, deeds, 360)
    assert action is not None
    assert action.kinematic_target is not None
    path = action.kinematic_target[0, :, 0].numpy()
    assert path[59, :3] == pytest.approx(0.5 * start[:3] + 0.5 * np.array([0, 0, 0.2]), abs=1e-6)
    assert path[179, :3] == pytest.approx([0.1, 0, 0.2], abs=1e-6)
    assert path[239:, :3] == pytest.approx(np.tile([0.2, 0, 0.2], (121, 1)), abs=1e-6)
    assert path[:, 3:] == pytest.approx(np.tile(start[3:], (360, 1)), abs=1e-6)
    # With a pose for time 0 it begins there.
    there = Deeds(moves=[Move(NAME, (0.0,), ((0.1, 0.2, 0.3, 0.0, 1.0, 0.0, 0.0),))])
    begun = first_state(objects_scene, world, scene_state(objects_scene, world), there)
    assert begun.T_world_body[0, 0].tolist() == pytest.approx([0.1, 0.2, 0.3, 0, 1, 0, 0])


def test_deeds_that_contradict_each_other(objects_scene: Scene) -> None:
    move = Move(NAME, (1.0,), ((0.0, 0.0, 0.1),))
    for deeds, says in (
        (Deeds(pushes=[Push("blue rope", (1.0, 0.0, 0.0))]), "deformable"),
        (Deeds(moves=[move, move]), "two paths"),
        (Deeds(moves=[move], pushes=[Push(NAME, (1.0, 0.0, 0.0))]), "neither pushed nor dropped"),
        (Deeds(moves=[move], drops=[Drop(NAME, 0.1)]), "neither pushed nor dropped"),
        (Deeds(pushes=[Push(NAME, (1.0, 0.0, 0.0), 0.1, 3.0)]), "starts at 3 s, and the rollout ends at 2 s"),
        (Deeds(drops=[Drop("cup", 0.1)]), "no object 'cup'"),
        (Deeds(drops=[Drop(NAME, 0.1), Drop(NAME, 0.2)]), "dropped twice"),
    ):
        with pytest.raises(UsageError, match=says):
            check_deeds(objects_scene, deeds, 2.0)
    with pytest.raises(UsageError, match=r"Only one file"):
        _ = Deeds(action=Action()) + Deeds(action=Action())
    world = scene_world(objects_scene, driven=[NAME])
    state = scene_state(objects_scene, world)
    hasty = Deeds(moves=[Move(NAME, (0.01,), ((5.0, 0.0, 0.1),))])
    with pytest.raises(UsageError, match=r"Give it more time"):
        action_of(objects_scene, world, state, hasty, 10)


def test_what_stands_fast_neither_falls_nor_can_be_pushed(objects_scene: Scene) -> None:
    first = objects_scene.objects[0]
    fixed = replace(first, body=first.body.with_motion("static"))
    scene = replace(objects_scene, objects=(fixed, *objects_scene.objects[1:]))
    assert scene_world(scene).bodies[0].motion == "static"
    with pytest.raises(UsageError, match="stands fast"):
        check_deeds(scene, Deeds(pushes=(Push(first.name, (1.0, 0.0, 0.0)),)), 1.0)
