"""Exports of Record3D -> `Capture`.

The folder of an "EXR + RGB" export holds ``metadata.json``, ``rgb/0.jpg`` ... and ``depth/0.exr`` ... (32-bit metres).
An .r3d file is a zip of ``metadata``, ``rgbd/0.jpg`` ... and depths that are compressed with LZFSE, which nothing here
decodes: its photos and poses are used without them. Poses are metric, quaternion before position, in OpenGL axes.

The world's Y points up only when the recording says so. Older versions of the app begin every recording at the
identity, and then nobody knows where up was; such a capture leaves `Capture.up` open.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from scene3d._errors import CaptureError
from scene3d.capture._arkit import LIDAR_FARTHEST, T_WORLD_ARKIT, UP, world_pose
from scene3d.capture._capture import Capture, DepthFile, View
from scene3d.capture._checks import at_image_size, finite, is_lost, pinhole, pose_matrix, read_json, require_enough
from scene3d.capture._depth_check import check_depths
from scene3d.capture._images import image_size
from scene3d.capture._keyframes import spread_frames
from scene3d.capture._masks import with_masks

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from scene3d.capture._capture import MaskMode

__all__ = ["looks_like_record3d", "read_record3d"]

METADATA = ("metadata.json", "metadata")
PHOTOS = ("rgb", "rgbd", "images")
ENDINGS = (".jpg", ".jpeg", ".png")
SAME_PLACE = 1e-4
"""Poses that differ by less everywhere tell that the app did not track [m]."""
SAME_AXES = 1e-3
"""A first rotation this near to the identity was set, not measured."""


def looks_like_record3d(path: Path) -> bool:
    """Whether a folder is an export of Record3D, by the names of its files."""
    return _export(path) is not None


def read_record3d(path: Path, *, mask_mode: MaskMode = "ignore") -> Capture:
    """Read an export, or an unpacked .r3d file.

    Args:
        path: Folder that holds ``metadata.json`` or ``metadata``, or ``EXR_RGBD`` with it.
        mask_mode: What black pixels of masks mean.

    Raises:
        CaptureError: Damaged metadata, no poses, too few photos, or depth of another size or unit.
    """
    folder = _export(path)
    if folder is None:
        raise CaptureError(f"{path} is no export of Record3D: there is no metadata.json beside a folder rgb/ or rgbd/.")
    where, metadata = _metadata(folder)
    poses = _poses(metadata, where)
    notes: list[str] = []
    frames = _frames(folder, poses, where, notes)
    size, T_first = _size(metadata, where), next(T for T in poses if not is_lost(T))
    views = [
        _view(folder, photo, pinhole(*size, _intrinsics(metadata, index, where), world_pose(poses[index]), where))
        for index, photo in frames
    ]
    require_enough(views, path)
    _tell_depth(folder, views, notes)
    gravity = bool(np.abs(T_first[:3, :3] - np.eye(3)).max() > SAME_AXES)
    if not gravity:
        notes.append("The recording begins at the identity, so it does not say which way is up.")
    masked = with_masks(sorted(views, key=lambda view: view.name), folder, mask_mode, notes)
    capture = Capture(
        root=path,
        views=masked,
        metric=True,
        source="record3d",
        notes=tuple(notes),
        up=UP if gravity else None,
        scale_source="capture",
        T_world_source=T_WORLD_ARKIT,
    )
    check_depths(capture)
    return capture


def _export(path: Path) -> Path | None:
    for folder in (path, path / "EXR_RGBD"):
        if any((folder / name).is_file() for name in METADATA) and any((folder / name).is_dir() for name in PHOTOS):
            return folder
    return None


def _metadata(folder: Path) -> tuple[str, dict[str, Any]]:
    path = next(folder / name for name in METADATA if (folder / name).is_file())
    metadata = read_json(path)
    if not isinstance(metadata, dict) or not isinstance(metadata.get("poses"), list) or not metadata["poses"]:
        raise CaptureError(
            f"{path} lists no poses. Record with the lidar camera of an iPhone or iPad Pro, or read the photos alone "
            "with --format photos."
        )
    return str(path), metadata


def _poses(metadata: dict[str, Any], where: str) -> NDArray[np.float64]:
    """Camera-to-world transforms as the app gives them, shape (N, 4, 4); NaN where tracking was lost."""
    try:
        rows = np.array(metadata["poses"], dtype=np.float64)
    except (TypeError, ValueError):
        rows = np.empty(0)
    if rows.ndim != 2 or rows.shape[-1] != 7:
        raise CaptureError(f"{where}: each of the poses must be seven numbers, qx qy qz qw tx ty tz.")
    poses = np.stack([pose_matrix(xyz, quat_xyzw) for xyz, quat_xyzw in zip(rows[:, 4:], rows[:, :4], strict=True)])
    tracked = poses[[not is_lost(T) for T in poses]]
    if not len(tracked) or (len(tracked) > 1 and np.abs(tracked - tracked[0]).max() < SAME_PLACE):
        raise CaptureError(
            f"{where}: all {len(poses)} poses are the same, as in recordings of the selfie camera, which is not "
            "tracked. Record with the lidar camera, or read the photos alone with --format photos."
        )
    return poses


def _frames(folder: Path, poses: NDArray[np.float64], where: str, notes: list[str]) -> list[tuple[int, Path]]:
    """Index and photo of the frames to use."""
    photos = next(folder / name for name in PHOTOS if (folder / name).is_dir())
    present = []
    for index in range(len(poses)):
        photo = next((path for ending in ENDINGS if (path := photos / f"{index}{ending}").is_file()), None)
        if photo is not None:
            present.append((index, photo))
    if not present:
        raise CaptureError(f"None of the {len(poses)} frames of {where} has a photo {photos.name}/0.jpg, 1.jpg, ...")
    if len(present) < len(poses):
        notes.append(f"{len(poses) - len(present)} of {len(poses)} frames have no photo and were left out.")
    tracked = [frame for frame in present if not is_lost(poses[frame[0]])]
    if len(tracked) < len(present):
        notes.append(f"{len(present) - len(tracked)} frames were left out, because tracking was lost.")
    chosen = spread_frames(poses[[index for index, _ in tracked]]) if tracked else np.arange(0)
    if len(chosen) < len(tracked):
        notes.append(f"{len(chosen)} of {len(tracked)} frames are used, spread evenly over the camera's way.")
    return [tracked[index] for index in chosen]


def _size(metadata: dict[str, Any], where: str) -> tuple[int, int]:
    width, height = finite(metadata.get("w"), "w", where), finite(metadata.get("h"), "h", where)
    if not (width.is_integer() and height.is_integer() and width > 0 and height > 0):
        raise CaptureError(f"{where}: w and h are {width:g} and {height:g}, but whole pixels are needed.")
    return int(width), int(height)


def _intrinsics(metadata: dict[str, Any], index: int, where: str) -> tuple[float, float, float, float]:
    """fx, fy, cx, cy [px] of one frame, which change with the focus; else those of the whole recording."""
    per_frame = metadata.get("perFrameIntrinsicCoeffs")
    if isinstance(per_frame, list) and index < len(per_frame):
        row = per_frame[index]
        if not isinstance(row, list) or len(row) != 4:
            raise CaptureError(f"{where}: each of perFrameIntrinsicCoeffs must be four numbers, fx fy cx cy.")
        fx, fy, cx, cy = (finite(value, "perFrameIntrinsicCoeffs", where) for value in row)
        return fx, fy, cx, cy
    K = metadata.get("K")
    if not isinstance(K, list) or len(K) != 9:
        raise CaptureError(f"{where}: there are no intrinsics. K must be nine numbers, one column after the other.")
    fx, fy, cx, cy = (finite(K[at], "K", where) for at in (0, 4, 6, 7))
    return fx, fy, cx, cy


def _view(folder: Path, photo: Path, camera: Any) -> View:
    path = folder / "depth" / f"{photo.stem}.exr"
    depth = DepthFile(path, unit=1.0, farthest=LIDAR_FARTHEST) if path.is_file() else None
    name = f"{photo.parent.name}/{photo.name}"
    return View(name, photo, at_image_size(camera, image_size(photo)), depth=depth)


def _tell_depth(folder: Path, views: list[View], notes: list[str]) -> None:
    without = sum(view.depth is None for view in views)
    if without and next((folder / "rgbd").glob("*.depth"), None) is not None:
        notes.append(
            "The depth in .r3d files is compressed with LZFSE, which is not read; photos and poses are used without "
            "it. For depth, export 'EXR + RGB' from the app."
        )
    elif without:
        notes.append(f"{without} of {len(views)} frames have no depth; their colour alone is used.")
