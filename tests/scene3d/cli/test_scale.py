"""`scene3d scale` from words to words, with real photos of a real marker."""

from __future__ import annotations

import json
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from scene3d import Scene, SceneView, load_scene, save_scene
from scene3d.capture._similarity import Similarity, transform_scene
from scene3d.capture._transforms_json import read_transforms_json

from .conftest import splats, views

if TYPE_CHECKING:
    from .conftest import Command

LOST = 0.37
"""Units per metre of the scene below."""


@pytest.fixture
def lost_scale(tmp_path: Path, repository: Path) -> Path:
    """A scene of the tabletop's photos in a world of unknown scale; its splats are the board of 1 m."""
    photos = read_transforms_json(repository / "assets" / "tabletop" / "transforms.json").views[:36:6]
    seen = tuple(SceneView(view.name, view.camera.fitted(160), photo=view) for view in photos)
    return save_scene(transform_scene(Scene(splats(), seen), Similarity(LOST)), tmp_path / "desk")


def test_help_text(command: Command, repository: Path) -> None:
    outcome = command("scale", "--help")
    path = repository / "tests" / "data" / "help" / "scale.txt"
    if os.environ.get("SCENE3D_UPDATE_HELP") == "1":
        path.write_text(outcome.out, encoding="utf-8")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out == path.read_text(encoding="utf-8")


def test_marker(command: Command, lost_scale: Path) -> None:
    outcome = command("scale", lost_scale, "--marker-size", "0.08")
    assert outcome.code == 0, outcome.err
    scene = load_scene(lost_scale)
    assert (scene.metric, scene.scale_source) == (True, "markers")
    assert scene.T_world_source is not None
    assert scene.T_world_source[0][0] == pytest.approx(1, rel=0.003)  # There and back.
    factor = re.search(r"factor +([\d.]+) metres per unit, sure to 0\.\d+ %", outcome.out)
    assert factor is not None
    assert float(factor[1]) == pytest.approx(1 / LOST, rel=0.003)
    assert re.search(r"from +markers: marker 0 of 4X4_50 in \d photos", outcome.out)
    assert re.search(r"extent +1 x 1 x 0 m", outcome.out)
    assert re.search(r"scale +metric, from markers", command("info", lost_scale).out)


def test_json_is_one_document(command: Command, lost_scale: Path) -> None:
    assert command("info", lost_scale).out.count("scene3d scale --help") == 1
    outcome = command("scale", lost_scale, "--factor", "2", "--json")
    document = json.loads(outcome.out)
    assert outcome.code == 0
    assert (document["factor"], document["relative_error"], document["metric"]) == (2, 0, True)
    assert document["scale_source"] == "factor"
    assert document["bounds"]["max"][0] == pytest.approx(LOST, rel=1e-5)
    assert document["T_world_source"][0][0] == pytest.approx(2 * LOST)


def test_known_distance(command: Command, tmp_path: Path) -> None:
    """The board's middle and a point beside it; its splats are as thick as wide, so the figure is a rough one."""
    out = save_scene(Scene(splats(), views()), tmp_path / "board")
    camera = views()[0].camera
    point = camera.T_cam_world @ camera.T_world_cam.new_tensor([0.0, 0.4, 0.0, 1.0])
    u, v, w = (camera.K @ point[:3]).tolist()
    spec = f"000.png,{camera.width / 2},{camera.height / 2},{u / w},{v / w}=0.8"
    outcome = command("scale", out, "--known-distance", spec)
    assert outcome.code == 0, outcome.err
    assert load_scene(out).T_world_source[0][0] == pytest.approx(2, rel=0.2)  # type: ignore[index]
    assert "from    known distance: 0.8 m in images/000.png" in outcome.out


def test_metric_scene_and_overwrite(command: Command, scene_folder: Path) -> None:
    outcome = command("scale", scene_folder, "--factor", "2")
    assert (outcome.code, outcome.out) == (1, "")
    assert "is metric already; pass --overwrite" in outcome.err
    assert command("scale", scene_folder, "--factor", "2", "--overwrite").code == 0


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        ((), 2, "exactly one of --size"),
        (("--factor", "2", "--marker-size", "1"), 2, "--marker-size and --factor were given"),
        (("--factor=-1",), 2, "above zero"),
        (("--known-distance", "a.jpg"), 2, "for example IMG_0042.jpg"),
        (("--known-distance", "b.jpg,1,2,3,4=1"), 2, "nearest names"),
        (("--marker-size", "0.08"), 1, "does not say where its photos are"),
    ],
)
def test_errors(command: Command, tmp_path: Path, args: tuple[str, ...], code: int, message: str) -> None:
    out = save_scene(Scene(splats(), views()), tmp_path / "desk")
    outcome = command("scale", out, *args)
    assert (outcome.code, outcome.out) == (code, "")
    assert outcome.err.startswith("error: ")
    assert message in outcome.err
    assert not load_scene(out).metric


def test_interrupted_fit_is_remembered(command: Command, tmp_path: Path) -> None:
    before = replace(Scene(splats(), views()), source={"interrupted": True})
    outcome = command("scale", save_scene(before, tmp_path / "desk"), "--factor", "2")
    assert "--resume would go on without this scale" in outcome.err


def test_splat_file_has_no_folder_to_save_in(command: Command, tmp_path: Path) -> None:
    from scene3d import save_ply

    save_ply(splats(), tmp_path / "a.ply")
    outcome = command("scale", tmp_path / "a.ply", "--factor", "2")
    assert outcome.code == 1
    assert "not a scene folder" in outcome.err
