"""`scene3d simulate`: what it writes and says, and what it refuses, in one sentence each."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from scene3d import _rollout_video, _simulate, load_scene, save_scene
from scene3d._rollout_folder import list_rollouts, load_rollout

from ..conftest import scene_of_objects

if TYPE_CHECKING:
    from .conftest import Command

NAME = "Wooden block!"
QUICK = ("--no-network", "--seconds", "0.5")


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A block and a rope over a table; contact geometry is kept for all tests of this run."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path.parent / "cache"))
    return save_scene(scene_of_objects(), tmp_path / "desk")


def test_a_drop_in_words_and_as_json(command: Command, desk: Path) -> None:
    told = command("simulate", desk, "--drop", f"{NAME},0.1", "--samples", "4", *QUICK)
    assert (told.code, told.err) == (0, "")
    lines = dict(line.strip().split("  ", 1) for line in told.out.splitlines() if "  " in line.strip())
    assert lines[NAME].strip().startswith("falls off in 100 % of 4 futures")
    assert lines["guard"].strip() == "4 worlds within the bands of possible motion."
    assert lines["rollout"].strip() == str(desk / "rollouts" / "001")
    assert (desk.parent.parent / "cache" / "scene3d" / "contact").is_dir()
    again = command("simulate", desk, "--drop", f"{NAME},0.1", "--samples", "4", *QUICK, "--json")
    document = json.loads(again.out)
    assert (again.code, document["rollout"], document["futures"]) == (0, str(desk / "rollouts" / "002"), 4)
    assert document["deeds"] == [f"drop {NAME},0.1"]
    assert document["outcomes"][0]["shares"]["falls off"] == 1.0
    first, second = (load_rollout(load_scene(desk), desk, id) for id in list_rollouts(desk))
    assert first.deeds == second.deeds
    assert bool((first.rollout.T_world_body == second.rollout.T_world_body).all())


def test_a_branch_remembers_where_it_left(command: Command, desk: Path) -> None:
    assert command("simulate", desk, "--drop", f"{NAME},0.1", "--samples", "2", *QUICK).code == 0
    branch = command("simulate", desk, "--state", "001@0.25#1", "--push", f"{NAME},5,0,0", *QUICK)
    assert (branch.code, branch.err) == (0, "")
    scene = load_scene(desk)
    before, after = load_rollout(scene, desk, "001"), load_rollout(scene, desk, "002")
    assert (after.document["branch_of"], after.document["branch_time"], after.document["branch_future"]) == (
        "001",
        0.25,
        1,
    )
    assert after.deeds == (f"push {NAME},5,0,0", "from 001@0.25#1")
    assert bool((after.rollout.T_world_body[0, 0] == before.rollout.T_world_body[1, 15]).all())
    assert float(after.rollout.T_world_body[0, -1, 0, 0] - before.rollout.T_world_body[1, -1, 0, 0]) > 0.01


def test_actions_comparison_and_video(command: Command, desk: Path, tmp_path: Path) -> None:
    actions = tmp_path / "deeds.yaml"
    actions.write_text(f"- {{push: '{NAME}', force: [0, 20, 0], seconds: 0.05}}\n")
    assert command("simulate", desk, "--actions", actions, *QUICK).code == 0
    log = desk / "rollouts" / "001" / "states.npz"
    told = command(
        *("simulate", desk, "--actions", actions, "--samples", "9", *QUICK, "--compare", log, "--json"),
        *("--video", tmp_path / "out" / "v.mp4", "--size", "32x24", "--camera", "a.jpg", "--future", "3"),
    )
    assert told.code == 0, told.err
    document = json.loads(told.out)
    (row,) = document["compare"]["bodies"]
    assert row["name"] == NAME
    assert row["position_m"]["largest"] < 1e-6  # Of the first future, which is the same.
    assert row["position_in_band"] is not None
    folder = Path(document["rollout"])
    assert sorted(path.name for path in folder.iterdir()) == [
        "compare.json",
        "compare.png",
        "rollout.yaml",
        "states.npz",
    ]
    assert (tmp_path / "out" / "v.mp4").stat().st_size > 500
    words = command("simulate", desk, "--actions", actions, *QUICK, "--compare", log)
    assert f"{NAME}, recorded" in words.out
    assert "0 cm and 0 deg apart on average" in words.out
    assert "(--samples 9 or more tell whether it was foreseen)" in words.out


def test_an_orbit_and_a_camera_file(command: Command, desk: Path, tmp_path: Path) -> None:
    quick = ("--no-network", "--seconds", "0.1", "--size", "32x24", "--video", tmp_path / "v.mp4")
    assert command("simulate", desk, *quick, "--camera", "orbit").code == 0
    assert command("simulate", desk, *quick, "--camera", desk / "cameras.json", "--overwrite").code == 0
    assert command("simulate", desk, *quick, "--overwrite").code == 0
    assert command("simulate", desk, *quick).err.count("Use --overwrite to replace it") == 1


@pytest.mark.parametrize(
    ("flags", "code", "says"),
    [
        (["--push", "can"], 2, "it is written NAME,FX,FY,FZ"),
        (["--push", "cup,1,0,0"], 2, "no object 'cup' in the scene. It has Wooden block!, blue rope"),
        (["--push", "blue rope,1,0,0"], 2, "'blue rope' is deformable"),
        (["--push", f"{NAME},1,0,0,0.1,9"], 2, "starts at 9 s, and the rollout ends at 3 s. Raise --seconds"),
        (["--drop", f"{NAME},-1"], 2, "heights|height of 0 to 10 m"),
        (["--samples", "0"], 2, "1 to 4096 futures"),
        (["--seconds", "1e9"], 2, "up to 120 s"),
        (["--seconds", "nan"], 2, "Found nan s; a rollout takes more than 0 and up to 120 s"),
        (["--push", f"{NAME},nan,0,0"], 2, "it is written NAME,FX,FY,FZ"),
        (["--samples", "4096", "--seconds", "120"], 2, "GiB; up to"),
        (["--seed", "-1"], 2, "seeds are whole numbers from 0"),
        (["--video", "."], 2, "videos are written as .mp4"),
        (["--video", f"{__file__}/v.mp4"], 1, "v.mp4 cannot be written (Not a directory). Choose another --video."),
        (["--video", "/proc/none/v.mp4", "--camera", "orbit"], 1, "cannot be written"),
        (["--actions", "none.yaml"], 1, "There is no file none.yaml"),
        (["--actions", "none.txt"], 2, "a list of deeds in .yaml or .json"),
        (["--state", "007"], 2, "has no such rollout (it has none)"),
        (["--state", "none.npz"], 2, "There is no file none.npz"),
        (["--compare", "none.csv"], 2, "--compare takes a log (.npz)"),
        (["--video", "v.avi"], 2, "videos are written as .mp4"),
        (
            ["--video", "v.mp4", "--camera", "b.jpg"],
            2,
            "There is no view 'b.jpg' among 1 cameras. Did you mean 'a.jpg'",
        ),
        (["--video", "v.mp4", "--camera", "zz"], 2, "There is no view 'zz' among 1 cameras. The first is 'a.jpg'."),
        (["--video", "v.mp4", "--camera", "none.json"], 2, "There is no file none.json"),
        (["--video", "v.mp4", "--future", "1"], 2, "--samples 1 makes 0 to 0"),
        (["--video", "v.mp4", "--size", "big"], 2, "it takes WxH in pixels"),
        (["--camera", "orbit"], 2, "Add --video FILE.mp4"),
        (["--weights", "none.safetensors"], 1, "none.safetensors cannot be read"),
    ],
)
def test_what_is_refused(command: Command, desk: Path, flags: list[str], code: int, says: str) -> None:
    told = command("simulate", desk, *flags)
    assert told.code == code
    assert any(part in " ".join(told.err.split()) for part in says.split("|")), told.err
    assert told.out == ""
    assert "Traceback" not in told.err
    assert not (desk / "rollouts").exists()  # Nothing is written by what is refused.


def test_where_nothing_moves_nobody_is_asked(command: Command, desk: Path) -> None:
    far = ("--push", f"{NAME},0,0,0", "--seconds", "0.1")
    told = command("simulate", desk, *far)
    lines = [line.split("  ") for line in told.out.splitlines() if line]
    said = {line[1].strip(): line[-1].strip() for line in lines if len(line) > 2}
    assert said["held"] == "blue rope: in the way, but what is deformable or static stays"
    assert said["network"].startswith("not asked: nothing moved")
    assert said["guard"] == "1 world within the bands of possible motion."  # What sleeps in the air does not fly.
    document = json.loads(command("simulate", desk, *far, "--json").out)
    assert (document["in_support"], document["held"]) == (None, ["blue rope"])


def test_a_recording_must_begin_where_the_rollout_does(command: Command, desk: Path, tmp_path: Path) -> None:
    poses = np.repeat(np.array(load_scene(desk).objects[0].T_world_body)[None], 8, axis=0)

    def told_of(change: np.ndarray) -> tuple[int, str, int]:
        time, names = 0.05 * np.arange(8), np.array([NAME])
        np.savez(tmp_path / "log.npz", time=time, names=names, poses=change[:, None])
        told = command("simulate", desk, *QUICK, "--compare", tmp_path / "log.npz")
        kept = len(list_rollouts(desk))
        return told.code, " ".join(told.err.split()), kept

    assert told_of(poses) == (0, "", 1)
    code, words, kept = told_of(np.concatenate([1000 * poses[:, :3], poses[:, 3:]], axis=1))
    assert (code, kept) == (2, 1)
    assert f"The recording of '{NAME}' begins 374 m from where the rollout does" in words
    code, words, kept = told_of(
        np.concatenate([poses[:, :3] + [0.03, 0, 0], np.roll(poses[:, 3:], -1, axis=1)], axis=1)
    )
    assert (code, kept) == (0, 2)
    assert f"begins elsewhere than the rollout: {NAME} 3 cm and 180 deg away. Is it in the frames" in words


def test_a_rollout_of_another_scene_is_no_recording(command: Command, desk: Path, tmp_path: Path) -> None:
    scene = scene_of_objects()
    block, rope = scene.objects
    wide = replace(scene, objects=(replace(block, body=block.body.scaled(1.2)), rope))
    other = save_scene(wide, tmp_path / "other")
    assert command("simulate", other, *QUICK).code == 0
    told = command("simulate", desk, *QUICK, "--compare", other / "rollouts" / "001" / "states.npz")
    assert (told.code, list_rollouts(desk)) == (2, ())
    assert "is a rollout of another scene: its Wooden block! is 12 x 7.2 x 4.8 cm" in " ".join(told.err.split())


def test_what_is_stopped_leaves_nothing_half(
    command: Command, desk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(_simulate, "roll_futures", stopped)
        assert command("simulate", desk, *QUICK).code == 130
    assert not (desk / "rollouts").exists()
    monkeypatch.setattr(_rollout_video, "_rendered", stopped)
    told = command("simulate", desk, *QUICK, "--video", tmp_path / "v.mp4")
    assert told.code == 130
    assert f"The rollout is kept in {desk / 'rollouts' / '001'}." in " ".join(told.err.split())
    assert list_rollouts(desk) == ("001",)
    assert not list(tmp_path.glob("*.mp4*")) and not list(tmp_path.glob(".*"))


def test_room_is_looked_for_before_the_work(command: Command, desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (desk / "rollouts").write_text("mine")
    monkeypatch.setattr(_simulate, "roll_futures", None)
    told = command("simulate", desk, *QUICK)
    assert (told.code, told.out) == (1, "")
    assert "rollouts (Not a directory). Check its permissions, or copy the scene." in " ".join(told.err.split())
    assert (desk / "rollouts").read_text() == "mine"


def test_a_broken_posterior_and_recordings_that_do_not_fit(command: Command, desk: Path, tmp_path: Path) -> None:
    (desk / "latents.npz").write_bytes(b"PK")
    told = command("simulate", desk, *QUICK)
    assert (told.code, "no posterior of `scene3d identify`" in told.err) == (1, True)
    (desk / "latents.npz").unlink()
    time = 2.0 * np.arange(4)
    np.savez(tmp_path / "log.npz", time=time, names=np.array([NAME]), poses=np.zeros((4, 1, 7)))
    told = command("simulate", desk, *QUICK, "--compare", tmp_path / "log.npz")
    assert told.code == 1
    assert "log.npz" in told.err
