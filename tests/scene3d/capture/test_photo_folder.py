"""Folders of photos as people have them: what is listed, what is left out and said, what EXIF tells."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from PIL.ExifTags import IFD, Base

from scene3d._errors import CaptureError
from scene3d.capture._exif import read_exif
from scene3d.capture._photo_folder import list_photos
from scene3d.capture._photo_order import in_order


def photo(path: Path, size: tuple[int, int] = (80, 60), **options: Any) -> Path:
    """A photo of noise, another one for each name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = random.Random(path.name).randbytes(size[0] * size[1] * 3)
    Image.frombytes("RGB", size, noise).save(path, **options)
    return path


def exif(main: dict[int, Any], more: dict[int, Any] | None = None) -> Image.Exif:
    table = Image.Exif()
    table.update(main)
    if more:
        table.get_ifd(IFD.Exif).update(more)
    return table


def names(folder: Path) -> list[str]:
    return [file.name for file in list_photos(folder).files]


def test_natural_order_in_the_folder_itself(tmp_path: Path) -> None:
    for name in ("b10.jpg", "b9.jpg", "a.PNG", "b100.jpeg"):
        photo(tmp_path / name)
    found = list_photos(tmp_path)
    assert [file.name for file in found.files] == ["a.PNG", "b9.jpg", "b10.jpg", "b100.jpeg"]
    assert (found.root, found.source, found.notes) == (tmp_path, "photos", ())
    assert all((file.width, file.height, file.focal, file.lens) == (80, 60, None, "") for file in found.files)


def test_images_folder_and_sub_folders(tmp_path: Path) -> None:
    for i in range(3):
        photo(tmp_path / "one" / "images" / f"{i}.jpg")
        photo(tmp_path / "two" / "left" / f"{i}.jpg")
        photo(tmp_path / "two" / "right" / f"r{i}.jpg")
        photo(tmp_path / "two" / "thumbnails" / f"{i}.jpg")
    photo(tmp_path / "one" / "cover.jpg")
    assert names(tmp_path / "one") == ["images/0.jpg", "images/1.jpg", "images/2.jpg"]
    both = ["left/0.jpg", "left/1.jpg", "left/2.jpg", "right/r0.jpg", "right/r1.jpg", "right/r2.jpg"]
    assert names(tmp_path / "two") == both


def test_what_is_left_out_is_said(tmp_path: Path) -> None:
    for i in range(5):
        photo(tmp_path / f"IMG_{i}.jpg", (240, 180))
    photo(tmp_path / ".hidden.jpg")
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    cut = photo(tmp_path / "cut.jpg", (240, 180))
    cut.write_bytes(cut.read_bytes()[:5000])
    photo(tmp_path / "pano.jpg", (600, 180))
    photo(tmp_path / "Screenshot_2024.png", (240, 180))
    photo(tmp_path / "small.jpg", (60, 45))
    shutil.copy(tmp_path / "IMG_3.jpg", tmp_path / "IMG_3 (copy).jpg")
    photo(tmp_path / "IMG_4.avif", (240, 180))
    photo(tmp_path / "IMG_4.mask.png", (240, 180))
    found = list_photos(tmp_path)
    assert {file.name for file in found.files} == {"IMG_0.jpg", "IMG_1.jpg", "IMG_2.jpg", "IMG_3.jpg", "IMG_4.jpg"}
    assert set(found.notes) == {
        "Left out 1 file, not photos by their names: notes.txt.",
        "Left out 2 files, damaged or no kind of photo that is read: broken.jpg and 1 more.",
        "Left out 1 file, panoramas: pano.jpg.",
        "Left out 1 file, screenshots: Screenshot_2024.png.",
        "Left out 1 file, much smaller than the others: small.jpg.",
        "Left out 1 file, copies of other files: IMG_3 (copy).jpg.",
        "Left out 1 file, photos that are also there as .jpg: IMG_4.avif.",
        "Left out 1 file, masks or depth maps by their names: IMG_4.mask.png.",
    }


def test_the_larger_of_two_formats_is_kept(tmp_path: Path) -> None:
    for i in range(3):
        photo(tmp_path / f"{i}.avif", (160, 120))
        photo(tmp_path / f"{i}.jpg", (80, 60))
    assert names(tmp_path) == ["0.avif", "1.avif", "2.avif"]


def test_something_after_the_end_is_no_damage(tmp_path: Path) -> None:
    """Motion photos carry a film behind the picture."""
    for i in range(3):
        path = photo(tmp_path / f"{i}.jpg")
        path.write_bytes(path.read_bytes() + bytes(10_000))
    assert len(names(tmp_path)) == 3


def test_too_few(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match=r"holds 0 usable photos, but a scene needs at least 3\. Accepted are JPEG"):
        list_photos(tmp_path)
    for i in range(2):
        photo(tmp_path / f"{i}.jpg")
    (tmp_path / "2.jpg").write_bytes(b"")
    with pytest.raises(CaptureError, match=r"holds 2 usable photos.* Left out 1 file, damaged .*: 2\.jpg\."):
        list_photos(tmp_path)
    with pytest.raises(CaptureError, match="is no folder"):
        list_photos(tmp_path / "0.jpg")


def test_photos_of_one_colour_are_listed(tmp_path: Path) -> None:
    for i in range(3):
        Image.new("RGB", (80 + i, 60), (i, i, i)).save(tmp_path / f"{i}.png")
    assert len(names(tmp_path)) == 3


# EXIF.


def test_exif_says_size_focal_lens_and_time(tmp_path: Path) -> None:
    phone = {Base.Make: "Apple", Base.Model: "iPhone 15 Pro"}
    wide = {Base.FocalLengthIn35mmFilm: 24, Base.FocalLength: 6.86}
    tele = {Base.FocalLengthIn35mmFilm: 77, Base.FocalLength: 9.0}
    for i, lens in enumerate((wide, wide, tele)):
        taken = {Base.DateTimeOriginal: f"2024:05:01 10:00:0{i}", Base.SubsecTimeOriginal: "120"}
        table = exif({**phone, Base.Orientation: 6}, {**lens, **taken})
        photo(tmp_path / f"{i}.jpg", (120, 90), exif=table)
    first, second, third = list_photos(tmp_path).files
    assert (first.width, first.height) == (90, 120)
    assert first.focal == pytest.approx(24 * 120 / 36)
    assert third.focal == pytest.approx(77 * 120 / 36)
    assert first.lens == second.lens != third.lens
    assert "iPhone 15 Pro" in first.lens
    assert first.taken == "2024:05:01 10:00:00.120"


def test_focal_length_from_the_sensor(tmp_path: Path) -> None:
    """A camera of 6000 pixels on 22.3 mm with a 50 mm lens, its photo reduced to 120 pixels."""
    sensor: dict[int, Any] = {
        Base.FocalLength: 50.0,
        Base.FocalPlaneXResolution: 6000 / (22.3 / 25.4),
        Base.FocalPlaneResolutionUnit: 2,
        Base.ExifImageWidth: 6000,
        Base.ExifImageHeight: 4000,
    }
    for i in range(3):
        photo(tmp_path / f"{i}.jpg", (120, 80), exif=exif({Base.Model: "EOS"}, sensor))
    assert list_photos(tmp_path).files[0].focal == pytest.approx(50 / 22.3 * 120, rel=1e-3)


@pytest.mark.parametrize(
    "entries",
    [
        {Base.FocalLengthIn35mmFilm: 0, Base.FocalLength: 0},
        {Base.FocalLengthIn35mmFilm: 65535},
        {Base.FocalLength: 4.2},
        {Base.FocalLength: 4.2, Base.FocalPlaneXResolution: 1e9, Base.FocalPlaneResolutionUnit: 9},
        {Base.DateTimeOriginal: "0000:00:00 00:00:00"},
        {Base.DateTimeOriginal: "yesterday"},
    ],
)
def test_exif_that_says_nothing_usable(tmp_path: Path, entries: dict[int, Any]) -> None:
    for i in range(3):
        photo(tmp_path / f"{i}.jpg", exif=exif({}, entries))
    file = list_photos(tmp_path).files[0]
    assert (file.focal, file.taken) == (None, "")


@given(st.binary(max_size=200))
def test_damaged_exif_is_as_good_as_none(content: bytes) -> None:
    image = Image.new("RGB", (80, 60))
    image.info["exif"] = b"Exif\0\0II*\0\x08\0\0\0" + content
    found = read_exif(image)
    assert found.focal is None or found.focal > 0


# Order.


def test_order_of_frames_and_of_counters() -> None:
    frames = [f"frame_{i:05d}.jpg" for i in range(0, 800, 8)]
    assert in_order(frames, [""] * 100)
    assert in_order([f"images/{i:04d}.jpg" for i in (1, 2, 3, 5, 6, 9, 10)], [""] * 7)
    assert in_order([f"photos/{i}.jpg" for i in range(9)], [""] * 9)
    for prefix in ("IMG_", "DSC0", "_DSC", "P10", "PXL_2024", "a/DJI_", "IMG_E", "photo"):
        assert not in_order([f"{prefix}{i:04d}.jpg" for i in range(9)], [""] * 9), prefix
    assert not in_order(["kitchen.jpg", "table.jpg", "window.jpg"], [""] * 3)
    assert not in_order([f"left/{i}.jpg" for i in range(5)] + [f"right/{i}.jpg" for i in range(5)], [""] * 10)
    assert not in_order([f"{i}.jpg" for i in (1, 2, 90, 91, 300, 301, 4000)], [""] * 7)
    assert not in_order(["1.jpg"], [""])


def test_times_decide_where_there_are_any() -> None:
    counted = [f"IMG_{i:04d}.jpg" for i in range(20)]
    soon = [f"2024:05:01 10:00:{2 * i:02d}" for i in range(20)]
    assert in_order(counted, soon)
    assert not in_order(counted, soon[::-1])
    assert not in_order([f"frame_{i:04d}.jpg" for i in range(20)], soon[::-1])
    assert not in_order(counted, [f"2024:05:01 {10 + i // 4}:{i % 4:02d}:00" for i in range(20)])
    assert not in_order(counted, [*soon[:-1], "2024:13:41 99:00:00"])


# Masks and real photos.


def test_masks(tmp_path: Path) -> None:
    for i in range(4):
        photo(tmp_path / "images" / f"{i}.jpg")
        if i:
            Image.new("L", (80, 60), 255).save((tmp_path / "images").parent / f"m{i}.png")
    (tmp_path / "masks").mkdir()
    for i in range(1, 4):
        (tmp_path / f"m{i}.png").rename(tmp_path / "masks" / f"{i}.png")
    found = list_photos(tmp_path, mask_mode="alpha")
    assert found.mask_mode == "alpha"
    assert [file.mask for file in found.files] == [None, *(tmp_path / "masks" / f"{i}.png" for i in range(1, 4))]
    assert found.notes == ("3 of 4 photos have masks; the others count whole.",)
    Image.new("L", (40, 30), 255).save(tmp_path / "masks" / "2.png")
    with pytest.raises(CaptureError, match=r"40x30"):
        list_photos(tmp_path)


@pytest.mark.data
def test_fox(needs: Callable[[str], Path]) -> None:
    found = list_photos(needs("fox"))
    assert len(found.files) == 50
    assert found.files[0].name == "images/0001.jpg"
    assert {(file.width, file.height, file.lens) for file in found.files} == {(1080, 1920, "")}
    assert found.ordered
    assert found.notes == ()


@pytest.mark.data
def test_colour_among_depth(needs: Callable[[str], Path]) -> None:
    found = list_photos(needs("redkitchen"))
    assert len(found.files) == 125
    assert found.ordered
    assert found.files[1].name == "frame-000008.color.jpg"
    assert any("125 files, masks or depth maps by their names" in note for note in found.notes)


def test_tabletop(tabletop: Path) -> None:
    found = list_photos(tabletop)
    assert len(found.files) == 60
    assert np.array_equal([file.width for file in found.files], np.full(60, 640))
