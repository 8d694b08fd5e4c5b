# pyright: basic
"""All the networks that are committed: one ensemble per fold that has not seen it, and one that has seen every toss.

All their members are trained at once, from one checkpoint, which is gone when the weights are written. The support of a
model is gathered from the contacts of its own rollouts of its training tosses.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dynamics._contact_features import before_features, scales
from dynamics._contact_network import solver_residuals, stacked
from dynamics._contact_rows import contact_frames, relative_velocity
from dynamics._contact_support import support_of
from dynamics._contact_weights import load_weights, save_weights
from dynamics._errors import UsageError
from dynamics._toss_body import TossConstants
from dynamics._toss_frames import heading, upright
from dynamics._toss_models import first_states, step_of, toss_contacts, toss_step
from dynamics._tosses import toss_hash
from dynamics._train_contact import Pupil, train_contacts
from dynamics._train_windows import folds

if TYPE_CHECKING:
    from torch import Tensor

    from dynamics._contact_support import ContactSupport
    from dynamics._toss_body import TossBody
    from dynamics._toss_models import TossModel
    from dynamics._tosses import Toss
    from dynamics._train_contact import Trained
    from dynamics._train_recipe import Recipe

__all__ = ["CHECKPOINT", "MEMBERS", "gathered_support", "joined_models", "train_folds"]

MEMBERS = 4
"""Networks of an ensemble."""
CHECKPOINT = "training.safetensors"
"""File beside the weights from which interrupted training goes on."""


@dataclass(frozen=True, eq=False)
class _Plan:
    """One file of weights."""

    name: str
    seen: Sequence[Toss]


def train_folds(
    tosses: Sequence[Toss],
    body: TossBody,
    out: Path,
    *,
    parts: int = 5,
    members: int = MEMBERS,
    resume: bool = True,
    seed: int = 0,
    recipe: Recipe | None = None,
    progress: Callable[[int, int, float], None] | None = None,
) -> list[Path]:
    """Train ``fold-0.safetensors`` ... and ``all.safetensors`` in the folder `out`; returns their paths.

    Args:
        tosses: All of them.
        body: What was thrown.
        out: Folder of the weights and, until they are there, of the checkpoint.
        parts: Number of folds; network k has not seen the tosses of ``folds(len(tosses), parts)[k]``. 0 trains ``all``
            alone.
        members: Networks per file, averaged.
        resume: Skip what is there and go on from the checkpoint; otherwise everything is trained anew.
        seed: The members' seeds count up from ``1000 seed``.
        recipe: How to train.
        progress: Called with iteration, their count and the mean loss.

    Raises:
        UsageError: There are fewer tosses than folds, no members, or what is there is of another training.
        FileFormatError: What is there cannot be read.
    """
    if members < 1 or parts < 0 or parts == 1:
        raise UsageError(f"Training takes 1 member or more and 0 folds or 2 and more, not {members} and {parts}.")
    plans = [_Plan(f"fold-{k}", _without(tosses, held.tolist())) for k, held in enumerate(_held(len(tosses), parts))]
    plans.append(_Plan("all", list(tosses)))
    out.mkdir(parents=True, exist_ok=True)
    files = [out / f"{plan.name}.safetensors" for plan in plans]
    todo = [pair for pair in zip(plans, files, strict=True) if not (resume and _is_there(*pair))]
    if todo:
        pupils = [Pupil(plan.seen, 1000 * seed + i) for plan, _ in todo for i in range(members)]
        checkpoint = out / CHECKPOINT
        found = train_contacts(pupils, body, out=checkpoint, resume=resume, recipe=recipe, progress=progress)
        for i, (plan, file) in enumerate(todo):
            _write(file, found[i * members : (i + 1) * members], body, plan.seen)
        checkpoint.unlink(missing_ok=True)
    return files


def _is_there(plan: _Plan, file: Path) -> bool:
    if not file.is_file():
        return False
    if load_weights(file).tosses != {toss_hash(toss) for toss in plan.seen}:
        raise UsageError(f"{file} was trained on other tosses or folds. Remove it or train elsewhere.")
    return True


def _held(count: int, parts: int) -> Sequence[Any]:
    return folds(count, parts) if parts else ()


def _without(tosses: Sequence[Toss], held: Sequence[int]) -> list[Toss]:
    left_out = set(held)
    return [toss for i, toss in enumerate(tosses) if i not in left_out]


def _write(file: Path, trained: Sequence[Trained], body: TossBody, seen: Sequence[Toss]) -> None:
    model = joined_models([one.model for one in trained])
    model = replace(model, support=gathered_support(model, body, seen))
    save_weights(file, model, [toss_hash(toss) for toss in seen], trained[0].identified)


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
    constants = model.constants
    step = step_of(replace(model, support=None), tosses[0].dt)
    pose, twist = first_states(tosses, constants)
    way = heading(twist)
    with torch.no_grad():
        pose, twist = upright(constants, way, pose, twist)
        for _ in range(max(len(toss) for toss in tosses) - 1):
            inertia, contacts, patch, free = toss_contacts(step, constants, body, pose, twist, way)
            if contacts.gap.shape[1] and model.network is not None:
                relative = relative_velocity(contacts, inertia, free)
                frames = contact_frames(contacts, relative)
                units = scales(contacts, inertia, step.gravity)
                features = before_features(contacts, inertia, free, relative, frames, patch, units, step.dt)
                residuals = solver_residuals(model.network, features, contacts, 2)
                found.append(features[contacts.used])
                spread.append(residuals.spread[contacts.used])
            pose, twist, _ = toss_step(step, constants, body, pose, twist, way)
    return support_of(torch.cat(found), torch.cat(spread))
