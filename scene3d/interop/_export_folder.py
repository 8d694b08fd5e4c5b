"""A folder of many files that appears whole or not at all.

Files are written into a hidden folder beside the target, which is then renamed. Each such folder carries a list of
what was written into it; with that list a later export knows what it may replace. A folder that holds anything else is
never touched.
"""

from __future__ import annotations

import json
import os
import shutil
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from scene3d._errors import OutputError
from scene3d.files._atomic import cannot_write, make_folder, sync_folder, write_atomic

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["MANIFEST", "new_export"]

MANIFEST = ".scene3d-export.json"
"""Lists the files of an export, relative to its folder."""
LARGEST_MANIFEST = 64 * 1024 * 1024
"""Bytes; a million files."""


@contextmanager
def new_export(folder: Path | str, *, overwrite: bool) -> Iterator[Path]:
    """Give an empty folder to write into, which takes the place of `folder` when the block ends without an error.

    Raises:
        OutputError: `folder` is a file, holds an export and `overwrite` is False, holds other files, or the disk is
            full.
    """
    target = Path(folder).resolve()
    _require_free(target, overwrite)
    make_folder(target.parent)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    old = target.with_name(f".{target.name}.{os.getpid()}.old")
    try:
        temporary.mkdir()
        yield temporary
        files = sorted(path.relative_to(temporary).as_posix() for path in _files(temporary))
        manifest = json.dumps({"made_by": "scene3d", "files": files}, indent=1)
        write_atomic(temporary / MANIFEST, [manifest.encode()])
        # Again: somebody may have put files there in between.
        _require_free(target, overwrite)
        _swap(temporary, target, old)
    except OSError as error:
        shutil.rmtree(temporary, ignore_errors=True)
        raise cannot_write(target, error, 0) from error
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    _remove_listed(old)


def _require_free(target: Path, overwrite: bool) -> None:
    if target.exists() and not target.is_dir():
        raise OutputError(f"{target} is a file; choose another folder.")
    if not target.is_dir() or not any(target.iterdir()):
        return
    ours = _listed(target)
    if ours is None:
        raise OutputError(
            f"{target} holds files that no export wrote and will not be overwritten. Choose an empty folder."
        )
    foreign = next((path for path in _files(target) if path.relative_to(target).as_posix() not in ours), None)
    if foreign is not None:
        raise OutputError(
            f"{target} holds {foreign.relative_to(target)}, which the export there did not write. "
            "Move it away, or choose another folder."
        )
    if not overwrite:
        raise OutputError(f"{target} holds an export already; pass overwrite=True, or choose another folder.")


def _listed(folder: Path) -> set[str] | None:
    """Files that the export in a folder wrote, None when there is none."""
    path = folder / MANIFEST
    try:
        if path.stat().st_size > LARGEST_MANIFEST:
            return None
        document = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    files = document.get("files") if isinstance(document, dict) and document.get("made_by") == "scene3d" else None
    if not isinstance(files, list) or not all(isinstance(name, str) for name in files):
        return None
    return {*files, MANIFEST}


def _files(folder: Path) -> Iterator[Path]:
    """Everything below a folder that is no folder itself; links are not followed."""
    for root, _, names in os.walk(folder):
        yield from (Path(root, name) for name in names)
        yield from (path for path in Path(root).iterdir() if path.is_symlink() and path.is_dir())


def _swap(temporary: Path, target: Path, old: Path) -> None:
    """Put the new folder in the place of the target; what was there goes to `old`."""
    if not target.exists():
        os.rename(temporary, target)
    else:
        os.rename(target, old)
        try:
            os.rename(temporary, target)
        except BaseException:
            os.rename(old, target)
            raise
    sync_folder(target.parent)


def _remove_listed(old: Path) -> None:
    """Delete a replaced export file by file, so that a file that is not its own would stay."""
    ours = _listed(old) or set[str]()
    for name in [path.relative_to(old).as_posix() for path in _files(old)]:
        if name in ours:
            with suppress(OSError):
                (old / name).unlink()
    for root, _, _ in os.walk(old, topdown=False):
        with suppress(OSError):
            os.rmdir(root)
