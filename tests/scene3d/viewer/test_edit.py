"""Edits without a page: only what was said is changed, and a ray meets what is shown."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from scene3d import Scene, load_scene
from scene3d._errors import SegmentError, UsageError
from scene3d.edit import rename
from scene3d.files import restore_previous
from scene3d.report._moment import Moment
from scene3d.viewer import Session
from scene3d.viewer._acts import Acts
from scene3d.viewer._edit_change import apply, said_of, same_bodies
from scene3d.viewer._edit_click import where_ray_meets
from scene3d.viewer._edit_job import change_scene, show_scene
from scene3d.viewer._edit_new import _add
from scene3d.viewer._picture_moment import moment_of
from scene3d.viewer._saved_tracks import saved_tracks

from .small_scenes import save_sliding, sliding


@pytest.fixture
def desk(small_scene: Path) -> Scene:
    """A red box, a green can and a blue mug."""
    return load_scene(small_scene)


def test_only_what_was_said_is_changed(desk: Scene) -> None:
    shown = said_of(desk, 1)
    changed, words = apply(desk, "can", replace(shown, mass=0.5), shown)
    assert changed.objects[1].body.mass == pytest.approx(0.5) and "mass" not in changed.objects[1].guessed
    assert changed.objects[1].body.material == desk.objects[1].body.material
    assert words == "can is 0.5 kg, weighed now." and same_bodies(desk, changed)
    renamed, _ = apply(desk, "can", replace(shown, name=" tin "), shown)
    assert renamed.objects[1].name == "tin" and same_bodies(desk, renamed)
    assert renamed.objects[1].body.mass == desk.objects[1].body.mass, "the form rounds, the scene does not"
    with pytest.raises(UsageError, match="Nothing of can"):
        apply(desk, "can", shown, shown)
    with pytest.raises(UsageError, match="above zero"):
        apply(desk, "can", replace(shown, mass=0.0), shown)
    with pytest.raises(UsageError, match="no object 'vase'"):
        apply(desk, "vase", replace(shown, mass=1.0), shown)


def test_a_ray_meets_what_is_shown_now(small_scene: Path, desk: Scene) -> None:
    eye = np.array([0.0, -0.6, 0.35])

    def met(moment: Moment, target: tuple[float, float, float]) -> tuple[int, np.ndarray]:
        found = where_ray_meets(moment, eye, np.array(target) - eye)
        return found.component, found.point

    session = Session(small_scene, desk, None)
    component, point = met(moment_of(session), (0.0, 0.1 - 0.033, 0.07))
    assert component == 2 and np.abs(point - (0.0, 0.067, 0.07)).max() < 0.006
    component, point = met(moment_of(session), (0.05, -0.15, 0.0))
    assert component == 0 and np.abs(point - (0.05, -0.15, 0.0)).max() < 0.006
    with pytest.raises(SegmentError, match="Nothing is shown there"):
        met(moment_of(session), (0.0, 0.0, 2.0))
    # The can was put elsewhere: the ray meets the table behind it.
    pose = session.poses()[1]
    pose[0] += 0.25
    session.put(1, pose)
    assert met(moment_of(session), (0.0, 0.067, 0.07))[0] == 0


def test_a_rename_keeps_rollouts_and_the_moment(small_scene: Path, desk: Scene) -> None:
    world, rollout = sliding(desk, lambda _, time, poses: poses[1, 1].add_(0.1 * time), futures=2)
    save_sliding(small_scene, world, rollout, deeds=["push can,0,1,0"])
    session = Session(small_scene, desk, world)
    acts = Acts(session)
    acts.futures, acts.seconds, acts.network = 2, 0.1, False
    tracks, _ = saved_tracks(desk, small_scene, None)
    session.add(tracks[0])
    session.seek(0.5)
    session.select(1)
    assert acts.push(1, np.array([0.0, 1.0, 0.0]), 0.1) == ""
    session.jobs.run("wait", lambda _: None).result(120)
    session.seek(0.05)
    poses, said = session.poses(), []

    def call_it(name: str) -> None:
        old = session.scene.objects[1].name
        change_scene(session, "rename", lambda scene, _: (rename(scene, old, name), ""), said.append).result(120)
        assert session.jobs.failed == ""

    call_it("tin")
    assert [track.name for track in session.tracks] == ["photos", "001: push tin", "001 at 0.5 s: push tin"]
    assert session.tracks[2].document["deeds"] == ["push tin,0,1,0,0.1"]
    assert [row["name"] for row in session.tracks[2].document["outcomes"]] == ["box", "tin", "mug"]
    assert (session.shown, session.selected, session.clock.time) == (2, 1, pytest.approx(0.05))
    assert np.array_equal(session.poses(), poses)
    # What was made before is saved under the new name, and read again, and so is what lies on disk.
    assert acts.branches.save() == ""
    session.jobs.run("wait", lambda _: None).result(120)
    again, notes = saved_tracks(load_scene(small_scene), small_scene, None)
    assert [track.name for track in again] == ["002: 001 at 0.5 s, push tin", "001: push tin"]
    assert notes == []
    # Undoing the rename keeps them as well.
    show_scene(session, restore_previous(small_scene), "", said.append, lambda *_: None)
    assert [track.name for track in session.tracks[1:]] == ["001: push can", "002: 001 at 0.5 s, push can"]
    assert (session.shown, session.selected) == (2, 1)
    assert not any("left the page" in words for words in said)
    session.jobs.close()


def test_a_click_on_an_object_selects_it(small_scene: Path, desk: Scene) -> None:
    session = Session(small_scene, desk, None)
    eye, told = np.array([0.0, -0.6, 0.35]), []
    session.jobs.changed.connect(lambda: told.append(session.jobs.failed))
    _add(session, eye, np.array([0.0, 0.067, 0.07]) - eye, "tin", told.append)
    session.jobs.run("wait", lambda _: None).result(120)
    assert any("That is can, an object already" in words for words in told)
    assert session.selected == 1
    assert [thing.name for thing in load_scene(small_scene).objects] == ["box", "can", "mug"]
    session.jobs.close()
