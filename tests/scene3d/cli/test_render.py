"""`scene3d render` and `scene3d info` on a tiny scene."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import av
import numpy as np
import pytest
from PIL import Image

from scene3d import save_ply

from .conftest import HEIGHT, WIDTH, splats, texts

if TYPE_CHECKING:
    from .conftest import Command

pytestmark = pytest.mark.usefixtures("reference_renderer")


def test_capture_cameras(command: Command, scene_folder: Path) -> None:
    outcome = command("render", scene_folder, "--json")
    assert outcome.code == 0, outcome.err
    folder = scene_folder / "renders" / "capture"
    assert texts(folder) == ["images_000.png", "images_001.png", "images_002.png"]
    assert len(json.loads(outcome.out)["files"]) == 3
    with Image.open(folder / "images_000.png") as image:
        assert image.size == (WIDTH, HEIGHT)
        assert np.asarray(image)[HEIGHT // 2, WIDTH // 2].max() > 50


def test_one_view_at_another_size_with_depth(command: Command, scene_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    outcome = command("render", scene_folder, "--view", "001", "--size", "64x40", "--depth", "--out", out)
    assert outcome.code == 0, outcome.err
    assert texts(out) == ["images_001.depth.npy", "images_001.depth.png", "images_001.png"]
    depth = np.load(out / "images_001.depth.npy", allow_pickle=False)
    assert depth.shape == (40, 64)
    assert depth[20, 32] == pytest.approx(np.hypot(1.5, 1.0), rel=0.1)  # Splats are thick and lean on their neighbours.


def test_existing_images_are_kept(command: Command, scene_folder: Path) -> None:
    assert command("render", scene_folder).code == 0
    outcome = command("render", scene_folder)
    assert outcome.code == 1
    assert "and 2 more exist. Use --overwrite" in outcome.err
    assert command("render", scene_folder, "--overwrite").code == 0


def test_turntable_video(command: Command, scene_folder: Path, tmp_path: Path) -> None:
    video = tmp_path / "spin.mp4"
    options = ("--size", "65x49", "--fps", "5", "--seconds", "2", "--out", video)
    outcome = command("render", scene_folder, "--cameras", "turntable", *options)
    assert outcome.code == 0, outcome.err
    with av.open(str(video)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(frames) == 10
    assert frames[0].shape == (48, 64, 3)
    assert frames[0].max() > 100
    assert texts(tmp_path, "*.tmp") == []


def test_turntable_of_a_bare_file_as_images(command: Command, tmp_path: Path) -> None:
    save_ply(splats(), tmp_path / "board.ply")
    options = ("--format", "png", "--size", "32x24", "--fps", "2", "--seconds", "2")
    outcome = command("render", tmp_path / "board.ply", *options)
    assert outcome.code == 0, outcome.err
    folder = tmp_path / "board_renders" / "turntable"
    assert texts(folder) == ["0000.png", "0001.png", "0002.png", "0003.png"]
    with Image.open(folder / "0001.png") as image:
        assert np.asarray(image).max() > 50


def test_camera_file(command: Command, scene_folder: Path, tmp_path: Path) -> None:
    cameras = tmp_path / "path.json"
    cameras.write_bytes((scene_folder / "cameras.json").read_bytes())
    outcome = command("render", scene_folder, "--cameras", cameras)
    assert outcome.code == 0, outcome.err
    assert len(texts(scene_folder / "renders" / "path")) == 3


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["--view", "0010"], 2, "Did you mean 'images/0"),
        (["--size", "big"], 2, "--size 1280x720"),
        (["--size", "0x10"], 2, "--size 1280x720"),
        (["--cameras", "absent.json"], 2, "capture, turntable, or a JSON file"),
        (["--cameras", "turntable", "--view", "001"], 2, "Leave out one"),
        (["--fps", "0"], 2, "--fps takes"),
        (["--depth", "--format", "mp4"], 2, "--format png"),
        (["--format", "png", "--out", "a.mp4"], 2, "Leave out one"),
        (["--cameras", "capture", "--fps", "nan"], 2, "--fps takes"),
    ],
)
def test_wrong_usage(options: list[str], code: int, words: str, command: Command, scene_folder: Path) -> None:
    outcome = command("render", scene_folder, *options)
    assert (outcome.code, outcome.out) == (code, "")
    assert words in outcome.err
    assert not (scene_folder / "renders").exists()


def test_names_cannot_leave_the_folder(command: Command, scene_folder: Path, tmp_path: Path) -> None:
    text = (scene_folder / "cameras.json").read_text().replace("images/000.png", "../../evil.png")
    (tmp_path / "path.json").write_text(text)
    outcome = command("render", scene_folder, "--cameras", tmp_path / "path.json", "--out", tmp_path / "out")
    assert outcome.code == 0, outcome.err
    assert texts(tmp_path / "out") == ["evil.png", "images_001.png", "images_002.png"]


def test_info(command: Command, scene_folder: Path) -> None:
    outcome = command("info", scene_folder)
    assert outcome.code == 0
    assert "64, SH degree 0" in outcome.out
    assert "31.42 dB" in outcome.out
    assert "3 (1 held out) at 48x36" in outcome.out


def test_info_as_json(command: Command, scene_folder: Path) -> None:
    document = json.loads(command("info", scene_folder, "--json").out)
    assert document["splats"] == 64
    assert document["bounds"]["min"] == [-0.5, -0.5, 0.0]
    assert document["cameras"] == {"count": 3, "held_out": 1, "sizes": [[48, 36]]}
    assert document["metrics"]["psnr"] == 31.4159
    assert document["bytes"] > 0


def test_info_of_a_file(command: Command, tmp_path: Path) -> None:
    save_ply(splats(), tmp_path / "board.ply")
    outcome = command("info", tmp_path / "board.ply")
    assert outcome.code == 0
    assert "cameras" in outcome.out
    assert "none" in outcome.out
