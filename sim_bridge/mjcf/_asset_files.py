"""A description and the meshes that it names appear together: texts in, a file and a folder beside it out.

The folder is filled under a temporary name first. Renaming it and then the file are the last two steps; if the second
fails, the first is undone, so that what was there before is still there.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from typing import TYPE_CHECKING

from scene3d._errors import OutputError
from scene3d.files._atomic import cannot_write, make_folder, write_atomic

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["publish"]

OURS = frozenset({".obj", ".urdf"})
"""Of files that an earlier export may have left in the folder; anything else is the user's."""


def publish(path: Path, text: bytes, folder: Path, files: Mapping[str, bytes], *, overwrite: bool) -> tuple[Path, ...]:
    """Write a file and a folder of files beside it, whole or not at all.

    Args:
        path: The file.
        text: What is in it.
        folder: The folder, in the same one as `path`.
        files: Contents by name within the folder, with forward slashes.
        overwrite: Replace what is there.

    Returns:
        All files, `path` first.

    Raises:
        OutputError: Something is there already, holds what is no export's, or cannot be written.
    """
    _check_free(path, folder, overwrite)
    make_folder(path.parent)
    fresh = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    earlier = folder.with_name(f".{folder.name}.{os.getpid()}.old")
    try:
        for name, data in files.items():
            make_folder((fresh / name).parent)
            write_atomic(fresh / name, [data])
        _swap(path, text, folder, fresh, earlier)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return path, *(folder / name for name in files)


def _swap(path: Path, text: bytes, folder: Path, fresh: Path, earlier: Path) -> None:
    try:
        if folder.exists():
            folder.rename(earlier)
        if fresh.exists():
            fresh.rename(folder)
        write_atomic(path, [text])
    except BaseException as error:
        if earlier.exists():
            shutil.rmtree(folder, ignore_errors=True)
            with suppress(OSError):
                earlier.rename(folder)
        elif not fresh.exists():
            shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, OSError):
            raise cannot_write(path, error, len(text)) from error
        raise
    shutil.rmtree(earlier, ignore_errors=True)


def _check_free(path: Path, folder: Path, overwrite: bool) -> None:
    try:
        there = next((place for place in (path, folder) if place.exists() or place.is_symlink()), None)
    except OSError as error:  # A name that is too long, for one.
        raise cannot_write(path, error, 0) from error
    if there is None:
        return
    if not overwrite:
        raise OutputError(f"{there} is there already. Choose another name, or pass --overwrite to replace it.")
    if path.is_dir() or folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise OutputError(f"{path.name} is a file and {folder.name} its folder, but {there} is something else.")
    foreign = (place for place in folder.rglob("*") if not place.is_dir() and place.suffix.lower() not in OURS)
    kept = next(foreign, None)
    if kept is not None:
        raise OutputError(f"{folder} would be replaced, but {kept} is no mesh of an export. Move it elsewhere first.")
