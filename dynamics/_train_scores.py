# pyright: basic
"""How well trained folds predict the tosses that they have not seen, with and without their networks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dynamics._contact_weights import load_weights
from dynamics._toss_metrics import TossErrors, toss_errors
from dynamics._toss_models import TossModel, predicted
from dynamics._train_windows import folds

if TYPE_CHECKING:
    from dynamics._toss_body import TossBody
    from dynamics._tosses import Toss

__all__ = ["held_out_scores", "scored"]


def held_out_scores(tosses: Sequence[Toss], body: TossBody, folder: Path, parts: int) -> dict[str, dict[str, float]]:
    """Mean errors of ``physics`` and of ``network``, each toss predicted by the fold that has not seen it.

    Args:
        tosses: Those that were trained on, in their order.
        body: What was thrown.
        folder: Of the weights.
        parts: Number of folds.

    Raises:
        FileFormatError: A file of weights is missing or damaged.
    """
    found: dict[str, list[TossErrors]] = {"physics": [], "network": []}
    for k, held in enumerate(folds(len(tosses), parts)):
        weights = load_weights(folder / f"fold-{k}.safetensors")
        constants = weights.identified or weights.model.constants
        some = [tosses[i] for i in held]
        found["physics"].append(scored(TossModel(constants), body, some))
        found["network"].append(scored(weights.model, body, some))
    return {name: _figures(TossErrors.joined(parts)) for name, parts in found.items()}


def scored(model: TossModel, body: TossBody, tosses: Sequence[Toss], *, futures: int = 1) -> TossErrors:
    """Errors of a model's predictions; `futures` as of `predicted`."""
    truth = [toss.T_world_body for toss in tosses]
    guess = predicted(model, body, tosses, futures=futures)
    return toss_errors(truth, guess, width=body.width, points=body.points)


def _figures(errors: TossErrors) -> dict[str, float]:
    return {
        "position_percent": float(errors.position_percent.mean()),
        "rotation_deg": float(errors.rotation_deg.mean()),
        "rotation_deg_median": float(np.median(errors.rotation_deg)),
    }
