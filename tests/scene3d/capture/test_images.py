"""Decoding, undistortion and reduction, each against its definition."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from scene3d._camera import Camera
from scene3d._errors import CaptureError
from scene3d.capture import View
from scene3d.capture._decode import decode_upright, image_size

CX, CY, FOCAL = 43.0, 31.0, 70.0


def view(path: Path, width: int = 80, height: int = 60, distortion: tuple[float, ...] = ()) -> View:
    K = torch.tensor([[FOCAL, 0, CX], [0, FOCAL, CY], [0, 0, 1]])
    return View(path.name, path, Camera(width, height, K, torch.eye(4)), distortion)


def save(path: Path, pixels: np.ndarray, **options: Any) -> Path:
    Image.fromarray(pixels.astype(np.uint8)).save(path, **options)
    return path


def test_pixels_come_through(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (60, 80, 3))
    photo = view(save(tmp_path / "a.png", pixels)).load()
    assert np.array_equal(photo.rgb, pixels)
    assert photo.valid.all()
    grey = view(save(tmp_path / "grey.png", pixels[..., 0])).load()
    assert np.array_equal(grey.rgb, np.repeat(pixels[..., :1], 3, axis=2))


def test_reduction_is_the_area_mean(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (60, 80, 3))
    photo = view(save(tmp_path / "a.png", pixels)).load(20)
    mean = pixels.reshape(15, 4, 20, 4, 3).mean(axis=(1, 3))
    assert np.abs(photo.rgb - mean).max() <= 0.5 + 1e-6
    assert np.allclose(photo.camera.K[:2], torch.tensor([[FOCAL, 0, CX], [0, FOCAL, CY]]) / 4)
    assert view(tmp_path / "a.png").load(1000).rgb.shape == (60, 80, 3)


def test_undistortion_follows_the_model_to_a_fraction_of_a_pixel(tmp_path: Path) -> None:
    """A smooth picture is drawn through the distortion; undone, it must be the picture seen by the pinhole."""
    k1, k2, p1, p2 = coefficients = (0.08, -0.05, 0.004, -0.006)

    def picture(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return 128 + 100 * np.sin(9 * x) * np.cos(7 * y)

    column, row = np.meshgrid(np.arange(80) + 0.5, np.arange(60) + 0.5)
    target_x, target_y = (column - CX) / FOCAL, (row - CY) / FOCAL
    x, y = target_x.copy(), target_y.copy()
    for _ in range(50):  # Invert the model by fixed point.
        r2 = x * x + y * y
        radial = 1 + k1 * r2 + k2 * r2 * r2
        x = (target_x - 2 * p1 * x * y - p2 * (r2 + 2 * x * x)) / radial
        y = (target_y - 2 * p2 * x * y - p1 * (r2 + 2 * y * y)) / radial
    distorted = np.repeat(picture(x, y)[..., None].round(), 3, axis=2)
    photo = view(save(tmp_path / "a.png", distorted), distortion=coefficients).load()
    error = np.abs(photo.rgb[..., 0] - picture(target_x, target_y))[photo.valid]
    slope = 100 * 9 / FOCAL  # Grey levels per pixel: a half-pixel slip would show as six.
    assert np.median(error) < 0.1 * slope
    assert np.quantile(error, 0.99) < 0.25 * slope
    assert 0.9 < photo.valid.mean() < 1


def test_borders_that_the_photo_did_not_see_are_invalid(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", np.full((60, 80, 3), 200))
    photo = view(path, distortion=(0.3, 0.0, 0.0, 0.0)).load()
    assert not photo.valid[0, 0]
    assert photo.valid[30, 40]
    reduced = view(path, distortion=(0.3, 0.0, 0.0, 0.0)).load(40)
    blocks = photo.valid.reshape(30, 2, 40, 2).all(axis=(1, 3))
    assert np.array_equal(reduced.valid, blocks)


def test_a_model_that_folds_back_is_invalid_beyond_the_fold(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", np.full((60, 80, 3), 200))
    photo = view(path, distortion=(-1.5, 0.0, 0.0, 0.0)).load()  # r (1 - 1.5 r^2) turns back at r = 0.47.
    column, row = np.meshgrid(np.arange(80) + 0.5, np.arange(60) + 0.5)
    radius = np.hypot(column - CX, row - CY) / FOCAL
    assert not photo.valid[radius > 0.475].any()
    assert photo.valid[radius < 0.465].all()


def test_transparent_pixels_are_invalid(tmp_path: Path) -> None:
    pixels = np.full((60, 80, 4), 255)
    pixels[:10, :, 3] = 0
    photo = view(save(tmp_path / "a.png", pixels)).load(40)
    assert not photo.valid[:5].any()
    assert photo.valid[5:].all()


def test_exif_rotation_counts_only_when_the_size_then_matches(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # Rotate by 90 degrees to be seen upright.
    pixels = np.zeros((60, 80, 3))
    pixels[:, :40] = 255
    path = save(tmp_path / "a.png", pixels, exif=exif)
    assert view(path).load().rgb[0, 0, 0] == 255
    upright = view(path, 60, 80).load().rgb
    assert upright[:40].min() == 255
    assert upright[40:].max() == 0


def test_wrong_size(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", np.zeros((50, 80, 3)))
    with pytest.raises(CaptureError, match=r"a\.png is 80x50 pixels, but its camera is 80x60"):
        view(path).load()


def test_damaged_files(tmp_path: Path) -> None:
    path = save(tmp_path / "a.jpg", np.random.default_rng(0).integers(0, 256, (60, 80, 3)))
    whole = path.read_bytes()
    for kept in (len(whole) // 2, 30, 0):
        path.write_bytes(whole[:kept])
        with pytest.raises(CaptureError, match=r"a\.jpg cannot be decoded.*Copy the photo again"):
            view(path).load()
    with pytest.raises(CaptureError, match="does not exist"):
        view(tmp_path / "absent.jpg").load()


# Orientation.


@pytest.mark.parametrize("orientation", range(1, 9))
def test_all_eight_orientations(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = np.random.default_rng(0).integers(0, 256, (60, 80, 3))
    path = save(tmp_path / "a.png", pixels, exif=exif)
    with Image.open(path) as image:
        upright = np.asarray(ImageOps.exif_transpose(image))
    assert np.array_equal(decode_upright(path), upright)
    height, width = upright.shape[:2]
    always = replace(view(path, width, height), upright=True)
    assert np.array_equal(always.load().rgb, upright)
    assert image_size(path) == (80, 60)
    if orientation in (2, 3, 4):  # The size does not tell, so only the view can.
        assert np.array_equal(view(path).load().rgb, pixels)
    if orientation > 4:
        with pytest.raises(CaptureError, match=r"a\.png is 60x80 pixels, but its camera is 80x60"):
            replace(view(path), upright=True).load()


@pytest.mark.parametrize("value", [0, 9, 77])
def test_an_orientation_that_means_nothing_is_ignored(tmp_path: Path, value: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = value
    path = save(tmp_path / "a.jpg", np.zeros((60, 80, 3)), exif=exif)
    assert decode_upright(path).shape == (60, 80, 3)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".avif"])
def test_reduced_upright_pixels(tmp_path: Path, suffix: str, tabletop: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 8
    with Image.open(tabletop / "images" / "0001.jpg") as image:
        image.save(tmp_path / f"a{suffix}", exif=exif, quality=95)
        truth = np.rot90(np.asarray(image.resize((100, 75), Image.Resampling.BOX)))
    small = decode_upright(tmp_path / f"a{suffix}", 100)
    assert small.shape == (100, 75, 3)
    assert np.abs(small.astype(int) - truth).mean() < 4
    assert decode_upright(tmp_path / f"a{suffix}", 5000).shape == (640, 480, 3)


# Kinds of files.


def test_sixteen_bits_a_pixel(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 65536, (60, 80)).astype(np.uint16)
    Image.fromarray(values).save(tmp_path / "a.png")
    assert np.array_equal(view(tmp_path / "a.png").load().rgb[..., 0], np.round(values / 257))
    Image.fromarray(values.astype(np.float32)).save(tmp_path / "a.tif")
    with pytest.raises(CaptureError, match="its pixels are no 8-bit or 16-bit colours"):
        view(tmp_path / "a.tif").load()


def test_cmyk_palette_and_portrait_mode(tmp_path: Path) -> None:
    picture = Image.new("RGB", (80, 60), (200, 40, 90))
    picture.convert("CMYK").save(tmp_path / "a.jpg", quality=95)
    picture.convert("P", palette=Image.Palette.ADAPTIVE).save(tmp_path / "a.png")
    # Phones put depth or the other eye into the second picture of an MPO.
    picture.save(tmp_path / "a.mpo", save_all=True, append_images=[Image.new("RGB", (40, 30))], quality=95)
    for name in ("a.jpg", "a.png", "a.mpo"):
        assert np.abs(view(tmp_path / name).load().rgb.astype(int) - (200, 40, 90)).max() < 4, name
    (tmp_path / "a.mpo").rename(tmp_path / "portrait.jpg")
    assert decode_upright(tmp_path / "portrait.jpg", 20).shape == (15, 20, 3)


def test_animations_are_no_photos(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (80, 60), (i, 0, 0)) for i in (0, 90, 200)]
    frames[0].save(tmp_path / "a.webp", save_all=True, append_images=frames[1:])
    with pytest.raises(CaptureError, match=r"a\.webp is an animation of 3 pictures\. Give single photos"):
        view(tmp_path / "a.webp").load()


def test_a_bomb_is_refused_by_its_header(tmp_path: Path) -> None:
    """Every pixel black and a good PNG, 60 KB long: decoded it would take 1.2 GB."""
    import struct
    import zlib

    side = 20_000
    packer = zlib.compressobj(9)
    body = b"".join(packer.compress(bytes((side + 7) // 8 + 1) * 100) for _ in range(side // 100)) + packer.flush()

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    path = tmp_path / "bomb.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b""))
    assert path.stat().st_size < 100_000
    for read in (lambda: view(path, side, side).load(), lambda: decode_upright(path, 100), lambda: image_size(path)):
        with pytest.raises(
            CaptureError, match=r"bomb\.png says it has more than 178 million pixels\. Reduce the photo"
        ):
            read()


def test_large_phone_photos_do_not_warn(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.new("1", (10_000, 9_000)).save(path)  # 90 megapixels; Pillow warns from 89 on, and warnings are errors here.
    assert image_size(path) == (10_000, 9_000)


def test_not_an_image(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_text("no picture")
    with pytest.raises(CaptureError, match=r"a\.jpg cannot be decoded \(it is damaged, or no kind of image"):
        decode_upright(path)
    with pytest.raises(CaptureError, match="cannot be decoded"):
        decode_upright(tmp_path)
