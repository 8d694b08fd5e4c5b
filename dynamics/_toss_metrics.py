"""How well predicted tosses follow recorded ones: errors of each toss, and means with bootstrap intervals.

The measures are those of the published evaluations on the cube (Acosta, Yang, Posa, RA-L 2022, arXiv 2110.00541): each
toss is predicted from its first frame for its whole length; errors are means over its frames. Because a few tosses that
end on another face decide the mean rotation, its median and the share of right faces stand beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Interval",
    "TossErrors",
    "bootstrap",
    "paired_gain",
    "summary",
    "toss_errors",
]

RIGHT_FACE_DEG = 30.0
"""A smaller rotation error of the last frame counts as the right face."""
RESAMPLES = 2000
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """A figure with its 95 % bootstrap interval."""

    mean: float
    """The figure itself."""
    low: float
    """2.5th percentile of resampled figures."""
    high: float
    """97.5th percentile."""


@dataclass(frozen=True, eq=False)
class TossErrors:
    """Errors of N tosses, each shape (N,)."""

    position_percent: Array
    """Mean distance of origins over frames, percent of the body's width."""
    rotation_deg: Array
    """Mean geodesic angle over frames."""
    final_position_percent: Array
    """Distance in the last frame, percent of the width."""
    final_rotation_deg: Array
    """Angle in the last frame."""
    penetration_percent: Array
    """Mean over frames of how deep the deepest surface point is below the table, percent of the width."""

    def __getitem__(self, index: NDArray[np.integer] | slice) -> TossErrors:
        """Some of the tosses."""
        return TossErrors(**{name: getattr(self, name)[index] for name in self.__dataclass_fields__})

    @staticmethod
    def joined(parts: Sequence[TossErrors]) -> TossErrors:
        """The errors of several groups, one behind the other."""
        names = TossErrors.__dataclass_fields__
        return TossErrors(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})


def toss_errors(
    truth: Sequence[Array], predicted: Sequence[Array], *, width: float, points: Array, height: float = 0.0
) -> TossErrors:
    """Errors of predicted poses.

    Args:
        truth: Recorded poses of each toss, xyz [m] + wxyz, shape (T, 7).
        predicted: Predicted poses, same shapes; later frames are ignored.
        width: What percentages refer to [m].
        points: Surface points in the body frame [m], shape (P, 3), to measure penetration of the prediction.
        height: Of the table [m].

    Raises:
        ValueError: A prediction is shorter than its recording.
    """
    rows: list[tuple[float, ...]] = []
    for a, b in zip(truth, predicted, strict=True):
        if len(b) < len(a):
            raise ValueError(f"A prediction of {len(b)} frames is too short for a recording of {len(a)}.")
        b = b[: len(a)]
        away = np.linalg.norm(a[:, :3] - b[:, :3], axis=1) / width * 100
        angle = np.degrees(2 * np.arccos(np.abs((a[:, 3:] * b[:, 3:]).sum(1)).clip(0, 1)))
        deep = np.maximum(height - _lowest(b, points), 0).mean() / width * 100
        rows.append((away.mean(), angle.mean(), away[-1], angle[-1], deep))
    table = np.array(rows, dtype=np.float64).reshape(-1, 5)
    return TossErrors(*(np.ascontiguousarray(table[:, i]) for i in range(5)))


def summary(errors: TossErrors, *, seed: int = 0) -> dict[str, Interval]:
    """The fields of a model's row in the table, each with its interval over tosses."""

    def mean(values: Array) -> Array:
        return values.mean(-1)

    def median(values: Array) -> Array:
        return np.median(values, axis=-1)

    def share(values: Array) -> Array:
        return (values < RIGHT_FACE_DEG).mean(-1)

    fields: dict[str, tuple[Array, Callable[[Array], Array]]] = {
        "position_percent": (errors.position_percent, mean),
        "rotation_deg": (errors.rotation_deg, mean),
        "rotation_deg_median": (errors.rotation_deg, median),
        "right_face": (errors.final_rotation_deg, share),
        "final_position_percent": (errors.final_position_percent, mean),
        "final_rotation_deg": (errors.final_rotation_deg, mean),
        "penetration_percent": (errors.penetration_percent, mean),
    }
    return {name: bootstrap(values, figure, seed=seed) for name, (values, figure) in fields.items()}


def bootstrap(values: Array, figure: Callable[[Array], Array], *, seed: int = 0) -> Interval:
    """A figure of N values and its 95 % percentile interval under resampling.

    Args:
        values: One value per toss, shape (N,) with N >= 1, or several columns as (c, N) resampled together.
        figure: Reduces the last axis.
        seed: The same seed draws the same tosses whatever the values, so figures of two models are paired.
    """
    count = values.shape[-1]
    draws = np.random.default_rng(seed).integers(0, count, (RESAMPLES, count))
    resampled = figure(values[..., draws])
    low, high = np.percentile(resampled, [2.5, 97.5])
    return Interval(float(figure(values)), float(low), float(high))


def paired_gain(before: Array, after: Array, figure: Callable[[Array], Array], *, seed: int = 0) -> Interval:
    """By how much a figure falls from one model to another on the same tosses, both (N,); positive is better."""

    def gain(both: Array) -> Array:
        return figure(both[0]) - figure(both[1])

    return bootstrap(np.stack([before, after]), gain, seed=seed)


def _lowest(poses: Array, points: Array) -> Array:
    """Height of the lowest surface point in each frame, shape (T,)."""
    w, x, y, z = poses[:, 3], poses[:, 4], poses[:, 5], poses[:, 6]
    up = np.stack([2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)], axis=1)
    return poses[:, 2] + (up @ points.T).min(1)
