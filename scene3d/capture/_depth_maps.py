"""Sensor depth of one view on the pixels that its photo is reduced to.

A depth map has the view of its photo but seldom its size: phones measure 256x192 for photos ten times as wide. Each
target pixel asks for depth at one place, or at a few places spread over it where the map is finer, and each place is
carried through the lens model into the map. There the nearest value is taken, so nothing is mixed across an edge and a
hole stays a hole. Only where the map is planar, inverse depth (which is linear on planes) is interpolated between its
values, which halves the error of coarse maps. Several values make their median, if at least half of them are known.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from scene3d._errors import CaptureError
from scene3d.capture._decode import UPRIGHT, turned, turned_size
from scene3d.capture._depth_files import read_depth
from scene3d.capture._undistort import distorted_positions

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from scene3d._camera import Camera
    from scene3d.capture._capture import View

__all__ = ["load_depth"]

MOST_SAMPLES = 4
"""Places per target pixel and axis."""
PLANAR = 0.01
"""Relative departure of inverse depth from a plane up to which neighbours are one surface."""
CLOSE = 0.02
"""Relative difference up to which the two middle values are averaged."""


def load_depth(view: View, camera: Camera, photo_turn: int = UPRIGHT) -> NDArray[np.float32]:
    """Depth of a view along its z axis [m or capture units], 0 where unknown, shape (H, W).

    Args:
        view: View with a depth file.
        camera: Its camera at the target size.
        photo_turn: EXIF orientation that the photo was turned by; 1 when it was not.

    Raises:
        CaptureError: The map cannot be read, or has not the shape of its photo.
    """
    assert view.depth is not None
    depth = read_depth(view.depth)
    depth = np.ascontiguousarray(turned(depth, _depth_turn(depth.shape[1::-1], view, photo_turn)))
    each = min(MOST_SAMPLES, math.ceil(max(depth.shape[1] / camera.width, depth.shape[0] / camera.height)))
    column, row, seen = _places(view, camera.resized(camera.width * each, camera.height * each), depth.shape)
    return _block_median(np.where(seen, _sample(depth, column, row), np.float32(0)), each)


def _depth_turn(size: tuple[int, ...], view: View, photo_turn: int) -> int:
    """How to turn the map: not at all when it has the photo's shape, else as the photo was turned."""
    photo = (view.camera.width, view.camera.height)
    for turn in (UPRIGHT, photo_turn):
        if _same_shape(turned_size((size[0], size[1]), turn), photo):
            return turn
    assert view.depth is not None
    raise CaptureError(
        f"The depth map {view.depth.path} is {size[0]}x{size[1]} pixels, which is not the shape of its photo "
        f"{view.path}, {photo[0]}x{photo[1]}. Its width and height must be in the same proportion."
    )


def _same_shape(size: tuple[int, int], photo: tuple[int, int]) -> bool:
    """Equal proportions within one pixel of the map, or one in a hundred: scanners crop their photos a little."""
    (width, height), (photo_width, photo_height) = size, photo
    off = abs(width * photo_height - height * photo_width)
    return off <= max(photo_width, photo_height, 0.01 * width * photo_height)


def _places(
    view: View, camera: Camera, shape: tuple[int, ...]
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_]]:
    """Column and row in the map, pixel centres at whole numbers, that each pixel of a camera asks for."""
    if view.distortion or view.projection == "fisheye":
        column, row, seen = distorted_positions(camera, view.distortion, view.projection)
    else:
        column, row = np.meshgrid(np.arange(camera.width, dtype=np.float32), np.arange(camera.height, dtype=np.float32))
        seen = np.ones(column.shape, dtype=bool)
    height, width = shape
    column = (column + np.float32(0.5)) * np.float32(width / camera.width) - np.float32(0.5)
    row = (row + np.float32(0.5)) * np.float32(height / camera.height) - np.float32(0.5)
    return column, row, seen


def _sample(depth: NDArray[np.float32], column: NDArray[np.float32], row: NDArray[np.float32]) -> NDArray[np.float32]:
    """Nearest values, refined in inverse depth where the map is planar."""
    import cv2

    x = np.clip(np.rint(column), 0, depth.shape[1] - 1).astype(np.int64)
    y = np.clip(np.rint(row), 0, depth.shape[0] - 1).astype(np.int64)
    with np.errstate(divide="ignore"):
        inverse = np.where(depth > 0, 1 / depth, np.float32(0))
    between = cv2.remap(inverse, column, row, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    # Stored values come through to the last bit.
    refined = _on_a_plane(inverse)[y, x] & ((column != x) | (row != y))  # type: ignore[arg-type]
    return np.where(refined, 1 / np.where(refined, between, 1), depth[y, x]).astype(np.float32)


def _on_a_plane(inverse: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Pixels whose eight neighbours are all known and lie on one plane with them; never at the frame."""
    plane = np.zeros(inverse.shape, dtype=bool)
    if min(inverse.shape) < 3:
        return plane
    middle = inverse[1:-1, 1:-1]
    good = middle > 0
    for first, second in (((0, 0), (2, 2)), ((0, 1), (2, 1)), ((0, 2), (2, 0)), ((1, 0), (1, 2))):
        a, b = (inverse[dy : dy + middle.shape[0], dx : dx + middle.shape[1]] for dy, dx in (first, second))
        good &= (a > 0) & (b > 0) & (np.abs(a + b - 2 * middle) <= PLANAR * middle)
    plane[1:-1, 1:-1] = good
    return plane


def _block_median(samples: NDArray[np.float32], each: int) -> NDArray[np.float32]:
    """Median of the known samples of each target pixel, 0 where fewer than half are known.

    An even number has two middle values. Their mean is taken when they are close, else the nearer one, so that no depth
    comes out at which nothing is.
    """
    if each == 1:
        return samples
    height, width = samples.shape[0] // each, samples.shape[1] // each
    blocks = samples.reshape(height, each, width, each).swapaxes(1, 2).reshape(height, width, each * each)
    known = (blocks > 0).sum(axis=2)
    ordered = np.sort(np.where(blocks > 0, blocks, np.float32(np.inf)), axis=2)
    low = np.take_along_axis(ordered, np.maximum(known - 1, 0)[..., None] // 2, axis=2)[..., 0]
    high = np.take_along_axis(ordered, np.minimum(known // 2, each * each - 1)[..., None], axis=2)[..., 0]
    enough = 2 * known >= each * each
    low, high = np.where(enough, low, 0), np.where(enough, high, 0)
    return np.where(high - low <= CLOSE * low, 0.5 * (low + high), low).astype(np.float32)
