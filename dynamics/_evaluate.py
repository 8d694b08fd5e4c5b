# pyright: basic
"""Every model judged on recorded tosses: tosses in; errors, predicted paths and stated uncertainty out.

1. Tosses are distributed so that each is scored by models that have not seen it (`_evaluate_split`).
2. What a group of tosses may be fitted to is fitted, or read from the record beside the weights (`_evaluate_fitted`).
3. Each model predicts each toss from its first frame for its whole length (`_evaluate_models`).
4. Errors, and futures of the best model, are put back into the order of the file.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dynamics._evaluate_body import is_cube
from dynamics._evaluate_choice import (
    Progress,
    Request,
    available,
    calibrating,
    check_steps,
    found_records,
    free_networks,
    note_samples,
)
from dynamics._evaluate_fitted import Fitted, fit_to
from dynamics._evaluate_models import ModelName, Predictor, with_fitted_constants
from dynamics._evaluate_split import Group, Sample, default_weights, plan_groups
from dynamics._toss_futures import FutureScores, future_scores, toss_futures
from dynamics._toss_metrics import TossErrors, toss_errors
from dynamics._tosses import toss_hash

if TYPE_CHECKING:
    from dynamics._contact_weights import ContactWeights
    from dynamics._toss_body import TossBody
    from dynamics._tosses import Toss

__all__ = ["Evaluation", "Part", "evaluate_tosses", "joined_parts"]

FITTED = {"physics_identified", "physics_persistent", "physics_network", "mujoco"}
"""Models that need what is fitted."""
Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What came of N scored tosses."""

    scored: NDArray[np.int64]
    """Their places in the file."""
    samples: list[Sample]
    """How each relates to what the network has seen."""
    errors: dict[ModelName, TossErrors]
    """Of each model, in the order of the table."""
    shapes: list[Array]
    """Corners of each body in its frame [m], (P, 3)."""
    truth: list[Array]
    """Recorded poses of the bodies, (T, nb, 7); the first body is the root."""
    paths: dict[ModelName, list[Array]]
    """Predicted poses, (T, nb, 7)."""
    recorded: TossErrors
    """The recordings against themselves: only their penetration is not zero."""
    support: Array | None
    """Share of the network's contacts in its support, (N,)."""
    futures: FutureScores | None
    """Of the best model."""
    futures_of: ModelName
    """Which model that is."""
    groups: list[tuple[Group, Fitted]]
    """Who was scored by what."""
    notes: list[str] = field(default_factory=list)
    """What the reader of the table should know, sentences."""


def evaluate_tosses(
    tosses: Sequence[Toss], body: TossBody, request: Request, *, progress: Progress | None = None
) -> Evaluation:
    """Judge all models on tosses of one rigid body.

    Args:
        tosses: Recordings that share one time step.
        body: What was thrown.
        request: Which models, weights and split.
        progress: Called with what is being done and the share of all work that is done.

    Raises:
        UsageError: Too few tosses, unequal time steps, or no such model.
        FileFormatError: Weights or records are damaged.
    """
    say = progress or (lambda _text, _share: None)
    check_steps(tosses)
    own = is_cube(body)
    folder = default_weights() if request.weights is None else request.weights
    models, networks, notes = available(request)
    free = free_networks(folder, own, models, notes)
    records = found_records(folder, networks)
    groups = plan_groups(
        [toss_hash(toss) for toss in tosses],
        {name: weights.tosses for name, weights in networks.items()},
        own_body=own,
        fit_on=request.fit_on,
        records={name: record.tosses for name, record in records.items()},
    )
    note_samples(groups, own, bool(networks), request, notes)
    best: ModelName = "physics_network" if "physics_network" in models else "physics_identified"
    run = _Run(tosses, body, request, own, networks, free, records, models, say, len(groups))
    parts = [run.group(number, group) for number, group in enumerate(groups)]
    return joined_parts(parts, models, [body.points], notes, best)


@dataclass(frozen=True, eq=False)
class Part:
    """The results of one group of tosses."""

    group: Group
    fitted: Fitted
    errors: dict[ModelName, TossErrors]
    truth: list[Array]
    paths: dict[ModelName, list[Array]]
    recorded: TossErrors
    support: Array | None
    futures: FutureScores | None


@dataclass(frozen=True, eq=False)
class _Run:
    tosses: Sequence[Toss]
    body: TossBody
    request: Request
    own: bool
    networks: dict[str, ContactWeights]
    free: Any
    records: dict[str, Fitted]
    models: list[ModelName]
    say: Progress
    count: int
    known: dict[tuple[bytes, str | None], Fitted] = field(default_factory=dict)

    def group(self, number: int, group: Group) -> Part:
        """Fit, predict and score."""

        def say(text: str, share: float) -> None:
            self.say(f"{text}, part {number + 1} of {self.count}", (number + share) / self.count)

        held = [self.tosses[i] for i in group.held]
        fitted = self._fitted(group, lambda text: say(f"fitting {text}", 0.1))
        speaks = "physics_network" in self.models
        network = self.networks[group.network].model if group.network and speaks else None
        if network is not None and not self.own:
            network = with_fitted_constants(network, fitted)
        predictor = Predictor(self.body, fitted, network, self.free)
        points = self.body.points * fitted.constants.get("size", 1.0)
        errors: dict[ModelName, TossErrors] = {}
        paths: dict[ModelName, list[Array]] = {}
        support: Array | None = None
        truth = [toss.T_world_body for toss in held]
        for model in self.models:
            say(model, 0.5)
            paths[model], share = predictor.paths(model, held)
            support = share if share is not None else support
            errors[model] = toss_errors(truth, paths[model], width=self.body.width, points=points)
        recorded = toss_errors(truth, truth, width=self.body.width, points=points)
        say("futures", 0.7)
        futures = self._futures(predictor, fitted, held)
        every: dict[ModelName, list[Array]] = {
            model: [path[:, None] for path in found] for model, found in paths.items()
        }
        return Part(group, fitted, errors, [path[:, None] for path in truth], every, recorded, support, futures)

    def _fitted(self, group: Group, say: Callable[[str], None]) -> Fitted:
        if group.record is not None:
            return self.records[group.record]
        if not self.request.futures and not set(self.models) & FITTED:
            return Fitted(frozenset(), {}, (), {}, {})
        key = (group.train.tobytes(), group.network)
        if key not in self.known:
            weights = self.networks.get(group.network or "")
            train = [self.tosses[i] for i in group.train]
            same = weights is not None and self.own and weights.tosses == {toss_hash(toss) for toss in train}
            identified = weights.identified if weights is not None and same else None
            for (other, _), record in self.known.items():
                identified = record.physics().constants if other == key[0] else identified
            self.known[key] = fit_to(
                train,
                self.body,
                constants=identified,
                networks=calibrating(self.networks, group.network, train, self.own),
                own_body=self.own,
                mujoco="mujoco" in self.models,
                futures=self.request.futures > 0,
                seed=self.request.seed,
                recipe=self.request.recipe,
                progress=say,
            )
        return self.known[key]

    def _futures(self, predictor: Predictor, fitted: Fitted, held: Sequence[Toss]) -> FutureScores | None:
        if not self.request.futures:
            return None
        name = "physics_identified" if predictor.network is None else "physics_network"
        made = toss_futures(
            predictor.speaking(),
            self.body,
            held,
            fitted.spread,
            fitted.scales[name],
            futures=self.request.futures,
            seed=self.request.seed,
        )
        return future_scores(made, held, self.body.width, seed=self.request.seed)


def joined_parts(
    parts: list[Part], models: list[ModelName], shapes: list[Array], notes: list[str], futures_of: ModelName
) -> Evaluation:
    """All groups in the order of the file."""
    held = np.concatenate([part.group.held for part in parts])
    order = np.argsort(held, kind="stable")
    samples: list[Sample] = [part.group.sample for part in parts for _ in part.group.held]
    truth = [path for part in parts for path in part.truth]
    paths: dict[ModelName, list[Array]] = {
        model: [path for part in parts for path in part.paths[model]] for model in models
    }
    shares = [part.support for part in parts if part.support is not None]
    scores = [part.futures for part in parts if part.futures is not None]
    ordered: dict[ModelName, list[Array]] = {model: [path[i] for i in order] for model, path in paths.items()}
    return Evaluation(
        scored=held[order],
        samples=[samples[i] for i in order],
        errors={model: TossErrors.joined([part.errors[model] for part in parts])[order] for model in models},
        shapes=shapes,
        truth=[truth[i] for i in order],
        paths=ordered,
        recorded=TossErrors.joined([part.recorded for part in parts])[order],
        support=np.concatenate(shares)[order] if len(shares) == len(parts) else None,
        futures=FutureScores.joined(scores).ordered(order) if scores else None,
        futures_of=futures_of,
        groups=[(part.group, part.fitted) for part in parts],
        notes=notes,
    )
