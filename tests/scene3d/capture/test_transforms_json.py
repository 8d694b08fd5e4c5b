"""transforms.json: what it may say, and what it may not."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

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


@pytest.mark.parametrize(
    ("written", "up"),
    [
        ("z", (0, 0, 1)),
        ("-Y", (0, -1, 0)),
        ("+x", (1, 0, 0)),
        ([0, 3, 4], (0, 0.6, 0.8)),
        (None, None),
    ],
)
def test_up(document: Document, write: Write, written: object, up: tuple[float, ...] | None) -> None:
    assert read_capture(write(document | {"up": written})).up == up


def test_what_other_programs_did_to_the_poses_is_left_alone(document: Document, write: Write) -> None:
    plain = read_capture(write(document)).views[1].camera.T_world_cam
    document |= {"applied_transform": [[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, -1, 0]], "applied_scale": 3.0}
    document |= {"orientation_override": "none", "train_filenames": []}
    assert (read_capture(write(document)).views[1].camera.T_world_cam == plain).all()


@pytest.mark.parametrize("key", [{"camera_model": "OPENCV_FISHEYE"}, {"is_fisheye": True}])
def test_fisheye(document: Document, write: Write, key: Document) -> None:
    views = read_capture(write(document | key | {"k1": 0.1, "k4": 0.02, "p1": 0.5})).views
    assert [(view.projection, view.distortion) for view in views] == [("fisheye", (0.1, 0, 0, 0.02))] * 4
    # A fisheye without coefficients still bends.
    assert read_capture(write(document | key)).views[0].distortion == (0, 0, 0, 0)
    assert read_capture(write(document)).views[0].projection == "opencv"


def _with_depths(document: Document, write: Write, value: float, ending: str = ".png") -> Path:
    for i, frame in enumerate(document["frames"]):
        frame["depth_file_path"] = f"depths/{i}{ending}"
    folder = write(document)
    (folder / "depths").mkdir(exist_ok=True)
    for i in range(4):
        if ending == ".png":
            Image.fromarray(np.full((12, 16), value, dtype=np.uint16)).save(folder / "depths" / f"{i}.png")
        else:
            np.save(folder / "depths" / f"{i}.npy", np.full((12, 16, 1), value, dtype=np.float32))
    return folder


@pytest.mark.parametrize(("ending", "unit", "value"), [(".png", None, 1500), (".png", 2e-4, 7500), (".npy", 1.0, 1.5)])
def test_depths(document: Document, write: Write, ending: str, unit: float | None, value: float) -> None:
    keys = {"metric": True, "depth_unit_scale_factor": unit}
    folder = _with_depths(document | keys, write, value, ending)
    depth = read_capture(folder).views[2].depth
    assert depth is not None
    assert depth.path == folder / "depths" / f"2{ending}"
    assert depth.unit == (unit or 1e-3)
    (folder / "depths" / f"1{ending}").unlink()
    capture = read_capture(folder)
    assert [view.depth is not None for view in capture.views] == [True, False, True, True]
    assert capture.notes == ("1 of 4 photos have no depth map; their colour alone is used.",)


@pytest.mark.parametrize(
    ("ending", "unit", "value", "message"),
    [
        (".png", 1.0, 1500, "read as metres, which makes their median 1.5e.03 m. The values look like millimetres"),
        (".npy", None, 1.5, "The values look like metres: .* a 'depth_unit_scale_factor' of 1 in"),
        (".npy", 0.5, 1e9, "read as units of 0.5 m, .* The values fit no usual unit"),
        (".png", None, 0, "know no depth"),
    ],
)
def test_depths_of_another_unit(
    document: Document, write: Write, ending: str, unit: float | None, value: float, message: str
) -> None:
    folder = _with_depths(document | {"metric": True, "depth_unit_scale_factor": unit}, write, value, ending)
    with pytest.raises(CaptureError, match=message):
        read_capture(folder)


def test_without_scale_any_unit_may_be_right(document: Document, write: Write) -> None:
    capture = read_capture(_with_depths(document | {"depth_unit_scale_factor": 1.0}, write, 1500))
    assert (capture.metric, capture.scale_source) == (False, "")
    assert read_capture(write(document | {"metric": True})).scale_source == "capture"


def test_depths_that_execute_or_fill_the_memory(document: Document, write: Write) -> None:
    folder = _with_depths(document, write, 1.5, ".npy")
    np.save(folder / "depths" / "0.npy", np.array([[{}]]), allow_pickle=True)
    with pytest.raises(CaptureError, match=r"0\.npy cannot be decoded"):
        read_capture(folder)
    header = "{'descr': '<f4', 'fortran_order': False, 'shape': (1000000, 1000000), }".ljust(117) + "\n"
    (folder / "depths" / "0.npy").write_bytes(b"\x93NUMPY\x01\x00" + bytes([118, 0]) + header.encode())
    with pytest.raises(CaptureError, match=r"0\.npy (cannot be decoded|says it holds)"):
        read_capture(folder)


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
        (lambda d: d.update(camera_model="EQUIRECTANGULAR"), "EQUIRECTANGULAR are not read yet"),
        (lambda d: d.update(ortho=True), "orthographic"),
        (lambda d: d.update(k4=0.1), "fourth radial term, .* Set camera_model to OPENCV_FISHEYE"),
        (lambda d: d.update(up="north"), "up is 'north', but an axis such as 'z'"),
        (lambda d: d.update(up=[0, 0, 0]), r"up is \[0, 0, 0\]"),
        (lambda d: d.update(up=[0, 0, float("nan")]), "up is nan"),
        (lambda d: d["frames"][1].update(depth_file_path=7), "depth_file_path must be the path of a file"),
        (
            lambda d: d["frames"][1].update(depth_file_path="d.png", depth_unit_scale_factor=0),
            "depth_unit_scale_factor is 0, but a positive length",
        ),
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
def test_rope4(needs: Callable[[str], Path], tmp_path: Path) -> None:
    """The arrays of the recording, written as a transforms.json with masks: its points lie inside the masks."""
    source = needs("rope4")
    K, R, t = (np.load(source / f"{name}_list.npy").astype(np.float64) for name in ("intr", "R", "t"))
    frames = []
    for i in range(4):
        T_world_cam = np.eye(4)
        T_world_cam[:3] = np.column_stack([R[i], np.ravel(t[i])])
        T_world_cam[:3, 1:3] *= -1  # transforms.json has OpenGL axes.
        intrinsics = {"fl_x": K[i, 0, 0], "fl_y": K[i, 1, 1], "cx": K[i, 0, 2], "cy": K[i, 1, 2]}
        paths = {"file_path": str(source / f"img_{i}.png"), "mask_path": str(source / f"mask_{i}.png")}
        frames.append(paths | intrinsics | {"transform_matrix": T_world_cam.tolist()})
    document = {"w": 640, "h": 480, "metric": True, "ply_file_path": str(source / "pcd.ply"), "frames": frames}
    (tmp_path / "transforms.json").write_text(json.dumps(document))

    capture = read_capture(tmp_path, mask_mode="alpha")
    assert len(capture.views) == 4
    assert capture.notes == ()
    assert capture.points is not None
    points = torch.from_numpy(capture.points.points)
    for view in capture.views:
        assert view.mask is not None
        assert view.mask_mode == "alpha"
        camera = view.camera
        x, y, z = camera.K @ (camera.T_cam_world[:3, :3] @ points.T + camera.T_cam_world[:3, 3:])
        column, row = (x / z).long().clip(0, 639), (y / z).long().clip(0, 479)
        kept = torch.from_numpy(np.asarray(Image.open(view.mask).convert("L")) > 127)
        assert (z > 0).all()
        assert kept[row, column].float().mean() >= 0.8
        assert kept.float().mean() < 0.2  # A share that chance does not reach.


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
