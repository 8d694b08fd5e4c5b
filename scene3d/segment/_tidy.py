"""Labels that pictures cannot settle -> labels by place and colour.

Votes say nothing of splats that no labelled pixel shows, little of those that show through a crack, and sometimes the
wrong thing of a floater that lines up with an object. What lies around such a splat decides: hidden ones take the label
of their neighbours, even votes go to the side whose colour they have, splats under the table are the table's unless
photos clearly show them as an object's, and a few splats far from the rest of an object are not part of it. Lengths are
relative, so scenes without scale do as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from scene3d._gaussians import Gaussians
    from scene3d._support import SupportPlane

__all__ = ["tidied"]

HIDDEN = 1.0
"""A splat with fewer votes than this is not seen [px]."""
NEIGHBOURS = 12
INSIDE = 0.75
"""Share of a hidden splat's neighbours that must be of one object for it to lie inside of it."""
EVEN = 0.55
"""Votes are even where the first label has less than this share of them."""
CLEAR = 4.0
"""Colour decides even votes when one side is this much closer."""
FEW_VOTES = 0.005
"""A part of an object is stray when it has less than this share of the object's votes..."""
FAR = 0.1
"""...and lies further from the rest than this share of the object's size."""
OWNED = 0.7
"""A splat under a support is an object's all the same when masks of the object show it in this share of its votes."""
BELOW = 3.0
"""Objects end this far below the surface of their support [its noise]."""


def tidied(splats: Gaussians, votes: Tensor, labels: Tensor, supports: Sequence[SupportPlane] = ()) -> Tensor:
    """Settle what votes leave open.

    Args:
        splats: N splats in the world's frame.
        votes: As from `vote`, shape (N, L).
        labels: As from `labels_of`, shape (N,).
        supports: What objects stand on.

    Returns:
        Labels 0 to L - 1, none unseen, int64, shape (N,).
    """
    import torch

    places = splats.means.detach().double().cpu().numpy()
    colors = splats.sh0.detach()[:, 0].double().cpu().numpy()
    counts = votes.detach().double().cpu().numpy()
    found = labels.cpu().numpy().copy()
    hidden = (counts.sum(axis=1) < HIDDEN) | (found < 0)
    found[hidden] = 0
    _settle_even(found, counts, hidden, places, colors)
    for label in range(1, counts.shape[1]):
        _drop_strays(found, label, counts, places, hidden)
    _fill_hidden(found, hidden, places)
    # The floor of a shiny bowl is fitted by splats that mirror in it, below the table: those move with the bowl.
    clear = ~hidden & (counts[:, 1:].max(axis=1, initial=0.0) > OWNED * counts.sum(axis=1))
    found[_under(supports, places) & ~clear] = 0
    return torch.from_numpy(found).to(labels.device)


def _settle_even(found: NDArray, counts: NDArray, hidden: NDArray, places: NDArray, colors: NDArray) -> None:
    """Even votes between an object and the background go to the side that has the splat's colour."""
    from scipy.spatial import KDTree

    total = counts.sum(axis=1)
    share = counts.max(axis=1) / np.maximum(total, 1e-9)
    sure = ~hidden & (share >= EVEN)
    even = ~hidden & (share < EVEN)
    second = np.argsort(-counts, axis=1, kind="stable")[:, :2]
    for label in range(1, counts.shape[1]):
        between = np.flatnonzero(even & (second.min(axis=1) == 0) & (second.max(axis=1) == label))
        sides = [np.flatnonzero(sure & (found == side)) for side in (0, label)]
        if not len(between) or min(map(len, sides)) < NEIGHBOURS:
            continue
        away = []
        for side in sides:
            _, near = KDTree(places[side]).query(places[between], k=NEIGHBOURS)
            unlike = np.linalg.norm(colors[side[near]] - colors[between][:, None], axis=-1)
            away.append(np.median(unlike, axis=1))
        found[between[away[0] * CLEAR < away[1]]] = 0
        found[between[away[1] * CLEAR < away[0]]] = label


def _drop_strays(found: NDArray, label: int, counts: NDArray, places: NDArray, hidden: NDArray) -> None:
    """Give small parts of an object that lie far from its main part, and outside of it, back to the background."""
    from scipy.sparse import csr_matrix
    from scipy.sparse.csgraph import connected_components
    from scipy.spatial import KDTree

    own = np.flatnonzero((found == label) & ~hidden)
    if len(own) < 2:
        return
    weight = counts[own, label]
    low, high = (_weighted_quantile(places[own], weight, share) for share in (0.02, 0.98))
    reach = FAR * float(np.linalg.norm(high - low))
    if not reach > 0:
        return
    # Joining cells of the size of the reach instead of all pairs keeps memory linear in the number of splats.
    cells, cell_of = np.unique(np.floor(places[own] / (0.5 * reach)).astype(np.int64), axis=0, return_inverse=True)
    pairs = KDTree(cells).query_pairs(2.01, output_type="ndarray")
    graph = csr_matrix((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(len(cells),) * 2)
    part = connected_components(graph, directed=False)[1][cell_of.reshape(-1)]
    seen = np.bincount(part, weights=weight)
    small = (seen < FEW_VOTES * weight.sum())[part]
    found[own[small][~_within(places[own[~small]], places[own[small]])]] = 0


def _within(cloud: NDArray, places: NDArray) -> NDArray[np.bool_]:
    """Which places (N, 3) lie in the convex hull of a cloud."""
    from scipy.spatial import ConvexHull, QhullError

    try:
        sides = ConvexHull(cloud).equations
    except QhullError:  # A flat or tiny cloud has no inside.
        return np.zeros(len(places), dtype=bool)
    return (places @ sides[:, :3].T + sides[:, 3]).max(axis=1, initial=-np.inf) <= 0


def _weighted_quantile(values: NDArray, weights: NDArray, share: float) -> NDArray[np.float64]:
    result = []
    for column in values.T:
        order = np.argsort(column, kind="stable")
        reached = np.searchsorted(np.cumsum(weights[order]), share * weights.sum())
        result.append(column[order[min(reached, len(order) - 1)]])
    return np.array(result)


def _fill_hidden(found: NDArray, hidden: NDArray, places: NDArray) -> None:
    """Splats that nothing shows are an object's where its splats surround them."""
    from scipy.spatial import KDTree

    seen = np.flatnonzero(~hidden)
    unseen = np.flatnonzero(hidden)
    if len(seen) < NEIGHBOURS or not len(unseen):
        return
    _, near = KDTree(places[seen]).query(places[unseen], k=NEIGHBOURS)
    around = found[seen[near]]
    for label in np.unique(around[around > 0]):
        found[unseen[(around == label).mean(axis=1) >= INSIDE]] = label


def _under(supports: Sequence[SupportPlane], places: NDArray) -> NDArray[np.bool_]:
    """Which places (N, 3) lie under the surface of a support."""
    from scene3d.segment._find_supports import inside_outline

    under = np.zeros(len(places), dtype=bool)
    for support in supports:
        low = np.flatnonzero(support.heights(places) < -BELOW * support.noise)
        under[low] |= inside_outline(support, places[low]) > 0
    return under
