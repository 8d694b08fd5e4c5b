"""The photo of a camera in cameras.json: `View` <-> plain data.

A finished scene finds its photos again by these records. Paths are relative when the file lies in the photo folder that
scene.yaml names (the scene folder itself unless it says otherwise), so that both can be moved together, else absolute.
The pose is the camera's own and is not repeated. Nothing is opened here: a photo that is gone is missed only by who
needs it.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from scene3d.capture._capture import DepthFile, MaskMode, Projection, View
from scene3d.files._inside import inside

if TYPE_CHECKING:
    from collections.abc import Callable

    from scene3d._camera import Camera

__all__ = ["PhotoRecord", "photo_record", "photo_view"]

Side = Annotated[int, msgspec.Meta(ge=1, le=1 << 20)]
Row3 = tuple[float, float, float]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=4096)]


class DepthRecord(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """A `DepthFile`; ``farthest`` is left out when it is infinite, which JSON has no word for."""

    path: Name
    unit: float
    nearest: float = 0.0
    farthest: float | None = None
    confidence: Name | None = None
    least_confidence: int = 0


class PhotoRecord(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """A `View` without its name and its pose, at the photo's full upright size."""

    path: Name
    width: Side
    height: Side
    K: tuple[Row3, Row3, Row3]
    distortion: Annotated[tuple[float, ...], msgspec.Meta(max_length=14)] = ()
    projection: Projection = "opencv"
    photo_K: tuple[float, float, float, float] | None = None
    upright: bool = False
    mask: Name | None = None
    mask_mode: MaskMode = "ignore"
    depth: DepthRecord | None = None


def photo_record(photo: View, folder: Path) -> PhotoRecord:
    """What cameras.json says about a photo, in paths relative to `folder` for what lies in it."""
    depth = photo.depth
    return PhotoRecord(
        path=_stored(photo.path, folder),
        width=photo.camera.width,
        height=photo.camera.height,
        K=photo.camera.K.detach().tolist(),  # type: ignore[arg-type]
        distortion=tuple(float(value) for value in photo.distortion),
        projection=photo.projection,
        photo_K=photo.photo_K,
        upright=photo.upright,
        mask=None if photo.mask is None else _stored(photo.mask, folder),
        mask_mode=photo.mask_mode,
        depth=None if depth is None else _depth_record(depth, folder),
    )


def photo_view(
    record: PhotoRecord, name: str, camera: Callable[[int, int, Any], Camera], where: Path, folder: Path
) -> View:
    """The photo that a record describes.

    Args:
        record: What cameras.json says.
        name: The view's name.
        camera: Makes the posed camera of a width, a height and rows of K.
        where: The cameras.json, for the message.
        folder: Folder that relative paths start from.

    Raises:
        FileFormatError: A relative path leads out of that folder.
    """

    def path(stored: str) -> Path:
        return Path(stored) if Path(stored).is_absolute() else inside(folder, stored, where)

    depth = record.depth
    return View(
        name,
        path(record.path),
        camera(record.width, record.height, record.K),
        record.distortion,
        projection=record.projection,
        photo_K=record.photo_K,
        upright=record.upright,
        mask=None if record.mask is None else path(record.mask),
        mask_mode=record.mask_mode,
        depth=None if depth is None else _depth_file(depth, path),
    )


def _stored(path: Path, folder: Path) -> str:
    resolved, home = path.resolve(), folder.resolve()
    if resolved.is_relative_to(home) and "\\" not in str(resolved):
        return resolved.relative_to(home).as_posix()
    return str(path.absolute())


def _depth_record(depth: DepthFile, folder: Path) -> DepthRecord:
    return DepthRecord(
        path=_stored(depth.path, folder),
        unit=depth.unit,
        nearest=depth.nearest,
        farthest=depth.farthest if math.isfinite(depth.farthest) else None,
        confidence=None if depth.confidence is None else _stored(depth.confidence, folder),
        least_confidence=depth.least_confidence,
    )


def _depth_file(record: DepthRecord, path: Callable[[str], Path]) -> DepthFile:
    return DepthFile(
        path(record.path),
        unit=record.unit,
        nearest=record.nearest,
        farthest=math.inf if record.farthest is None else record.farthest,
        confidence=None if record.confidence is None else path(record.confidence),
        least_confidence=record.least_confidence,
    )
