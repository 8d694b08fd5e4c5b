# pyright: basic
"""All the networks that are committed: one per fold that has not seen it, and an ensemble that has seen every toss.

Each training writes its own checkpoint and is skipped when its weights are there, so that an interrupted night goes on
where it was. The support of a model is gathered from the contacts of its own rollouts of its training tosses.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from dynamics._contact_features import before_features, scales
from dynamics._contact_network import solver_residuals, stacked
from dynamics._contact_rows import contact_frames, relative_velocity
from dynamics._contact_support import support_of
from dynamics._contact_weights import load_weights, save_weights
from dynamics._toss_models import TossConstants, first_states, step_of, toss_contacts, toss_step
from dynamics._tosses import toss_hash
from dynamics._train_contact import Recipe, train_contact
from dynamics._train_windows import folds

if TYPE_CHECKING:
    from torch import Tensor

    from dynamics._contact_support import ContactSupport
    from dynamics._toss_models import TossBody, TossModel
    from dynamics._tosses import Toss

__all__ = ["ENSEMBLE", "fold_models", "gathered_support", "joined_models", "train_folds"]

ENSEMBLE = 4
"""Members of the network that has seen every toss."""
Report = Callable[[str, int, int, float], None]


def train_folds(
    tosses: Sequence[Toss],
    body: TossBody,
    out: Path,
    *,
    parts: int = 5,
    members: int = 1,
    ensemble: int = ENSEMBLE,
    resume: bool = True,
    recipe: Recipe | None = None,
    progress: Report | None = None,
) -> None:
    """Train ``fold-0.safetensors`` ... and ``all.safetensors`` in the folder `out`.

    Args:
        tosses: All of them.
        body: What was thrown.
        out: Folder of weights and, below ``checkpoints``, of what is resumed from.
        parts: Number of folds; network k has not seen the tosses of ``folds(len(tosses), parts)[k]``.
        members: Networks per fold, averaged.
        ensemble: Networks that see every toss, averaged; 0 leaves ``all`` out.
        resume: Skip what is there and go on from checkpoints; otherwise everything is trained anew.
        recipe: How to train.
        progress: Called with the name of the training, iteration, their count and the loss.
    """
    plan = [
        (f"fold-{k}", [toss for i, toss in enumerate(tosses) if i not in set(held.tolist())], members)
        for k, held in enumerate(folds(len(tosses), parts))
    ]
    if ensemble:
        plan.append(("all", list(tosses), ensemble))
    out.mkdir(parents=True, exist_ok=True)
    for name, seen, count in plan:
        target = out / f"{name}.safetensors"
        if resume and target.is_file():
            continue
        trained = [_member(seen, body, out, f"{name}-{seed}", seed, resume, recipe, progress) for seed in range(count)]
        model = joined_models(trained)
        model = replace(model, support=gathered_support(model, body, seen))
        save_weights(target, model, [toss_hash(toss) for toss in seen])


def fold_models(folder: Path, parts: int = 5) -> list[TossModel]:
    """The models of `train_folds`, in the order of folds.

    Raises:
        FileFormatError: One is missing or damaged.
    """
    return [load_weights(folder / f"fold-{k}.safetensors").model for k in range(parts)]


def joined_models(models: Sequence[TossModel]) -> TossModel:
    """One model of several: the mean of their constants and of their networks' answers."""
    import torch

    names = TossConstants.__dataclass_fields__
    constants = TossConstants(
        **{name: torch.stack([getattr(model.constants, name) for model in models]).mean(0) for name in names}
    )
    networks = [model.network for model in models if model.network is not None]
    return replace(models[0], constants=constants, network=stacked(networks) if networks else None)


def gathered_support(model: TossModel, body: TossBody, tosses: Sequence[Toss]) -> ContactSupport:
    """The support of a model: its contacts in rollouts of its training tosses, from their first frames."""
    import torch

    found: list[Tensor] = []
    spread: list[Tensor] = []
    step = step_of(replace(model, support=None), tosses[0].dt)
    pose, twist = first_states(tosses, model.constants)
    with torch.no_grad():
        for _ in range(max(len(toss) for toss in tosses) - 1):
            inertia, contacts, patch, free = toss_contacts(step, model.constants, body, pose, twist)
            if contacts.gap.shape[1] and model.network is not None:
                relative = relative_velocity(contacts, inertia, free)
                frames = contact_frames(contacts, relative)
                units = scales(contacts, inertia, step.gravity)
                features = before_features(contacts, inertia, free, relative, frames, patch, units, step.dt)
                residuals = solver_residuals(model.network, features, contacts, 2)
                found.append(features[contacts.used])
                spread.append(residuals.spread[contacts.used])
            pose, twist, _ = toss_step(step, model.constants, body, pose, twist)
    return support_of(torch.cat(found), torch.cat(spread))


def _member(
    tosses: Sequence[Toss],
    body: TossBody,
    out: Path,
    name: str,
    seed: int,
    resume: bool,
    recipe: Recipe | None,
    progress: Report | None,
) -> TossModel:
    def told(done: int, total: int, loss: float) -> None:
        if progress is not None:
            progress(name, done, total, loss)

    checkpoint = out / "checkpoints" / f"{name}.safetensors"
    return train_contact(tosses, body, out=checkpoint, resume=resume, seed=seed, recipe=recipe, progress=told)
