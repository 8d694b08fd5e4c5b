"""A mask file -> which pixels of its photo are kept.

White is kept. Any image will do: black and white, grey, palette, colour, with an alpha channel whose transparent pixels
count as black, or the 0 and 1 that segmentation tools write. A mask lies over the upright photo; one that was drawn
over the photo as stored is turned together with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scene3d._errors import CaptureError
from scene3d.capture._decode import UPRIGHT, opened, orientation, rgb_and_alpha, turned, turned_size

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["KEPT", "load_mask"]

KEPT = 128
"""Brightness, and alpha, from which a pixel is kept."""


def load_mask(path: Path, size: tuple[int, int], photo: Path, photo_turn: int = UPRIGHT) -> NDArray[np.bool_]:
    """Kept pixels of a photo, shape (H, W).

    Args:
        path: Mask image.
        size: Width and height of the photo as it is used [px].
        photo: The photo, for messages.
        photo_turn: EXIF orientation that the photo was turned by; 1 when it was not.

    Raises:
        CaptureError: The file cannot be decoded, or has neither the size of the photo nor that of the photo as stored.
    """
    with opened(path, "mask") as image:
        own = orientation(image)
        turns = (own, UPRIGHT, photo_turn) if photo_turn != UPRIGHT else (UPRIGHT, own)
        turn = next((turn for turn in turns if turned_size(image.size, turn) == size), None)
        if turn is None:
            raise CaptureError(
                f"The mask {path} is {image.size[0]}x{image.size[1]} pixels, but its photo {photo} is "
                f"{size[0]}x{size[1]}. Give every mask the size of its photo."
            )
        rgb, alpha = rgb_and_alpha(image)
    if rgb.max(initial=0) == 1:
        rgb = rgb * np.uint8(255)
    kept = rgb.astype(np.float32) @ np.array([0.299, 0.587, 0.114], dtype=np.float32) >= KEPT - 0.5
    if alpha is not None:
        kept &= alpha >= KEPT
    return turned(kept, turn)
