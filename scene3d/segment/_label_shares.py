"""Labels of splats -> how much of each pixel each label makes up.

The labels go through the renderer as one-hot feature channels, a few at a time. What shines through is no label's
share, so the shares of a pixel sum to its opacity; who takes the largest one, or who counts what shines through as
background, does so with what is yielded here.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray
    from torch import Tensor

    from scene3d._camera import Camera
    from scene3d._gaussians import Gaussians

__all__ = ["label_shares"]

MOST_CHANNELS = 16
"""Labels that are rendered at once; more would need images of that many channels."""


def label_shares(
    splats: Gaussians,
    of_splat: Tensor,
    labels: int,
    cameras: Iterable[Camera],
    *,
    T_world_body: Tensor | None = None,
) -> Iterator[NDArray[np.float32]]:
    """How much of each pixel each label makes up.

    Args:
        splats: N splats.
        of_splat: Label of each, those below zero counting as 0, whole numbers, shape (N,).
        labels: Number of labels L, the background among them.
        cameras: Single views, on any device.
        T_world_body: Body poses [m], xyz + wxyz, shape (nb, 7); None leaves every body at the origin.

    Yields:
        For each camera shares (H, W, L) in [0, 1] that sum to the pixel's opacity.
    """
    import torch

    from scene3d.render import render

    # Colours play no part, so their higher harmonics are not carried along.
    plain = replace(splats.detach(), shN=splats.shN.detach()[:, :0])
    one_hot = torch.nn.functional.one_hot(of_splat.clamp_min(0).long(), labels).to(plain.means)
    groups = one_hot.split(MOST_CHANNELS, dim=1)
    for camera in cameras:
        view, parts = camera.to(plain.means.device), []
        with torch.no_grad():
            for channels in groups:
                frame = render(plain, view, T_world_body=T_world_body, features=channels)
                assert frame.features is not None
                parts.append(frame.features.float().cpu().numpy())
        yield parts[0] if len(parts) == 1 else np.concatenate(parts, axis=-1)
