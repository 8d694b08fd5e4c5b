"""Raw exports of Polycam, made here as the app lays them out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from scene3d._errors import CaptureError
from scene3d.capture._polycam import looks_like_polycam, read_polycam

Edit = Callable[[dict[str, Any]], object]


def arkit_pose(i: int) -> np.ndarray:
    """A phone held level at a height of 1.5 m that looks along -z of its world, i steps of 10 cm to the right."""
    T = np.eye(4)
    T[:3, 3] = (0.1 * i, 1.5, 0.0)
    return T


def camera(T: np.ndarray) -> dict[str, Any]:
    values = {f"t_{row}{column}": float(T[row, column]) for row in range(3) for column in range(4)}
    return values | {"fx": 60.0, "fy": 60.5, "cx": 32.5, "cy": 24.5, "width": 64, "height": 48, "blur_score": 90.0}


def export(root: Path, corrected: bool = True, depth: float = 1500) -> Path:
    for kind in ("", "corrected_") if corrected else ("",):
        for folder in (f"{kind}images", f"{kind}cameras", "depth", "confidence"):
            (root / "keyframes" / folder).mkdir(parents=True, exist_ok=True)
        for i in range(4):
            stamp = 1000 + i
            # The corrected poses are 5 cm higher than the live ones.
            T = arkit_pose(i)
            T[1, 3] += 0.05 if kind else 0.0
            (root / "keyframes" / f"{kind}cameras" / f"{stamp}.json").write_text(json.dumps(camera(T)))
            Image.new("RGB", (64, 48)).save(root / "keyframes" / f"{kind}images" / f"{stamp}.jpg")
            Image.fromarray(np.full((12, 16), depth, np.uint16)).save(root / "keyframes" / "depth" / f"{stamp}.png")
            Image.new("L", (16, 12), 255).save(root / "keyframes" / "confidence" / f"{stamp}.png")
    return root


@pytest.mark.parametrize("given", ["", "keyframes"])
def test_export(tmp_path: Path, given: str) -> None:
    folder = export(tmp_path) / given
    assert looks_like_polycam(folder)
    capture = read_polycam(folder)
    assert [view.name for view in capture.views] == [f"corrected_images/{1000 + i}.jpg" for i in range(4)]
    assert (capture.metric, capture.up, capture.scale_source, capture.source) == (True, (0, 0, 1), "capture", "polycam")
    T = capture.views[1].camera.T_world_cam.numpy()
    # 1.55 m above the floor; right stays right, down is -Z, and it looks along +Y.
    assert np.allclose(T[:3, 3], (0.1, 0, 1.55), atol=1e-6)
    assert np.allclose(T[:3, :3].T, [[1, 0, 0], [0, 0, -1], [0, 1, 0]], atol=1e-6)
    assert capture.views[1].camera.K.tolist() == [[60, 0, 32.5], [0, 60.5, 24.5], [0, 0, 1]]
    depth = capture.views[1].depth
    assert depth is not None
    assert (depth.unit, depth.farthest, depth.least_confidence) == (1e-3, 5.0, 1)
    assert depth.path.name == "1001.png"
    assert depth.confidence is not None
    T_world_source = np.array(capture.T_world_source)
    assert np.allclose(T_world_source @ [0.1, 1.55, 0, 1], [0.1, 0, 1.55, 1])
    assert np.linalg.det(T_world_source[:3, :3]) == pytest.approx(1)
    assert capture.notes == ()


def test_without_pose_optimisation(tmp_path: Path) -> None:
    capture = read_polycam(export(tmp_path, corrected=False))
    assert capture.views[0].name == "images/1000.jpg"
    assert capture.views[0].camera.T_world_cam[2, 3].item() == pytest.approx(1.5)
    assert "live poses are used" in capture.notes[0]


def test_missing_parts(tmp_path: Path) -> None:
    keyframes = export(tmp_path) / "keyframes"
    (keyframes / "corrected_cameras" / "1000.json").unlink()
    (keyframes / "depth" / "1001.png").unlink()
    (keyframes / "confidence" / "1002.png").unlink()
    capture = read_polycam(tmp_path)
    assert [view.depth is not None for view in capture.views] == [False, True, True]
    assert capture.views[1].depth is not None
    assert capture.views[1].depth.confidence is None
    assert capture.notes == (
        "1 of 4 photos have no camera and were left out.",
        "1 of 3 photos have no depth map; their colour alone is used.",
    )


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda c: c.pop("t_12"), "t_12 is None, but a finite number"),
        (lambda c: c.update(t_00=float("nan")), "t_00 is nan"),
        (lambda c: c.update(fx="wide"), "fx is 'wide'"),
        (lambda c: c.update(fx=10**400), "fx is 'beyond all bounds'"),
        (lambda c: c.update(fx=0), "focal lengths are 0"),
        (lambda c: c.update(t_00=2.0), "is not a rotation"),
        (lambda c: c.update(width=-64), "width and height are -64"),
    ],
)
def test_bad_cameras(tmp_path: Path, edit: Edit, message: str) -> None:
    path = export(tmp_path) / "keyframes" / "corrected_cameras" / "1002.json"
    values = json.loads(path.read_text())
    edit(values)
    path.write_text(json.dumps(values))
    with pytest.raises(CaptureError, match=message):
        read_polycam(tmp_path)


def test_bad_files_and_units(tmp_path: Path) -> None:
    path = export(tmp_path) / "keyframes" / "corrected_cameras" / "1002.json"
    path.write_text("[1, 2]")
    with pytest.raises(CaptureError, match=r"1002\.json holds no camera"):
        read_polycam(tmp_path)
    path.write_text("{")
    with pytest.raises(CaptureError, match="is not valid JSON"):
        read_polycam(tmp_path)
    with pytest.raises(CaptureError, match=r"read as millimetres, which makes their median 0\.003 m.*look like metres"):
        read_polycam(export(tmp_path, depth=3))
    assert not looks_like_polycam(tmp_path / "keyframes" / "depth")
    with pytest.raises(CaptureError, match="is no raw export of Polycam"):
        read_polycam(tmp_path / "keyframes" / "depth")
