"""Which files of an RGB-D folder belong together: colour, depth and pose of each frame.

Three layouts are known. ``frames``: files ``frame-000000.color.jpg``, ``.depth.png``, ``.pose.txt`` side by side.
``folders``: ``color/0.jpg``, ``depth/0.png``, ``pose/0.txt``. ``stamps``: ``rgb.txt``, ``depth.txt`` and
``groundtruth.txt`` list files and poses with times, which are paired when they lie within 20 ms; a pose between two of
the list is interpolated. The first two store millimetres, the last 1/5000 m.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from scene3d._errors import CaptureError
from scene3d.capture._checks import pose_matrix

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["Frame", "find_layout", "list_frames", "read_numbers"]

Layout = Literal["frames", "folders", "stamps"]
PHOTOS = (".jpg", ".png", ".jpeg", ".JPG", ".PNG")
LARGEST_MATRIX = 64 * 1024
"""Bytes of a pose or a camera matrix."""
LARGEST_LIST = 64 * 1024 * 1024
"""Bytes of a list with time stamps."""
SAME_TIME = 0.02
"""Longest time between a photo and its depth or pose [s]."""
LONGEST_GAP = 0.1
"""Poses are interpolated between two that are no farther apart [s]."""


@dataclass(frozen=True)
class Frame:
    """Files and pose of one frame."""

    name: str
    """Path of the photo relative to the capture."""
    color: Path
    """Photo."""
    depth: Path | None
    """Depth map, None when there is none."""
    T_world_cam: NDArray[np.float64]
    """Camera-to-world in OpenCV axes [m], shape (4, 4); not finite where tracking was lost."""
    where: str
    """File of the pose, for messages."""


def find_layout(folder: Path) -> Layout | None:
    """How the files of a folder are laid out; None when it holds no RGB-D frames."""
    if not folder.is_dir():
        return None
    if next(folder.glob("*.pose.txt"), None) is not None:
        return "frames"
    if all((folder / name).is_dir() for name in ("color", "depth", "pose")):
        return "folders"
    if all((folder / name).is_file() for name in ("rgb.txt", "groundtruth.txt")):
        return "stamps"
    return None


def list_frames(folder: Path, notes: list[str]) -> tuple[list[Frame], float]:
    """The frames of a folder in the order of recording, and the length of one unit of depth [m].

    A note tells how many photos have no pose.

    Raises:
        CaptureError: There are none, or a pose cannot be read.
    """
    match find_layout(folder):
        case "frames":
            frames, unit = _side_by_side(folder), 1e-3
            photos = sum(1 for _ in folder.glob("*.color.*"))
        case "folders":
            frames, unit = _in_folders(folder), 1e-3
            photos = sum(path.suffix in PHOTOS for path in (folder / "color").iterdir())
        case "stamps":
            frames, unit = _with_stamps(folder), 1 / 5000
            photos = len(frames)  # Those without a pose have one that is not finite.
        case None:
            frames, unit, photos = [], 1e-3, 0
    if not frames:
        raise CaptureError(
            f"{folder} holds no RGB-D frames. Each needs a photo frame-000000.color.jpg (or .png), a camera-to-world "
            "matrix frame-000000.pose.txt and depth in millimetres frame-000000.depth.png."
        )
    if photos > len(frames):
        notes.append(f"{photos - len(frames)} of {photos} photos have no pose and were left out.")
    return frames, unit


def _side_by_side(folder: Path) -> list[Frame]:
    frames = []
    for pose in sorted(folder.glob("*.pose.txt")):
        stem = pose.name.removesuffix(".pose.txt")
        color = _existing(folder, f"{stem}.color", PHOTOS)
        if color is not None:
            depth = _existing(folder, f"{stem}.depth", (".png", ".exr", ".npy"))
            frames.append(Frame(color.name, color, depth, _matrix(pose), str(pose)))
    return frames


def _in_folders(folder: Path) -> list[Frame]:
    poses = sorted((folder / "pose").glob("*.txt"), key=lambda path: (len(path.stem), path.stem))
    frames = []
    for pose in poses:
        color = _existing(folder / "color", pose.stem, PHOTOS)
        if color is not None:
            depth = _existing(folder / "depth", pose.stem, (".png", ".exr", ".npy"))
            frames.append(Frame(f"color/{color.name}", color, depth, _matrix(pose), str(pose)))
    return frames


def _existing(folder: Path, stem: str, endings: tuple[str, ...]) -> Path | None:
    return next((path for ending in endings if (path := folder / f"{stem}{ending}").is_file()), None)


def _matrix(path: Path) -> NDArray[np.float64]:
    numbers = read_numbers(path)
    if numbers.shape != (4, 4):
        raise CaptureError(f"{path} must hold a 4x4 camera-to-world matrix, four numbers a line.")
    return numbers


def read_numbers(path: Path, largest: int = LARGEST_MATRIX) -> NDArray[np.float64]:
    """The numbers in a text file, one row a line, separated by blanks or commas; ``#`` starts a comment.

    Raises:
        CaptureError: The file is absent, too large, or holds something else.
    """
    rows = [line.replace(",", " ").split() for line in _lines(path, largest)]
    try:
        return np.array([[float(word) for word in row] for row in rows], dtype=np.float64)
    except ValueError as error:
        raise CaptureError(f"{path} must hold rows of numbers ({error}).") from error


def _lines(path: Path, largest: int) -> list[str]:
    """The lines of a text file that are neither empty nor comments."""
    try:
        if path.stat().st_size > largest:
            raise CaptureError(f"{path} is larger than {largest // 1024} KiB, which no such file is.")
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise CaptureError(f"{path} cannot be read ({error.strerror}).") from error
    lines = (line.split("#", 1)[0].strip() for line in text.splitlines())
    return [line for line in lines if line]


def _with_stamps(folder: Path) -> list[Frame]:
    truth = read_numbers(folder / "groundtruth.txt", LARGEST_LIST)
    if truth.ndim != 2 or truth.shape[1] != 8 or len(truth) < 2:
        raise CaptureError(f"{folder / 'groundtruth.txt'} must hold lines 'time tx ty tz qx qy qz qw'.")
    truth = truth[np.isfinite(truth[:, 0])]
    truth = truth[np.argsort(truth[:, 0], kind="stable")]
    color_times, color_names = _stamped(folder / "rgb.txt")
    has_depth = (folder / "depth.txt").is_file()
    depth_times, depth_names = _stamped(folder / "depth.txt") if has_depth else (np.empty(0), [])
    frames = []
    for time, name in zip(color_times, color_names, strict=True):
        if not (folder / name).is_file():
            continue
        depth = None
        if len(depth_times):
            nearest = int(np.abs(depth_times - time).argmin())
            if abs(depth_times[nearest] - time) <= SAME_TIME:
                depth = folder / depth_names[nearest]
        depth = depth if depth is not None and depth.is_file() else None
        frames.append(Frame(name, folder / name, depth, _pose_at(truth, time), f"{folder / 'groundtruth.txt'}, {name}"))
    return frames


def _stamped(path: Path) -> tuple[NDArray[np.float64], list[str]]:
    """Times [s] and relative file names of a list."""
    times, names = [], []
    for line in _lines(path, LARGEST_LIST):
        words = line.split(maxsplit=1)
        try:
            times.append(float(words[0]))
            names.append(words[1])
        except (ValueError, IndexError) as error:
            raise CaptureError(f"{path} must hold lines 'time file'; found {line[:80]!r}.") from error
    return np.array(times, dtype=np.float64), names


def _pose_at(truth: NDArray[np.float64], time: float) -> NDArray[np.float64]:
    """Pose (4, 4) at a time [s] between two of the list (N, 8); NaN when the list has a gap there."""
    after = int(np.clip(np.searchsorted(truth[:, 0], time), 1, len(truth) - 1))
    a, b = truth[after - 1], truth[after]
    if not (a[0] - SAME_TIME <= time <= b[0] + SAME_TIME):
        return np.full((4, 4), np.nan)
    share = float(np.clip((time - a[0]) / max(b[0] - a[0], 1e-9), 0.0, 1.0))
    if b[0] - a[0] > LONGEST_GAP:
        if min(time - a[0], b[0] - time) > SAME_TIME:
            return np.full((4, 4), np.nan)
        share = round(share)
    # Between neighbours of a 100 Hz track, the normalised straight line is the great arc.
    quat_xyzw = (1 - share) * a[4:] + share * (b[4:] if a[4:] @ b[4:] >= 0 else -b[4:])
    return pose_matrix((1 - share) * a[1:4] + share * b[1:4], quat_xyzw)
