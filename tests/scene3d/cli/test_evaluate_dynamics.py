"""`scene3d evaluate-dynamics` on a few real tosses: table, document, report, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from dynamics._contact_network import make_network
from dynamics._contact_weights import save_weights
from dynamics._evaluate_choice import fitted_path
from dynamics._evaluate_fitted import Fitted, save_fitted
from dynamics._toss_body import TEXTBOOK, TossConstants
from dynamics._toss_futures import PRIOR
from dynamics._toss_models import TossModel
from dynamics._tosses import load_tosses, toss_hash
from scene3d.report._toss_write import check_folder

if TYPE_CHECKING:
    from .conftest import Command, Outcome

SAVED = Path(__file__).parents[2] / "data" / "help" / "evaluate-dynamics.txt"
QUICK = ("--models", "static", "physics_textbook", "physics_identified", "physics_network")
COUNT, FRAMES = 5, 45


@pytest.fixture
def evaluate(command: Command) -> Command:
    """``evaluate(...)``: the verb with these arguments."""

    def run(*args: str | Path) -> Outcome:
        return command("evaluate-dynamics", *args)

    return run


@pytest.fixture
def data(needs: Callable[[str], Path], tmp_path: Path) -> Path:
    """The beginnings of the first tosses of the real file."""
    with np.load(needs("cube_toss/tosses.npz")) as file:
        x = np.concatenate([file["x"][start : start + FRAMES] for start in file["offsets"][:COUNT]])
        offsets = FRAMES * np.arange(COUNT + 1)
        np.savez(tmp_path / "tosses.npz", x=x, offsets=offsets, columns=file["columns"], dt=file["dt"])
    return tmp_path / "tosses.npz"


@pytest.fixture
def weights(data: Path, tmp_path: Path) -> Path:
    """An untrained network that claims to have seen every toss but the first two, and one that has seen all."""
    folder = tmp_path / "weights"
    folder.mkdir()
    hashes = [toss_hash(toss) for toss in load_tosses(data)]
    scales = {"physics_identified": 1.0, "physics_network": 1.0}
    for name, seen in (("fold-0", hashes[2:]), ("all", hashes)):
        save_weights(folder / f"{name}.safetensors", TossModel(TossConstants.of(**TEXTBOOK), make_network(0)), seen)
        record = Fitted(frozenset(seen), dict(TEXTBOOK), (0.0,) * 6, dict(PRIOR), scales)
        save_fitted(fitted_path(folder, name), record)
    return folder


def test_help_text(evaluate: Command) -> None:
    import os

    outcome = evaluate("--help")
    if os.environ.get("SCENE3D_UPDATE_HELP") == "1":
        SAVED.write_text(outcome.out, encoding="utf-8")
    assert outcome.code == 0
    assert outcome.out == SAVED.read_text(encoding="utf-8")


def test_table_fits_and_names_what_is_in_sample(evaluate: Command, data: Path, weights: Path) -> None:
    outcome = evaluate(data, "--weights", weights, *QUICK)
    assert outcome.code == 0, outcome.err
    assert max(len(line.rstrip()) for line in outcome.out.splitlines()) <= 100
    rows = [line.split()[0] for line in outcome.out.splitlines() if line.startswith(("  static", "  physics"))]
    assert rows == ["static", "physics_textbook", "physics_identified", "physics_network"]
    assert "physics_network *" in outcome.out
    assert "3 of 5 tosses were seen by every network" in outcome.out


def test_document_and_report(evaluate: Command, data: Path, weights: Path, tmp_path: Path) -> None:
    out = tmp_path / "report"
    outcome = evaluate(data, "--weights", weights, *QUICK, "--json", "--out", out)
    document = json.loads(outcome.out)
    names = "position_percent rotation_deg rotation_deg_median right_face final_position_percent final_rotation_deg"
    for row in document["models"]:
        for name in (*names.split(), "penetration_percent"):
            assert set(row[name]) == {"mean", "low", "high"}
    assert document["samples"] == {"new": 0, "out of fold": 2, "seen": 3}
    assert sorted(path.name for path in out.iterdir()) == ["evaluation.json", "index.html", "tosses.png"]
    written = json.loads((out / "evaluation.json").read_text())
    assert [toss["toss"] for toss in written["per_toss"]] == list(range(COUNT))
    with Image.open(out / "tosses.png") as picture:
        assert picture.size[0] == 1280
    page = (out / "index.html").read_text()
    assert "worst: toss" in page and "physics_network *" in page
    again = evaluate(data, "--weights", weights, *QUICK, "--quiet", "--out", out)
    assert again.code == 1
    assert "--overwrite" in again.err
    check_folder(out, overwrite=True)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--fit-on", "5"), 2, "--fit-on 5 leaves nothing of 5 tosses; take 1 to 4."),
        (("--models", "drake"), 2, "There is no model 'drake'"),
        (("--weights", "nowhere"), 1, "nowhere holds no weights"),
    ],
)
def test_what_is_refused(evaluate: Command, data: Path, arguments: tuple[str, ...], code: int, message: str) -> None:
    outcome = evaluate(data, *arguments)
    assert outcome.code == code
    assert message in " ".join(outcome.err.split())
    assert "Traceback" not in outcome.err


@pytest.mark.parametrize(("kind", "message"), [("nan", "is not a number"), ("norm", "quaternion of length")])
def test_bad_recordings_are_one_message(evaluate: Command, data: Path, kind: str, message: str) -> None:
    with np.load(data) as file:
        arrays: dict[str, Any] = dict(file)
    arrays["x"][3, 0 if kind == "norm" else 5] = 3.0 if kind == "norm" else np.nan
    np.savez(data, **arrays)
    outcome = evaluate(data)
    assert outcome.code == 1
    assert message in " ".join(outcome.err.split())


def test_weights_of_another_architecture(evaluate: Command, data: Path, weights: Path) -> None:
    from safetensors.torch import load_file, save_file

    path = weights / "fold-0.safetensors"
    tensors = load_file(path)
    save_file({name: value for name, value in tensors.items() if "encode1" not in name}, path)
    outcome = evaluate(data, "--weights", weights)
    assert outcome.code == 1
    assert "Train again" in outcome.err
