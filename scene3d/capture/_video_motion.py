"""Decoded frames -> how far the view moved, and how sharp each frame is.

Corners are followed from frame to frame with pyramidal Lucas-Kanade [Bouguet 2001] on pictures of 320 pixels, forwards
and back, and replaced when many are lost. `Motion` keeps where each was in each frame, so that the displacement between
any two frames can be asked for afterwards, without decoding again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from scene3d.capture._blur import LONGEST_SIDE as BLUR_SIDE
from scene3d.capture._blur import blur
from scene3d.capture._video_color import reduced_grey

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from numpy.typing import NDArray

__all__ = ["Motion", "MotionFrame", "follow"]

FLOW_SIDE = 320
CORNERS = 200
REFILL_BELOW = 0.75
"""New corners are looked for when fewer than this share of `CORNERS` is left."""
APART = 10
"""Distance between corners [px]."""
WINDOW = 15
ROUND_TRIP = 1.0
"""A corner that comes back this far from where it started is lost [px]."""
QUICKEST = 1 / 31
"""Frames of high-speed video that follow sooner than this are passed over [s]."""
UPPER = 0.7
"""Quantile of the corners' displacements that says how far the view moved. More than the median: when one walks round
a thing, the thing itself stays in the middle of the picture."""
FEWEST = 8
"""With fewer common corners nothing can be said."""
JUMP = 0.15
"""Share of corners below which two frames in a row hardly have anything in common."""
ALIKE = 0.6
"""Correlation of two tiny pictures from which they show the same place."""
TINY = (32, 24)


@dataclass(frozen=True)
class MotionFrame:
    """One frame that was looked at."""

    number: int
    """Index among all decoded frames."""
    time: float
    """Time in the video [s]."""
    blur: float
    """From 0 (sharp) to 1."""
    ids: NDArray[np.int32]
    """Numbers of the corners seen, ascending, shape (n,)."""
    points: NDArray[np.float32]
    """Their places, in widths of the stored frame, shape (n, 2)."""
    jumped: bool = False
    """True when it shows another place than the frame before: a cut."""


@dataclass(frozen=True)
class Motion:
    """All frames that were looked at."""

    frames: tuple[MotionFrame, ...]
    """In order of time."""
    total: int
    """Decoded frames, passed over or not."""

    def between(self, i: int, j: int) -> tuple[float, float]:
        """Displacement of the view between two frames [widths], NaN when unknown, and the share of i's corners in j."""
        a, b = self.frames[i], self.frames[j]
        if max(len(a.ids), len(b.ids)) < FEWEST:
            return 0.0, 1.0  # Nothing to see in either: a dark or empty picture that stays so.
        _, in_a, in_b = np.intersect1d(a.ids, b.ids, assume_unique=True, return_indices=True)
        share = len(in_a) / max(1, len(a.ids))
        if len(in_a) < FEWEST:
            return float("nan"), share
        return float(np.quantile(np.linalg.norm(b.points[in_b] - a.points[in_a], axis=1), UPPER)), share


def follow(frames: Iterable[Any], progress: Callable[[float], None] | None = None) -> Motion:
    """Follow corners through a video.

    Args:
        frames: Decoded frames of PyAV.
        progress: Called with the time reached [s].
    """
    tracker = _Tracker()
    found: list[MotionFrame] = []
    last, total = -np.inf, 0
    for number, frame in enumerate(frames):
        total = number + 1
        time = float(frame.time) if frame.time is not None else number / 30
        if 0 <= time - last < QUICKEST:
            continue
        last = time
        found.append(tracker.step(number, time, reduced_grey(frame, BLUR_SIDE)))
        if progress is not None and len(found) % 15 == 0:
            progress(time)
    return Motion(tuple(found), total)


class _Tracker:
    """Corners from frame to frame."""

    def __init__(self) -> None:
        self.small = np.zeros((0, 0), np.uint8)
        self.tiny = np.zeros((0, 0), np.float32)
        self.ids = np.zeros(0, np.int32)
        self.points = np.zeros((0, 2), np.float32)
        self.next_id = 0

    def step(self, number: int, time: float, grey: NDArray[np.uint8]) -> MotionFrame:
        """Look at the next frame, given as grey values (h, w)."""
        small, tiny = _reduced(grey)
        jumped = False
        if small.shape != self.small.shape:  # The first frame, or the stream changed its size.
            self.ids, self.points = self.ids[:0], self.points[:0]
            jumped = self.small.size > 0
        elif len(self.ids):
            before = len(self.ids)
            self._track(small)
            few = before >= FEWEST and len(self.ids) < JUMP * before
            jumped = few and _correlation(self.tiny, tiny) < ALIKE
        self.small, self.tiny = small, tiny
        if len(self.ids) < REFILL_BELOW * CORNERS:
            self._refill()
        return MotionFrame(number, time, blur(grey), self.ids.copy(), self.points / small.shape[1], jumped)

    def _track(self, small: NDArray[np.uint8]) -> None:
        there, found = _flow(self.small, small, self.points)
        back, returned = _flow(small, self.small, there)
        height, width = small.shape
        kept = found & returned & ((there >= 0) & (there < (width, height))).all(axis=1)
        kept &= np.abs(back - self.points).max(axis=1) < ROUND_TRIP
        self.ids, self.points = self.ids[kept], there[kept]

    def _refill(self) -> None:
        import cv2

        mask = np.full(self.small.shape, 255, np.uint8)
        for x, y in self.points.round().astype(int).tolist():
            cv2.circle(mask, (x, y), APART, 0, -1)
        new = cv2.goodFeaturesToTrack(self.small, CORNERS - len(self.ids), 0.01, APART, mask=mask)
        if new is None:
            return
        new = np.asarray(new, np.float32).reshape(-1, 2)
        self.points = np.concatenate([self.points, new])
        self.ids = np.concatenate([self.ids, np.arange(self.next_id, self.next_id + len(new), dtype=np.int32)])
        self.next_id += len(new)


def _reduced(grey: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """The picture that corners are followed in, and the tiny one that says what place it is."""
    import cv2

    scale = min(1.0, FLOW_SIDE / max(grey.shape))
    size = (max(2, round(grey.shape[1] * scale)), max(2, round(grey.shape[0] * scale)))
    small = np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), np.uint8)
    return small, np.asarray(cv2.resize(small, TINY, interpolation=cv2.INTER_AREA), np.float32)


def _flow(
    a: NDArray[np.uint8], b: NDArray[np.uint8], points: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Where points (n, 2) of picture a are in picture b, and which of them were found."""
    import cv2

    there, found, _ = cv2.calcOpticalFlowPyrLK(a, b, points, points.copy(), winSize=(WINDOW, WINDOW), maxLevel=3)
    return np.asarray(there, np.float32).reshape(-1, 2), np.asarray(found).ravel() > 0


def _correlation(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    a, b = a - a.mean(), b - b.mean()
    return float((a * b).sum() / (np.sqrt((a * a).sum() * (b * b).sum()) + 1e-6))
