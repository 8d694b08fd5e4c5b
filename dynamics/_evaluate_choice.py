# pyright: basic
"""What an evaluation can have: the models that were asked for and are there, their weights, records, and notes on them.

What is missing (networks, MuJoCo) leaves its row out with a note that says how to get it; what is damaged is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dynamics._errors import DeviceError, UsageError
from dynamics._evaluate_fitted import Fitted, load_fitted
from dynamics._evaluate_models import ModelName, check_models
from dynamics._evaluate_split import Group, default_weights, load_networks
from dynamics._toss_futures import FUTURES
from dynamics._tosses import toss_hash

if TYPE_CHECKING:
    from dynamics._contact_weights import ContactWeights
    from dynamics._toss_models import TossModel
    from dynamics._tosses import Toss
    from dynamics._train_contact import Recipe

__all__ = [
    "Progress",
    "Request",
    "available",
    "calibrating",
    "check_steps",
    "fitted_path",
    "found_records",
    "free_networks",
    "note_samples",
]

FREE = "free.safetensors"
INSTALL_MUJOCO = "mujoco is not installed, so its row is left out: pip install 'scene3d[baselines]'"
Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class Request:
    """What is asked for."""

    fit_on: int | None = None
    """Fit constants to the first so many tosses and score the others; None fits them out of fold."""
    models: tuple[str, ...] = ()
    """Names of models, all for none."""
    weights: Path | None = None
    """Folder of trained networks; None takes those that come with the project."""
    futures: int = FUTURES
    """Futures of each toss; 0 leaves uncertainty out."""
    seed: int = 0
    """Of everything random."""
    recipe: Recipe | None = None
    """How constants are identified; None for the usual way."""


def available(
    request: Request, left_out: Sequence[ModelName] = ()
) -> tuple[list[ModelName], dict[str, ContactWeights], list[str]]:
    """The models to judge, networks by name, and notes on what is missing.

    Args:
        request: What is asked for.
        left_out: Models that are not known for this kind of body.

    Raises:
        UsageError: There is no such model, or none is left.
        FileFormatError: Weights are damaged.
        DeviceError: MuJoCo was asked for by name and is not installed.
    """
    notes: list[str] = []
    models: list[ModelName] = [name for name in check_models(request.models) if name not in left_out]
    folder = default_weights() if request.weights is None else request.weights
    networks = _networks(folder, request, models, notes)
    _check_mujoco(request, models, notes)
    if not models:
        raise UsageError(f"Nothing is left to judge of {', '.join(request.models)} on this body.")
    return models, networks, notes


def check_steps(tosses: Sequence[Toss]) -> None:
    """Refuse tosses with different time steps."""
    steps = [toss.dt for toss in tosses]
    if max(steps) - min(steps) > 1e-6 * max(steps):
        raise UsageError(f"Tosses of one file share one time step, found {min(steps):.5g} to {max(steps):.5g} s.")


def calibrating(
    networks: dict[str, ContactWeights], name: str | None, train: Sequence[Toss], own_body: bool = True
) -> list[tuple[TossModel, list[Toss]]]:
    """Networks of the kind of one, each with those training tosses that it has not seen; itself where there are none.

    A network is too sure of what it was trained on. Folds beside it have seen other tosses, and together the same kind.
    """
    if name is None:
        return []
    found: list[tuple[TossModel, list[Toss]]] = []
    if own_body:
        for other, weights in networks.items():
            unseen = [toss for toss in train if toss_hash(toss) not in weights.tosses]
            if other != name and unseen:
                found.append((weights.model, unseen))
    return found or [(networks[name].model, list(train))]


def fitted_path(folder: Path, network: str) -> Path:
    """Where the record of what was fitted to a network's tosses lies."""
    return folder / f"fitted-{network}.json"


def _networks(folder: Path, request: Request, models: list[ModelName], notes: list[str]) -> dict[str, ContactWeights]:
    # They are loaded whichever models are judged: what they have seen decides who is scored by which constants.
    if request.weights is None and not list(folder.glob("fold-*.safetensors")):
        if "physics_network" in models:
            models.remove("physics_network")
            notes.append("No trained networks come with this copy; `scene3d train-dynamics` makes them.")
        return {}
    return load_networks(folder)


def free_networks(folder: Path, own: bool, models: list[ModelName], notes: list[str]) -> Any:
    """The networks without physics, where there are any for this body."""
    if "network_without_physics" not in models:
        return None
    path = folder / FREE
    if own and path.is_file():
        from dynamics._free_network import load_free_networks

        return load_free_networks(path)
    models.remove("network_without_physics")
    notes.append(
        "There is no network without physics for another body, so its row is left out."
        if not own
        else f"{path.name} is not among the weights, so network_without_physics is left out."
    )
    return None


def _check_mujoco(request: Request, models: list[ModelName], notes: list[str]) -> None:
    if "mujoco" not in models:
        return
    from dynamics.baselines._mujoco_tosses import has_mujoco

    if has_mujoco():
        return
    if "mujoco" in request.models:
        raise DeviceError(INSTALL_MUJOCO.replace(", so its row is left out", "") + ".")
    models.remove("mujoco")
    notes.append(INSTALL_MUJOCO)


def found_records(folder: Path, networks: dict[str, ContactWeights]) -> dict[str, Fitted]:
    """Records that fit their networks; others are of older weights and are made again."""
    found: dict[str, Fitted] = {}
    for name, weights in networks.items():
        path = fitted_path(folder, name)
        if path.is_file():
            record = load_fitted(path)
            if record.tosses == weights.tosses:
                found[name] = record
    return found


def note_samples(groups: list[Group], own: bool, networks: bool, request: Request, notes: list[str]) -> None:
    count = {sample: sum(len(g.held) for g in groups if g.sample == sample) for sample in ("new", "seen")}
    total = sum(len(group.held) for group in groups)
    if request.fit_on is not None:
        notes.append(f"Constants were fitted to the first {request.fit_on} tosses; the other {total} are scored.")
        if own and networks:
            notes.append("The network keeps the constants that it was trained with.")
    elif not own or not networks:
        notes.append("Constants were fitted out of fold, five times to four fifths of these tosses.")
    if not networks:
        return
    if not own:
        notes.append("The network was trained on another body and speaks only within its support.")
    elif count["new"] == total:
        notes.append("No network has seen these tosses; the one trained on all others is scored.")
    elif count["new"]:
        notes.append(f"{count['new']} of {total} tosses are new to every network.")
    if own and count["seen"]:
        notes.append(f"{count['seen']} of {total} tosses were seen by every network: these scores are in sample.")
