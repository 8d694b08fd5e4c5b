"""A video -> the frames that show something new, as a folder of JPEG files.

The video is read twice: first small and grey, to follow the motion and to judge sharpness (`follow`, `choose`), then at
full size for the chosen frames only. The folder appears whole or not at all. It remembers which video it was made of,
so that the same video is not read again.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from scene3d._errors import CaptureError, OutputError
from scene3d.capture._blur import BLURRED_FROM
from scene3d.capture._checks import FEWEST_VIEWS
from scene3d.capture._photo_set import PhotoFile, PhotoSet
from scene3d.capture._video_choice import STEP, choose
from scene3d.capture._video_color import upright_rgb
from scene3d.capture._video_file import Damage, VideoInfo, decoded, probe
from scene3d.capture._video_motion import Motion, follow
from scene3d.files._atomic import cannot_write

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

__all__ = ["MOST_FRAMES", "extract_frames"]

MOST_FRAMES = 150
"""More photos of one place mostly cost time."""
QUALITY = 95
RECORD = ".frames.json"
VERSION = 1
"""Of the way in which frames are chosen."""
CHOOSING = 0.6
"""Share of all work that is done when the frames are chosen."""
CUT_SHORT = 0.9
"""With less than this share of its announced length a video counts as cut short."""
OWN = re.compile(r"frame_\d{6}\.jpg|\.frames\.json")
FILM_IT = "Film for about a minute while walking slowly round the place."


@dataclass(frozen=True)
class _Record:
    """What a folder of frames was made of and holds."""

    mark: str
    names: list[str]
    width: int
    height: int
    focal: float | None
    notes: list[str]


def extract_frames(
    video: Path, folder: Path, *, most: int = MOST_FRAMES, progress: Callable[[float], None] | None = None
) -> PhotoSet:
    """Write the frames of a video that show something new, the sharpest of each stretch.

    Args:
        video: Video file of any kind that FFmpeg's libraries read.
        folder: Folder to make for ``frame_000123.jpg`` and so on, numbered as in the video. When it is there it must
            hold nothing but frames of an earlier call, which are replaced, or kept when they are of the same video.
        most: Largest number of frames; a longer way of the camera is then covered in larger steps.
        progress: Called with the share of the work done, 0 to 1.

    Returns:
        Upright 8-bit sRGB photos in order of time.

    Raises:
        CaptureError: No video, a damaged one, or fewer than three different views in it.
        OutputError: The folder cannot be written or holds other files.
    """
    if most < FEWEST_VIEWS:
        raise CaptureError(f"At least {FEWEST_VIEWS} frames are needed, found a limit of {most}.")
    report = progress or (lambda _: None)
    info = probe(video)
    _require_free(folder)
    mark = _mark(video, most)
    record = _stored(folder, mark)
    if record is None:
        motion, damage = _motion(info, report)
        chosen, step = choose(motion, most)
        _require_views(motion, chosen, info)
        names = [f"frame_{motion.frames[k].number:06d}.jpg" for k in chosen]
        notes = _notes(info, motion, chosen, damage, step)
        record = _Record(mark, names, info.width, info.height, info.focal, notes)
        _write(info, record, folder, lambda number: report(CHOOSING + (1 - CHOOSING) * number / motion.total))
    report(1.0)
    files = tuple(
        PhotoFile(name, folder / name, record.width, record.height, record.focal, lens="video") for name in record.names
    )
    return PhotoSet(video, files, ordered=True, source="video", notes=tuple(record.notes))


def _mark(video: Path, most: int) -> str:
    found = video.stat()
    return f"{VERSION}|{video.name}|{found.st_size}|{found.st_mtime_ns}|{most}"


def _stored(folder: Path, mark: str) -> _Record | None:
    """The record of a folder that holds the frames of this very video."""
    try:
        record = _Record(**json.loads((folder / RECORD).read_bytes()))
        whole = record.mark == mark and all(OWN.fullmatch(name) and (folder / name).is_file() for name in record.names)
        return record if whole and len(record.names) >= FEWEST_VIEWS else None
    except (OSError, ValueError, TypeError):
        return None


def _require_free(folder: Path) -> None:
    if not folder.exists():
        return
    foreign = [folder] if not folder.is_dir() else [p for p in sorted(folder.iterdir()) if not OWN.fullmatch(p.name)]
    if foreign:
        raise OutputError(
            f"{folder} holds other things than frames of a video: {foreign[0].name}. Choose another folder."
        )


def _motion(info: VideoInfo, report: Callable[[float], None]) -> tuple[Motion, Damage]:
    damage = Damage()
    length = max(info.seconds, 1e-3)
    with decoded(info.path, damage) as frames:
        motion = follow(frames, lambda time: report(CHOOSING * min(1.0, time / length)))
    return motion, damage


def _require_views(motion: Motion, chosen: Sequence[int], info: VideoInfo) -> None:
    if len(chosen) >= FEWEST_VIEWS:
        return
    if motion.total <= 1:
        raise CaptureError(f"{info.path} has only one frame, but a scene needs views from different places. {FILM_IT}")
    last = motion.frames[-1].time - motion.frames[0].time
    views = "one view" if len(chosen) == 1 else f"{len(chosen)} different views"
    raise CaptureError(
        f"The camera hardly moves in {info.path}: its {motion.total} frames ({last:.1f} s) show only {views}, "
        f"but at least {FEWEST_VIEWS} are needed. {FILM_IT}"
    )


def _write(info: VideoInfo, record: _Record, folder: Path, reached: Callable[[int], None]) -> None:
    """Decode again and write the chosen frames beside the folder, then put them in its place."""
    draft = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    try:
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        _write_frames(info, {_number(name): draft / name for name in record.names}, reached)
        (draft / RECORD).write_text(json.dumps(asdict(record)))
        shutil.rmtree(folder, ignore_errors=True)
        draft.rename(folder)
    except OSError as error:
        raise cannot_write(folder, error, 0) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _write_frames(info: VideoInfo, paths: dict[int, Path], reached: Callable[[int], None]) -> None:
    import cv2

    left = dict(paths)
    with decoded(info.path, Damage()) as frames:
        for number, frame in enumerate(frames):
            if number in left:
                bgr = cv2.cvtColor(upright_rgb(frame, info), cv2.COLOR_RGB2BGR)
                _, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
                left.pop(number).write_bytes(data.tobytes())
                reached(number + 1)
            if not left:
                return
    raise CaptureError(f"{info.path} changed while it was read. Try again when it is complete.")


def _number(name: str) -> int:
    return int(name.removeprefix("frame_").removesuffix(".jpg"))


def _notes(info: VideoInfo, motion: Motion, chosen: Sequence[int], damage: Damage, step: float) -> list[str]:
    blurred = sum(motion.frames[k].blur >= BLURRED_FROM for k in chosen)
    notes = [f"{len(chosen)} of {motion.total} frames show something new and were kept, the sharpest of each stretch."]
    if step > 1.5 * STEP:
        notes.append(f"The camera went a long way: frames are {100 * step:.0f} % of the picture's width apart.")
    if blurred:
        notes.append(f"{blurred} of the kept frames are blurred, because all frames around them are.")
    jumps = [frame.time for frame in motion.frames if frame.jumped]
    if jumps:
        times = ", ".join(f"{time:.1f} s" for time in jumps[:5]) + (" and later" if len(jumps) > 5 else "")
        notes.append(f"The picture jumps to another view at {times}; parts that share nothing cannot be joined.")
    if info.transfer != "sdr":
        notes.append(
            f"The video is HDR ({info.transfer.upper()}, {info.bits} bits); frames were converted to 8-bit sRGB."
        )
    read = motion.frames[-1].time if motion.frames else 0.0
    if damage.ended or (info.seconds and read < CUT_SHORT * info.seconds - 1 / max(info.rate, 1.0)):
        notes.append(f"The file ends early: {read:.1f} of {info.seconds:.1f} s could be read.")
    elif damage.packets:
        notes.append(f"{damage.packets} damaged pieces of the file were passed over.")
    return notes
