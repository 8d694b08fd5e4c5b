"""Labels of pixels -> labels of splats, in closed form [FlashSplat 2024].

A pixel's colour is a sum over splats with weights alpha T; the same weights say how much of its label belongs to each
of them. Summed over all pixels of all views they are votes, and the label with most votes is the one that renders the
label maps best. The sum is what the renderer's gradient computes: feature channels, one for each label, have the
one-hot label maps as their gradient, so every backend votes without a kernel of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import ArrayLike
    from torch import Tensor

    from scene3d._camera import Camera
    from scene3d._gaussians import Gaussians

__all__ = ["UNSEEN", "labels_of", "vote"]

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
        backend: Render backend; by default the one of the splats' device.

    Returns:
        Sum over views and pixels of alpha T [px], float32, shape (N, L), on the splats' device.

    Raises:
        ValueError: A label map has another size than its camera, or there is not one for each camera.
    """
    import numpy as np
    import torch

    splats = splats.detach()
    votes = splats.means.new_zeros(len(splats), labels, dtype=torch.float32)
    for camera, label_map in zip(cameras, label_maps, strict=True):
        map_ = torch.from_numpy(np.ascontiguousarray(label_map, dtype=np.int64)).to(votes.device)
        if map_.shape != (camera.height, camera.width):
            raise ValueError(
                f"The label map has shape {tuple(map_.shape)}, but its camera is {camera.height} x {camera.width}."
            )
        present = torch.unique(map_)
        present = present[(present >= 0) & (present < labels)]
        for channels in present.split(MOST_CHANNELS):
            one_hot = (map_[..., None] == channels).float()
            votes[:, channels] += _weights(splats, camera, one_hot, T_world_body, backend)
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


def _weights(
    splats: Gaussians, camera: Camera, maps: Tensor, T_world_body: Tensor | None, backend: str | None
) -> Tensor:
    """Sum over pixels of alpha T times each map, shape (N, F) of maps (H, W, F)."""
    import torch

    from scene3d.render import render

    probe = torch.zeros(len(splats), maps.shape[-1], device=maps.device, requires_grad=True)
    frame = render(splats, camera, T_world_body=T_world_body, features=probe, backend=backend)
    assert frame.features is not None
    return torch.autograd.grad(frame.features, probe, maps)[0]
