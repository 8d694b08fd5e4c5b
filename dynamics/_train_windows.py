"""Where training rollouts start, and what they are compared with.

Long rollouts start at first frames, as in evaluation. Others start in the middle of tosses, where motion is smooth: a
parabola fits seven frames around, and gives velocities ten times as accurate as recorded ones, which are filtered and
wrong next to an impact. All draws are made from (seed, iteration), so that resumed training draws the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dynamics._errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

    from dynamics._tosses import Toss

__all__ = ["Batch", "Windows", "folds", "joined_batches", "training_windows"]

HALF = 3
"""Frames on either side of a start that the parabola is fitted to."""
SMOOTH_POSITION = 2e-4
"""Largest root mean square distance from the parabola [m]."""
SMOOTH_ROTATION = 4e-3
"""The same for rotation vectors [rad]."""
TAIL = 10
"""A start has at least this many frames after it."""
Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Batch:
    """B windows of K + 1 frames."""

    pose: Tensor
    """Recorded poses, the start included, shape (B, K + 1, 7)."""
    twist: Tensor
    """Velocities of the start, as recorded where it is a first frame, shape (B, 6)."""
    first: Tensor
    """Whether it is, shape (B, 1)."""
    thrown: Tensor
    """Recorded velocities of the tosses' first frames, which know where throws go, shape (B, 6)."""
    valid: Tensor
    """Which frames are before the end of the toss, shape (B, K + 1)."""


@dataclass(frozen=True, eq=False)
class Windows:
    """All tosses and the starts in them."""

    pose: Tensor
    """Poses padded with each last one, shape (N, T, 7)."""
    length: NDArray[np.int64]
    """Frames of each toss, shape (N,)."""
    toss: NDArray[np.int64]
    """Toss of each smooth start, shape (S,)."""
    frame: NDArray[np.int64]
    """Its frame, shape (S,)."""
    twist: Array
    """Its velocities, shape (S, 6)."""
    thrown: Array
    """Recorded velocities of first frames, shape (N, 6)."""

    def draw(self, size: int, steps: int, first_share: float, *, seed: int, iteration: int) -> Batch:
        """B = size windows of `steps` steps; `first_share` of them start at first frames."""
        import torch

        rng = np.random.default_rng([seed, iteration])
        firsts = size if len(self.toss) == 0 else round(size * first_share)
        heads = rng.integers(0, len(self.length), firsts)
        starts = rng.integers(0, max(len(self.toss), 1), size - firsts)
        toss = np.concatenate([heads, self.toss[starts]])
        frame = np.concatenate([np.zeros(firsts, dtype=np.int64), self.frame[starts]])
        twist = np.concatenate([self.thrown[heads], self.twist[starts]])
        frames = frame[:, None] + np.arange(steps + 1)
        valid = frames < self.length[toss][:, None]
        seen = torch.as_tensor(np.minimum(frames, self.pose.shape[1] - 1))
        return Batch(
            self.pose[torch.as_tensor(toss)[:, None], seen],
            torch.as_tensor(twist, dtype=torch.float32),
            torch.arange(size)[:, None] < firsts,
            torch.as_tensor(self.thrown[toss], dtype=torch.float32),
            torch.as_tensor(valid),
        )


def training_windows(tosses: Sequence[Toss]) -> Windows:
    """The windows of some tosses, which must share one time step.

    Raises:
        UsageError: There are none, or their steps differ.
    """
    import torch

    if not tosses:
        raise UsageError("Training needs one toss or more, found none.")
    steps = [toss.dt for toss in tosses]
    if max(steps) - min(steps) > 1e-6 * max(steps):
        raise UsageError(f"Tosses to train on share one time step, found {min(steps):.5g} to {max(steps):.5g} s.")
    longest = max(len(toss) for toss in tosses)
    padded = [np.concatenate([t.T_world_body, np.repeat(t.T_world_body[-1:], longest - len(t), 0)]) for t in tosses]
    found = [(i, frame, twist) for i, toss in enumerate(tosses) for frame, twist in _smooth_starts(toss)]
    return Windows(
        torch.tensor(np.stack(padded), dtype=torch.float32),
        np.array([len(toss) for toss in tosses], dtype=np.int64),
        np.array([start[0] for start in found], dtype=np.int64),
        np.array([start[1] for start in found], dtype=np.int64),
        np.array([start[2] for start in found], dtype=np.float64).reshape(-1, 6),
        np.stack([toss.twist[0] for toss in tosses]),
    )


def joined_batches(batches: Sequence[Batch]) -> Batch:
    """Several batches of windows of the same length as one."""
    import torch

    names = Batch.__dataclass_fields__
    return Batch(**{name: torch.cat([getattr(batch, name) for batch in batches]) for name in names})


def folds(count: int, parts: int = 5) -> list[NDArray[np.int64]]:
    """Disjoint, shuffled index sets of nearly equal size; the same every time.

    Raises:
        UsageError: There are fewer tosses than parts.
    """
    if count < parts:
        raise UsageError(f"{count} tosses cannot be split into {parts} parts.")
    order = np.random.default_rng(0).permutation(count)
    return [np.asarray(part, dtype=np.int64) for part in np.array_split(order, parts)]


def _smooth_starts(toss: Toss) -> list[tuple[int, Array]]:
    """Frames with smooth motion around them, and the velocities there."""
    found: list[tuple[int, Array]] = []
    time = np.arange(-HALF, HALF + 1) * toss.dt
    basis = np.stack([np.ones_like(time), time, time**2], axis=1)
    project = basis @ np.linalg.pinv(basis)
    slope = np.linalg.pinv(basis)[1]
    for frame in range(HALF, len(toss) - TAIL):
        near = toss.T_world_body[frame - HALF : frame + HALF + 1]
        path = np.concatenate([near[:, :3], _turns(near[:, 3:], near[HALF, 3:])], axis=1)
        missed = (path - project @ path) ** 2
        if missed[:, :3].sum(1).mean() < SMOOTH_POSITION**2 and missed[:, 3:].sum(1).mean() < SMOOTH_ROTATION**2:
            found.append((frame, slope @ path))
    return found


def _turns(wxyz: Array, origin: Array) -> Array:
    """Rotation vectors in the world from one orientation (4,) to others (T, 4), shape (T, 3)."""
    w, u = wxyz[:, :1], wxyz[:, 1:]
    scalar = w * origin[0] + u @ origin[1:, None]
    vector = origin[0] * u - w * origin[1:] - np.cross(u, np.broadcast_to(origin[1:], u.shape))
    sign = np.where(scalar < 0, -1.0, 1.0)
    sine = np.linalg.norm(vector, axis=1, keepdims=True)
    return 2 * sign * vector * np.arctan2(sine, np.abs(scalar)) / np.maximum(sine, 1e-12)
