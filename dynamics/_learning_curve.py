# pyright: basic
"""How much a contact network learns from how many tosses, compared with constants fitted to the same tosses.

Networks of all sizes are trained at once on the first tosses of one random order, and judged on tosses that none of
them has seen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dynamics._bootstrap import Interval, paired_gain
from dynamics._errors import UsageError
from dynamics._toss_metrics import summary
from dynamics._toss_models import TossModel
from dynamics._train_contact import Pupil, train_contacts
from dynamics._train_folds import joined_models
from dynamics._train_scores import scored
from dynamics._train_windows import folds

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dynamics._toss_body import TossBody
    from dynamics._tosses import Toss
    from dynamics._train_recipe import Recipe

__all__ = ["CurvePoint", "learning_curve"]

SIZES = (16, 32, 64, 128, 256, 296)


@dataclass(frozen=True, eq=False)
class CurvePoint:
    """What so many tosses teach."""

    tosses: int
    """How many."""
    physics: dict[str, Interval]
    """Errors of identified constants, as from `summary`."""
    network: dict[str, Interval]
    """Errors with the network."""
    position_gain: Interval
    """By how much the network is better in position, percent of the width, paired."""
    rotation_gain: Interval
    """The same of the median rotation [deg]."""


def learning_curve(
    tosses: Sequence[Toss],
    body: TossBody,
    *,
    sizes: Sequence[int] = SIZES,
    members: int = 1,
    seed: int = 0,
    recipe: Recipe | None = None,
    out: Path | None = None,
    progress: Callable[[int, int, float], None] | None = None,
) -> list[CurvePoint]:
    """Train on more and more tosses, judge on those of fold 0.

    Args:
        tosses: All of them; those of fold 0 are not trained on.
        body: What was thrown.
        sizes: Numbers of tosses.
        members: Networks of an ensemble.
        seed: Of the order, of first weights and draws.
        recipe: How to train.
        out: Checkpoint, which is gone on from.
        progress: As of `train_contacts`.

    Raises:
        UsageError: A size is below 1 or above what there is.
    """
    held = folds(len(tosses))[0]
    rest = np.setdiff1d(np.arange(len(tosses)), held)
    order = np.random.default_rng(seed).permutation(rest)
    if not sizes or min(sizes) < 1 or max(sizes) > len(order):
        raise UsageError(f"Sizes of a learning curve are 1 to {len(order)} tosses, not {list(sizes)}.")
    taught = [[tosses[i] for i in order[:size]] for size in sizes]
    pupils = [Pupil(some, 1000 * seed + k) for some in taught for k in range(members)]
    trained = train_contacts(pupils, body, out=out, resume=True, recipe=recipe, progress=progress)
    test = [tosses[i] for i in held]
    points: list[CurvePoint] = []
    for i, size in enumerate(sizes):
        group = trained[i * members : (i + 1) * members]
        before = scored(TossModel(group[0].identified), body, test)
        after = scored(joined_models([one.model for one in group]), body, test)
        gains = (
            paired_gain(before.position_percent, after.position_percent, _mean),
            paired_gain(before.rotation_deg, after.rotation_deg, _median),
        )
        points.append(CurvePoint(size, summary(before), summary(after), *gains))
    return points


def _mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return values.mean(-1)


def _median(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.median(values, axis=-1)
