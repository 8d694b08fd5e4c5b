"""How well predicted tosses follow recorded ones: errors of each toss, and means with bootstrap intervals.

The measures are those of the published evaluations on the cube (Acosta, Yang, Posa, RA-L 2022, arXiv 2110.00541): each
toss is predicted from its first frame for its whole length; errors are means over its frames. Because a few tosses that
end on another face decide the mean rotation, its median and the share of right faces stand beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dynamics._bootstrap import Interval, bootstrap, mean, median

__all__ = ["RIGHT_FACE_DEG", "TossErrors", "lowest_points", "summary", "toss_errors"]

RIGHT_FACE_DEG = 30.0
"""A smaller rotation error of the last frame counts as the right face."""
Array = NDArray[np.float64]


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
    joint_deg: Array | None = None
    """Mean over frames of the error of the joints' angles; None for a body without joints."""

    def __getitem__(self, index: NDArray[np.integer] | slice) -> TossErrors:
        """Some of the tosses."""
        parts: dict[str, Any] = {name: getattr(self, name) for name in self.__dataclass_fields__}
        chosen: dict[str, Any] = {name: None if part is None else part[index] for name, part in parts.items()}
        return TossErrors(**chosen)

    @staticmethod
    def joined(parts: Sequence[TossErrors]) -> TossErrors:
        """The errors of several groups, one behind the other; all of them have joints, or none."""
        columns = {name: [getattr(part, name) for part in parts] for name in TossErrors.__dataclass_fields__}
        whole: dict[str, Any] = {n: None if c[0] is None else np.concatenate(c) for n, c in columns.items()}
        return TossErrors(**whole)


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
        deep = np.maximum(height - lowest_points(b, points), 0).mean() / width * 100
        rows.append((away.mean(), angle.mean(), away[-1], angle[-1], deep))
    table = np.array(rows, dtype=np.float64).reshape(-1, 5)
    return TossErrors(*(np.ascontiguousarray(table[:, i]) for i in range(5)))


def summary(errors: TossErrors, *, seed: int = 0) -> dict[str, Interval]:
    """The fields of a model's row in the table, each with its interval over tosses."""

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
    if errors.joint_deg is not None:
        fields["joint_deg"] = (errors.joint_deg, mean)
    return {name: bootstrap(values, figure, seed=seed) for name, (values, figure) in fields.items()}


def lowest_points(poses: Array, points: Array) -> Array:
    """Height of the lowest of P points of a body (P, 3) in each of its poses (T, 7), shape (T,)."""
    w, x, y, z = poses[:, 3], poses[:, 4], poses[:, 5], poses[:, 6]
    up = np.stack([2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)], axis=1)
    return poses[:, 2] + (up @ points.T).min(1)
