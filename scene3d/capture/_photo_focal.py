"""Photos whose focal length is not that of the depth camera: found from matches, and put right.

RGB-D recordings often state one camera for two. Poses and depth belong to the depth camera; the photos were taken
through another lens, and with the wrong focal length nothing that is fitted to them gets sharp. Under the right one,
matching features lie on each other's epipolar lines: `with_photo_focal` looks for the focal length that brings them
closest. Where it is clearly better than the stated one the views remember it (`View.photo_K`), and their photos are
resampled onto the camera of the poses when they are loaded.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from scene3d.capture._features import Features, detect
from scene3d.capture._geometry import Poses, neighbours

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from scene3d.capture._capture import Capture, View

__all__ = ["FocalFit", "fit_focal", "with_photo_focal"]

PAIRS = 40
"""Pairs of photos that are matched."""
LONGEST_SIDE = 640
RATIO = 0.75
"""Largest ratio of the best to the second best descriptor distance [Lowe 2004]."""
FEWEST_MATCHES = 300
FACTORS = np.geomspace(0.65, 1.55, 88)
"""Multiples of the stated focal length that are tried, one in a hundred apart."""
BETTER = 0.75
"""The error must fall to this share of the stated one's for the photos to be believed."""
OTHER = 0.02
"""Relative difference of focal lengths from which they are two."""


@dataclass(frozen=True)
class FocalFit:
    """The focal length that the photos agree on."""

    factor: float
    """Its ratio to the stated one."""
    error: float
    """Median distance of a match from its epipolar line [px at the size that was matched]."""
    stated_error: float
    """The same under the stated focal length."""
    matches: int
    """Number of matches that say so."""

    @property
    def differs(self) -> bool:
        """Whether the photos clearly contradict the stated focal length."""
        sure = self.matches >= FEWEST_MATCHES and self.error < BETTER * self.stated_error
        return sure and abs(self.factor - 1) > OTHER


def with_photo_focal(
    capture: Capture, *, threads: int = 2, progress: Callable[[str, float], None] | None = None
) -> Capture:
    """The capture with the focal length of its photos, where the stated one is not theirs; else as it was.

    Args:
        capture: Posed photos without lens distortion that share their camera.
        threads: Threads for decoding, features and matching.
        progress: Called with what is being done and the share done, 0 to 1.
    """
    cameras = {(v.camera.width, v.camera.height, *v.camera.K.flatten().tolist(), v.distortion) for v in capture.views}
    if len(cameras) > 1 or capture.views[0].distortion or capture.views[0].photo_K is not None:
        return capture
    fit = fit_focal(capture.split()[0], threads=threads, progress=progress)
    if not fit.differs:
        return capture
    stated = float(capture.views[0].camera.K[0, 0])
    note = (
        f"The photos have a focal length of {fit.factor * stated:.0f} px, not the stated {stated:.0f} px: "
        f"with it {fit.matches:,} matches miss their epipolar lines by {fit.error:.1f} px, not {fit.stated_error:.1f}. "
        "Depth keeps the stated one; photos are resampled onto it."
    )
    return replace(
        capture, views=tuple(_refocused(view, fit.factor) for view in capture.views), notes=(*capture.notes, note)
    )


def _refocused(view: View, factor: float) -> View:
    K = view.camera.K.double()
    return replace(view, photo_K=(float(K[0, 0]) * factor, float(K[1, 1]) * factor, float(K[0, 2]), float(K[1, 2])))


def fit_focal(
    views: Sequence[View], *, threads: int = 2, progress: Callable[[str, float], None] | None = None
) -> FocalFit:
    """Find the focal length under which matches between posed photos lie closest to their epipolar lines.

    Poses are taken as they are, the principal point too; the focal length is searched on a grid and refined by a
    parabola through the least median.
    """
    report = progress or (lambda _stage, _share: None)
    poses = Poses.of([view.camera.fitted(LONGEST_SIDE) for view in views])
    pairs = neighbours(poses, 2)
    pairs = [pairs[round(k)] for k in np.linspace(0, len(pairs) - 1, min(PAIRS, len(pairs)))] if pairs else []
    wanted = sorted({index for pair in pairs for index in pair})
    with ThreadPoolExecutor(threads) as pool:
        features: dict[int, Features] = {}
        found = pool.map(lambda index: detect(views[index].load(LONGEST_SIDE)), wanted)
        for index, feature in zip(wanted, found, strict=True):
            features[index] = feature
            report("checking the photos' lens", 0.8 * len(features) / len(wanted))
        matched = list(pool.map(lambda pair: _match(features[pair[0]], features[pair[1]]), pairs))
    sets = [(a, b, *pixels) for (a, b), pixels in zip(pairs, matched, strict=True) if len(pixels[0])]
    count = sum(len(first) for _, _, first, _ in sets)
    if count < FEWEST_MATCHES:
        return FocalFit(1.0, float("inf"), float("inf"), count)
    errors = np.array([_error(poses, sets, factor) for factor in FACTORS])
    report("checking the photos' lens", 1.0)
    best = int(np.argmin(errors))
    factor = _vertex(FACTORS, errors, best)
    return FocalFit(factor, _error(poses, sets, factor), _error(poses, sets, 1.0), count)


def _vertex(x: NDArray[np.float64], y: NDArray[np.float64], best: int) -> float:
    """Minimum of the parabola through a few points around the best: medians are rough from one to the next."""
    near = slice(max(0, best - 4), best + 5)
    a, b, _ = np.polyfit(x[near], y[near], 2)
    vertex = -b / (2 * a) if a > 0 else x[best]
    return float(np.clip(vertex, x[near][0], x[near][-1]))


def _match(first: Features, second: Features) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Pixels (M, 2) of mutually best matches that one fundamental matrix explains."""
    import cv2

    nothing = np.zeros((0, 2)), np.zeros((0, 2))
    if min(len(first.pixels), len(second.pixels)) < 20:
        return nothing
    matcher = cv2.BFMatcher(cv2.NORM_L2)
    forward = matcher.knnMatch(first.descriptors, second.descriptors, k=2)
    back = {m.queryIdx: m.trainIdx for m in matcher.match(second.descriptors, first.descriptors)}
    kept = [m for m, n in forward if m.distance < RATIO * n.distance and back[m.trainIdx] == m.queryIdx]
    if len(kept) < 20:
        return nothing
    a = first.pixels[[m.queryIdx for m in kept]].astype(np.float64)
    b = second.pixels[[m.trainIdx for m in kept]].astype(np.float64)
    _, inlier = cv2.findFundamentalMat(a, b, cv2.USAC_MAGSAC, 1.5, 0.999, 2000)
    if inlier is None or inlier.sum() < 20:
        return nothing
    good = inlier.ravel().astype(bool)
    return a[good], b[good]


def _error(poses: Poses, sets: Sequence[tuple[int, int, NDArray, NDArray]], factor: float) -> float:
    """Median distance of the matches from their epipolar lines [px], in both photos at once [Luong 1996]."""
    distances = []
    for a, b, first, second in sets:
        K_a, K_b = (poses.K[i] * [[factor, 1, 1], [1, factor, 1], [1, 1, 1]] for i in (a, b))
        R = poses.R[b] @ poses.R[a].T
        x, y, z = poses.R[b] @ (poses.centres[a] - poses.centres[b])
        F = np.linalg.inv(K_b).T @ np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]]) @ R @ np.linalg.inv(K_a)
        there = np.column_stack([first, np.ones(len(first))]) @ F.T
        here = np.column_stack([second, np.ones(len(second))]) @ F
        off = (there[:, :2] * second).sum(axis=1) + there[:, 2]
        distances.append(np.abs(off) / np.maximum(np.hypot(*there[:, :2].T), 1e-12) / 2)
        distances.append(np.abs(off) / np.maximum(np.hypot(*here[:, :2].T), 1e-12) / 2)
    return float(np.median(np.concatenate(distances)))
