"""Masks of a few photos -> label maps of the others.

With three or four photos the fit explains each of them by splats that the others hardly see, and the votes of some
photos say little of another. What they do tell, rendered, is a rough map; the picture itself tells its outline, by
colour: GrabCut [Rother 2004] starts from the rough map and may move the outline by a little. The picture is the render,
which is the photo where so few were fitted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scene3d.segment._vote import UNSEEN, labels_of, vote

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from scene3d._camera import Camera
    from scene3d._gaussians import Gaussians

__all__ = ["ENOUGH", "carried_masks"]

ENOUGH = 8
"""With this many masks the votes need no help."""
BAND = 0.03
"""How far an outline may lie from the rough one, as a share of the image's longer side."""
SMALL = 0.1
"""Specks of less than this share of an object's largest part are left out."""
ROUNDS = 4
AGREE = 0.4
"""A map is used when its IoU with the rough one is at least this."""


def carried_masks(
    splats: Gaussians,
    cameras: Sequence[Camera],
    label_maps: Sequence[NDArray[np.int32]],
    others: Sequence[Camera],
    labels: int,
) -> list[tuple[Camera, NDArray[np.int32]]]:
    """Label maps of photos without masks, where there are so few masks that they are needed.

    Args:
        splats: N splats in the world's frame.
        cameras: Single views with label maps.
        label_maps: Labels (H, W) of each, `UNSEEN` where not known.
        others: Single views of photos that were fitted and have no masks.
        labels: Number of labels, the background's among them.

    Returns:
        Cameras and their label maps (H, W), in the order of ``others``; none for those where colours tell nothing.
    """
    if not others or len(cameras) >= ENOUGH:
        return []
    of_splat = labels_of(vote(splats, cameras, label_maps, labels)).clamp_min(0)
    found = []
    for camera in others[: ENOUGH - len(cameras)]:
        map_ = _carried(splats, of_splat, camera, labels)
        if (map_ > 0).any():
            found.append((camera, map_))
    return found


def _carried(splats: Gaussians, of_splat: Tensor, camera: Camera, labels: int) -> NDArray[np.int32]:
    import torch

    from scene3d.render import render
    from scene3d.segment._vote import label_image

    rough = label_image(splats, of_splat, camera, labels)
    with torch.no_grad():
        rgb = render(splats, camera).rgb
    picture = np.ascontiguousarray((rgb.clamp(0, 1) * 255).to(torch.uint8).cpu().numpy()[..., ::-1])
    map_ = np.zeros_like(rough)
    for label in range(1, labels):
        area = _without_specks(rough == label)
        if not area.any():
            continue
        taken = (rough > 0) & (rough != label)
        exact = _by_color(picture, area) & ~taken
        union = (exact | area).sum()
        if (exact & area).sum() < AGREE * union:
            # Neither outline is to be trusted.
            map_[exact | area] = UNSEEN
        else:
            map_[exact] = label
    return map_


def _without_specks(area: NDArray[np.bool_]) -> NDArray[np.bool_]:
    from scipy.ndimage import label

    parts = np.empty(area.shape, dtype=np.int32)
    label(area, output=parts)
    sizes = np.bincount(parts.reshape(-1), minlength=2)
    sizes[0] = 0
    return (sizes >= max(1.0, SMALL * sizes.max()))[parts] & area


def _by_color(picture: NDArray[np.uint8], area: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The area with its outline where the colours change."""
    import cv2
    from scipy.ndimage import distance_transform_edt

    near = np.asarray(distance_transform_edt(~area)) < BAND * max(area.shape)
    start = np.where(area, cv2.GC_PR_FGD, np.where(near, cv2.GC_PR_BGD, cv2.GC_BGD)).astype(np.uint8)
    models = np.zeros((2, 1, 65))
    # The mixtures start from k-means with random centres.
    cv2.setRNGSeed(0)
    cv2.grabCut(picture, start, (0, 0, 1, 1), models[0], models[1], ROUNDS, cv2.GC_INIT_WITH_MASK)
    return (start == cv2.GC_FGD) | (start == cv2.GC_PR_FGD)
