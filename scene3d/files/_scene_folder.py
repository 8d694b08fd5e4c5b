"""Scene <-> scene folder.

    scene.yaml                  what readers follow; names the files below
    cameras.json                capture cameras and their photos (cameras-2.json after the next save, and so on)
    background/splat.ply        splats (splat-2.ply ...)
    .history/000001.yaml        the last ten scene.yaml, oldest first
    .lock                       held by the process that writes

A save writes files under new names, flushes them, and replaces scene.yaml: that one rename is the commit. A process
killed before it leaves the old scene as it was; what it left behind is removed by the next save. Files that any
kept scene.yaml names are never touched.
"""

from __future__ import annotations

import re
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from scene3d._errors import FileFormatError, OutputError
from scene3d._scene import Scene
from scene3d.files._atomic import cannot_write, make_folder, write_atomic
from scene3d.files._inside import inside
from scene3d.files._ply import load_ply, save_ply
from scene3d.files._scene_file import (
    VERSION,
    SceneFile,
    decode_cameras,
    decode_scene,
    encode_cameras,
    encode_scene,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["load_scene", "prepare_scene_folder", "save_scene"]

SCENE, LOCK, HISTORY = "scene.yaml", ".lock", ".history"
KEPT = 10
"""Number of earlier scene.yaml that are kept."""
NUMBERED = {"": r"cameras(?:-(\d+))?\.json", "background": r"splat(?:-(\d+))?\.ply"}
"""Names of the files that saves make, by subfolder; only such files are ever removed."""


def load_scene(folder: Path | str) -> Scene:
    """Read a scene folder.

    Raises:
        FileFormatError: Not a scene folder, or one of its files is missing or damaged.
    """
    folder = Path(folder)
    path = folder / SCENE
    if not path.is_file():
        raise FileFormatError(
            f"{folder} is not a scene folder: it has no {SCENE}. Make one with 'scene3d reconstruct'."
        )
    record = decode_scene(path)
    files = [inside(folder, name, path) for name in (record.background, record.cameras)]
    missing = next((file for file in files if not file.is_file()), None)
    if missing is not None:
        name = missing.relative_to(folder)
        raise FileFormatError(f"{path} names {name}, which is missing. Copy the whole folder again.")
    return Scene(
        splats=load_ply(files[0]),
        views=decode_cameras(files[1]),
        metric=record.metric,
        up=record.up,
        source=record.source,
        metrics=record.metrics,
        scale_source=record.scale_source,
        T_world_source=record.T_world_source,
    )


def prepare_scene_folder(folder: Path | str, *, overwrite: bool = False) -> Path:
    """Make sure that a scene may be saved to a folder, before long work starts; returns the folder.

    Raises:
        OutputError: It holds a scene and `overwrite` is False, holds other files, or cannot be written.
    """
    folder = Path(folder)
    _require_free(folder, overwrite)
    make_folder(folder)
    with _locked(folder):
        pass
    return folder


def save_scene(scene: Scene, folder: Path | str, *, overwrite: bool = False) -> Path:
    """Write a scene folder, whole or not at all; returns the folder.

    Args:
        scene: What to write.
        folder: New, empty, or a scene folder.
        overwrite: Replace the scene that is there; its last ten versions stay in ``.history``.

    Raises:
        OutputError: The folder holds a scene and `overwrite` is False, holds other files, is being written by another
            process, or the disk is full.
    """
    folder = Path(folder)
    _require_free(folder, overwrite)
    make_folder(folder)
    with _locked(folder):
        _require_free(folder, overwrite)  # Again: another process may have saved in between.
        _remove_unreferenced(folder)
        _write(scene, folder)
        _remove_unreferenced(folder)
    return folder


def _require_free(folder: Path, overwrite: bool) -> None:
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder} is a file; choose another --out.")
    if not folder.is_dir() or not any(folder.iterdir()):
        return
    if not _is_ours(folder):
        raise OutputError(
            f"{folder} holds files that are no scene and will not be overwritten; "
            "choose another --out, or an empty folder."
        )
    if (folder / SCENE).exists() and not overwrite:
        raise OutputError(f"{folder / SCENE} exists; pass --overwrite, or choose another --out.")


def _is_ours(folder: Path) -> bool:
    """True for scene folders, also damaged ones and those whose first save never finished."""
    if (folder / LOCK).exists():
        return True
    try:
        decode_scene(folder / SCENE)
    except FileFormatError:
        return False
    return True


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock. The kernel drops it with the process, so a killed writer blocks nobody."""
    import fcntl

    try:
        file = open(folder / LOCK, "wb")
    except OSError as error:
        raise cannot_write(folder, error, 0) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise OutputError(
                f"Another process is writing {folder}. Wait until it has finished, or choose another --out."
            ) from error
        yield


def _write(scene: Scene, folder: Path) -> None:
    background = _new_name(folder, "background", "splat", ".ply")
    cameras = _new_name(folder, "", "cameras", ".json")
    record = SceneFile(
        version=VERSION,
        units="m" if scene.metric else "unknown",
        metric=scene.metric,
        up=(float(scene.up[0]), float(scene.up[1]), float(scene.up[2])),
        background=background,
        cameras=cameras,
        source=dict(scene.source),
        metrics=dict(scene.metrics),
        scale_source=scene.scale_source,
        T_world_source=scene.T_world_source,  # type: ignore[arg-type]
    )
    text = encode_scene(record)
    up = " ".join(f"{x:g}" for x in record.up)
    comments = (f"up axis {up}, right-handed", f"units {record.units}", "made by scene3d")
    save_ply(scene.splats, folder / background, comments=comments)
    write_atomic(folder / cameras, [encode_cameras(scene.views, folder)])
    _remember(folder)
    write_atomic(folder / SCENE, [text])


def _new_name(folder: Path, subfolder: str, stem: str, suffix: str) -> str:
    """A name that no file has: splat.ply, then splat-2.ply and so on."""
    numbers = [_number(path.name, subfolder) for path in _files(folder / subfolder)]
    number = max((n for n in numbers if n is not None), default=0) + 1
    name = f"{stem}{suffix}" if number == 1 else f"{stem}-{number}{suffix}"
    return f"{subfolder}/{name}" if subfolder else name


def _number(name: str, subfolder: str) -> int | None:
    match = re.fullmatch(NUMBERED[subfolder], name)
    return int(match[1] or 1) if match else None


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.is_file()] if folder.is_dir() else []


def _remember(folder: Path) -> None:
    """Copy the present scene.yaml into the history and forget all but the last ten."""
    if not (folder / SCENE).is_file():
        return
    history = _history(folder)
    present = (folder / SCENE).read_bytes()
    # After a save that died between the copy and the commit, the copy is there already.
    if not history or history[-1].read_bytes() != present:
        make_folder(folder / HISTORY)
        number = int(history[-1].stem) + 1 if history else 1
        history.append(folder / HISTORY / f"{number:06d}.yaml")
        write_atomic(history[-1], [present])
    for old in history[:-KEPT]:
        old.unlink()


def _is_temporary(path: Path) -> bool:
    return path.name.startswith(".") and path.name.endswith(".tmp")


def _history(folder: Path) -> list[Path]:
    kept = [path for path in _files(folder / HISTORY) if re.fullmatch(r"\d{6,}\.yaml", path.name)]
    return sorted(kept, key=lambda path: int(path.stem))


def _remove_unreferenced(folder: Path) -> None:
    """Remove what failed saves left: files of ours that neither scene.yaml nor the history names."""
    present = folder / SCENE
    referenced = set[str]()
    try:
        for path in [*_history(folder), *([present] if present.exists() else [])]:
            record = decode_scene(path)
            referenced |= {record.background, record.cameras}
    except FileFormatError:
        return  # What a damaged scene.yaml refers to is unknown, so everything stays.
    stale = [path for subfolder in (*NUMBERED, HISTORY) for path in _files(folder / subfolder) if _is_temporary(path)]
    for subfolder in NUMBERED:
        ours = [path for path in _files(folder / subfolder) if _number(path.name, subfolder) is not None]
        stale += [path for path in ours if path.relative_to(folder).as_posix() not in referenced]
    for path in stale:
        with suppress(OSError):
            path.unlink()
