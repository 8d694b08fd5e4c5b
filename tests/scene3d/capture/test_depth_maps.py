"""Depth files of every kind, and their way onto the pixels of the photo: exact truth first, then the real cameras."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import OpenEXR
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from scene3d._camera import Camera
from scene3d._errors import CaptureError
from scene3d.capture import DepthFile, View
from scene3d.capture._depth_files import read_depth
from scene3d.capture._depth_maps import _block_median

WIDTH, HEIGHT = 80, 60


def camera(width: int = WIDTH, height: int = HEIGHT, focal: float = 70.0) -> Camera:
    K = torch.tensor([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]])
    return Camera(width, height, K, torch.eye(4))


@pytest.fixture
def view(tmp_path: Path) -> Callable[..., View]:
    """A view of a grey photo with a depth map of these values."""

    def make(values: np.ndarray, *, unit: float = 1e-3, seen: Camera | None = None) -> View:
        seen = camera() if seen is None else seen
        photo = tmp_path / "photo.png"
        Image.new("RGB", (seen.width, seen.height), (90, 90, 90)).save(photo)
        np.save(tmp_path / "depth.npy", values)
        return View("photo", photo, seen, depth=DepthFile(tmp_path / "depth.npy", unit))

    return make


def loaded(view: View, longest_side: int | None = None) -> np.ndarray:
    depth = view.load(longest_side).depth
    assert depth is not None
    return depth


# Files.


def test_every_kind_of_file_says_the_same(tmp_path: Path) -> None:
    millimetres = np.random.default_rng(0).integers(1, 65535, (6, 8)).astype(np.uint16)
    metres = (millimetres * 1e-3).astype(np.float32)
    files = {name: tmp_path / f"depth.{name}" for name in ("png", "tif", "npy", "exr")}
    Image.fromarray(millimetres).save(files["png"])
    Image.fromarray(metres).save(files["tif"])
    np.save(files["npy"], metres[..., None])
    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    OpenEXR.File(header, {"Z": metres}).write(str(files["exr"]))
    for name, path in files.items():
        depth = read_depth(DepthFile(path, 1e-3 if name == "png" else 1.0))
        assert depth.dtype == np.float32
        assert np.abs(depth - metres).max() < 1e-5, name


def test_what_sensors_write_for_unknown(tmp_path: Path) -> None:
    path = tmp_path / "depth.npy"
    np.save(path, np.array([[0, 65535, 500, 1000, 4001]], dtype=np.uint16))
    assert read_depth(DepthFile(path, nearest=0.6, farthest=4.0)).tolist() == [[0, 0, 0, 1, 0]]
    floats = [[np.nan, np.inf, -np.inf, -1.0, 0.0, 1e10, np.finfo(np.float32).max, 2.0]]
    np.save(path, np.array(floats, dtype=np.float32))
    assert read_depth(DepthFile(path, 1.0)).tolist() == [[0, 0, 0, 0, 0, 0, 0, 2]]


def test_confidence(tmp_path: Path) -> None:
    depth, confidence = tmp_path / "depth.npy", tmp_path / "confidence.png"
    np.save(depth, np.full((1, 3), 1000, dtype=np.uint16))
    Image.fromarray(np.array([[0, 1, 2]], dtype=np.uint8)).save(confidence)
    rated = DepthFile(depth, confidence=confidence, least_confidence=1)
    assert read_depth(rated).tolist() == [[0, 1, 1]]
    Image.new("L", (4, 1)).save(confidence)
    with pytest.raises(CaptureError, match=r"confidence\.png is 4x1 pixels, but its depth map .*depth\.npy is 3x1"):
        read_depth(rated)
    with pytest.raises(CaptureError, match="does not exist"):
        read_depth(replace(rated, confidence=tmp_path / "absent.png"))


def test_files_that_are_no_depth_maps(tmp_path: Path) -> None:
    def refused(name: str, words: str) -> None:
        with pytest.raises(CaptureError, match=words):
            read_depth(DepthFile(tmp_path / name))

    Image.new("L", (8, 6)).save(tmp_path / "grey.png")
    refused("grey.png", r"grey\.png has 8 bits a pixel, too few for depth\. Depth maps are 16-bit PNG")
    Image.new("RGB", (8, 6)).save(tmp_path / "colour.png")
    refused("colour.png", r"shape \(6, 8, 3\)")
    np.save(tmp_path / "object.npy", np.array([[{}]]), allow_pickle=True)
    refused("object.npy", r"cannot be decoded")
    np.save(tmp_path / "names.npy", np.array([["a"]]))
    refused("names.npy", r"type <U1")
    np.savez(tmp_path / "several.npz", a=np.zeros(3))
    (tmp_path / "several.npz").rename(tmp_path / "several.npy")
    refused("several.npy", "archive of several arrays")
    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    colours = {name: np.zeros((6, 8), np.float32) for name in ("A", "B", "G")}
    OpenEXR.File(header, colours).write(str(tmp_path / "colour.exr"))
    refused("colour.exr", "none of its channels A, B, G is called Z or depth")
    for name in ("absent.png", "absent.npy", "absent.exr"):
        refused(name, r"does not exist")


@pytest.mark.parametrize("name", ["depth.png", "depth.npy", "depth.exr"])
def test_files_that_were_cut_short(tmp_path: Path, name: str, capfd: pytest.CaptureFixture[str]) -> None:
    values = np.random.default_rng(0).random((60, 80), dtype=np.float32)
    path = tmp_path / name
    if name.endswith("png"):
        Image.fromarray((values * 60000).astype(np.uint16)).save(path)
    elif name.endswith("npy"):
        np.save(path, values)
    else:
        header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
        OpenEXR.File(header, {"Z": values}).write(str(path))
    whole = path.read_bytes()
    for kept in (0, 5, 100, len(whole) // 2):
        path.write_bytes(whole[:kept])
        with pytest.raises(CaptureError, match=f"{name} cannot be decoded"):
            read_depth(DepthFile(path))
    capfd.readouterr()  # OpenEXR talks about damage on its own.


def test_a_header_that_lies_allocates_nothing(tmp_path: Path) -> None:
    path = tmp_path / "depth.npy"
    with path.open("wb") as file:
        header = {"descr": "<f4", "fortran_order": False, "shape": (1 << 20, 1 << 20)}
        np.lib.format.write_array_header_1_0(file, header)
    with pytest.raises(CaptureError, match="cannot be decoded"):
        read_depth(DepthFile(path))
    with path.open("r+b") as file:  # A sparse file as long as its header says, 64 MiB of nothing.
        np.lib.format.write_array_header_1_0(file, {**header, "shape": (1 << 12, 1 << 14)})
        file.truncate(file.tell() + (1 << 28))
    with pytest.raises(CaptureError, match=r"says it holds 67108864 numbers"):
        read_depth(DepthFile(path))


# Onto the photo's pixels.


def test_equal_size_comes_through_to_the_last_bit(view: Callable[..., View]) -> None:
    values = np.random.default_rng(0).integers(0, 5000, (HEIGHT, WIDTH)).astype(np.uint16)
    assert np.array_equal(loaded(view(values)), (values * 1e-3).astype(np.float32))


def plane(width: int, height: int) -> np.ndarray:
    """A slanted table: inverse depth is linear over the picture, whatever its number of pixels."""
    x, y = np.meshgrid((np.arange(width) + 0.5) / width, (np.arange(height) + 0.5) / height)
    return 1 / (0.4 + 0.2 * x + 0.5 * y)


@pytest.mark.parametrize("shape", [(20, 15), (32, 24), (80, 60), (107, 80), (160, 120), (640, 480)])
@pytest.mark.parametrize("side", [40, 80])
def test_a_plane_stays_the_plane_at_any_size(view: Callable[..., View], shape: tuple[int, int], side: int) -> None:
    depth = loaded(view(plane(*shape).astype(np.float32), unit=1.0), side)
    truth = plane(side, side * 3 // 4)
    inner = (slice(6, -6), slice(6, -6))  # The outermost pixels of a coarse map have no neighbours to lie on.
    off = (depth - truth)[inner] / truth[inner]
    assert np.abs(off).max() < 0.004
    assert abs(np.mean(off)) < 0.0005  # No slant to either side: half a pixel would be 0.003.


@pytest.mark.parametrize("size", [(20, 15), (80, 60), (320, 240)])
@pytest.mark.parametrize("side", [23, 40, 80])
def test_edges_and_holes_are_never_mixed(view: Callable[..., View], size: tuple[int, int], side: int) -> None:
    values = np.full(size[::-1], 1000, dtype=np.uint16)
    values[:, int(size[0] * 0.4) :] = 3000
    values[: int(size[1] * 0.3), : int(size[0] * 0.3)] = 0
    depth = loaded(view(values), side)
    assert set(np.unique(depth)) == {np.float32(0), np.float32(1), np.float32(3)}
    assert np.mean(depth == 0) == pytest.approx(0.09, abs=0.03)
    assert np.mean(depth == 3) == pytest.approx(0.6, abs=0.03)
    assert depth[0, 0] == 0


@given(st.lists(st.sampled_from([0.0, 1.0, 1.01, 3.0]), min_size=9, max_size=9))
def test_the_median_is_of_known_values_on_one_surface(values: list[float]) -> None:
    found = float(_block_median(np.array(values, dtype=np.float32).reshape(3, 3), 3)[0, 0])
    known = sorted(value for value in values if value)
    if len(known) < 5:
        assert found == 0
        return
    low, high = known[(len(known) - 1) // 2], known[len(known) // 2]
    assert found == pytest.approx((low + high) / 2 if high - low < 0.1 else low, rel=1e-6)


def test_distortion_is_undone_alike(tmp_path: Path, view: Callable[..., View]) -> None:
    """The photo's brightness says what its depth is, so both must show the same after undistortion."""
    values = np.full((HEIGHT, WIDTH), 100)
    values[20:40, 30:60] = 200
    made = view((values * 10).astype(np.uint16))
    Image.fromarray(np.repeat(values[..., None], 3, axis=2).astype(np.uint8)).save(made.path)
    photo = replace(made, distortion=(0.3, 0.0, 0.01, 0.0)).load()
    assert photo.depth is not None
    assert np.array_equal(photo.depth > 0, photo.valid)
    pure = np.isin(photo.rgb[..., 0], (100, 200)) & photo.valid
    assert 0.8 < pure.mean() < 1
    assert np.array_equal(photo.depth[pure], (photo.rgb[..., 0][pure] / 100).astype(np.float32))


def test_depth_of_pixels_that_a_mask_drops_is_unknown(tmp_path: Path, view: Callable[..., View]) -> None:
    mask = np.full((HEIGHT, WIDTH), 255, dtype=np.uint8)
    mask[:, :40] = 0
    Image.fromarray(mask).save(tmp_path / "mask.png")
    made = view(np.full((HEIGHT, WIDTH), 2000, dtype=np.uint16))
    for mode in ("ignore", "alpha"):
        depth = loaded(replace(made, mask=tmp_path / "mask.png", mask_mode=mode), 40)
        assert not depth[:, :20].any()
        assert (depth[:, 20:] == 2).all()


def test_depth_turns_with_its_photo_when_its_shape_says_so(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    values = np.arange(1000, 1000 + WIDTH * HEIGHT).reshape(HEIGHT, WIDTH).astype(np.uint16)
    Image.new("RGB", (WIDTH, HEIGHT)).save(tmp_path / "photo.jpg", exif=exif)
    upright = np.rot90(values, -1)
    view = View(
        "photo", tmp_path / "photo.jpg", camera(HEIGHT, WIDTH), upright=True, depth=DepthFile(tmp_path / "d.png")
    )
    for stored in (values, upright):
        Image.fromarray(stored).save(tmp_path / "d.png")
        assert np.array_equal(loaded(view), (upright * 1e-3).astype(np.float32))


def test_another_shape_is_refused(view: Callable[..., View]) -> None:
    with pytest.raises(CaptureError, match=r"depth\.npy is 60x60 pixels, which is not the shape of its photo .*80x60"):
        view(np.ones((60, 60), dtype=np.uint16)).load()
    assert loaded(view(np.ones((60, 79), dtype=np.uint16))).shape == (HEIGHT, WIDTH)


# Real and rendered cameras.


@pytest.mark.data
def test_kinect_depth(needs: Callable[[str], Path]) -> None:
    folder = needs("redkitchen")
    stored = np.asarray(Image.open(folder / "frame-000000.depth.png"))
    colour = folder / "frame-000000.color.jpg"
    view = View("0", colour, camera(640, 480, 585.0), depth=DepthFile(folder / "frame-000000.depth.png"))
    assert np.array_equal(loaded(view), (stored * 1e-3).astype(np.float32))
    depth = loaded(view, 320)
    known, source = depth > 0, stored.reshape(240, 2, 320, 2).swapaxes(1, 2).reshape(240, 320, 4) * 1e-3
    assert np.array_equal(known, (source > 0).sum(axis=2) >= 2)
    between = np.where(source > 0, source, np.inf).min(axis=2)[known]
    assert (depth[known] >= between - 1e-5).all()
    assert (depth[known] <= source.max(axis=2)[known] + 1e-5).all()


def test_a_coarse_map_of_the_tabletop(tabletop: Path, tmp_path: Path) -> None:
    full = np.asarray(Image.open(tabletop / "depths" / "0001.png"))
    coarse = full[2::5, 2::5]  # 128x96, taken at the middle of each fifth pixel.
    Image.fromarray(coarse).save(tmp_path / "d.png")
    view = View("1", tabletop / "images" / "0001.jpg", camera(640, 480, 520.0), depth=DepthFile(tmp_path / "d.png"))
    off = np.abs(loaded(view) - full * 1e-3)
    assert np.median(off) < 0.0015
    nearest = np.abs(np.repeat(np.repeat(coarse, 5, axis=0), 5, axis=1) * 1e-3 - full * 1e-3)
    assert np.quantile(off, 0.8) < 0.6 * np.quantile(nearest, 0.8)
    assert np.mean(off > 0.05) <= np.mean(nearest > 0.05) + 0.001
