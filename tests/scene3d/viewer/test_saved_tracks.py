"""Which rollouts of a folder are shown, and what is said about the others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scene3d import load_scene
from scene3d._errors import FileFormatError, UsageError
from scene3d.viewer._saved_tracks import MOST_ROLLOUTS, saved_tracks

from .small_scenes import save_sliding, sliding
from .small_scenes import small_scene as desk


def _slide(future: int, time: float, poses: Any) -> None:
    poses[2, 0] += 0.1 * time
    if future == 1:
        poses[0, 0] = float("nan")


def test_the_newest_come_first_and_others_are_told(small_scene: Path) -> None:
    scene = load_scene(small_scene)
    world, rollout = sliding(scene, _slide, seconds=0.1)
    for _ in range(MOST_ROLLOUTS + 1):
        save_sliding(small_scene, world, rollout)
    tracks, notes = saved_tracks(scene, small_scene, None)
    assert [track.id for track in tracks] == [f"{number:03d}" for number in range(9, 1, -1)]
    assert notes == ["The newest 8 of 9 rollouts are shown; ask for others with --rollout."]
    tracks, notes = saved_tracks(scene, small_scene, ["004", "002", "004"])
    assert ([track.id for track in tracks], notes) == (["004", "002"], [])
    assert saved_tracks(scene, small_scene, ()) == ([], [])


def test_futures_that_are_no_numbers_are_told(small_scene: Path) -> None:
    scene = load_scene(small_scene)
    save_sliding(small_scene, *sliding(scene, _slide, futures=3, seconds=0.1))
    tracks, notes = saved_tracks(scene, small_scene, None)
    assert tracks[0].bad.tolist() == [False, True, False]
    assert notes == ["1 of 3 futures of rollout 001 hold what is no number."]


def test_a_rollout_of_another_scene(small_scene: Path) -> None:
    other = desk(300, 4)
    save_sliding(small_scene, *sliding(other, _slide, seconds=0.1))
    scene = load_scene(small_scene)
    with pytest.raises(UsageError, match="is a rollout of another scene"):
        saved_tracks(scene, small_scene, ["001"])
    tracks, notes = saved_tracks(scene, small_scene, None)
    assert not tracks
    assert notes[0].startswith("Left out: ")
    assert "another scene" in notes[0]


def test_a_rollout_that_is_not_there(small_scene: Path) -> None:
    with pytest.raises(UsageError, match="There is no rollout '007'"):
        saved_tracks(load_scene(small_scene), small_scene, ["007"])


def _cut(folder: Path) -> None:
    whole = (folder / "states.npz").read_bytes()
    (folder / "states.npz").write_bytes(whole[: len(whole) // 2])


def _change(**parts: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        with np.load(folder / "states.npz") as archive:
            arrays = dict(archive.items())
        np.savez(folder / "states.npz", **{**arrays, **{name: make(arrays[name]) for name, make in parts.items()}})

    return change


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (_cut, "is no saved rollout"),
        (lambda folder: (folder / "states.npz").write_text("hello"), "is no saved rollout"),
        (lambda folder: (folder / "rollout.yaml").write_text("a: [1,"), "is not valid YAML"),
        (lambda folder: (folder / "rollout.yaml").write_text("bodies: 3"), "is damaged"),
        (_change(twist=lambda twist: twist[:, :-1]), "is damaged"),
        (_change(twist=lambda _: np.array(["letters"])), "is no saved rollout"),
    ],
)
def test_a_damaged_rollout_is_left_out_in_a_sentence(small_scene: Path, view: Any, damage: Any, says: str) -> None:
    world, rollout = sliding(load_scene(small_scene), _slide, seconds=0.1)
    for _ in range(2):
        save_sliding(small_scene, world, rollout)
    damage(small_scene / "rollouts" / "002")
    viewer = view(small_scene)
    assert [track.id for track in viewer.session.tracks[1:]] == ["001"]
    (note,) = viewer.notes
    assert note.startswith("Left out: ")
    assert says in note
    with pytest.raises(FileFormatError, match=says):
        view(small_scene, rollouts=["002"])


@pytest.mark.parametrize(
    "break_", [lambda poses: poses * np.nan, lambda poses: poses * [1, 1, 1, 0, 0, 0, 0]], ids=["no number", "no turn"]
)
def test_a_rollout_without_a_pose_is_flagged_and_not_shown(small_scene: Path, view: Any, break_: Any) -> None:
    world, rollout = sliding(load_scene(small_scene), lambda *_: None, futures=2, seconds=0.1)
    save_sliding(small_scene, world, rollout)
    _change(T_world_body=lambda poses: break_(poses).astype(np.float32))(small_scene / "rollouts" / "001")
    viewer = view(small_scene)
    assert viewer.notes == ("2 of 2 futures of rollout 001 hold what is no number.",)
    assert viewer.session.shown == 0
    assert "is not shown" in viewer.session.notice
    assert viewer.session.jobs.failed == ""


def test_a_rollout_of_one_state_stands_still(small_scene: Path, view: Any) -> None:
    world, rollout = sliding(load_scene(small_scene), _slide, seconds=0.0)
    save_sliding(small_scene, world, rollout)
    viewer = view(small_scene)
    assert viewer.session.shown == 1
    viewer.session.set_clock(playing=True)
    viewer.session.tick(1.0)
    assert (viewer.session.clock.time, viewer.session.jobs.failed) == (0.0, "")


def test_outcomes_that_say_nothing_are_no_outcomes(small_scene: Path, view: Any) -> None:
    world, rollout = sliding(load_scene(small_scene), _slide, seconds=0.1)
    save_sliding(small_scene, world, rollout)
    path = small_scene / "rollouts" / "001" / "rollout.yaml"
    path.write_text(path.read_text().replace("outcomes: []", "outcomes: [{name: mug}]"))
    viewer = view(small_scene)
    assert len(viewer.session.tracks) == 1
    assert "`shares`" in viewer.notes[0] or "`outcome`" in viewer.notes[0]
