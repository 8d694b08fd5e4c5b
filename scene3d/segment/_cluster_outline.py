"""The outline of objects in one view, moved to where the colours change.

Geometry knows an object's outline as well as the support's noise lets it: the lowest strip of a mug lies within it.
Between what surely is the object and what surely is not, a graph cut with colour models of both sides finds the edge
[Rother 2004, GrabCut].
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["sharpened"]

ROUNDS = 3
FEWEST_SURE = 30
"""Pixels of the object that its colours are learnt from."""
SURROUNDINGS = 12
"""Pixels around the contested strip that the surroundings' colours are learnt from."""


def sharpened(labels: NDArray[np.int64], rgb: NDArray[np.float32], reach: float) -> NDArray[np.int64]:
    """Labels (H, W) of a view with outlines at edges of colour.

    Args:
        labels: Labels by geometry, 0 the background, -1 unknown, shape (H, W).
        rgb: The view, sRGB in [0, 1], shape (H, W, 3).
        reach: How far an outline may be off [px].
    """
    result = labels.copy()
    image = (rgb[..., ::-1].clip(0, 1) * 255).astype(np.uint8)
    for label in np.unique(labels[labels > 0]):
        window = _window(labels == label, math.ceil(reach) + SURROUNDINGS)
        own = _cut(image[window], labels[window], int(label), reach)
        if own is None:
            continue
        part = result[window]
        # Another object keeps what it has; what this one loses is background.
        part[own & (part <= 0)] = label
        part[~own & (part == label)] = 0
    return result


def _cut(image: NDArray[np.uint8], labels: NDArray[np.int64], label: int, reach: float) -> NDArray[np.bool_] | None:
    """Pixels of an object in a window around it; None where too little is known of it."""
    import cv2

    own = (labels == label).astype(np.uint8)
    out = 2 * math.ceil(reach) + 1
    grown = cv2.dilate(own, np.ones((out, out), np.uint8)) > 0
    core = cv2.erode(own, np.ones((3, 3), np.uint8), borderType=cv2.BORDER_REPLICATE) > 0
    contested = grown & (labels <= 0)
    if core.sum() < FEWEST_SURE or (~grown).sum() < FEWEST_SURE:
        return None
    mask = np.full(labels.shape, cv2.GC_BGD, dtype=np.uint8)
    mask[contested] = cv2.GC_PR_BGD
    mask[own > 0] = cv2.GC_PR_FGD
    mask[core] = cv2.GC_FGD
    cv2.setRNGSeed(0)
    models = np.zeros((1, 65)), np.zeros((1, 65))
    rectangle = (0, 0, labels.shape[1], labels.shape[0])
    cv2.grabCut(np.ascontiguousarray(image), mask, rectangle, *models, ROUNDS, cv2.GC_INIT_WITH_MASK)
    return (mask == cv2.GC_FGD) | (mask == cv2.GC_PR_FGD)


def _window(own: NDArray[np.bool_], margin: int) -> tuple[slice, slice]:
    """Rows and columns around an object."""
    rows, columns = np.flatnonzero(own.any(axis=1)), np.flatnonzero(own.any(axis=0))
    return (
        slice(max(0, int(rows[0]) - margin), int(rows[-1]) + margin + 1),
        slice(max(0, int(columns[0]) - margin), int(columns[-1]) + margin + 1),
    )
