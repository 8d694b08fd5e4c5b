"""A folder of photos -> `PhotoSet`.

Headers are read, pixels are not. What would harm structure from motion is left out, and said: files that are damaged or
no photos, the second copy of a picture, thumbnails, screenshots, panoramas. EXIF gives orientation, focal length, lens
and time. The photos count as ordered when their times, or the numbers in their names, say that neighbours in the list
were taken one after the other.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from scene3d._errors import CaptureError
from scene3d.capture._checks import FEWEST_VIEWS
from scene3d.capture._decode import decode_upright, opened, orientation, turned_size
from scene3d.capture._detect import PHOTOS
from scene3d.capture._exif import Exif, read_exif
from scene3d.capture._photo_order import in_order
from scene3d.capture._photo_set import PhotoFile, PhotoSet

if TYPE_CHECKING:
    from pathlib import Path

    from scene3d.capture._capture import MaskMode

__all__ = ["list_photos"]

FOLDER = "images"
BESIDE = re.compile(r"(masks?|depths?|confidences?|sparse|thumb(nail)?s?)(_\d+)?", re.IGNORECASE)
"""Folders that hold no photos."""
NOT_COLOUR = re.compile(r"(?<![a-z])(masks?|depths?|confidence)(?![a-z])", re.IGNORECASE)
"""Words in names of masks and depth maps that lie among the photos."""
WIDEST = 2.2
"""Longest side over shortest; panoramas have more, phones at most 2.17."""
SCREENSHOT = re.compile(r"screen[ _-]?shot", re.IGNORECASE)
THUMBNAIL = 1 / 3
"""A photo smaller than this share of the usual longest side is a thumbnail."""
TAIL = 4096
"""The end mark of an undamaged file is within its last bytes, this many."""
END_MARKS = {"JPEG": b"\xff\xd9", "MPO": b"\xff\xd9", "PNG": b"IEND"}


@dataclass(frozen=True)
class _Listed:
    """One file as its header describes it; sizes are upright."""

    name: str
    path: Path
    size: tuple[int, int]
    exif: Exif


@dataclass
class _Skipped:
    """Names of files that were left out, by reason."""

    names: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def add(self, name: str, reason: str) -> None:
        self.names[reason].append(name)

    def sentences(self) -> list[str]:
        return [
            f"Left out {len(names)} file{'s' if len(names) > 1 else ''}, {reason}: {names[0]}"
            + (f" and {len(names) - 1} more." if len(names) > 1 else ".")
            for reason, names in self.names.items()
        ]


def list_photos(folder: Path, *, mask_mode: MaskMode = "ignore") -> PhotoSet:
    """List the photos of a folder without decoding them.

    Args:
        folder: Holds the photos, or holds them in ``images``, or else in sub-folders, one level deep. Masks lie in
            ``masks``.
        mask_mode: What black pixels of masks mean.

    Returns:
        Photos in natural order of their names, which are relative to the folder. Notes say what was left out.

    Raises:
        CaptureError: Fewer than three photos can be used, or a mask has another size than its photo.
    """
    skipped = _Skipped()
    paths = {str(path.relative_to(folder).as_posix()): path for path in _photo_paths(folder, skipped)}
    masks = _find_masks(folder, list(paths))
    own_masks = set(masks.values())
    names = _photo_names([name for name in paths if paths[name] not in own_masks], skipped)
    listed = [photo for name in names if (photo := _read(name, paths[name], skipped)) is not None]
    listed = _without_copies(_without_odd_ones(listed, skipped), skipped)
    notes = skipped.sentences()
    if len(listed) < FEWEST_VIEWS:
        because = " ".join(notes) or "Accepted are JPEG, PNG, HEIC, AVIF, WebP, TIFF and BMP files."
        raise CaptureError(
            f"{folder} holds {len(listed)} usable photo{'' if len(listed) == 1 else 's'}, "
            f"but a scene needs at least {FEWEST_VIEWS}. {because}"
        )
    files = tuple(_photo_file(photo, masks.get(photo.name)) for photo in listed)
    masked = sum(file.mask is not None for file in files)
    if 0 < masked < len(files):
        notes.append(f"{masked} of {len(files)} photos have masks; the others count whole.")
    ordered = in_order([file.name for file in files], [file.taken for file in files])
    return PhotoSet(folder, files, ordered, "photos", mask_mode, tuple(notes))


def _photo_paths(folder: Path, skipped: _Skipped) -> list[Path]:
    """Files with the name of a photo: in the folder, or in ``images`` where there are more, or in sub-folders."""
    if not folder.is_dir():
        raise CaptureError(f"{folder} is no folder. Give the folder that holds the photos.")
    try:
        # Of two equal lists the first counts, the folder's own.
        chosen = max((_entries(place, skipped=None) for place in (folder, folder / FOLDER)), key=len)
        if chosen:
            return _entries(chosen[0].parent, skipped)
        start = folder / FOLDER if (folder / FOLDER).is_dir() else folder
        below = [place for place in start.iterdir() if place.is_dir() and not place.name.startswith(".")]
        return [path for place in below if not BESIDE.fullmatch(place.name) for path in _entries(place, skipped)]
    except OSError as error:
        raise CaptureError(f"{folder} cannot be listed ({error.strerror}).") from error


def _entries(folder: Path, skipped: _Skipped | None) -> list[Path]:
    """Visible files with the ending of a photo; the others are noted."""
    if not folder.is_dir():
        return []
    found = []
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or not path.is_file():
            continue
        if path.suffix.lower() in PHOTOS:
            found.append(path)
        elif skipped is not None:
            skipped.add(path.name, "not photos by their names")
    return found


def _photo_names(names: list[str], skipped: _Skipped) -> list[str]:
    """In natural order, without masks and depth maps, unless all photos are called so."""
    names = sorted(names, key=_natural)
    colour = [name for name in names if not NOT_COLOUR.search(name.rpartition("/")[2])]
    for name in [name for name in names if name not in set(colour)] if colour else []:
        skipped.add(name, "masks or depth maps by their names")
    return colour or names


def _natural(name: str) -> list[tuple[int, int, str]]:
    """Sorts photo2 before photo10."""
    parts = re.split(r"([0-9]+)", name)
    return [(1, int(part), part) if part.isdecimal() else (0, 0, part.casefold()) for part in parts] + [(0, 0, name)]


def _find_masks(folder: Path, names: list[str]) -> dict[str, Path]:
    from scene3d.capture._masks import find_masks

    return find_masks(folder, names)


def _read(name: str, path: Path, skipped: _Skipped) -> _Listed | None:
    if SCREENSHOT.search(path.name):
        skipped.add(name, "screenshots")
        return None
    try:
        with opened(path) as image:
            photo = _Listed(name, path, turned_size(image.size, orientation(image)), read_exif(image))
            mark = END_MARKS.get(image.format or "")
        if mark is not None and mark not in _last_bytes(path):
            decode_upright(path, 64)  # Cut short, unless something was appended, as motion photos do.
    except CaptureError:
        skipped.add(name, "damaged or no kind of photo that is read")
        return None
    if max(photo.size) > WIDEST * min(photo.size):
        skipped.add(name, "panoramas")
        return None
    return photo


def _last_bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - TAIL))
            return file.read(TAIL)
    except OSError:
        return b""


def _without_odd_ones(photos: list[_Listed], skipped: _Skipped) -> list[_Listed]:
    """Without photos much smaller than is usual here."""
    if not photos:
        return photos
    usual = float(np.median([max(photo.size) for photo in photos]))
    kept = []
    for photo in photos:
        if max(photo.size) < THUMBNAIL * usual:
            skipped.add(photo.name, "much smaller than the others")
        else:
            kept.append(photo)
    return kept


def _without_copies(photos: list[_Listed], skipped: _Skipped) -> list[_Listed]:
    """One photo of each content, and one of each name: phones store HEIC beside JPEG."""
    by_length: dict[int, list[_Listed]] = defaultdict(list)
    for photo in photos:
        by_length[photo.path.stat().st_size].append(photo)
    seen, dropped = set[bytes](), set[str]()
    suspects = [photo for same in by_length.values() if len(same) > 1 for photo in same]
    for photo in sorted(suspects, key=lambda photo: len(photo.name)):  # "IMG_1 (copy)" goes, "IMG_1" stays.
        digest = hashlib.blake2b(photo.path.read_bytes()).digest()
        if digest in seen:
            skipped.add(photo.name, "copies of other files")
            dropped.add(photo.name)
        seen.add(digest)
    by_stem: dict[Path, list[_Listed]] = defaultdict(list)
    for photo in photos:
        if photo.name not in dropped:
            by_stem[photo.path.with_name(photo.path.stem.casefold())].append(photo)
    for same in by_stem.values():
        best = max(
            same, key=lambda photo: (photo.size[0] * photo.size[1], photo.path.suffix.lower() in (".jpg", ".jpeg"))
        )
        for photo in same:
            if photo is not best:
                skipped.add(photo.name, f"photos that are also there as {best.path.suffix}")
                dropped.add(photo.name)
    return [photo for photo in photos if photo.name not in dropped]


def _photo_file(photo: _Listed, mask: Path | None) -> PhotoFile:
    from scene3d.capture._masks import require_mask_size

    width, height = photo.size
    if mask is not None:
        require_mask_size(mask, photo.path, photo.size)
    return PhotoFile(
        photo.name, photo.path, width, height, photo.exif.focal, photo.exif.lens, photo.exif.taken, mask=mask
    )
