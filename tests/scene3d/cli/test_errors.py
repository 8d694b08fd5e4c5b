"""Wrong usage and bad input: one message on stderr, nothing on stdout, the right exit code."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from scene3d.cli import info

if TYPE_CHECKING:
    from .conftest import Command, FakeFit


def test_unknown_verb(command: Command) -> None:
    outcome = command("recontruct", "photos")
    assert outcome.code == 2
    assert outcome.out == ""
    assert outcome.err == (
        "error: There is no verb 'recontruct'. Did you mean 'reconstruct'? `scene3d --help` lists all verbs.\n"
    )


def test_option_before_the_verb(command: Command) -> None:
    outcome = command("--quiet", "info")
    assert outcome.code == 2
    assert outcome.err.startswith("error: There is no option '--quiet' before the verb.")


def test_missing_argument_and_unknown_flag(command: Command) -> None:
    assert command("info").code == 2
    outcome = command("info", "x", "--jsn")
    assert outcome.code == 2
    assert outcome.out == ""
    assert "--json" in outcome.err


def test_scene_that_does_not_exist(command: Command, tmp_path: Path) -> None:
    outcome = command("info", tmp_path / "nothing")
    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err.startswith("error: ")
    assert "does not exist" in outcome.err


def test_folder_that_is_no_scene(command: Command, tmp_path: Path) -> None:
    outcome = command("info", tmp_path)
    assert outcome.code == 1
    assert "is not a scene folder" in outcome.err


def test_file_of_another_kind(command: Command, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    outcome = command("render", tmp_path / "notes.txt")
    assert outcome.code == 1
    assert "neither a scene folder nor a splat file" in outcome.err


def test_ctrl_c(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(info.Info, "run", interrupt)
    outcome = command("info", "x")
    assert (outcome.code, outcome.err) == (130, "Stopped.\n")


def test_a_bug_is_called_one(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: object) -> int:
        raise RuntimeError("broken")

    monkeypatch.setattr(info.Info, "run", fail)
    outcome = command("info", "x")
    assert outcome.code == 1
    assert outcome.err.startswith("error: RuntimeError: broken\n")
    assert "Traceback" not in outcome.err
    monkeypatch.setenv("SCENE3D_DEBUG", "1")
    with pytest.raises(RuntimeError, match="broken"):
        command("info", "x")


def test_overwrite_and_resume_exclude_each_other(command: Command, capture_folder: Path) -> None:
    outcome = command("reconstruct", capture_folder, "--overwrite", "--resume")
    assert outcome.code == 2
    assert "cannot be used together" in outcome.err


def test_output_is_checked_before_fitting(
    command: Command, capture_folder: Path, scene_folder: Path, fake_fit: FakeFit
) -> None:
    outcome = command("reconstruct", capture_folder, "--out", scene_folder)
    assert outcome.code == 1
    assert "--overwrite" in outcome.err
    assert fake_fit.calls == 0


def test_capture_is_checked_before_the_output_is_made(command: Command, tmp_path: Path, fake_fit: FakeFit) -> None:
    (tmp_path / "empty").mkdir()
    outcome = command("reconstruct", tmp_path / "empty", "--out", tmp_path / "out")
    assert outcome.code == 1
    assert outcome.err.startswith("error: ")
    assert not (tmp_path / "out").exists()
    assert fake_fit.calls == 0


@pytest.mark.parametrize("seconds", ["0", "-3", "nan", "inf"])
def test_time_budget(command: Command, capture_folder: Path, fake_fit: FakeFit, seconds: str) -> None:
    outcome = command("reconstruct", capture_folder, f"--seconds={seconds}")
    assert outcome.code == 2
    assert "above zero" in outcome.err


@pytest.mark.parametrize("verb", ["reconstruct", "render"])
def test_cuda_without_cuda(
    verb: str, command: Command, capture_folder: Path, scene_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    from scene3d.render import get_renderer

    get_renderer.cache_clear()
    outcome = command(verb, capture_folder if verb == "reconstruct" else scene_folder, "--device", "cuda")
    assert outcome.code == 1
    assert outcome.err.startswith("error: ")
    assert "--device cpu" in outcome.err
