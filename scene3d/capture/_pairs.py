"""Which photos to match with which.

Up to about a hundred photos all pairs are matched: that is sure and takes minutes. Frames of a video are matched with
the frames before them, and with those that look alike, which closes loops. Larger sets are matched with the photos that
look most alike. Likeness is the cosine between VLAD descriptors [Jegou 2010] over a small vocabulary of the set's own
features, so that no vocabulary has to be downloaded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["EXHAUSTIVE_UP_TO", "alike", "choose_pairs", "vlad"]

EXHAUSTIVE_UP_TO = 100
"""Photos without order are all matched with each other up to this number."""
SEQUENCE_OVERLAP = 8
"""Frames of a video are matched with this many before them, and with those 16, 32, ... before."""
ALIKE = 20
"""Photos that look most alike and are matched, per photo, in large sets."""
ALIKE_IN_SEQUENCE = 4
"""The same for frames of a video, where they close loops."""
WORDS = 48
SAMPLE = 40_000
"""Descriptors that the vocabulary is made from."""
ROUNDS = 12


def choose_pairs(count: int, *, ordered: bool, likeness: NDArray[np.float32] | None = None) -> list[tuple[int, int]]:
    """Pairs (a < b) of photo indices to match.

    Args:
        count: Number of photos.
        ordered: Whether neighbours in the list are neighbours in time.
        likeness: How alike two photos look, shape (count, count); needed unless all pairs are matched.
    """
    if count <= (EXHAUSTIVE_UP_TO // 2 if ordered else EXHAUSTIVE_UP_TO):
        return [(a, b) for a in range(count) for b in range(a + 1, count)]
    if likeness is None:
        raise ValueError("So many photos are matched by likeness, which is missing.")
    pairs = _sequence(count) if ordered else set[tuple[int, int]]()
    for a, others in enumerate(alike(likeness, ALIKE_IN_SEQUENCE if ordered else ALIKE, apart=3 if ordered else 0)):
        pairs.update((min(a, b), max(a, b)) for b in others)
    return sorted(pairs)


def _sequence(count: int) -> set[tuple[int, int]]:
    steps = [*range(1, SEQUENCE_OVERLAP + 1), *(2**k for k in range(4, 7))]
    return {(a, a + step) for a in range(count) for step in steps if a + step < count}


def alike(likeness: NDArray[np.float32], most: int, *, apart: int = 0) -> list[list[int]]:
    """For each photo the ``most`` others that look most like it, at least ``apart`` places away in the list."""
    scores = likeness.copy()
    index = np.arange(len(scores))
    scores[np.abs(index[:, None] - index) <= apart] = -np.inf
    order = np.argsort(-scores, axis=1, kind="stable")[:, :most]
    return [[int(b) for b in row if np.isfinite(scores[a, b])] for a, row in enumerate(order)]


def vlad(descriptors: Sequence[NDArray], *, seed: int = 0) -> NDArray[np.float32]:
    """VLAD of each photo, unit length, shape (count, WORDS * D), from its descriptors (n, D).

    Residuals to the nearest word are summed per word, each sum is normalised [Arandjelovic 2013], then the whole.
    """
    rows = [np.asarray(d, dtype=np.float32) for d in descriptors]
    width = max((d.shape[1] for d in rows if d.ndim == 2), default=0)
    everything = np.concatenate([d for d in rows if len(d)] or [np.zeros((0, width), np.float32)])
    if len(everything) < WORDS:
        return np.zeros((len(rows), 1), np.float32)
    words = _words(everything, seed)
    out = np.zeros((len(rows), WORDS, width), np.float32)
    for total, d in zip(out, rows, strict=True):
        if len(d):
            nearest = _nearest(d, words)
            np.add.at(total, nearest, d - words[nearest])
    out /= np.maximum(np.linalg.norm(out, axis=2, keepdims=True), 1e-12)
    flat = out.reshape(len(rows), -1)
    return flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-12)


def _words(descriptors: NDArray[np.float32], seed: int) -> NDArray[np.float32]:
    """K-means on a sample (WORDS, D) [Lloyd 1982]."""
    rng = np.random.default_rng(seed)
    if len(descriptors) > SAMPLE:
        descriptors = descriptors[np.sort(rng.choice(len(descriptors), SAMPLE, replace=False))]
    words = descriptors[rng.choice(len(descriptors), WORDS, replace=False)]
    for _ in range(ROUNDS):
        nearest = _nearest(descriptors, words)
        total = np.zeros_like(words)
        np.add.at(total, nearest, descriptors)
        counts = np.bincount(nearest, minlength=WORDS)
        words = np.where(counts[:, None] > 0, total / np.maximum(counts, 1)[:, None], words).astype(np.float32)
    return words


def _nearest(descriptors: NDArray[np.float32], words: NDArray[np.float32]) -> NDArray[np.int64]:
    return np.argmin((words * words).sum(axis=1) - 2 * descriptors @ words.T, axis=1)
