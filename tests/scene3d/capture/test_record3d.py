"""Exports of Record3D, made here as the app lays them out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from scene3d._errors import CaptureError
from scene3d.capture._record3d import looks_like_record3d, read_record3d

TILT = np.deg2rad(30)
METADATA = {
    "w": 48,
    "h": 64,
    "K": [50.0, 0.0, 0.0, 0.0, 51.0, 0.0, 24.5, 32.5, 1.0],
    "fps": 60,
    # A phone at a height of 1.2 m that looks 30 degrees down, and goes to the right.
    "poses": [[-np.sin(TILT / 2), 0, 0, np.cos(TILT / 2), 0.1 * i, 1.2, 0] for i in range(5)],
}


def write_exr(path: Path, depth: np.ndarray) -> None:
    import OpenEXR

    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    OpenEXR.File(header, {"R": depth.astype(np.float32)}).write(str(path))


def export(root: Path, *, depth: float = 1.5, size: tuple[int, int] = (12, 16), **changes: Any) -> Path:
    (root / "rgb").mkdir(parents=True)
    (root / "depth").mkdir()
    for i in range(5):
        Image.new("RGB", (48, 64)).save(root / "rgb" / f"{i}.jpg")
        write_exr(root / "depth" / f"{i}.exr", np.full(size[::-1], depth))
    metadata = {key: value for key, value in (METADATA | changes).items() if value is not None}
    (root / "metadata.json").write_text(json.dumps(metadata))
    return root


def r3d_folder(root: Path) -> Path:
    """What an .r3d file holds."""
    (root / "rgbd").mkdir(parents=True)
    for i in range(5):
        Image.new("RGB", (48, 64)).save(root / "rgbd" / f"{i}.jpg")
        (root / "rgbd" / f"{i}.depth").write_bytes(b"bvx2 compressed")
    (root / "metadata").write_text(json.dumps(METADATA))
    return root


@pytest.mark.parametrize("inner", ["", "EXR_RGBD"])
def test_export(tmp_path: Path, inner: str) -> None:
    export(tmp_path / "capture" / inner)
    assert looks_like_record3d(tmp_path / "capture")
    capture = read_record3d(tmp_path / "capture")
    assert [view.name for view in capture.views] == [f"rgb/{i}.jpg" for i in range(5)]
    assert (capture.metric, capture.up, capture.source) == (True, (0, 0, 1), "record3d")
    T = capture.views[2].camera.T_world_cam.numpy()
    assert np.allclose(T[:3, 3], (0.2, 0, 1.2), atol=1e-6)
    # Forward is +Y, 30 degrees down.
    assert np.allclose(T[:3, 2], (0, np.cos(TILT), -np.sin(TILT)), atol=1e-6)
    assert capture.views[2].camera.K.tolist() == [[50, 0, 24.5], [0, 51, 32.5], [0, 0, 1]]
    depth = capture.views[2].depth
    assert depth is not None
    assert (depth.unit, depth.farthest, depth.path.name) == (1.0, 5.0, "2.exr")
    assert capture.notes == ()


def test_intrinsics_of_each_frame(tmp_path: Path) -> None:
    rows = [[50.0 + i, 51.0 + i, 24.0, 32.0] for i in range(5)]
    views = read_record3d(export(tmp_path / "c", perFrameIntrinsicCoeffs=rows)).views
    assert [view.camera.K[0, 0].item() for view in views] == [50, 51, 52, 53, 54]


def test_compressed_depth_is_left_out(tmp_path: Path) -> None:
    capture = read_record3d(r3d_folder(tmp_path / "c"))
    assert len(capture.views) == 5
    assert all(view.depth is None for view in capture.views)
    assert capture.metric
    assert "LZFSE" in capture.notes[0]


def test_recording_from_the_identity_has_no_up(tmp_path: Path) -> None:
    poses = [[0, 0, 0, 1, 0.1 * i, 0, 0] for i in range(5)]
    capture = read_record3d(export(tmp_path / "c", poses=poses))
    assert capture.up is None
    assert "does not say which way is up" in capture.notes[0]


def test_lost_and_missing_frames(tmp_path: Path) -> None:
    poses = [list(row) for row in METADATA["poses"]]
    poses[1][:4] = [0, 0, 0, 0]
    folder = export(tmp_path / "c", poses=poses)
    (folder / "rgb" / "3.jpg").unlink()
    (folder / "depth" / "4.exr").unlink()
    capture = read_record3d(folder)
    assert [view.name for view in capture.views] == ["rgb/0.jpg", "rgb/2.jpg", "rgb/4.jpg"]
    assert capture.notes == (
        "1 of 5 frames have no photo and were left out.",
        "1 frames were left out, because tracking was lost.",
        "1 of 3 frames have no depth; their colour alone is used.",
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"poses": None}, "lists no poses"),
        ({"poses": []}, "lists no poses"),
        ({"poses": [[0, 0, 0, 1]] * 5}, "must be seven numbers"),
        ({"poses": [[0, 0, 0, 1, 0, 0, "far"]] * 5}, "must be seven numbers"),
        ({"poses": [[0, 0, 0, 1, 0, 0, 0]] * 5}, "all 5 poses are the same, as in recordings of the selfie camera"),
        ({"poses": [[0, 0, 0, 0, 0, 0, 0]] * 5}, "all 5 poses are the same"),
        ({"K": None}, "there are no intrinsics"),
        ({"K": [1, 2, 3]}, "K must be nine numbers"),
        ({"K": [float("nan")] * 9}, "K is nan"),
        ({"perFrameIntrinsicCoeffs": [[1, 2]] * 5}, "must be four numbers"),
        ({"w": 48.5}, "w and h are 48.5"),
        ({"h": None}, "h is None"),
        ({"depth": 1500.0}, "read as metres, which makes their median 1.5e\\+03 m. The values look like millimetres"),
        ({"depth": float("inf")}, "know no depth"),
        ({"size": (16, 12)}, "another shape than its photo"),
    ],
)
def test_bad_exports(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(CaptureError, match=message):
        read_record3d(export(tmp_path / "c", **changes))


@pytest.mark.parametrize("cut", [lambda data: data[:200], lambda data: b"", lambda data: b"no picture"])
def test_damaged_depth(tmp_path: Path, cut: Callable[[bytes], bytes]) -> None:
    path = export(tmp_path / "c") / "depth" / "2.exr"
    path.write_bytes(cut(path.read_bytes()))
    with pytest.raises(CaptureError, match=r"depth map .*2\.exr cannot be decoded"):
        read_record3d(tmp_path / "c")


def test_something_else(tmp_path: Path) -> None:
    assert not looks_like_record3d(tmp_path)
    with pytest.raises(CaptureError, match="is no export of Record3D"):
        read_record3d(tmp_path)
