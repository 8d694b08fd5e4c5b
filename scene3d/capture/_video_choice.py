"""How the view moved -> which frames to keep.

A new frame is due when the view has moved by a step since the last one chosen; around that place the sharpest frame is
taken. A camera that stands still gives nothing new, however long. When there would be too many frames, the step is
raised for the whole video, so that all of it stays covered.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from scene3d.capture._video_motion import Motion

__all__ = ["STEP", "choose"]

STEP = 0.08
"""Displacement that makes a frame new [widths]."""
LEAST_SHARE = 0.6
"""So does losing sight of more than the rest of the corners, if the view moved at all."""
AROUND = (0.5, 1.5)
"""Frames between these parts of a step compete for being the sharpest."""
STILL = 0.25
"""Part of a step below which lost corners are noise, not motion."""
LEAST_COMMON = 0.35
"""With a smaller share of common corners the way is measured from a later frame on."""
UNKNOWN = 0.25
"""Displacement when nothing at all can be followed [widths]."""
OFF_STEP = 0.05
"""Blur that a frame at the ideal distance is forgiven, per step of distance."""
RAISE = 1.1


def choose(motion: Motion, most: int) -> tuple[list[int], float]:
    """Indices into ``motion.frames``, ascending, at most ``most`` of them, and the step that led there [widths]."""
    step = STEP
    chosen = _choose(motion, step)
    while len(chosen) > most:
        # More steps at once when far too many; never past the end by much.
        step *= max(RAISE, 0.8 * len(chosen) / most)
        chosen = _choose(motion, step) if step < 100 else chosen[:most]
    return chosen, step


def _choose(motion: Motion, step: float) -> list[int]:
    chosen: list[int] = []
    first, count = 0, len(motion.frames)
    while first < count:
        end = next((k for k in range(first + 1, count) if motion.frames[k].jumped), count)
        chosen += _in_take(motion, first, end, step)
        first = end
    return chosen


def _in_take(motion: Motion, first: int, end: int, step: float) -> list[int]:
    """Frames of one take, which begins and ends with a cut."""
    way = _Way(motion, first, step)
    last = _sharpest(motion, [first, *(k for k in range(first + 1, end) if way.until(k, AROUND[0]))], lambda _: 0.0)
    chosen = [last]
    while True:
        way = _Way(motion, last, step)
        candidates: dict[int, float] = {}
        reached = False
        for k in range(last + 1, end):
            moved = way.to(k)
            if moved >= AROUND[0]:
                candidates[k] = moved
            reached |= moved >= 1.0
            if moved >= AROUND[1]:
                break
        if not reached:
            return chosen
        last = _sharpest(motion, list(candidates), lambda k, found=candidates: OFF_STEP * abs(found[k] - 1.0))
        chosen.append(last)


def _sharpest(motion: Motion, candidates: list[int], penalty: Callable[[int], float]) -> int:
    return min(candidates, key=lambda k: motion.frames[k].blur + penalty(k))


class _Way:
    """How far the view has moved since one frame, asked for one later frame after the other."""

    def __init__(self, motion: Motion, start: int, step: float) -> None:
        self.motion = motion
        self.step = step
        # Over several steps of the usual length the shares multiply.
        self.least_share = LEAST_SHARE ** (step / STEP)
        self.anchor = start
        self.carried_steps, self.carried_share = 0.0, 1.0
        self.over = False

    def to(self, k: int) -> float:
        """Displacement up to frame k [steps]; at least 1 when most of what was seen is out of sight."""
        moved, share = self.motion.between(self.anchor, k)
        steps = self.carried_steps + (UNKNOWN if math.isnan(moved) else moved) / self.step
        left = self.carried_share * share
        if share < LEAST_COMMON or math.isnan(moved):
            # Go on from here with fresh corners. They die of noise even when nothing moves, which then is no loss.
            self.anchor = k
            self.carried_steps, self.carried_share = steps, left if steps >= STILL else 1.0
        return max(steps, 1.0) if left < self.least_share and steps >= STILL else steps

    def until(self, k: int, steps: float) -> bool:
        """True as long as the view stays within a distance [steps]."""
        self.over = self.over or self.to(k) >= steps
        return not self.over
