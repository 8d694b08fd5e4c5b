"""`info`, `render` and `convert` on a scene with objects."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
import trimesh
from PIL import Image

from scene3d import Scene, load_scene, save_ply, save_scene
from scene3d._flatten import flatten
from scene3d.files import load_splats
from scene3d.render import render

if TYPE_CHECKING:
    from .conftest import Command


@pytest.fixture
def folder(objects_scene: Scene, tmp_path: Path) -> Path:
    return save_scene(objects_scene, tmp_path / "desk")


def test_info_shows_a_table(command: Command, folder: Path) -> None:
    outcome = command("info", folder)
    assert (outcome.code, outcome.err) == (0, "")
    lines = [line.split() for line in outcome.out.splitlines() if "Wooden" in line or "rope" in line]
    # 0.1 x 0.06 x 0.04 m, its long side upright. 0.144 kg, nine tenths of what it may be within exp(1.645 * 0.1).
    assert (
        " ".join(lines[0])
        == "Wooden block! rigid 6.0 x 4.0 x 10.0 cm 140 g (120 to 170 g) wood 40 0.90 mass, underside"
    )
    assert lines[1][:3] == ["blue", "rope", "deformable"]
    assert "90 g" in " ".join(lines[1])


def test_info_as_json(command: Command, folder: Path) -> None:
    document = json.loads(command("info", folder, "--json").out)
    assert (document["bodies"], document["filled"], document["supports"]) == (2, 5, 1)
    block, rope = document["objects"]
    assert (block["name"], block["kind"], block["splats"], block["parts"]) == ("Wooden block!", "rigid", 40, 1)
    assert (rope["particles"], rope["confidence"], rope["guessed"]) == (9, 0.75, [])
    assert block["size"] == pytest.approx([0.06, 0.04, 0.1], abs=1e-3)
    low, high = np.array(document["bounds"]["min"]), np.array(document["bounds"]["max"])
    assert (low <= np.array([-0.4, -0.2, 0.05])).all()  # Both objects are where they stand, not at the origin.
    assert (high >= np.array([0.3, 0.1, 0.1])).all()


def test_lengths_that_are_not_metres_give_no_masses(command: Command, objects_scene: Scene, tmp_path: Path) -> None:
    out = save_scene(replace(objects_scene, metric=False), tmp_path / "out")
    text = command("info", out).out
    block = next(line for line in text.splitlines() if "Wooden" in line)
    assert "0.06 x 0.04 x 0.1 units" in block
    assert "unknown" in block
    assert " g " not in text


def test_render_moves_objects(command: Command, folder: Path, tmp_path: Path) -> None:
    assert command("render", folder, "--out", tmp_path / "png").code == 0
    scene = load_scene(folder)
    shown = np.asarray(Image.open(tmp_path / "png" / "a.png"), dtype=np.float64) / 255
    expected = render(scene.splats, scene.cameras[0], T_world_body=scene.T_world_body).rgb.clamp(0, 1).numpy()
    assert np.abs(shown - expected).max() < 0.01
    assert np.abs(shown - render(scene.splats, scene.cameras[0]).rgb.clamp(0, 1).numpy()).max() > 0.1


def test_turntable_without_cameras_looks_at_the_world(command: Command, objects_scene: Scene, tmp_path: Path) -> None:
    out = save_scene(replace(objects_scene, views=()), tmp_path / "out")
    options = ("--size", "32x24", "--seconds", "0.1", "--format", "png", "--out", tmp_path / "png")
    outcome = command("render", out, *options)
    assert outcome.code == 0, outcome.err
    assert len(list((tmp_path / "png").rglob("*.png"))) == 3


def test_convert_to_a_file_flattens(command: Command, folder: Path, tmp_path: Path) -> None:
    outcome = command("convert", folder, tmp_path / "a.ply", "--json")
    assert outcome.code == 0, outcome.err
    document = json.loads(outcome.out)
    assert document["splats"] == 135
    assert document["lost"][:2] == [
        "2 objects became part of one picture; their bodies were left behind: Wooden block!, blue rope.",
        "5 splats that were made up to fill the holes under objects were left out.",
    ]
    found = load_splats(tmp_path / "a.ply").splats
    assert torch.equal(found.means, flatten(load_scene(folder)).splats.means)
    assert not found.component_index.any()


def test_convert_to_a_folder_keeps_objects(command: Command, folder: Path, tmp_path: Path) -> None:
    outcome = command("convert", folder, tmp_path / "copy", "--json")
    document = json.loads(outcome.out)
    assert (document["lost"], document["splats"]) == ([], 140)
    after = load_scene(tmp_path / "copy")
    assert [thing.name for thing in after.objects] == ["Wooden block!", "blue rope"]
    assert after.objects[1].binding is not None


def test_convert_objects_beside_meshes(command: Command, objects_scene: Scene, tmp_path: Path) -> None:
    box = tmp_path / "things" / "objects" / "box"
    box.mkdir(parents=True)
    save_ply(objects_scene.splats[:20], box / "splat.ply")
    trimesh.creation.box((0.1, 0.1, 0.1)).export(box / "mesh.stl")
    outcome = command("convert", tmp_path / "things", tmp_path / "out", "--json")
    assert outcome.code == 0, outcome.err
    document = json.loads(outcome.out)
    assert (document["from"], document["to"], document["splats"]) == ("folder of objects", "scene folder", 20)
    assert "every object is at the origin" in document["notes"][0]
    assert [thing.name for thing in load_scene(tmp_path / "out").objects] == ["box"]


def test_convert_a_world_with_its_collider(command: Command, objects_scene: Scene, tmp_path: Path) -> None:
    save_ply(objects_scene.splats[:40], tmp_path / "world.ply")
    trimesh.creation.box((0.3, 0.3, 0.3)).export(tmp_path / "collider.glb")
    world = ("convert", tmp_path / "world.ply", tmp_path / "out", "--collider", tmp_path / "collider.glb")
    assert command(*world, "--unit", "1.5").code == 0
    scene = load_scene(tmp_path / "out")
    assert (scene.metric, [thing.name for thing in scene.objects]) == (True, ["world"])
    for options, message in (
        (("--unit", "0"), "takes a number above zero"),
        (("--up", "0", "0", "1"), "whose up is known"),
    ):
        outcome = command(*world, *options)
        assert outcome.code == 2
        assert message in outcome.err
    assert "--unit belongs to --collider" in command(*world[:3], "--unit", "2").err
