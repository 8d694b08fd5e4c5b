"""What a path is taken for, what is said when it is nothing, and what masks are taken for."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from scene3d._errors import CaptureError, UsageError
from scene3d.capture import find_source, read_capture


def photos(folder: Path, count: int) -> None:
    folder.mkdir(exist_ok=True)
    for i in range(count):
        Image.fromarray(np.random.default_rng(i).integers(0, 256, (96, 128, 3), np.uint8)).save(folder / f"{i}.jpg")


def test_empty_and_absent_folders(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match=r"is empty\. Accepted are a folder of photos, a video, an RGB-D folder"):
        read_capture(tmp_path)
    with pytest.raises(CaptureError, match="does not exist"):
        read_capture(tmp_path / "absent")


@pytest.mark.parametrize("inside", [".", "images"])
@pytest.mark.parametrize(("count", "message"), [(1, "1 usable photo, but"), (2, "2 usable photos, but .* at least 3")])
def test_too_few_photos(tmp_path: Path, inside: str, count: int, message: str) -> None:
    photos(tmp_path / inside, count)
    with pytest.raises(CaptureError, match=message):
        read_capture(tmp_path)


def test_other_things(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(CaptureError, match=r"holds no photos\. Accepted are"):
        read_capture(tmp_path)
    with pytest.raises(CaptureError, match="of a kind that is not read"):
        read_capture(tmp_path / "notes.txt")
    (tmp_path / "walk.mov").write_bytes(b"")
    with pytest.raises(CaptureError, match=r"Give the video itself: .*walk\.mov"):
        read_capture(tmp_path)
    Image.new("RGB", (8, 8)).save(tmp_path / "one.jpg")
    with pytest.raises(CaptureError, match="is a single photo"):
        read_capture(tmp_path / "one.jpg")
    with pytest.raises(CaptureError, match="its frames need a folder"):
        read_capture(tmp_path / "walk.mov")


def test_an_unknown_format(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Found --format gif; accepted are transforms, colmap, rgbd"):
        find_source(tmp_path, "gif")


def test_kinds_by_their_files(tmp_path: Path, write: Callable[..., Path], document: dict[str, Any]) -> None:
    folder = write(document)
    assert find_source(folder) == find_source(folder / "transforms.json") == "transforms"
    assert find_source(folder, "photos") == "photos"
    (folder / "transforms.json").unlink()
    assert find_source(folder) == "photos"
    (tmp_path / "clip.MP4").touch()
    assert find_source(tmp_path / "clip.MP4") == "video"


@pytest.mark.data
def test_real_captures_are_what_they_are(needs: Callable[[str], Path]) -> None:
    assert find_source(needs("fox")) == "transforms"
    assert find_source(needs("fox/images")) == "photos"
    assert find_source(needs("redkitchen")) == "rgbd"


def test_an_archive_is_unpacked_into_the_work_folder(
    tmp_path: Path, write: Callable[..., Path], document: dict[str, Any]
) -> None:
    write(document)
    archive = shutil.make_archive(str(tmp_path / "packed"), "zip", tmp_path, ".")
    with pytest.raises(CaptureError, match="is an archive"):
        read_capture(archive)
    capture = read_capture(archive, work=tmp_path / "work")
    assert len(capture.views) == 4
    assert capture.root.is_relative_to(tmp_path / "work")


@pytest.mark.parametrize(("kept", "mode"), [(0.1, "alpha"), (0.8, "ignore")])
def test_masks_that_keep_little_cut_out_an_object(
    tmp_path: Path, write: Callable[..., Path], document: dict[str, Any], kept: float, mode: str
) -> None:
    folder = write(document)
    for frame in document["frames"]:
        mask = np.zeros((24, 32), np.uint8)
        mask[: round(24 * kept)] = 255
        frame["mask_path"] = frame["file_path"].replace("images/", "mask_")
        Image.fromarray(mask).save(folder / frame["mask_path"])
    (folder / "transforms.json").write_text(json.dumps(document))
    capture = read_capture(folder)
    assert {view.mask_mode for view in capture.views} == {mode}
    assert any("--masks alpha" in note for note in capture.notes) == (mode == "alpha")
    for asked in ("ignore", "alpha"):
        assert {view.mask_mode for view in read_capture(folder, mask_mode=asked).views} == {asked}
