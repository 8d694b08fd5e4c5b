"""RGB-D folders -> `Capture`: colour, depth and camera-to-world poses in files of their own.

Read are three layouts, told apart by the names of their files (see `_rgbd_layouts`): ``frame-*.color.jpg``,
``.depth.png`` and ``.pose.txt`` side by side (7-Scenes, tsdf-fusion), folders ``color``, ``depth``, ``pose`` (ScanNet),
and lists with time stamps (TUM). All have metric OpenCV poses and 16-bit depth that is registered to the colour. Frames
where tracking was lost are left out; frames without depth keep their colour.

Files of intrinsics do not say where they count pixels from. A principal point at exactly (width - 1) / 2 and
(height - 1) / 2 is the centre of an image whose pixel centres are whole numbers, and is moved by half a pixel; any
other is taken as it stands, which is right for the 320, 240 that stands in most files and half a pixel off at worst.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from scene3d._errors import CaptureError
from scene3d.capture._capture import Capture, DepthFile, View
from scene3d.capture._checks import is_lost, pinhole, require_centred, require_enough, rigid
from scene3d.capture._depth_check import check_depths
from scene3d.capture._images import image_size
from scene3d.capture._keyframes import spread_frames
from scene3d.capture._masks import with_masks
from scene3d.capture._rgbd_layouts import find_layout, list_frames, read_numbers

if TYPE_CHECKING:
    from pathlib import Path

    from scene3d.capture._capture import MaskMode
    from scene3d.capture._rgbd_layouts import Frame

__all__ = ["looks_like_rgbd", "read_rgbd"]

UNKNOWN = 65535
"""Stored where there is no depth, besides 0."""
INTRINSICS = (
    "camera-intrinsics.txt",
    "intrinsic/intrinsic_color.txt",
    "intrinsics.txt",
    "intrinsic.txt",
    "camera.txt",
)


def looks_like_rgbd(path: Path) -> bool:
    """Whether a folder holds colour, depth and pose files, by their names."""
    return find_layout(path) is not None


def read_rgbd(path: Path, *, mask_mode: MaskMode = "ignore") -> Capture:
    """Read an RGB-D folder; see this file's first paragraph for the layouts.

    Args:
        path: The folder.
        mask_mode: What black pixels of masks mean.

    Raises:
        CaptureError: No frames, no intrinsics, damaged poses, or depth of another size or unit.
    """
    notes: list[str] = []
    frames, unit = list_frames(path, notes)
    K = _intrinsics(path)
    tracked = _tracked(frames, path, notes)
    views = [_view(frame, K, unit) for frame in tracked]
    require_enough(views, path)
    with_depth = sum(view.depth is not None for view in views)
    if with_depth < len(views):
        notes.append(f"{len(views) - with_depth} of {len(views)} frames have no depth; their colour alone is used.")
    views.sort(key=lambda view: view.name)
    masked = with_masks(views, path, mask_mode, notes)
    capture = Capture(path, masked, metric=True, source="rgbd", notes=tuple(notes), scale_source="capture")
    check_depths(capture)
    return capture


def _tracked(frames: list[Frame], path: Path, notes: list[str]) -> list[Frame]:
    """The frames whose pose is known, thinned when they are very many; their poses are rigid afterwards."""
    tracked = [frame for frame in frames if not is_lost(frame.T_world_cam)]
    if len(tracked) < len(frames):
        lost = len(frames) - len(tracked)
        notes.append(f"{lost} of {len(frames)} frames were left out, because their pose says that tracking was lost.")
    if not tracked:
        raise CaptureError(f"None of the {len(frames)} frames in {path} has a pose. Solve them again.")
    tracked = [replace(frame, T_world_cam=rigid(frame.T_world_cam, frame.where)) for frame in tracked]
    chosen = spread_frames(np.stack([frame.T_world_cam for frame in tracked]))
    if len(chosen) < len(tracked):
        notes.append(f"{len(chosen)} of {len(tracked)} frames are used, spread evenly over the camera's way.")
    return [tracked[index] for index in chosen]


def _view(frame: Frame, K: tuple[Path, tuple[float, float, float, float]], unit: float) -> View:
    width, height = image_size(frame.color)
    source, (fx, fy, cx, cy) = K
    if (cx, cy) == (0.5 * (width - 1), 0.5 * (height - 1)):
        cx, cy = cx + 0.5, cy + 0.5
    camera = pinhole(width, height, (fx, fy, cx, cy), frame.T_world_cam, str(source))
    require_centred(camera, str(source))
    depth = None
    if frame.depth is not None:
        depth = DepthFile(frame.depth, unit=unit, farthest=(UNKNOWN - 0.5) * unit)
    return View(frame.name, frame.color, camera, depth=depth)


def _intrinsics(folder: Path) -> tuple[Path, tuple[float, float, float, float]]:
    """The file of intrinsics, and its fx, fy, cx, cy [px]."""
    places = [base / name for base in (folder, folder.parent) for name in INTRINSICS]
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        raise CaptureError(
            f"{folder} has no intrinsics. Write {folder / INTRINSICS[0]} with the three lines 'fx 0 cx', '0 fy cy', "
            "'0 0 1' in pixels of the photos (585 0 320, 0 585 240, 0 0 1 for 7-Scenes)."
        )
    numbers = read_numbers(path)
    if numbers.size == 4:
        fx, fy, cx, cy = numbers.ravel()
        return path, (float(fx), float(fy), float(cx), float(cy))
    matrix = numbers.reshape(3, 3) if numbers.size == 9 else numbers
    if matrix.shape not in ((3, 3), (3, 4), (4, 4)) or not np.isfinite(matrix).all():
        raise CaptureError(
            f"{path} must hold the 3x3 camera matrix 'fx 0 cx', '0 fy cy', '0 0 1' in pixels, one row a line."
        )
    if np.abs(matrix[2, :3] - (0, 0, 1)).max() > 1e-6 or abs(matrix[1, 0]) > 1e-6:
        raise CaptureError(f"{path}: the rows must be 'fx 0 cx', '0 fy cy', '0 0 1'; is the matrix transposed?")
    return path, (float(matrix[0, 0]), float(matrix[1, 1]), float(matrix[0, 2]), float(matrix[1, 2]))
