"""Joints of a scene: saved and read, kept in place by every edit, grown with the world, and felt by a simulation."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from dynamics._joint_geometry import joint_frames, joint_positions
from dynamics.poses import compose, rotation_from_wxyz
from scene3d import Scene, load_scene, save_scene
from scene3d._errors import FileFormatError, OutputError, UsageError
from scene3d._flatten import flatten
from scene3d._identify_scene import MotionLog, logged_world
from scene3d._scene_joints import joint_lines, joint_rows
from scene3d._scene_world import held_by, scene_state, scene_world
from scene3d._simulate import Drop, Move, Push, simulate
from scene3d.capture._similarity import Similarity, transform_scene
from scene3d.edit import Place, duplicate, merge, move, put, remove, rename, split
from scene3d.segment._segment import _without_joints

from .conftest import scene_of_objects
from .jointed_scene import HINGE, PIVOT, jointed_scene

WELD = replace(HINGE, name="weld", kind="fixed", parent=3, child=0)
UPRIGHT_HERE = (0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0)
Stand = dict[str, tuple[np.ndarray, np.ndarray, float]]


def stand(scene: Scene) -> Stand:
    """Of each joint: where it is and its axis, in the world, and how far its two frames are apart."""
    found: Stand = {}
    for joint in scene.joints:
        sides = []
        for body, frame in ((joint.parent, joint.T_parent_joint), (joint.child, joint.T_child_joint)):
            pose = UPRIGHT_HERE if body < 0 else scene.objects[body].T_world_body
            there = compose(*(torch.tensor(given, dtype=torch.float64) for given in (pose, frame)))
            axis = rotation_from_wxyz(there[3:]) @ torch.tensor(joint.axis, dtype=torch.float64)
            sides.append(np.concatenate([there[:3].numpy(), axis.numpy()]))
        found[joint.name] = sides[1][:3], sides[1][3:], float(np.abs(sides[1] - sides[0]).max())
    return found


def assert_same(now: Stand, was: Stand) -> None:
    assert list(now) == list(was)
    for name, (place, axis, gap) in now.items():
        np.testing.assert_allclose(place, was[name][0], atol=1e-6)
        np.testing.assert_allclose(axis, was[name][1], atol=1e-6)
        assert gap < 1e-6


def names(scene: Scene) -> list[tuple[str, str | None, str]]:
    """Each joint with the names of what it joins."""
    called = [thing.name for thing in scene.objects]
    return [(j.name, called[j.parent] if j.parent >= 0 else None, called[j.child]) for j in scene.joints]


# Files.


def test_joints_are_saved_and_read(tmp_path: Path) -> None:
    scene = jointed_scene(replace(HINGE, low=-math.inf, stiffness=2.0, force_limit=3.5, drive_damping=0.1), PIVOT)
    text = (save_scene(scene, tmp_path / "out") / "scene.yaml").read_text()
    assert text.startswith("version: 4\n")
    assert "inf" not in text
    assert load_scene(tmp_path / "out").joints == scene.joints


def test_a_scene_without_joints_is_written_as_before(tmp_path: Path) -> None:
    text = (save_scene(scene_of_objects(), tmp_path / "out") / "scene.yaml").read_text()
    assert text.startswith("version: 3\n") and "joints" not in text
    assert load_scene(tmp_path / "out").joints == ()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("parent: box", "parent: crate", "joint 'lid hinge' joins 'crate', which is no object of the scene"),
        ("parent: box", "parent: lid", "closes a loop"),
        ("parent: null", "parent: lid\n  stuff: 1", "unknown field `stuff`"),
        ("name: pivot", "name: lid hinge", "Two joints are called 'lid hinge'"),
        ("name: pivot", "name: ''", "length >= 1"),
        ("high: 1.8", "high: -1.8", "the lower one comes first"),
        ("high: 1.8", "high: .nan", "which are none"),
        ("damping: 0.001", "damping: .inf", "has a damping of inf"),
        ("friction: 0.002", "friction: -0.002", "it is 0 or more"),
        ("axis: [-1.0, 0.0, 0.0]", "axis: [0.0, 0.0, 0.0]", "must be a unit vector"),
        ("kind: hinge\n  parent: box", "kind: ball\n  parent: box", "Invalid enum value 'ball'"),
    ],
)
def test_joints_that_are_not_read(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = save_scene(jointed_scene(), tmp_path / "out") / "scene.yaml"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(FileFormatError, match=message):
        load_scene(tmp_path / "out")


def test_a_scene_that_contradicts_itself_is_not_saved(tmp_path: Path) -> None:
    for joint, message in (
        (replace(PIVOT, child=9), "names a body that is not there"),
        (replace(PIVOT, parent=1, child=0), "closes a loop"),
        (replace(PIVOT, name="x" * 201), "must have a name of 1 to 200"),
    ):
        with pytest.raises(OutputError, match=message):
            save_scene(jointed_scene(HINGE, joint), tmp_path / "out")
    assert not (tmp_path / "out" / "scene.yaml").exists()


# Edits.


def test_what_is_removed_takes_its_joints_along() -> None:
    scene = jointed_scene(HINGE, PIVOT, WELD)
    assert names(remove(scene, "lid")) == [("pivot", None, "pendulum"), ("weld", "stone", "box")]
    assert names(remove(scene, "box")) == [("pivot", None, "pendulum")]
    assert names(remove(scene, "pendulum")) == [("lid hinge", "box", "lid"), ("weld", "stone", "box")]
    assert flatten(scene).joints == ()
    assert _without_joints(scene) == ["3 joints left out: the objects were found anew."]


def test_names_and_copies_leave_joints_alone() -> None:
    scene = jointed_scene()
    assert rename(scene, "lid", "cover").joints == scene.joints
    assert duplicate(scene, "lid", place=Place(-0.4, 0.4, 0.3)).joints == scene.joints


@pytest.mark.parametrize("name", ["box", "lid"])
def test_what_hangs_together_moves_together(name: str) -> None:
    scene = jointed_scene()
    moved = move(scene, name, (0.1, -0.2, 0.3), 0.7)
    before, after = stand(scene), stand(moved)
    assert moved.objects[2:] == scene.objects[2:]
    assert after["lid hinge"][2] < 1e-6
    arms = [np.subtract(s.objects[1].T_world_body[:3], s.objects[0].T_world_body[:3]) for s in (scene, moved)]
    assert np.linalg.norm(arms[1]) == pytest.approx(np.linalg.norm(arms[0]))
    assert np.linalg.norm(after["lid hinge"][0] - before["lid hinge"][0]) > 0.2
    back = move(moved, name, (-0.1, 0.2, -0.3), -0.7)
    assert_same(stand(back), before)


def test_what_holds_a_thing_in_the_world_moves_along() -> None:
    scene = jointed_scene()
    put_there = put(scene, "pendulum", Place(0.2, 0.3, 0.6))
    (place, axis, gap) = stand(put_there)["pivot"]
    np.testing.assert_allclose(place, [0.2, 0.3, 0.75], atol=1e-6)
    np.testing.assert_allclose(axis, stand(scene)["pivot"][1], atol=1e-6)
    assert gap < 1e-6
    assert put_there.joints[0] == scene.joints[0]


def test_merged_things_keep_the_joints_of_both() -> None:
    scene = jointed_scene(HINGE, PIVOT)
    merged = merge(scene, "stone", "pendulum")
    assert names(merged) == [("lid hinge", "box", "lid"), ("pivot", None, "stone")]
    assert_same(stand(merged), stand(scene))
    # What joined the two is inside of one thing now; of two ways to the same thing the first stays.
    assert names(merge(scene, "box", "lid", "chest")) == [("pivot", None, "pendulum")]
    chain = jointed_scene(HINGE, replace(HINGE, name="second", parent=2, child=1, axis=(0.0, 0.0, 1.0)))
    assert names(merge(chain, "pendulum", "box")) == [("lid hinge", "pendulum", "lid")]


def test_the_nearest_piece_keeps_the_joint() -> None:
    scene = jointed_scene()
    parted = split(merge(scene, "stone", "pendulum"), "stone")
    (_, parent, child) = names(parted)[1]
    assert parent is None
    thing = parted.objects[parted.index(child)]
    assert thing.T_world_body[0] == pytest.approx(0.5, abs=0.01)
    assert len(parted.objects) == 4
    assert_same(stand(parted), stand(scene))


# Other worlds.


def test_there_and_back_is_the_same() -> None:
    scene = jointed_scene(HINGE, PIVOT, replace(WELD, kind="slide", low=-0.2, high=0.3))
    R = np.array([[0.0, -1, 0], [0.6, 0, -0.8], [0.8, 0, 0.6]])
    s = Similarity(2.0, R, np.array([0.3, -0.1, 0.7]))

    grown = transform_scene(scene, s)
    back = transform_scene(grown, s.inverse())

    before, after = stand(scene), stand(grown)
    np.testing.assert_allclose(after["pivot"][0], s.points(before["pivot"][0]), atol=1e-6)
    np.testing.assert_allclose(after["lid hinge"][0], s.points(before["lid hinge"][0]), atol=1e-6)
    np.testing.assert_allclose(after["pivot"][1], s.directions(before["pivot"][1]), atol=1e-6)
    assert after["lid hinge"][2] < 1e-6 and after["pivot"][2] < 1e-6
    assert (grown.joints[2].low, grown.joints[2].high) == (-0.4, 0.6)
    assert (grown.joints[0].low, grown.joints[0].high, grown.joints[0].friction) == (0.0, 1.8, 0.002)
    for was, now in zip(scene.joints, back.joints, strict=True):
        assert replace(now, T_parent_joint=was.T_parent_joint, T_child_joint=was.T_child_joint) == was
        np.testing.assert_allclose(now.T_parent_joint, was.T_parent_joint, atol=1e-12)
        np.testing.assert_allclose(now.T_child_joint, was.T_child_joint, atol=1e-12)


# Physics.


def test_joints_between_what_does_not_move_are_left_out() -> None:
    scene = jointed_scene(HINGE, PIVOT, WELD)
    assert [joint.name for joint in scene_world(scene, driven=["pendulum"]).joints] == ["lid hinge", "weld"]
    assert [joint.name for joint in scene_world(scene, driven=["box", "lid"]).joints] == ["pivot", "weld"]
    assert held_by(scene, "pendulum") == "pivot"
    assert held_by(scene, "lid") == ""


@pytest.mark.parametrize("network", [False, True], ids=["physics", "network"])
def test_a_pushed_lid_turns_about_its_hinge(network: bool) -> None:
    found = simulate(jointed_scene(), pushes=[Push("lid", (0, 0, 6.0), 0.1)], seconds=0.3, network=network)
    frames = joint_frames(found.world, found.rollout.T_world_body[0])
    assert float((frames.parent_point - frames.child_point).norm(dim=-1).max()) < 5e-4
    assert float(found.rollout.joint_q[0, :, 0].max()) > 0.3
    assert float(found.rollout.joint_q[0, :, 0].min()) > -1e-3
    assert found.flagged == ()
    # What it hangs together with wakes with it; what hangs elsewhere sleeps on.
    assert int(found.rollout.still[0, 3, 0]) < 100
    assert torch.equal(found.rollout.T_world_body[0, -1, 2], found.rollout.T_world_body[0, 0, 2])


def test_a_pushed_pendulum_swings_about_its_pivot() -> None:
    found = simulate(jointed_scene(), pushes=[Push("pendulum", (3.0, 0, 0), 0.1)], seconds=0.3, network=False)
    frames = joint_frames(found.world, found.rollout.T_world_body[0])
    assert float((frames.parent_point - frames.child_point).norm(dim=-1).max()) < 5e-4
    assert float(found.rollout.joint_q[0, :, 1].max()) > 0.3


def test_drives_hold_position_0() -> None:
    spring = replace(PIVOT, stiffness=20.0, drive_damping=0.5)
    scene = jointed_scene(HINGE, spring)
    free = simulate(jointed_scene(), pushes=[Push("pendulum", (3.0, 0, 0), 0.1)], seconds=0.1, network=False)
    held = simulate(scene, pushes=[Push("pendulum", (3.0, 0, 0), 0.1)], seconds=0.1, network=False)
    assert float(held.rollout.joint_q[0, :, 1].max()) < 0.5 * float(free.rollout.joint_q[0, :, 1].max())


def test_what_hangs_together_is_dropped_together() -> None:
    scene = jointed_scene()
    found = simulate(scene, drops=[Drop("lid", 0.1)], seconds=0.1, network=False)
    first = found.rollout.T_world_body[0, 0]
    assert float(first[0, 2]) == pytest.approx(0.2) and float(first[1, 2]) == pytest.approx(0.305)
    with pytest.raises(UsageError, match="'pendulum' is held in its place by the joint 'pivot'"):
        simulate(scene, drops=[Drop("pendulum", 0.1)], seconds=0.1)


def test_a_rollout_goes_on_where_it_was(tmp_path: Path) -> None:
    from scene3d._rollout_folder import load_rollout, save_simulation, state_at

    scene = jointed_scene()
    folder = save_scene(scene, tmp_path / "out")
    found = simulate(scene, pushes=[Push("lid", (0, 0, 6.0), 0.1)], seconds=0.1, network=False)
    saved = load_rollout(scene, folder, save_simulation(found, folder).name)
    state = state_at(saved, 0, 0.1)
    assert state.joint_q.shape == (1, 2)
    on = simulate(scene, state=state, seconds=0.1, network=False)
    assert float(on.rollout.joint_q[0, 0, 0]) == pytest.approx(float(found.rollout.joint_q[0, -1, 0]), abs=1e-5)
    # Where the pendulum is led, its pivot is no part of the world; the state fits all the same.
    led = Move("pendulum", (0.0, 0.1), (scene.objects[2].T_world_body,) * 2)
    other = simulate(scene, state=state, moves=[led], seconds=0.1, network=False)
    assert other.rollout.joint_q.shape[-1] == 1
    assert load_rollout(scene, folder, save_simulation(other, folder).name).rollout.joint_q.shape[-1] == 1


def test_joint_positions_are_those_of_the_photos() -> None:
    scene = jointed_scene()
    world = scene_world(scene)
    places, _ = joint_positions(world, scene_state(scene, world).T_world_body)
    np.testing.assert_allclose(places[0], [0, 0], atol=1e-6)


def test_what_is_tied_is_not_identified() -> None:
    pose = np.repeat(np.array([[jointed_scene().objects[1].T_world_body]]), 4, axis=1)
    with pytest.raises(UsageError, match="A joint ties 'lid'"):
        logged_world(jointed_scene(), MotionLog(("lid",), (pose[0, :, None],), 0.01))


def test_joints_in_words() -> None:
    rows = joint_rows(jointed_scene())
    assert rows[0] == {"name": "lid hinge", "kind": "hinge", "parent": "box", "child": "lid"}
    assert joint_lines(rows) == ["lid hinge: hinge of lid on box", "pivot: hinge of pendulum on the world"]
