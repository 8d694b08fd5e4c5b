"""transforms.json (nerfstudio, instant-ngp) -> `Capture`.

The file lists frames, each a camera-to-world matrix in OpenGL axes (x right, y up, z back) and an image path;
intrinsics and OpenCV distortion stand beside the frames or inside them. Frames whose image is absent are dropped with
a count. Poses turn to OpenCV axes here and nowhere else. COLMAP wrote most of these files, so the principal point
counts pixel centres at +0.5 as we do.
"""

from __future__ import annotations

import json
import math
from pathlib import Path, PurePosixPath
from typing import Any

from scene3d._errors import CaptureError
from scene3d.capture._capture import Capture, PointCloud, View
from scene3d.capture._checks import at_image_size, pinhole, require_enough, rigid
from scene3d.capture._images import image_size
from scene3d.capture._points import load_points

__all__ = ["read_transforms_json"]

LARGEST_FILE = 256 * 1024 * 1024
"""Bytes; hundreds of thousands of frames."""
EXTENSIONS = ("", ".png", ".jpg", ".jpeg", ".PNG", ".JPG", ".JPEG", ".webp")
MODELS = ("OPENCV", "PINHOLE", "SIMPLE_PINHOLE", "SIMPLE_RADIAL", "RADIAL")
OPENGL_TO_OPENCV = (1.0, -1.0, -1.0)
"""Signs of the camera's x, y and z axes."""


def read_transforms_json(path: Path) -> Capture:
    """Read a transforms.json.

    Args:
        path: The file itself; image paths in it are relative to its folder.

    Raises:
        CaptureError: The file is damaged, or says something about a frame that cannot be used.
    """
    document = _parse(path)
    present, absent = _present_frames(document, path)
    views, notes = [], []
    if absent:
        notes.append(f"{absent} of {absent + len(present)} frames have no image and were left out.")
    resized = 0
    for name, image, frame in present:
        view, was_resized = _view(name, image, _Values(frame, document, f"{path}, frame {name}"))
        views.append(view)
        resized += was_resized
    if resized:
        notes.append(f"{resized} images are smaller or larger than {path.name} says; their intrinsics were scaled.")
    views.sort(key=lambda view: view.name)
    require_enough(views, path)
    return Capture(
        root=path.parent,
        views=tuple(views),
        points=_seed_cloud(document, path, notes),
        metric=document.get("metric") is True,
        source="transforms.json",
        notes=tuple(notes),
    )


def _parse(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise CaptureError(f"{path} is larger than {LARGEST_FILE // 2**20} MiB, which no list of frames is.")
        document = json.loads(path.read_bytes())
    except OSError as error:
        raise CaptureError(f"{path} cannot be read ({error.strerror}).") from error
    except (ValueError, RecursionError) as error:
        raise CaptureError(f"{path} is not valid JSON ({error}). Export it again.") from error
    if not isinstance(document, dict) or not isinstance(document.get("frames"), list) or not document["frames"]:
        raise CaptureError(f"{path} lists no frames. A transforms.json has a list 'frames' of images with their poses.")
    return document


def _present_frames(document: dict[str, Any], path: Path) -> tuple[list[tuple[str, Path, dict[str, Any]]], int]:
    """Name, image file and entry of each frame whose image exists, and how many have none."""
    present, absent, seen = [], 0, set[str]()
    for index, frame in enumerate(document["frames"]):
        file_path = frame.get("file_path") if isinstance(frame, dict) else None
        if not isinstance(file_path, str) or not file_path or "\0" in file_path:
            raise CaptureError(f"{path}, frame {index}: there is no 'file_path' that names an image.")
        relative = PurePosixPath(file_path.replace("\\", "/"))
        image = _find_image(path.parent / relative)
        if image is None:
            absent += 1
            continue
        name = str(relative.with_name(image.name))
        if name in seen:
            raise CaptureError(f"{path} lists {name} more than once. Keep one pose for each image.")
        seen.add(name)
        present.append((name, image, frame))
    if not present:
        first = document["frames"][0]["file_path"]
        raise CaptureError(
            f"None of the {absent} images listed in {path} exists; the first is {first}. "
            f"Image paths are relative to {path.parent}."
        )
    return present, absent


def _find_image(path: Path) -> Path | None:
    for extension in EXTENSIONS:
        candidate = path.with_name(path.name + extension)
        if candidate.is_file():
            return candidate
    return None


class _Values:
    """Numbers of one frame, which fall back to those of the whole file."""

    def __init__(self, frame: dict[str, Any], document: dict[str, Any], where: str) -> None:
        self.layers = (frame, document)
        self.where = where

    def get(self, key: str) -> Any:
        """The value nearest to the frame, None when neither has it."""
        return next((layer[key] for layer in self.layers if layer.get(key) is not None), None)

    def number(self, key: str) -> float | None:
        """A finite number, None when there is none."""
        value = self.get(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise CaptureError(f"{self.where}: {key} is {value!r}, but a finite number is needed.")
        return float(value)


def _view(name: str, image: Path, values: _Values) -> tuple[View, bool]:
    """One view, and whether its camera was scaled to an image of another size."""
    stored = image_size(image)
    width, height = _size(values, stored)
    fl_x, fl_y = _focal_lengths(values, width, height)
    cx, cy = values.number("cx"), values.number("cy")
    K = (fl_x, fl_y, 0.5 * width if cx is None else cx, 0.5 * height if cy is None else cy)
    matrix = rigid(values.layers[0].get("transform_matrix"), values.where)
    matrix[:3, :3] *= OPENGL_TO_OPENCV
    camera = pinhole(width, height, K, matrix, values.where)
    fitted = at_image_size(camera, stored)
    return View(name, image, fitted, _distortion(values)), fitted is not camera


def _size(values: _Values, stored: tuple[int, int]) -> tuple[int, int]:
    width, height = values.number("w"), values.number("h")
    if width is None or height is None:
        return stored
    if not (width.is_integer() and height.is_integer() and width > 0 and height > 0):
        raise CaptureError(f"{values.where}: w and h are {width:g} and {height:g}, but whole pixels are needed.")
    return int(width), int(height)


def _focal_lengths(values: _Values, width: int, height: int) -> tuple[float, float]:
    """Focal lengths [px]: as given, else from fields of view [rad], else equal to the other one."""
    fl_x, fl_y = values.number("fl_x"), values.number("fl_y")
    if fl_x is None and fl_y is None:
        fl_x, fl_y = _from_angle(values, "camera_angle_x", width), _from_angle(values, "camera_angle_y", height)
    first = fl_x if fl_x is not None else fl_y
    if first is None:
        raise CaptureError(
            f"{values.where}: there are no intrinsics. "
            "Give fl_x (and fl_y, cx, cy) in pixels, or camera_angle_x in radians."
        )
    return first, fl_y if fl_y is not None else first


def _from_angle(values: _Values, key: str, side: int) -> float | None:
    angle = values.number(key)
    if angle is None:
        return None
    if not 0 < angle < math.pi:
        raise CaptureError(f"{values.where}: {key} is {angle:g}, but a field of view is between 0 and pi radians.")
    return 0.5 * side / math.tan(0.5 * angle)


def _distortion(values: _Values) -> tuple[float, ...]:
    """OpenCV coefficients k1, k2, p1, p2[, k3]; empty when all are zero or the model has none."""
    model = values.get("camera_model") or "OPENCV"
    if model not in MODELS or values.get("is_fisheye") or values.get("ortho"):
        found = model if model not in MODELS else "fisheye or orthographic"
        raise CaptureError(
            f"{values.where}: cameras of kind {found} are not read yet, only {', '.join(MODELS)}. "
            "Undistort the photos to a pinhole camera first."
        )
    if model.endswith("PINHOLE"):
        return ()
    k1, k2, k3, k4, p1, p2 = (values.number(key) or 0.0 for key in ("k1", "k2", "k3", "k4", "p1", "p2"))
    if k4:
        raise CaptureError(
            f"{values.where}: k4 is {k4:g}, a fourth radial term as of fisheye cameras, which is not read yet. "
            "Undistort the photos to a pinhole camera first."
        )
    coefficients = (k1, k2, p1, p2, k3) if k3 else (k1, k2, p1, p2)
    return coefficients if any(coefficients) else ()


def _seed_cloud(document: dict[str, Any], path: Path, notes: list[str]) -> PointCloud | None:
    name = document.get("ply_file_path")
    if not isinstance(name, str) or not name:
        return None
    cloud = path.parent / PurePosixPath(name.replace("\\", "/"))
    if not cloud.is_file():
        notes.append(f"The point cloud {name} is absent.")
        return None
    return load_points(cloud)
