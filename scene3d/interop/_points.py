"""Splats as point clouds of other libraries: their centres, the colour that is the same from every side, opacity.

What a point cannot say is lost: extent, orientation and view-dependent colour. Means are those of the body frames, so
splats of moved bodies should be placed before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from scene3d._gaussians import SH_C0
from scene3d.interop._arrays import optional_module

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from scene3d._gaussians import Gaussians

__all__ = ["splats_to_open3d", "splats_to_trimesh"]


def splats_to_open3d(splats: Gaussians, *, least_opacity: float = 0.0) -> Any:
    """An `open3d.geometry.PointCloud` of the centres with sRGB colours.

    Args:
        splats: Splats to take.
        least_opacity: Leave out splats that are more transparent, in [0, 1].
    """
    import open3d

    points, colors, _ = _arrays(splats, least_opacity)
    cloud = open3d.geometry.PointCloud()
    cloud.points = open3d.utility.Vector3dVector(points)
    cloud.colors = open3d.utility.Vector3dVector(colors)
    return cloud


def splats_to_trimesh(splats: Gaussians, *, least_opacity: float = 0.0) -> Any:
    """A `trimesh.PointCloud` of the centres with RGBA colours, alpha being the opacity.

    Args:
        splats: Splats to take.
        least_opacity: Leave out splats that are more transparent, in [0, 1].

    Raises:
        UsageError: trimesh is not installed.
    """
    points, colors, opacity = _arrays(splats, least_opacity)
    rgba = np.concatenate([colors, opacity[:, None]], axis=1)
    return optional_module("trimesh", "trimesh").PointCloud(points, colors=(255.0 * rgba).round().astype(np.uint8))


def _arrays(
    splats: Gaussians, least_opacity: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Centres (N, 3), colours (N, 3) and opacities (N,) of the splats that are opaque enough."""
    opacity = splats.opacities.detach().cpu().double().sigmoid().numpy()
    colors = (0.5 + SH_C0 * splats.sh0.detach().cpu().double().numpy()[:, 0]).clip(0.0, 1.0)
    points = splats.means.detach().cpu().double().numpy()
    kept = opacity >= least_opacity
    return points[kept], colors[kept], opacity[kept]
