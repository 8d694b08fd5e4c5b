"""What the black pixels of masks mean, where the user does not say.

Masks come in two kinds. Some leave out what disturbs, a person or one's own shadow: most of each photo is kept. Others
cut out an object: little is kept, and fitting that little alone would leave the rest of space free to hold anything.
So masks that keep less than half of the photos count as ``alpha``, the others as ``ignore``, and a note says so.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scene3d.capture._capture import Capture, View
    from scene3d.capture._photo_set import PhotoFile, PhotoSet

__all__ = ["photos_with_mask_mode", "with_mask_mode"]

LOOKED_AT = 6
"""Photos whose masks are opened."""
LONGEST_SIDE = 240
CUT_OUT = 0.5
"""Share of the pixels that is left out, from which masks cut out an object."""

T = TypeVar("T")


def with_mask_mode(capture: Capture) -> Capture:
    """The capture with the mask mode that its masks look like; unchanged when nothing is masked."""
    left_out = [_left_out(view) for view in _some(capture.views)]
    if not left_out or np.median(left_out) <= CUT_OUT:
        return capture
    views = tuple(replace(view, mask_mode="alpha") for view in capture.views)
    return replace(capture, views=views, notes=(*capture.notes, _note(float(np.median(left_out)))))


def photos_with_mask_mode(photos: PhotoSet) -> PhotoSet:
    """The photos with the mask mode that their masks look like."""
    masked = [file for file in photos.files if file.mask is not None]
    left_out = [_masked_out(file) for file in _some(masked)]
    if not left_out or np.median(left_out) <= CUT_OUT:
        return photos
    return replace(photos, mask_mode="alpha", notes=(*photos.notes, _note(float(np.median(left_out)))))


def _left_out(view: View) -> float:
    """Share of a photo that its mask, or its own alpha channel, leaves out."""
    photo = replace(view, mask_mode="alpha", depth=None).load(LONGEST_SIDE)
    return 0.0 if photo.outside is None else float(photo.outside.mean())


def _masked_out(file: PhotoFile) -> float:
    from scene3d.capture._decode import opened, orientation
    from scene3d.capture._mask_image import load_mask

    assert file.mask is not None
    with opened(file.path) as image:
        turn = orientation(image)
    return 1.0 - float(load_mask(file.mask, (file.width, file.height), file.path, turn).mean())


def _some(items: Sequence[T]) -> list[T]:
    count = min(LOOKED_AT, len(items))
    return [items[i * len(items) // count] for i in range(count)]


def _note(left_out: float) -> str:
    return (
        f"The masks leave out {100 * left_out:.0f} % of the photos, so they cut out an object: splats are transparent "
        "outside (--masks alpha). With --masks ignore anything may be there."
    )
