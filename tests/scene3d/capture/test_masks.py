"""Masks beside photos: how they are named, and what they must be like."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from scene3d._errors import CaptureError
from scene3d.capture._masks import find_masks, require_mask_size
from scene3d.capture._transforms_json import read_transforms_json

Document = dict[str, Any]
Write = Callable[..., Path]


def mask(path: Path, size: tuple[int, int] = (32, 24)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", size, 255).save(path)
    return path


@pytest.mark.parametrize(
    ("photo", "place"),
    [
        ("images/a.jpg", "masks/a.jpg.png"),
        ("images/a.jpg", "masks/a.png"),
        ("images/a.png", "masks/a.png"),
        ("images/a.jpg", "masks/a.jpg"),
        ("images/a.jpg", "masks/images/a.jpg.png"),
        ("images/left/a.jpg", "masks/left/a.png"),
        ("images/left/a.jpg", "masks/a.png"),
        ("images_4/a.jpg", "masks_4/a.png"),
        ("images_4/a.jpg", "masks/a.png"),
        ("a.jpg", "masks/a.jpg.png"),
        ("a.jpg", "masks/a.png"),
        ("frame-000000.color.jpg", "masks/frame-000000.color.png"),
        ("images/a.jpg", "images/a_mask.png"),
    ],
)
def test_names(tmp_path: Path, photo: str, place: str) -> None:
    expected = mask(tmp_path / place)
    mask(tmp_path / "masks" / "other.png")
    assert find_masks(tmp_path, [photo, "images/b.jpg"]) == {photo: expected}


def test_whole_name_wins(tmp_path: Path) -> None:
    # Two photos of one stem: each has its own mask, in COLMAP's naming.
    for name in ("a.jpg.png", "a.png.png", "a.png"):
        mask(tmp_path / "masks" / name)
    found = find_masks(tmp_path, ["images/a.jpg", "images/a.png"])
    assert [path.name for path in found.values()] == ["a.jpg.png", "a.png.png"]


def test_photos_are_never_taken_for_masks(tmp_path: Path) -> None:
    mask(tmp_path / "images" / "a.png")
    (tmp_path / "capture" / "masks").mkdir(parents=True)
    assert find_masks(tmp_path / "capture", ["../images/a.png"]) == {}
    assert find_masks(tmp_path, ["images/a.png"]) == {}


def test_sizes(tmp_path: Path) -> None:
    path = mask(tmp_path / "m.png", (24, 32))
    require_mask_size(path, tmp_path / "a.jpg", (32, 24))  # The photo may be stored sideways.
    with pytest.raises(CaptureError, match=r"m\.png is 24x32 pixels, but its photo a\.jpg is 16x12"):
        require_mask_size(path, tmp_path / "a.jpg", (16, 12))
    path.write_bytes(b"no picture")
    with pytest.raises(CaptureError, match="cannot be decoded"):
        require_mask_size(path, tmp_path / "a.jpg", (32, 24))


def test_folder_beside_the_photos_of_a_transforms_json(document: Document, write: Write) -> None:
    folder = write(document)
    for i in (0, 2):
        mask(folder / "masks" / f"{i}.png")
    capture = read_transforms_json(folder / "transforms.json", mask_mode="alpha")
    assert [view.mask and view.mask.name for view in capture.views] == ["0.png", None, "2.png", None]
    assert {view.mask_mode for view in capture.views} == {"alpha"}
    assert capture.notes == ("2 of 4 photos have masks; the others count whole.",)


def test_named_masks_come_first(document: Document, write: Write) -> None:
    document["frames"][0]["mask_path"] = "cut/first.png"
    document["frames"][1]["mask_path"] = "cut/absent.png"
    folder = write(document)
    mask(folder / "cut" / "first.png")
    for i in range(4):
        mask(folder / "masks" / f"{i}.png")
    capture = read_transforms_json(folder / "transforms.json")
    assert [view.mask and view.mask.name for view in capture.views] == ["first.png", "1.png", "2.png", "3.png"]
    assert capture.notes == ("1 of 4 masks that the file names are absent.",)


def test_masks_of_no_photo_and_of_another_size(document: Document, write: Write) -> None:
    folder = write(document)
    mask(folder / "masks" / "mask_0.png")
    capture = read_transforms_json(folder / "transforms.json")
    assert "No mask in" in capture.notes[0]
    assert "0.png.png" in capture.notes[0]
    mask(folder / "masks" / "1.png", (64, 48))
    with pytest.raises(CaptureError, match=r"masks/1\.png is 64x48 pixels, but its photo 1\.png is 32x24"):
        read_transforms_json(folder / "transforms.json")
    document["frames"][0]["mask_path"] = 7
    (folder / "transforms.json").write_text(json.dumps(document))
    with pytest.raises(CaptureError, match="mask_path must be the path of a file"):
        read_transforms_json(folder / "transforms.json")
