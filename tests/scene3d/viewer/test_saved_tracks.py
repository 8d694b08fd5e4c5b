"""Which rollouts of a folder are shown, and what is said about the others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from scene3d import load_scene
from scene3d._errors import UsageError
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
