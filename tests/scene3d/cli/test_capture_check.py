"""`scene3d capture-check`: what it prints, its JSON document and its exit code."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image

if TYPE_CHECKING:
    from .conftest import Command

HELP = Path(__file__).parents[2] / "data" / "help" / "capture-check.txt"


def test_help_text(command: Command) -> None:
    outcome = command("capture-check", "--help")
    if os.environ.get("SCENE3D_UPDATE_HELP") == "1":
        HELP.write_text(outcome.out, encoding="utf-8")
    assert outcome.code == 0
    assert outcome.out == HELP.read_text(encoding="utf-8")


@pytest.fixture
def few(tabletop: Path, tmp_path: Path) -> Path:
    """Eight photos with a marker in them."""
    folder = tmp_path / "my photos"
    folder.mkdir()
    for path in sorted((tabletop / "images").glob("*.jpg"))[:8]:
        (folder / path.name).symlink_to(path)
    return folder


def test_in_words(command: Command, few: Path) -> None:
    outcome = command("capture-check", few)
    assert (outcome.code, outcome.err) == (0, "")
    rows = [line.split(maxsplit=1) for line in outcome.out.splitlines() if line.strip()]
    words = {row[0]: row[1] for row in rows if len(row) == 2}
    assert words["verdict"] == "usable, but see below"
    assert words["problem"].startswith("There are only 8 photos. Take 30 or more")
    assert words["size"].startswith("8 of 640x480")
    assert words["overlap"].startswith("all hang together")
    assert "--marker-size" in words["scale"]
    assert words["next"] == f"scene3d reconstruct '{few}' --marker-size METRES"


def test_json(command: Command, few: Path) -> None:
    outcome = command("capture-check", few, "--json")
    document = json.loads(outcome.out)
    assert (document["usable"], document["verdict"], document["photos"]) == (True, "doubtful", 8)
    assert document["path"] == str(few)
    assert set(document["blur"]) == {path.name for path in few.iterdir()}
    assert document["scale"] == "markers"
    assert document["minutes"] > 0


def test_not_usable_exits_with_one(command: Command, tmp_path: Path) -> None:
    for k in range(3):
        Image.new("RGB", (64, 48), (60 * k, 0, 0)).save(tmp_path / f"{k}.png")
    outcome = command("capture-check", tmp_path)
    assert outcome.code == 1
    assert "not usable" in outcome.out
    assert "reconstruct" not in outcome.out.partition("next")[2]
    assert json.loads(command("capture-check", tmp_path, "--json").out)["usable"] is False


def test_no_capture(command: Command, tmp_path: Path) -> None:
    outcome = command("capture-check", tmp_path / "absent")
    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err.startswith("error: ")
    assert command("capture-check", tmp_path, "--format", "pictures").code == 2
