"""Training photos at the sizes that the resolution schedule uses.

Every photo is decoded once at the full fitting size and halved in memory; a level is a list of float targets with
their cameras. Sensor depth comes along with its edges left out. Where a mask says that nothing of the object is, the
target is black and transparent: what the photo shows there is not the object's. The same type serves every engine.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scene3d.capture._sensor_depth import reduced_depth, without_edges

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from scene3d._camera import Camera
    from scene3d.capture import Photo, View

__all__ = ["LEVELS", "Target", "load_targets"]

WHOLE = 1 - 1e-4
"""Share of source pixels that is all of them; leaves room for rounding."""
LEVELS = (4, 2, 1)
"""Reduction of each level, coarse first."""


@dataclass(frozen=True)
class Target:
    """One photo at one size."""

    camera: Camera
    """Pinhole camera of these pixels."""
    rgb: Tensor
    """Colours in [0, 1], float32, shape (H, W, 3)."""
    valid: Tensor | None
    """Pixels whose colour is fitted, uint8, shape (H, W); None when all are."""
    depth: Tensor | None = None
    """Sensor depth along the camera's z axis [m], 0 where it is unknown or not believed, float32, shape (H, W)."""
    outside: Tensor | None = None
    """Pixels that must be transparent, uint8, shape (H, W); every other valid pixel must then be opaque."""

    def to(self, device: str) -> Target:
        """The same target on another device."""

        def moved(image: Tensor | None) -> Tensor | None:
            return None if image is None else image.to(device)

        return Target(
            self.camera.to(device), self.rgb.to(device), moved(self.valid), moved(self.depth), moved(self.outside)
        )


def load_targets(
    views: Sequence[View], longest_side: int, *, threads: int = 2, progress: Callable[[float], None] | None = None
) -> list[list[Target]]:
    """Targets of all views, indexed [level][view] with levels as in `LEVELS`."""
    levels: list[list[Target]] = [[] for _ in LEVELS]
    with ThreadPoolExecutor(threads) as pool:
        for i, photo in enumerate(pool.map(lambda view: view.load(longest_side), views)):
            for level, target in zip(levels, _pyramid(photo), strict=True):
                level.append(target)
            if progress is not None:
                progress((i + 1) / len(views))
    return levels


def _pyramid(photo: Photo) -> list[Target]:
    """The photo at all sizes; a reduced pixel is valid, or outside, where all of its source pixels are."""
    import cv2
    import numpy as np
    import torch

    def reduced(image: NDArray, width: int, height: int) -> NDArray:
        if (height, width) == image.shape[:2]:
            return image
        return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)

    rgb = photo.rgb.astype(np.float32) / 255.0
    seen, outside = photo.valid.astype(np.float32), None
    if photo.outside is not None:
        outside = photo.outside.astype(np.float32)
        rgb[photo.outside] = 0.0
        seen[photo.outside] = 0.0
    depth = _believed_depth(photo)
    targets = []
    for reduction in LEVELS:
        width = max(1, round(photo.camera.width / reduction))
        height = max(1, round(photo.camera.height / reduction))
        small = np.ascontiguousarray(reduced(rgb, width, height))
        valid = reduced(seen, width, height) > WHOLE
        bare = None if outside is None else torch.from_numpy((reduced(outside, width, height) > WHOLE).astype(np.uint8))
        targets.append(
            Target(
                photo.camera.resized(width, height).to(dtype=torch.float32),
                torch.from_numpy(small),
                None if valid.all() else torch.from_numpy(valid.astype(np.uint8)),
                None if depth is None else torch.from_numpy(reduced_depth(depth, width, height)),
                bare,
            )
        )
    return targets


def _believed_depth(photo: Photo) -> NDArray[np.float32] | None:
    """Depth at the photo's size without edges and without pixels that the photo does not fit; None when none is left.

    Only its absence spares the engines the depth image, so a photo without any known depth has none.
    """
    import numpy as np

    if photo.depth is None:
        return None
    fitted = photo.valid if photo.outside is None else photo.valid & ~photo.outside
    depth = np.where(fitted, without_edges(photo.depth), np.float32(0))
    return depth if depth.any() else None
