"""Splats at the rim of a filled hole: seen beside the object, arbitrary where they reach under it.

They cannot be taken away, for that would show beside the object, nor left alone, for then the object's outline stays
on the table as a dark line. So their colours and opacities are optimised: where a view shows the table, the picture
without the object must stay what it was; where the object hides it, the picture must be the continued texture. Views
are cut to the hole, and each keeps ready what it sees of the splats around it, in the colours that it sees
(`_rim_window.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from scene3d.segment._plane_raster import PlaneRaster, bilinear, pixels_of
from scene3d.segment._rim_window import RimWindow, rim_window

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
MEAN, SQUARE, TINY = 0.9, 0.999, 1e-8
"""Adam's decays of the means of gradients and of their squares, and its epsilon."""
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
class _Cut:
    """One view, cut to the hole."""

    view: Observation
    camera: Camera
    """Of the window alone."""
    window: tuple[slice, slice]
    """Rows and columns of the view."""
    place: NDArray[np.float64]
    """Where its pixels meet the plane [cells], shape (H, W, 2)."""
    depth: NDArray[np.float64]
    """At which camera z they do, shape (H, W)."""


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
    from scene3d._gaussians import Gaussians

    start = background[rim].detach()
    cuts = [cut for view in views if (cut := _cut(view, cells, patch)) is not None]
    cuts = cuts[:: max(1, -(-len(cuts) // MOST_VIEWS))]
    if not cuts or not len(rim):
        return start
    keep = _around(background, cells)
    before = background[keep].detach()
    still = Gaussians.cat([before[~(given_up | _chosen(rim, keep))[keep]], fill])
    windows = []
    for cut in cuts:
        rgb, weight = _wanted(cut, before, cells, image, patch)
        windows.append(rim_window(still, start, cut.camera, rgb, weight))
    colours, opacities = _descended(start, windows)
    return replace(start, sh0=colours, opacities=opacities)


def _descended(start: Gaussians, windows: Sequence[RimWindow]) -> tuple[Tensor, Tensor]:
    """Colours (R, 1, 3) and logits (R,) after all steps of Adam [Kingma & Ba 2015, algorithm 1].

    Written out, because to import torch's own takes longer than all of its steps here.
    """
    import torch

    values = [start.sh0, start.opacities]
    means, squares = ([torch.zeros_like(value) for value in values] for _ in range(2))
    for step in range(1, STEPS + 1):
        window = windows[(step - 1) * 7 % len(windows)]
        with torch.enable_grad():
            free = [value.detach().requires_grad_() for value in values]
            loss = window.error(free[0], free[1]) + PRIOR * (free[0] - start.sh0).square().sum()
            slopes = torch.autograd.grad(loss, free)
        for i, (rate, slope) in enumerate(zip((RATE_COLOUR, RATE_OPACITY), slopes, strict=True)):
            means[i] = MEAN * means[i] + (1 - MEAN) * slope
            squares[i] = SQUARE * squares[i] + (1 - SQUARE) * slope * slope
            spread = (squares[i] / (1 - SQUARE**step)).sqrt() + TINY
            values[i] = values[i] - rate / (1 - MEAN**step) * means[i] / spread
    return values[0], values[1]


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


def _cut(view: Observation, cells: PlaneRaster, patch: NDArray[np.bool_]) -> _Cut | None:
    """What one view sees of the hole; None when it sees nothing of it."""
    u, v, z = pixels_of(view.camera, cells.centres()[patch])
    if z.min() <= 0:
        return None
    beside = MARGIN * cells.size * float(view.camera.K[0, 0]) / float(np.median(z))
    left, top = (max(0, int(values.min() - beside)) for values in (u, v))
    right = min(view.camera.width, int(u.max() + beside) + 2)
    bottom = min(view.camera.height, int(v.max() + beside) + 2)
    if right - left < 4 or bottom - top < 4:
        return None
    K = view.camera.K.clone()
    K[0, 2] -= left
    K[1, 2] -= top
    camera = replace(view.camera, width=right - left, height=bottom - top, K=K)
    place, depth = _on_plane(view.camera, cells, (left, top, right, bottom))
    return _Cut(view, camera, (slice(top, bottom), slice(left, right)), place, depth)


def _wanted(
    cut: _Cut, before: Gaussians, cells: PlaneRaster, image: NDArray, patch: NDArray[np.bool_]
) -> tuple[Tensor, Tensor]:
    """The hole as a view must show it, (H, W, 3), and what its pixels count, (H, W)."""
    import torch

    from scene3d.render import render

    view, window, place, depth = cut.view, cut.window, cut.place, cut.depth
    hiding = view.features[window].sum(axis=2)
    agree = (np.abs(view.depth[window] - depth) < DEPTH_SLACK * depth) & (view.alpha[window] > 0.5)
    cell = np.floor(place).astype(np.int64)
    inside = ((cell >= 0) & (cell < cells.shape)).all(axis=2) & (depth > 0)
    row, column = np.clip(cell, 0, np.array(cells.shape) - 1).transpose(2, 0, 1)
    # Where the object hides what the view shows of the table, there is nothing else to compare with.
    seen = inside & (hiding < HIDING) & (agree | (hiding > 0.01))
    hidden = inside & (hiding >= HIDING) & patch[row, column]
    with torch.no_grad():
        rgb = render(before, cut.camera).rgb
    texture = bilinear(image, place[..., 1].ravel(), place[..., 0].ravel()).reshape(*hidden.shape, 3)
    rgb = torch.where(torch.from_numpy(hidden).to(rgb.device)[..., None], torch.from_numpy(texture).to(rgb), rgb)
    return rgb, torch.from_numpy(seen * (1 - hiding).clip(0, 1) + HIDDEN * hidden).to(rgb)


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
