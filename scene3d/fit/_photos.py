"""Training photos at the sizes that the resolution schedule uses.

Every photo is decoded once at the full fitting size and halved in memory; a level is a list of float targets with
their cameras. The same type serves every engine.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from scene3d._camera import Camera
    from scene3d.capture import Photo, View

__all__ = ["LEVELS", "Target", "load_targets"]

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
    """Pixels to fit, uint8, shape (H, W); None when all are."""

    def to(self, device: str) -> Target:
        """The same target on another device."""
        valid = None if self.valid is None else self.valid.to(device)
        return Target(self.camera.to(device), self.rgb.to(device), valid)


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
    import cv2
    import numpy as np
    import torch

    rgb = photo.rgb.astype(np.float32) / 255.0
    seen = photo.valid.astype(np.float32)
    targets = []
    for reduction in LEVELS:
        width = max(1, round(photo.camera.width / reduction))
        height = max(1, round(photo.camera.height / reduction))
        small = cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA) if reduction > 1 else rgb
        valid = cv2.resize(seen, (width, height), interpolation=cv2.INTER_AREA) if reduction > 1 else seen
        whole = valid > 1 - 1e-4
        mask = None if whole.all() else torch.from_numpy(whole.astype(np.uint8))
        camera = photo.camera.resized(width, height).to(dtype=torch.float32)
        targets.append(Target(camera, torch.from_numpy(np.ascontiguousarray(small)), mask))
    return targets
