"""What `scene3d simulate` looks at before it begins: whether its video can be, and whether there is room for results.

Work that takes minutes is not to end with a flag that made no sense from the start or a folder that nobody may write.
"""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path

from scene3d._errors import OutputError, UsageError

__all__ = ["check_room", "check_video"]


def check_video(
    video: Path | None, camera: str | None, size: str | None, future: int, samples: int, *, overwrite: bool
) -> None:
    """Raises UsageError for flags that contradict each other, OutputError for a file that cannot be written."""
    from scene3d.cli._shots import parse_size

    if size is not None:
        parse_size(size)
    if video is None:
        if camera is not None or size is not None or future != 0:
            raise UsageError("--camera, --size and --future are of a video. Add --video FILE.mp4.")
        return
    if video.suffix.lower() != ".mp4":
        raise UsageError(f"Found --video {video}; videos are written as .mp4.")
    if not 0 <= future < samples:
        raise UsageError(f"There is no future {future}; --samples {samples} makes 0 to {samples - 1}.")
    if video.exists() and not overwrite:
        raise OutputError(f"{video} exists. Use --overwrite to replace it, or choose another --video.")
    reason = os.strerror(errno.EISDIR) if video.is_dir() else _closed(video.parent)
    if reason:
        raise OutputError(f"{video} cannot be written ({reason}). Choose another --video.")


def check_room(scene: Path) -> None:
    """Raises OutputError if no rollout can be saved in a scene folder."""
    from scene3d._rollout_folder import ROLLOUTS

    reason = _closed(scene / ROLLOUTS)
    if reason:
        raise OutputError(
            f"Nothing can be written to {scene / ROLLOUTS} ({reason}). Check its permissions, or copy the scene."
        )


def _closed(folder: Path) -> str:
    """Why nothing can be written into a folder, which need not be there yet; empty if something can."""
    nearest = folder.absolute()
    while not nearest.exists() and nearest != nearest.parent:
        nearest = nearest.parent
    if not nearest.is_dir():
        return os.strerror(errno.ENOTDIR)
    try:
        # Permissions alone do not tell: a disk may be read-only or full, and some folders take no files of anybody.
        with tempfile.TemporaryFile(dir=nearest):
            return ""
    except OSError as error:
        return error.strerror or str(error)
