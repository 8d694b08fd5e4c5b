"""Clusters as the views see them: label maps, how well views agree, and what is cut by a picture's border.

An object that really stands free looks the same
from everywhere: where its splats shine, nothing else does. Splats that drifted there from elsewhere do not make such a
picture.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from scene3d.segment._label_shares import label_shares

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from scene3d._camera import Camera
    from scene3d._gaussians import Gaussians

__all__ = ["Agreement", "agreement", "whole_shares"]

FEWEST_PIXELS = 12
"""A view that shows fewer pixels of an object has no say about it."""


@dataclass(frozen=True)
class Agreement:
    """What the views say of each of L objects."""

    confidence: tuple[float, ...]
    """How sharply the object stands out, 0 to 1."""
    views: tuple[int, ...]
    """How many views show it."""
    cut: tuple[float, ...]
    """Share of those that cut it by their border, 0 to 1."""


def whole_shares(splats: Gaussians, of_splat: Tensor, labels: int, cameras: Sequence[Camera]) -> Iterator[NDArray]:
    """How much of each pixel each label makes up, what shines through counting as background.

    Args:
        splats: N splats in the world.
        of_splat: Label of each, 0 the background, shape (N,).
        labels: Number of labels L, the background among them.
        cameras: Single views.

    Yields:
        For each camera shares (H, W, L) that sum to 1, float32.
    """
    for shares in label_shares(splats, of_splat, labels, cameras):
        shares[..., 0] += 1 - shares.sum(axis=-1)
        yield shares


def agreement(shares: Sequence[NDArray]) -> Agreement:
    """How sharply each object stands out in the views.

    Args:
        shares: As from `whole_shares`, one for each view.
    """
    count = shares[0].shape[-1] - 1
    inside, outside, missing = np.zeros(count), np.zeros(count), np.zeros(count)
    views, cut = np.zeros(count, dtype=int), np.zeros(count)
    for view in shares:
        mask = view.argmax(axis=-1)
        border = np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]])
        for index in range(count):
            own = mask == index + 1
            if own.sum() < FEWEST_PIXELS:
                continue
            share = view[..., index + 1]
            inside[index] += share[own].sum()
            outside[index] += share[~own].sum()
            missing[index] += (1 - share[own]).sum()
            views[index] += 1
            cut[index] += bool((border == index + 1).any())
    return Agreement(
        tuple(map(float, inside / np.maximum(inside + outside + missing, 1e-9))),
        tuple(map(int, views)),
        tuple(map(float, cut / np.maximum(views, 1))),
    )
