"""Pushing, moving, changing and saving in a session, without a page: what the buttons call."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dynamics import Latents
from dynamics._identify_parameters import find_parameters
from dynamics._posterior import Posterior
from scene3d import Scene
from scene3d._rollout_folder import list_rollouts, load_rollout
from scene3d._scene_world import scene_world
from scene3d.edit import rename
from scene3d.files import save_scene
from scene3d.viewer._act_changes import Change, altered, ranges
from scene3d.viewer._acts import Acts
from scene3d.viewer._session import Session
from scene3d.viewer._track import track_of
from scene3d.viewer._what_if import present

from .small_scenes import PLACES, sliding, small_scene, write_small_scene

BOX, CAN, MUG = range(3)


@pytest.fixture(scope="module")
def desk() -> Scene:
    """One for all tests: bodies remember what is costly to find out about how they touch."""
    return small_scene(600)


@pytest.fixture
def acts(desk: Scene, tmp_path: Path) -> Any:
    made = Acts(Session(write_small_scene(tmp_path / "desk", desk), desk, scene_world(desk)))
    made.futures, made.seconds, made.network = 3, 0.5, False
    yield made
    made.session.jobs.close()


@pytest.fixture
def failures(acts: Acts) -> list[str]:
    """What went wrong in jobs; the next job that goes well makes `Jobs.failed` empty again."""
    found: list[str] = []
    jobs = acts.session.jobs
    jobs.changed.connect(lambda: found.append(jobs.failed) if jobs.failed and jobs.failed not in found else None)
    return found


def done(acts: Acts) -> None:
    """Waits for what runs: a job that comes after it."""
    acts.session.jobs.run("wait", lambda _: None).result(timeout=120)


def at(x: float, y: float, z: float) -> np.ndarray:
    return np.array([x, y, z, 1, 0, 0, 0], dtype=np.float32)


def test_a_push_adds_a_track_whose_body_moved_along_the_arrow(acts: Acts, failures: list[str]) -> None:
    assert acts.push(BOX, np.array([0.0, -4.0, 0.0]), 0.2) == ""
    assert acts.busy
    done(acts)
    assert not acts.busy
    assert failures == []
    track = acts.session.track
    assert track.name == "push box"
    assert track.futures == 3
    assert acts.session.clock.playing
    way = track.poses[:, -1, BOX, :3] - track.poses[:, 0, BOX, :3]
    assert (way[:, 1] < -0.02).all()
    assert (np.abs(way[:, 0]) < 0.3 * np.abs(way[:, 1])).all()
    still = track.poses[:, :, [CAN, MUG]]
    assert bool((still == still[:, :1]).all())
    names = [row["name"] for row in track.document["outcomes"]]
    assert names == ["box", "can", "mug"]
    assert track.document["deeds"] == ["push box,0,-4,0,0.2"]


def test_a_drop_begins_in_the_air_and_falls(acts: Acts) -> None:
    assert acts.drop(MUG, 0.1) == ""
    done(acts)
    poses = acts.session.track.poses[:, :, MUG, 2]
    assert poses[:, 0] == pytest.approx(PLACES["mug"][2] + 0.1, abs=1e-5)
    assert poses[:, -1] == pytest.approx(PLACES["mug"][2], abs=0.02)


def test_a_branch_begins_exactly_at_the_moment(acts: Acts) -> None:
    acts.push(BOX, np.array([0.0, -4.0, 0.0]), 0.2)
    done(acts)
    session, parent = acts.session, acts.session.track
    session.clock.playing = False
    session.show(1, 2)
    session.seek(0.207)
    frame = parent.frame(0.207)
    assert acts.push(CAN, np.array([2.0, 0.0, 0.0]), 0.1) == ""
    done(acts)
    track = session.track
    assert track.name == "push box at 0.2 s: push can"
    assert track.branch == ("push box", pytest.approx(frame * parent.dt))
    assert np.array_equal(track.poses[:, 0], np.repeat(parent.poses[2:3, frame], 3, axis=0))
    assert np.array_equal(track.twist[:, 0], np.repeat(parent.twist[2:3, frame], 3, axis=0))
    # What its first future is drawn to have is what the branched-off future had.
    drawn = [None if t.rollout is None else t.rollout.latents for t in (parent, track)]
    assert drawn[0] is not None
    assert drawn[1] is not None
    assert torch.equal(drawn[1].mass_scale[0], drawn[0].mass_scale[2])


def test_what_was_put_elsewhere_begins_there_and_falls(acts: Acts) -> None:
    session = acts.session
    acts.begin_move(MUG)
    acts.move(MUG, at(0.2, 0.1, 0.2))
    acts.end_move()
    assert acts.let_go(MUG) == ""
    done(acts)
    poses = session.track.poses[:, :, MUG]
    assert poses[:, 0, :3] == pytest.approx(np.tile([0.2, 0.1, 0.2], (3, 1)), abs=1e-5)
    assert poses[:, -1, 2] == pytest.approx(PLACES["mug"][2], abs=0.02)
    assert session.track.document["deeds"] == ["put mug"]


def test_what_leaned_on_something_is_woken_when_that_is_moved_away(acts: Acts) -> None:
    session = acts.session
    scene, world = session.scene, session.world
    assert world is not None

    def stacked(_: int, __: float, poses: Any) -> None:
        poses[MUG, :3] = poses[BOX, :3] + torch.tensor([0.0, 0.0, 0.11])

    _, rollout = sliding(scene, stacked)
    session.add(track_of("stack", rollout))
    session.seek(0.5)
    session.put(BOX, at(-0.25, -0.1, 0.06))
    state = present(session).state
    assert state.still[0, MUG] == 0
    assert state.still[0, BOX] == 0
    assert state.still[0, CAN] > 0


def test_moving_stops_the_clock_and_is_undone(acts: Acts) -> None:
    session = acts.session
    _, rollout = sliding(session.scene, lambda _, time, poses: poses[BOX, 0].add_(0.1 * time))
    session.add(track_of("slide", rollout))
    session.seek(0.5)
    session.clock.play()
    before = session.poses()
    acts.begin_move(CAN)
    session.tick(1.0)
    for step in range(20):
        acts.move(CAN, at(0.01 * step, 0.1, 0.06))
    acts.end_move()
    acts.end_move()
    assert len(acts.history) == 1
    assert session.poses()[CAN, 0] == pytest.approx(0.19)
    session.seek(0.9)
    assert session.poses()[CAN, 0] == pytest.approx(PLACES["can"][0])  # Another moment knows nothing of it.
    assert acts.history.undo() == "move can"
    assert session.clock.time == pytest.approx(0.5)
    assert np.array_equal(session.poses(), before)


def test_undo_takes_back_pushes_changes_and_removals(acts: Acts) -> None:
    session = acts.session
    acts.push(BOX, np.array([0.0, -4.0, 0.0]), 0.2)
    done(acts)
    made = session.track
    acts.change(MUG, "mass", 1.5)
    session.seek(0.25)
    assert acts.branches.remove() == ""
    assert [track.name for track in session.tracks] == ["photos"]
    assert acts.branches.remove() != ""  # The scene itself stays.
    assert acts.history.undo() == "remove push box"
    assert session.track is made
    assert session.clock.time == pytest.approx(0.25)
    assert acts.history.undo() == "change mug"
    assert acts.changes == {}
    assert acts.history.undo() == "push box"
    assert [track.name for track in session.tracks] == ["photos"]
    assert acts.history.undo() == ""


def test_what_was_undone_is_done_again(acts: Acts) -> None:
    session = acts.session
    acts.push(BOX, np.array([0.0, -4.0, 0.0]), 0.2)
    done(acts)
    made = session.track
    acts.begin_move(CAN)
    acts.move(CAN, at(0.1, 0.1, 0.06))
    acts.end_move()
    acts.change(MUG, "mass", 1.5)
    assert [acts.history.undo() for _ in range(3)] == ["change mug", "move can", "push box"]
    assert [track.name for track in session.tracks] == ["photos"]
    assert acts.history.redo() == "push box"
    assert session.track is made
    assert acts.history.redo() == "move can"
    assert session.poses()[CAN, :3] == pytest.approx([0.1, 0.1, 0.06])
    assert acts.history.redo() == "change mug"
    assert acts.changes[MUG].mass == 1.5
    assert acts.history.redo() == ""
    acts.branches.remove()
    acts.history.undo()
    assert acts.history.redo() == "remove push box"
    assert session.shown == 0


def test_two_who_push_at_once_both_get_their_futures(acts: Acts, failures: list[str]) -> None:
    session = acts.session
    assert acts.push(BOX, np.array([0.0, -4.0, 0.0]), 0.2) == ""
    assert acts.push(MUG, np.array([3.0, 0.0, 0.0]), 0.2) == ""
    assert "under way" in acts.push(MUG, np.array([3.0, 0.0, 0.0]), 0.2)  # Somebody clicked twice.
    done(acts)
    assert not acts.busy
    assert failures == []
    assert [track.name for track in session.tracks[1:]] == ["push box", "push mug"]
    assert [track.branch for track in session.tracks[1:]] == [None, None]  # Both from what was shown.
    for track, body in zip(session.tracks[1:], (BOX, MUG), strict=True):
        assert np.linalg.norm(track.poses[:, -1, body, :3] - track.poses[:, 0, body, :3], axis=1).min() > 0.01
    assert [acts.history.undo(), acts.history.undo()] == ["push mug", "push box"]


def test_nothing_is_saved_into_a_scene_that_somebody_else_changed(acts: Acts, failures: list[str]) -> None:
    session = acts.session
    acts.push(BOX, np.array([0.0, -4.0, 0.0]), 0.2)
    done(acts)
    save_scene(rename(session.scene, session.scene.objects[CAN].name, "tin"), session.folder, overwrite=True)
    assert acts.branches.save() == ""
    done(acts)
    assert any("changed by something else" in words for words in failures)
    assert list_rollouts(session.folder) == ()
    assert not session.track.saved


def test_a_click_after_the_end_does_nothing(acts: Acts) -> None:
    acts.session.jobs.close()
    assert acts.push(BOX, np.array([0.0, -4.0, 0.0]), 0.2) == ""
    assert not acts.busy
    assert len(acts.session.tracks) == 1


def test_a_saved_branch_is_read_again_with_what_it_branched_off(acts: Acts, failures: list[str]) -> None:
    session = acts.session
    acts.push(BOX, np.array([0.0, -4.0, 0.0]), 0.2)
    done(acts)
    session.seek(0.2)
    acts.push(CAN, np.array([2.0, 0.0, 0.0]), 0.1)
    done(acts)
    poses = session.track.poses
    assert acts.branches.save() == ""
    done(acts)
    assert failures == []
    assert list_rollouts(session.folder) == ("001", "002")
    assert [track.name for track in session.tracks[1:]] == ["001: push box", "002: 001 at 0.2 s, push can"]
    assert session.track.branch == ("001", pytest.approx(0.2))
    assert all(track.saved for track in session.tracks[1:])
    assert "saved already" in acts.branches.save()
    again = load_rollout(session.scene, session.folder, "002")
    assert np.array_equal(again.rollout.T_world_body.numpy(), poses)
    assert (again.document["branch_of"], again.document["branch_time"]) == ("001", pytest.approx(0.2))
    # Undoing takes it off the page; what is saved stays.
    acts.history.undo()
    assert len(session.tracks) == 2
    assert list_rollouts(session.folder) == ("001", "002")


def test_what_cannot_be_is_refused_in_words(acts: Acts) -> None:
    session = acts.session
    assert "photographed" in acts.branches.save()
    assert acts.push(BOX, np.array([0.0, -4.0, 0.0]), 0.2) == ""
    assert "under way" in acts.push(BOX, np.array([0.0, -4.0, 0.0]), 0.2)
    done(acts)
    broken = session.track
    broken.rollout.T_world_body[0, 12] = float("nan")  # type: ignore[union-attr]
    session.seek(12 * broken.dt)
    assert "no number" in acts.let_go(BOX)
    assert not acts.busy
    session.world = None
    assert "metric scale" in acts.push(BOX, np.array([0.0, -4.0, 0.0]), 0.2)


def test_another_scene_forgets_what_was_done_to_the_former(acts: Acts, failures: list[str]) -> None:
    session = acts.session
    session.select(MUG)
    acts.change(MUG, "mass", 1.5)
    acts.begin_move(MUG)
    acts.push(BOX, np.array([0.0, -4.0, 0.0]), 0.2)
    smaller = replace(
        session.scene,
        objects=session.scene.objects[:2],
        splats=type(session.scene.splats)(
            **{
                name: getattr(session.scene.splats, name)[session.scene.splats.component_index <= 2]
                for name in type(session.scene.splats).__dataclass_fields__
            }
        ),
    )
    session.replace_scene(smaller, scene_world(smaller))
    acts.move(MUG, at(0, 0, 1))
    acts.end_move()
    done(acts)
    assert session.selected is None
    assert session.moved == {}
    assert acts.changes == {}
    assert acts.history.undo() == ""
    assert [track.name for track in session.tracks] == ["photos"]
    assert any("edited meanwhile" in words for words in failures)


def test_changes_hold_in_every_future(acts: Acts) -> None:
    scene, world = acts.session.scene, acts.session.world
    assert world is not None
    drawn = Latents.sample(world, 50, seed=1)
    said = {MUG: Change(mass=1.5, friction=0.05, restitution=0.9, balance=0.02), BOX: Change(friction=1.0)}
    fixed = altered(scene, world, drawn, said)
    assert (fixed.mass_scale[:, MUG] * world.bodies[MUG].mass).numpy() == pytest.approx(1.5, rel=1e-6)
    assert bool((fixed.friction[:, MUG] == 0.05).all() and (fixed.restitution[:, MUG] == 0.9).all())
    assert fixed.com_offset[:, MUG].numpy() == pytest.approx(np.tile([0, 0, 0.02], (50, 1)), abs=1e-9)
    assert bool((fixed.friction[:, BOX] == 1.0).all())
    assert torch.equal(fixed.mass_scale[:, [BOX, CAN]], drawn.mass_scale[:, [BOX, CAN]])
    assert said[MUG].words("mug") == "mug: mass 1.5 kg, friction 0.05, restitution 0.9, balance 0.02 m"


def test_a_heavier_box_goes_less_far(acts: Acts) -> None:
    acts.push(BOX, np.array([0.0, -4.0, 0.0]), 0.2)
    done(acts)
    light = acts.session.track.poses[:, -1, BOX, 1]
    acts.history.undo()
    acts.change(BOX, "mass", 3 * acts.session.scene.objects[BOX].body.mass)
    acts.push(BOX, np.array([0.0, -4.0, 0.0]), 0.2)
    done(acts)
    heavy = acts.session.track.poses[:, -1, BOX, 1]
    assert bool((heavy > 0.5 * light).all())
    assert acts.session.track.document["deeds"][0].startswith("box: mass")


def test_ranges_are_those_of_the_prior(acts: Acts) -> None:
    world = acts.session.world
    assert world is not None
    body = world.bodies[MUG]
    known = ranges(acts.session.scene, world, MUG, None)
    assert known["mass"].median == pytest.approx(body.mass)
    spread = np.log(known["friction"].high / known["friction"].low) / (2 * 1.645)
    assert spread == pytest.approx(body.material.friction_log_std, rel=0.15)
    assert (known["balance"].low, known["balance"].high) == (0.0, 0.0)


def test_what_recordings_told_decides_ranges_and_futures(acts: Acts) -> None:
    world = acts.session.world
    assert world is not None
    prior = Posterior.prior(find_parameters(world, ["mug.friction"]))
    told = replace(prior, mean=np.array([1.0]), covariance=np.array([[0.01]]))
    told.save(acts.session.folder / "latents.npz")
    known = ranges(acts.session.scene, world, MUG, acts.posterior)["friction"]
    wide = ranges(acts.session.scene, world, MUG, None)["friction"]
    assert known.median > 1.1 * wide.median
    assert known.high - known.low < 0.3 * (wide.high - wide.low)
    acts.drop(MUG, 0.05)
    done(acts)
    rollout = acts.session.track.rollout
    assert rollout is not None
    assert rollout.latents is not None
    assert float(rollout.latents.friction[0, MUG]) == pytest.approx(known.median, rel=1e-5)


def test_futures_that_are_all_broken_are_not_shown(
    acts: Acts, failures: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import scene3d._simulate as module

    whole = module.simulate

    def broken(*scene: Any, **more: Any) -> Any:
        made = whole(*scene, **more)
        made.rollout.T_world_body[:, -1] = float("nan")
        return made

    monkeypatch.setattr(module, "simulate", broken)
    acts.drop(MUG, 0.05)
    done(acts)
    assert any("no number" in words for words in failures)
    assert len(acts.session.tracks) == 1
    assert acts.history.last == ""
