"""Photos -> what a quick look at each of them says: sharp or not, bright or dark, empty or not.

`CheckPhoto` is a photo whatever it came from: a folder, a posed capture, or a sampled frame of a video. Each is decoded
once, small, and only its grey values are kept, for `find_overlap`. Printed markers are searched at full size, in some
of the photos.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from scene3d._errors import CaptureError
from scene3d.capture._blur import blur
from scene3d.capture._capture import View
from scene3d.capture._sfm_copies import FLAT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from scene3d.capture._photo_set import PhotoSet
    from scene3d.capture._video_file import VideoInfo

__all__ = ["CheckPhoto", "Look", "from_photo_set", "from_views", "look_at", "markers_in", "spread", "video_samples"]

LONGEST_SIDE = 480
FULL_PASS = 900
"""Frames of a video that are decoded to take samples when it has few key frames."""
FEWEST_SAMPLES = 12


@dataclass(frozen=True)
class CheckPhoto:
    """One photo to look at."""

    name: str
    """Name for the user."""
    view: View
    """How to load it; of an unposed photo the camera is made up and only its size is meant."""
    lens: str = ""
    """Photos of one camera and zoom have this in common."""
    focal: bool = False
    """Whether its focal length is known."""


@dataclass(frozen=True)
class Look:
    """What one photo shows."""

    grey: NDArray[np.uint8]
    """Upright grey values, at most 480 pixels wide or high."""
    blur: float
    """From 0 (sharp) to 1 (smeared)."""
    light: float
    """Logarithm to base 2 of the mean linear light; 0 for white."""
    flat: bool
    """Shows one colour only."""


def from_views(views: Sequence[View]) -> list[CheckPhoto]:
    """Photos of a posed capture."""
    return [CheckPhoto(view.name, view, focal=True) for view in views]


def from_photo_set(photos: PhotoSet) -> list[CheckPhoto]:
    """Photos without poses."""
    return [
        CheckPhoto(
            file.name, _unposed(file.name, file.path, file.width, file.height), file.lens, file.focal is not None
        )
        for file in photos.files
    ]


def _unposed(name: str, path: Path, width: int, height: int) -> View:
    import torch

    from scene3d._camera import Camera

    return View(name, path, Camera.from_fov(width, height, 1.0, torch.eye(4)), upright=True)


def spread(count: int, most: int) -> list[int]:
    """At most ``most`` indices below ``count``, evenly spread."""
    return sorted({round(k) for k in np.linspace(0, count - 1, min(count, most))})


def look_at(
    photos: Sequence[CheckPhoto], *, threads: int = 2, progress: Callable[[float], None] | None = None
) -> list[Look | None]:
    """Look at photos in their order; None for those that cannot be decoded."""
    looks: list[Look | None] = []
    with ThreadPoolExecutor(max(1, threads)) as pool:
        for look in pool.map(_look, photos):
            looks.append(look)
            if progress is not None:
                progress(len(looks) / len(photos))
    return looks


def _look(photo: CheckPhoto) -> Look | None:
    import cv2

    from scene3d.capture._decode import decode_upright

    try:
        rgb = decode_upright(photo.view.path, LONGEST_SIDE)
    except CaptureError:
        return None
    grey = np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), np.uint8)
    linear = (grey / 255.0) ** 2.2
    return Look(grey, blur(grey), float(np.log2(max(float(linear.mean()), 1e-4))), float(grey.std()) < FLAT)


def markers_in(photos: Sequence[CheckPhoto], *, threads: int = 2) -> dict[str, int]:
    """In how many of the photos each printed marker is seen, most seen first; e.g. ``4X4_50 id 0``.

    What was seen in one photo only is often no marker, so it counts only where there is nothing better.
    """
    from scene3d.capture._marker_search import find_markers

    seen: dict[str, set[int]] = {}
    for found in find_markers([photo.view for photo in photos], threads=threads):
        seen.setdefault(f"{found.dictionary.removeprefix('DICT_')} id {found.id}", set()).add(found.view)
    counts = sorted(((name, len(views)) for name, views in seen.items()), key=lambda item: (-item[1], item[0]))
    return dict([item for item in counts if item[1] > 1] or counts)


def video_samples(info: VideoInfo, folder: Path, most: int) -> list[CheckPhoto]:
    """Frames of a video, evenly spread, written into a folder: key frames, which are found without decoding the rest.

    Raises:
        CaptureError: The video cannot be read.
    """
    import cv2

    from scene3d.capture._video_color import upright_rgb

    photos = []
    for frame in _sampled(info.path, most):
        name = f"at {float(frame.time or 0.0):.1f} s"
        path = folder / f"{len(photos):03d}.png"
        bgr = cv2.cvtColor(upright_rgb(frame, info), cv2.COLOR_RGB2BGR)
        cv2.imwrite(str(path), bgr, [cv2.IMWRITE_PNG_COMPRESSION, 1])
        photos.append(CheckPhoto(name, _unposed(name, path, info.width, info.height), "video", info.focal is not None))
    return photos


def _sampled(video: Path, most: int) -> Iterator[Any]:
    from scene3d.capture._video_file import Damage, count_packets, decoded

    packets, keys = count_packets(video)
    enough = keys >= FEWEST_SAMPLES
    wanted = set(spread(keys if enough else min(packets, FULL_PASS), most))
    with decoded(video, Damage(), key_frames_only=enough) as frames:
        for number, frame in enumerate(frames):
            if number in wanted:
                yield frame
            if number >= max(wanted, default=0):
                return
