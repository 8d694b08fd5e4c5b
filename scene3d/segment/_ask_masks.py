"""One photo: which points to give SAM 2, and what label map its answer makes.

Points come from a person's clicks, lifted to the surface and seen in this photo (`visible`), or from where splats of an
object show already (`shown`, `points_inside`). Each object is given its own points and, as negatives, the nearest ones
of all others. `ask` takes the answer as it is, `ask_again` believes it where it agrees with what is known.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

from scene3d.capture._geometry import Poses, project
from scene3d.segment._instances import UNKNOWN
from scene3d.segment._label_shares import label_shares
from scene3d.segment._sam2 import Clicks
from scene3d.segment._vote import UNSEEN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from scene3d._camera import Camera
    from scene3d._gaussians import Gaussians
    from scene3d.capture._capture import Photo
    from scene3d.segment._observations import Observation

__all__ = ["AGREES", "SOLID", "Predictor", "ask", "ask_again", "points_inside", "shown", "visible"]

SOLID = 0.5
"""Opacity from which a pixel shows a surface."""
SAME_DEPTH = 0.03
"""A point is seen where the surface is as far away as it, but for this share."""
POINTS = 4
"""Points on an object in one photo."""
OTHERS = 8
"""Points on other objects, the nearest."""
FEWEST_PIXELS = 30
"""An object is asked for where at least this much of it shows."""
DEEP = 0.6
"""Points lie at least this far inside, as a share of how far inside the deepest pixel is."""
AGREES = 0.5
"""A mask is believed when it overlaps what is known of the object by this share."""


class Predictor(Protocol):
    """What `Sam2.masks` does."""

    def __call__(
        self, rgb: NDArray[np.uint8], clicks: Sequence[Clicks], expected: NDArray[np.bool_] | None = None, /
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Logits (O, H, W) of masks and estimates of their quality (O,)."""
        ...


def visible(seen: Observation, objects: Sequence[NDArray[np.float64]]) -> list[NDArray[np.float64]]:
    """Pixels (K, 2) of those of each object's points (P, 3) in the world that a view sees."""
    poses, camera = Poses.of([seen.camera]), seen.camera
    found = []
    for points in objects:
        pixels, z = project(poses, points, 0)
        on = (z > 0) & (pixels >= 0).all(axis=1) & (pixels < [camera.width, camera.height]).all(axis=1)
        pixels, z = pixels[on], z[on]
        column, row = pixels.astype(np.int64).T
        nearest = seen.depth[row, column]
        unhidden = (seen.alpha[row, column] >= SOLID) & (np.abs(nearest - z) <= SAME_DEPTH * z)
        found.append(pixels[unhidden])
    return found


def shown(splats: Gaussians, camera: Camera, of_splat: Tensor, objects: int) -> NDArray[np.int32]:
    """Label of each pixel as its splats have it, `UNKNOWN` where most of them have none, shape (H, W)."""
    import torch

    channel = torch.where(of_splat == UNSEEN, objects + 1, of_splat)
    (shares,) = label_shares(splats, channel, objects + 2, [camera])
    labels = shares.argmax(axis=-1).astype(np.int32)
    labels[labels == objects + 1] = UNKNOWN
    labels[shares.sum(axis=-1) < SOLID] = 0
    return labels


def ask(
    photo: Photo, pixels: Sequence[NDArray[np.float64]], predict: Predictor
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Label map (H, W) of a photo, and scores (O,), of objects that have pixels in it."""
    labels = np.zeros(photo.rgb.shape[:2], dtype=np.int32)
    scores = np.full(len(pixels), np.nan, dtype=np.float32)
    present = [number for number, found in enumerate(pixels) if len(found)]
    if present:
        logits, estimates = predict(photo.rgb, [_clicks(pixels, number) for number in present])
        scores[present] = estimates
        best = logits.argmax(axis=0)
        labels = np.where(logits.max(axis=0) > 0, np.array(present)[best] + 1, 0).astype(np.int32)
    labels[~photo.valid] = UNKNOWN
    return labels, scores


def ask_again(
    photo: Photo, seen: NDArray[np.int32], objects: int, predict: Predictor, *, complete: bool
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Label map (H, W) of a photo, and scores (O,), where it is roughly known which pixels are whose.

    Args:
        photo: The photo.
        seen: Label of each pixel as splats have it, `UNKNOWN` where they have none.
        objects: Number of objects.
        predict: Makes masks from clicks.
        complete: Whether ``seen`` has all of every object, or just what other photos saw of it.
    """
    labels = np.where(seen == UNKNOWN, UNKNOWN, 0).astype(np.int32)
    scores = np.full(objects, np.nan, dtype=np.float32)
    areas = [seen == number + 1 for number in range(objects)]
    pixels = [points_inside(area) for area in areas]
    present = [number for number, found in enumerate(pixels) if len(found)]
    for number in set(range(objects)) - set(present):
        labels[areas[number]] = number + 1 if complete else UNKNOWN
    if present:
        expected = np.stack([areas[number] for number in present])
        clicks = [_clicks(pixels, number) for number in present]
        logits, estimates = predict(photo.rgb, clicks, expected)
        inside = (logits > 0) & (logits.argmax(axis=0) == np.arange(len(present))[:, None, None])
        both = (inside & expected).sum(axis=(1, 2))
        of = (inside | expected if complete else expected).sum(axis=(1, 2))
        believed = both >= AGREES * np.maximum(of, 1)
        for place, number in enumerate(present):
            if not believed[place]:
                labels[areas[number] & (labels == 0)] = number + 1 if complete else UNKNOWN
        for place, number in enumerate(present):
            if believed[place]:
                labels[inside[place]] = number + 1
                scores[number] = estimates[place]
    labels[~photo.valid] = UNKNOWN
    return labels, scores


def points_inside(area: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Pixels (K, 2) well inside an area (H, W), spread over it; none in an area that is too small."""
    import cv2

    if area.sum() < FEWEST_PIXELS:
        return np.zeros((0, 2))
    padded = np.pad(area.astype(np.uint8), 1)
    depth = cv2.distanceTransform(padded, cv2.DIST_L2, 5)[1:-1, 1:-1]
    row, column = np.nonzero(depth >= DEEP * depth.max())
    candidates = np.stack([column, row], axis=1).astype(np.float64) + 0.5
    taken = [int(depth[row, column].argmax())]
    distance = np.full(len(candidates), np.inf)
    for _ in range(POINTS - 1):
        distance = np.minimum(distance, np.linalg.norm(candidates - candidates[taken[-1]], axis=1))
        if distance.max() < 1:
            break
        taken.append(int(distance.argmax()))
    return candidates[taken]


def _clicks(pixels: Sequence[NDArray[np.float64]], number: int) -> Clicks:
    """Points on one object, and the nearest ones of all others."""
    own = pixels[number]
    others = np.concatenate([np.zeros((0, 2)), *(found for other, found in enumerate(pixels) if other != number)])
    distance = np.linalg.norm(others[:, None] - own[None], axis=-1).min(axis=1)
    others = others[np.argsort(distance, kind="stable")[:OTHERS]]
    inside = np.arange(len(own) + len(others)) < len(own)
    return Clicks(np.concatenate([own, others]), inside)
