"""transforms.json (nerfstudio, instant-ngp) -> `Capture`.

The file lists frames, each a camera-to-world matrix in OpenGL axes (x right, y up, z back) and an image path;
intrinsics and distortion stand beside the frames or inside them, and so may the paths of masks and depth maps. Frames
whose image is absent are dropped with a count. COLMAP wrote most of these files, so the principal point counts pixel
centres at +0.5 as we do.

Poses are taken as they stand: ``applied_transform`` and ``applied_scale`` tell what another program did to them before
it wrote them, and ``orientation_override`` what it should do after reading, neither of which concerns us. Three keys
are ours: ``metric: true`` says that lengths are metres, ``up`` names the direction against gravity (``"z"``, ``"-y"``
or three numbers), and a ``mask_path`` may be left out when a folder ``masks`` lies beside the images.
"""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np

from scene3d._errors import CaptureError
from scene3d.capture._arkit import to_opencv_axes
from scene3d.capture._capture import Capture, DepthFile, PointCloud, View
from scene3d.capture._checks import at_image_size, finite, pinhole, read_json, require_enough, rigid
from scene3d.capture._depth_check import check_depths, without_missing_depths
from scene3d.capture._images import image_size
from scene3d.capture._masks import with_masks
from scene3d.capture._points import load_points

if TYPE_CHECKING:
    from scene3d.capture._capture import MaskMode, Projection

__all__ = ["read_transforms_json"]

EXTENSIONS = ("", ".png", ".jpg", ".jpeg", ".PNG", ".JPG", ".JPEG", ".webp")
FISHEYE = "OPENCV_FISHEYE"
MODELS = ("OPENCV", "PINHOLE", "SIMPLE_PINHOLE", "SIMPLE_RADIAL", "RADIAL", FISHEYE)
UNKNOWN = 65535
DEPTH_UNIT = 1e-3
"""Length of one stored unit of a depth map when the file names none; nerfstudio's default. EXR files hold metres."""


def read_transforms_json(path: Path, *, mask_mode: MaskMode = "ignore") -> Capture:
    """Read a transforms.json.

    Args:
        path: The file itself; paths in it are relative to its folder.
        mask_mode: What black pixels of masks mean.

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
        view, was_resized = _view(name, image, _Values(frame, document, f"{path}, frame {name}"), path.parent)
        views.append(view)
        resized += was_resized
    if resized:
        notes.append(f"{resized} images are smaller or larger than {path.name} says; their intrinsics were scaled.")
    views.sort(key=lambda view: view.name)
    require_enough(views, path)
    views = without_missing_depths(_without_missing_masks(views, notes), notes)
    metric = document.get("metric") is True
    points = _seed_cloud(document, path, notes)
    capture = Capture(
        root=path.parent,
        views=with_masks(views, path.parent, mask_mode, notes),
        points=points,
        metric=metric,
        source="transforms.json",
        notes=tuple(notes),
        up=_up(document.get("up"), path),
        scale_source="capture" if metric else "",
    )
    check_depths(capture)
    return capture


def _parse(path: Path) -> dict[str, Any]:
    document = read_json(path)
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
        return None if value is None else finite(value, key, self.where)

    def file(self, key: str, folder: Path) -> Path | None:
        """The file that the frame itself names, None when it names none."""
        value = self.layers[0].get(key)
        if value is None or value == "":
            return None
        if not isinstance(value, str) or "\0" in value:
            raise CaptureError(f"{self.where}: {key} must be the path of a file.")
        return folder / PurePosixPath(value.replace("\\", "/"))


def _view(name: str, image: Path, values: _Values, folder: Path) -> tuple[View, bool]:
    """One view, and whether its camera was scaled to an image of another size."""
    stored = image_size(image)
    width, height = _size(values, stored)
    fl_x, fl_y = _focal_lengths(values, width, height)
    cx, cy = values.number("cx"), values.number("cy")
    K = (fl_x, fl_y, 0.5 * width if cx is None else cx, 0.5 * height if cy is None else cy)
    matrix = rigid(values.layers[0].get("transform_matrix"), values.where)
    camera = pinhole(width, height, K, to_opencv_axes(matrix), values.where)
    fitted = at_image_size(camera, stored)
    distortion, projection = _distortion(values)
    mask = values.file("mask_path", folder)
    view = View(name, image, fitted, distortion, projection, mask=mask, depth=_depth(values, folder))
    return view, fitted is not camera


def _depth(values: _Values, folder: Path) -> DepthFile | None:
    path = values.file("depth_file_path", folder)
    if path is None:
        return None
    unit = values.number("depth_unit_scale_factor")
    if unit is None:
        unit = 1.0 if path.suffix.lower() == ".exr" else DEPTH_UNIT
    if unit <= 0:
        raise CaptureError(f"{values.where}: depth_unit_scale_factor is {unit:g}, but a positive length is needed.")
    # The largest number of 16 bits is how many sensors write that they saw nothing.
    return DepthFile(path, unit, farthest=(UNKNOWN - 0.5) * unit if path.suffix.lower() == ".png" else math.inf)


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


def _distortion(values: _Values) -> tuple[tuple[float, ...], Projection]:
    """OpenCV coefficients k1, k2, p1, p2[, k3], empty when there is no distortion, or k1 to k4 of a fisheye."""
    fisheye = bool(values.get("is_fisheye"))
    model = values.get("camera_model") or (FISHEYE if fisheye else "OPENCV")
    # instant-ngp's is_fisheye means the same equidistant model.
    fisheye = fisheye or model == FISHEYE
    if model not in MODELS or values.get("ortho"):
        found = model if model not in MODELS else "orthographic"
        raise CaptureError(
            f"{values.where}: cameras of kind {found} are not read yet, only {', '.join(MODELS)}. "
            "Undistort the photos to a pinhole camera first."
        )
    k1, k2, k3, k4, p1, p2 = (values.number(key) or 0.0 for key in ("k1", "k2", "k3", "k4", "p1", "p2"))
    if fisheye:
        return (k1, k2, k3, k4), "fisheye"
    if model.endswith("PINHOLE"):
        return (), "opencv"
    if k4:
        raise CaptureError(
            f"{values.where}: k4 is {k4:g}, a fourth radial term, which only fisheye cameras have. "
            f"Set camera_model to {FISHEYE} if this is one."
        )
    coefficients = (k1, k2, p1, p2, k3) if k3 else (k1, k2, p1, p2)
    return (coefficients if any(coefficients) else ()), "opencv"


def _up(value: Any, path: Path) -> tuple[float, float, float] | None:
    """The direction against gravity that the file names, unit length; None when it names none."""
    if value is None:
        return None
    if isinstance(value, str) and value.lower().lstrip("+-") in ("x", "y", "z") and len(value) <= 2:
        sign = -1.0 if value.startswith("-") else 1.0
        x, y, z = (sign if axis == value.lower()[-1] else 0.0 for axis in "xyz")
        return x, y, z
    numbers = [finite(number, "up", str(path)) for number in value] if isinstance(value, list) else []
    length = float(np.linalg.norm(numbers))
    if len(numbers) != 3 or not 1e-6 < length < math.inf:
        raise CaptureError(f"{path}: up is {value!r}, but an axis such as 'z' or '-y', or three numbers are needed.")
    x, y, z = (number / length for number in numbers)
    return x, y, z


def _without_missing_masks(views: list[View], notes: list[str]) -> list[View]:
    absent = {view.name for view in views if view.mask is not None and not view.mask.is_file()}
    if absent:
        notes.append(f"{len(absent)} of {len(views)} masks that the file names are absent.")
    return [replace(view, mask=None) if view.name in absent else view for view in views]


def _seed_cloud(document: dict[str, Any], path: Path, notes: list[str]) -> PointCloud | None:
    name = document.get("ply_file_path")
    if not isinstance(name, str) or not name:
        return None
    cloud = path.parent / PurePosixPath(name.replace("\\", "/"))
    if not cloud.is_file():
        notes.append(f"The point cloud {name} is absent.")
        return None
    return load_points(cloud)
