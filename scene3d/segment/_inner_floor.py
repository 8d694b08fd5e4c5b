"""Bottoms of things that mirror: made up of what was seen through them.

A shiny bowl's bottom is often not fitted at all: photos are explained by haze far below the table, which also explains
the sheen of the table beside it and so belongs to the background. Standing, the bowl looks right; moved, or with the
hole under it filled, one looks through it. So its floor is closed: flat splats on a raster just above the support,
wherever views look through the object at what lies under its support, in the mean colour of what they saw there. What
the object itself has of that haze is given up: lifted, it would trail it below.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from scene3d.segment._body_frame import support_under
from scene3d.segment._fill_hole import flat_splats, raster_around
from scene3d.segment._inpaint import inpaint
from scene3d.segment._observations import observe
from scene3d.segment._plane_raster import pixels_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from scene3d._camera import Camera
    from scene3d._gaussians import Gaussians
    from scene3d._support import SupportPlane
    from scene3d.segment._observations import Observation
    from scene3d.segment._plane_raster import PlaneRaster

__all__ = ["with_inner_floors"]

MOST_VIEWS, SIDE = 24, 360
"""Views that are looked through, and their size [px]."""
ABOVE = 0.02
"""Floors lie this far above the support, as a share of the object's height."""
DEEP = 3.0
"""What lies this far below a support is not its surface [its noise]."""
ITS_OWN = 0.7
"""Share of a pixel that the object and what lies under the support make up when one looks into it."""
THROUGH = 0.1
"""Share of such a pixel that must lie under the support."""
HOLDS = 0.2
"""Share that must be the object's own: through a handle one looks at the table."""
BORDER = 2
"""Outlines are mixtures of the object and the sheen of the table beside it: pixels this close to them do not count."""
SEEN = 0.2
"""Sum of those shares over the views from which a cell is part of the floor."""
LEAST = 0.05
"""Share of an object's footprint below which its floor is not closed: it is as good as closed."""


def with_inner_floors(
    splats: Gaussians, of_splat: Tensor, objects: int, cameras: Sequence[Camera], supports: Sequence[SupportPlane]
) -> tuple[Gaussians, Tensor]:
    """Close the bottoms of objects.

    Args:
        splats: N splats in the world's frame, objects in place.
        of_splat: Component of each: 0 the background, i + 1 object i, int64, shape (N,).
        objects: Number of objects.
        cameras: Views of the scene.
        supports: What objects stand on.

    Returns:
        M splats, the new ones last, and the component of each.
    """
    import torch

    from scene3d._gaussians import Gaussians

    places = splats.means.detach().double().cpu().numpy()
    label = of_splat.cpu().numpy()
    deep = np.zeros(len(label), dtype=bool)
    for support in supports:
        deep |= support.heights(places) < -DEEP * support.noise
    channels = torch.nn.functional.one_hot(of_splat, objects + 1)[:, 1:].to(splats.means)
    under = torch.from_numpy(deep & (label == 0)).to(channels)
    channels = torch.cat([channels, under[:, None]], dim=1)
    chosen = cameras[:: max(1, -(-len(cameras) // MOST_VIEWS))]
    views = [observe(splats, camera.fitted(SIDE), features=channels) for camera in chosen]
    parts: list[Gaussians] = []
    numbers: list[Tensor] = []
    kept = np.ones(len(label), dtype=bool)
    for index in range(objects):
        points = places[label == index + 1]
        support = support_under(points, tuple(supports)) if len(points) else None
        floor = None if support is None else _floor(splats, label == index + 1, index, support, views)
        if floor is not None and support is not None:
            parts.append(floor)
            numbers.append(torch.full((len(floor),), index + 1, dtype=of_splat.dtype, device=of_splat.device))
            kept &= ~((label == index + 1) & (support.heights(places) < -DEEP * support.noise))
    if not parts:
        return splats, of_splat
    keep = torch.from_numpy(kept).to(splats.means.device)
    return Gaussians.cat([splats[keep], *parts]), torch.cat([of_splat[keep], *numbers])


def _floor(
    splats: Gaussians, own: NDArray[np.bool_], index: int, support: SupportPlane, views: Sequence[Observation]
) -> Gaussians | None:
    """Flat splats of one object's floor; None where nobody looks through it."""
    import torch

    mine = splats[torch.from_numpy(own).to(splats.means.device)]
    points = mine.means.detach().double().cpu().numpy()
    heights = support.heights(points)
    level = replace(support, offset=support.offset + ABOVE * float(np.quantile(heights, 0.98)))
    cells = raster_around(mine, points, level)
    inside = _inside(cells, points[heights > 0])
    looks = [look for view in views if (look := _look(view, index, cells, inside, level)) is not None]
    seen, colour = np.zeros(cells.shape), np.zeros((*cells.shape, 3))
    for look in looks:
        seen[look.cells] += look.deep
        colour[look.cells] += look.colour * look.deep[:, None]
    floor = seen > SEEN
    if floor.sum() <= LEAST * inside.sum():
        return None
    # Views look in from the side and each misses what the wall hides: a floor is taken to be convex.
    whole = inside & _convex(floor)
    image = inpaint(colour / np.maximum(seen, 1e-9)[..., None], floor)
    return flat_splats(splats, cells, image, whole, whole)


@dataclass(frozen=True, eq=False)
class _Look:
    """What one view sees at K cells that it looks through the object at."""

    cells: tuple[NDArray[np.int64], ...]
    """Row and column in the raster, shape (K,) each."""
    colour: NDArray[np.float64]
    """Of the whole pixel, shape (K, 3): what is the object's own in it lies too close to the floor to tell before from
    behind."""
    deep: NDArray[np.float64]
    """Share of the pixel that lies under the support, shape (K,)."""


def _look(
    view: Observation, index: int, cells: PlaneRaster, inside: NDArray[np.bool_], level: SupportPlane
) -> _Look | None:
    """Where a view looks through an object; None where it does not."""
    from scipy.ndimage import binary_erosion, binary_fill_holes

    if level.heights(view.camera.position.detach().double().cpu().numpy()) <= 0:
        return None
    u, v, z = pixels_of(view.camera, cells.centres()[inside])
    there = (z > 0) & (u >= 0) & (v >= 0) & (u < view.camera.width) & (v < view.camera.height)
    column, row = u[there].astype(np.int64), v[there].astype(np.int64)
    own, deep = view.features[row, column, index], view.features[row, column, -1]
    filled = binary_fill_holes(view.features[..., index] > 0.5)
    within = np.asarray(binary_erosion(filled, iterations=BORDER), dtype=bool)
    into = within[row, column] & (own + deep > ITS_OWN) & (own > HOLDS) & (deep > THROUGH)
    if not into.any():
        return None
    found = tuple(np.asarray(axis[there][into]) for axis in np.nonzero(inside))
    colour = view.rgb[row[into], column[into]].astype(np.float64).clip(0, 1)
    return _Look(found, colour, deep[into].astype(np.float64))


def _inside(cells: PlaneRaster, points: NDArray) -> NDArray[np.bool_]:
    """Cells (H, W) within the convex outline of an object, seen from above."""
    return _within_hull((points - cells.corner) @ cells.axes[:2].T / cells.size, cells.shape)


def _convex(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return mask | _within_hull(np.argwhere(mask) + 0.5, mask.shape)


def _within_hull(flat: NDArray, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Cells whose centres lie in the convex hull of points (N, 2)."""
    from scipy.spatial import ConvexHull, QhullError

    try:
        sides = ConvexHull(flat).equations
    except (QhullError, ValueError):  # Too few, or in a line.
        return np.zeros(shape, dtype=bool)
    rows, columns = np.meshgrid(*(np.arange(n) + 0.5 for n in shape), indexing="ij")
    away = np.stack([rows, columns], axis=-1) @ sides[:, :2].T + sides[:, 2]
    return np.asarray(away.max(axis=-1) <= 0)
