"""Minimisation without gradients: covariance matrix adaptation over a few numbers of unit size.

Each generation draws candidates around a mean, ranks them, and moves mean, step length and covariance towards the
better half (CMA-ES with rank-one and rank-mu updates; Hansen, "The CMA Evolution Strategy: A Tutorial", 2016,
arXiv 1604.00772, equations 5-45). Ranks only: discontinuities and outliers of the loss do no harm.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Found", "minimise"]

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Found:
    """Where the search ended."""

    mean: Array
    """Mean of the last distribution, shape (P,)."""
    covariance: Array
    """Of the last distribution, its step length included, shape (P, P)."""
    loss: float
    """Of the best candidate of the last generation."""


def minimise(
    loss: Callable[[Array], Array],
    start: Array,
    *,
    spread: float = 0.5,
    generations: int = 40,
    population: int = 16,
    seed: int = 0,
    told: Callable[[int, float], None] | None = None,
) -> Found:
    """The mean of the search's distribution after some generations.

    Args:
        loss: Of candidates (G, P), shape (G,); what is no number ranks last.
        start: First mean, shape (P,).
        spread: First standard deviation along every axis.
        generations: How many.
        population: Candidates in each.
        seed: Of all draws.
        told: Called after each generation with its number and its least loss.
    """
    rng = np.random.default_rng(seed)
    size = len(start)
    half = population // 2
    weights = np.log(half + 0.5) - np.log(np.arange(1, half + 1))
    weights /= weights.sum()
    effective = 1 / (weights**2).sum()
    c_path = (effective + 2) / (size + effective + 5)
    damping = 1 + 2 * max(0.0, np.sqrt((effective - 1) / (size + 1)) - 1) + c_path
    c_cov_path = (4 + effective / size) / (size + 4 + 2 * effective / size)
    c_one = 2 / ((size + 1.3) ** 2 + effective)
    c_mu = min(1 - c_one, 2 * (effective - 2 + 1 / effective) / ((size + 2) ** 2 + effective))
    length = np.sqrt(size) * (1 - 1 / (4 * size) + 1 / (21 * size**2))
    mean, step, best = np.array(start, dtype=np.float64), spread, np.inf
    covariance, path, cov_path = np.eye(size), np.zeros(size), np.zeros(size)
    for generation in range(generations):
        values, axes = np.linalg.eigh(covariance)
        root = np.sqrt(np.maximum(values, 1e-20))
        unit = rng.standard_normal((population, size))
        moves = (unit * root) @ axes.T
        costs = np.nan_to_num(loss(mean + step * moves), nan=np.inf)
        order = np.argsort(costs, kind="stable")[:half]
        best = float(costs[order[0]])
        chosen = moves[order]
        shift = weights @ chosen
        mean = mean + step * shift
        path = (1 - c_path) * path + np.sqrt(c_path * (2 - c_path) * effective) * (axes @ ((axes.T @ shift) / root))
        norm = float(np.linalg.norm(path))
        stalled = norm / np.sqrt(1 - (1 - c_path) ** (2 * (generation + 1))) >= (1.4 + 2 / (size + 1)) * length
        fresh = 0.0 if stalled else np.sqrt(c_cov_path * (2 - c_cov_path) * effective)
        cov_path = (1 - c_cov_path) * cov_path + fresh * shift
        lost = float(stalled) * c_cov_path * (2 - c_cov_path)
        covariance = (
            (1 - c_one - c_mu + c_one * lost) * covariance
            + c_one * np.outer(cov_path, cov_path)
            + c_mu * (chosen.T * weights) @ chosen
        )
        covariance = 0.5 * (covariance + covariance.T)
        step = float(np.clip(step * np.exp(c_path / damping * (norm / length - 1)), 1e-6, 2.0))
        if told is not None:
            told(generation + 1, best)
    return Found(mean, step**2 * covariance, best)
