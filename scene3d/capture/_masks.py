"""Mask files beside photos: which mask belongs to which photo, and whether their sizes agree.

Every program writes masks in a folder ``masks`` beside the photos, white for what is kept, and names them in one of two
ways: the photo's name and ``.png`` after it (COLMAP: ``masks/img.jpg.png``), or ``.png`` in place of the photo's ending
(nerfstudio, Brush: ``masks/img.png``). `find_masks` looks for both, `with_masks` puts what it finds into posed views.
Only headers are read here; `View.load` reads the pixels.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from scene3d._errors import CaptureError
from scene3d.capture._images import image_size

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from scene3d.capture._capture import MaskMode, View

__all__ = ["find_masks", "require_mask_size", "with_masks"]

FOLDER = "masks"
ENDINGS = (".png", ".PNG", ".jpg", ".jpeg", ".JPG", ".webp", ".bmp")
"""Endings of masks, the likelier first."""


def find_masks(root: Path, image_names: Iterable[str]) -> dict[str, Path]:
    """The mask of each photo that has one.

    Args:
        root: Folder of the capture. Masks lie in ``masks`` in it, or in it as ``<photo>_mask.png`` beside the photos.
        image_names: Names of the photos relative to the capture, e.g. ``images/0001.jpg`` or ``0001.jpg``.

    Returns:
        Mask files by the name of their photo. Photos without a mask are not in it.
    """
    listed: dict[Path, set[str]] = {}
    found = {}
    for name in image_names:
        for candidate in _candidates(root, PurePosixPath(name)):
            if candidate.parent not in listed:
                folder = candidate.parent
                listed[folder] = {entry.name for entry in folder.iterdir()} if folder.is_dir() else set()
            if candidate.name in listed[candidate.parent]:
                found[name] = candidate
                break
    return found


def _candidates(root: Path, name: PurePosixPath) -> Iterator[Path]:
    """Where the mask of a photo may lie, the likelier places first."""
    name = PurePosixPath(*(part for part in name.parts if part not in ("..", "/")))
    for folder, inner in _places(root, name):
        for ending in ENDINGS:
            yield folder / inner.with_name(inner.name + ending)
        for ending in ENDINGS:
            yield folder / inner.with_suffix(ending)
    yield root / name.with_name(f"{name.stem}_mask.png")


def _places(root: Path, name: PurePosixPath) -> Iterator[tuple[Path, PurePosixPath]]:
    """Folders of masks, each with the name of the photo inside it."""
    if len(name.parts) > 1:
        inner = PurePosixPath(*name.parts[1:])
        # Reduced copies keep their factor: images_4 goes with masks_4.
        reduced = re.fullmatch(r"\w+?(_\d+)", name.parts[0])
        if reduced:
            yield root / f"{FOLDER}{reduced[1]}", inner
        yield root / FOLDER, inner
    yield root / FOLDER, name
    if len(name.parts) > 1:  # images/left/0001.jpg, where one folder of masks serves all.
        yield root / FOLDER, PurePosixPath(name.name)


def require_mask_size(mask: Path, photo: Path, size: tuple[int, int]) -> None:
    """Refuse a mask of another size than its photo, by the headers.

    Args:
        mask: Mask file.
        photo: Photo file, for the message.
        size: Width and height of the photo [px]. Swapped sides pass: photos are stored sideways, masks often are not.

    Raises:
        CaptureError: The sizes differ, or the mask cannot be decoded.
    """
    width, height = image_size(mask)
    if sorted((width, height)) != sorted(size):
        raise CaptureError(
            f"The mask {mask} is {width}x{height} pixels, but its photo {photo.name} is {size[0]}x{size[1]}. "
            "Make masks of the size of the photos."
        )


def with_masks(
    views: Sequence[View], root: Path, mask_mode: MaskMode, notes: list[str], *, names: Sequence[str] | None = None
) -> tuple[View, ...]:
    """Views with the masks that lie beside their photos; a view that has a mask already keeps it.

    Args:
        views: Posed photos.
        root: Folder whose ``masks`` is looked into.
        mask_mode: What black pixels mean.
        notes: Sentences for the user are appended: how many photos have masks, masks that belong to none.
        names: Names of the photos below ``root``; the names of the views by default.

    Raises:
        CaptureError: A mask has another size than its photo.
    """
    names = [view.name for view in views] if names is None else names
    masks = find_masks(root, names)
    out = []
    for view, name in zip(views, names, strict=True):
        mask = view.mask or masks.get(name)
        if mask is not None:
            require_mask_size(mask, view.path, (view.camera.width, view.camera.height))
        out.append(replace(view, mask=mask, mask_mode=mask_mode))
    _tell(out, root, notes)
    return tuple(out)


def _tell(views: Sequence[View], root: Path, notes: list[str]) -> None:
    masked = sum(view.mask is not None for view in views)
    folder = root / FOLDER
    if masked and masked < len(views):
        notes.append(f"{masked} of {len(views)} photos have masks; the others count whole.")
    elif not masked and folder.is_dir() and any(entry.suffix in ENDINGS for entry in folder.iterdir()):
        first = views[0].path
        notes.append(
            f"No mask in {folder} is named after a photo. For {first.name} it is {first.name}.png or {first.stem}.png."
        )
