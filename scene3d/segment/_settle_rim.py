"""Splats at the rim of a filled hole: seen beside the object, arbitrary where they reach under it.

They cannot be taken away, for that would show beside the object, nor left alone, for then the object's outline stays
on the table as a dark line. So their colours and opacities are optimised: where a view shows the table, the picture
without the object must stay what it was; where the object hides it, the picture must be the continued texture. Views
are cut to the hole, and only splats around it take part.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from scene3d.segment._plane_raster import PlaneRaster, bilinear, pixels_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from scene3d._camera import Camera
    from scene3d._gaussians import Gaussians
    from scene3d.segment._observations import Observation

__all__ = ["settle_rim"]

MOST_VIEWS = 16
STEPS = 96
RATE_COLOUR, RATE_OPACITY = 0.04, 0.08
"""Of Adam, for SH coefficients and for logits."""
HIDDEN = 0.2
"""Weight of a pixel that the object hid; what was seen counts 1."""
PRIOR = 0.05
"""Squared colour error [px] that a change of an SH coefficient by 1 costs, so that what hardly shows stays as it is."""
HIDING = 0.5
"""Share of a pixel that is object, from which the table is hidden there."""
DEPTH_SLACK = 0.03
MARGIN = 6
"""Cells beside the hole that views are cut to."""


@dataclass(frozen=True, eq=False)
class _Target:
    """What one view must look like without the object."""

    camera: Camera
    rgb: Tensor
    """Shape (H, W, 3)."""
    weight: Tensor
    """Shape (H, W)."""


def settle_rim(
    background: Gaussians,
    given_up: Tensor,
    rim: Tensor,
    fill: Gaussians,
    views: Sequence[Observation],
    cells: PlaneRaster,
    image: NDArray,
    patch: NDArray[np.bool_],
) -> Gaussians:
    """The rim's splats with new colours and opacities, R of them.

    Args:
        background: N splats of no object.
        given_up: Those that are to go, bool, shape (N,).
        rim: Those that may change, int64, shape (R,).
        fill: F new flat splats on the raster.
        views: Pictures of the whole scene, objects in place.
        cells: Raster on the support.
        image: Its colours, continued under the object, shape (H, W, 3).
        patch: Cells that are filled, shape (H, W).
    """
    import torch

    from scene3d._gaussians import Gaussians
    from scene3d.render import render

    keep = _around(background, cells)
    before, patched = (
        background[keep].detach(),
        Gaussians.cat([background[keep & ~given_up & ~_chosen(rim, keep)], fill]),
    )
    targets = [target for view in views if (target := _target(view, before, cells, image, patch)) is not None]
    targets = targets[:: max(1, -(-len(targets) // MOST_VIEWS))]
    start = background[rim].detach()
    if not targets or not len(rim):
        return start
    with torch.enable_grad():
        colours, opacities = (value.clone().requires_grad_() for value in (start.sh0, start.opacities))
        adam = torch.optim.Adam([{"params": [colours], "lr": RATE_COLOUR}, {"params": [opacities], "lr": RATE_OPACITY}])
        for step in range(STEPS):
            target = targets[step * 7 % len(targets)]
            shown = render(Gaussians.cat([patched, replace(start, sh0=colours, opacities=opacities)]), target.camera)
            loss = (target.weight[..., None] * (shown.rgb - target.rgb).square()).sum()
            loss = loss + PRIOR * (colours - start.sh0).square().sum()
            adam.zero_grad()
            loss.backward()
            adam.step()
    return replace(start, sh0=colours.detach(), opacities=opacities.detach())


def _chosen(index: Tensor, like: Tensor) -> Tensor:
    """The mask of some indices."""
    import torch

    mask = torch.zeros_like(like)
    mask[index] = True
    return mask


def _around(background: Gaussians, cells: PlaneRaster) -> Tensor:
    """Background splats (N,) over the raster or not far under it."""
    import torch

    means = background.means.detach().double().cpu().numpy()
    heights = (means - cells.corner) @ cells.axes[2]
    near = cells.places(means)[1] & (heights > -cells.extent)
    return torch.from_numpy(near).to(background.means.device)


def _target(
    view: Observation, before: Gaussians, cells: PlaneRaster, image: NDArray, patch: NDArray[np.bool_]
) -> _Target | None:
    """The hole as one view must show it; None when the view does not."""
    import torch

    from scene3d.render import render

    u, v, z = pixels_of(view.camera, cells.centres()[patch])
    if z.min() <= 0:
        return None
    beside = MARGIN * cells.size * float(view.camera.K[0, 0]) / float(np.median(z))
    left, top = (max(0, int(values.min() - beside)) for values in (u, v))
    right = min(view.camera.width, int(u.max() + beside) + 2)
    bottom = min(view.camera.height, int(v.max() + beside) + 2)
    if right - left < 4 or bottom - top < 4:
        return None
    place, depth = _on_plane(view.camera, cells, (left, top, right, bottom))
    window = (slice(top, bottom), slice(left, right))
    hiding = view.features[window].sum(axis=2)
    agree = (np.abs(view.depth[window] - depth) < DEPTH_SLACK * depth) & (view.alpha[window] > 0.5)
    cell = np.floor(place).astype(np.int64)
    inside = ((cell >= 0) & (cell < cells.shape)).all(axis=2) & (depth > 0)
    row, column = np.clip(cell, 0, np.array(cells.shape) - 1).transpose(2, 0, 1)
    # Where the object hides what the view shows of the table, there is nothing else to compare with.
    seen = inside & (hiding < HIDING) & (agree | (hiding > 0.01))
    hidden = inside & (hiding >= HIDING) & patch[row, column]
    K = view.camera.K.clone()
    K[0, 2] -= left
    K[1, 2] -= top
    camera = replace(view.camera, width=right - left, height=bottom - top, K=K)
    with torch.no_grad():
        rgb = render(before, camera).rgb
    texture = bilinear(image, place[..., 1].ravel(), place[..., 0].ravel()).reshape(*hidden.shape, 3)
    rgb = torch.where(torch.from_numpy(hidden).to(rgb.device)[..., None], torch.from_numpy(texture).to(rgb), rgb)
    weight = torch.from_numpy(seen * (1 - hiding).clip(0, 1) + HIDDEN * hidden).to(rgb)
    return _Target(camera, rgb, weight)


def _on_plane(camera: Camera, cells: PlaneRaster, box: tuple[int, int, int, int]) -> tuple[NDArray, NDArray]:
    """Where the rays of the pixels of a box meet the plane, in cells (H, W, 2), and at which camera z (H, W)."""
    left, top, right, bottom = box
    T = camera.T_world_cam.double().cpu().numpy()
    K = camera.K.double().cpu().numpy()
    column, row = np.meshgrid(np.arange(left, right) + 0.5, np.arange(top, bottom) + 0.5)
    rays = np.stack([(column - K[0, 2]) / K[0, 0], (row - K[1, 2]) / K[1, 1], np.ones_like(row)], axis=-1) @ T[:3, :3].T
    slope = rays @ cells.axes[2]
    slope = np.where(np.abs(slope) < 1e-9, 1e-9, slope)
    z = ((cells.corner - T[:3, 3]) @ cells.axes[2]) / slope
    met = T[:3, 3] + rays * z[..., None] - cells.corner
    return np.clip(met @ cells.axes[:2].T / cells.size, -1e6, 1e6), z
