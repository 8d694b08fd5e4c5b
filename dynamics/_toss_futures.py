# pyright: basic
"""Futures of a toss, and whether they are as sure as they say: draws of what is not known -> coverage and CRPS.

A future differs from the next by its physical constants, by the member of the ensemble that answers, and by the noise
of its first state. Constants spread because no toss obeys the same ones: from one draw of constants for all tosses,
each toss keeps those that fit it best (rejection sampling [Beaumont, Zhang, Balding 2002]); the pooled spread of what
was kept is the posterior of the next toss. One factor widens or narrows constants and first states alike; it is
chosen on training tosses so that nominal intervals cover what they say.

Rotations and positions are scored as one region each: the ball around the mean of the futures that holds the nominal
share of them. Recordings have noise of their own, which futures get when they are compared with one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dynamics._toss_models import (
    TossConstants,
    central_futures,
    first_noise,
    first_states,
    rollout_tosses,
)
from dynamics._tosses import toss_hash

if TYPE_CHECKING:
    from torch import Tensor

    from dynamics._toss_models import TossBody, TossModel
    from dynamics._tosses import Toss

__all__ = [
    "FUTURES",
    "LEVEL",
    "FutureScores",
    "calibrated_scale",
    "future_scores",
    "path_distance",
    "posterior_spread",
    "toss_futures",
]

FUTURES = 64
"""Futures of each toss."""
LEVEL = 0.9
"""Share of futures within a stated interval."""
TIMES = (0.25, 0.5)
"""When intervals are judged, besides the end [s]."""
SPIN_FACTOR = 2.5
"""Noise of first spins over the measured one: what contact does to rotation by chance is put there too."""
RECORDED_POSITION = 5e-4
"""Noise of recorded positions, each axis [m]."""
RECORDED_ROTATION = 2e-3
"""Noise of recorded rotations, each axis [rad]."""
PRIOR = {
    "friction": 0.12,
    "restitution": 0.25,
    "size": 0.003,
    "inertia": 0.04,
    "gravity": 0.035,
    "recovery": 0.2,
    "corner_radius": 0.15,
    "spin": 0.012,
    "speed": 0.004,
    "shear_along": 0.004,
    "shear_across": 0.004,
    "tilt_along": 0.02,
    "tilt_across": 0.02,
}
"""How far constants are looked for, standard deviations: of logarithms, of logits (restitution, recovery), or plain
(others, tilts in m/s^2)."""
LOGARITHMIC, LOGISTIC = ("friction", "inertia", "corner_radius"), ("restitution", "recovery")
KEPT = 0.1
"""Share of the draws that each toss keeps."""
DRAWS = 64
WORLDS = 1024
"""Rollouts that run together."""
Array = NDArray[np.float64]
Spread = dict[str, float]


@dataclass(frozen=True, eq=False)
class FutureScores:
    """How futures of N tosses compare with what was recorded."""

    position_inside: Array
    """1 where the recorded position is in the nominal ball, at each of `TIMES` and at the end, shape (N, times)."""
    rotation_inside: Array
    """The same for rotations."""
    axes_inside: Array
    """Share of the three coordinates between their own nominal quantiles, shape (N, times)."""
    crps_percent: Array
    """Energy score of positions, mean over frames, percent of the width, shape (N,): the CRPS of vectors
    [Gneiting and Raftery 2007]. Of a single future it is the distance itself."""
    centre: list[Array]
    """Mean of the futures of each toss, poses (T, 7)."""

    @staticmethod
    def joined(parts: Sequence[FutureScores]) -> FutureScores:
        """Several groups, one behind the other."""
        names = ("position_inside", "rotation_inside", "axes_inside", "crps_percent")
        arrays: dict[str, Any] = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
        return FutureScores(**arrays, centre=[path for part in parts for path in part.centre])

    def ordered(self, order: NDArray[np.integer]) -> FutureScores:
        """The tosses in another order."""
        arrays = (self.position_inside, self.rotation_inside, self.axes_inside, self.crps_percent)
        return FutureScores(*(array[order] for array in arrays), centre=[self.centre[i] for i in order])


def posterior_spread(model: TossModel, body: TossBody, tosses: Sequence[Toss], *, seed: int = 0) -> Spread:
    """Standard deviations of the constants from toss to toss, in the units of `PRIOR`.

    Args:
        model: Whose constants are the middle.
        body: What was thrown.
        tosses: Training tosses that share one time step; some dozens are enough.
        seed: Of the draws.
    """
    import torch

    rng = np.random.default_rng(seed)
    noise = {name: rng.standard_normal(DRAWS) * std for name, std in PRIOR.items()}
    constants = _moved(model.constants, noise)
    loss = np.empty((len(tosses), DRAWS))
    for i, toss in enumerate(tosses):
        pose, twist = first_states([toss] * DRAWS, constants)
        poses = rollout_tosses(replace(model, constants=constants), body, pose, twist, len(toss), toss.dt)[0]
        loss[i] = path_distance(poses, torch.tensor(toss.T_world_body, dtype=torch.float32), body.width)
    best = np.argsort(loss, axis=1, kind="stable")[:, : max(2, round(KEPT * DRAWS))]
    return {name: float(values[best].std()) for name, values in noise.items()}


def path_distance(poses: Tensor, truth: Tensor, width: float) -> Array:
    """Mean over frames of distances over a tenth of the width, and angles over a tenth of a radian, shape (B,)."""
    away = (poses[..., :3] - truth[:, :3]).norm(dim=-1) / (0.1 * width)
    angle = 2 * (poses[..., 3:] * truth[:, 3:]).sum(-1).abs().clamp_max(1.0).arccos() / 0.1
    return (away.log1p() + angle.log1p()).mean(1).double().numpy()


def _moved(constants: TossConstants, steps: dict[str, Array]) -> TossConstants:
    """Constants of W worlds, (W, 1) each: moved by steps (W,) in the units of `PRIOR`."""
    import torch

    values: dict[str, Tensor] = {}
    for name, step in steps.items():
        value, change = getattr(constants, name), torch.tensor(step[:, None], dtype=torch.float32)
        if name in LOGARITHMIC:
            values[name] = value * change.exp()
        elif name in LOGISTIC:
            values[name] = torch.sigmoid(torch.logit(value, eps=1e-4) + change)
        else:
            values[name] = value + change
    return replace(constants, **values)


def toss_futures(
    model: TossModel,
    body: TossBody,
    tosses: Sequence[Toss],
    spread: Spread,
    scale: float,
    *,
    futures: int = FUTURES,
    seed: int = 0,
) -> list[Array]:
    """Futures of each toss from its first frame, poses (F, T, 7).

    Args:
        model: Constants and network; each member of an ensemble answers in an equal share of the futures.
        body: What was thrown.
        tosses: What to predict; they share one time step. Only first frames and lengths are looked at.
        spread: Of the constants, from `posterior_spread`.
        scale: Widens spread and noise of first states.
        futures: How many, a multiple of the ensemble's members.
        seed: Draws depend on it and on the toss alone, not on the other tosses.
    """
    group = max(1, WORLDS // futures)
    paths: list[Array] = []
    for start in range(0, len(tosses), group):
        paths += _some_futures(model, body, tosses[start : start + group], spread, scale, futures, seed)
    return paths


def _some_futures(
    model: TossModel,
    body: TossBody,
    tosses: Sequence[Toss],
    spread: Spread,
    scale: float,
    futures: int,
    seed: int,
) -> list[Array]:
    """Worlds are ordered by future first, so that members of an ensemble answer blocks of them."""
    import torch

    names = list(PRIOR)
    draws = [np.random.default_rng([seed, int(toss_hash(toss), 16)]) for toss in tosses]
    normal = scale * np.stack([rng.standard_normal((futures, len(names) + 6)) for rng in draws], axis=1)
    normal = normal.reshape(futures * len(tosses), -1)
    constants = _moved(model.constants, {name: spread[name] * normal[:, i] for i, name in enumerate(names)})
    pose, twist = first_states(list(tosses) * futures, constants)
    noise = torch.tensor(normal[:, len(names) :], dtype=torch.float32)
    twist = twist + first_noise(noise * torch.tensor([1.0] * 3 + [SPIN_FACTOR] * 3), twist)
    frames = max(len(toss) for toss in tosses)
    apart = _apart(replace(model, constants=constants))
    poses = rollout_tosses(apart, body, pose, twist, frames, tosses[0].dt)[0]
    paths = poses.unflatten(0, (futures, len(tosses)))
    return [paths[:, i, : len(toss)].double().numpy() for i, toss in enumerate(tosses)]


def _apart(model: TossModel) -> TossModel:
    """Members of an ensemble that answer one by one instead of on average."""
    network = model.network
    if network is None or network.members == 1 or "apart" not in type(network).__dataclass_fields__:
        return model
    changes: dict[str, Any] = {"apart": True}
    return replace(model, network=replace(network, **changes))


def future_scores(
    futures: Sequence[Array], tosses: Sequence[Toss], width: float, *, seed: int = 0, level: float = LEVEL
) -> FutureScores:
    """Compare futures (F, T, 7) of each toss with the toss.

    Args:
        futures: From `toss_futures`.
        tosses: What was recorded.
        width: What percentages refer to [m].
        seed: Of the noise of recording.
        level: Share of futures in an interval.
    """
    import torch

    rows: list[tuple[list[float], list[float], list[float], float]] = []
    centres: list[Array] = []
    for paths, toss in zip(futures, tosses, strict=True):
        centre = central_futures(torch.tensor(paths)[None])[0].numpy()
        centres.append(centre)
        rng = np.random.default_rng([seed, int(toss_hash(toss), 16), 1])
        at = [min(round(time / toss.dt), len(toss) - 1) for time in TIMES] + [len(toss) - 1]
        seen = [_inside(paths[:, t], centre[t], toss.T_world_body[t], rng, level) for t in at]
        noisy = paths[..., :3] + RECORDED_POSITION * rng.standard_normal(paths[..., :3].shape)
        score = _energy_score(noisy, toss.T_world_body[:, :3]).mean() / width * 100
        rows.append((*([part[k] for part in seen] for k in range(3)), float(score)))  # pyright: ignore
    columns = [np.array([row[k] for row in rows], dtype=np.float64) for k in range(4)]
    return FutureScores(columns[0], columns[1], columns[2], columns[3], centres)


def _inside(
    futures: Array, centre: Array, truth: Array, rng: np.random.Generator, level: float
) -> tuple[float, float, float]:
    """Whether the truth (7,) is in the ball of positions, in that of rotations; the share of axes that hold it."""
    noisy = futures[:, :3] + RECORDED_POSITION * rng.standard_normal((len(futures), 3))
    radius = _quantile(np.linalg.norm(noisy - centre[:3], axis=1), level)
    low, high = _quantile(noisy, (1 - level) / 2), _quantile(noisy, (1 + level) / 2)
    jitter = RECORDED_ROTATION * np.linalg.norm(rng.standard_normal((len(futures), 3)), axis=1)
    turned = np.hypot(_angles(futures[:, 3:], centre[3:]), jitter)
    return (
        float(np.linalg.norm(truth[:3] - centre[:3]) <= radius),
        float(_angles(truth[None, 3:], centre[3:])[0] <= _quantile(turned, level)),
        float(((low <= truth[:3]) & (truth[:3] <= high)).mean()),
    )


def _quantile(values: Array, level: float) -> Array:
    """Over the first axis; the next draw is below it with that probability, however few there are (rank (n+1) p)."""
    return np.quantile(values, level, axis=0, method="weibull")


def _angles(wxyz: Array, other: Array) -> Array:
    return 2 * np.arccos(np.abs((wxyz * other).sum(-1)).clip(0, 1))


def _energy_score(futures: Array, truth: Array) -> Array:
    """E|X - y| - E|X - X'| / 2 of F draws (F, T, 3) at each time, shape (T,); pairs of one draw do not count."""
    count = len(futures)
    away = np.linalg.norm(futures - truth, axis=-1).mean(0)
    apart = np.zeros(len(truth))
    for shift in range(1, count):
        apart += np.linalg.norm(futures[shift:] - futures[:-shift], axis=-1).sum(0)
    return away - apart / (count * (count - 1))


def calibrated_scale(
    coverage: Callable[[float], float], *, level: float = LEVEL, low: float = 0.25, high: float = 6.0, steps: int = 6
) -> float:
    """The scale at which intervals cover what they say, by bisection of its logarithm.

    Args:
        coverage: Share of training tosses within the intervals at a scale; rises with it.
        level: What it should be.
        low: Smallest scale that is tried.
        high: Greatest.
        steps: Bisections.
    """
    for _ in range(steps):
        middle = float(np.sqrt(low * high))
        if coverage(middle) < level:
            low = middle
        else:
            high = middle
    return float(np.sqrt(low * high))
