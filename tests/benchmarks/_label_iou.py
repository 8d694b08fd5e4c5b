"""How well labelled splats, rendered, agree with instance masks: intersection over union of each object.

Each splat's label is rendered as one channel; a pixel's label is that of the largest channel, what shines through all
splats counting as background. Pixels are pooled over views before the division, so that a glimpse in one view does not
weigh as much as a full sight in another. Labels that were found without names are matched to the masks' objects first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from scene3d import Camera, Gaussians
from scene3d.render import render


@dataclass(frozen=True)
class Score:
    """Objects that were found against objects that are there."""

    iou: tuple[float, ...]
    """Of each object of the masks, 0 where no label was matched to it."""
    label: tuple[int, ...]
    """Label that was matched to each object of the masks, 0 for none."""
    extra: tuple[int, ...]
    """Labels that no object of the masks was matched to."""


def label_maps(splats: Gaussians, of_splat: torch.Tensor, cameras: Sequence[Camera]) -> list[NDArray[np.int64]]:
    """What each pixel shows: labels (H, W) of each camera, 0 the background.

    Args:
        splats: N splats in the world.
        of_splat: Label of each, 0 the background, shape (N,).
        cameras: Single views.
    """
    one_hot = torch.nn.functional.one_hot(of_splat.clamp_min(0).long()).float()
    maps = []
    with torch.no_grad():
        for camera in cameras:
            frame = render(splats, camera, features=one_hot)
            assert frame.features is not None
            shares = frame.features.clone()
            shares[..., 0] += 1 - frame.alpha
            maps.append(shares.argmax(-1).numpy())
    return maps


def overlaps(found: Sequence[NDArray], masks: Sequence[NDArray]) -> NDArray[np.int64]:
    """Pixels by found label and by label of the masks, shape (L, M); pixels with a negative mask do not count."""
    size = [max(int(labels.max()) for labels in maps) + 1 for maps in (found, masks)]
    counts = np.zeros(size, dtype=np.int64)
    for labels, mask in zip(found, masks, strict=True):
        if labels.shape != mask.shape:
            raise ValueError(f"A rendered label map is {labels.shape}, but its mask is {mask.shape}.")
        known = mask >= 0
        np.add.at(counts, (labels[known], mask[known]), 1)
    return counts


def label_iou(
    splats: Gaussians, of_splat: torch.Tensor, cameras: Sequence[Camera], id_maps: Sequence[NDArray]
) -> tuple[float, ...]:
    """IoU of each object, where label i of the splats means id i of the masks.

    Args:
        splats: N splats in the world.
        of_splat: Label of each, 0 the background, shape (N,).
        cameras: Single views.
        id_maps: For each camera ids (H, W), 0 the background, negative where unknown.
    """
    counts = overlaps(label_maps(splats, of_splat, cameras), id_maps)
    size = max(counts.shape)
    square = np.zeros((size, size), dtype=np.int64)
    square[: counts.shape[0], : counts.shape[1]] = counts
    iou = _iou(square)
    return tuple(float(iou[i, i]) for i in range(1, counts.shape[1]))


def matched_iou(
    splats: Gaussians, of_splat: torch.Tensor, cameras: Sequence[Camera], id_maps: Sequence[NDArray]
) -> Score:
    """As `label_iou`, for labels without names: each object of the masks takes the label of the best total IoU."""
    counts = overlaps(label_maps(splats, of_splat, cameras), id_maps)
    labels = match_labels(counts)
    every = range(1, int(of_splat.max()) + 1)
    return Score(iou_of_labels(counts, labels), labels, tuple(label for label in every if label not in labels))


def match_labels(counts: NDArray[np.int64]) -> tuple[int, ...]:
    """Label of each object of the masks by the best total IoU, 0 for none, from `overlaps` (L, M)."""
    from scipy.optimize import linear_sum_assignment

    iou = _iou(counts)[1:, 1:]
    pairs = {int(m): int(f) for f, m in zip(*linear_sum_assignment(-iou), strict=True) if iou[f, m] > 0}
    return tuple(pairs[m] + 1 if m in pairs else 0 for m in range(iou.shape[1]))


def iou_of_labels(counts: NDArray[np.int64], labels: Sequence[int]) -> tuple[float, ...]:
    """IoU of each object of the masks with the label that it was matched to, 0 where that is 0 or never shows."""
    iou = _iou(counts)
    return tuple(float(iou[f, m + 1]) if 0 < f < len(iou) else 0.0 for m, f in enumerate(labels))


def tolerant_iou(found: NDArray[np.bool_], mask: NDArray[np.bool_], tolerance: int) -> float:
    """IoU of two masks (H, W) where a pixel is wrong only if the other mask is farther than that away [px]."""
    from scipy.ndimage import distance_transform_edt

    either = int((found | mask).sum())
    if not (found.any() and mask.any()):
        return float(either == 0)
    too_much = found & (np.asarray(distance_transform_edt(~mask)) > tolerance)
    missed = mask & (np.asarray(distance_transform_edt(~found)) > tolerance)
    return 1 - int((too_much | missed).sum()) / either


def _iou(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    union = counts.sum(axis=0)[None] + counts.sum(axis=1)[:, None] - counts
    return counts / np.maximum(union, 1)
