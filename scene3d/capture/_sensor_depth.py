"""Sensor depth made ready for use: edges left out, and reduced along with the photos.

A depth sensor and its colour camera never see an edge at the same pixel: they stand apart, are registered to a pixel
or so, and the sensor smears foreground into background. Depth there would pull splats off the edges that the photo
shows, so pixels beside a jump in depth are taken as unknown, once, at the full size. Reduction averages what is known
in a block, and knows nothing where the block is mostly hole or spans two surfaces.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["reduced_depth", "without_edges"]

JUMP = 0.04
"""Relative step between adjoining pixels that is an edge; a floor seen at 80 degrees steps by 0.02."""
WIDE_JUMP = 0.12
"""The same within `BESIDE`, where a hole may lie between the two surfaces."""
BESIDE = 0.0065
"""How far from an edge depth is not believed, as a share of the longest side: 3 px at 480."""
MOST_SPREAD = 0.02
"""Largest relative deviation within a block that is one surface."""
FEWEST_KNOWN = 0.5
"""Share of a block that must be known."""


def without_edges(depth: NDArray[np.float32]) -> NDArray[np.float32]:
    """Depth (H, W) with 0, which is unknown, also beside jumps from one surface to another."""
    import cv2

    radius = max(1, round(BESIDE * max(depth.shape)))
    wide = np.ones((2 * radius + 1, 2 * radius + 1), np.uint8)
    steps = _steps(depth, np.ones((3, 3), np.uint8)) > JUMP
    near_edge = cv2.dilate(steps.astype(np.uint8), wide) > 0
    near_edge |= _steps(depth, wide) > WIDE_JUMP
    return np.where(near_edge, np.float32(0), depth)


def _steps(depth: NDArray[np.float32], window: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Largest over smallest known depth in the window around each pixel, less 1; negative where none is known."""
    import cv2

    known = depth > 0
    high = cv2.dilate(depth, window)
    # An unknown pixel must be neither the smallest nor the largest: the smallest is looked for among inverses.
    low = cv2.dilate(np.divide(1.0, depth, out=np.zeros_like(depth), where=known), window)
    return high * low - 1.0  # type: ignore[return-value]


def reduced_depth(depth: NDArray[np.float32], width: int, height: int) -> NDArray[np.float32]:
    """Depth (H, W) at a smaller size: the mean of what is known in a block, where that is one surface, else 0."""
    import cv2

    def averaged(image: NDArray) -> NDArray[np.float32]:
        return cv2.resize(image.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA)  # type: ignore[return-value]

    share = averaged(depth > 0)
    safe = np.maximum(share, 1e-6)
    mean = averaged(depth) / safe
    # Relative to a nearby value, because squares of depths in float32 would hide a spread of a per mille.
    reference = np.maximum(cv2.resize(mean, depth.shape[::-1], interpolation=cv2.INTER_NEAREST), 1e-12)
    off = np.where(depth > 0, depth / reference - 1.0, 0.0)
    variance = averaged(off * off) / safe - (averaged(off) / safe) ** 2
    sound = (share >= FEWEST_KNOWN - 1e-4) & (variance <= MOST_SPREAD**2)
    return np.where(sound, mean, 0.0).astype(np.float32)
