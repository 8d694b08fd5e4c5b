"""Whether the binary files of a COLMAP model are as long as they say.

COLMAP's reader trusts the counts in its files: one that is cut off reads as a model with made-up numbers, or keeps a
core busy for minutes. So the records are walked first, which takes a second for a million points. Text files need no
such check, since their reader goes line by line.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from scene3d._errors import CaptureError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["check_binary_model"]

PARAMETERS = (3, 4, 4, 5, 8, 8, 12, 5, 4, 5, 12)
"""Number of intrinsics of COLMAP's camera models 0 (SIMPLE_PINHOLE) to 10 (THIN_PRISM_FISHEYE)."""
CAMERA = struct.Struct("<IiQQ")
LONGEST_NAME = 4096
IMAGE_POSE, POINT_2D = 4 + 7 * 8 + 4, 24
POINT_3D, TRACK_ELEMENT = 8 + 3 * 8 + 3 + 8, 8
SENSOR, SENSOR_POSE = 8, 7 * 8
FRAME_POSE, FRAME_DATA = 8 + 7 * 8, 16


def check_binary_model(model: Path) -> None:
    """Refuse a model of which a binary file is cut off.

    Raises:
        CaptureError: With the name of the file.
    """
    walks = {"cameras": _camera, "images": _image, "points3D": _point, "rigs": _rig, "frames": _frame}
    for part, walk in walks.items():
        path = model / f"{part}.bin"
        if path.is_file():
            _check(path, walk)


def _check(path: Path, walk: Callable[[bytes, int], int]) -> None:
    data = path.read_bytes()
    try:
        (count,) = struct.unpack_from("<Q", data, 0)
        at = 8
        for _ in range(count):
            at = walk(data, at)
            if at > len(data):
                break
    except (struct.error, ValueError):
        at = len(data) + 1
    if at > len(data):
        raise CaptureError(
            f"The COLMAP model {path.parent} cannot be read: {path.name} is cut off. Copy or export it again."
        )


def _camera(data: bytes, at: int) -> int:
    _, model, _, _ = CAMERA.unpack_from(data, at)
    # Later models than these are refused by name afterwards; their sizes do not matter, only that this ends.
    parameters = PARAMETERS[model] if 0 <= model < len(PARAMETERS) else 0
    return at + CAMERA.size + 8 * parameters


def _image(data: bytes, at: int) -> int:
    end = data.index(b"\0", at + IMAGE_POSE, at + IMAGE_POSE + LONGEST_NAME) + 1
    return end + 8 + POINT_2D * struct.unpack_from("<Q", data, end)[0]


def _point(data: bytes, at: int) -> int:
    return at + POINT_3D + 8 + TRACK_ELEMENT * struct.unpack_from("<Q", data, at + POINT_3D)[0]


def _rig(data: bytes, at: int) -> int:
    (sensors,) = struct.unpack_from("<I", data, at + 4)
    at += 8 + (SENSOR if sensors else 0)  # The first sensor is the reference and has no pose.
    for _ in range(1, sensors):
        at += SENSOR + 1 + SENSOR_POSE * data[at + SENSOR : at + SENSOR + 1].count(1)
        if at > len(data):
            break
    return at


def _frame(data: bytes, at: int) -> int:
    return at + FRAME_POSE + 4 + FRAME_DATA * struct.unpack_from("<I", data, at + FRAME_POSE)[0]
