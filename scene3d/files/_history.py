""".history: earlier versions of scene.yaml, and going back and forth between them.

    .history/000001.yaml ...       the last ten, oldest first
    .history/undone-000001.yaml    what undo left, until the next save

A version is only its scene.yaml: files are never changed once they are written and stay as long as any kept version
names them. Going back is therefore one copy, and replacing scene.yaml stays the one commit point: a process that is
killed before it has changed nothing, one killed after it leaves a copy of the present version, which is skipped later.
"""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

from scene3d._errors import FileFormatError, OutputError
from scene3d.files._atomic import cannot_write, make_folder, write_atomic
from scene3d.files._inside import inside
from scene3d.files._numbered_files import made_by_saves
from scene3d.files._scene_file import SceneFile, decode_scene

__all__ = ["KEPT", "SCENE", "forget_undone", "present_record", "remember", "remove_unreferenced", "step"]

SCENE, HISTORY = "scene.yaml", ".history"
KEPT = 10
"""Number of earlier scene.yaml that are kept."""
EARLIER, UNDONE = "", "undone-"
"""Starts of names in the history."""


def remember(folder: Path) -> None:
    """Copy the present scene.yaml into the history and forget all but the last ten."""
    if (folder / SCENE).is_file():
        _push(folder, EARLIER, (folder / SCENE).read_bytes())
    for old in _kept(folder, EARLIER)[:-KEPT]:
        old.unlink()


def forget_undone(folder: Path) -> None:
    """Drop the versions that could be gone forward to: a new one takes their place."""
    for path in _kept(folder, UNDONE):
        path.unlink()


def step(folder: Path, *, back: bool) -> None:
    """Make the version before the present one (or the one that was undone last) the present one.

    Raises:
        OutputError: There is none, or it cannot be written.
        FileFormatError: That version is damaged or misses files; the present one stays.
    """
    source, target = (EARLIER, UNDONE) if back else (UNDONE, EARLIER)
    try:
        present = (folder / SCENE).read_bytes()
        versions = _kept(folder, source)
        while versions and versions[-1].read_bytes() == present:
            versions.pop().unlink()
        if not versions:
            what = "no earlier version is kept" if back else "nothing was undone since the last change"
            raise OutputError(f"{folder} stays as it is: {what}.")
        _check(folder, versions[-1])
        _push(folder, target, present)
        write_atomic(folder / SCENE, [versions[-1].read_bytes()])
        versions[-1].unlink()
    except OSError as error:
        raise cannot_write(folder / SCENE, error, 0) from error


def present_record(folder: Path) -> SceneFile | None:
    """What the present scene.yaml says; None when there is none or it is damaged."""
    try:
        return decode_scene(folder / SCENE)
    except FileFormatError:
        return None


def remove_unreferenced(folder: Path) -> None:
    """Remove what failed saves left: files of ours that no kept scene.yaml names, then empty folders of objects."""
    present = folder / SCENE
    referenced = set[str]()
    try:
        for path in [*_kept(folder, EARLIER), *_kept(folder, UNDONE), *([present] if present.exists() else [])]:
            referenced.update(decode_scene(path).files())
    except FileFormatError:
        return  # What a damaged scene.yaml refers to is unknown, so everything stays.
    stale = [path for path in made_by_saves(folder) if path.relative_to(folder).as_posix() not in referenced]
    stale += [path for path in (folder / HISTORY).glob(".*.tmp") if path.is_file()]
    stale += folder.glob(f".{SCENE}.*.tmp")
    for path in stale:
        with suppress(OSError):
            path.unlink()
            _remove_if_empty(path.parent, folder / "objects")


def _remove_if_empty(folder: Path, top: Path) -> None:
    """Remove an empty folder below ``top``, and those above it that become empty, up to ``top`` itself."""
    while folder.is_relative_to(top):
        folder.rmdir()  # Fails, and so ends, when something is in it.
        folder = folder.parent


def _check(folder: Path, version: Path) -> None:
    missing = [name for name in decode_scene(version).files() if not inside(folder, name, version).is_file()]
    if missing:
        raise FileFormatError(
            f"{version} names {missing[0]}, which is missing, so that version cannot be restored. "
            "Copy the whole folder again."
        )


def _push(folder: Path, kind: str, text: bytes) -> None:
    """Keep a version as the newest of its kind, unless it is that already (after a process died here)."""
    versions = _kept(folder, kind)
    if versions and versions[-1].read_bytes() == text:
        return
    make_folder(folder / HISTORY)
    number = _number(versions[-1]) + 1 if versions else 1
    write_atomic(folder / HISTORY / f"{kind}{number:06d}.yaml", [text])


def _kept(folder: Path, kind: str) -> list[Path]:
    """Versions of a kind, oldest first."""
    where = folder / HISTORY
    found = list(where.iterdir()) if where.is_dir() else []
    kept = [path for path in found if re.fullmatch(rf"{kind}\d{{6,}}\.yaml", path.name) and path.is_file()]
    return sorted(kept, key=_number)


def _number(path: Path) -> int:
    return int(path.stem.rpartition("-")[2])
