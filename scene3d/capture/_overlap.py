"""Which photos see the same surface, estimated in seconds and without poses.

Few SIFT features of small photos are matched with those of a few other photos: neighbours in time, and those that look
alike (VLAD). A pair counts as linked when enough matches agree on one fundamental matrix. Photos that hang together
over links form a group; two groups are two places, or one place with a gap. Structure from motion looks much closer, so
a link found here is sure and a missing one is a warning.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from scene3d.capture._pairs import alike, vlad

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

__all__ = ["TOLERANCE", "Overlap", "find_overlap"]

LONGEST_SIDE = 480
"""Larger photos are reduced to this [px]."""
FEATURES = 500
CONTRAST = 0.02
RATIO = 0.8
"""Largest ratio of the best to the second best descriptor distance [Lowe 2004]."""
TOLERANCE = 2.0
"""Largest distance from an epipolar line [px]."""
LEAST_INLIERS = 16
LEAST_SHARE = 0.4
"""Of the matches, this share must agree: chance alone makes some agree."""
UNMOVED = 0.9
"""When this share of the matches did not move, the pictures are the same and have no epipolar geometry."""
ALL_PAIRS_UP_TO = 20
"""So few photos are all matched with each other."""
MOST_ALIKE = 6
MOST_ALIKE_IN_ORDER = 2
NEXT = (1, 2, 3)
"""Photos in order are matched with those this many places on."""
BETWEEN_GROUPS = 12
"""Pairs that are tried last between a small group and all others, most alike first."""


@dataclass(frozen=True)
class Overlap:
    """How photos hang together."""

    groups: tuple[tuple[int, ...], ...]
    """Indices of photos that are linked, largest group first; photos without any link are in none."""
    alone: tuple[int, ...]
    """Photos that are linked with no other."""
    links: tuple[tuple[int, int, int], ...]
    """Pairs a < b and how many matches agree."""
    tried: int
    """Number of pairs that were matched."""
    largest_motion: float
    """Largest median displacement of the matches of a linked pair [px of 480]; below 2 the camera stood still."""

    def degree(self, photo: int) -> int:
        """With how many photos one is linked."""
        return sum(photo in link[:2] for link in self.links)


@dataclass(frozen=True)
class _Features:
    points: NDArray[np.float32]
    """Positions [px], shape (F, 2)."""
    descriptors: NDArray[np.float32]
    """RootSIFT, unit length, shape (F, 128)."""


@dataclass(frozen=True)
class _Link:
    """What two photos have in common; nothing by default."""

    inliers: int = 0
    motion: float = 0.0


def find_overlap(
    photos: Sequence[NDArray[np.uint8]],
    *,
    ordered: bool,
    threads: int = 2,
    progress: Callable[[float], None] | None = None,
) -> Overlap:
    """Estimate which photos overlap.

    Args:
        photos: Grey values (H, W) of each photo, best at 480 pixels on the longest side.
        ordered: Whether neighbours in the list are neighbours in time.
        threads: Photos and pairs that are worked on at a time.
        progress: Called with the share of the work done, 0 to 1.
    """
    report = progress or (lambda _: None)
    count = len(photos)
    with ThreadPoolExecutor(max(1, threads)) as pool:
        features = []
        for found in pool.map(_detect, photos):
            features.append(found)
            report(0.5 * len(features) / count)
        descriptors = [f.descriptors for f in features]
        directions = vlad(descriptors)
        likeness = np.asarray(directions @ directions.T, np.float32)
        tried: dict[tuple[int, int], _Link] = {}

        def match(pairs: Iterable[tuple[int, int]]) -> None:
            new = sorted(set(pairs) - set(tried))
            links = pool.map(lambda pair: _link(features[pair[0]], features[pair[1]]), new)
            tried.update(zip(new, links, strict=True))

        match(_pairs(count, likeness, ordered))
        report(0.85)
        match(_between_groups(_components(count, tried), likeness))
    report(1.0)
    links = tuple((a, b, link.inliers) for (a, b), link in sorted(tried.items()) if link.inliers)
    components = _components(count, tried)
    groups = tuple(tuple(group) for group in components if len(group) > 1)
    alone = tuple(sorted(group[0] for group in components if len(group) == 1))
    return Overlap(groups, alone, links, len(tried), max((link.motion for link in tried.values()), default=0.0))


def _pairs(count: int, likeness: NDArray[np.float32], ordered: bool) -> set[tuple[int, int]]:
    if count <= ALL_PAIRS_UP_TO:
        return {(a, b) for a in range(count) for b in range(a + 1, count)}
    pairs = {(a, a + step) for step in NEXT for a in range(count - step)} if ordered else set()
    most, apart = (MOST_ALIKE_IN_ORDER, max(NEXT)) if ordered else (MOST_ALIKE, 0)
    for a, others in enumerate(alike(likeness, most, apart=apart)):
        pairs.update((min(a, b), max(a, b)) for b in others)
    return pairs


def _between_groups(groups: list[list[int]], likeness: NDArray[np.float32]) -> set[tuple[int, int]]:
    """The most alike pairs of each smaller group with photos outside it."""
    pairs: set[tuple[int, int]] = set()
    for group in groups[1:]:
        inside = np.zeros(len(likeness), bool)
        inside[group] = True
        scores = np.where(inside[None, :], -np.inf, likeness[group])
        for place in np.argsort(-scores, axis=None, kind="stable")[:BETWEEN_GROUPS]:
            row, b = divmod(int(place), len(likeness))
            if not inside[b]:
                pairs.add((min(group[row], b), max(group[row], b)))
    return pairs


def _components(count: int, tried: dict[tuple[int, int], _Link]) -> list[list[int]]:
    """Connected components over linked pairs, largest first."""
    parent = list(range(count))

    def root(a: int) -> int:
        while parent[a] != a:
            parent[a] = a = parent[parent[a]]
        return a

    for (a, b), link in tried.items():
        if link.inliers:
            parent[root(a)] = root(b)
    groups: dict[int, list[int]] = {}
    for a in range(count):
        groups.setdefault(root(a), []).append(a)
    return sorted(groups.values(), key=lambda group: (-len(group), group[0]))


def _detect(grey: NDArray[np.uint8]) -> _Features:
    import cv2

    scale = LONGEST_SIDE / max(grey.shape)
    if scale < 1:
        size = (max(1, round(grey.shape[1] * scale)), max(1, round(grey.shape[0] * scale)))
        grey = np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), np.uint8)
    keypoints, raw = cv2.SIFT.create(nfeatures=FEATURES, contrastThreshold=CONTRAST).detectAndCompute(grey, None)  # type: ignore[call-overload]
    if raw is None or not len(keypoints):
        return _Features(np.zeros((0, 2), np.float32), np.zeros((0, 128), np.float32))
    points = np.array([keypoint.pt for keypoint in keypoints], np.float32)
    raw = np.asarray(raw, np.float32)
    return _Features(points, np.sqrt(raw / np.maximum(raw.sum(axis=1, keepdims=True), 1e-6)))


def _link(a: _Features, b: _Features) -> _Link:
    """Matches that agree on one epipolar geometry; none when that may be chance."""
    import cv2

    i, j = _matches(a.descriptors, b.descriptors)
    if len(i) < LEAST_INLIERS:
        return _Link()
    moved = np.linalg.norm(a.points[i] - b.points[j], axis=1)
    motion = float(np.median(moved))
    if (moved < TOLERANCE).mean() > UNMOVED:
        return _Link(int(np.count_nonzero(moved < TOLERANCE)), motion)
    try:
        F, agree = cv2.findFundamentalMat(a.points[i], b.points[j], cv2.USAC_MAGSAC, TOLERANCE, 0.999, 2000)
    except cv2.error:  # OpenCV 5 asserts where matches lie so that no matrix can be estimated.
        return _Link()
    inliers = 0 if F is None else int(np.count_nonzero(agree))
    return _Link(inliers, motion) if inliers >= max(LEAST_INLIERS, LEAST_SHARE * len(i)) else _Link()


def _matches(a: NDArray[np.float32], b: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Mutually best descriptors that pass the ratio test."""
    if len(a) < 2 or len(b) < 2:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    cosine = a @ b.T
    j = cosine.argmax(axis=1)
    rows = np.arange(len(a))
    best = cosine[rows, j]
    mutual = cosine.argmax(axis=0)[j] == rows
    cosine[rows, j] = -1.0
    second = cosine.max(axis=1)
    # The squared distance of unit vectors is 2 - 2 cos.
    kept = np.flatnonzero(mutual & ((1 - best) < RATIO**2 * (1 - second)))
    return kept, j[kept]
