"""Figures of a set of tosses and how sure they are: percentile intervals under resampling of whole tosses.

Frames of one toss are not independent, tosses are; so tosses are drawn with replacement, and the figure is computed
again of each draw [Efron and Tibshirani 1993]. The same seed draws the same tosses whatever the values: two models are
compared on the same draws, which is what makes the interval of their difference narrow.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Interval", "bootstrap", "mean", "median", "paired_gain"]

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


def mean(values: Array) -> Array:
    """Over the last axis."""
    return values.mean(-1)


def median(values: Array) -> Array:
    """Over the last axis."""
    return np.median(values, axis=-1)
