"""An evaluation as one JSON document: a row per model, gains, stated uncertainty, and every toss by itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from dynamics._bootstrap import bootstrap, mean, median, paired_gain
from dynamics._toss_futures import LEVEL, TIMES
from dynamics._toss_metrics import summary

if TYPE_CHECKING:
    from dynamics._bootstrap import Interval
    from dynamics._evaluate import Evaluation

__all__ = ["evaluation_document", "ranked_tosses"]

BEFORE, AFTER = "physics_identified", "physics_network"


def evaluation_document(evaluation: Evaluation, *, seed: int = 0) -> dict[str, Any]:
    """Everything that can be told in numbers.

    Args:
        evaluation: What came of it.
        seed: Of the bootstrap.
    """
    in_sample = evaluation.samples.count("seen")
    models: list[dict[str, Any]] = []
    for name, errors in evaluation.errors.items():
        row: dict[str, Any] = {"model": name, **_plain(summary(errors, seed=seed))}
        row["in_sample"] = in_sample if name in (AFTER, "network_without_physics") else 0
        models.append(row)
    document: dict[str, Any] = {
        "tosses": len(evaluation.scored),
        "samples": {kind: evaluation.samples.count(kind) for kind in ("new", "out of fold", "seen")},
        "models": models,
        "gains": _gains(evaluation, seed),
        "uncertainty": _uncertainty(evaluation, seed),
        "support": None if evaluation.support is None else float(evaluation.support.mean()),
        "recorded_penetration_percent": asdict(bootstrap(evaluation.recorded.penetration_percent, mean, seed=seed)),
        "fitted": [_fitted(evaluation, number) for number in range(len(evaluation.groups))],
        "notes": evaluation.notes,
        "per_toss": [_toss(evaluation, number) for number in range(len(evaluation.scored))],
    }
    return document


def ranked_tosses(evaluation: Evaluation) -> dict[str, int]:
    """The best, the median and the worst toss of the best model by its position error, as places among the scored."""
    errors = evaluation.errors.get(evaluation.futures_of) or next(reversed(evaluation.errors.values()))
    order = np.argsort(errors.position_percent, kind="stable")
    places = {"best": 0, "median": len(order) // 2, "worst": len(order) - 1}
    return {label: int(order[place]) for label, place in places.items()}


def _plain(row: Mapping[str, Interval]) -> dict[str, dict[str, float]]:
    return {name: asdict(interval) for name, interval in row.items()}


def _gains(evaluation: Evaluation, seed: int) -> dict[str, Any] | None:
    """What the network gains over identified physics on the same tosses; positive is better."""
    if BEFORE not in evaluation.errors or AFTER not in evaluation.errors:
        return None
    before, after = evaluation.errors[BEFORE], evaluation.errors[AFTER]
    position = paired_gain(before.position_percent, after.position_percent, mean, seed=seed)
    turned = paired_gain(before.rotation_deg, after.rotation_deg, median, seed=seed)
    rows = {"position_percent": asdict(position), "rotation_deg_median": asdict(turned)}
    return {"of": AFTER, "over": BEFORE, **rows}


def _uncertainty(evaluation: Evaluation, seed: int) -> dict[str, Any] | None:
    """Coverage of the nominal intervals and the CRPS of positions."""
    scores = evaluation.futures
    if scores is None:
        return None
    parts = {"position": scores.position_inside, "rotation": scores.rotation_inside, "axes": scores.axes_inside}
    names = [f"{time:g} s" for time in TIMES] + ["end"]
    coverage = [
        {"at": at, **{part: asdict(bootstrap(inside[:, k], mean, seed=seed)) for part, inside in parts.items()}}
        for k, at in enumerate(names)
    ]
    alone = evaluation.errors.get(evaluation.futures_of)
    return {
        "model": evaluation.futures_of,
        "nominal": LEVEL,
        "coverage": coverage,
        "crps_position_percent": asdict(bootstrap(scores.crps_percent, mean, seed=seed)),
        "deterministic_position_percent": None
        if alone is None
        else asdict(bootstrap(alone.position_percent, mean, seed=seed)),
    }


def _fitted(evaluation: Evaluation, number: int) -> dict[str, Any]:
    group, fitted = evaluation.groups[number]
    return {
        "network": group.network,
        "sample": group.sample,
        "scored": len(group.held),
        "fitted_to": len(fitted.tosses),
        "constants": fitted.constants,
        "contact_residual": list(fitted.residual),
        "scales": fitted.scales,
        "mujoco": fitted.mujoco,
    }


def _toss(evaluation: Evaluation, number: int) -> dict[str, Any]:
    errors = {
        name: {
            "position_percent": float(each.position_percent[number]),
            "rotation_deg": float(each.rotation_deg[number]),
            "final_rotation_deg": float(each.final_rotation_deg[number]),
        }
        for name, each in evaluation.errors.items()
    }
    return {"toss": int(evaluation.scored[number]), "sample": evaluation.samples[number], **errors}
