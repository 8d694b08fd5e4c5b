"""Futures against a recording of the same deed: how far apart they are over time, and whether the futures said so.

The error is that of the first future, which has what is most likely. The band is a ball around the mean of the futures
in which one more future lies with a probability of 90 %, for positions and for rotations, and nothing is surer than the
recording itself: its noise widens the band. Coverage, the share of frames in which the recording lies in the band, is
to be about 90 % on average over recordings; frames of one recording are in it or out of it together.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from scene3d._errors import UsageError
from scene3d._pose_paths import angles_between, poses_at

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dynamics import Rollout
    from scene3d._recorded_motion import RecordedMotion
    from scene3d._scene import Scene

__all__ = ["FEWEST", "PLOT", "BodyComparison", "compare", "write_comparison"]

LEVEL = 0.9
FIGURES, PLOT = "compare.json", "compare.png"
POSITION_NOISE, ROTATION_NOISE = 5e-4, 2e-3
"""Of a recording, each axis [m], [rad]: those of the recorded tosses."""
NOISE_BALL = 2.5
"""Radius of the ball that holds nine tenths of such noise along three axes."""
FEWEST = 9
"""Trusted futures of which the farthest bounds 90 %: one more lies beyond the farthest of n in one case of n + 1."""
Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class BodyComparison:
    """One object: T frames of the recording that lie within the rollout."""

    name: str
    times: Array
    """Since the beginning of both [s], shape (T,)."""
    position: Array
    """Distance of the first future from the recording [m], shape (T,)."""
    rotation: Array
    """Angle between them [rad], shape (T,)."""
    away: Array | None
    """Distance of the recording from the mean of the futures [m], (T,); None for fewer than 9 futures."""
    turned: Array | None
    """The same angle [rad], (T,)."""
    reach: Array | None
    """Radius of the ball of positions [m], (T,)."""
    reach_turned: Array | None
    """Radius of the ball of rotations [rad], (T,)."""

    @property
    def coverage(self) -> tuple[float, float] | None:
        """Shares of the frames in the bands of positions and rotations; None without bands."""
        if self.away is None or self.turned is None or self.reach is None or self.reach_turned is None:
            return None
        return float((self.away <= self.reach).mean()), float((self.turned <= self.reach_turned).mean())

    def row(self) -> dict[str, Any]:
        """For JSON, with figures over time."""
        covered = self.coverage
        curves = {
            "time_s": self.times,
            "position_error_m": self.position,
            "rotation_error_deg": np.degrees(self.rotation),
            "distance_from_mean_m": self.away,
            "band_m": self.reach,
            "angle_from_mean_deg": None if self.turned is None else np.degrees(self.turned),
            "band_deg": None if self.reach_turned is None else np.degrees(self.reach_turned),
        }
        return {
            "name": self.name,
            "frames": len(self.times),
            "position_m": _summary(self.position),
            "rotation_deg": _summary(np.degrees(self.rotation)),
            "position_in_band": None if covered is None else covered[0],
            "rotation_in_band": None if covered is None else covered[1],
            "curves": {name: None if curve is None else np.round(curve, 6).tolist() for name, curve in curves.items()},
        }


def compare(
    scene: Scene, rollout: Rollout, motions: Sequence[RecordedMotion], flagged: Sequence[int] = ()
) -> tuple[BodyComparison, ...]:
    """Compare futures with a recording; both begin at the same moment.

    Args:
        scene: Whose objects moved.
        rollout: B futures.
        motions: From `load_motion`.
        flagged: Futures that are left out.

    Raises:
        UsageError: No future is left, or the recording has fewer than two frames within the rollout.
    """
    kept = [future for future in range(len(rollout.T_world_body)) if future not in set(flagged)]
    if not kept:
        raise UsageError("No future can be trusted, so there is nothing to compare with the recording.")
    clock: Array = rollout.dt * np.arange(len(rollout), dtype=np.float64)
    found: list[BodyComparison] = []
    for motion in motions:
        within = motion.times <= clock[-1] + 1e-9
        if within.sum() < 2:
            raise UsageError(
                f"The recording of {motion.name!r} has {int(within.sum())} frames in the {clock[-1]:.3g} s of the "
                "rollout; it takes 2 or more. Raise --seconds."
            )
        paths = rollout.T_world_body[kept, :, scene.index(motion.name)].double().numpy()
        found.append(_body(motion, poses_at(clock, paths, motion.times[within]), within))
    return tuple(found)


def write_comparison(comparisons: Sequence[BodyComparison], folder: Path, log: Path, futures: int) -> dict[str, Any]:
    """Write compare.json and compare.png into a rollout's folder; returns the document without its curves.

    Raises:
        OutputError: They cannot be written.
    """
    import io

    from scene3d._compare_plot import comparison_plot
    from scene3d.files._atomic import write_atomic

    rows = [comparison.row() for comparison in comparisons]
    document = {"log": str(log), "futures": futures, "level": LEVEL, "bodies": rows}
    write_atomic(folder / FIGURES, [(json.dumps(document, allow_nan=False) + "\n").encode()])
    picture = io.BytesIO()
    comparison_plot(comparisons).save(picture, "PNG")
    write_atomic(folder / PLOT, [picture.getvalue()])
    short = [{key: value for key, value in row.items() if key != "curves"} for row in rows]
    return {**document, "bodies": short, "file": str(folder / FIGURES), "plot": str(folder / PLOT)}


def _body(motion: RecordedMotion, paths: Array, within: NDArray[np.bool_]) -> BodyComparison:
    seen = motion.poses[within]
    position = np.linalg.norm(paths[0, :, :3] - seen[:, :3], axis=1)
    rotation = angles_between(paths[0, :, 3:], seen[:, 3:])
    bands = _bands(paths, seen) if len(paths) >= FEWEST else (None, None, None, None)
    return BodyComparison(motion.name, motion.times[within], position, rotation, *bands)


def _bands(paths: Array, seen: Array) -> tuple[Array, Array, Array, Array]:
    """Distances and angles from the mean future, and the radii of the balls; each (T,)."""
    import torch

    from dynamics._toss_models import central_futures

    centre = central_futures(torch.from_numpy(paths)[None])[0].numpy()
    # A mean is nearer to those it is of than to one more: from the mean of the others each is this much farther.
    farther = len(paths) / (len(paths) - 1)
    spread = farther * np.linalg.norm(paths[..., :3] - centre[:, :3], axis=-1)
    turned = np.minimum(farther * angles_between(paths[..., 3:], centre[:, 3:]), np.pi)
    # The next draw lies below the rank (n + 1) p with probability p, however few draws there are.
    reach, reach_turned = (np.quantile(part, LEVEL, axis=0, method="weibull") for part in (spread, turned))
    return (
        np.linalg.norm(seen[:, :3] - centre[:, :3], axis=1),
        angles_between(seen[:, 3:], centre[:, 3:]),
        np.hypot(reach, NOISE_BALL * POSITION_NOISE),
        np.hypot(reach_turned, NOISE_BALL * ROTATION_NOISE),
    )


def _summary(values: Array) -> dict[str, float]:
    return {"mean": float(values.mean()), "end": float(values[-1]), "largest": float(values.max())}
