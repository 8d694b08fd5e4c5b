"""A path -> what it holds -> the reader that understands it.

`find_source` names the kind from file names alone. `read_posed` calls the reader of a kind that has poses,
`read_photo_set` that of a kind that has none; `read_capture` does whichever fits and solves poses where they are
missing. Archives are unpacked first, into the work folder.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from scene3d._errors import CaptureError, UsageError
from scene3d.capture._mask_mode import photos_with_mask_mode, with_mask_mode

if TYPE_CHECKING:
    from collections.abc import Callable

    from scene3d.capture._capture import Capture, MaskMode
    from scene3d.capture._photo_set import PhotoSet

__all__ = [
    "FORMATS",
    "SourceKind",
    "find_source",
    "has_poses",
    "is_archive",
    "read_capture",
    "read_photo_set",
    "read_posed",
]

SourceKind = Literal["transforms", "colmap", "rgbd", "polycam", "record3d", "photos", "video"]
FORMATS: tuple[SourceKind, ...] = get_args(SourceKind)
"""What ``--format`` takes."""
PHOTOS = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".heic", ".heif", ".avif", ".mpo")
VIDEOS = (".mp4", ".mov", ".m4v", ".avi", ".mkv", ".webm", ".mts", ".3gp")
ARCHIVES = (".zip", ".r3d")
ACCEPTED = (
    "Accepted are a folder of photos, a video, an RGB-D folder (frame-*.color.jpg, .depth.png, .pose.txt), a Polycam "
    "or Record3D export, a COLMAP folder (images/ and sparse/0), a transforms.json, and a .zip of one of these."
)


def find_source(path: Path | str, format: str | None = None) -> SourceKind:
    """What a path holds, by the names of its files.

    Args:
        path: File or folder.
        format: Take it for this kind, one of `FORMATS`, instead of looking.

    Raises:
        CaptureError: Nothing that is read.
        UsageError: There is no such format.
    """
    path = Path(path)
    if format is not None and format not in FORMATS:
        raise UsageError(f"Found --format {format}; accepted are {', '.join(FORMATS)}.")
    if not path.exists():
        raise CaptureError(f"{path} does not exist. {ACCEPTED}")
    if format is not None:
        return format
    return _kind_of_file(path) if path.is_file() else _kind_of_folder(path)


def is_archive(path: Path | str) -> bool:
    """Whether a path is an archive that has to be unpacked before one can tell what it holds."""
    return Path(path).suffix.lower() in ARCHIVES and Path(path).is_file()


def has_poses(kind: SourceKind) -> bool:
    """Whether captures of this kind come with camera poses."""
    return kind not in ("photos", "video")


def read_posed(path: Path | str, kind: SourceKind, *, mask_mode: MaskMode = "ignore") -> Capture:
    """Read a capture that has poses.

    Raises:
        CaptureError: It is damaged or incomplete.
    """
    path = Path(path)
    match kind:
        case "transforms":
            from scene3d.capture._transforms_json import read_transforms_json

            return read_transforms_json(path / "transforms.json" if path.is_dir() else path, mask_mode=mask_mode)
        case "colmap":
            from scene3d.capture._colmap import read_colmap

            return read_colmap(path, mask_mode=mask_mode)
        case "rgbd":
            from scene3d.capture._rgbd import read_rgbd

            return read_rgbd(path, mask_mode=mask_mode)
        case "polycam":
            from scene3d.capture._polycam import read_polycam

            return read_polycam(path, mask_mode=mask_mode)
        case "record3d":
            from scene3d.capture._record3d import read_record3d

            return read_record3d(path, mask_mode=mask_mode)
        case _:
            raise CaptureError(f"{path} holds {kind} without poses; they have to be solved first.")


def read_photo_set(
    path: Path | str,
    kind: SourceKind,
    *,
    work: Path,
    mask_mode: MaskMode = "ignore",
    progress: Callable[[str, float], None] | None = None,
) -> PhotoSet:
    """List a folder of photos, or take the sharp frames of a video.

    Args:
        path: Folder of photos or video file.
        kind: ``photos`` or ``video``.
        work: Folder for the frames of a video.
        mask_mode: What black pixels of masks mean.
        progress: Called with what is being done and the share done, 0 to 1.

    Raises:
        CaptureError: Too few photos, or a video that cannot be used.
    """
    path = Path(path)
    if kind == "video":
        from scene3d.capture._video_frames import extract_frames

        report = None if progress is None else lambda share: progress("choosing frames", share)
        return extract_frames(path, work / "images", progress=report)
    from scene3d.capture._photo_folder import list_photos

    return list_photos(path, mask_mode=mask_mode)


def read_capture(
    path: Path | str,
    *,
    format: str | None = None,
    mask_mode: MaskMode | None = None,
    work: Path | str | None = None,
    seed: int = 0,
    progress: Callable[[str, float], None] | None = None,
) -> Capture:
    """Read a capture, whatever made it; photos and videos get their poses from structure from motion.

    Args:
        path: Folder or file: photos, a video, RGB-D frames, a Polycam or Record3D export, a COLMAP folder or a
            transforms.json, or a .zip of one of them.
        format: Kind of capture, one of `FORMATS`; None finds out.
        mask_mode: What black pixels of masks mean; None takes ``alpha`` where they leave out more than half.
        work: Folder that keeps unpacked archives, frames of videos and solved poses, which are taken up again when it
            holds those of the same photos. None forgets solved poses and refuses archives and videos.
        seed: Seed of everything random in solving poses.
        progress: Called with what is being done and the share done, 0 to 1.

    Raises:
        CaptureError: Nothing that can be read or used, with what was found and what is accepted.
        UsageError: There is no such format.
    """
    path = _unpacked(Path(path), work)
    kind = find_source(path, format)
    if has_poses(kind):
        capture = read_posed(path, kind, mask_mode=mask_mode or "ignore")
        return capture if mask_mode else with_mask_mode(capture)
    import tempfile

    from scene3d.capture._solve_poses import solve_poses

    if work is None and kind == "video":
        raise CaptureError(f"{path} is a video: its frames need a folder. Pass work=FOLDER.")
    with tempfile.TemporaryDirectory(prefix="scene3d-") as scratch:
        folder = Path(scratch if work is None else work)
        photos = read_photo_set(path, kind, work=folder, mask_mode=mask_mode or "ignore", progress=progress)
        photos = photos if mask_mode else photos_with_mask_mode(photos)
        return solve_poses(photos, folder, seed=seed, progress=progress)


def _unpacked(path: Path, work: Path | str | None) -> Path:
    if not is_archive(path):
        return path
    if work is None:
        raise CaptureError(f"{path} is an archive: unpacking it needs a folder. Unpack it, or pass work=FOLDER.")
    from scene3d.capture._zip_folder import unpack

    return unpack(path, Path(work) / "unpacked")


def _kind_of_file(path: Path) -> SourceKind:
    suffix = path.suffix.lower()
    if suffix == ".json":
        return "transforms"
    if suffix in VIDEOS:
        return "video"
    if suffix in PHOTOS:
        raise CaptureError(f"{path} is a single photo, but a scene needs at least 3. Give the folder that holds them.")
    raise CaptureError(f"{path} is a file of a kind that is not read. {ACCEPTED}")


def _kind_of_folder(folder: Path) -> SourceKind:
    from scene3d.capture._colmap import find_model
    from scene3d.capture._polycam import looks_like_polycam
    from scene3d.capture._record3d import looks_like_record3d
    from scene3d.capture._rgbd import looks_like_rgbd

    if (folder / "transforms.json").is_file():
        return "transforms"
    if find_model(folder) is not None:
        return "colmap"
    if looks_like_polycam(folder):
        return "polycam"
    if looks_like_record3d(folder):
        return "record3d"
    if looks_like_rgbd(folder):
        return "rgbd"
    return _photos_or_nothing(folder)


def _photos_or_nothing(folder: Path) -> SourceKind:
    entries = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    if not entries:
        raise CaptureError(f"{folder} is empty. {ACCEPTED}")
    below = [file for entry in entries if entry.is_dir() for file in entry.iterdir()]
    if any(entry.suffix.lower() in PHOTOS for entry in [*entries, *below]):
        return "photos"
    videos = [entry for entry in entries if entry.suffix.lower() in VIDEOS]
    if len(videos) == 1:
        raise CaptureError(f"{folder} holds no photos but a video. Give the video itself: {videos[0]}")
    raise CaptureError(f"{folder} holds no photos. {ACCEPTED}")
