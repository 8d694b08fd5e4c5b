"""Splats that straddle the outline of an object -> smaller ones, each on its side.

A splat votes for two labels when the outline runs through it; whichever wins, the object loses an edge or takes some
of its surroundings along. Such a splat is cut into thirds along its longest axis, then along its second one, and where
the thirds win different labels they replace it. Everything else stays as it was, so few splats are added and the
pictures stay the same: the thirds blend to the profile of the whole. Outlines that were cut in an earlier segmentation
are not cut again, or the scene would grow each time.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from scene3d.segment._vote import labels_of, vote

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike
    from torch import Tensor

    from scene3d._camera import Camera
    from scene3d._gaussians import Gaussians

__all__ = ["split_straddling", "thirds"]

MOST_VIEWS = 24
"""Views that vote on cuts; outlines need no more."""
MIXED = 0.85
"""A splat whose first label has less than this share of its votes straddles an outline."""
ROUNDS = 4
"""Cuts along the longest and the second axis in turn; thin things need the last ones."""
MOST_SPLITS = 0.25
"""Splats that may be cut in one round, as a share of all: more is no outline but a mask that fits nothing."""
SAME = 0.7
"""An object is the one that was there before when they have this share of the splats of both in common."""
NARROW = 0.6
"""Deviation of a third, as a share of the whole's along the cut."""
# Offset of the outer thirds [deviations], and opacity of outer and middle third as a share of the whole's, for
# some opacities: least squares of the blended profile against the whole one, 4 % off at worst.
# Beside the axis the most opaque splats are 9 % off.
OPACITY = (0.05, 0.3, 0.6, 0.9, 0.99)
OFFSET = (1.054, 1.025, 0.986, 0.939, 0.896)
OUTER = (0.399, 0.416, 0.441, 0.473, 0.503)
MIDDLE = (0.854, 0.881, 0.929, 1.012, 1.010)


@dataclass(frozen=True)
class _Voted:
    """Splats on the way, with what they show and where they come from."""

    splats: Gaussians
    votes: Tensor
    source: Tensor

    def __getitem__(self, index: Tensor) -> _Voted:
        return _Voted(self.splats[index], self.votes[index], self.source[index])


def split_straddling(
    splats: Gaussians,
    cameras: Sequence[Camera],
    label_maps: Sequence[ArrayLike],
    labels: int,
    *,
    before: Tensor | None = None,
    rounds: int = ROUNDS,
) -> tuple[Gaussians, Tensor]:
    """Cut the splats that outlines run through.

    Args:
        splats: N splats in the world's frame (component 0).
        cameras: Single views of the label maps' sizes.
        label_maps: As for `vote`.
        labels: Number of labels, the background's among them.
        before: Label of each splat in an earlier segmentation, whose outlines were cut, 0 the background, shape (N,).
        rounds: Cuts that one splat may see.

    Returns:
        M splats, at least N of them, pieces in the place of their whole; and the index of the splat that each is or was
        part of, int64, shape (M,).
    """
    import torch

    chosen = np.unique(np.linspace(0, len(cameras) - 1, min(MOST_VIEWS, len(cameras))).astype(int))
    cameras, label_maps = [cameras[i] for i in chosen], [label_maps[i] for i in chosen]
    # Colours play no part in votes; pieces get those of their whole in the end.
    bare = replace(splats, shN=splats.shN[:, :0])
    votes = vote(bare, cameras, label_maps, labels)
    cut_already = _found_again(votes, before)
    now = _Voted(bare, votes, torch.arange(len(splats), device=splats.means.device))
    for turn in range(rounds):
        straddling = _straddling(now.votes, cut_already)
        if not straddling.any():
            break
        whole, kept = now[straddling], now[~straddling]
        axis = whole.splats.scales.argsort(dim=1, descending=True)[:, turn % 2]
        pieces = thirds(whole.splats, axis)
        n = len(kept.splats)
        cut_votes = vote(type(bare).cat([kept.splats, pieces]), cameras, label_maps, labels)
        cut = _Voted(pieces, cut_votes[n:], whole.source.repeat(3))
        apart = _apart(labels_of(cut.votes).view(3, -1))
        now = _joined([kept, whole[~apart], cut[apart.repeat(3)]])
    if len(now.splats) == len(splats):
        return splats, now.source.sort().values
    order = now.source.argsort(stable=True)
    source = now.source[order]
    return replace(now.splats[order], shN=splats.shN[source]), source


def thirds(splats: Gaussians, axis: Tensor) -> Gaussians:
    """Each splat as three along one of its axes, which together look like it.

    That holds from across the axis. Along it they stand behind each other and are more opaque than the whole; the long
    axes of splats on a surface are not looked along.

    Args:
        splats: N splats.
        axis: Number of each splat's axis, 0 to 2, shape (N,).

    Returns:
        3 N splats: the lower thirds of all, then the middle ones, then the upper ones.
    """
    import torch

    from dynamics.poses import rotation_from_wxyz
    from scene3d._gaussians import Gaussians

    rows = torch.arange(len(splats), device=splats.means.device)
    columns = rotation_from_wxyz(splats.quats)[rows, :, axis]
    along = columns * splats.scales[rows, axis].exp()[:, None]
    opacity = splats.opacities.sigmoid().clamp(OPACITY[0], OPACITY[-1])
    logits = [float(np.log(o / (1 - o))) for o in OPACITY]
    at = torch.logit(opacity).cpu().numpy()
    offset, outer, middle = (
        torch.from_numpy(np.interp(at, logits, values)).to(splats.means) for values in (OFFSET, OUTER, MIDDLE)
    )
    scales = splats.scales.clone()
    scales[rows, axis] += float(np.log(NARROW))
    parts = []
    for side, share in ((-1, outer), (0, middle), (1, outer)):
        means = splats.means + side * offset[:, None] * along
        # The table holds shares, so that splats fainter than its first entry keep their faintness.
        opacities = torch.logit((splats.opacities.sigmoid() * share).clamp(1e-6, 0.9995))
        parts.append(replace(splats, means=means, scales=scales, opacities=opacities))
    return Gaussians.cat(parts)


def _found_again(votes: Tensor, before: Tensor | None) -> Tensor:
    """Which labels (L,) are those of an earlier segmentation; the background is when any of them is."""
    import torch

    again = torch.zeros(votes.shape[1], dtype=torch.bool, device=votes.device)
    if before is None:
        return again
    seen = votes.sum(dim=1) > 0
    now, then = labels_of(votes)[seen], before.to(votes.device).long()[seen]
    sizes = torch.bincount(then)
    for label in range(1, len(again)):
        own = now == label
        common = torch.bincount(then[own], minlength=len(sizes))
        either = int(own.sum()) + sizes - common
        again[label] = bool((common[1:] >= SAME * either[1:].clamp_min(1)).any())
    again[0] = again.any()
    return again


def _straddling(votes: Tensor, cut_already: Tensor) -> Tensor:
    """Which splats to cut, shape (N,): not those between two labels (L,) that were; the most mixed of too many."""
    import torch

    total = votes.sum(dim=1)
    share = votes.amax(dim=1) / total.clamp_min(1e-9)
    straddling = (total > 0) & (share < MIXED)
    if bool(cut_already.any()):
        straddling &= ~cut_already[votes.topk(2, dim=1).indices].all(dim=1)
    most = int(MOST_SPLITS * len(votes))
    if int(straddling.sum()) > most:
        chosen = torch.where(straddling, share, 2.0).argsort(stable=True)[:most]
        straddling = torch.zeros_like(straddling)
        straddling[chosen] = True
    return straddling


def _apart(labels: Tensor) -> Tensor:
    """Splats whose thirds (3, N) show different things; a third that shows nothing is no difference."""
    seen = labels >= 0
    high = labels.amax(dim=0)
    low = labels.where(seen, high).amin(dim=0)
    return low != high


def _joined(parts: Sequence[_Voted]) -> _Voted:
    import torch

    splats = type(parts[0].splats).cat([part.splats for part in parts])
    return _Voted(splats, torch.cat([part.votes for part in parts]), torch.cat([part.source for part in parts]))
