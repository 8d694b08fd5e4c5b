"""How smeared a photo is, as one number that is comparable across contents.

A sharp photo changes a lot when it is blurred once more; a smeared one hardly does [Crete 2007, "The blur effect"]. The
share of each gradient that survives the second blur is measured block by block, because walls and sky have no
gradients to judge and a shallow depth of field is no fault: what counts are the sharpest of the busy blocks. Motion
smears along one direction, so the worse of the two image directions is returned.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scene3d._errors import CaptureError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["BLURRED_FROM", "blur"]

BLURRED_FROM = 0.55
"""Photos from here on count as blurred. Sharp photos of a phone and of the demo capture are at 0.29 to 0.45. Synthetic
motion over 6 px takes them to 0.65 and 0.59 in the median, over 10 px to 0.75 and 0.68."""
LONGEST_SIDE = 480
"""Photos are judged at this size [px], whatever theirs is: blur that vanishes here does little harm to a fit."""
SECOND_BLUR = 9
"""Length of the box filter that blurs once more [px]."""
NOISE = 0.6
"""Standard deviation of the Gaussian that calms sensor noise, which would pass for sharpness [px]."""
BLOCK = 32
BUSY = 0.5
"""Of the blocks, ordered by their mean gradient, those above this share are judged."""
SHARPEST = 0.4
"""Quantile of the survival ratio over busy blocks: the sharper ones decide."""
LEAST_GRADIENT = 0.05
"""Mean gradient [grey levels] below which a photo shows nothing at all."""


def blur(grey: NDArray[np.uint8]) -> float:
    """Blur of a photo, from 0 (sharp) to 1 (smeared, or of one colour).

    Args:
        grey: Grey values 0 to 255, shape (H, W), of any size; at least 480 px on the longest side makes it exact.

    Raises:
        CaptureError: The photo is empty or has channels.
    """
    import cv2

    if grey.ndim != 2 or min(grey.shape) < 2:
        raise CaptureError(f"Blur is measured on a grey image (H, W), found one of shape {grey.shape}.")
    scale = LONGEST_SIDE / max(grey.shape)
    if scale < 1:
        size = (max(2, round(grey.shape[1] * scale)), max(2, round(grey.shape[0] * scale)))
        grey = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    calm = cv2.GaussianBlur(grey.astype(np.float32), (3, 3), NOISE)
    return max(_along(calm, axis) for axis in (0, 1))


def _along(image: NDArray, axis: int) -> float:
    """Share of the gradients along one axis that survives a blur along it."""
    import cv2

    kernel = (1, SECOND_BLUR) if axis == 0 else (SECOND_BLUR, 1)
    gradient = _gradient(image, axis)
    surviving = np.minimum(gradient, _gradient(cv2.blur(image, kernel), axis))
    strength = _block_means(gradient)
    busy = strength >= max(float(np.quantile(strength, BUSY)), LEAST_GRADIENT)
    if not busy.any():
        return 1.0
    return float(np.quantile(_block_means(surviving)[busy] / strength[busy], SHARPEST))


def _gradient(image: NDArray, axis: int) -> NDArray:
    import cv2

    if axis == 0:
        return np.asarray(cv2.absdiff(image[1:], image[:-1]))
    return np.asarray(cv2.absdiff(image[:, 1:], image[:, :-1]))


def _block_means(values: NDArray) -> NDArray:
    """Means of whole blocks; images smaller than one are a single block."""
    import cv2

    height, width = values.shape
    rows, columns = max(1, height // BLOCK), max(1, width // BLOCK)
    whole = values[: rows * BLOCK, : columns * BLOCK]  # Slices past the end are cut to what is there.
    return np.asarray(cv2.resize(whole, (columns, rows), interpolation=cv2.INTER_AREA)).ravel()
