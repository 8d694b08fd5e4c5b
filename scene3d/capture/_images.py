"""Pixels of one view: decode -> upright -> undistort -> reduce.

Beside the colours goes what is known of each pixel. The photo saw it or not (undistortion leaves borders); its mask and
its own alpha channel keep it or not. OpenCV resamples all of that onto the pinhole camera of the same `K` and size, and
area averaging reduces it to the size that was asked for, with the camera scaled alike. A pixel that is kept in part
shows a mixture of subject and surroundings that no splat should be fitted to, so it is not valid in either mask mode.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from scene3d._errors import CaptureError
from scene3d.capture._capture import Photo
from scene3d.capture._decode import UPRIGHT, image_size, opened, orientation, rgb_and_alpha, turned, turned_size
from scene3d.capture._depth_maps import load_depth
from scene3d.capture._mask_image import KEPT, load_mask
from scene3d.capture._undistort import photo_positions

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

    from scene3d._camera import Camera
    from scene3d.capture._capture import View

__all__ = ["image_size", "load_photo"]

LARGEST_SIDE = 32766
"""OpenCV's remap addresses pixels with 16-bit integers [px]."""
ROUNDING = 1e-4
"""A pixel counts as wholly of one kind up to this share."""


@dataclass
class _Pixels:
    """What is known of a picture while it is resampled."""

    rgb: NDArray[np.uint8]
    """sRGB, shape (H, W, 3)."""
    seen: NDArray[np.bool_]
    """The photo saw all of the pixel, shape (H, W)."""
    kept: NDArray[np.float32] | None
    """Share of the pixel that mask and alpha keep, shape (H, W); None keeps all."""


def load_photo(view: View, longest_side: int | None = None) -> Photo:
    """Decode, undistort and reduce the photo of a view; see `View.load`."""
    pixels, turn = _decode(view)
    if view.resampled:
        pixels = _undistort(pixels, view)
    camera = view.camera if longest_side is None else view.camera.fitted(longest_side)
    if (camera.width, camera.height) != (view.camera.width, view.camera.height):
        pixels = _reduce(pixels, camera)
    valid, outside = _kinds(pixels, alpha_mode=view.mask_mode == "alpha")
    depth = None
    if view.depth is not None:
        depth = load_depth(view, camera, turn)
        depth[~valid if outside is None else ~valid | outside] = 0.0
    return Photo(np.ascontiguousarray(pixels.rgb), np.ascontiguousarray(valid), camera, depth, outside)


def _decode(view: View) -> tuple[_Pixels, int]:
    """Pixels at exactly the camera's size, and the EXIF orientation that they were turned by."""
    size = (view.camera.width, view.camera.height)
    if max(size) > LARGEST_SIDE:
        raise CaptureError(
            f"{view.path} is {size[0]}x{size[1]} pixels, but photos are read up to {LARGEST_SIDE} pixels a side. "
            "Reduce the photos."
        )
    with opened(view.path) as image:
        # The size is compared before decoding, so that a lying header allocates nothing.
        turn = _turn(image, view)
        rgb, alpha = rgb_and_alpha(image)
    rgb = turned(rgb, turn)
    kept = None if alpha is None or alpha.min() >= KEPT else turned(alpha >= KEPT, turn)
    if view.mask is not None:
        mask = load_mask(view.mask, size, view.path, turn)
        kept = mask if kept is None else mask & kept
    share = None if kept is None else kept.astype(np.float32)
    return _Pixels(rgb, np.ones(rgb.shape[:2], dtype=bool), share), turn


def _turn(image: Image, view: View) -> int:
    """EXIF orientation to apply: always when the view says so, else when the camera's size demands it.

    Pose solvers differ in whether they honour the EXIF orientation; the size says which of the two this one did.
    """
    wanted = (view.camera.width, view.camera.height)
    own = orientation(image)
    turn = own if view.upright or image.size != wanted else UPRIGHT
    if turned_size(image.size, turn) != wanted:
        found = turned_size(image.size, own) if view.upright else image.size
        raise CaptureError(
            f"{view.path} is {found[0]}x{found[1]} pixels, but its camera is {wanted[0]}x{wanted[1]}. "
            "Use the photos that the poses were solved with."
        )
    return turn


def _undistort(pixels: _Pixels, view: View) -> _Pixels:
    """Resample onto the pinhole camera of the same size."""
    import cv2

    map_x, map_y, seen = photo_positions(view.camera, view.distortion, view.projection, view.photo_K)

    def flat(picture: NDArray) -> NDArray:
        # Replicated borders keep the outermost half pixel, whose source is inside the photo, free of black.
        contiguous = np.ascontiguousarray(picture)
        return cv2.remap(contiguous, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)  # type: ignore[return-value]

    return _Pixels(flat(pixels.rgb), seen, None if pixels.kept is None else flat(pixels.kept))


def _reduce(pixels: _Pixels, camera: Camera) -> _Pixels:
    """Average over the area of each target pixel; seen where all of that area is."""
    import cv2

    def small(picture: NDArray) -> NDArray:
        size = (camera.width, camera.height)
        return cv2.resize(np.ascontiguousarray(picture), size, interpolation=cv2.INTER_AREA)  # type: ignore[return-value]

    seen = np.ones((camera.height, camera.width), dtype=bool)
    if not pixels.seen.all():
        seen = small(pixels.seen.astype(np.float32)) > 1 - ROUNDING
    return _Pixels(small(pixels.rgb), seen, None if pixels.kept is None else small(pixels.kept))


def _kinds(pixels: _Pixels, *, alpha_mode: bool) -> tuple[NDArray[np.bool_], NDArray[np.bool_] | None]:
    """Which pixels are valid, and in alpha mode which are outside of the subject."""
    if pixels.kept is None:
        return pixels.seen, None
    inside = pixels.kept > 1 - ROUNDING
    if not alpha_mode:
        return pixels.seen & inside, None
    outside = pixels.seen & (pixels.kept < ROUNDING)
    return pixels.seen & (inside | outside), outside
