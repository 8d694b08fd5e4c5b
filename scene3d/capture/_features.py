"""SIFT features, and matches between two views whose poses are known.

Descriptors are RootSIFT (Arandjelovic 2012). Because the poses are known, a feature is compared only with those near
its epipolar line in the other view: one in a hundred. So matching is quick, the ratio test may be lenient, and repeated
texture elsewhere in the photo does no harm.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from scene3d.capture._capture import Photo
    from scene3d.capture._geometry import Poses

__all__ = ["Features", "detect", "match"]

MOST_FEATURES = 4000
CONTRAST = 0.01
"""Lower than OpenCV's 0.04: faint texture is texture too, and false matches are caught by geometry."""
BAND = 2.0
"""Largest distance from the epipolar line [px]; imprecise poses need about one."""
LEAST_SIMILARITY = 0.90
RATIO = 0.80
"""Largest ratio of the best to the second best descriptor distance."""
SAME_PLACE = 3.0
"""A second best match this close to the best [px] is the same corner at another scale or orientation."""
ROWS_AT_ONCE = 32
"""Lines compared at a time, so that their distances stay in cache."""
CANDIDATES_AT_ONCE = 1024
NONE = -1.0


@dataclass(frozen=True)
class Features:
    """Features of one photo."""

    pixels: NDArray[np.float32]
    """Positions [px], pixel centres at +0.5, shape (F, 2)."""
    descriptors: NDArray[np.float32]
    """RootSIFT, unit length, shape (F, 128)."""


def detect(photo: Photo) -> Features:
    """SIFT features in the valid part of a photo."""
    import cv2

    sift = cv2.SIFT.create(nfeatures=MOST_FEATURES, contrastThreshold=CONTRAST)
    grey = cv2.cvtColor(photo.rgb, cv2.COLOR_RGB2GRAY)
    keypoints, raw = sift.detectAndCompute(grey, photo.valid.astype(np.uint8) * 255)
    if raw is None or not len(keypoints):
        return Features(np.zeros((0, 2), np.float32), np.zeros((0, 128), np.float32))
    pixels = np.array([keypoint.pt for keypoint in keypoints], dtype=np.float32) + 0.5
    normalised = raw / np.maximum(raw.sum(axis=1, keepdims=True), 1e-6)
    return Features(pixels, np.sqrt(normalised).astype(np.float32))


def match(poses: Poses, a: int, b: int, features: list[Features]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Mutually best matches (M, 2) between views a and b inside the epipolar band, and their similarities (M,)."""
    first, second = features[a], features[b]
    i, j = _candidates(_epipolar_lines(poses, a, b, first.pixels), second.pixels)
    if not len(i):
        return np.zeros((0, 2), np.int64), np.zeros(0, np.float32)
    similarity = _similarities(first.descriptors, i, second.descriptors, j)
    best_of_i = np.full(len(first.pixels), NONE, np.float32)
    best_of_j = np.full(len(second.pixels), NONE, np.float32)
    np.maximum.at(best_of_i, i, similarity)
    np.maximum.at(best_of_j, j, similarity)
    chosen = np.flatnonzero(similarity == best_of_i[i])
    chosen = chosen[np.unique(i[chosen], return_index=True)[1]]  # Of exact ties the first.
    partner = np.zeros(len(first.pixels), np.int64)
    partner[i[chosen]] = j[chosen]
    # The second best is often the same corner again, at another scale or orientation; that is no rival.
    rival = np.abs(second.pixels[j] - second.pixels[partner[i]]).max(axis=1) > SAME_PLACE
    runner_up = np.full(len(first.pixels), NONE, np.float32)
    np.maximum.at(runner_up, i[rival], similarity[rival])
    found, i, j = similarity[chosen], i[chosen], j[chosen]
    # The squared distance of unit vectors is 2 - 2 cos.
    distinct = (1 - found) < RATIO**2 * (1 - runner_up[i])
    kept = (found == best_of_j[j]) & distinct & (found >= LEAST_SIMILARITY)
    return np.stack([i[kept], j[kept]], axis=1), found[kept]


def _candidates(lines: NDArray[np.float32], pixels: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Numbers of the lines (F, 3) and pixels (G, 2) that are within the band of each other, sorted by line."""
    x, y = np.ascontiguousarray(pixels.T)
    parts = [(np.zeros(0, np.int64), np.zeros(0, np.int64))]
    buffers = np.empty((2, ROWS_AT_ONCE, len(pixels)), np.float32)
    for start in range(0, len(lines), ROWS_AT_ONCE):
        a, b, c = lines[start : start + ROWS_AT_ONCE].T[:, :, None]
        # No matrix product: on a busy machine the threads of the BLAS wait for each other longer than this takes.
        distance, other = buffers[:, : len(a)]
        np.multiply(a, x, out=distance)
        distance += np.multiply(b, y, out=other)
        distance += c
        flat = np.flatnonzero(np.abs(distance, out=distance) <= BAND)
        row, column = np.divmod(flat, max(1, len(pixels)))
        parts.append((row + start, column))
    rows, columns = (np.concatenate(part) for part in zip(*parts, strict=True))
    return rows, columns


def _similarities(
    first: NDArray[np.float32], i: NDArray[np.int64], second: NDArray[np.float32], j: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Cosines of first[i] and second[j], a few at a time: gathering all of them costs more than the products."""
    out = np.empty(len(i), np.float32)
    for start in range(0, len(i), CANDIDATES_AT_ONCE):
        part = slice(start, start + CANDIDATES_AT_ONCE)
        np.einsum("cf,cf->c", first[i[part]], second[j[part]], out=out[part])
    return out


def _homogeneous(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.concatenate([pixels, np.ones((len(pixels), 1), np.float32)], axis=1)


def _epipolar_lines(poses: Poses, a: int, b: int, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Lines (F, 3) in view b of pixels (F, 2) of view a, scaled so that line . pixel is a distance [px]."""
    R = poses.R[b] @ poses.R[a].T
    x, y, z = poses.R[b] @ (poses.centres[a] - poses.centres[b])
    essential = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]]) @ R
    F = np.linalg.inv(poses.K[b]).T @ essential @ np.linalg.inv(poses.K[a])
    lines = _homogeneous(pixels).astype(np.float64) @ F.T
    return (lines / np.maximum(np.linalg.norm(lines[:, :2], axis=1, keepdims=True), 1e-12)).astype(np.float32)
