"""Things that hang together in a session: they are put elsewhere together, and fall on their hinge where let go."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from dynamics._joint_geometry import joint_frames
from scene3d._scene_world import scene_world
from scene3d.viewer._acts import Acts
from scene3d.viewer._session import Session

from ..jointed_scene import jointed_scene

SCENE = jointed_scene()
BOX, LID, PENDULUM, STONE = range(4)


@pytest.fixture
def acts(tmp_path: Path) -> Iterator[Acts]:
    made = Acts(Session(tmp_path, SCENE, scene_world(SCENE)))
    made.futures, made.seconds, made.network = 1, 0.2, False
    yield made
    made.session.jobs.close()


def test_a_lid_takes_its_box_along_and_back(acts: Acts) -> None:
    before = acts.session.poses()
    acts.begin_move(LID)
    acts.move(LID, before[LID] + np.array([0.1, 0.2, 0.3, 0, 0, 0, 0], dtype=np.float32))
    acts.end_move()
    moved = acts.session.poses()
    np.testing.assert_allclose(moved[BOX, :3] - before[BOX, :3], [0.1, 0.2, 0.3], atol=1e-6)
    np.testing.assert_array_equal(moved[[PENDULUM, STONE]], before[[PENDULUM, STONE]])
    acts.put_back(LID)
    np.testing.assert_array_equal(acts.session.poses(), before)
    acts.history.undo()
    np.testing.assert_array_equal(acts.session.poses(), moved)
    acts.history.undo()
    np.testing.assert_array_equal(acts.session.poses(), before)


def test_what_hangs_in_the_world_stays_and_says_so(acts: Acts) -> None:
    before = acts.session.poses()
    acts.begin_move(PENDULUM)
    acts.move(PENDULUM, before[PENDULUM] + np.float32(0.1))
    acts.end_move()
    np.testing.assert_array_equal(acts.session.poses(), before)
    assert acts.session.notice == "pendulum is held in its place by the joint 'pivot'. Push it."
    assert len(acts.history) == 0


def test_let_go_in_the_air_both_fall_on_their_hinge(acts: Acts) -> None:
    acts.begin_move(BOX)
    acts.move(BOX, acts.session.poses()[BOX] + np.array([0, 0, 0.1, 0, 0, 0, 0], dtype=np.float32))
    acts.end_move()
    assert acts.let_go(BOX) == ""
    acts.session.jobs.run("wait", lambda _: None).result(timeout=120)
    assert acts.session.jobs.failed == ""
    track, world = acts.session.track, acts.session.world
    assert world is not None
    frames = joint_frames(world, torch.from_numpy(track.poses[0]))
    assert float((frames.parent_point - frames.child_point).norm(dim=-1).max()) < 5e-4
    assert track.poses[0, -1, LID, 2] < track.poses[0, 0, LID, 2] - 0.05
