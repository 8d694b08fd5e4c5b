"""Files appear whole or not at all.

Bytes go to a temporary file in the same folder, are flushed to the disk and renamed over the target. Whatever goes
wrong removes the temporary file and becomes an `OutputError` that says what to do; a killed process leaves only a file
that starts with a dot and ends in ``.tmp``.
"""

from __future__ import annotations

import errno
import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from scene3d._errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["make_folder", "sync_folder", "write_atomic"]

MB = 1_000_000
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def write_atomic(path: Path, parts: Iterable[bytes], *, size: int | None = None) -> None:
    """Write a file whole.

    Args:
        path: Target; replaced when it exists. Its folder must exist.
        parts: Contents, in order; produced while writing, so that a large file is never in memory as a whole.
        size: Size of the whole [bytes] for the message about a full disk; None when `parts` is a sequence.

    Raises:
        OutputError: The disk is full or the folder cannot be written.
    """
    if size is None:
        parts = list(parts)
        size = sum(len(part) for part in parts)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            for part in parts:
                file.write(part)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        sync_folder(path.parent)
    except BaseException as error:
        with suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError):
            raise cannot_write(path, error, size) from error
        raise


def make_folder(folder: Path) -> None:
    """Create a folder and its parents."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(folder, error, 0) from error


def sync_folder(folder: Path) -> None:
    """Make renames within a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def cannot_write(path: Path, error: OSError, size: int) -> OutputError:
    """The message for a failed write of `size` bytes."""
    if error.errno not in FULL:
        reason = error.strerror or error
        return OutputError(f"{path} cannot be written ({reason}). Choose another --out, or check its permissions.")
    with suppress(OSError):
        free = shutil.disk_usage(path.parent).free
        return OutputError(
            f"The disk is full: {path} needs {size / MB:.1f} MB and {free / MB:.1f} MB are free. "
            "Free some space, or choose another --out."
        )
    return OutputError(f"The disk is full: {path} needs {size / MB:.1f} MB. Free some space, or choose another --out.")
