"""A capture as a COLMAP folder: read back by our reader, by pycolmap, and byte by byte as other programs read it."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pycolmap
import pytest
import torch
from PIL import Image

from scene3d._errors import CaptureError, OutputError
from scene3d.capture import Capture, MaskMode, PointCloud, read_capture
from scene3d.interop import export_colmap, from_pycolmap

from .conftest import HEIGHT, WIDTH, assert_same_photos, project, rotation, same

Photos = Callable[..., Capture]
PARAMETERS = {1: 4, 4: 8, 5: 8, 6: 12}
"""Numbers of the models PINHOLE, OPENCV, OPENCV_FISHEYE and FULL_OPENCV."""


class Bytes(NamedTuple):
    """A model as the format's description reads it, which is how 3DGS programs do."""

    cameras: dict[int, tuple[int, int, int, tuple[float, ...]]]
    images: dict[str, tuple[int, np.ndarray, int]]
    points: np.ndarray
    colors: np.ndarray


def read_bytes(model: Path) -> Bytes:
    def take(kind: str) -> tuple[Any, ...]:
        nonlocal data
        size = struct.calcsize("<" + kind)
        values, data = struct.unpack("<" + kind, data[:size]), data[size:]
        return values

    data = (model / "cameras.bin").read_bytes()
    cameras = {}
    for _ in range(take("Q")[0]):
        number, kind, width, height = take("iiQQ")
        cameras[number] = (kind, width, height, take(f"{PARAMETERS[kind]}d"))
    assert not data
    data = (model / "images.bin").read_bytes()
    images = {}
    for _ in range(take("Q")[0]):
        _, *pose, camera = take("i7di")
        name, _, data = data.partition(b"\0")
        assert take("Q") == (0,)  # No features.
        T_cam_world = np.eye(4)
        T_cam_world[:3, :3], T_cam_world[:3, 3] = rotation(np.array(pose[:4])), pose[4:]
        images[name.decode()] = (camera, T_cam_world, len(images))
    assert not data
    data = (model / "points3D.bin").read_bytes()
    rows = []
    for _ in range(take("Q")[0]):
        rows.append(take("Q3d3BdQ"))
        assert rows[-1][-1] == 0  # No track.
    assert not data
    return Bytes(cameras, images, np.array([row[1:4] for row in rows]), np.array([row[4:7] for row in rows]))


def export(capture: Capture, folder: Path, **kwargs: Any) -> tuple[Bytes, Capture]:
    assert export_colmap(capture, folder, **kwargs) == folder
    return read_bytes(folder / "sparse" / "0"), read_capture(folder)


def assert_same_views(before: Capture, after: Capture) -> None:
    """All but that COLMAP counts names from images/."""
    assert [v.name.removeprefix("images/") for v in before.views] == [v.name for v in after.views]
    for a, b in zip(before.views, after.views, strict=True):
        assert same(a.camera, b.camera, places=5e-7)
        assert a.distortion == b.distortion
        assert a.path.read_bytes() == b.path.read_bytes()
    held_out = [[v.name for v in capture.split()[1]] for capture in (before, after)]
    assert [name.removeprefix("images/") for name in held_out[0]] == held_out[1]


@pytest.mark.parametrize("count", [0, 1, 5000])
def test_fox(needs: Callable[[str], Path], tmp_path: Path, count: int) -> None:
    before = read_capture(needs("fox"))
    chance = np.random.default_rng(0)
    cloud = PointCloud(
        chance.normal(size=(count, 3)).astype(np.float32), chance.integers(0, 256, size=(count, 3)).astype(np.uint8)
    )
    found, after = export(replace(before, points=cloud if count else None), tmp_path / "out")
    assert_same_views(before, after)
    assert len(found.cameras) == 1 and len(found.images) == 50
    kind, width, height, params = found.cameras[1]
    assert (kind, width, height) == (4, 1080, 1920)
    assert np.allclose(params, [1375.52, 1374.49, 554.558, 965.268, 0.0578421, -0.0805099, -0.000980296, 0.00015575])
    points = chance.normal(size=(30, 3))
    for view in before.views[::10]:
        _, T_cam_world, _ = found.images[view.name.removeprefix("images/")]
        local = points @ T_cam_world[:3, :3].T + T_cam_world[:3, 3]
        pixels = local[:, :2] / local[:, 2:] * params[:2] + params[2:4]
        near = np.abs(local[:, 2]) > 0.3
        assert near.sum() > 20 and np.allclose(pixels[near], project(view.camera, points)[near], rtol=1e-4, atol=1e-2)
    if not count:
        assert after.points is None
        return
    assert after.points is not None
    assert np.array_equal(found.points.astype(np.float32), cloud.points)
    assert np.array_equal(found.colors, cloud.colors)
    assert np.array_equal(after.points.points, cloud.points) and np.array_equal(after.points.colors, cloud.colors)


def test_tabletop(tabletop: Path, tmp_path: Path) -> None:
    before = read_capture(tabletop)
    found, after = export(before, tmp_path / "out")
    assert_same_views(before, after)
    assert found.cameras == {1: (1, 640, 480, (520.0, 520.0, 320.0, 240.0))}
    assert np.array_equal(before.views[7].load(320).rgb, after.views[7].load(320).rgb)
    assert not (tmp_path / "out" / "masks").exists()


def test_pycolmap_reads_it(photos: Photos, tmp_path: Path) -> None:
    capture = photos("0.png", "1.png", "2.png")
    full = (0.3, 0.05, 1e-3, 1e-3, 0.01, 0.2, 0.01, 0.001)
    settings = ({}, {"distortion": (0.1, 0.02, -0.01, 0.001), "projection": "fisheye"}, {"distortion": full})
    views = tuple(replace(v, **more) for v, more in zip(capture.views, settings, strict=True))
    folder = export_colmap(replace(capture, views=views), tmp_path / "out")
    reconstruction = pycolmap.Reconstruction(str(folder / "sparse" / "0"))
    assert sorted(c.model_name for c in reconstruction.cameras.values()) == ["FULL_OPENCV", "OPENCV_FISHEYE", "PINHOLE"]
    for view in views:
        image = reconstruction.find_image_with_name(view.name.removeprefix("images/"))
        assert image is not None
        after = from_pycolmap(reconstruction.cameras[image.camera_id], image.cam_from_world())
        assert same(after.camera, view.camera)
        assert (after.distortion, after.projection) == (view.distortion, view.projection)
    for a, b in zip(views, read_capture(folder).views, strict=True):
        assert same(a.camera, b.camera, places=5e-7)
        assert (a.distortion, a.projection) == (b.distortion, b.projection)


def test_cameras_are_shared(photos: Photos, tmp_path: Path) -> None:
    capture = photos("0.png", "1.png", "2.png", "3.png")
    other = capture.views[1].camera.K * torch.tensor([[1.1], [1.1], [1.0]])
    views = list(capture.views)
    views[1] = replace(views[1], camera=replace(views[1].camera, K=other))
    views[3] = replace(views[3], distortion=(0.1, 0.0, 0.0, 0.0))
    found, _ = export(replace(capture, views=tuple(views)), tmp_path / "out")
    assert [found.images[f"{i}.png"][0] for i in range(4)] == [1, 2, 1, 3]
    assert [found.images[f"{i}.png"][2] for i in range(4)] == [0, 1, 2, 3]


def test_undistort(photos: Photos, tmp_path: Path) -> None:
    """What programs that know pinholes only are given: undistorted pixels, and masks for what no photo saw."""
    capture = photos("0.png", "1.png", "2.png", distortion=(0.3, 0.05, 1e-3, 1e-3))
    found, after = export(capture, tmp_path / "out", undistort=True)
    assert {camera[0] for camera in found.cameras.values()} == {1}
    for a, b in zip(capture.views, after.views, strict=True):
        photo = a.load()
        assert np.array_equal(np.asarray(Image.open(b.path)), photo.rgb)
        mask = np.asarray(Image.open(tmp_path / "out" / "masks" / f"{b.name}.png"))
        assert not photo.valid.all() and np.array_equal(mask > 0, photo.valid)


@pytest.mark.parametrize("mode", ["ignore", "alpha"])
def test_masks(photos: Photos, tmp_path: Path, mode: MaskMode) -> None:
    capture = photos("0.jpg", "1.jpg", "2.jpg")
    kept = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
    kept[5:, :30] = 255
    Image.fromarray(kept).save(tmp_path / "mask.png")
    views = (replace(capture.views[0], mask=tmp_path / "mask.png"), *capture.views[1:])
    capture = replace(capture, views=tuple(replace(v, mask_mode=mode) for v in views))
    export_colmap(capture, tmp_path / "out")
    names = sorted(path.name for path in (tmp_path / "out" / "masks").iterdir())
    assert names == ["0.jpg.png", "1.jpg.png", "2.jpg.png"]
    assert np.array_equal(np.asarray(Image.open(tmp_path / "out" / "masks" / "0.jpg.png")), kept)
    assert np.asarray(Image.open(tmp_path / "out" / "masks" / "1.jpg.png")).min() == 255
    for a, b in zip(capture.views, read_capture(tmp_path / "out", mask_mode=mode).views, strict=True):
        assert_same_photos(a, b)
    assert capture.views[0].path.read_bytes() == (tmp_path / "out" / "images" / "0.jpg").read_bytes()


def test_subfolders_keep_their_names(photos: Photos, tmp_path: Path) -> None:
    capture = photos("0.png", "1.png", "2.png")
    names = ("images/left/0.png", "images/left/1.png", "images/right/0.png")
    capture = replace(capture, views=tuple(replace(v, name=n) for v, n in zip(capture.views, names, strict=True)))
    found, after = export(capture, tmp_path / "out")
    assert list(found.images) == [v.name for v in after.views] == ["left/0.png", "left/1.png", "right/0.png"]


def test_overwriting_and_errors(photos: Photos, tmp_path: Path) -> None:
    capture = photos("0.png", "1.png", "2.png")
    export(capture, tmp_path / "out")
    with pytest.raises(OutputError, match="holds an export already"):
        export_colmap(capture, tmp_path / "out")
    few = replace(capture, views=capture.views[:2])
    export_colmap(few, tmp_path / "out", overwrite=True)
    assert sorted(path.name for path in (tmp_path / "out" / "images").iterdir()) == ["0.png", "1.png"]
    capture.views[2].path.write_bytes(capture.views[2].path.read_bytes()[:100])
    Image.new("L", (WIDTH, HEIGHT)).save(tmp_path / "mask.png")
    broken = replace(capture, views=(*few.views, replace(capture.views[2], mask=tmp_path / "mask.png")))
    with pytest.raises(CaptureError, match=r"2\.png cannot be decoded"):
        export_colmap(broken, tmp_path / "out", overwrite=True)
    assert len(list((tmp_path / "out" / "images").iterdir())) == 2
    with pytest.raises(CaptureError, match="no photos to export"):
        export_colmap(replace(capture, views=()), tmp_path / "none")
