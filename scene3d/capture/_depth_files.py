"""A depth file -> metres along the camera's z axis, 0 where unknown.

Read are 16-bit PNG and TIFF, float TIFF, EXR and NPY. What sensors write where they know nothing is unknown: 0, NaN,
infinity, the largest value of the type, and values outside the range that the capture names. A confidence map beside it
takes away what is rated too low. Sizes come from headers and are bounded before anything is allocated.
"""

from __future__ import annotations

from tokenize import TokenError
from typing import TYPE_CHECKING, Any

import numpy as np

from scene3d._errors import CaptureError
from scene3d.capture._decode import DAMAGE, opened

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from scene3d.capture._capture import DepthFile

__all__ = ["read_depth"]

MOST_PIXELS = 1 << 25
"""Largest map that is read; four times the pixels of a 4K frame."""
NOTHING = 1e10
"""Renderers write this or more where no surface is, in stored units."""
EXR_CHANNELS = ("Z", "depth", "Depth", "depth.Z", "Depth.Z", "Y", "V", "R")
"""Names under which a depth channel is looked for, in this order."""
ACCEPTED = "Depth maps are 16-bit PNG, EXR, NPY or TIFF files with one channel."


def read_depth(depth: DepthFile) -> NDArray[np.float32]:
    """Read a depth map.

    Args:
        depth: The file, its unit and range, and its confidence map.

    Returns:
        Depth along the camera's z axis [m or capture units] as the file holds it, 0 where unknown, shape (h, w).

    Raises:
        CaptureError: A file is absent, damaged or of another kind, or the confidence map has another size.
    """
    values = _read(depth.path, "depth map")
    if values.dtype.itemsize == 1:
        raise CaptureError(f"{depth.path} has 8 bits a pixel, too few for depth. {ACCEPTED}")
    largest = np.iinfo(values.dtype).max if values.dtype.kind in "iu" else NOTHING
    with np.errstate(invalid="ignore", over="ignore"):
        metres = values.astype(np.float64) * depth.unit
        known = np.isfinite(metres) & (values < largest) & (metres > 0)
        known &= (metres >= depth.nearest) & (metres <= depth.farthest)
    if depth.confidence is not None:
        known &= _confidence(depth.confidence, values.shape, depth.path) >= depth.least_confidence
    return np.where(known, metres, 0.0).astype(np.float32)


def _confidence(path: Path, shape: tuple[int, ...], depth_path: Path) -> NDArray[Any]:
    ratings = _read(path, "confidence map")
    if ratings.shape != shape:
        raise CaptureError(
            f"The confidence map {path} is {ratings.shape[1]}x{ratings.shape[0]} pixels, but its depth map "
            f"{depth_path} is {shape[1]}x{shape[0]}. Both must have one size."
        )
    return ratings


def _read(path: Path, what: str) -> NDArray[Any]:
    """Stored numbers (h, w)."""
    readers = {".npy": _read_npy, ".exr": _read_exr}
    try:
        values = readers[path.suffix.lower()](path) if path.suffix.lower() in readers else _read_image(path, what)
    except DAMAGE as error:
        if isinstance(error, FileNotFoundError) or not path.exists():
            raise CaptureError(f"The {what} {path} does not exist.") from error
        raise CaptureError(f"The {what} {path} cannot be decoded ({error}). Export it again.") from error
    if values.ndim == 3:  # One channel, first or last.
        values = values[0] if values.shape[0] == 1 else values[..., 0] if values.shape[2] == 1 else values
    if values.ndim != 2 or values.dtype.kind not in "iuf":
        raise CaptureError(f"The {what} {path} has shape {values.shape} and type {values.dtype}. {ACCEPTED}")
    return values


def _require_bounded(count: int, path: Path) -> None:
    if count > MOST_PIXELS:
        raise CaptureError(f"{path} says it holds {count} numbers; depth maps are read up to {MOST_PIXELS}. Reduce it.")


def _read_image(path: Path, what: str) -> NDArray[Any]:
    with opened(path, what) as image:
        _require_bounded(image.width * image.height, path)
        return np.asarray(image)


def _read_npy(path: Path) -> NDArray[Any]:
    # Mapped first: that checks the header against the file's length without reading the numbers.
    try:
        mapped = np.load(path, mmap_mode="r", allow_pickle=False)
    except TokenError as error:  # NumPy reads headers of version 1 with Python's tokenizer.
        raise ValueError("its header is damaged") from error
    if not isinstance(mapped, np.ndarray):
        raise ValueError("it is an archive of several arrays")
    _require_bounded(mapped.size, path)
    return np.array(mapped)


def _read_exr(path: Path) -> NDArray[Any]:
    import OpenEXR

    with OpenEXR.File(str(path), separate_channels=True, header_only=True) as file:
        low, high = (corner.astype(np.int64) for corner in file.header()["dataWindow"])
        names = [channel.name for channel in file.header()["channels"]]
    width, height = (high - low + 1).tolist()
    # The reader decodes all channels, so all of them count.
    _require_bounded(max(width, 0) * max(height, 0) * len(names), path)
    name = names[0] if len(names) == 1 else next((name for name in EXR_CHANNELS if name in names), None)
    if name is None:
        raise ValueError(f"none of its channels {', '.join(names)} is called Z or depth")
    with OpenEXR.File(str(path), separate_channels=True) as file:
        return np.array(file.channels()[name].pixels)
