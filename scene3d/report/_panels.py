"""One comparison as four pictures: photo, render, error and depth.

The contact sheet and the page show the same pictures with the same scales. Colours come from perceptually uniform maps:
equal steps of error or depth look equal, also in grey and to colour-blind readers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from PIL.Image import Image
    from torch import Tensor

    from scene3d.report._evaluate import Comparison, ImageMetrics

__all__ = ["ERROR_CEILING", "Panels", "Row", "colour_bar", "depth_picture", "depth_range", "draw_panels"]

ERROR_CEILING = 0.2
"""Mean absolute sRGB difference at the bright end of the error map."""

SOLID = 0.5
"""Accumulated opacity from which a pixel's depth is shown."""

EMPTY = (44, 47, 54)
"""Colour of pixels that say nothing: outside the photo, or without depth."""


@dataclass(frozen=True)
class Row:
    """One view that is shown."""

    label: str
    """Why it is shown: worst, median or best."""
    metrics: ImageMetrics
    """Its figures."""
    comparison: Comparison
    """Its pixels."""


@dataclass(frozen=True)
class Panels:
    """Pictures of one view, all of one size, in the order in which they are shown."""

    photo: Image
    render: Image
    error: Image
    depth: Image

    def __iter__(self) -> Iterator[Image]:
        return iter((self.photo, self.render, self.error, self.depth))


def draw_panels(pair: Comparison, depths: tuple[float, float]) -> Panels:
    """The four pictures of a comparison.

    Args:
        pair: Render and photo.
        depths: Depths [m or scene units] at the two ends of the colour map.
    """
    from PIL import Image

    error = (pair.frame.rgb.clamp(0, 1) - pair.photo).abs().mean(dim=-1) / ERROR_CEILING
    return Panels(
        photo=Image.fromarray((pair.photo * 255).round().byte().numpy()),
        render=Image.fromarray((pair.frame.rgb.clamp(0, 1) * 255).round().byte().numpy()),
        error=_coloured(error, pair.valid, "error"),
        depth=depth_picture(pair.frame.depth, pair.frame.alpha, depths),
    )


def depth_picture(depth: Tensor, alpha: Tensor, depths: tuple[float, float]) -> Image:
    """Depth (H, W) as colours, near bright; pixels with little opacity stay empty."""
    near, far = depths
    return _coloured(1 - (depth - near) / (far - near), alpha >= SOLID, "depth")


def depth_range(depths: Sequence[Tensor], alphas: Sequence[Tensor]) -> tuple[float, float]:
    """Depths [m or scene units] between which most solid pixels lie: the 2nd and the 98th percentile."""
    import torch

    solid = torch.cat([depth[alpha >= SOLID] for depth, alpha in zip(depths, alphas, strict=True)])
    if not len(solid):
        return 0.0, 1.0
    solid = solid[:: max(1, len(solid) // 100_000)].double()  # quantile() sorts; a sample is as good.
    near, far = (float(solid.quantile(q)) for q in (0.02, 0.98))
    return near, max(far, near * 1.001 + 1e-9)


def colour_bar(kind: str, width: int, height: int) -> Image:
    """The map of ``error`` (0 to the ceiling) or ``depth`` (near to far), left to right."""
    import torch

    ramp = torch.linspace(0, 1, width).expand(height, width)
    return _coloured(1 - ramp if kind == "depth" else ramp, torch.ones(height, width, dtype=torch.bool), kind)


def _coloured(values: Tensor, shown: Tensor, kind: str) -> Image:
    """Values (H, W), clamped to [0, 1], through a colour map; empty where not shown."""
    import cv2
    import numpy as np
    from PIL import Image

    grey = (values.clamp(0, 1) * 255).round().byte().numpy()
    table = cv2.COLORMAP_INFERNO if kind == "error" else cv2.COLORMAP_VIRIDIS
    rgb = np.ascontiguousarray(cv2.applyColorMap(grey, table)[..., ::-1])
    rgb[~shown.numpy()] = EMPTY
    return Image.fromarray(rgb)
