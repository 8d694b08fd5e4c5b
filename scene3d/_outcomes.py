"""What became of each object in a rollout: how far it went, whether it tipped over or fell off, when it came to rest.

A rollout is a batch of futures. Each future puts each object into one class; over the batch that gives shares, and of
distances and times the median, with an interval that the next future lies in with a probability of 90 %.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from dynamics import Rollout, World
    from scene3d._scene import Scene

__all__ = ["CLASSES", "Outcome", "Spread", "outcomes"]

CLASSES = ("stays", "moves", "tips over", "falls off", "still moving")
MOVED = 0.003
"""Objects that end nearer to where they began stay [m]."""
TURNED = 3.0
"""So do those that turned by less [deg]."""
TIPPED = 45.0
"""Tilt against how it stood from which an object lies [deg]."""
OFF = 0.05
"""What ends this far below where it began, and below where it stood in the photos, has fallen off [m]."""
SLOW, SLOW_TURN = 0.01, 0.1
"""Slower than this is at rest [m/s, rad/s]."""
SHARE = 0.9


@dataclass(frozen=True)
class Spread:
    """A quantity over the futures."""

    median: float
    low: float
    """One more future lies between this..."""
    high: float
    """...and this with a probability of 90 %; of fewer than 19 futures these are the least and the most."""

    @staticmethod
    def of(values: NDArray[np.float64]) -> Spread:
        """Of one value for each future; numbers that are none are left out."""
        finite = values[np.isfinite(values)]
        if not len(finite):
            return Spread(float("nan"), float("nan"), float("nan"))
        # The next draw lies below the rank (n + 1) p with probability p, however few draws there are.
        low, median, high = np.quantile(finite, [(1 - SHARE) / 2, 0.5, (1 + SHARE) / 2], method="weibull")
        return Spread(float(median), float(low), float(high))


@dataclass(frozen=True)
class Outcome:
    """What became of one object."""

    name: str
    shares: dict[str, float]
    """Share of the futures in each of `CLASSES`; they sum to 1."""
    moved: Spread
    """Distance between where it began and where it ended [m]."""
    turned: Spread
    """Angle between how it stood and how it ended [deg]."""
    settled: Spread
    """When it came to rest for good, over the futures in which it moved and did [s]; nan in none."""

    @property
    def likeliest(self) -> str:
        """The class of most futures."""
        return max(self.shares, key=lambda name: self.shares[name])

    def row(self) -> dict[str, Any]:
        """For JSON; what is not known is None."""

        def spread(value: Spread) -> dict[str, float | None]:
            return {k: v if np.isfinite(v) else None for k, v in vars(value).items()}

        return {
            "name": self.name,
            "outcome": self.likeliest,
            "shares": self.shares,
            "moved": spread(self.moved),
            "turned_deg": spread(self.turned),
            "settled_s": spread(self.settled),
        }


def outcomes(
    scene: Scene, world: World, rollout: Rollout, lifted: Mapping[str, float] | None = None
) -> tuple[Outcome, ...]:
    """What became of the scene's rigid objects, in their order.

    Args:
        scene: The scene.
        world: Its world, from `scene_world`.
        rollout: B futures of it.
        lifted: How far above their places objects began, by name [m]: those never stay, and distances are from their
            places.
    """
    up = np.asarray(world.gravity, dtype=np.float64)
    up = -up / np.linalg.norm(up) if np.linalg.norm(up) > 0 else np.array([0.0, 0.0, 1.0])
    poses = rollout.T_world_body.detach().double().cpu().numpy()
    twist = rollout.twist.detach().double().cpu().numpy()
    times = rollout.dt * np.arange(poses.shape[1])
    found = []
    for index, thing in enumerate(scene.objects):
        if thing.kind == "rigid":
            height = 0.0 if lifted is None else lifted.get(thing.name, 0.0)
            stood = np.asarray(thing.T_world_body, dtype=np.float64)
            place = _Place(np.asarray(thing.body.com), stood, up, height)
            found.append(_outcome(thing.name, poses[:, :, index], twist[:, :, index], place, times))
    return tuple(found)


@dataclass(frozen=True, eq=False)
class _Place:
    """Where an object was before anything was done."""

    com: NDArray[np.float64]
    """In its frame [m], shape (3,)."""
    stood: NDArray[np.float64]
    """Its pose in the photos, shape (7,)."""
    up: NDArray[np.float64]
    """Unit vector, shape (3,)."""
    lifted: float
    """How far above its place it begins [m]."""


def _outcome(name: str, poses: NDArray, twist: NDArray, place: _Place, times: NDArray[np.float64]) -> Outcome:
    first, last = _rotations(poses[:, 0, 3:]), _rotations(poses[:, -1, 3:])
    up, com = place.up, place.com
    begin, end = poses[:, 0, :3] + first @ com - place.lifted * up, poses[:, -1, :3] + last @ com
    moved = np.linalg.norm(end - begin, axis=1)
    between = last @ first.transpose(0, 2, 1)
    turned = np.degrees(np.arccos(np.clip((np.trace(between, axis1=1, axis2=2) - 1) / 2, -1, 1)))
    tilt = np.degrees(np.arccos(np.clip((between @ up) @ up, -1, 1)))
    lively = (np.linalg.norm(twist[..., :3], axis=-1) > SLOW) | (np.linalg.norm(twist[..., 3:], axis=-1) > SLOW_TURN)
    # The first time after the last at which it moved; never, if that was the end of the rollout.
    last_lively = np.where(lively.any(axis=1), lively.shape[1] - 1 - lively[:, ::-1].argmax(axis=1), -1)
    resting = last_lively < lively.shape[1] - 1
    settled = np.where(resting & (last_lively >= 0), times[np.minimum(last_lively + 1, len(times) - 1)], np.nan)
    kind = np.where((moved < MOVED) & (turned < TURNED) & (place.lifted == 0), 0, 1)
    kind = np.where(tilt > TIPPED, 2, kind)
    # What begins in the air and lands where it stood has not fallen off, nor what lay on the floor from the start.
    stood = place.stood[:3] + _rotations(place.stood[None, 3:])[0] @ com
    kind = np.where(((end - begin) @ up < -OFF) & ((end - stood) @ up < -OFF), 3, kind)
    kind = np.where(resting, kind, 4)
    shares = {label: float((kind == number).mean()) for number, label in enumerate(CLASSES)}
    return Outcome(name, shares, Spread.of(moved), Spread.of(turned), Spread.of(settled))


def _rotations(wxyz: NDArray[np.float64]) -> NDArray[np.float64]:
    import torch

    from dynamics.poses import rotation_from_wxyz

    unit = wxyz / np.linalg.norm(wxyz, axis=-1, keepdims=True)
    return rotation_from_wxyz(torch.from_numpy(unit)).numpy()
