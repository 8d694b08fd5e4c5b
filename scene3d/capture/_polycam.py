"""Raw exports of Polycam -> `Capture`.

A folder ``keyframes`` holds ``images``, ``cameras`` (one JSON a photo: intrinsics, and rows of the camera-to-world
matrix as t_00 ... t_23), ``depth`` (16-bit PNG, millimetres) and ``confidence``. ``corrected_images`` and
``corrected_cameras`` are what the app's own pose optimisation made of them, and are taken where they exist. Poses are
metric with Y against gravity; they turn to our world with Z up here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from scene3d._errors import CaptureError
from scene3d.capture._arkit import LIDAR_FARTHEST, T_WORLD_ARKIT, UP, world_pose
from scene3d.capture._capture import Capture, DepthFile, View
from scene3d.capture._checks import at_image_size, finite, pinhole, read_json, require_enough, rigid
from scene3d.capture._depth_check import check_depths, without_missing_depths
from scene3d.capture._images import image_size
from scene3d.capture._masks import with_masks

if TYPE_CHECKING:
    from pathlib import Path

    from scene3d.capture._capture import MaskMode

__all__ = ["looks_like_polycam", "read_polycam"]

PAIRS = (("corrected_images", "corrected_cameras"), ("images", "cameras"))
"""Folders of photos and of their cameras, the better first."""
PHOTOS = (".jpg", ".jpeg", ".png", ".heic")
LARGEST_CAMERA = 1024 * 1024
"""Bytes."""
MEDIUM_CONFIDENCE = 1
"""Stored confidence is 0, a middle value that differs between versions, or 255; zero is unreliable."""


def looks_like_polycam(path: Path) -> bool:
    """Whether a folder is a raw export: ``keyframes`` or the export that holds it, by the names of its folders."""
    return _keyframes(path) is not None


def read_polycam(path: Path, *, mask_mode: MaskMode = "ignore") -> Capture:
    """Read a raw export.

    Args:
        path: The export, or its folder ``keyframes``.
        mask_mode: What black pixels of masks mean.

    Raises:
        CaptureError: No photos with cameras, a damaged camera, or depth of another size or unit.
    """
    folder = _keyframes(path)
    if folder is None:
        raise CaptureError(
            f"{path} is no raw export of Polycam: there is no keyframes/ with images/ and cameras/. In the app, turn "
            "on developer mode, process the capture again and export 'raw data'."
        )
    images, cameras = _best_pair(folder)
    notes = []
    if images.name == "images":
        notes.append("The app did not optimise these poses (there is no corrected_images); its live poses are used.")
    views = _views(folder, images, cameras, notes)
    require_enough(views, path)
    views = without_missing_depths(views, notes)
    masked = with_masks(views, folder, mask_mode, notes)
    capture = Capture(
        root=path,
        views=masked,
        metric=True,
        source="polycam",
        notes=tuple(notes),
        up=UP,
        scale_source="capture",
        T_world_source=T_WORLD_ARKIT,
    )
    check_depths(capture)
    return capture


def _keyframes(path: Path) -> Path | None:
    for folder in (path / "keyframes", path):
        if any((folder / images).is_dir() and (folder / cameras).is_dir() for images, cameras in PAIRS):
            # A folder images/ beside cameras/ alone could be anything; the JSON files tell.
            if next(folder.glob("*cameras/*.json"), None) is not None:
                return folder
    return None


def _best_pair(folder: Path) -> tuple[Path, Path]:
    for images, cameras in PAIRS:
        if (folder / images).is_dir() and next((folder / cameras).glob("*.json"), None) is not None:
            return folder / images, folder / cameras
    raise CaptureError(f"{folder} has photos and cameras that do not belong together. Export the raw data again.")


def _views(folder: Path, images: Path, cameras: Path, notes: list[str]) -> list[View]:
    photos = sorted(path for path in images.iterdir() if path.suffix.lower() in PHOTOS)
    posed = [photo for photo in photos if (cameras / f"{photo.stem}.json").is_file()]
    if len(posed) < len(photos):
        notes.append(f"{len(photos) - len(posed)} of {len(photos)} photos have no camera and were left out.")
    return [_view(folder, photo, cameras / f"{photo.stem}.json") for photo in posed]


def _view(folder: Path, photo: Path, camera_file: Path) -> View:
    where = str(camera_file)
    values = read_json(camera_file, largest=LARGEST_CAMERA)
    if not isinstance(values, dict):
        raise CaptureError(f"{where} holds no camera: fx, fy, cx, cy, width, height and t_00 to t_23 are needed.")

    def number(key: str) -> float:
        return finite(values.get(key), key, where)

    T_arkit_cam = rigid([[number(f"t_{row}{column}") for column in range(4)] for row in range(3)], where)
    width, height = number("width"), number("height")
    if not (width.is_integer() and height.is_integer() and width > 0 and height > 0):
        raise CaptureError(f"{where}: width and height are {width:g} and {height:g}, but whole pixels are needed.")
    K = (number("fx"), number("fy"), number("cx"), number("cy"))
    camera = pinhole(int(width), int(height), K, world_pose(T_arkit_cam), where)
    confidence = folder / "confidence" / f"{photo.stem}.png"
    depth = DepthFile(
        folder / "depth" / f"{photo.stem}.png",
        unit=1e-3,
        farthest=LIDAR_FARTHEST,
        confidence=confidence if confidence.is_file() else None,
        least_confidence=MEDIUM_CONFIDENCE,
    )
    name = f"{photo.parent.name}/{photo.name}"
    return View(name, photo, at_image_size(camera, image_size(photo)), depth=depth)
