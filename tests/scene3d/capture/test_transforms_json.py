"""transforms.json: what it may say, and what it may not."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scene3d._errors import CaptureError, FileFormatError
from scene3d.capture import read_capture

Document = dict[str, Any]
Write = Callable[..., Path]


def test_poses_turn_to_opencv_axes(document: Document, write: Write) -> None:
    capture = read_capture(write(document))
    camera = capture.views[0].camera
    # The camera on the ring at (4, 0, 1) looks at the origin: forward is the third column.
    forward = camera.T_world_cam[:3, 2].numpy()
    assert np.allclose(forward, -np.array([4, 0, 1]) / math.sqrt(17), atol=1e-6)
    assert camera.T_world_cam[2, 1] < 0  # Down in the image is down in the world.
    assert camera.K.tolist() == [[30, 0, 15], [0, 31, 12.5], [0, 0, 1]]
    assert [view.name for view in capture.views] == [f"images/{i}.png" for i in range(4)]
    assert (capture.metric, capture.points, capture.notes, capture.source) == (False, None, (), "transforms.json")


def test_frames_override_the_file(document: Document, write: Write) -> None:
    document["frames"][1]["fl_x"] = 50.0
    document["k1"] = 0.1
    document["frames"][2] |= {"k1": 0.0}
    views = read_capture(write(document)).views
    assert [view.camera.K[0, 0].item() for view in views] == [30, 50, 30, 30]
    assert [view.distortion for view in views] == [(0.1, 0, 0, 0), (0.1, 0, 0, 0), (), (0.1, 0, 0, 0)]


def test_field_of_view_and_size_of_the_image(document: Document, write: Write) -> None:
    for key in ("fl_x", "fl_y", "cx", "cy", "w", "h"):
        del document[key]
    document["camera_angle_x"] = math.pi / 2
    camera = read_capture(write(document)).views[0].camera
    assert (camera.width, camera.height) == (32, 24)
    assert np.allclose(camera.K, [[16, 0, 16], [0, 16, 12], [0, 0, 1]])


def test_extensions_metric_and_the_file_itself(document: Document, write: Write) -> None:
    for frame in document["frames"]:
        frame["file_path"] = "./" + frame["file_path"].removesuffix(".png")
    capture = read_capture(write(document | {"metric": True}) / "transforms.json")
    assert capture.metric
    assert capture.views[0].name == "images/0.png"


def test_absent_frames_are_dropped_with_a_count(document: Document, write: Write) -> None:
    capture = read_capture(write(document, absent=(1,)))
    assert len(capture.views) == 3
    assert capture.notes == ("1 of 4 frames have no image and were left out.",)


def test_reduced_copies_scale_the_camera(document: Document, write: Write) -> None:
    capture = read_capture(write(document, size=(16, 12)))
    assert np.allclose(capture.views[0].camera.K, [[15, 0, 7.5], [0, 15.5, 6.25], [0, 0, 1]])
    assert "4 images are smaller or larger" in capture.notes[0]
    assert capture.views[0].load().rgb.shape == (12, 16, 3)


def test_seed_cloud(document: Document, write: Write) -> None:
    folder = write(document | {"ply_file_path": "seed.ply"})
    assert read_capture(folder).notes == ("The point cloud seed.ply is absent.",)
    lines = ["ply", "format ascii 1.0", "element vertex 3", *(f"property float {x}" for x in "xyz")]
    lines += [*(f"property uchar {x}" for x in ("red", "green", "blue")), "end_header"]
    (folder / "seed.ply").write_text("\n".join([*lines, "1 2 3 255 0 7", "nan 0 0 1 1 1", "4 5 6 0 9 0"]))
    points = read_capture(folder).points
    assert points is not None
    assert points.points.tolist() == [[1, 2, 3], [4, 5, 6]]
    assert points.colors.tolist() == [[255, 0, 7], [0, 9, 0]]
    (folder / "seed.ply").write_text("\n".join([*lines, ""]).replace("vertex 3", "vertex 10000000000"))
    with pytest.raises(FileFormatError, match="lies"):
        read_capture(folder)


def test_small_deviations_are_made_orthonormal(document: Document, write: Write) -> None:
    pose = np.array(document["frames"][0]["transform_matrix"])
    pose[:3, :3] += 1e-4
    document["frames"][0]["transform_matrix"] = pose.tolist()
    R = read_capture(write(document)).views[0].camera.T_world_cam[:3, :3].double().numpy()
    assert np.allclose(R.T @ R, np.eye(3), atol=1e-6)


def _pose(change: Callable[[np.ndarray], Any]) -> Callable[[Document], Any]:
    def edit(document: Document) -> None:
        pose = np.array(document["frames"][2]["transform_matrix"])
        change(pose)
        document["frames"][2]["transform_matrix"] = pose.tolist()

    return edit


def _remove(*keys: str) -> Callable[[Document], Any]:
    return lambda document: [document.pop(key) for key in keys]


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (_pose(lambda pose: pose.__setitem__((0, 0), np.nan)), r"images/2\.png: the pose holds NaN"),
        (_pose(lambda pose: pose.__setitem__((0, 3), np.inf)), r"images/2\.png: the pose holds NaN"),
        (_pose(lambda pose: pose.__imul__(2)), "is not a rotation"),
        (_pose(lambda pose: pose[:3, 0].__imul__(-1)), "mirrors"),
        (_pose(lambda pose: pose.__setitem__(3, [1, 2, 3, 1])), "last row of the pose must be 0 0 0 1"),
        (lambda d: d["frames"][2].update(transform_matrix=[[1, 2], [3]]), "4x4 matrix of numbers"),
        (lambda d: d["frames"][2].pop("transform_matrix"), "4x4 matrix of numbers"),
        (_remove("fl_x", "fl_y"), "there are no intrinsics"),
        (lambda d: d.update(fl_x=float("nan")), "fl_x is nan, but a finite number is needed"),
        (lambda d: d.update(fl_x="wide"), "fl_x is 'wide'"),
        (lambda d: d.update(fl_x=-30.0), "focal lengths are -30"),
        (lambda d: d.update(w=-32), "w and h are -32"),
        (lambda d: (_remove("fl_x", "fl_y")(d), d.update(camera_angle_x=4.0)), "between 0 and pi"),
        (lambda d: d.update(camera_model="OPENCV_FISHEYE"), "OPENCV_FISHEYE are not read yet"),
        (lambda d: d.update(is_fisheye=True), "fisheye or orthographic"),
        (lambda d: d.update(k4=0.1), "fourth radial term"),
        (lambda d: d["frames"][1].update(file_path="images/0.png"), r"lists images/0\.png more than once"),
        (lambda d: d["frames"][1].update(file_path=7), "frame 1: there is no 'file_path'"),
        (lambda d: d.update(frames=[]), "lists no frames"),
        (lambda d: d.update(frames="many"), "lists no frames"),
        (lambda d: d.update(frames=d["frames"][:2]), "has 2 usable photos, but at least 3 are needed"),
    ],
)
def test_bad_contents(document: Document, write: Write, edit: Callable[[Document], Any], message: str) -> None:
    edit(document)
    with pytest.raises(CaptureError, match=message):
        read_capture(write(document))


def test_all_frames_absent(document: Document, write: Write) -> None:
    with pytest.raises(CaptureError, match=r"None of the 4 images .* exists; the first is images/0\.png"):
        read_capture(write(document, absent=(0, 1, 2, 3)))


@pytest.mark.parametrize("text", ["", "{", "[1]", "[" * 100_000, "\xff"])
def test_bad_json(tmp_path: Path, text: str) -> None:
    (tmp_path / "transforms.json").write_text(text, encoding="latin-1")
    with pytest.raises(CaptureError, match=r"is not valid JSON|lists no frames"):
        read_capture(tmp_path)


@pytest.mark.data
def test_fox(needs: Callable[[str], Path]) -> None:
    capture = read_capture(needs("fox"))
    assert len(capture.views) == 50
    assert capture.notes == ("17 of 67 frames have no image and were left out.",)
    assert capture.views[0].distortion == (0.0578421, -0.0805099, -0.000980296, 0.00015575)
    train, held_out = capture.split()
    assert (len(train), len(held_out)) == (43, 7)
    photo = capture.views[0].load(480)
    assert photo.rgb.shape == (480, 270, 3)
    assert 0.95 < photo.valid.mean() < 1
