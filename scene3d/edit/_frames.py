"""From one body's frame to another's: splats and poses, turned in double precision."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from scene3d.edit._place import rotation_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from scene3d._gaussians import Gaussians

__all__ = ["relative", "splats_moved"]


def relative(T_world_a: Sequence[float], T_world_b: Sequence[float]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Rotation (3, 3) and translation (3,) that map frame b to frame a."""
    R_a, R_b = rotation_of(T_world_a), rotation_of(T_world_b)
    between = np.asarray(T_world_b[:3], dtype=np.float64) - np.asarray(T_world_a[:3], dtype=np.float64)
    return R_a.T @ R_b, R_a.T @ between


def splats_moved(splats: Gaussians, R: NDArray, t: NDArray) -> Gaussians:
    """Splats after p -> R p + t, orientations and view-dependent colour turned too; components stay."""
    import torch

    from scene3d.capture._similarity import Similarity, transform_splats

    background = replace(splats, component_index=torch.zeros_like(splats.component_index))
    # A product of rotations drifts by some 1e-16; the similarity wants one to 1e-6.
    return replace(transform_splats(background, Similarity(1.0, R, t)), component_index=splats.component_index)
