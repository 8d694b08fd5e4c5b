"""What is looked at: tracks come and go, one is shown, things are selected, and everybody hears of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scene3d._scene_world import scene_world
from scene3d.viewer import Session
from scene3d.viewer._track import track_of

from .small_scenes import sliding, small_scene


def _slide(future: int, time: float, poses: Any) -> None:
    poses[2, 0] += 0.1 * time * (future + 1)


def _broken(future: int, time: float, poses: Any) -> None:
    if future == 0:
        poses[0, 0] = float("nan")


@pytest.fixture
def session() -> Any:
    scene = small_scene(300)
    session = Session(Path("desk"), scene, scene_world(scene))
    yield session
    session.jobs.close()


def _heard(session: Session) -> list[str]:
    heard: list[str] = []
    for name in ("scene", "tracks", "moment", "selection", "clock"):
        getattr(session, f"{name}_changed").connect(lambda name=name: heard.append(name))
    return heard


def test_it_begins_with_the_photos_moment(session: Session) -> None:
    assert session.track.futures == 1
    np.testing.assert_allclose(session.poses()[2, :3], (0.15, -0.03, 0.05), atol=1e-6)
    session.set_clock(playing=True)
    assert not session.clock.playing


def test_a_track_that_is_added_is_shown_from_its_start(session: Session) -> None:
    heard = _heard(session)
    session.add(track_of("slide", sliding(session.scene, _slide, futures=2)[1]))
    assert heard == ["tracks", "moment"]
    assert (session.shown, session.clock.duration) == (1, pytest.approx(1.0))
    session.seek(0.5)
    session.show(1, 1)
    assert session.clock.time == 0.5, "another future of the same track is shown at the same moment"
    assert session.poses()[2, 0] == pytest.approx(0.15 + 0.1)
    session.show(0)
    assert session.clock.time == 0.0


def test_time_passes_and_is_heard_of(session: Session) -> None:
    session.add(track_of("slide", sliding(session.scene, _slide)[1]))
    session.set_clock(playing=True, loop=False)
    heard = _heard(session)
    session.tick(0.4)
    assert heard == ["moment"]
    session.tick(9.0)
    assert heard == ["moment", "moment", "clock"]
    assert not session.clock.playing
    session.tick(1.0)
    assert len(heard) == 3


def test_a_step_stops_and_goes_a_frame(session: Session) -> None:
    session.add(track_of("slide", sliding(session.scene, _slide)[1]))
    session.set_clock(playing=True)
    session.seek(0.5)
    session.step(-1)
    assert not session.clock.playing
    assert session.clock.time == pytest.approx(29 / 60)


def test_what_is_no_number_is_passed_over_and_told(session: Session) -> None:
    session.add(track_of("broken", sliding(session.scene, _broken, futures=2)[1]))
    assert session.future == 1
    assert "future 2 is shown" in session.notice
    session.add(track_of("worse", sliding(session.scene, _broken)[1]))
    assert session.track.name == "broken"
    assert "Rollout worse holds what is no number" in session.notice
    assert np.isfinite(session.poses()).all()


def test_what_is_put_by_hand_is_forgotten_when_time_goes_on(session: Session) -> None:
    session.add(track_of("slide", sliding(session.scene, _slide)[1]))
    pose = np.array([0, 0, 1, 1, 0, 0, 0], dtype=np.float32)
    session.put(1, pose)
    np.testing.assert_array_equal(session.poses()[1], pose)
    session.seek(0.3)
    assert session.poses()[1, 2] == pytest.approx(0.06)


def test_removing_the_track_that_is_shown_goes_back_to_the_photos(session: Session) -> None:
    for name in ("a", "b"):
        session.add(track_of(name, sliding(session.scene, _slide)[1]))
    session.remove(1)
    assert session.track.name == "b"
    session.remove(1)
    session.remove(0)
    assert session.shown == 0
    assert len(session.tracks) == 1


def test_a_body_that_is_deleted_while_selected_is_no_longer_selected(session: Session) -> None:
    session.add(track_of("slide", sliding(session.scene, _slide)[1]))
    session.select(2)
    session.select(7)
    assert session.selected is None
    session.select(2)
    heard = _heard(session)
    smaller = replace(session.scene, objects=session.scene.objects[:2])
    session.replace_scene(smaller, scene_world(smaller))
    assert session.selected is None
    assert (len(session.tracks), session.shown) == (1, 0)
    assert heard == ["scene", "tracks", "selection", "moment"]
    assert session.poses().shape == (4, 7)


def test_without_metres_there_are_poses_but_no_world() -> None:
    scene = replace(small_scene(300), metric=False)
    session = Session(Path("desk"), scene, None)
    assert session.poses().shape == (3, 7)
    session.jobs.close()
