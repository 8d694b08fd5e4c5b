"""The table under a lifted object: cameras and background splats in, splats that patch the table out.

No photo shows what an object stands on, so the background has a hole there, or splats of any colour that nothing ever
corrected. The plane around the object is divided into cells; rendered views say which cells some camera sees, and in
which colour. Unseen cells near the object are the hole: background splats that lie in it are given up, the texture
around it is continued into it (`inpaint`), and flat opaque splats as dense as the table's carry the result. What was
seen is left alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from scene3d.segment._inpaint import inpaint
from scene3d.segment._plane_raster import PlaneRaster, bilinear, pixels_of
from scene3d.segment._settle_rim import settle_rim

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from scene3d._gaussians import Gaussians
    from scene3d._support import SupportPlane
    from scene3d.segment._observations import Observation

__all__ = ["HoleFill", "fill_hole", "flat_splats", "raster_around"]

FINEST, COARSEST = 1 / 28, 1 / 24
"""Cells as a share of the object's size."""
AROUND = 0.6
"""How far around the object the plane is looked at, as a share of its size."""
REACH = 0.12
"""How far beside the object what no camera sees belongs to its hole, as a share of its size."""
ACROSS = 1 / 10
"""Largest cell as a share of the object's mean width: a rope is long, but hides a narrow strip."""
COVERED = 96
"""Squares along the object that its area is counted in."""
MOST_CELLS = 250_000
FEWEST_VIEWS = 2
"""Views that must see a cell."""
HIDING = 0.5
"""Share of a pixel that is object, from which the table is hidden there."""
CLEAN = 0.05
"""Share of a pixel that may be object where the table's colour is read: outlines are a mixture of both."""
NEARLY, MIXED = 0.15, 0.01
"""Up to this share colours count by so much: in a narrow gap, whose shade they tell, there are no others."""
DEPTH_SLACK = 0.03
"""Relative difference of depth up to which a pixel shows the plane."""
STEEP = 0.1
"""Sine of the angle to the plane under which a view is too flat to tell."""
WITHIN = 0.7
"""Share of a splat that lies over the hole when it is given up."""
BESIDE = 3
"""Splats this close to the hole, in cells, may change their colour and opacity."""
SUNK = 1.0
"""How far new splats lie under the plane at the border of the hole, in cells, so that what is seen of the table covers
them; two cells inwards they lie on it."""
UNDER = 3.0
"""All of them lie this far under the plane, so that where few views see some table, it covers them [its noise]."""
SIGMA = 0.7
"""Deviation of a new splat, in cells: enough to close the gaps of a square lattice, no blurrier than that."""
FLAT = 0.1
"""Thickness of a new splat, as a share of its width."""
OPACITY = 0.97


@dataclass(frozen=True, eq=False)
class HoleFill:
    """What to do about the hole under one object."""

    splats: Gaussians
    """New splats of the background, in the world's frame, F of them; SH of degree 0."""
    hidden: Tensor
    """Which background splats no camera ever saw and the new ones replace, bool, shape (N,)."""
    rim: Gaussians
    """Background splats that are seen beside the object and reach under it, as they are to be now, R of them."""
    rim_index: Tensor
    """Which of the background's splats those are, int64, shape (R,)."""


def fill_hole(
    background: Gaussians,
    views: Sequence[Observation],
    footprint: NDArray,
    support: SupportPlane,
    *,
    others: NDArray | None = None,
) -> HoleFill:
    """Splats that patch a support under one object.

    Args:
        background: Splats of no object, in the world's frame, N of them.
        views: The whole scene as some of the capture's cameras see it, objects in place; the sum of `features` is the
            share of each pixel that any object has, as one-hot labels without the background's give it.
        footprint: Points of the object in the world [scene units], centres of its splats or vertices of its collider,
            shape (K, 3).
        support: What the object stands on.
        others: Points of other objects on the support, shape (M, 3); cells nearer to them are theirs to fill.

    Returns:
        New splats, and which of the background's they replace; none when every part of the support was seen, when the
        object is not over it, or when nothing around it was seen.
    """
    import torch

    points = np.asarray(footprint, dtype=np.float64)
    device = background.means.device
    empty = torch.zeros(0, dtype=torch.int64, device=device)
    none = HoleFill(
        background[:0], torch.zeros(len(background), dtype=torch.bool, device=device), background[:0], empty
    )
    if len(points) == 0:
        return none
    cells = raster_around(background, points, support)
    colour, trusted, seen = _look(cells, views)
    hole = _near(cells, points, others) & ~seen & _within_outline(cells, support)
    if not hole.any() or not trusted.any():
        return none
    given_up, rim = _over(background, cells, hole, float(support.heights(points).max()))
    # One ring of the table more, in its own colours: splats that were given up reached that far.
    patch = _dilated(hole, 1) & _within_outline(cells, support)
    image = inpaint(colour, trusted & ~hole)
    fill = flat_splats(background, cells, image, patch, hole, below=UNDER * support.noise)
    return HoleFill(fill, given_up, settle_rim(background, given_up, rim, fill, views, cells, image, patch), rim)


def raster_around(background: Gaussians, points: NDArray, support: SupportPlane) -> PlaneRaster:
    """A raster around the object, as fine as the splats of the support are dense there."""
    up = support.normal
    first = np.cross(np.eye(3)[int(np.argmin(np.abs(up)))], up)
    first /= np.linalg.norm(first)
    axes = np.stack([first, np.cross(up, first), up])
    flat = points @ axes[:2].T
    low, high = flat.min(axis=0), flat.max(axis=0)
    size = _extent(flat)
    low, high = low - AROUND * size, high + AROUND * size
    means = background.means.detach().double().cpu().numpy()
    place = means @ axes[:2].T
    near = (place > low).all(axis=1) & (place < high).all(axis=1)
    near &= np.abs(support.heights(means)) < max(4 * support.noise, 0.02 * size)
    spacing = float(np.sqrt(np.prod(high - low) / max(1, int(near.sum()))))
    coarsest = min(COARSEST * size, ACROSS * size**2 / float(np.max(high - low - 2 * AROUND * size)))
    cell = float(np.clip(spacing, min(FINEST * size, coarsest), coarsest))
    cell = max(cell, float(np.sqrt(np.prod(high - low) / MOST_CELLS)))
    shape = tuple(int(n) for n in np.ceil((high - low) / cell))
    corner = low @ axes[:2] + support.offset * up
    return PlaneRaster(corner, axes, cell, (shape[0], shape[1]), size)


def _extent(flat: NDArray) -> float:
    """Side of a square as large as what points (K, 2) cover: for a rope it is far less than its box's."""
    from scipy.spatial import KDTree

    low, sides = flat.min(axis=0), np.ptp(flat, axis=0)
    step = max(float(sides.max()), 1e-9) / COVERED
    # What stands above each other counts once.
    flat = step * np.unique(np.round(flat / step), axis=0)
    tree = KDTree(flat)
    gap = float(np.median(tree.query(flat, k=min(4, len(flat)))[0].max(axis=-1))) if len(flat) > 1 else 0.0
    rows, columns = (np.arange(int(side / step) + 1) + 0.5 for side in sides)
    middles = low + step * np.stack(np.meshgrid(rows, columns, indexing="ij"), axis=-1).reshape(-1, 2)
    covered = int((tree.query(middles)[0] <= max(gap, step)).sum())
    return step * float(np.sqrt(max(covered, 1)))


def _look(cells: PlaneRaster, views: Sequence[Observation]) -> tuple[NDArray, NDArray[np.bool_], NDArray[np.bool_]]:
    """Mean colour (H, W, 3), where it is to be trusted (H, W), and where the plane is seen (H, W)."""
    centres = cells.centres().reshape(-1, 3)
    total, weight, seen = np.zeros((len(centres), 3)), np.zeros(len(centres)), np.zeros(len(centres))
    for view in views:
        u, v, z = pixels_of(view.camera, centres)
        ray = centres - view.camera.position.double().cpu().numpy()
        steep = -(ray @ cells.axes[2]) / np.linalg.norm(ray, axis=1)
        shown = (z > 1e-6) & (u >= 0) & (u < view.camera.width) & (v >= 0) & (v < view.camera.height)
        shown &= steep > STEEP
        index = np.flatnonzero(shown)
        row, column = v[index].astype(np.int64), u[index].astype(np.int64)
        agree = np.abs(view.depth[row, column] - z[index]) < DEPTH_SLACK * z[index]
        agree &= view.alpha[row, column] > 0.5
        hiding = view.features.sum(axis=2)[row, column]
        seen[index] += agree & (hiding < HIDING)
        told = agree & (hiding < NEARLY)
        index, hiding = index[told], hiding[told]
        # Steep and near views show the texture best; what the object is mixed into counts where there is nothing else.
        share = (steep[index] * float(view.camera.K[0, 0]) / z[index]) ** 2 * np.where(hiding < CLEAN, 1.0, MIXED)
        total[index] += share[:, None] * bilinear(view.rgb, u[index], v[index])
        weight[index] += share
    colour = total / np.maximum(weight, 1e-12)[:, None]
    shape = cells.shape
    enough = seen >= min(FEWEST_VIEWS, len(views))
    return colour.reshape(*shape, 3).clip(0, 1), ((weight > 0) & enough).reshape(shape), enough.reshape(shape)


def _near(cells: PlaneRaster, points: NDArray, others: NDArray | None) -> NDArray[np.bool_]:
    """Cells (H, W) under the object and around it, but for those that another object is nearer to."""
    from scipy.spatial import KDTree

    flat = cells.centres().reshape(-1, 3) @ cells.axes[:2].T
    own = KDTree(points @ cells.axes[:2].T).query(flat)[0]
    near = own <= max(REACH * cells.extent, 2 * cells.size)
    if others is not None and len(others):
        near &= own <= KDTree(np.asarray(others, dtype=np.float64) @ cells.axes[:2].T).query(flat)[0]
    return near.reshape(cells.shape)


def _within_outline(cells: PlaneRaster, support: SupportPlane) -> NDArray[np.bool_]:
    """Cells (H, W) over the support: an object at its edge leaves no table in the air."""
    inside = np.ones(cells.shape, dtype=bool)
    flat, corners = cells.centres() @ cells.axes[:2].T, support.outline @ cells.axes[:2].T
    for a, b in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        edge, away = b - a, flat - a
        inside &= edge[0] * away[..., 1] - edge[1] * away[..., 0] >= -cells.size * np.linalg.norm(edge)
    return inside


def _dilated(mask: NDArray[np.bool_], times: int) -> NDArray[np.bool_]:
    from scipy.ndimage import binary_dilation

    return np.asarray(binary_dilation(mask, np.ones((3, 3), dtype=bool), iterations=times), dtype=bool)


def _over(background: Gaussians, cells: PlaneRaster, hole: NDArray[np.bool_], top: float) -> tuple[Tensor, Tensor]:
    """Background splats (N,) within the hole, below the object's top, and indices (R,) of those that reach into it."""
    import torch

    from dynamics.poses import rotation_from_wxyz

    means = background.means.detach().double().cpu()
    quats = torch.nn.functional.normalize(background.quats.detach().double().cpu(), dim=1)
    axes = (rotation_from_wxyz(quats) * background.scales.detach().double().cpu().exp()[:, None, :]).transpose(1, 2)
    centre = means.numpy()
    heights = (centre - cells.corner) @ cells.axes[2]
    index = np.flatnonzero((heights < top) & (heights > -cells.extent) & cells.places(centre)[1])
    # The centre and a step of 1.5 deviations both ways along each axis.
    reach = 1.5 * axes.numpy()[index]
    spots = np.concatenate([centre[index, None], centre[index, None] + reach, centre[index, None] - reach], axis=1)
    cell, inside = cells.places(spots.reshape(-1, 3))
    share, close = np.zeros(len(cell)), np.zeros(len(cell))
    share[inside] = hole[tuple(cell[inside].T)]
    close[inside] = _dilated(hole, BESIDE)[tuple(cell[inside].T)]
    within = share.reshape(-1, 7).mean(axis=1) >= WITHIN
    reaching = ~within & close.reshape(-1, 7).any(axis=1)
    given_up = torch.zeros(len(background), dtype=torch.bool)
    given_up[torch.from_numpy(index[within])] = True
    device = background.means.device
    return given_up.to(device), torch.from_numpy(index[reaching]).to(device)


def flat_splats(
    background: Gaussians,
    cells: PlaneRaster,
    image: NDArray,
    patch: NDArray[np.bool_],
    hole: NDArray[np.bool_],
    *,
    below: float = 0.0,
) -> Gaussians:
    """One flat splat in each cell of the patch, in the picture's colour, so far below the raster's plane."""
    import math

    import torch
    from scipy.ndimage import distance_transform_edt

    from dynamics.poses import wxyz_from_rotation
    from scene3d._gaussians import SH_C0, Gaussians

    inwards = np.asarray(distance_transform_edt(hole))[patch]
    height = np.minimum(0.5 * inwards - 1, 0) * SUNK * cells.size - below
    means = torch.from_numpy(cells.centres()[patch] + height[:, None] * cells.axes[2])
    count = len(means)
    rotation = torch.from_numpy(np.ascontiguousarray(cells.axes.T))
    sigma = torch.tensor([SIGMA, SIGMA, SIGMA * FLAT], dtype=torch.float64) * cells.size
    colours = torch.from_numpy(image[patch].astype(np.float64))
    made = Gaussians.create(
        means=means,
        quats=wxyz_from_rotation(rotation).expand(count, 4).clone(),
        scales=sigma.log().expand(count, 3).clone(),
        opacities=torch.full((count,), math.log(OPACITY / (1 - OPACITY)), dtype=torch.float64),
        sh0=((colours - 0.5) / SH_C0)[:, None, :],
    )
    return made.to(background.means.device, background.means.dtype)
