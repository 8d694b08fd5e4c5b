"""What taking an object out of a scene does to the rest of the picture: PSNR outside its mask, before and after.

Both renders are compared with the photos, in the pixels that the object's mask does not cover. Pixels are pooled over
views; the worst single view is told beside it. A negative change is a loss.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scene3d import Camera, Scene
from scene3d._flatten import in_world
from scene3d.edit import remove
from scene3d.render import render

__all__ = ["removal_cost", "squared_errors"]


def removal_cost(
    scene: Scene,
    name: str,
    cameras: Sequence[Camera],
    photos: Sequence[NDArray[np.uint8]],
    masks: Sequence[NDArray[np.bool_]],
    before: Sequence[NDArray[np.float64]],
) -> dict[str, Any]:
    """``removal_db``, ``removal_worst_db`` and ``removal_worst_view`` (its place) of taking out one object.

    Args:
        scene: With all objects.
        name: The one that is taken out.
        cameras: Single views.
        photos: sRGB of each, shape (H, W, 3).
        masks: Where the object really is in each, shape (H, W).
        before: `squared_errors` of the whole scene.
    """
    after = squared_errors(remove(scene, name), cameras, photos)
    sums = np.array([(b[~m].sum(), a[~m].sum(), (~m).sum()) for b, a, m in zip(before, after, masks, strict=True)])
    each = [_change(b, a) for b, a, _ in sums]
    pooled = sums.sum(axis=0)
    worst = int(np.argmax(np.abs(each)))
    return {
        "removal_db": _change(pooled[0], pooled[1]),
        "removal_worst_db": each[worst],
        "removal_worst_view": worst,
    }


def squared_errors(
    scene: Scene, cameras: Sequence[Camera], photos: Sequence[NDArray[np.uint8]]
) -> list[NDArray[np.float64]]:
    """Mean squared error over colours of each pixel of each view, shape (H, W)."""
    import torch

    splats = in_world(scene.splats, scene.T_world_body)
    errors = []
    for camera, photo in zip(cameras, photos, strict=True):
        with torch.no_grad():
            rgb = render(splats, camera).rgb.clamp(0, 1).double().numpy()
        errors.append(((rgb - photo / 255.0) ** 2).mean(axis=-1))
    return errors


def _change(before: float, after: float) -> float:
    """PSNR after less PSNR before [dB]."""
    return 10 * math.log10(before / after)
