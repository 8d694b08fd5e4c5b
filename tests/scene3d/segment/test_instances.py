"""Folders of masks that a user gives: both layouts, and one message for each way to get them wrong."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from scene3d import Camera, Scene3dError
from scene3d._errors import SegmentError, UsageError
from scene3d.capture import View
from scene3d.segment._instances import read_masks

SIZE = (48, 36)


@pytest.fixture
def views(tmp_path: Path) -> list[View]:
    found = []
    for name in ("a", "b"):
        path = tmp_path / "photos" / f"{name}.jpg"
        path.parent.mkdir(exist_ok=True)
        Image.new("RGB", SIZE).save(path)
        found.append(View(f"photos/{name}.jpg", path, Camera.from_fov(*SIZE, 0.9, torch.eye(4))))
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "given").mkdir()
    return tmp_path / "given"


def mask(left: int, right: int, value: int = 255) -> Image.Image:
    pixels = np.zeros(SIZE[::-1], np.uint8)
    pixels[:, left:right] = value
    return Image.fromarray(pixels)


def objects(folder: Path, *names: str) -> None:
    for index, name in enumerate(names):
        (folder / name).mkdir()
        mask(20 * index, 20 * index + 15).save(folder / name / "a.png")


def id_map(folder: Path) -> None:
    pixels = np.asarray(mask(0, 10, 3)) + np.asarray(mask(20, 30, 8))
    Image.fromarray(pixels).save(folder / "a.png")


def test_a_folder_for_each_object(folder: Path, views: list[View]) -> None:
    objects(folder, "red mug", "can")
    found = read_masks(folder, views)
    assert found.names == ("can", "red mug")
    assert [found.has(view) for view in views] == [True, False]
    assert found.label_map(views[0])[0, [5, 17, 25, 40]].tolist() == [2, 0, 1, 0]


def test_an_id_map_for_each_photo(folder: Path, views: list[View]) -> None:
    id_map(folder)
    assert read_masks(folder, views).names == ("3", "8")
    (folder / "names.json").write_text(json.dumps({"8": "mug", "3": "can"}))
    found = read_masks(folder, views)
    assert found.names == ("mug", "can")
    assert found.label_map(views[0])[0, [5, 15, 25]].tolist() == [2, 0, 1]


def test_no_folder(folder: Path, views: list[View]) -> None:
    with pytest.raises(SegmentError, match=r"There is no folder .*nowhere of masks\. It takes"):
        read_masks(folder / "nowhere", views)
    with pytest.raises(SegmentError, match=r"No file in .*given is called like a photo \(a\.jpg, b\.jpg"):
        read_masks(folder, views)


def test_both_layouts_at_once(folder: Path, views: list[View]) -> None:
    objects(folder, "mug")
    id_map(folder)
    with pytest.raises(SegmentError, match=r"masks in folders \(mug\) and id maps beside them \(a\.png\)"):
        read_masks(folder, views)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("not json", "cannot be read as JSON"),
        ('["mug"]', "gives each id"),
        ('{"0": "mug"}', "above zero"),
        ('{"1": "mug", "2": "mug"}', "the same name"),
        ('{"1": "../../etc"}', "cannot be the name of an object"),
        ('{"1": "mug", "2": " mug "}', "Two objects are called"),
        ("[" * 100_000, "cannot be read as JSON"),
        (" " * 1024 * 1025, "more than 1024 KiB"),
    ],
)
def test_wrong_names(folder: Path, views: list[View], text: str, words: str) -> None:
    id_map(folder)
    (folder / "names.json").write_text(text)
    with pytest.raises(Scene3dError, match=words):
        read_masks(folder, views)


def test_folder_that_is_no_name(folder: Path, views: list[View]) -> None:
    objects(folder, "a\nb")
    with pytest.raises(UsageError, match="cannot be the name of an object"):
        read_masks(folder, views)


def test_wrong_pictures(folder: Path, views: list[View]) -> None:
    (folder / "mug").mkdir()
    Image.new("L", (7, 9)).save(folder / "mug" / "a.png")
    with pytest.raises(Scene3dError, match="Give every mask the size of its photo"):
        read_masks(folder, views).label_map(views[0])
    (folder / "mug" / "a.png").write_bytes(b"no picture")
    with pytest.raises(Scene3dError, match=r"a\.png"):
        read_masks(folder, views).label_map(views[0])
