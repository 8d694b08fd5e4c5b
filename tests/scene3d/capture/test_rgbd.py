"""RGB-D folders: real frames whose depths agree, and layouts written here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from scene3d._errors import CaptureError
from scene3d.capture._capture import View
from scene3d.capture._depth_files import read_depth
from scene3d.capture._keyframes import spread_frames
from scene3d.capture._rgbd import looks_like_rgbd, read_rgbd

WIDTH, HEIGHT = 32, 24
K = "30 0 16\n0 30 12\n0 0 1\n"


def pose(i: int) -> np.ndarray:
    T = np.eye(4)
    T[0, 3] = 0.1 * i
    return T


def photo(path: Path, size: tuple[int, int] = (WIDTH, HEIGHT)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (90, 120, 60)).save(path)


def depth(path: Path, value: float = 1500, size: tuple[int, int] = (WIDTH, HEIGHT)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full(size[::-1], value, dtype=np.uint16)).save(path)


def matrix(path: Path, T: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savetxt(path, T)


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    """Five good frames side by side."""
    for i in range(5):
        photo(tmp_path / f"frame-{i:06}.color.png")
        depth(tmp_path / f"frame-{i:06}.depth.png")
        matrix(tmp_path / f"frame-{i:06}.pose.txt", pose(i))
    (tmp_path / "camera-intrinsics.txt").write_text(K)
    return tmp_path


def warp_agrees(a: View, b: View, step: int = 8) -> tuple[float, int]:
    """Share of pixels of ``a`` whose depth, seen from ``b``, is within 5 cm of the depth there; and how many."""
    stored = []
    for view in (a, b):
        assert view.depth is not None
        stored.append(read_depth(view.depth))
    z_a, z_b = stored
    rows, columns = np.mgrid[0 : z_a.shape[0] : step, 0 : z_a.shape[1] : step]
    z = torch.from_numpy(z_a[rows, columns]).ravel().float()
    pixels = torch.from_numpy(np.stack([columns + 0.5, rows + 0.5, np.ones_like(rows)]).reshape(3, -1)).float()
    in_a = torch.linalg.inv(a.camera.K) @ pixels * z
    in_b = (b.camera.T_cam_world @ a.camera.T_world_cam @ torch.cat([in_a, torch.ones_like(z)[None]]))[:3]
    x, y, w = b.camera.K @ in_b
    column, row = (x / w).floor().long(), (y / w).floor().long()
    seen = (z > 0) & (w > 0.1) & (column >= 0) & (column < z_b.shape[1]) & (row >= 0) & (row < z_b.shape[0])
    there = torch.from_numpy(z_b)[row[seen], column[seen]]
    error = (there - in_b[2][seen]).abs()[there > 0]
    return (error < 0.05).float().mean().item(), len(error)


@pytest.mark.data
def test_redkitchen(needs: Callable[[str], Path]) -> None:
    folder = needs("redkitchen")
    assert looks_like_rgbd(folder)
    capture = read_rgbd(folder)
    assert len(capture.views) == 125
    assert (capture.metric, capture.scale_source, capture.up, capture.notes) == (True, "capture", None, ())
    assert capture.views[3].name == "frame-000024.color.jpg"
    assert capture.views[0].camera.K.tolist() == [[585, 0, 320], [0, 585, 240], [0, 0, 1]]
    shares = []
    for i in range(0, 120, 10):
        share, pixels = warp_agrees(capture.views[i], capture.views[i + 5])
        assert pixels > 1000
        shares.append(share)
    assert np.mean(shares) > 0.85
    # The same frames with a pose that is used the wrong way round do not agree.
    a, b = capture.views[0], capture.views[5]
    wrong = View(b.name, b.path, b.camera.__class__(640, 480, b.camera.K, b.camera.T_cam_world), depth=b.depth)
    assert warp_agrees(a, wrong)[0] < 0.5


def test_side_by_side(frames: Path) -> None:
    capture = read_rgbd(frames)
    assert [view.name for view in capture.views] == [f"frame-{i:06}.color.png" for i in range(5)]
    assert np.allclose(capture.views[2].camera.T_world_cam, pose(2))
    first = capture.views[0].depth
    assert first is not None
    assert (first.unit, first.nearest) == (1e-3, 0)
    assert 65534 * first.unit < first.farthest < 65535 * first.unit


def test_centre_of_whole_numbered_pixels(frames: Path) -> None:
    (frames / "camera-intrinsics.txt").write_text("30 0 15.5\n0 30 11.5\n0 0 1\n")
    assert read_rgbd(frames).views[0].camera.K[:2, 2].tolist() == [16, 12]
    (frames / "camera-intrinsics.txt").write_text("30 0 15.5\n0 30 12\n0 0 1\n")
    assert read_rgbd(frames).views[0].camera.K[:2, 2].tolist() == [15.5, 12]


def test_lost_frames_and_frames_without_depth(frames: Path) -> None:
    matrix(frames / "frame-000001.pose.txt", np.full((4, 4), np.nan))
    matrix(frames / "frame-000003.pose.txt", np.full((4, 4), -np.inf))
    (frames / "frame-000002.depth.png").unlink()
    photo(frames / "frame-000009.color.png")
    capture = read_rgbd(frames)
    assert [view.depth is not None for view in capture.views] == [True, False, True]
    assert capture.notes == (
        "1 of 6 photos have no pose and were left out.",
        "2 of 5 frames were left out, because their pose says that tracking was lost.",
        "1 of 3 frames have no depth; their colour alone is used.",
    )


def test_scannet_layout(tmp_path: Path) -> None:
    for i in (0, 2, 10, 11):
        photo(tmp_path / "color" / f"{i}.jpg")
        depth(tmp_path / "depth" / f"{i}.png", size=(WIDTH // 2, HEIGHT // 2))
        matrix(tmp_path / "pose" / f"{i}.txt", pose(i))
    (tmp_path / "intrinsic").mkdir()
    np.savetxt(tmp_path / "intrinsic" / "intrinsic_color.txt", [[30, 0, 16, 0], [0, 31, 12, 0], [0, 0, 1, 0], [0] * 4])
    assert looks_like_rgbd(tmp_path)
    capture = read_rgbd(tmp_path)
    assert [view.name for view in capture.views] == [f"color/{i}.jpg" for i in (0, 10, 11, 2)]
    assert capture.views[1].camera.T_world_cam[0, 3].item() == pytest.approx(1.0)
    assert capture.views[0].camera.K[1, 1] == 31


def test_stamped_layout(tmp_path: Path) -> None:
    # The track has a sample each 10 ms that moves 1 m/s along x, turns about z, and stops at 0.6 s.
    times = np.arange(0, 0.6, 0.01)
    track = [[t, t, 0, 0, 0, 0, np.sin(t / 2), np.cos(t / 2)] for t in times]
    np.savetxt(tmp_path / "groundtruth.txt", track, header="timestamp tx ty tz qx qy qz qw")
    stamps = [0.105, 0.205, 0.305, 0.405, 0.9]
    (tmp_path / "rgb.txt").write_text("# time file\n" + "\n".join(f"{t} rgb/{t}.png" for t in stamps))
    (tmp_path / "depth.txt").write_text("\n".join(f"{t + 0.01} depth/{t}.png" for t in stamps[:3]))
    for t in stamps:
        photo(tmp_path / "rgb" / f"{t}.png")
        depth(tmp_path / "depth" / f"{t}.png", 7500)
    (tmp_path / "camera-intrinsics.txt").write_text(K)
    assert looks_like_rgbd(tmp_path)
    capture = read_rgbd(tmp_path)
    assert [view.name for view in capture.views] == [f"rgb/{t}.png" for t in stamps[:4]]
    assert [view.depth is not None for view in capture.views] == [True, True, True, False]
    first = capture.views[0]
    assert first.depth is not None
    assert first.depth.unit == 1 / 5000
    expected = [[np.cos(0.105), -np.sin(0.105), 0, 0.105], [np.sin(0.105), np.cos(0.105), 0, 0], [0, 0, 1, 0]]
    assert np.allclose(first.camera.T_world_cam[:3], expected, atol=1e-6)
    assert "1 of 5 frames were left out" in capture.notes[0]


def _remove(name: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).unlink()


def _write(name: str, text: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_text(text)


def _depths(value: float, size: tuple[int, int] = (WIDTH, HEIGHT)) -> Callable[[Path], object]:
    return lambda folder: [depth(folder / f"frame-{i:06}.depth.png", value, size) for i in range(5)]


def _eight_bits(folder: Path) -> None:
    for i in range(5):
        Image.new("L", (WIDTH, HEIGHT), 100).save(folder / f"frame-{i:06}.depth.png")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_remove("camera-intrinsics.txt"), r"has no intrinsics\. Write .*camera-intrinsics\.txt with the three lines"),
        (_write("camera-intrinsics.txt", "1 2\n3"), "must hold rows of numbers"),
        (_write("camera-intrinsics.txt", "30 0 16\n0 30 12"), "must hold the 3x3 camera matrix"),
        (_write("camera-intrinsics.txt", "30 0 0\n0 30 0\n16 12 1"), "is the matrix transposed"),
        (_write("camera-intrinsics.txt", "nan 0 16\n0 30 12\n0 0 1"), "must hold the 3x3 camera matrix"),
        (_write("camera-intrinsics.txt", "585 0 320\n0 585 240\n0 0 1"), "far from the centre of photos of 32x24"),
        (_write("frame-000002.pose.txt", "1 0 0 0"), "must hold a 4x4 camera-to-world matrix"),
        (_write("frame-000002.pose.txt", "one\n"), "must hold rows of numbers"),
        (_write("frame-000002.pose.txt", "0 " * 40_000), "is larger than 64 KiB"),
        (_write("frame-000002.pose.txt", "2 0 0 0\n0 1 0 0\n0 0 1 0\n0 0 0 1"), "is not a rotation"),
        (_write("frame-000002.depth.png", "png"), r"frame-000002\.depth\.png cannot be decoded"),
        (_depths(1500, (WIDTH, WIDTH)), "32x32 pixels, another shape than its photo frame-000000.color.png of 32x24"),
        (_depths(65535), "know no depth: all [0-9]+, .*are zero everywhere"),
        (_depths(0), "know no depth: all [0-9]+, .*are zero everywhere"),
        (_depths(2), r"read as millimetres, which makes their median 0\.002 m\. The values look like metres"),
        (_eight_bits, "has 8 bits a pixel, too few for depth"),
    ],
)
def test_bad_folders(frames: Path, spoil: Callable[[Path], object], message: str) -> None:
    spoil(frames)
    with pytest.raises(CaptureError, match=message):
        read_rgbd(frames)


def test_all_lost_and_nothing(frames: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    for i in range(5):
        matrix(frames / f"frame-{i:06}.pose.txt", np.full((4, 4), np.nan))
    with pytest.raises(CaptureError, match="None of the 5 frames"):
        read_rgbd(frames)
    empty = tmp_path_factory.mktemp("empty")
    assert not looks_like_rgbd(empty)
    with pytest.raises(CaptureError, match="holds no RGB-D frames"):
        read_rgbd(empty)


def test_long_recordings_are_spread_over_the_way() -> None:
    # The camera stands still for 500 frames, then goes 1 m in 500.
    T = np.tile(np.eye(4), (1000, 1, 1))
    T[500:, 0, 3] = np.linspace(0, 1, 500)
    chosen = spread_frames(T, 50)
    assert len(chosen) == 50
    assert (chosen >= 499).sum() >= 49
    assert np.allclose(np.diff(T[chosen[1:], 0, 3]), 1 / 49, atol=0.004)
    assert len(spread_frames(T[:500], 50)) == 50
    assert spread_frames(T[:7], 50).tolist() == list(range(7))
