"""Upright, reduced copies of photos for structure from motion, and one camera per lens.

Features need no more than about a thousand pixels, and COLMAP neither reads HEIC nor agrees with anyone about EXIF
orientations, so it gets copies: JPEG, upright, named by number. Masks go along in its naming. Photos of one lens, size
and zoom share a camera.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from scene3d._errors import CaptureError
from scene3d.capture._decode import decode_upright, opened, orientation
from scene3d.capture._mask_image import load_mask

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from scene3d.capture._photo_set import PhotoFile, PhotoSet

__all__ = ["LONGEST_SIDE", "Copies", "make_copies"]

LONGEST_SIDE = 1024
"""Longest side of the copies [px]."""
QUALITY = 95
FLAT = 2.0
"""Standard deviation of grey values [0..255] below which a photo shows nothing."""


@dataclass(frozen=True)
class Copies:
    """Copies in a folder, one per photo, in the order of the photos."""

    images: Path
    """Folder of the copies."""
    masks: Path | None
    """Folder of their masks; None when no photo has one that should be ignored."""
    names: tuple[str, ...]
    """File name of each copy."""
    sizes: tuple[tuple[int, int], ...]
    """Width and height of each copy [px]."""
    groups: tuple[tuple[int, ...], ...]
    """Indices of photos that share a camera."""
    flat: frozenset[int]
    """Photos of one colour: a lens cap, a pocket, a white wall."""


def make_copies(
    photos: PhotoSet, folder: Path, *, threads: int = 2, progress: Callable[[float], None] | None = None
) -> Copies:
    """Write the copies.

    Raises:
        CaptureError: A photo cannot be decoded, or nearly all show nothing.
    """
    images, masks = folder / "images", folder / "masks"
    images.mkdir(parents=True, exist_ok=True)
    names = tuple(f"{index:06d}.jpg" for index in range(len(photos.files)))
    sizes, flat = [], set[int]()
    with ThreadPoolExecutor(threads) as pool:
        written = pool.map(lambda job: _copy(*job), [(f, images / n) for f, n in zip(photos.files, names, strict=True)])
        for index, (size, spread) in enumerate(written):
            sizes.append(size)
            if spread < FLAT:
                flat.add(index)
            if progress is not None:
                progress((index + 1) / len(names))
    if len(names) - len(flat) < 3:
        raise CaptureError(
            f"{len(flat)} of {len(names)} photos in {photos.root} show one colour and nothing else. "
            "Photograph something with texture, in light, and without a lens cap."
        )
    with_mask = [i for i, file in enumerate(photos.files) if file.mask is not None and photos.mask_mode == "ignore"]
    for index in with_mask:
        _copy_mask(photos.files[index], sizes[index], masks / f"{names[index]}.png")
    groups: dict[tuple[str, int, int], list[int]] = {}
    for index, file in enumerate(photos.files):
        groups.setdefault((file.lens, file.width, file.height), []).append(index)
    shared = tuple(tuple(group) for group in groups.values())
    return Copies(images, masks if with_mask else None, names, tuple(sizes), shared, frozenset(flat))


def _copy(photo: PhotoFile, target: Path) -> tuple[tuple[int, int], float]:
    """Size of the copy and the spread of its grey values."""
    import cv2

    rgb = decode_upright(photo.path, LONGEST_SIDE)
    height, width = rgb.shape[:2]
    if abs(width * photo.height - height * photo.width) > 2 * max(photo.width, photo.height):
        raise CaptureError(
            f"{photo.path} is {photo.width}x{photo.height} pixels by its header, but decodes to the shape "
            f"{width}x{height}. Copy the photo again."
        )
    small = np.ascontiguousarray(rgb[..., ::-1])
    if not cv2.imwrite(str(target), small, [cv2.IMWRITE_JPEG_QUALITY, QUALITY]):
        raise CaptureError(f"{target} cannot be written; is the disk full?")
    return (width, height), float(cv2.cvtColor(small, cv2.COLOR_BGR2GRAY).std())


def _copy_mask(photo: PhotoFile, size: tuple[int, int], target: Path) -> None:
    import cv2

    assert photo.mask is not None
    with opened(photo.path) as image:
        turn = orientation(image)
    mask = load_mask(photo.mask, (photo.width, photo.height), photo.path, turn)
    target.parent.mkdir(exist_ok=True)
    cv2.imwrite(str(target), cv2.resize(255 * mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST))
