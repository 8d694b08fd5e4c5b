"""`scene3d edit` from words to words: every change is saved, said, and undone to the last bit."""

from __future__ import annotations

import json
import os
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from scene3d import Gaussians, Scene, load_scene, save_scene
from scene3d.report import write_objects_report

from ..conftest import scene_of_objects

if TYPE_CHECKING:
    from .conftest import Command

BLOCK, ROPE = "Wooden block!", "blue rope"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return save_scene(scene_of_objects(), tmp_path / "table")


def test_the_sheet_of_objects_follows_a_change(command: Command, table: Path) -> None:
    sheet, rows = table / "report" / "objects.png", table / "report" / "objects.json"
    assert command("edit", table, "--rename", f"{ROPE},string").code == 0
    assert not sheet.exists()  # A folder without a report is not given one.
    write_objects_report(table / "report", load_scene(table), title="table")
    before = sheet.read_bytes()
    assert command("edit", table, "--rename", "string,cord").code == 0
    assert [row["name"] for row in json.loads(rows.read_text())] == [BLOCK, "cord"]
    assert sheet.read_bytes() != before
    assert command("edit", table, "--undo").code == 0
    assert sheet.read_bytes() == before
    assert command("edit", table, "--remove", "string", "--remove", BLOCK).code == 0
    assert not (sheet.exists() or rows.exists())


def alike(a: Scene, b: Scene) -> bool:
    """Whether two scenes are the same to the last bit."""
    same = [torch.equal(getattr(a.splats, f.name), getattr(b.splats, f.name)) for f in fields(Gaussians)]
    same += [len(a.objects) == len(b.objects), a.filled == b.filled, a.up == b.up, a.metric == b.metric]
    for x, y in zip(a.objects, b.objects, strict=False):
        same += [(x.name, x.kind, x.T_world_body, x.guessed) == (y.name, y.kind, y.T_world_body, y.guessed)]
        same += [(x.body.mass, x.body.mass_log_std) == (y.body.mass, y.body.mass_log_std)]
        same += [x.body.material == y.body.material]
        same += [np.array_equal(x.body.mesh.vertices, y.body.mesh.vertices), np.array_equal(x.unseen, y.unseen)]
        same += [np.array_equal(x.body.inertia, y.body.inertia), (x.binding is None) == (y.binding is None)]
        if x.binding is not None and y.binding is not None:
            same += [np.array_equal(x.binding.weights, y.binding.weights)]
    return all(same)


def test_help_text(command: Command, repository: Path) -> None:
    outcome = command("edit", "--help")
    path = repository / "tests" / "data" / "help" / "edit.txt"
    if os.environ.get("SCENE3D_UPDATE_HELP") == "1":
        path.write_text(outcome.out, encoding="utf-8")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out == path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("flag", "value", "said"),
    [
        ("--remove", BLOCK, "remove  Wooden block! is gone, and with it 40 splats"),
        ("--duplicate", f"{BLOCK},brick@0.5,0.5", "duplicate  brick, a copy of Wooden block!, at 0.500, 0.500, 0."),
        ("--duplicate", ROPE, "duplicate  blue rope-2, a copy of blue rope, at "),
        ("--move", f"{BLOCK},0.1,-0.2,0", "from 0.300, -0.200, 0.100 m to 0.400, -0.400, 0.100 m"),
        ("--move", f"{BLOCK},0,0,0.1,90", "to 0.300, -0.200, 0.200 m"),
        ("--move", f"{BLOCK}@0,-0.3,1,45", "to 0.000, -0.300, 1.000 m"),
        ("--rename", f"{BLOCK},brick, red", "rename  Wooden block! is called brick, red now"),
        ("--material", f"{ROPE}=cotton rope", "material  blue rope is of cotton-rope, 0.09 kg"),
        ("--material", f"{BLOCK}=steel", "material  Wooden block! is of steel, 1.88 kg (1.8 to 2)"),
        ("--mass", f"{BLOCK}=0.2", "mass  Wooden block! weighs 0.2 kg"),
        ("--kind", f"{ROPE}=rigid", "kind  blue rope is rigid"),
        ("--kind", f"{BLOCK}=deformable", "kind  Wooden block! is deformable, a solid of "),
    ],
)
def test_done_and_undone(command: Command, table: Path, flag: str, value: str, said: str) -> None:
    before = load_scene(table)
    outcome = command("edit", table, flag, value)
    assert (outcome.code, outcome.err) == (0, "")
    assert said in outcome.out.replace("\n", " ")
    assert f"next {' ' * (len(flag) - 6)} scene3d edit {table} --undo takes it back" in outcome.out
    after = load_scene(table)
    assert not alike(before, after)
    assert command("edit", table, "--undo").code == 0
    assert alike(load_scene(table), before)
    assert command("edit", table, "--redo").code == 0
    assert alike(load_scene(table), after)


def test_merge_and_split(command: Command, table: Path) -> None:
    assert command("edit", table, "--kind", f"{ROPE}=rigid").code == 0
    before = load_scene(table)
    outcome = command("edit", table, "--merge", f"{BLOCK},{ROPE},heap")
    assert "Wooden block! and blue rope are heap now, 0.234 kg" in outcome.out
    outcome = command("edit", table, "--split", "heap")
    assert "split  heap is heap and heap-2 now" in outcome.out
    for _ in range(2):
        assert command("edit", table, "--undo").code == 0
    assert alike(load_scene(table), before)


def test_changes_are_made_in_the_order_written(command: Command, table: Path) -> None:
    outcome = command(
        "edit", table, "--rename", f"{BLOCK},brick", "--move=brick,0,0,1", "--remove", ROPE, "--rename", "brick,mug"
    )
    assert outcome.code == 0, outcome.err
    assert [line.split()[0] for line in outcome.out.splitlines()[3:7]] == ["rename", "move", "remove", "rename"]
    (mug,) = load_scene(table).objects
    assert (mug.name, mug.T_world_body[2]) == ("mug", 1.1)
    assert command("edit", table, "--undo").code == 0  # All of them at once.
    assert alike(load_scene(table), load_scene(save_scene(scene_of_objects(), table.parent / "other")))


def test_all_or_nothing(command: Command, table: Path) -> None:
    before = load_scene(table)
    outcome = command("edit", table, "--remove", BLOCK, "--move", f"{BLOCK},0,0,1")
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err == "error: There is no object 'Wooden block!' in the scene. It has blue rope.\n"
    assert alike(load_scene(table), before)
    assert command("edit", table, "--undo").code == 1  # Nothing was saved, so there is nothing before it.


def test_json_is_one_document(command: Command, table: Path) -> None:
    outcome = command("edit", table, "--mass", f"{ROPE}=0.2", "--remove", BLOCK, "--json")
    document = json.loads(outcome.out)
    assert [edit["edit"] for edit in document["edits"]] == ["mass", "remove"]
    (rope,) = document["objects"]
    assert (rope["name"], rope["mass"], rope["mass_log_std"], rope["splats"]) == (ROPE, 0.2, 0, 40)
    document = json.loads(command("edit", table, "--undo", "--json").out)
    assert [thing["name"] for thing in document["objects"]] == [BLOCK, ROPE]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ((), "Nothing to change was given. For example: scene3d edit SCENE --remove mug"),
        (("--undo", "--remove", ROPE), "--undo goes alone, but --remove was given too"),
        (("--undo", "--redo"), "--undo goes alone, but --redo was given too"),
        (("--move", ROPE), "Found --move blue rope; write NAME,DX,DY,DZ or"),
        (("--move", f"{ROPE},1,2"), "Found --move blue rope,1,2; write NAME,DX,DY,DZ or"),
        (("--move", f"{ROPE}@here"), "a place is written @X,Y or @X,Y,Z or @X,Y,Z,YAW, in metres and degrees"),
        (("--move", f"{ROPE},nan,0,0"), "Found --move blue rope,nan,0,0; write"),
        (("--rename", ROPE), "it is written OLD,NEW, for example --rename mug,cup"),
        (("--rename", f"{ROPE},../../etc"), "'../../etc' cannot be the name of an object"),
        (("--mass", f"{ROPE}=heavy"), "a mass is a number above zero, in kilograms"),
        (("--mass", f"{ROPE}=0"), "a mass is a number above zero, in kilograms"),
        (("--material", ROPE), "it is written NAME=VALUE, for example --material mug=stoneware"),
        (("--material", f"{ROPE}=unobtainium"), "There is no material 'unobtainium'"),
        (("--kind", f"{ROPE}=soft"), "a kind is rigid or deformable, as in toy=deformable"),
        (("--merge", ROPE), "write A,B or A,B,NEW"),
        (("--merge", f"{BLOCK},{ROPE}"), "only objects of one kind are merged"),
        (("--remove", "mug"), "There is no object 'mug' in the scene. It has Wooden block!, blue rope."),
    ],
)
def test_wrong_usage(command: Command, table: Path, args: tuple[str, ...], message: str) -> None:
    outcome = command("edit", table, *args)
    assert (outcome.code, outcome.out) == (2, "")
    assert message in outcome.err
    assert outcome.err.count("error: ") == 1


def test_split_of_one_piece_and_a_file_that_is_no_scene(command: Command, table: Path, tmp_path: Path) -> None:
    outcome = command("edit", table, "--split", BLOCK)
    assert outcome.code == 1
    assert "'Wooden block!' is in one piece, so there is nothing to split" in outcome.err
    outcome = command("edit", tmp_path / "nothing", "--remove", BLOCK)
    assert outcome.code == 1
    assert "is not a scene folder" in outcome.err


def test_metres_need_a_scale(command: Command, tmp_path: Path) -> None:
    table = save_scene(replace(scene_of_objects(), metric=False), tmp_path / "table")
    for args in (("--move", f"{BLOCK},0,0,1"), ("--duplicate", f"{BLOCK}@1,1")):
        outcome = command("edit", table, *args)
        assert outcome.code == 2
        assert "has no metric scale" in outcome.err
        outcome = command("edit", table, *args, "--assume-scale")
        assert outcome.code == 0, outcome.err
        assert "one of its units was taken for a metre" in outcome.err
        assert " units" in outcome.out
    assert command("edit", table, "--rename", f"{BLOCK},brick").code == 0
