"""Instance masks that came with a capture -> label maps of its photos.

Two layouts are found: a folder of masks for each object (``masks/mug/0001.png``, white is the object), and id maps that
the frames of a transforms.json name (``instance_path``, a pixel's value is the id of its object, 0 the background),
with the objects' names beside the frames (``instance_names: {"1": "mug"}``) or else the ids as names. Only names are
gathered at first; `Instances.label_map` reads the pixels of one photo, undistorted like the photo itself.

`read_masks` takes a folder that the user names instead: mask folders as above, or an id map for each photo.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np

from scene3d._errors import CaptureError, SegmentError
from scene3d._object_name import checked_names
from scene3d.capture._decode import UPRIGHT, opened, orientation, turned, turned_size
from scene3d.capture._mask_image import load_mask
from scene3d.capture._undistort import photo_positions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from scene3d._camera import Camera
    from scene3d.capture._capture import View

__all__ = ["UNKNOWN", "Instances", "find_instances", "read_masks"]

UNKNOWN = -1
"""Pixels whose label is not known: not seen by the photo, claimed by two objects, or not masked in this photo."""
FOLDER = "masks"
NAMES = "names.json"
ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
LARGEST_FILE = 256 * 1024 * 1024
"""Bytes of a transforms.json."""
LARGEST_NAMES = 1024 * 1024
"""Bytes of a names.json."""


@dataclass(frozen=True)
class Instances:
    """The named objects of a capture, and the files that show where they are."""

    names: tuple[str, ...]
    """Objects; number i has label i + 1, and 0 is the background."""
    id_maps: Mapping[str, Path] = field(default_factory=dict)
    """Id map of each photo, by the name of its view."""
    ids: tuple[int, ...] = ()
    """Value of each object in the id maps, in the order of the names."""
    masks: Mapping[str, tuple[Path | None, ...]] = field(default_factory=dict)
    """Mask of each object in each photo, by the name of its view, None where there is none."""

    def has(self, view: View) -> bool:
        """Whether anything is known of this photo."""
        return view.name in self.id_maps or view.name in self.masks

    def label_map(self, view: View, camera: Camera | None = None) -> NDArray[np.int32]:
        """Labels of a photo's pixels, `UNKNOWN` where not known, shape (H, W).

        Args:
            view: A photo for which `has` is true.
            camera: The view's camera at another size; None takes its full size.

        Raises:
            CaptureError: A file cannot be decoded, or has another shape than its photo.
        """
        labels = self._of_ids(view) if view.name in self.id_maps else self._of_masks(view)
        if view.resampled:
            labels = _undistorted(labels, view)
        camera = camera or view.camera
        rows = ((np.arange(camera.height) + 0.5) * labels.shape[0] / camera.height).astype(int)
        columns = ((np.arange(camera.width) + 0.5) * labels.shape[1] / camera.width).astype(int)
        return labels[rows[:, None], columns]

    def _of_ids(self, view: View) -> NDArray[np.int32]:
        ids = _read_ids(self.id_maps[view.name], view)
        labels = np.zeros(ids.shape, dtype=np.int32)
        for index, value in enumerate(self.ids):
            labels[ids == value] = index + 1
        return labels

    def _of_masks(self, view: View) -> NDArray[np.int32]:
        files = self.masks[view.name]
        size = (view.camera.width, view.camera.height)
        # Where one object's mask is missing, whatever no other mask claims may be that object.
        labels = np.full(size[::-1], UNKNOWN if None in files else 0, dtype=np.int32)
        claims = np.zeros(size[::-1], dtype=np.int32)
        turn = _turn(view)
        for index, path in enumerate(files):
            if path is not None:
                kept = load_mask(path, size, view.path, turn)
                labels[kept] = index + 1
                claims += kept
        labels[claims > 1] = UNKNOWN
        return labels


def find_instances(root: Path, views: Sequence[View]) -> Instances:
    """The instance masks of a capture; without names when it has none.

    Args:
        root: Folder of the capture.
        views: Its photos.

    Raises:
        CaptureError: The transforms.json names an id map that is not there or outside of the capture, or its names
            make no sense.
    """
    masks = _mask_folders(root / FOLDER, views)
    if masks.names:
        return masks
    return _id_maps(root, views)


def read_masks(folder: Path, views: Sequence[View]) -> Instances:
    """The instance masks in a folder of the user's.

    Args:
        folder: Holds a folder of masks for each object (``mug/0001.png``), or an id map for each photo (``0001.png``)
            and perhaps a names.json like ``{"1": "mug", "2": "can"}``. Files are called like the photos.
        views: The photos.

    Raises:
        SegmentError: There is no such folder, none of its files belongs to a photo, or its layout is not clear.
        CaptureError: A file in it cannot be read or makes no sense.
        UsageError: A folder or an entry of names.json is no name for an object.
    """
    wanted = "It takes FOLDER/mug/0001.png, a mask for each object and photo, or FOLDER/0001.png, an id map for each."
    if not folder.is_dir():
        raise SegmentError(f"There is no folder {folder} of masks. {wanted}")
    masks = _mask_folders(folder, views)
    files = {entry.name: entry for entry in sorted(folder.iterdir()) if entry.is_file()}
    maps = {view.name: path for view in views if (path := _mask_of(view, files)) is not None}
    if masks.names and maps:
        raise SegmentError(
            f"{folder} holds masks in folders ({masks.names[0]}) and id maps beside them ({min(maps.values()).name}). "
            "Keep one of the two."
        )
    if masks.names:
        return replace(masks, names=checked_names(masks.names))
    if not maps:
        photos = ", ".join(PurePosixPath(view.name).name for view in views[:2])
        raise SegmentError(f"No file in {folder} is called like a photo ({photos}, ...). {wanted}")
    return _named(maps, _names_beside(folder / NAMES), folder / NAMES, views)


def _names_beside(path: Path) -> Any:
    """What names.json says, None when there is none."""
    try:
        if path.stat().st_size > LARGEST_NAMES:
            raise CaptureError(f"{path} has more than {LARGEST_NAMES // 1024} KiB, so it is no list of names.")
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise CaptureError(
            f'{path} cannot be read as JSON. Write names by id, as in {{"1": "mug", "2": "can"}}.'
        ) from error


def _mask_folders(folder: Path, views: Sequence[View]) -> Instances:
    if not folder.is_dir():
        return Instances(())
    # masks/left/0001.png may be the mask of images/left/0001.jpg: then left is a folder of photos and no object.
    parts = {part for view in views for part in PurePosixPath(view.name).parts[:-1]}
    names = sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and entry.name not in parts)
    listed = {name: {entry.name: entry for entry in sorted((folder / name).iterdir())} for name in names}
    found = {view.name: tuple(_mask_of(view, listed[name]) for name in names) for view in views}
    names = [name for index, name in enumerate(names) if any(files[index] for files in found.values())]
    kept = [index for index, name in enumerate(listed) if name in names]
    masks = {view: tuple(files[index] for index in kept) for view, files in found.items() if any(files)}
    return Instances(tuple(names), masks=masks)


def _mask_of(view: View, files: Mapping[str, Path]) -> Path | None:
    name = PurePosixPath(view.name)
    candidates = (stem + ending for stem in (name.name, name.stem) for ending in ENDINGS)
    return next((files[candidate] for candidate in candidates if candidate in files), None)


def _id_maps(root: Path, views: Sequence[View]) -> Instances:
    path = root / "transforms.json"
    document = _parse(path)
    maps = {}
    by_name = {view.name: view for view in views}
    by_stem = {str(PurePosixPath(view.name).with_suffix("")): view for view in views}
    for frame in document.get("frames", []):
        file, map_ = (frame.get(key) for key in ("file_path", "instance_path")) if isinstance(frame, dict) else (0, 0)
        if not (isinstance(file, str) and isinstance(map_, str) and map_ and "\0" not in map_ + file):
            continue
        name = PurePosixPath(file.replace("\\", "/"))
        view = by_name.get(str(name)) or by_stem.get(str(name)) or by_stem.get(str(name.with_suffix("")))
        if view is not None:
            maps[view.name] = _inside(root, map_, path)
    if not maps:
        return Instances(())
    return _named(maps, document.get("instance_names"), path, views)


def _inside(root: Path, name: str, path: Path) -> Path:
    """The file of that name in the capture; a transforms.json from elsewhere must not make others be read."""
    file = root / PurePosixPath(name.replace("\\", "/"))
    if not file.resolve().is_relative_to(root.resolve()):
        raise CaptureError(
            f"{path} names the id map {name!r}, which lies outside of the capture. Put id maps into {root.name}, and "
            "write their paths relative to it."
        )
    return file


def _named(maps: Mapping[str, Path], named: Any, path: Path, views: Sequence[View]) -> Instances:
    """Id maps with the names that a file gives them, or else with the ids as names."""
    if named is None:
        chosen = [view for view in views if view.name in maps]
        ids = sorted({int(i) for view in chosen for i in np.unique(_read_ids(maps[view.name], view))} - {0})
        return Instances(tuple(map(str, ids)), maps, tuple(ids))
    names = _names_by_id(named, path)
    return Instances(checked_names(tuple(names.values())), maps, tuple(names))


def _parse(path: Path) -> dict[str, Any]:
    """The transforms.json, empty when there is none or when it is not for us to complain about."""
    try:
        if path.stat().st_size > LARGEST_FILE:
            return {}
        document = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) and isinstance(document.get("frames"), list) else {}


def _names_by_id(named: Any, path: Path) -> dict[int, str]:
    """Names by id."""
    wanted, what = '{"1": "mug", "2": "can"}', "its content" if path.name == NAMES else "'instance_names'"
    if not isinstance(named, dict) or not all(isinstance(name, str) and name.strip() for name in named.values()):
        raise CaptureError(f"{path}: {what} gives each id of the id maps a name, as in {wanted}.")
    if not all(key.isdecimal() and 0 < int(key) < 2**31 for key in named):
        raise CaptureError(f"{path}: ids in {what} are whole numbers above zero, as in {wanted}.")
    if len(set(named.values())) < len(named):
        raise CaptureError(f"{path}: {what} gives two ids the same name. Rename one, or give both one id.")
    return {int(key): name for key, name in named.items()}


def _read_ids(path: Path, view: View) -> NDArray[np.int32]:
    """Ids (H, W) of an id map whose shape is that of the photo; it may be smaller or larger."""
    size = (view.camera.width, view.camera.height)
    with opened(path, "id map") as image:
        if image.mode not in ("1", "L", "P", "I") and not image.mode.startswith("I;16"):
            raise CaptureError(
                f"The id map {path} is an image of mode {image.mode}, but one whole number for each pixel is needed. "
                "Store ids as 8-bit or 16-bit grey PNG."
            )
        turn = next((t for t in (UPRIGHT, _turn(view)) if _same_shape(turned_size(image.size, t), size)), None)
        if turn is None:
            raise CaptureError(
                f"The id map {path} is {image.size[0]}x{image.size[1]} pixels, another shape than its photo "
                f"{view.path.name} of {size[0]}x{size[1]}. It must show what the photo shows, not a part of it."
            )
        return turned(np.asarray(image).astype(np.int32), turn)


def _same_shape(a: tuple[int, int], b: tuple[int, int]) -> bool:
    return abs(a[0] * b[1] / (a[1] * b[0]) - 1) < 0.02


def _turn(view: View) -> int:
    """EXIF orientation that the photo is turned by."""
    with opened(view.path) as image:
        stored_as_used = image.size == (view.camera.width, view.camera.height)
        return orientation(image) if view.upright or not stored_as_used else UPRIGHT


def _undistorted(labels: NDArray[np.int32], view: View) -> NDArray[np.int32]:
    """Labels at the view's full size, on its pinhole camera."""
    column, row, seen = photo_positions(view.camera, view.distortion, view.projection, view.photo_K)
    height, width = labels.shape
    # Half a pixel: OpenCV's positions count pixel centres from zero.
    x = ((column + 0.5) * width / view.camera.width).clip(0, width - 1).astype(int)
    y = ((row + 0.5) * height / view.camera.height).clip(0, height - 1).astype(int)
    return np.where(seen, labels[y, x], UNKNOWN).astype(np.int32)
