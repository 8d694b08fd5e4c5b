"""Scene <-> scene folder.

    scene.yaml                  what readers follow; names the files below
    cameras.json                capture cameras and their photos (cameras-2.json when they change, and so on)
    background/splat.ply        splats that are no object's (splat-2.ply ...)
    objects/<name>/             splats, collider and physics of an object, see `_object_folder`
    .history/000001.yaml        the last ten scene.yaml, oldest first
    .lock                       held by the process that writes

A save writes what is new under new names, flushes it, and replaces scene.yaml: that one rename is the commit. A process
killed before it leaves the old scene as it was; what it left behind is removed by the next save. Files that any
kept scene.yaml names are never touched.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from scene3d._errors import BodyError, FileFormatError, OutputError, UsageError
from scene3d._object_name import checked_names, folder_name
from scene3d._scene import Scene
from scene3d._scene_joints import check_joints
from scene3d.files._atomic import cannot_write, make_folder, write_atomic
from scene3d.files._camera_file import decode_cameras, encode_cameras
from scene3d.files._history import (
    SCENE,
    forget_undone,
    present_record,
    remember,
    remove_unreferenced,
    step,
)
from scene3d.files._inside import inside
from scene3d.files._joint_record import joint_record, joints_of
from scene3d.files._numbered_files import FileStore
from scene3d.files._object_folder import load_object, save_object
from scene3d.files._scene_file import VERSION, WITHOUT_JOINTS, SceneFile, decode_scene, encode_yaml
from scene3d.files._splat_files import load_splats
from scene3d.files._support_record import support_of, support_record

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scene3d._gaussians import Gaussians
    from scene3d._scene_object import SceneObject
    from scene3d.files._numbered_files import SplatFormat

__all__ = ["load_scene", "prepare_scene_folder", "restore_next", "restore_previous", "save_scene", "scene_record"]

LOCK = ".lock"


def load_scene(folder: Path | str) -> Scene:
    """Read a scene folder.

    Returns:
        The scene; its splats are those of the background, then those of the objects in order.

    Raises:
        FileFormatError: Not a scene folder, or one of its files is missing or damaged.
    """
    from scene3d._gaussians import Gaussians

    folder = Path(folder)
    path = folder / SCENE
    record = scene_record(folder)
    background = load_splats(folder / record.background).splats
    if record.filled > len(background):
        raise FileFormatError(
            f"{path} says that {record.filled} of {len(background)} splats were filled. Restore one from .history."
        )
    loaded = [load_object(entry, folder, path) for entry in record.objects]
    objects = _renamed([thing for thing, _ in loaded], path)
    parts = [background, *(_riding(splats, i + 1) for i, (_, splats) in enumerate(loaded))]
    return Scene(
        splats=Gaussians.cat(parts) if loaded else background,
        views=decode_cameras(folder / record.cameras, _photo_folder(folder, record)),
        metric=record.metric,
        up=record.up,
        source=record.source,
        metrics=record.metrics,
        scale_source=record.scale_source,
        T_world_source=record.T_world_source,
        objects=objects,
        supports=tuple(support_of(entry, path) for entry in record.supports),
        joints=joints_of(record.joints or [], [entry.name for entry in record.objects], objects, path),
        filled=record.filled,
    )


def scene_record(folder: Path) -> SceneFile:
    """Read the scene.yaml of a scene folder alone.

    Raises:
        FileFormatError: Not a scene folder, scene.yaml is damaged, or a file that it names is missing.
    """
    path = folder / SCENE
    if not path.is_file():
        raise FileFormatError(
            f"{folder} is not a scene folder: it has no {SCENE}. Make one with 'scene3d reconstruct'."
        )
    record = decode_scene(path)
    for name in record.files():
        if not inside(folder, name, path).is_file():
            raise FileFormatError(f"{path} names {name}, which is missing. Copy the whole folder again.")
    return record


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


def save_scene(
    scene: Scene,
    folder: Path | str,
    *,
    overwrite: bool = False,
    splat_format: SplatFormat | None = None,
    photos: Path | str | None = None,
) -> Path:
    """Write a scene folder, whole or not at all; returns the folder.

    Files that the present scene of the folder has already are kept and not written again: a moved or renamed object
    costs a scene.yaml.

    Args:
        scene: What to write.
        folder: New, empty, or a scene folder.
        overwrite: Replace the scene that is there; its last ten versions stay in ``.history``.
        splat_format: ``ply`` keeps every bit, ``spz`` rounds values and takes a sixth of the space (see `save_spz`,
            whose finer SH is used). None writes PLY and lets splats that are there already stay as they are.
        photos: Folder such that photos inside of it are remembered by their place relative to the scene folder, so
            that both can be moved together, e.g. with a repository. None takes what the present scene says, else the
            scene folder itself. Photos elsewhere are remembered by absolute paths.

    Raises:
        OutputError: The folder holds a scene and `overwrite` is False, holds other files, is being written by another
            process, the disk is full, or the scene contradicts itself (e.g. two objects of one name, joints in a loop).
    """
    folder = Path(folder)
    _require_consistent(scene)
    _require_free(folder, overwrite)
    make_folder(folder)
    with _locked(folder):
        _require_free(folder, overwrite)  # Again: another process may have saved in between.
        remove_unreferenced(folder)
        _write(scene, folder, splat_format, photos)
        remove_unreferenced(folder)
    return folder


def restore_previous(folder: Path | str) -> Scene:
    """Undo: make the version of a scene folder before the present one the present one, and read it.

    Again goes one further back, up to ten. `restore_next` takes it back, until something new is saved.

    Raises:
        FileFormatError: Not a scene folder, or the version before is damaged; the present one stays.
        OutputError: There is no version before, another process writes, or the disk is full.
    """
    return _restore(Path(folder), back=True)


def restore_next(folder: Path | str) -> Scene:
    """Undo `restore_previous`: make the version that it replaced the present one again, and read it.

    Raises:
        FileFormatError: Not a scene folder, or that version is damaged; the present one stays.
        OutputError: Nothing was undone since the last save, another process writes, or the disk is full.
    """
    return _restore(Path(folder), back=False)


def _restore(folder: Path, *, back: bool) -> Scene:
    if not (folder / SCENE).is_file():
        raise FileFormatError(f"{folder} is not a scene folder: it has no {SCENE}.")
    with _locked(folder):
        step(folder, back=back)
    return load_scene(folder)


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
    return (folder / LOCK).exists() or present_record(folder) is not None


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


def _require_consistent(scene: Scene) -> None:
    """Refuse what could not be read back."""
    try:
        names = checked_names([thing.name for thing in scene.objects])
    except UsageError as error:
        raise OutputError(str(error)) from error
    if names != tuple(thing.name for thing in scene.objects):
        raise OutputError("Names of objects must be as `checked_name` returns them. Rename the objects first.")
    try:
        check_joints(scene.objects, scene.joints)
    except BodyError as error:
        raise OutputError(str(error)) from error
    last = int(scene.splats.component_index.max()) if scene.objects and len(scene.splats) else 0
    if last > len(scene.objects):
        raise OutputError(
            f"Splats ride on object {last}, but the scene has {len(scene.objects)}. Add the missing ones."
        )


def _write(scene: Scene, folder: Path, splat_format: SplatFormat | None, photos: Path | str | None) -> None:
    present = present_record(folder)
    store = FileStore(folder, [] if present is None else present.files())
    photo_folder = _photos_name(folder, photos, present)
    units = "m" if scene.metric else "unknown"
    up = (float(scene.up[0]), float(scene.up[1]), float(scene.up[2]))
    axis = " ".join(f"{x:g}" for x in up)
    comments = (f"up axis {axis}, right-handed", f"units {units}", "made by scene3d")
    in_body = (f"units {units}", "made by scene3d")
    folders = list[str]()
    entries = []
    for i, thing in enumerate(scene.objects):
        folders.append(folder_name(thing.name, folders))
        entries.append(save_object(thing, _own(scene, i + 1), store, folders[-1], splat_format, in_body))
    record = SceneFile(
        version=VERSION if scene.joints else WITHOUT_JOINTS,
        units=units,
        metric=scene.metric,
        up=up,
        background=store.put_splats("background/splat", _own(scene, 0), splat_format, comments),
        filled=scene.filled,
        cameras="",
        photos=photo_folder,
        source=dict(scene.source),
        metrics=dict(scene.metrics),
        scale_source=scene.scale_source,
        T_world_source=scene.T_world_source,  # type: ignore[arg-type]
        supports=[support_record(support) for support in scene.supports],
        objects=entries,
        joints=[joint_record(joint, [thing.name for thing in scene.objects]) for joint in scene.joints]
        or msgspec.UNSET,
    )
    record.cameras = store.put("cameras", ".json", encode_cameras(scene.views, _photo_folder(folder, record)))
    text = encode_yaml(record)
    remember(folder)
    forget_undone(folder)
    write_atomic(folder / SCENE, [text])


def _own(scene: Scene, component: int) -> Gaussians:
    """Splats of the background (0) or of an object, each for a file of its own; without objects one file has all."""
    if not scene.objects:
        return scene.splats
    return _riding(scene.splats[scene.splats.component_index == component], 0)


def _riding(splats: Gaussians, component: int) -> Gaussians:
    import torch

    return replace(splats, component_index=torch.full_like(splats.component_index, component))


def _renamed(objects: list[SceneObject], path: Path) -> tuple[SceneObject, ...]:
    """The objects of a scene.yaml that people may have edited, under names as they are kept."""
    try:
        names = checked_names([thing.name for thing in objects])
    except UsageError as error:
        raise FileFormatError(f"{path}: {error}") from error
    return tuple(
        replace(thing, body=replace(thing.body, name=name)) for thing, name in zip(objects, names, strict=True)
    )


def _photos_name(folder: Path, photos: Path | str | None, present: SceneFile | None) -> str:
    """What scene.yaml says about where relative paths of photos start."""
    if photos is None:
        return "" if present is None else present.photos
    name = os.path.relpath(Path(photos).resolve(), folder.resolve()).replace(os.sep, "/")
    return "" if name == "." else name


def _photo_folder(folder: Path, record: SceneFile) -> Path:
    # It may lead out of the folder, as absolute paths of photos do: photos are only ever read.
    return Path(os.path.normpath(folder / record.photos)) if record.photos else folder
