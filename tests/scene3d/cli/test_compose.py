"""`scene3d compose` from words to words."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from scene3d import load_scene, save_scene

from ..conftest import scene_of_objects

if TYPE_CHECKING:
    from .conftest import Command

BLOCK, ROPE = "Wooden block!", "blue rope"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return save_scene(scene_of_objects(), tmp_path / "table")


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """Another scene, in a folder whose name holds what the flag's own signs are."""
    return save_scene(scene_of_objects(), tmp_path / "of:10@night")


def test_help_text(command: Command, repository: Path) -> None:
    outcome = command("compose", "--help")
    path = repository / "tests" / "data" / "help" / "compose.txt"
    if os.environ.get("SCENE3D_UPDATE_HELP") == "1":
        path.write_text(outcome.out, encoding="utf-8")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out == path.read_text(encoding="utf-8")


def test_into_a_new_folder(command: Command, table: Path, other: Path, tmp_path: Path) -> None:
    out = tmp_path / "both"
    outcome = command("compose", table, "--add", f"{other}:{BLOCK},brick@0.5,-0.5", "--add", other, "--out", out)
    assert (outcome.code, outcome.err) == (0, "")
    assert f"added  brick from {other} at 0.500, -0.500, 0." in outcome.out
    assert f"added  blue rope-2 from {other} at " in outcome.out
    scene = load_scene(out)
    assert [thing.name for thing in scene.objects] == [BLOCK, ROPE, "brick", f"{BLOCK}-2", f"{ROPE}-2"]
    assert scene.objects[2].T_world_body[:2] == (0.5, -0.5)
    assert scene.filled == 5
    assert [thing.name for thing in load_scene(table).objects] == [BLOCK, ROPE]
    again = command("compose", table, "--add", other, "--out", out)
    assert again.code == 1
    assert "exists; pass --overwrite" in again.err


def test_in_place_and_back(command: Command, table: Path, other: Path) -> None:
    document = json.loads(command("compose", table, "--add", f"{other}:{ROPE},cable", "--json").out)
    assert [thing["name"] for thing in document["objects"]] == [BLOCK, ROPE, "cable"]
    assert document["objects"][2]["splats"] == 40
    assert len(load_scene(table).objects) == 3
    assert command("edit", table, "--undo").code == 0
    assert len(load_scene(table).objects) == 2


@pytest.mark.parametrize(
    ("add", "message"),
    [
        ("OTHER:mug", "There is no object 'mug' in the scene. It has Wooden block!, blue rope."),
        ("OTHER:", "write OTHER or OTHER:NAME or OTHER:NAME,NEW"),
        (f"OTHER:{ROPE},{BLOCK}", "The scene has an object 'Wooden block!' already"),
        (f"OTHER:{ROPE}@there", "a place is written @X,Y or @X,Y,Z or @X,Y,Z,YAW"),
        ("OTHER@0,0", "is for one object, but the other scene has 2"),
        (None, "Nothing to add was given. For example: scene3d compose SCENE --add outputs/desk:mug"),
    ],
)
def test_wrong_usage(command: Command, table: Path, other: Path, add: str | None, message: str) -> None:
    args = () if add is None else ("--add", add.replace("OTHER", str(other)))
    outcome = command("compose", table, *args)
    assert (outcome.code, outcome.out) == (2, "")
    assert message in outcome.err


def test_scenes_that_are_none(command: Command, table: Path, tmp_path: Path) -> None:
    outcome = command("compose", table, "--add", tmp_path / "nothing")
    assert outcome.code == 1
    assert "is not a scene folder" in outcome.err


def test_scale_must_be_known(command: Command, table: Path, tmp_path: Path) -> None:
    unknown = save_scene(replace(scene_of_objects(), metric=False), tmp_path / "unknown")
    outcome = command("compose", table, "--add", f"{unknown}:{ROPE}")
    assert outcome.code == 2
    assert "or pass --assume-scale" in outcome.err
    outcome = command("compose", table, "--add", f"{unknown}:{ROPE}", "--assume-scale")
    assert outcome.code == 0
    assert "not both scenes know metres" in outcome.err
