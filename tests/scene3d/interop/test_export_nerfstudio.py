"""A capture as a nerfstudio dataset: read back by our reader, and by the rules of theirs."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import open3d
import pytest
import torch
from PIL import Image

from scene3d._errors import CaptureError, OutputError
from scene3d.capture import Capture, DepthFile, PointCloud, read_capture
from scene3d.interop import export_nerfstudio

from .conftest import HEIGHT, WIDTH, assert_same_photos, picture, same, view

Photos = Callable[..., Capture]


def export(capture: Capture, folder: Path, **kwargs: Any) -> tuple[dict[str, Any], Capture]:
    """The document that was written, checked against nerfstudio's rules, and what our reader makes of it."""
    assert export_nerfstudio(capture, folder, **kwargs) == folder
    document = json.loads((folder / "transforms.json").read_text())
    check_as_nerfstudio_does(document, folder)
    return document, read_capture(folder)


def check_as_nerfstudio_does(document: dict[str, Any], folder: Path) -> None:
    """What its reader demands: values for all frames or for none, files that exist, lists for all three splits."""
    frames = document["frames"]
    for key in ("fl_x", "fl_y", "cx", "cy", "w", "h"):
        assert (key in document) != all(key in frame for frame in frames)
    coefficients = ("k1", "k2", "k3", "p1", "p2")
    assert any(key in document for key in coefficients) != any(key in frame for frame in frames for key in coefficients)
    assert document["camera_model"] in ("OPENCV", "OPENCV_FISHEYE")
    if document["camera_model"] == "OPENCV":
        assert not any("k4" in layer for layer in [document, *frames])
    for key in ("mask_path", "depth_file_path"):
        assert sum(key in frame for frame in frames) in (0, len(frames))
    files = [frame["file_path"] for frame in frames]
    for kind in ("train", "val", "test"):
        assert set(document[f"{kind}_filenames"]) <= set(files)
    assert document["train_filenames"] and document["val_filenames"]
    for frame in frames:
        width, height = (frame.get(side, document.get(side)) for side in "wh")
        with Image.open(folder / frame["file_path"]) as image:
            assert image.size == (width, height)
            assert image.mode in ("RGB", "RGBA")
            assert image.getexif().get(0x0112, 1) == 1
        if "mask_path" in frame:
            with Image.open(folder / frame["mask_path"]) as mask:
                assert (mask.size, mask.mode) == ((width, height), "L")
                assert set(np.unique(np.asarray(mask))) <= {0, 255}
        if "depth_file_path" in frame:
            with Image.open(folder / frame["depth_file_path"]) as depth:
                assert depth.mode == "I;16"


def assert_same_views(before: Capture, after: Capture) -> None:
    assert len(before.views) == len(after.views)
    for a, b in zip(before.views, after.views, strict=True):
        assert a.name == b.name
        assert same(a.camera, b.camera, places=5e-7)
        assert (a.distortion, a.projection) == (b.distortion, b.projection)
    assert [[v.name for v in part] for part in before.split()] == [[v.name for v in part] for part in after.split()]


def test_fox(needs: Callable[[str], Path], tmp_path: Path) -> None:
    before = read_capture(needs("fox"))
    points = np.random.default_rng(0).normal(size=(500, 3)).astype(np.float32)
    cloud = PointCloud(points, np.arange(1500, dtype=np.uint8).reshape(500, 3))
    document, after = export(replace(before, points=cloud), tmp_path / "out")
    assert_same_views(before, after)
    for a, b in zip(before.views, after.views, strict=True):
        assert a.path.read_bytes() == b.path.read_bytes()
    assert document["test_filenames"] == document["val_filenames"] == [v.name for v in before.split()[1]]
    assert len(document["train_filenames"]) == 43
    assert after.points is not None
    assert np.array_equal(after.points.points, points) and np.array_equal(after.points.colors, cloud.colors)
    theirs = open3d.io.read_point_cloud(tmp_path / "out" / document["ply_file_path"])
    assert np.array_equal(np.asarray(theirs.points, dtype=np.float32), points)
    assert np.array_equal((np.asarray(theirs.colors) * 255).round().astype(np.uint8), cloud.colors)
    assert (document["metric"], after.metric, "up" in document) == (False, False, False)


def test_tabletop(tabletop: Path, tmp_path: Path) -> None:
    before = read_capture(tabletop)
    document, after = export(before, tmp_path / "out")
    assert_same_views(before, after)
    photo, copy = before.views[6].load(320), after.views[6].load(320)
    assert np.array_equal(photo.rgb, copy.rgb)
    assert photo.depth is not None and copy.depth is not None and np.array_equal(photo.depth, copy.depth)
    assert document["metric"] is True and after.metric and before.up == after.up == (0, 0, 1)
    assert (document["up"], document["scale_source"]) == ([0, 0, 1], "capture")
    assert (document["fl_x"], document["w"], document["camera_model"]) == (520, 640, "OPENCV")
    assert "fl_x" not in document["frames"][0]
    assert before.views[1].depth is None
    unknown = after.views[1].load(320).depth
    assert unknown is not None and unknown.max() == 0  # All frames have depth, or none.


def test_redkitchen_depth(needs: Callable[[str], Path], tmp_path: Path) -> None:
    capture = read_capture(needs("redkitchen"))
    few = replace(capture, views=capture.views[:3])
    document, after = export(few, tmp_path / "out")
    assert document["depth_unit_scale_factor"] == 0.001 and after.metric
    for a, b, frame in zip(few.views, after.views, document["frames"], strict=True):
        assert same(a.camera, b.camera, places=5e-7)
        with Image.open(tmp_path / "out" / frame["depth_file_path"]) as image:
            metres = np.asarray(image) * 0.001
        assert a.depth is not None
        stored = np.asarray(Image.open(a.depth.path))
        assert (stored == 65535).any() or (stored == 0).any()
        expected = a.load().depth
        assert expected is not None and (expected > 0).mean() > 0.5
        assert np.abs(metres - expected).max() < 1e-4
        again = b.load().depth
        assert again is not None and np.abs(again - expected).max() < 1e-4
    assert metres.max() < 60.0  # The sensor's 65535 for nothing did not come through.


def test_single_frames_differ(photos: Photos, tmp_path: Path) -> None:
    capture = photos("0.png", "1.png", "2.png", distortion=(0.1, -0.02, 1e-3, 2e-4))
    views = (capture.views[0], replace(capture.views[1], distortion=(0.1, 0, 0, 0, 0.3)), *capture.views[2:])
    other = replace(views[2].camera, K=views[2].camera.K * torch.tensor([[1.1], [1.1], [1.0]]))
    views = (*views[:2], replace(views[2], camera=other, distortion=()))
    document, after = export(replace(capture, views=views), tmp_path / "out")
    assert_same_views(replace(capture, views=views), after)
    assert [frame["k3"] for frame in document["frames"]] == [0, 0.3, 0]
    assert "fl_x" not in document


def test_few_photos_train_all(photos: Photos, tmp_path: Path) -> None:
    document, _ = export(photos("0.png", "1.png", "2.png"), tmp_path / "out")
    assert len(document["train_filenames"]) == 3
    assert (document["test_filenames"], document["val_filenames"]) == ([], document["train_filenames"])
    document, _ = export(photos("0.png", "1.png", "2.png"), tmp_path / "held", hold_out=True)
    assert document["test_filenames"] == document["val_filenames"] == ["images/0.png"]


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB"), dtype=np.int64)


def test_photos_that_cannot_be_copied(photos: Photos, tmp_path: Path) -> None:
    """Grey, palette, 16-bit, CMYK and WebP photos come out as RGB of the same colours and in the same order."""
    capture = photos("copied.jpg", "copied.png")
    folder = capture.root / "images"
    picture(2, mode="L").save(folder / "grey.png")
    picture(3, mode="P").save(folder / "palette.png")
    picture(4, mode="CMYK").save(folder / "print.jpg", quality=98)
    picture(5).save(folder / "web.webp", lossless=True)
    picture(6).save(folder / "wrong.jpg", "PNG")
    Image.fromarray(np.asarray(picture(7, mode="L")).astype(np.uint16) * 257).save(folder / "wide.png")
    names = sorted(path.name for path in folder.iterdir())
    capture = replace(capture, views=tuple(view(folder / name, i) for i, name in enumerate(names)))
    document, after = export(capture, tmp_path / "out")
    written = [Path(frame["file_path"]).name for frame in document["frames"]]
    assert written == [
        "copied.jpg", "copied.png", "grey.png", "palette.png", "print.jpg", "web.jpg", "wide.png", "wrong.png"
    ]  # fmt: skip
    for a, b in zip(capture.views, after.views, strict=True):
        assert same(a.camera, b.camera, places=5e-7)
        difference = np.abs(pixels(b.path) - a.load().rgb)
        assert difference.mean() < (2 if b.path.suffix == ".jpg" else 1e-9)
        if "copied" in a.name or a.path.name == "wrong.jpg":
            assert a.path.read_bytes() == b.path.read_bytes()


@pytest.mark.parametrize("orientation", range(2, 9))
def test_turned_photos_are_written_upright(tmp_path: Path, orientation: int) -> None:
    (tmp_path / "in").mkdir()
    views = []
    for i in range(3):
        exif = Image.Exif()
        exif[0x0112] = orientation
        stored = picture(i, size=(WIDTH, HEIGHT) if orientation < 5 else (HEIGHT, WIDTH))
        stored.save(tmp_path / "in" / f"{i}.png", exif=exif)
        views.append(view(tmp_path / "in" / f"{i}.png", i, upright=True))
    _, after = export(Capture(tmp_path, tuple(views)), tmp_path / "out")
    for a, b in zip(views, after.views, strict=True):
        assert np.array_equal(pixels(b.path), a.load().rgb)
        assert not np.array_equal(pixels(b.path)[:5, :5], pixels(a.path)[:5, :5])


def test_names_keep_their_order_and_stay_inside(photos: Photos, tmp_path: Path) -> None:
    capture = photos("a.png", "b.png", "c.png", "d.png")
    names = ("../../elsewhere/a.png", "/b.png", "deep/er/c.png", "deep/er/d.webp")
    views = list(capture.views)
    picture(3).save(views[3].path.with_suffix(".webp"))
    views[3] = replace(views[3], path=views[3].path.with_suffix(".webp"))
    capture = replace(capture, views=tuple(replace(v, name=n) for v, n in zip(views, names, strict=True)))
    document, _ = export(capture, tmp_path / "out")
    files = [frame["file_path"] for frame in document["frames"]]
    assert files == sorted(files) and len(set(files)) == 4
    assert all((tmp_path / "out" / file).resolve().is_relative_to(tmp_path / "out" / "images") for file in files)


def test_two_endings_of_one_name(photos: Photos, tmp_path: Path) -> None:
    capture = photos("a.jpg", "a.webp", "b.jpg")
    document, _ = export(capture, tmp_path / "out")
    assert [frame["file_path"] for frame in document["frames"]] == ["images/a.jpg", "images/a.webp.jpg", "images/b.jpg"]


def with_masks(capture: Capture, mode: str, *, which: tuple[int, ...]) -> Capture:
    """Masks that keep the left half of some views."""
    views = list(capture.views)
    for i in which:
        path = capture.root / f"mask{i}.png"
        Image.fromarray(np.where(np.arange(WIDTH) < WIDTH // 2, 255, 0).astype(np.uint8)[None].repeat(HEIGHT, 0)).save(
            path
        )
        views[i] = replace(views[i], mask=path)
    return replace(capture, views=tuple(replace(v, mask_mode=mode) for v in views))


def test_ignore_masks(photos: Photos, tmp_path: Path) -> None:
    capture = with_masks(photos("0.png", "1.png", "2.png"), "ignore", which=(0, 2))
    document, after = export(capture, tmp_path / "out")
    for a, b in zip(capture.views, after.views, strict=True):
        assert_same_photos(a, b)
    masks = [np.asarray(Image.open(tmp_path / "out" / frame["mask_path"])) for frame in document["frames"]]
    assert [frame["mask_path"] for frame in document["frames"]] == [f"masks/{i}.png.png" for i in range(3)]
    assert masks[0][:, : WIDTH // 2].min() == 255 and masks[0][:, WIDTH // 2 :].max() == 0
    assert masks[1].min() == 255  # All frames or none: the photo without a mask counts whole.
    assert "mask_mode" not in document
    assert capture.views[0].path.read_bytes() == (tmp_path / "out" / "images" / "0.png").read_bytes()


def test_alpha_masks_become_transparency(photos: Photos, tmp_path: Path) -> None:
    capture = with_masks(photos("0.jpg", "1.jpg", "2.jpg"), "alpha", which=(0, 1))
    document, after = export(capture, tmp_path / "out")
    assert [frame["file_path"] for frame in document["frames"]] == ["images/0.png", "images/1.png", "images/2.jpg"]
    rgba = np.asarray(Image.open(tmp_path / "out" / "images" / "0.png"))
    assert rgba.shape == (HEIGHT, WIDTH, 4)
    assert np.array_equal(rgba[..., :3], capture.views[0].load().rgb)
    assert (rgba[:, : WIDTH // 2, 3] == 255).all() and (rgba[:, WIDTH // 2 :, 3] == 0).all()
    # nerfstudio would leave masked pixels out, but they have to be transparent.
    assert "mask_path" not in document["frames"][0]
    assert document["mask_mode"] == "alpha"
    for a, b in zip(capture.views, after.views, strict=True):
        assert_same_photos(a, replace(b, mask_mode="alpha"))


def test_transparent_photos(photos: Photos, tmp_path: Path) -> None:
    capture = photos("0.png", "1.png", "2.png")
    rgba = picture(0, mode="RGBA")
    rgba.putalpha(Image.fromarray(np.where(np.arange(WIDTH) < 10, 0, 255).astype(np.uint8)[None].repeat(HEIGHT, 0)))
    rgba.save(capture.views[0].path)
    document, after = export(capture, tmp_path / "ignore")
    assert np.asarray(Image.open(tmp_path / "ignore" / "images" / "0.png")).shape == (HEIGHT, WIDTH, 3)
    mask = np.asarray(Image.open(tmp_path / "ignore" / document["frames"][0]["mask_path"]))
    assert np.array_equal(mask > 0, capture.views[0].load().valid)
    assert_same_photos(capture.views[0], after.views[0])
    alpha = replace(capture, views=tuple(replace(v, mask_mode="alpha") for v in capture.views))
    document, after = export(alpha, tmp_path / "alpha")
    assert "mask_path" not in document["frames"][0]
    assert np.array_equal(np.asarray(Image.open(after.views[0].path))[..., 3] > 0, capture.views[0].load().valid)


def test_unknown_distortion_is_undone(photos: Photos, tmp_path: Path) -> None:
    full = (0.3, 0.05, 1e-3, 1e-3, 0.01, 0.2, 0.01, 0.001)
    capture = photos("0.png", "1.png", "2.png", distortion=full)
    document, after = export(capture, tmp_path / "out")
    assert [v.distortion for v in after.views] == [()] * 3
    expected = capture.views[1].load()
    assert np.array_equal(pixels(after.views[1].path), expected.rgb)
    mask = np.asarray(Image.open(tmp_path / "out" / document["frames"][1]["mask_path"]))
    assert np.array_equal(mask > 0, expected.valid)


def test_undistort_on_demand(photos: Photos, tmp_path: Path) -> None:
    capture = photos("0.png", "1.png", "2.png", distortion=(0.3, 0.05, 1e-3, 1e-3))
    _, after = export(capture, tmp_path / "out", undistort=True)
    assert np.array_equal(pixels(after.views[1].path), capture.views[1].load().rgb)
    assert all(v.distortion == () for v in after.views)
    assert_same_views(capture, export(capture, tmp_path / "as it is")[1])


def test_fisheye(photos: Photos, tmp_path: Path) -> None:
    capture = photos("0.png", "1.png", "2.png", distortion=(0.1, 0.02, -0.01, 0.001), projection="fisheye")
    document, after = export(capture, tmp_path / "out")
    assert_same_views(capture, after)
    assert_same_photos(capture.views[1], after.views[1])
    assert document["camera_model"] == "OPENCV_FISHEYE"
    assert [document[key] for key in ("k1", "k2", "k3", "k4")] == [0.1, 0.02, -0.01, 0.001]
    # One camera model for the whole file: among others, a fisheye is undistorted.
    mixed = replace(capture, views=(replace(capture.views[0], distortion=(), projection="opencv"), *capture.views[1:]))
    document, after = export(mixed, tmp_path / "mixed")
    assert document["camera_model"] == "OPENCV"
    assert np.array_equal(pixels(after.views[1].path), capture.views[1].load().rgb)
    assert np.array_equal(pixels(after.views[0].path), pixels(capture.views[0].path))


def test_depth_of_every_kind(photos: Photos, tmp_path: Path) -> None:
    """Range limits and confidence are applied, floats are rounded, coarse maps stay coarse, missing ones are zero."""
    capture = photos("0.png", "1.png", "2.png", "3.png")
    ramp = np.linspace(0.5, 4.0, WIDTH * HEIGHT // 4).reshape(HEIGHT // 2, WIDTH // 2)
    Image.fromarray((ramp / 2e-4).round().astype(np.uint16)).save(tmp_path / "fine.png")
    np.save(tmp_path / "float.npy", ramp.astype(np.float32))
    Image.fromarray(np.where(ramp < 2, 2, 0).astype(np.uint8)).save(tmp_path / "sure.png")
    depths = (
        DepthFile(tmp_path / "fine.png", unit=2e-4),
        DepthFile(tmp_path / "float.npy", unit=1.0, nearest=1.0, farthest=3.0),
        DepthFile(tmp_path / "float.npy", unit=1.0, confidence=tmp_path / "sure.png", least_confidence=1),
        None,
    )
    views = tuple(replace(v, depth=depth) for v, depth in zip(capture.views, depths, strict=True))
    document, _ = export(replace(capture, views=views, metric=True), tmp_path / "out")
    maps = [np.asarray(Image.open(tmp_path / "out" / frame["depth_file_path"])) for frame in document["frames"]]
    expected = (ramp, np.where((ramp >= 1) & (ramp <= 3), ramp, 0), np.where(ramp < 2, ramp, 0))
    for found, wanted in zip(maps[:3], expected, strict=True):
        assert found.shape == wanted.shape
        assert np.array_equal(found > 0, wanted > 0)
        assert np.abs(found * document["depth_unit_scale_factor"] - wanted).max() <= 0.0006
    assert maps[3].shape == (HEIGHT, WIDTH) and maps[3].max() == 0
    # Without metric scale lengths may be of any size: here hundreds of units.
    depths = (*(DepthFile(tmp_path / "float.npy", unit=100.0) for _ in range(3)), None)
    views = tuple(replace(v, depth=depth) for v, depth in zip(capture.views, depths, strict=True))
    document, _ = export(replace(capture, views=views, metric=False), tmp_path / "units")
    found = np.asarray(Image.open(tmp_path / "units" / document["frames"][0]["depth_file_path"]))
    assert np.abs(found * document["depth_unit_scale_factor"] - 100 * ramp).max() < 0.005


def test_depth_follows_a_photo_that_is_undistorted(photos: Photos, tmp_path: Path) -> None:
    capture = photos("0.png", "1.png", "2.png", distortion=(0.3, 0.05, 1e-3, 1e-3))
    ramp = np.tile(np.arange(1000, 1000 + 50 * WIDTH, 50, dtype=np.uint16), (HEIGHT, 1))
    Image.fromarray(ramp).save(tmp_path / "depth.png")
    views = tuple(replace(v, depth=DepthFile(tmp_path / "depth.png")) for v in capture.views)
    document, _ = export(replace(capture, views=views, metric=True), tmp_path / "out", undistort=True)
    found = np.asarray(Image.open(tmp_path / "out" / document["frames"][0]["depth_file_path"])) * 0.001
    expected = views[0].load().depth
    assert expected is not None and np.abs(found - expected).max() < 6e-4
    assert not np.array_equal(found, ramp * 0.001)


def test_where_the_world_came_from(photos: Photos, tmp_path: Path) -> None:
    up = (0.0, -0.6, 0.8)
    T = ((2.0, 0.0, 0.0, 1.0), (0.0, 2.0, 0.0, 0.0), (0.0, 0.0, 2.0, 0.0), (0.0, 0.0, 0.0, 1.0))
    capture = replace(photos("0.png", "1.png", "2.png"), up=up, metric=True, scale_source="markers", T_world_source=T)
    document, after = export(capture, tmp_path / "out")
    assert document["up"] == list(up)
    assert after.metric and after.up is not None and np.allclose(after.up, up, atol=1e-12)
    assert (document["scale_source"], document["T_world_source"]) == ("markers", [list(row) for row in T])
    assert document["orientation_override"] == "none"
    assert "applied_transform" not in document  # nerfstudio would apply it to the points a second time.
    assert all(math.isfinite(x) for frame in document["frames"] for row in frame["transform_matrix"] for x in row)


def test_errors_leave_nothing(photos: Photos, tmp_path: Path) -> None:
    capture = photos("0.png", "1.png", "2.png")
    capture.views[1].path.unlink()
    with pytest.raises(CaptureError, match=r"1\.png does not exist"):
        export_nerfstudio(capture, tmp_path / "out")
    capture.views[1].path.write_bytes(b"no image")
    with pytest.raises(CaptureError, match=r"1\.png cannot be decoded"):
        export_nerfstudio(capture, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    with pytest.raises(CaptureError, match="no photos to export"):
        export_nerfstudio(replace(capture, views=()), tmp_path / "out")
    with pytest.raises(OutputError, match="holds files that no export wrote"):
        export_nerfstudio(photos("0.png", "1.png", "2.png"), capture.root, overwrite=True)
    assert len(list((capture.root / "images").iterdir())) == 3


def test_an_export_can_be_exported_onto_itself(photos: Photos, tmp_path: Path) -> None:
    _, first = export(photos("0.png", "1.png", "2.png"), tmp_path / "out")
    before = [v.path.read_bytes() for v in first.views]
    _, second = export(first, tmp_path / "out", overwrite=True)
    assert [v.path.read_bytes() for v in second.views] == before
    assert_same_views(first, second)
