"""The centre line of a long thin thing: points of it in, an ordered curve and its length out.

points on or inside a tube -> graph of near neighbours -> the two points farthest apart along the graph are its ends ->
slices of equal graph distance from one end, whose middles are a first curve -> a principal curve: each point is
projected onto the curve, and the curve moves to the local quadratic fit of the points over their arc length [Hastie and
Stuetzle 1989]. Windings that lie beside each other without touching stay apart, because neighbours do not jump gaps and
a point only looks for its foot near where it was.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dynamics._errors import BodyError

__all__ = ["CentreLine", "arc_lengths", "centre_line", "feet"]

REACH = 1.8
"""Points within this many spacings are neighbours: the 26 of a cubic lattice."""
WHOLE = 0.9
"""Share of points that must hang together."""
ROUNDS = 4
KNOTS_PER_WIDTH = 3
"""Points of the curve for each mean width of the tube."""
MOST_KNOTS = 400
BANDWIDTH = 0.5
"""Standard deviation of the local fit, in widths of the tube."""


@dataclass(frozen=True, eq=False)
class CentreLine:
    """An ordered curve from tip to tip."""

    points: NDArray[np.float64]
    """At equal steps of arc length [m], shape (M, 3)."""
    length: float
    """[m]"""
    deviation: float
    """Root mean square distance of the points from the curve [m]: 0.71 radii of a round rod that is sampled inside,
    one radius where its surface is sampled."""

    def resampled(self, arcs: NDArray[np.float64]) -> NDArray[np.float64]:
        """Positions (K, 3) at arc lengths (K,) [m] from the first tip; straight on beyond the tips."""
        return _at(self.points, arcs)


def centre_line(samples: NDArray[np.float64], spacing: float) -> CentreLine:
    """Fit the centre line.

    Args:
        samples: Points inside a tube-like thing, or all around its surface [m], shape (N, 3).
        spacing: Distance of neighbouring points [m].

    Raises:
        BodyError: There are too few points, or they do not hang together.
    """
    samples, links = _connected(np.asarray(samples, dtype=np.float64), spacing)
    start = _farthest(links, 0)
    arcs = _distances(links, start)
    # Either end may be the first; the one of smaller coordinates is, so that noise does not turn the order around.
    if tuple(samples[np.argmax(arcs)]) < tuple(samples[start]):
        arcs = _distances(links, int(np.argmax(arcs)))
    curve = _sliced(samples, arcs, 2 * spacing)
    deviation = spacing
    for _ in range(ROUNDS):
        arcs, distances = feet(curve, samples, near=arcs * (arc_lengths(curve)[-1] / max(float(arcs.max()), 1e-30)))
        deviation = float(np.sqrt(np.mean(distances**2)))
        curve = _fitted(samples, arcs, max(2.8 * deviation, 2 * spacing), spacing)
        arcs = arcs - arcs.min()
    length = float(arc_lengths(curve)[-1])
    even = _at(curve, np.linspace(0, length, len(curve)))
    return CentreLine(even, float(arc_lengths(even)[-1]), deviation)


def arc_lengths(curve: NDArray[np.float64]) -> NDArray[np.float64]:
    """Arc length at each point of a curve (M, 3), shape (M,)."""
    return np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(curve, axis=0), axis=1))])


def feet(
    curve: NDArray[np.float64], points: NDArray[np.float64], *, near: NDArray[np.float64] | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Arc length of the nearest point of a curve, and the distance to it, for each point.

    Args:
        curve: Polyline (M, 3); its first and last segments go on for ever.
        points: Shape (N, 3).
        near: Arc lengths (N,) around which to look, a tenth of the curve either way; None looks everywhere.
    """
    s = arc_lengths(curve)
    step = np.diff(curve, axis=0)
    lengths = np.maximum(np.diff(s), 1e-30)
    low, high = np.zeros(len(step)), np.ones(len(step))
    low[0], high[-1] = -np.inf, np.inf
    best_arc, best = np.zeros(len(points)), np.full(len(points), np.inf)
    # One segment at a time: memory stays linear in the points, and curves have few hundred segments.
    for i, (begin, along) in enumerate(zip(curve[:-1], step, strict=True)):
        chosen = slice(None) if near is None else np.flatnonzero(np.abs(near - s[i]) < 0.1 * s[-1] + lengths[i])
        offset = points[chosen] - begin
        share = np.clip(offset @ along / lengths[i] ** 2, low[i], high[i])
        distance = np.linalg.norm(offset - share[:, None] * along, axis=1)
        closer = distance < best[chosen]
        best[chosen] = np.where(closer, distance, best[chosen])
        best_arc[chosen] = np.where(closer, s[i] + share * lengths[i], best_arc[chosen])
    return best_arc, best


def _connected(samples: NDArray[np.float64], spacing: float) -> tuple[NDArray[np.float64], Any]:
    """The points of the largest part, and the sparse graph of their distances."""
    spatial: Any = import_module("scipy.spatial")
    sparse: Any = import_module("scipy.sparse")
    graph: Any = import_module("scipy.sparse.csgraph")
    if len(samples) < 10:
        raise BodyError(f"A centre line needs at least 10 points, found {len(samples)}. Take a smaller spacing.")
    pairs = spatial.cKDTree(samples).query_pairs(REACH * spacing, output_type="ndarray")
    pairs = pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]
    lengths = np.maximum(np.linalg.norm(samples[pairs[:, 0]] - samples[pairs[:, 1]], axis=1), 1e-12)
    links = sparse.coo_array((lengths, (pairs[:, 0], pairs[:, 1])), shape=(len(samples),) * 2).tocsr()
    part = graph.connected_components(links, directed=False)[1]
    kept = np.flatnonzero(part == np.argmax(np.bincount(part)))
    if len(kept) < WHOLE * len(samples):
        raise BodyError(
            f"The points fall into parts {REACH * spacing:.3g} m or more apart, so they have no one centre line. "
            "Join or remove the parts, or take a larger spacing."
        )
    return samples[kept], links[kept][:, kept]


def _distances(links: Any, start: int) -> NDArray[np.float64]:
    graph: Any = import_module("scipy.sparse.csgraph")
    return np.asarray(graph.dijkstra(links, directed=False, indices=start), dtype=np.float64)


def _farthest(links: Any, start: int) -> int:
    """The point farthest along the graph from ``start``."""
    return int(np.argmax(_distances(links, start)))


def _sliced(samples: NDArray[np.float64], arcs: NDArray[np.float64], width: float) -> NDArray[np.float64]:
    """Middles of slices of equal distance, at least two."""
    count = int(np.clip(arcs.max() / width, 2, MOST_KNOTS))
    slices = np.minimum((arcs / max(float(arcs.max()), 1e-30) * count).astype(int), count - 1)
    totals = np.bincount(slices, minlength=count)
    middles = np.stack([np.bincount(slices, samples[:, axis], minlength=count) for axis in range(3)], axis=1)
    return middles[totals > 0] / totals[totals > 0, None]


def _fitted(
    samples: NDArray[np.float64], arcs: NDArray[np.float64], width: float, spacing: float
) -> NDArray[np.float64]:
    """Local quadratic fit of positions over arc length, from the first tip to the last."""
    # Half a sample beyond the outermost ones, where the surface is.
    low, high = float(arcs.min()) - spacing / 2, float(arcs.max()) + spacing / 2
    knots = np.linspace(low, high, int(np.clip(KNOTS_PER_WIDTH * (high - low) / width, 3, MOST_KNOTS)))
    bandwidth = max(BANDWIDTH * width, 2 * (knots[1] - knots[0]))
    order = np.argsort(arcs, kind="stable")
    arcs, samples = arcs[order], samples[order]
    curve = np.empty((len(knots), 3))
    for i, knot in enumerate(knots):
        begin, end = np.searchsorted(arcs, [knot - 4 * bandwidth, knot + 4 * bandwidth])
        t = (arcs[begin:end] - knot) / bandwidth
        weights = np.exp(-0.5 * t * t)
        terms = np.stack([np.ones_like(t), t, t * t], axis=1)
        # A little stiffness against bending: tips have points on one side only.
        moment = terms.T @ (terms * weights[:, None]) + np.diag([0.0, 0.0, 0.02 * weights.sum()])
        curve[i] = np.linalg.lstsq(moment, terms.T @ (samples[begin:end] * weights[:, None]), rcond=1e-12)[0][0]
    return curve


def _at(curve: NDArray[np.float64], arcs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Positions (K, 3) at arc lengths (K,) of a polyline, straight on beyond its ends."""
    s = arc_lengths(curve)
    segment = np.clip(np.searchsorted(s, arcs, side="right") - 1, 0, len(curve) - 2)
    share = (arcs - s[segment]) / np.maximum(s[segment + 1] - s[segment], 1e-30)
    return curve[segment] + share[:, None] * (curve[segment + 1] - curve[segment])
