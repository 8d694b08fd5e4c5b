"""Clicks, or labels found without masks -> label maps of all photos, by asking SAM 2 in each photo.

A click is lifted to a point of the surface with rendered depth. In every photo that sees the point it is a positive
point for its object and a negative one for all others. Photos that see only other sides of an object, or whose masks
contradict those of most others, are asked in a second round, with points on what the first one found. `refine_masks`
does the same from labels of splats, to sharpen their outlines. The label maps are what `vote` takes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from scene3d._errors import SegmentError
from scene3d.capture._geometry import Poses, project, unproject
from scene3d.segment._ask_masks import AGREES, SOLID, Predictor, ask, ask_again, shown, visible
from scene3d.segment._instances import UNKNOWN
from scene3d.segment._observations import observe
from scene3d.segment._sam2 import load_sam2
from scene3d.segment._vote import labels_of, vote

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from scene3d._camera import Camera
    from scene3d._gaussians import Gaussians
    from scene3d.capture._capture import View
    from scene3d.segment._labels import Labels

__all__ = ["ObjectPoints", "TrackedMasks", "lift_click", "refine_masks", "sam2_masks", "sam2_refined", "track_masks"]

LONGEST_SIDE = 640
"""Size of the label maps [px]."""
CLICKED_SIDE = 400
"""Size at which the depth of a click is looked at [px]; a pixel there is wide enough to smooth over haze."""
AROUND = 2
"""Pixels around a click whose depth counts."""
STRAY = 2.0
"""A mask that is this many times as large as those of other photos is of something else."""
REACH = 1.2
"""What hides of an object is within its size times this of the points on it."""


@dataclass(frozen=True, eq=False)
class ObjectPoints:
    """An object that someone pointed at."""

    name: str
    """Unique."""
    points: NDArray[np.float64]
    """Points of its surface in the world [scene units], shape (K, 3)."""


@dataclass(frozen=True, eq=False)
class TrackedMasks:
    """Label maps of V photos."""

    names: tuple[str, ...]
    """Objects; number i has label i + 1, and 0 is the background."""
    cameras: tuple[Camera, ...]
    """Cameras of the label maps."""
    label_maps: tuple[NDArray[np.int32], ...]
    """Labels of pixels, `UNKNOWN` where nobody knows, each (H, W)."""
    scores: NDArray[np.float32]
    """The model's estimate of each mask's IoU, NaN where it was not asked or not believed, shape (V, O)."""


def sam2_masks(
    splats: Gaussians,
    views: Sequence[View],
    objects: Sequence[ObjectPoints],
    checkpoint: Path,
    *,
    device: str = "cpu",
    longest_side: int = LONGEST_SIDE,
    progress: Callable[[float], None] | None = None,
) -> TrackedMasks:
    """Ask a SAM 2 checkpoint for the masks of objects in all photos; see `track_masks` and `load_sam2`."""
    predict = load_sam2(checkpoint, device).masks
    return track_masks(splats, views, objects, predict, longest_side=longest_side, progress=progress)


def sam2_refined(
    splats: Gaussians,
    views: Sequence[View],
    labels: Labels,
    checkpoint: Path,
    *,
    device: str = "cpu",
    longest_side: int = LONGEST_SIDE,
    progress: Callable[[float], None] | None = None,
) -> TrackedMasks:
    """Sharpen the outlines of objects with a SAM 2 checkpoint; see `refine_masks` and `load_sam2`."""
    predict = load_sam2(checkpoint, device).masks
    return refine_masks(splats, views, labels, predict, longest_side=longest_side, progress=progress)


def lift_click(splats: Gaussians, camera: Camera, u: float, v: float) -> NDArray[np.float64]:
    """The surface point (3,) [scene units] at a pixel.

    Args:
        splats: N splats in the world's frame.
        camera: A single view.
        u: Column [px] in that view, 0 to its width.
        v: Row [px], 0 to its height.

    Raises:
        SegmentError: The pixel is outside the view, or nothing solid was reconstructed there.
    """
    if not (0 <= u < camera.width and 0 <= v < camera.height):
        raise SegmentError(f"Pixel {u:g},{v:g} is outside the photo of {camera.width} x {camera.height} pixels.")
    small = camera.fitted(CLICKED_SIDE)
    seen = observe(splats, small)
    column, row = int(u * small.width / camera.width), int(v * small.height / camera.height)
    near = (slice(max(0, row - AROUND), row + AROUND + 1), slice(max(0, column - AROUND), column + AROUND + 1))
    if seen.alpha[row, column] < SOLID:
        raise SegmentError(f"Nothing was reconstructed at pixel {u:g},{v:g}. Point at the middle of the object.")
    depth = float(np.median(seen.depth[near][seen.alpha[near] >= SOLID]))
    poses = Poses.of([camera])
    return poses.centres[0] + depth * unproject(poses, np.array([u, v]), 0)


def track_masks(
    splats: Gaussians,
    views: Sequence[View],
    objects: Sequence[ObjectPoints],
    predict: Predictor,
    *,
    longest_side: int = LONGEST_SIDE,
    progress: Callable[[float], None] | None = None,
) -> TrackedMasks:
    """Label maps of all photos from a few points on each object.

    Args:
        splats: N splats in the world's frame.
        views: V photos, posed in the world.
        objects: O objects, at least one.
        predict: Makes masks from clicks, as `Sam2.masks`.
        longest_side: Size of the label maps [px].
        progress: Called with the share that is done, 0 to 1.

    Raises:
        SegmentError: No photo sees any point of some object.
        CaptureError: A photo cannot be decoded.
    """
    tell = progress or (lambda _share: None)
    points = [np.asarray(thing.points, dtype=np.float64) for thing in objects]
    cameras: list[Camera] = []
    maps: list[NDArray[np.int32]] = []
    scores = np.full((len(views), len(objects)), np.nan, dtype=np.float32)
    for index, view in enumerate(views):
        photo = view.load(longest_side)
        labels, scores[index] = ask(photo, visible(observe(splats, photo.camera), points), predict)
        cameras.append(photo.camera)
        maps.append(labels)
        tell(0.5 * (index + 1) / len(views))
    for number, thing in enumerate(objects):
        if np.isnan(scores[:, number]).all():
            raise SegmentError(f"No photo sees the point of {thing.name!r}. Point at a part that photos show.")
    _drop_strays(cameras, points, maps, scores)
    of_splat = labels_of(vote(splats, cameras, maps, len(objects) + 1))
    for index, view in enumerate(views):
        seen = shown(splats, cameras[index], of_splat, len(objects))
        if np.isnan(scores[index]).any() or not _agree(maps[index], seen, len(objects)):
            answer = ask_again(view.load(longest_side), seen, len(objects), predict, complete=False)
            maps[index], scores[index] = answer
        tell(0.5 + 0.5 * (index + 1) / len(views))
    return TrackedMasks(tuple(thing.name for thing in objects), tuple(cameras), tuple(maps), scores)


def _drop_strays(
    cameras: Sequence[Camera],
    points: Sequence[NDArray[np.float64]],
    maps: Sequence[NDArray[np.int32]],
    scores: NDArray[np.float32],
) -> None:
    """Forget masks that are far larger than the same object's elsewhere, and mark where its missing ones may be.

    Args:
        cameras: V single views.
        points: Points of each of O objects, each (P, 3).
        maps: Their label maps, changed in place: `UNKNOWN` around an object that was not asked for.
        scores: Of each mask, shape (V, O), changed in place: NaN for what is forgotten.
    """
    poses = Poses.of(cameras)
    for number, of_object in enumerate(points):
        reach = np.full(len(cameras), np.nan)
        for index, labels in enumerate(maps):
            away = _away(poses, index, of_object, labels.shape)
            if (labels == number + 1).any():
                reach[index] = np.quantile(away[labels == number + 1], 0.95)
        usual = float(np.nanmedian(reach)) if np.isfinite(reach).any() else 0.0
        for index, labels in enumerate(maps):
            if reach[index] > STRAY * usual:
                labels[labels == number + 1] = UNKNOWN
                scores[index, number] = np.nan
            if np.isnan(scores[index, number]):
                near = _away(poses, index, of_object, labels.shape) < REACH * usual
                labels[near & (labels == 0)] = UNKNOWN


def _away(poses: Poses, index: int, points: NDArray[np.float64], shape: tuple[int, ...]) -> NDArray[np.float64]:
    """How far each pixel is from points (P, 3), as lengths at their depth [scene units], shape (H, W)."""
    away = np.full(shape, np.inf)
    row, column = np.indices(shape) + 0.5
    for pixel, z in zip(*project(poses, points, index), strict=True):
        if z > 0:
            distance = np.hypot(column - pixel[0], row - pixel[1]) * z / poses.K[index, 0, 0]
            away = np.minimum(away, distance)
    return away


def _agree(labels: NDArray[np.int32], seen: NDArray[np.int32], objects: int) -> bool:
    """Whether the masks of one photo are about what those of all photos together show there."""
    for label in range(1, objects + 1):
        mask, others = labels == label, (seen == label) & (labels >= 0)
        if (mask & others).sum() < AGREES * (mask | others).sum():
            return False
    return True


def refine_masks(
    splats: Gaussians,
    views: Sequence[View],
    labels: Labels,
    predict: Predictor,
    *,
    longest_side: int = LONGEST_SIDE,
    progress: Callable[[float], None] | None = None,
) -> TrackedMasks:
    """Label maps of all photos whose outlines are those that photos show, from labels that splats have already.

    Where a mask overlaps the object's splats by less than half (IoU) it is not believed, and theirs is kept.

    Args:
        splats: N splats in the world's frame.
        views: V photos, posed in the world.
        labels: Objects as sets of splats.
        predict: Makes masks from clicks, as `Sam2.masks`.
        longest_side: Size of the label maps [px].
        progress: Called with the share that is done, 0 to 1.

    Raises:
        CaptureError: A photo cannot be decoded.
    """
    tell = progress or (lambda _share: None)
    cameras, maps, scores = [], [], []
    for index, view in enumerate(views):
        photo = view.load(longest_side)
        seen = shown(splats, photo.camera, labels.of_splat.clamp_min(0), len(labels.names))
        map_, score = ask_again(photo, seen, len(labels.names), predict, complete=True)
        cameras.append(photo.camera)
        maps.append(map_)
        scores.append(score)
        tell((index + 1) / len(views))
    return TrackedMasks(labels.names, tuple(cameras), tuple(maps), np.array(scores, dtype=np.float32))
