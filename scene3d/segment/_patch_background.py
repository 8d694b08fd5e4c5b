"""The background as it is to be once objects can be moved: holes under them patched, and nothing else changed.

`fill_hole` proposes a patch for each object. It counts only if the picture without the object stays what it was beside
the object, and the picture with it what it was everywhere (where photos were few, a support lies above what was fitted
and would cover it). A patch that shows is tried again without its changes of the rim, and dropped if that shows too.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from scene3d._camera import Camera
    from scene3d._gaussians import Gaussians
    from scene3d._support import SupportPlane
    from scene3d.segment._fill_hole import HoleFill
    from scene3d.segment._observations import Observation

__all__ = ["Patched", "patched_background"]

SIDE, MOST_VIEWS = 480, 30
"""Size [px] and number of the views in which holes are looked for."""
CHECKED = 8
"""Views in which a patch is checked."""
CLEAR = 0.05
"""Share of a pixel that may be object where it counts as beside the object."""
AROUND = 0.5
"""Pixels count within a frame around the object that is this much larger than its own."""
VISIBLE = 1.2e-4
"""Mean squared difference of colours beside the object that is too much: a tenth of a typical fit's own error."""


@dataclass(frozen=True, eq=False)
class Patched:
    """Splats of the background, in the world's frame."""

    splats: Gaussians
    """What was there, less what lay hidden in holes and with settled rims."""
    fill: Gaussians
    """What patches the holes."""


def patched_background(
    splats: Gaussians, of_splat: Tensor, objects: int, cameras: Sequence[Camera], supports: Sequence[SupportPlane]
) -> Patched:
    """Patch the holes under all objects.

    Args:
        splats: N splats in the world's frame, objects in place.
        of_splat: Component of each: 0 the background, i + 1 object i, int64, shape (N,).
        objects: Number of objects.
        cameras: The scene's views.
        supports: What objects stand on.
    """
    import torch

    from scene3d._gaussians import Gaussians
    from scene3d.segment._body_frame import support_under
    from scene3d.segment._fill_hole import fill_hole
    from scene3d.segment._observations import observe

    background = splats[of_splat == 0]
    fills: list[Gaussians] = []
    if not supports or not objects:
        return Patched(background, background[:0])
    one_hot = torch.nn.functional.one_hot(of_splat, objects + 1)[:, 1:].float()
    step = max(1, -(-len(cameras) // MOST_VIEWS))
    views = [observe(splats, camera.fitted(SIDE), features=one_hot) for camera in cameras[::step]]
    world = splats.means.double().numpy()
    points = [world[(of_splat == index + 1).numpy()] for index in range(objects)]
    for index, own in enumerate(points):
        support = support_under(own, tuple(supports))
        if support is None:
            continue
        others = [other for i, other in enumerate(points) if i != index]
        patch = fill_hole(background, views, own, support, others=np.concatenate(others) if others else None)
        if not len(patch.splats):
            continue
        rest = [*fills, splats[(of_splat > 0) & (of_splat != index + 1)]]
        background, fill = _accepted(background, patch, rest, splats[of_splat == index + 1], views, index)
        fills += [fill] if len(fill) else []
    return Patched(background, Gaussians.cat(fills) if fills else background[:0])


def _accepted(
    background: Gaussians,
    patch: HoleFill,
    rest: Sequence[Gaussians],
    own: Gaussians,
    views: Sequence[Observation],
    index: int,
) -> tuple[Gaussians, Gaussians]:
    """The background and the fill after the strongest form of a patch that does not show beside its object."""
    kept = ~patch.hidden
    settled = _with_rim(background, patch)[kept]
    for changed in (settled, background[kept], background):
        if not _shows([changed, patch.splats, *rest], own, views, index):
            return changed, patch.splats
    return background, patch.splats[:0]


def _with_rim(background: Gaussians, patch: HoleFill) -> Gaussians:
    sh0, opacities = background.sh0.clone(), background.opacities.clone()
    sh0[patch.rim_index], opacities[patch.rim_index] = patch.rim.sh0, patch.rim.opacities
    return replace(background, sh0=sh0, opacities=opacities)


def _shows(without: Sequence[Gaussians], own: Gaussians, views: Sequence[Observation], index: int) -> bool:
    """Whether the picture changed: beside the object without it, or anywhere around it with it in place."""
    import torch

    from scene3d._gaussians import Gaussians
    from scene3d.render import render

    lifted, standing = Gaussians.cat(without), Gaussians.cat([*without, own])
    showing = [view for view in views if (view.features[..., index] > 0.5).sum() > 25]
    error, count = np.zeros(2), np.zeros(2)
    for view in showing[:: max(1, len(showing) // CHECKED)][:CHECKED]:
        frame = _frame(view, index)
        camera = _cropped(view.camera, frame)
        beside = view.features[frame][..., index] < CLEAR
        for case, (splats, mask) in enumerate(((lifted, beside), (standing, np.ones_like(beside)))):
            with torch.no_grad():
                rgb = render(splats, camera).rgb.numpy()
            error[case] += float((((rgb - view.rgb[frame]) ** 2).mean(axis=-1) * mask).sum())
            count[case] += int(mask.sum())
    return bool((error > VISIBLE * count).any())


def _cropped(camera: Camera, frame: tuple[slice, slice]) -> Camera:
    """The camera of some rows and columns alone."""
    rows, columns = frame
    K = camera.K.clone()
    K[0, 2] -= columns.start
    K[1, 2] -= rows.start
    return replace(camera, width=columns.stop - columns.start, height=rows.stop - rows.start, K=K)


def _frame(view: Observation, index: int) -> tuple[slice, slice]:
    """Rows and columns of an object and of what is around it."""
    share = view.features[..., index]
    rows, columns = np.nonzero(share > 0.5)
    height, width = share.shape
    y, x = AROUND * np.ptp(rows) + 4, AROUND * np.ptp(columns) + 4
    top, bottom = int(max(rows.min() - y, 0)), int(min(rows.max() + y, height))
    left, right = int(max(columns.min() - x, 0)), int(min(columns.max() + x, width))
    return slice(top, bottom), slice(left, right)
