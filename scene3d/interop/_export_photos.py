"""Photos and masks of a capture as files that other programs read as we do: plan, then write.

A JPEG or PNG whose stored pixels are what we fit goes out byte for byte. Any other photo (HEIC, turned by EXIF,
transparent, 16-bit, distorted in a way that the target cannot say) is decoded by our own reader and written upright and
without alpha: PNG when its source is lossless, else JPEG. Masks are black where pixels do not count; there are masks
for all photos or for none, because that is what other programs accept.
"""

from __future__ import annotations

import math
import shutil
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import numpy as np

from scene3d.capture._decode import UPRIGHT, opened, orientation
from scene3d.interop._arrays import Calibration

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from scene3d.capture._capture import Photo, View

__all__ = ["Picture", "plan_pictures", "write_pictures"]

IMAGES, MASKS = "images", "masks"
LOSSLESS = (".png", ".tif", ".tiff", ".bmp", ".ppm", ".pgm", ".exr")
SUFFIXES = {"JPEG": (".jpg", ".jpeg"), "MPO": (".jpg", ".jpeg"), "PNG": (".png",)}
"""Formats that everybody reads, with the endings that everybody expects; MPO is what iPhones write as .JPG."""
JPEG_QUALITY = 97


@dataclass(frozen=True)
class Picture:
    """How one view leaves."""

    view: View
    """What it is made of."""
    name: str
    """Path below images/."""
    copied: bool
    """True when the file is copied byte for byte."""
    cutout: bool
    """True when the mask goes into the alpha channel: transparent there means that nothing of the subject is there."""
    calibration: Calibration
    """Camera and distortion of the pixels that are written."""

    @property
    def file(self) -> str:
        """Path below the exported folder."""
        return f"{IMAGES}/{self.name}"

    @property
    def mask(self) -> str:
        """Path below the exported folder, named as COLMAP names masks."""
        return f"{MASKS}/{self.name}.png"

    @property
    def undistorted(self) -> bool:
        """True when pixels leave on a pinhole camera that was not the photo's."""
        theirs, view = self.calibration, self.view
        bent = (theirs.distortion, theirs.projection) != (view.distortion, view.projection)
        return bent or view.photo_K is not None

    @property
    def reshaped(self) -> bool:
        """True when pixels are not where they were in the file, so that what is registered to it has to follow."""
        return self.undistorted or (not self.copied and _turned(self.view))

    def decoded(self, *, with_depth: bool = False) -> Photo:
        """Pixels, masks and perhaps depth as our reader sees them, undistorted only when they leave so."""
        view = self.view if with_depth else replace(self.view, depth=None)
        return (view if self.undistorted else replace(view, distortion=(), projection="opencv")).load()


def plan_pictures(views: Sequence[View], *, keeps: Callable[[Calibration], bool], cutouts: bool) -> list[Picture]:
    """Decide for each view whether it is copied, and what it is called.

    Args:
        views: Views sorted by name.
        keeps: Whether the target can say a camera's distortion; other photos are undistorted.
        cutouts: Masks of mode ``alpha`` go into the alpha channel.

    Raises:
        CaptureError: A photo is absent or no image.
    """
    pictures = []
    for view in views:
        calibration = Calibration(view.camera, view.distortion, view.projection)
        kept = view.photo_K is None and keeps(calibration)
        cutout = cutouts and view.mask_mode == "alpha" and (view.mask is not None or _has_alpha(view.path))
        suffix = _copied_suffix(view) if kept and not cutout else None
        written = ".png" if cutout or view.path.suffix.lower() in LOSSLESS else ".jpg"
        calibration = calibration if kept else Calibration(view.camera)
        pictures.append(Picture(view, suffix or written, suffix is not None, cutout, calibration))
    names = _names([view.name for view in views], [picture.name for picture in pictures])
    return [replace(picture, name=name) for picture, name in zip(pictures, names, strict=True)]


def write_pictures(pictures: Sequence[Picture], folder: Path) -> set[str]:
    """Write all photos and masks below `folder`; returns the names of the photos that have a mask: all or none.

    Raises:
        CaptureError: A photo or a mask cannot be read.
    """
    masked = {picture.name for picture in pictures if _write(picture, folder)}
    if masked:
        for picture in pictures:
            if picture.name not in masked:
                camera = picture.view.camera
                _save_mask(np.ones((camera.height, camera.width), dtype=bool), folder / picture.mask)
    return {picture.name for picture in pictures} if masked else masked


def _write(picture: Picture, folder: Path) -> bool:
    """Write a photo, and its mask when some pixels do not count; returns whether there is a mask."""
    target = folder / picture.file
    target.parent.mkdir(parents=True, exist_ok=True)
    if picture.copied:
        shutil.copyfile(picture.view.path, target)
        if picture.view.mask is None:
            return False
    photo = picture.decoded()
    if not picture.copied:
        _save_photo(photo, target, picture.cutout)
    outside = np.zeros_like(photo.valid) if photo.outside is None else photo.outside
    # What the alpha channel says needs no mask. Without one, a program that knows masks of one kind only is told to
    # leave those pixels out.
    counts = photo.valid | outside if picture.cutout else photo.valid & ~outside
    if counts.all() and (picture.cutout or picture.view.mask is None):
        return False
    _save_mask(counts, folder / picture.mask)
    return True


def _save_photo(photo: Photo, target: Path, cutout: bool) -> None:
    from PIL import Image

    pixels = photo.rgb
    if cutout:
        inside = np.ones(photo.valid.shape, dtype=bool) if photo.outside is None else ~photo.outside
        pixels = np.dstack([pixels, np.where(inside, 255, 0).astype(np.uint8)])
    if target.suffix == ".png":
        Image.fromarray(pixels).save(target, "PNG", compress_level=4)
    else:
        Image.fromarray(pixels).save(target, "JPEG", quality=JPEG_QUALITY, subsampling=0)


def _save_mask(kept: NDArray[np.bool_], target: Path) -> None:
    from PIL import Image

    target.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.where(kept, 255, 0).astype(np.uint8)).save(target, "PNG")


def _copied_suffix(view: View) -> str | None:
    """Ending for the copy of a photo, None when its bytes cannot be used as they are."""
    with opened(view.path) as image:
        suffixes = SUFFIXES.get(image.format or "")
        plain = image.mode == "RGB" and "transparency" not in image.info
        sized = image.size == (view.camera.width, view.camera.height)
        if suffixes is None or not plain or not sized or orientation(image) != UPRIGHT:
            return None
    own = PurePosixPath(view.name).suffix
    return own if own.lower() in suffixes else suffixes[0]


def _has_alpha(path: Path) -> bool:
    with opened(path) as image:
        return image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info


def _turned(view: View) -> bool:
    """True when decoding turns the stored pixels as EXIF says."""
    with opened(view.path) as image:
        stored = image.size == (view.camera.width, view.camera.height)
        return orientation(image) != UPRIGHT and (view.upright or not stored)


def _names(names: Sequence[str], suffixes: Sequence[str]) -> list[str]:
    """Paths below images/ that keep the order of the views, because others sort them and hold out every 8th."""
    inside = [_inside(name) for name in names]
    if all(path.parts[0] == IMAGES and len(path.parts) > 1 for path in inside):
        inside = [PurePosixPath(*path.parts[1:]) for path in inside]
    short = [str(path.with_suffix(suffix)) for path, suffix in zip(inside, suffixes, strict=True)]
    long = [
        str(path) if path.suffix == suffix else f"{path}{suffix}" for path, suffix in zip(inside, suffixes, strict=True)
    ]
    for candidates in (short, long):
        if candidates == sorted(candidates) and len({name.lower() for name in candidates}) == len(candidates):
            return candidates
    digits = 1 + int(math.log10(max(1, len(names))))
    return [f"{i:0{digits}d}_{PurePosixPath(name).name}" for i, name in enumerate(long)]


def _inside(name: str) -> PurePosixPath:
    """The name without anything that leads out of a folder."""
    parts = [part for part in PurePosixPath(name.replace("\\", "/")).parts if part not in ("/", "..", ".")]
    return PurePosixPath(*parts) if parts else PurePosixPath("photo")
