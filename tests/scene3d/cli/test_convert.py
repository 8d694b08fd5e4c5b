"""`scene3d convert`: what is written, what is said to be lost, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch

from scene3d import load_scene, save_ply
from scene3d.files import load_splats, save_splats

from .conftest import splats, texts

if TYPE_CHECKING:
    from .conftest import Command


def test_scene_to_every_format(command: Command, scene_folder: Path, tmp_path: Path) -> None:
    for suffix in ("ply", "spz", "splat", "glb"):
        target = tmp_path / "out" / f"desk.{suffix}"
        outcome = command("convert", scene_folder, target, "--json")
        assert (outcome.code, outcome.err) == (0, "")
        document = json.loads(outcome.out)
        assert (document["from"], document["to"], document["splats"]) == ("scene folder", suffix, 64)
        assert document["bytes_written"] == target.stat().st_size
        assert document["lost"][0] == "3 cameras of the capture were left behind."
        found = load_splats(target).splats
        order = torch.cdist(splats().means, found.means).argmin(dim=1)
        assert float((found.means[order] - splats().means).abs().max()) < 1e-3
    header = (tmp_path / "out" / "desk.ply").read_bytes()[:200]
    assert b"comment up axis 0 0 1, right-handed\ncomment units m\n" in header


def test_words(command: Command, scene_folder: Path, tmp_path: Path) -> None:
    outcome = command("convert", scene_folder, tmp_path / "desk.splat")
    assert outcome.code == 0, outcome.err
    assert "64, SH degree 0" in outcome.out
    assert "lost     Colours, opacities and rotations were rounded to 8 bits" in outcome.out
    outcome = command("convert", tmp_path / "desk.splat", tmp_path / "desk.ply")
    assert "lost     nothing" in outcome.out
    assert command("convert", tmp_path / "desk.splat", tmp_path / "b.ply", "--quiet").out == ""


def test_to_a_scene_folder_with_up(command: Command, tmp_path: Path) -> None:
    save_splats(splats(), tmp_path / "desk.spz")
    assert command("convert", tmp_path / "desk.spz", tmp_path / "scene").code == 0
    assert load_scene(tmp_path / "scene").up == (0, -1, 0)
    outcome = command("convert", tmp_path / "desk.spz", tmp_path / "scene")
    assert outcome.code == 1
    assert "--overwrite" in outcome.err
    options = ("--overwrite", "--up", "0", "0", "2")
    assert command("convert", tmp_path / "desk.spz", tmp_path / "scene", *options).code == 0
    scene = load_scene(tmp_path / "scene")
    assert (scene.up, scene.source) == ((0, 0, 1), {"converted_from": str(tmp_path / "desk.spz")})


def test_a_scene_to_a_scene_keeps_everything(command: Command, scene_folder: Path, tmp_path: Path) -> None:
    outcome = command("convert", scene_folder, tmp_path / "copy", "--json")
    assert outcome.code == 0, outcome.err
    assert json.loads(outcome.out)["lost"] == []
    before, after = load_scene(scene_folder), load_scene(tmp_path / "copy")
    assert (len(after.views), after.metric, after.metrics) == (3, True, before.metrics)


def test_bodies_are_lost_in_words(command: Command, tmp_path: Path) -> None:
    save_ply(replace(splats(), component_index=torch.arange(64, dtype=torch.int32) % 2), tmp_path / "a.ply")
    outcome = command("convert", tmp_path / "a.ply", tmp_path / "a.glb")
    assert "lost     Which of 2 bodies each splat rides on was lost." in outcome.out
    assert "lost     Up is not known; -Y was taken" in outcome.out


@pytest.mark.parametrize(("to", "file"), [("nerfstudio", "transforms.json"), ("colmap", "sparse/0/cameras.bin")])
def test_a_capture_for_other_programs(
    command: Command, capture_folder: Path, tmp_path: Path, to: str, file: str
) -> None:
    outcome = command("convert", capture_folder, tmp_path / "out", "--to", to, "--json")
    assert outcome.code == 0, outcome.err
    document = json.loads(outcome.out)
    assert (document["from"], document["to"], document["photos"]) == ("capture", to, 17)
    assert file in texts(tmp_path / "out")
    outcome = command("convert", capture_folder, tmp_path / "out", "--to", to)
    assert outcome.code == 1
    assert "verwrite" in outcome.err


def test_what_is_refused(command: Command, capture_folder: Path, tmp_path: Path) -> None:
    save_ply(splats(), tmp_path / "a.ply")

    def refused(*args: str | Path) -> str:
        outcome = command("convert", *args)
        assert outcome.out == ""
        assert outcome.code in (1, 2)
        assert outcome.err.startswith("error: ")
        return outcome.err

    assert "does not exist" in refused(tmp_path / "nothing.ply", tmp_path / "b.spz")
    assert "has a suffix that is not written" in refused(tmp_path / "a.ply", tmp_path / "b.ksplat")
    assert "has a suffix that is not written" in refused(tmp_path / "a.ply", tmp_path / "b.compressed.ply")
    assert "the same" in refused(tmp_path / "a.ply", tmp_path / "a.ply", "--overwrite")
    assert "--up takes a direction" in refused(tmp_path / "a.ply", tmp_path / "b.glb", "--up", "0", "0", "0")
    assert "add --to nerfstudio or --to colmap" in refused(capture_folder, tmp_path / "b.ply")
    (tmp_path / "b.spz").write_bytes(b"NGSP")
    assert "exists. Use --overwrite" in refused(tmp_path / "a.ply", tmp_path / "b.spz")
    assert "is cut short" in refused(tmp_path / "b.spz", tmp_path / "c.ply")
    assert (tmp_path / "b.spz").read_bytes() == b"NGSP"
    assert not (tmp_path / "c.ply").exists()


def test_every_splat_file_is_a_scene(command: Command, tmp_path: Path) -> None:
    for suffix in ("spz", "splat", "glb"):
        save_splats(splats(), tmp_path / f"a.{suffix}")
        outcome = command("info", tmp_path / f"a.{suffix}", "--json")
        assert outcome.code == 0, outcome.err
        assert json.loads(outcome.out)["splats"] == 64
    save_ply(splats(), tmp_path / "a.ply")
    assert json.loads(command("info", tmp_path / "a.ply", "--json").out)["up"] == [0, 0, 1]
    assert json.loads(command("info", tmp_path / "a.spz", "--json").out)["up"] == [0, -1, 0]
