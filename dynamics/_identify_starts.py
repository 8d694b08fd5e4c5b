# pyright: basic
"""First velocities of recordings as unknowns: they are noisier than everything else that is recorded.

Left alone, their errors make lively constants look bad (a bounce magnifies them) and so pull restitution down. They
move in units of a recording's doubts, six numbers for each body that is free or that others hang on; what hangs on a
root goes with it as one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from dynamics._recording import Recording

__all__ = ["moved_starts", "roots_of"]

Array = NDArray[np.float64]


def roots_of(recordings: Sequence[Recording]) -> list[int]:
    """Bodies that first velocities are moved of: free ones, and those that others hang on."""
    return sorted({int(root) for recording in recordings for root in recording.root[recording.observed]})


def moved_starts(recordings: Sequence[Recording], roots: list[int], moves: Array) -> tuple[Recording, ...]:
    """The recordings with first velocities changed by so many doubts (N, 6 roots): linear, then angular, per root."""
    return tuple(_moved(recording, roots, move) for recording, move in zip(recordings, moves, strict=True))


def _moved(recording: Recording, roots: list[int], move: Array) -> Recording:
    twist, poses = recording.twist.copy(), recording.T_world_body[0]
    for k, root in enumerate(roots):
        linear = recording.doubt[0] * move[6 * k : 6 * k + 3]
        turn = recording.doubt[1] * move[6 * k + 3 : 6 * k + 6]
        for body in np.flatnonzero((recording.root == root) & recording.observed):
            twist[body, :3] += linear + np.cross(turn, poses[body, :3] - poses[root, :3])
            twist[body, 3:] += turn
    return replace(recording, twist=twist)
