"""Sensor depth of a capture as 16-bit PNG, camera z, 0 where unknown: what nerfstudio reads, in millimetres.

Range limits and confidence are applied and the sensor's own marks of nothing become 0, so that other programs see what
our fit sees. Maps keep their size, which is often smaller than the photo's; those of photos that were turned or
undistorted follow them onto their pixels. There are maps for all photos or for none: a photo without depth gets one
that is all unknown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scene3d.capture._depth_files import read_depth

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from scene3d.interop._export_photos import Picture

__all__ = ["depth_file", "write_depths"]

MILLIMETRE = 1e-3
LARGEST = 65534
"""Larger numbers are unknown, as 65535 is to sensors."""


def depth_file(picture: Picture) -> str:
    """Path of a photo's depth below the exported folder."""
    return f"depths/{picture.name}.png"


def write_depths(pictures: Sequence[Picture], folder: Path, *, metric: bool) -> float | None:
    """Write the depth of all photos below `folder`; returns the length of one stored unit, None without any depth.

    The unit is 0.001 m, and what is farther than 65.534 m is unknown. Without metric scale lengths may be of any size,
    and the unit is chosen so that the largest depth just fits.

    Raises:
        CaptureError: A depth file cannot be read.
    """
    if all(picture.view.depth is None for picture in pictures):
        return None
    unit = MILLIMETRE
    if not metric:
        unit = max(float(_depth(picture).max()) for picture in pictures) / LARGEST or MILLIMETRE
    for picture in pictures:
        target = folder / depth_file(picture)
        target.parent.mkdir(parents=True, exist_ok=True)
        _save(_depth(picture), unit, target)
    return unit


def _depth(picture: Picture) -> NDArray[np.float32]:
    """Depth (h, w) as the fit sees it; zeros of the photo's size when there is none."""
    if picture.view.depth is None:
        return np.zeros((picture.view.camera.height, picture.view.camera.width), dtype=np.float32)
    if not picture.reshaped:
        return read_depth(picture.view.depth)
    depth = picture.decoded(with_depth=True).depth
    assert depth is not None
    return depth


def _save(depth: NDArray[np.float32], unit: float, target: Path) -> None:
    from PIL import Image

    stored = np.rint(depth.astype(np.float64) / unit)
    stored[~(stored <= LARGEST)] = 0
    Image.fromarray(stored.astype(np.uint16)).save(target, "PNG", compress_level=2)
