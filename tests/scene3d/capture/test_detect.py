"""What a folder is taken for, and what is said when it is nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from scene3d._errors import CaptureError
from scene3d.capture import read_capture


def photos(folder: Path, count: int) -> None:
    folder.mkdir(exist_ok=True)
    for i in range(count):
        Image.new("RGB", (8, 6)).save(folder / f"{i}.jpg")


def test_empty_and_absent_folders(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match=r"is empty\. Accepted are a folder with a transforms\.json"):
        read_capture(tmp_path)
    with pytest.raises(CaptureError, match="does not exist"):
        read_capture(tmp_path / "absent")


@pytest.mark.parametrize("inside", [".", "images"])
@pytest.mark.parametrize(
    ("count", "message"),
    [(1, "only one photo"), (2, "only 2 photos, but at least 3"), (3, "3 photos but no camera poses")],
)
def test_photos_without_poses(tmp_path: Path, inside: str, count: int, message: str) -> None:
    photos(tmp_path / inside, count)
    with pytest.raises(CaptureError, match=message):
        read_capture(tmp_path)


def test_other_things(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(CaptureError, match="no photos with poses"):
        read_capture(tmp_path)
    with pytest.raises(CaptureError, match="of a kind that is not read"):
        read_capture(tmp_path / "notes.txt")
