"""`scene3d train-dynamics` on a few real tosses: weights, document, Ctrl-C, and what is refused."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from dynamics._contact_weights import load_weights
from dynamics._train_recipe import Recipe
from scene3d.cli.train_dynamics import TrainDynamics

if TYPE_CHECKING:
    from .conftest import Command, Outcome

SAVED = Path(__file__).parents[2] / "data" / "help" / "train-dynamics.txt"
COUNT = 3
QUICK = ("--folds", "0", "--members", "1")


@pytest.fixture
def train(command: Command) -> Command:
    """``train(...)``: the verb with these arguments."""

    def run(*args: str | Path) -> Outcome:
        return command("train-dynamics", *args)

    return run


@pytest.fixture
def data(needs: Callable[[str], Path], tmp_path: Path) -> Path:
    """The first tosses of the real file, cut short."""
    with np.load(needs("cube_toss/tosses.npz")) as file:
        rows = np.concatenate([np.arange(a, a + 30) for a in file["offsets"][:COUNT]])
        arrays: dict[str, Any] = {"x": file["x"][rows], "offsets": 30 * np.arange(COUNT + 1)}
        np.savez(tmp_path / "tosses.npz", columns=file["columns"], dt=file["dt"], **arrays)
    return tmp_path / "tosses.npz"


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two iterations of a few short rollouts."""
    recipe = Recipe(identify=1, identify_steps=3, iterations=1, batch=4, shortest=3, longest=3)
    monkeypatch.setattr(TrainDynamics, "_recipe", lambda _self: recipe)


def test_help_text(train: Command) -> None:
    outcome = train("--help")
    if os.environ.get("SCENE3D_UPDATE_HELP") == "1":
        SAVED.write_text(outcome.out, encoding="utf-8")
    assert outcome.code == 0
    assert outcome.out == SAVED.read_text(encoding="utf-8")


@pytest.mark.usefixtures("tiny")
def test_a_run_leaves_weights_and_says_so(train: Command, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "weights"
    outcome = train(data, "--out", out, "--json", *QUICK)
    assert outcome.code == 0, outcome.err
    document = json.loads(outcome.out)
    assert document["tosses"] == COUNT and document["parameters"] <= 20_000
    weights = load_weights(out / "all.safetensors")
    assert len(weights.tosses) == COUNT and weights.identified is not None
    assert sorted(path.name for path in out.iterdir()) == ["all.safetensors"]
    again = train(data, "--out", out, *QUICK)
    assert again.code == 2 and "--resume" in again.err and "--overwrite" in again.err
    resumed = train(data, "--out", out, "--resume", *QUICK)
    assert resumed.code == 0 and "parameters each" in resumed.out


@pytest.mark.usefixtures("tiny")
def test_ctrl_c_says_how_to_go_on(train: Command, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dynamics import _train_contact

    step = _train_contact.rollout_losses
    calls = [0]

    def stop(*args: Any, **kwargs: Any) -> Any:
        calls[0] += 1
        if calls[0] == 2:
            raise KeyboardInterrupt
        return step(*args, **kwargs)

    monkeypatch.setattr(_train_contact, "rollout_losses", stop)
    outcome = train(data, "--out", tmp_path / "weights", *QUICK)
    assert outcome.code == 130
    assert "Stopped after 1 of 2 iterations" in outcome.err and "--resume" in outcome.err
    assert (tmp_path / "weights" / "training.safetensors").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--folds", "1"), "2 and more"),
        (("--members", "0"), "1 member"),
        (("--folds", "9"), "3 tosses cannot be split into 9"),
        (("--iterations", "0"), "1 or more"),
        (("--resume", "--overwrite"), "give one of them"),
        (("--urdf", "none.urdf"), "none.urdf"),
    ],
)
def test_what_cannot_be_is_one_message(
    train: Command, data: Path, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    outcome = train(data, "--out", tmp_path / "weights", *arguments)
    assert outcome.code in (1, 2)
    assert message in outcome.err
    assert outcome.err.count("Traceback") == 0


def test_foreign_files_are_not_taken_for_weights(train: Command, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "weights"
    out.mkdir()
    (out / "all.safetensors").write_bytes(b"nothing")
    outcome = train(data, "--out", out, "--resume", *QUICK)
    assert outcome.code == 1 and "cannot be read as weights" in outcome.err
    (out / "all.safetensors").unlink()
    (out / "training.safetensors").write_bytes(b"nothing")
    outcome = train(data, "--out", out, "--resume", *QUICK)
    assert outcome.code == 1 and "cannot be read as a checkpoint" in outcome.err
