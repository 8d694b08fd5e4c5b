"""One cluster, clicked on under several names -> a part for each.

Neighbouring surface points are edges of a graph, which are the longer the more their colours differ. Each point goes to
the click with the shortest way to it, so parts meet where the ways from both sides have been hard: at edges of colour
and at narrow places.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from scene3d.segment._surface_points import Surface

__all__ = ["divided"]

NEIGHBOURS = 8
COLOUR = 60.0
"""A step between black and white is this many times as long, plus one."""
MOST_POINTS = 20_000


def divided(
    surface: Surface, index: NDArray[np.int64], seeds: Sequence[tuple[int, NDArray[np.float64]]]
) -> NDArray[np.int64]:
    """Which part each point of a cluster belongs to, shape (len(index),).

    Args:
        surface: Points on surfaces.
        index: The cluster's points.
        seeds: Number of a part and a position in it.
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import dijkstra
    from scipy.spatial import KDTree

    if len({part for part, _ in seeds}) == 1:
        return np.full(len(index), seeds[0][0])
    # A large cloud is thinned evenly; the rest follows its nearest.
    some = np.linspace(0, len(index) - 1, min(len(index), MOST_POINTS)).astype(np.int64)
    points, colours = surface.points[index[some]], surface.colours[index[some]]
    tree = KDTree(points)
    each = min(NEIGHBOURS + 1, len(points))
    away, near = map(np.asarray, tree.query(points, k=each))
    rows = np.repeat(np.arange(len(points)), each)
    step = np.linalg.norm(colours[rows] - colours[near.ravel()], axis=1) / np.sqrt(3)
    length = np.maximum(away.ravel(), 1e-9) * (1 + COLOUR * step)
    graph = coo_matrix((length, (rows, near.ravel())), shape=(len(points),) * 2).tocsr()
    ways = np.stack([dijkstra(graph, directed=False, indices=int(tree.query(place)[1])) for _, place in seeds])
    # Islands that no way leads to take the nearest click as the crow flies.
    straight = np.stack([np.linalg.norm(points - place, axis=1) for _, place in seeds])
    ways = np.where(np.isfinite(ways).any(axis=0), ways, straight)
    owner = np.array([part for part, _ in seeds])[ways.argmin(axis=0)]
    return owner[tree.query(surface.points[index])[1]]
