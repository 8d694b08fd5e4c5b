"""Which particles carry which splat: splats and particles in their rest shape in, sparse weights out.

A splat is carried by the particles around the one nearest to it along the body's own connections: two steps along edges
for solids and cloths, its neighbours along the chain for ropes. What is near in space but not in the body, as the other
leg or the next winding, carries nothing. Weights fade to zero at the distance of the first particle that is left out,
so that neighbouring splats move alike. Everything is done in slices: memory grows with the splats times k and no more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from scene3d._scene_object import Binding

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from dynamics import Particles

__all__ = ["bind"]

SLICE = 4096
"""Splats that are bound at once."""
STEPS = 2
"""Edges that a carrying particle may be away from the nearest one."""
CHAIN = 4
"""Particles of a rope that carry a splat: those of a cubic B-spline over the chain."""


def bind(means: ArrayLike, particles: Particles, *, k: int = 8) -> Binding:
    """Bind splats to particles, both in the rest shape and in the body's frame.

    Args:
        means: Centres of N splats [m], shape (N, 3).
        particles: P particles.
        k: Most particles for each splat, 1 to 16; a rope's chain uses up to 4 of them.

    Returns:
        Indices and weights, heaviest first, shapes (N, K) with K at most k; weights are at least 0 and rows sum to 1.

    Raises:
        ValueError: The means are not finite points, or k is out of range.
    """
    means = np.asarray(means, dtype=np.float64)
    if means.ndim != 2 or means.shape[1] != 3 or not np.isfinite(means).all():
        raise ValueError(f"Splats are bound by finite centres (N, 3), found shape {means.shape}.")
    if not 1 <= k <= 16:
        raise ValueError(f"A splat is carried by 1 to 16 particles, found k = {k}.")
    on_chain = particles.kind == "rope"
    k = min(k, CHAIN if on_chain else k, len(particles.points))
    near = None if on_chain else _neighbourhoods(particles, k)
    indices, weights = np.empty((len(means), k), dtype=np.int32), np.empty((len(means), k), dtype=np.float32)
    for start in range(0, len(means), SLICE):
        part = slice(start, start + SLICE)
        found = (
            _along_chain(means[part], particles.points) if near is None else _around(means[part], particles, near, k)
        )
        indices[part], weights[part] = _heaviest(*found, k)
    return Binding(indices, weights)


def _around(
    means: NDArray[np.float64], particles: Particles, near: NDArray[np.int64], k: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Candidates and their weights for solids and cloths."""
    from scipy.spatial import KDTree

    candidates = near[KDTree(particles.points).query(means)[1]]
    distances = np.linalg.norm(means[:, None] - particles.points[candidates], axis=2)
    distances[candidates < 0] = np.inf
    ranked = np.sort(distances, axis=1)[:, : k + 1]
    # The first one left out sets the reach; where none is left out, a little beyond the last.
    beyond = ranked[:, k] if ranked.shape[1] > k else np.full(len(means), np.inf)
    reach = np.where(np.isfinite(beyond), beyond, 1.2 * np.where(np.isfinite(ranked), ranked, 0).max(axis=1) + 1e-12)
    share = np.clip(distances / reach[:, None], 0, 1)
    weights = (1 - share) ** 2 * (1 + 2 * share)
    # All that are left are as far as the first left out: they count alike.
    even = weights.max(axis=1) < 1e-9
    weights[even] = distances[even] <= ranked[even, k - 1, None]
    return np.where(candidates < 0, 0, candidates), np.where(candidates < 0, 0.0, weights)


def _neighbourhoods(particles: Particles, fewest: int) -> NDArray[np.int64]:
    """Each particle and those at most STEPS edges away, padded with -1, shape (P, C) with C at least ``fewest``."""
    from scipy.sparse import csr_array

    count = len(particles.points)
    a, b = particles.edges.T.astype(np.int64)
    ends = (np.concatenate([a, b, np.arange(count)]), np.concatenate([b, a, np.arange(count)]))
    step: Any = csr_array((np.ones(len(ends[0]), dtype=np.int32), ends), shape=(count, count))
    reached = step
    for _ in range(STEPS - 1):
        reached = reached @ step
        reached.data[:] = 1
    reached.sort_indices()
    sizes = np.diff(reached.indptr)
    near = np.full((count, max(fewest, int(sizes.max()))), -1, dtype=np.int64)
    near[np.repeat(np.arange(count), sizes), _ranks(sizes)] = reached.indices
    return near


def _ranks(sizes: NDArray) -> NDArray[np.int64]:
    """0, 1, .. for each run of the given lengths."""
    ends = np.cumsum(sizes)
    return np.arange(ends[-1]) - np.repeat(ends - sizes, sizes)


def _along_chain(
    means: NDArray[np.float64], chain: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The four beads around each splat's foot on the chain, weighted as a cubic B-spline."""
    begin, along = chain[:-1], np.diff(chain, axis=0)
    lengths = np.maximum(np.einsum("si,si->s", along, along), 1e-30)
    best, place = np.full(len(means), np.inf), np.zeros(len(means))
    for i in range(len(along)):
        offset = means - begin[i]
        share = np.clip(offset @ along[i] / lengths[i], 0, 1)
        distance = np.linalg.norm(offset - share[:, None] * along[i], axis=1)
        closer = distance < best
        best, place = np.where(closer, distance, best), np.where(closer, i + share, place)
    first = np.minimum(np.floor(place).astype(np.int64), len(chain) - 2)
    u = place - first
    spline = [(1 - u) ** 3, 3 * u**3 - 6 * u**2 + 4, -3 * u**3 + 3 * u**2 + 3 * u + 1, u**3]
    indices = np.clip(first[:, None] + np.arange(-1, 3), 0, len(chain) - 1)
    return indices, np.stack(spline, axis=1) / 6


def _heaviest(
    indices: NDArray[np.int64], weights: NDArray[np.float64], k: int
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """The k heaviest, heaviest first, made to sum to 1."""
    order = np.argsort(-weights, axis=1, kind="stable")[:, :k]
    weights = np.take_along_axis(weights, order, axis=1)
    weights /= weights.sum(axis=1, keepdims=True)
    return np.take_along_axis(indices, order, axis=1).astype(np.int32), weights.astype(np.float32)
