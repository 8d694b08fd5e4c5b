# pyright: basic
"""From an optimum to what the recordings say: mean and precision of a normal posterior.

Damped Gauss-Newton steps over the parameters and the first velocities of every recording together, with differences
of rollouts. Frames count by the weight of a Cauchy density, and by how well the differences on both sides agree: what
chaos has made unpredictable says nothing. Eliminating a recording's first velocities (Schur complement) leaves its
slope and curvature in the parameters; how slopes differ between recordings says how much the optimum would move with
other recordings: Godambe's information H J^-1 H, the inverse of the "sandwich" of estimating equations [Godambe 1960,
Huber 1967]. Errors that go on from frame to frame are counted rightly so. Where rollouts do not change, that
information is zero and the prior stays.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dynamics._identify_starts import moved_starts, roots_of

if TYPE_CHECKING:
    from dynamics._identify_loss import Problem, Widths

__all__ = ["Normal", "fit_normal"]

ROUNDS = 6
SHARES = (1.0, 0.5, 0.2)
"""Parts of a step that are tried."""
LEAST_STEP, START_STEP = 0.03, 0.5
"""Least differences in the parameters, in standard deviations of the prior, and those of first velocities."""
FLOOR = 0.1
"""Slopes below this are numerical noise."""
DOUBT = 1.3
"""What standard deviations are multiplied by for all that is not linear. Chosen after twelve fits to synthetic tosses
(six of them this last stage alone, begun near the truth): errors had a root mean square of about 1.2 standard
deviations without it. Recordings that the model cannot follow were not among them."""
LEVERAGE = 3.0
"""No recording has more than this many times the mean influence."""
Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Normal:
    """In units of the priors, whose mean is 0 and whose precision is 1."""

    mean: Array
    """Shape (P,)."""
    covariance: Array
    """Shape (P, P)."""


@dataclass(frozen=True, eq=False)
class _Local:
    """The quadratic of N recordings around a point, first velocities eliminated."""

    slope: Array
    """Shape (N, P)."""
    curvature: Array
    """Shape (N, P, P)."""
    start_step: Array
    """Best move of the first velocities at these parameters, shape (N, S)."""
    start_change: Array
    """And per change of the parameters, shape (N, S, P)."""


def fit_normal(problem: Problem, u: Array, *, mend: bool = True) -> Normal:
    """Prior times what the recordings say, around an optimum.

    Args:
        problem: Recordings and parameters.
        u: Close to the optimum, shape (P,).
        mend: Move first velocities as well.
    """
    roots = roots_of(problem.recordings) if mend else []
    starts = np.zeros((len(problem.recordings), 6 * len(roots)))
    step = np.full(len(u), 0.2)
    widths = problem.widths(u)
    for _ in range(ROUNDS):
        local = _local(problem, widths, u, roots, starts, step)
        scale = _scale(local)
        precision = scale * local.curvature.sum(0) + np.eye(len(u))
        change = -np.linalg.solve(precision, scale * local.slope.sum(0) + u)
        change = np.clip(change, -1, 1)
        move = local.start_step + local.start_change @ change
        costs = [
            _cost(problem, widths, u + share * change, roots, starts + share * move, scale) for share in (0.0, *SHARES)
        ]
        share = (0.0, *SHARES)[int(np.argmin(costs))]
        u, starts = u + share * change, starts + share * move
        moved = replace(problem, recordings=moved_starts(problem.recordings, roots, starts))
        widths = moved.widths(u)
        step = np.clip(np.sqrt(np.diag(np.linalg.inv(precision))), LEAST_STEP, 1.0)
    local = _local(problem, widths, u, roots, starts, step)
    curvature = local.curvature.sum(0)
    between = curvature @ np.linalg.inv(DOUBT**2 * _variability(local))
    covariance = np.linalg.inv(between @ curvature + np.eye(len(u)))
    mean = u - covariance @ (between @ local.slope.sum(0) + u)
    return Normal(mean, 0.5 * (covariance + covariance.T))


def _local(problem: Problem, widths: Widths, u: Array, roots: list[int], starts: Array, step: Array) -> _Local:
    count, size, free = len(starts), len(u), starts.shape[1]
    now = _residuals(problem, widths, u, roots, starts)
    slopes, bends = [], []
    for k in range(size + free):
        unit = np.eye(size + free)[k] * (step[k] if k < size else START_STEP)
        ahead, behind = (
            _residuals(problem, widths, u + sign * unit[:size], roots, starts + sign * unit[size:]) for sign in (1, -1)
        )
        pairs = [(a, b, c) for a, b, c in zip(ahead, now, behind, strict=True)]
        slopes.append([(a - c) / (2 * unit[k]) for a, _, c in pairs])
        bends.append([((a - 2 * b + c) ** 2).sum(-1) for a, b, c in pairs])
    slope, curvature = np.zeros((count, size)), np.zeros((count, size, size))
    start_step, start_change = np.zeros((count, free)), np.zeros((count, free, size))
    for i in range(count):
        weight = 1 / (1 + (now[i] ** 2).sum(-1)) / (1 + sum(bend[i] for bend in bends))
        J = np.nan_to_num(np.stack([slope_of[i] for slope_of in slopes], axis=-1)).reshape(-1, size + free)
        weighted = np.repeat(np.nan_to_num(weight).reshape(-1), 6)[:, None] * J
        A, b = weighted.T @ J, weighted.T @ np.nan_to_num(now[i]).reshape(-1)
        A[size:, size:] += np.eye(free)
        b[size:] += starts[i]
        inverse = np.linalg.inv(A[size:, size:])
        slope[i] = b[:size] - A[:size, size:] @ inverse @ b[size:]
        curvature[i] = A[:size, :size] - A[:size, size:] @ inverse @ A[size:, :size]
        start_step[i], start_change[i] = -inverse @ b[size:], -inverse @ A[size:, :size]
    share = _bounded(curvature)
    return _Local(share[:, None] * slope, share[:, None, None] * curvature, start_step, start_change)


def _bounded(curvature: Array) -> Array:
    """Weights (N,) at most 1 with which no recording has much more than its share in any of the directions.

    Recordings at the edge of chaos react most to everything, and what they say is least linear (bounded influence,
    Krasker and Welsch 1982).
    """
    count, size = curvature.shape[:2]
    weight = np.ones(count)
    for _ in range(5):
        total = (weight[:, None, None] * curvature).sum(0) + FLOOR**2 * np.eye(size)
        leverage = np.linalg.eigvals(curvature @ np.linalg.inv(total)).real.max(-1)
        weight = np.minimum(1.0, LEVERAGE / count / np.maximum(leverage, 1e-12))
    return weight


def _residuals(problem: Problem, widths: Widths, u: Array, roots: list[int], starts: Array) -> list[Array]:
    return replace(problem, recordings=moved_starts(problem.recordings, roots, starts)).residuals(u, widths)


def _cost(problem: Problem, widths: Widths, u: Array, roots: list[int], starts: Array, scale: float) -> float:
    """Twice the negative logarithm of the joint density, with as much weight to the prior as in the steps."""
    moved = replace(problem, recordings=moved_starts(problem.recordings, roots, starts))
    frames = np.array([len(recording) - 1 for recording in problem.recordings])
    return float((moved.losses(u[None], widths)[0] * frames).sum() + (starts**2).sum() + (u * u).sum() / scale)


def _scale(local: _Local) -> float:
    """By how much curvatures must be multiplied to be informations, on the mean of all directions."""
    apart = local.slope - local.slope.mean(0)
    spread = float((apart**2).sum()) + len(apart) * FLOOR**2
    return min(1.0, float(np.trace(local.curvature.sum(0))) / spread)


def _variability(local: _Local) -> Array:
    """Covariance of the sum of slopes (N, P), shrunk where recordings are few towards the shape of the curvature.

    Each slope is enlarged to what it would be had its recording not taken part in the fit (as in HC3 of MacKinnon and
    White 1985), but three times at most.
    """
    count, size = local.slope.shape
    total = local.curvature.sum(0) + FLOOR**2 * np.eye(size)
    share_of = np.eye(size) - 2 / 3 * local.curvature @ np.linalg.inv(total)
    apart = np.linalg.solve(share_of, (local.slope - local.slope.mean(0))[..., None])[..., 0]
    share = (size + 1) / (count + size + 1)
    shape = local.curvature.sum(0) / _scale(local)
    return (1 - share) * apart.T @ apart + share * shape + count * FLOOR**2 * np.eye(size)
