"""Labels of pixels -> labels of splats, in closed form [FlashSplat 2024].

A pixel's colour is a sum over splats with weights alpha T; the same weights say how much of its label belongs to each
of them. Summed over all pixels of all views they are votes, and the label with most votes is the one that renders the
label maps best. The cpu backend has a kernel for the sum, at the price of a picture. It is also what the gradient of
any renderer computes: feature channels, one for each label, have the one-hot label maps as their gradient, so every
other backend votes without a kernel of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scene3d.segment._label_shares import label_shares

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import torch
    from numpy.typing import ArrayLike, NDArray
    from torch import Tensor

    from scene3d._camera import Camera
    from scene3d._gaussians import Gaussians

__all__ = ["UNSEEN", "label_image", "labels_of", "vote"]

UNSEEN = -1
"""Label of a splat that no labelled pixel shows."""
MOST_CHANNELS = 16
"""Labels that are voted on at once; more would need images of that many channels."""


def vote(
    splats: Gaussians,
    cameras: Sequence[Camera],
    label_maps: Iterable[ArrayLike],
    labels: int,
    *,
    T_world_body: Tensor | None = None,
    weights: Iterable[ArrayLike] | None = None,
    backend: str | None = None,
) -> Tensor:
    """How much of each label each splat shows.

    Args:
        splats: N splats.
        cameras: Single views of the label maps' sizes, V of them.
        label_maps: For each camera whole numbers (H, W), 0 to ``labels`` - 1; other values, as -1, are pixels whose
            label is unknown and which vote for nothing. Taken one by one, so they may be made on the way.
        labels: Number of labels L, the background's among them.
        T_world_body: Body poses [m], xyz + wxyz, shape (nb, 7); None leaves every body at the origin.
        weights: For each camera what its pixels count, shape (H, W), taken one by one like the label maps; None for 1.
        backend: Render backend; by default the one of the splats' device.

    Returns:
        Sum over views and pixels of alpha T [px], float32, shape (N, L), on the splats' device.

    Raises:
        ValueError: A label map has another size than its camera, or there is not one for each camera.
    """
    from itertools import repeat

    import torch

    splats = splats.detach()
    name = backend or ("cuda" if splats.means.is_cuda else "cpu")
    votes = splats.means.new_zeros(len(splats), labels, dtype=torch.float32)
    add = _add_by_kernel if name == "cpu" and not splats.means.is_cuda else _add_by_gradient
    counted = repeat(None, len(cameras)) if weights is None else weights
    for camera, label_map, weight in zip(cameras, label_maps, counted, strict=True):
        map_ = _image(label_map, torch.int64, camera, "label map").to(votes.device)
        pixels = None if weight is None else _image(weight, torch.float32, camera, "weight").to(votes.device)
        add(votes, splats, camera, map_, pixels, T_world_body, name)
    return votes


def labels_of(votes: Tensor, *, background_bias: float = 0.0) -> Tensor:
    """The label of each splat.

    Args:
        votes: As from `vote`, shape (N, L); column 0 is the background.
        background_bias: Votes added to the background, as a share of all votes of the splat. Positive values give
            cleaner objects that miss more of their edge, negative ones the opposite.

    Returns:
        Labels 0 to L - 1, or `UNSEEN` for splats without any vote, int64, shape (N,).
    """
    total = votes.sum(dim=1)
    biased = votes.clone()
    biased[:, 0] += background_bias * total
    labels = biased.argmax(dim=1)
    labels[total <= 0] = UNSEEN
    return labels


def label_image(splats: Gaussians, of_splat: Tensor, camera: Camera, labels: int) -> NDArray[np.int32]:
    """What each pixel shows: the label whose splats make up most of it, shape (H, W).

    Args:
        splats: N splats.
        of_splat: Label of each; those below zero count as 0, the background, shape (N,).
        camera: A single view.
        labels: Number of labels, the background's among them.
    """
    (shares,) = label_shares(splats, of_splat, labels, [camera])
    shares[..., 0] += 1 - shares.sum(axis=-1)  # What shines through is background.
    return shares.argmax(axis=-1).astype(np.int32)


def _image(values: ArrayLike, dtype: torch.dtype, camera: Camera, what: str) -> Tensor:
    import torch

    image = torch.from_numpy(np.array(values)).to(dtype)
    if image.shape != (camera.height, camera.width):
        raise ValueError(
            f"The {what} has shape {tuple(image.shape)}, but its camera is {camera.height} x {camera.width}."
        )
    return image


def _add_by_kernel(
    votes: Tensor,
    splats: Gaussians,
    camera: Camera,
    labels: Tensor,
    weights: Tensor | None,
    T_world_body: Tensor | None,
    _name: str,
) -> None:
    from scene3d.render._cpu import add_label_weights
    from scene3d.render._protocol import RenderSettings

    # A label too large for 32 bits is none of ours, and must not come out as one of them.
    known = labels.where((labels >= 0) & (labels < votes.shape[1]), UNSEEN)
    settings = RenderSettings()
    add_label_weights(votes, splats, camera, known, weights, T_world_body=T_world_body, settings=settings)


def _add_by_gradient(
    votes: Tensor,
    splats: Gaussians,
    camera: Camera,
    labels: Tensor,
    weights: Tensor | None,
    T_world_body: Tensor | None,
    name: str,
) -> None:
    """The plain twin of the kernel, on every backend."""
    import torch

    from scene3d.render import render

    present = torch.unique(labels)
    present = present[(present >= 0) & (present < votes.shape[1])]
    for channels in present.split(MOST_CHANNELS):
        maps = (labels[..., None] == channels).to(votes.dtype)
        maps = maps if weights is None else maps * weights[..., None]
        probe = torch.zeros(len(splats), len(channels), device=votes.device, requires_grad=True)
        frame = render(splats, camera, T_world_body=T_world_body, features=probe, backend=name)
        assert frame.features is not None
        votes[:, channels] += torch.autograd.grad(frame.features, probe, maps)[0]
