# pyright: basic
"""What evaluation fits to training tosses before it may look at others: one record per set of training tosses.

Constants of plain physics, its mean residual, the contact constants of MuJoCo, the spread of futures and the scale at
which they cover what they say. A record carries the hashes of the tosses that it was fitted to, is one small JSON file
beside the weights of the network that saw the same tosses, and is fitted again where there is none.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dynamics._errors import FileFormatError
from dynamics._persistent import contact_residual
from dynamics._toss_body import TEXTBOOK, TossConstants
from dynamics._toss_futures import calibrated_scale, future_scores, posterior_spread, toss_futures
from dynamics._toss_models import TossModel
from dynamics._tosses import toss_hash
from dynamics._train_contact import identify_constants

if TYPE_CHECKING:
    from dynamics._toss_models import TossBody
    from dynamics._tosses import Toss
    from dynamics._train_contact import Recipe

__all__ = ["Fitted", "fit_to", "load_fitted", "save_fitted"]

SPREAD_TOSSES, SCALE_TOSSES, SCALE_FUTURES = 24, 120, 16
LARGEST_FILE = 1 << 20
Progress = Callable[[str], None]


@dataclass(frozen=True)
class Fitted:
    """What was fitted to a set of tosses."""

    tosses: frozenset[str]
    """Their hashes, as from `toss_hash`."""
    constants: dict[str, float]
    """Of plain physics, by the names of `TossConstants`."""
    residual: tuple[float, ...]
    """Mean velocity that it misses in a step with contact, as from `contact_residual`, six numbers."""
    spread: dict[str, float]
    """Of the constants from toss to toss, as from `posterior_spread`."""
    scales: dict[str, float]
    """Of futures, by model: ``physics_identified``, ``physics_network``."""
    mujoco: dict[str, float] = field(default_factory=dict)
    """MuJoCo's contact constants; empty when they were not fitted."""

    def physics(self) -> TossModel:
        """Plain physics with these constants."""
        return TossModel(TossConstants.of(**{**TEXTBOOK, **self.constants}))


def fit_to(
    tosses: Sequence[Toss],
    body: TossBody,
    *,
    constants: TossConstants | None = None,
    networks: Sequence[tuple[TossModel, Sequence[Toss]]] = (),
    own_body: bool = True,
    mujoco: bool = True,
    futures: bool = True,
    seed: int = 0,
    recipe: Recipe | None = None,
    progress: Progress | None = None,
) -> Fitted:
    """Fit everything to training tosses.

    Args:
        tosses: To fit to, one or more; they share one time step.
        body: What was thrown.
        constants: Of plain physics, when they were identified on these tosses before; None identifies them.
        networks: By which futures of the network are calibrated: networks of its kind, each with tosses, best with
            some that it has not seen, since it is too sure of those that it has.
        own_body: Whether networks were trained on this body; else they take the constants that are fitted here.
        mujoco: Whether to fit MuJoCo's constants.
        futures: Whether to fit the spread and scale of futures.
        seed: Of all draws.
        recipe: How constants are identified.
        progress: Called with what is being fitted.
    """
    say = progress or (lambda _: None)
    if constants is None:
        say("constants")
        constants = identify_constants(tosses, body, seed=seed, recipe=recipe).constants
    model = TossModel(constants)
    residual = tuple(contact_residual(model, body, tosses).tolist())
    names = frozenset(toss_hash(toss) for toss in tosses)
    fitted = Fitted(names, model.constants.numbers(), residual, {}, {})
    if futures:
        say("spread of futures")
        spread = posterior_spread(model, body, some_of(tosses, SPREAD_TOSSES), seed=seed)
        scales = {"physics_identified": _scale([(model, tosses)], body, spread, seed)}
        if networks:
            say("futures of the network")
            spoken = [(m if own_body else replace(m, constants=constants), some) for m, some in networks]
            scales["physics_network"] = _scale(spoken, body, spread, seed)
        fitted = replace(fitted, spread=spread, scales=scales)
    if mujoco:
        from dynamics.baselines._mujoco_tosses import fit_mujoco

        say("MuJoCo")
        fitted = replace(fitted, mujoco=fit_mujoco(tosses, body, fitted.constants, seed=seed))
    return fitted


def some_of(tosses: Sequence[Toss], count: int) -> list[Toss]:
    """At most so many, evenly from all."""
    places = np.unique(np.linspace(0, len(tosses) - 1, min(count, len(tosses))).round().astype(int))
    return [tosses[i] for i in places]


def _scale(
    models: Sequence[tuple[TossModel, Sequence[Toss]]], body: TossBody, spread: dict[str, float], seed: int
) -> float:
    """The scale of futures at which positions and rotations of training tosses are covered as often as stated."""
    pairs = [(model, some_of(tosses, -(-SCALE_TOSSES // len(models)))) for model, tosses in models]

    def coverage(scale: float) -> float:
        inside: list[float] = []
        for model, some in pairs:
            made = toss_futures(model, body, some, spread, scale, futures=SCALE_FUTURES, seed=seed + 1)
            scores = future_scores(made, some, body.width, seed=seed + 1)
            inside += (0.5 * (scores.position_inside + scores.rotation_inside)).mean(1).tolist()
        return float(np.mean(inside))

    return calibrated_scale(coverage)


def save_fitted(path: Path, fitted: Fitted) -> None:
    """Write a record; an existing file is replaced at once."""
    document = {**asdict(fitted), "tosses": sorted(fitted.tosses)}
    part = path.with_suffix(".part")
    part.write_text(json.dumps(document, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    os.replace(part, path)


def load_fitted(path: Path) -> Fitted:
    """Read a record.

    Raises:
        FileFormatError: The file cannot be read or misses something.
    """
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise ValueError("it is too large")
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        numbers = {
            name: {str(key): _number(value) for key, value in found[name].items()}
            for name in ("constants", "spread", "scales", "mujoco")
        }
        residual = tuple(_number(value) for value in found["residual"])
        if len(residual) != 6 or not set(numbers["constants"]) <= set(TEXTBOOK):
            raise ValueError("it is of another version")
        return Fitted(tosses=frozenset(map(str, found["tosses"])), residual=residual, **numbers)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise FileFormatError(f"{path} is no record of fitted constants ({error}). Remove it to fit again.") from error


def _number(value: Any) -> float:
    number = float(value)
    if not np.isfinite(number):
        raise ValueError(f"{value} is no number")
    return number
