"""From what the views said of a grid's voxels to one signed field whose zero is the object's surface.

The object is inside all its outlines, behind the surface that was seen, and above what it stands on: the least of three
signed distances. What no view could look at stays solid, so that the body is closed; hollows that were looked into
stay open, and those of vessels, which splats see badly, are completed (`_close_unseen.py`). What is hardly more than
haze comes out lumpy, since its surface is as uncertain as the haze is deep: it is smoothed at constant volume.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scene3d.segment._close_unseen import hollow_of_vessel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from scene3d._support import SupportPlane
    from scene3d.segment._fuse_volume import Volume

__all__ = ["carve"]

BLUR = 1.0
"""Depth is averaged over neighbours this far [cells]: it is noisier than outlines are."""
SLACK = 0.3
"""Noisy depth carves where it errs one way and adds nothing where it errs the other: it must say so this clearly."""


def carve(volume: Volume, support: SupportPlane | None) -> NDArray[np.float32]:
    """Signed field of a volume, positive inside, shape (nx, ny, nz) [scene units].

    Args:
        volume: What the views said.
        support: What the object stands on: it ends there. None for a thing that hangs or whose support is not seen.
    """
    outline, depth, cell = volume.outline, volume.depth, volume.grid.cell
    height = np.full_like(outline, np.inf)
    if support is not None:
        height = support.heights(volume.grid.centres()).astype(np.float32)
        outline = np.minimum(outline, height)
    hollow = hollow_of_vessel(outline, depth, volume.weight, cell)
    depth = _smooth(depth, volume.weight) + SLACK * cell
    if hollow is not None:
        depth = np.where(hollow.is_vessel, hollow.depth, depth)
    field = np.minimum(outline, depth)
    if volume.blur > 0:
        # The cut by the support is sharp: below it the smoothing sees what it sees above.
        field = np.minimum(_rounded(np.minimum(volume.outline, depth), height > 0, volume.blur), height)
    return field.astype(np.float32)


def _rounded(field: NDArray, counted: NDArray[np.bool_], blur: float) -> NDArray:
    """A field smoothed by so many cells and shifted so that as many of the counted voxels are inside as before."""
    from scipy.ndimage import gaussian_filter

    inside = int((counted & (field > 0)).sum())
    smooth = gaussian_filter(field, blur)
    if not 0 < inside < int(counted.sum()):
        return smooth
    values = np.sort(smooth[counted])[::-1]
    return smooth - 0.5 * (values[inside - 1] + values[inside])


def _smooth(depth: NDArray, weight: NDArray) -> NDArray[np.float32]:
    """Weighted mean of depth over neighbours."""
    from scipy.ndimage import gaussian_filter

    sure = weight + 1e-3
    return (gaussian_filter(depth * sure, BLUR) / gaussian_filter(sure, BLUR)).astype(np.float32)
