"""Rollouts as tracks: poses between frames, futures that are no numbers, what moves."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from scene3d import load_scene
from scene3d._rollout_folder import load_rollout
from scene3d.viewer._track import saved_track, still_track, track_of

from .small_scenes import save_sliding, sliding, small_scene

SCENE = small_scene(300)


def _slide(future: int, time: float, poses: Any) -> None:
    poses[2, 0] += 0.1 * time * (future + 1)


def test_poses_between_frames() -> None:
    _, rollout = sliding(SCENE, _slide, futures=2)
    track = track_of("slide", rollout)
    assert (track.futures, track.duration) == (2, pytest.approx(1.0))
    np.testing.assert_allclose(track.poses_at(1, 0.505)[2, 0] - track.poses_at(1, 0.0)[2, 0], 0.101, atol=1e-5)
    np.testing.assert_allclose(track.poses_at(0, 9.0), track.poses[0, -1], atol=1e-6)


def test_quaternions_go_the_shorter_way() -> None:
    def turn(_: int, time: float, poses: Any) -> None:
        angle = np.pi * time
        sign = -1 if round(time * 60) % 2 else 1
        poses[0, 3:] = sign * torch.tensor([np.cos(angle / 2), 0, 0, np.sin(angle / 2)])

    _, rollout = sliding(SCENE, turn)
    between = track_of("turn", rollout).poses_at(0, 30.5 / 60)[0, 3:]
    angle = np.pi * 30.5 / 60
    assert abs(abs(between @ [np.cos(angle / 2), 0, 0, np.sin(angle / 2)]) - 1) < 1e-5


def test_what_moves_and_what_does_not() -> None:
    _, rollout = sliding(SCENE, _slide)
    assert track_of("slide", rollout).moves.tolist() == [False, False, True, False, False]
    assert not still_track("photos", np.tile([0, 0, 0, 1.0, 0, 0, 0], (3, 1))).moves.any()


def test_futures_that_are_no_numbers_are_marked() -> None:
    def broken(future: int, time: float, poses: Any) -> None:
        _slide(future, time, poses)
        if future == 1 and time > 0.5:
            poses[0, 0] = float("nan")

    _, rollout = sliding(SCENE, broken, futures=3)
    track = track_of("broken", rollout)
    assert track.bad.tolist() == [False, True, False]
    assert track.moves.tolist() == [False, False, True, False, False]


def test_particles_only_where_they_move() -> None:
    _, rollout = sliding(SCENE, _slide)
    assert track_of("none", rollout).particles_at(0, 0.5) is None
    times = rollout.T_world_body.shape[1]
    held = torch.rand(1, 1, 4, 3).expand(1, times, 4, 3)
    assert track_of("held", replace(rollout, x=held)).particles_at(0, 0.5) is None
    x = held.clone()
    x[0, 30:] += 0.1
    track = track_of("moved", replace(rollout, x=x))
    found = track.particles_at(0, 1.0)
    assert found is not None
    np.testing.assert_allclose(found, held[0, 0].numpy() + 0.1, atol=1e-6)


def test_a_saved_rollout_is_called_by_what_was_done(small_scene: Path) -> None:
    world, rollout = sliding(SCENE, _slide)
    first = save_sliding(small_scene, world, rollout, deeds=["push mug,1,0,0"])
    second = save_sliding(small_scene, world, rollout, deeds=["drop can,0.1"], branch=(first, 0.5))
    tracks = [saved_track(load_rollout(load_scene(small_scene), small_scene, name)) for name in (first, second)]
    assert [track.name for track in tracks] == ["001: push mug", "002: 001 at 0.5 s, drop can"]
    assert tracks[1].branch == ("001", 0.5)
    assert all(track.saved and track.id for track in tracks)
