# pyright: basic
"""Training on recorded tosses: first the constants, then contact networks with them, many at once.

Both are fitted by rollouts: predicted poses are compared with recorded ones frame by frame, through the solver. The
horizon grows while the learning rate falls; the result is a running mean of the weights. Networks that are trained
together share nothing but the time of the machine: each has its own tosses, seed, constants and weights, along a
leading axis, because tensors of one alone are so small that torch would spend its time between them. Everything that
training depends on is in its checkpoint, and all draws follow from the seeds: interrupted training goes on as if it had
not been.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dynamics._contact_network import ContactNetwork, make_network, stacked
from dynamics._errors import UsageError
from dynamics._toss_body import TossConstants
from dynamics._toss_frames import at_first_frame, first_noise, heading, upright
from dynamics._toss_models import TossModel, step_of
from dynamics._tosses import toss_hash
from dynamics._train_loss import rollout_losses
from dynamics._train_recipe import CONSTANTS, Recipe, constants_of
from dynamics._train_state import TrainState, load_state, optimised, save_state, started
from dynamics._train_windows import Windows, joined_batches, training_windows

if TYPE_CHECKING:
    from torch import Tensor

    from dynamics._toss_body import TossBody
    from dynamics._tosses import Toss

__all__ = ["Pupil", "Recipe", "Trained", "constants_of", "identify_constants", "train_contact", "train_contacts"]


@dataclass(frozen=True, eq=False)
class Pupil:
    """One network to be trained."""

    tosses: Sequence[Toss]
    """What it learns from."""
    seed: int = 0
    """Of its first weights and of all draws."""


@dataclass(frozen=True, eq=False)
class Trained:
    """What came of one."""

    model: TossModel
    """Constants and network."""
    identified: TossConstants
    """Constants that suit these tosses best without a network."""


def identify_constants(
    tosses: Sequence[Toss], body: TossBody, *, seed: int = 0, recipe: Recipe | None = None
) -> TossModel:
    """Plain physics whose constants are fitted to tosses; the first stage of training.

    Args:
        tosses: To fit to.
        body: What was thrown.
        seed: Of all draws.
        recipe: How to fit; its later stage is left out.

    Raises:
        UsageError: There are no tosses, or they differ in their time step.
    """
    recipe = replace(Recipe() if recipe is None else recipe, iterations=0, identify_seed=seed)
    return train_contact(tosses, body, recipe=recipe)


def train_contact(
    tosses: Sequence[Toss],
    body: TossBody,
    *,
    out: Path | None = None,
    resume: bool = False,
    seed: int = 0,
    recipe: Recipe | None = None,
    progress: Callable[[int, int, float], None] | None = None,
) -> TossModel:
    """One contact network with its constants; arguments as of `train_contacts`."""
    pupils = [Pupil(tosses, seed)]
    return train_contacts(pupils, body, out=out, resume=resume, recipe=recipe, progress=progress)[0].model


def train_contacts(
    pupils: Sequence[Pupil],
    body: TossBody,
    *,
    out: Path | None = None,
    resume: bool = False,
    recipe: Recipe | None = None,
    progress: Callable[[int, int, float], None] | None = None,
) -> list[Trained]:
    """Contact networks with their constants.

    Args:
        pupils: Who learns from what. Those with the same tosses begin with the same constants.
        body: What was thrown.
        out: File of the checkpoint (.safetensors), written every few iterations and on Ctrl-C; None keeps nothing.
        resume: Go on from the checkpoint, if there is one.
        recipe: How to train.
        progress: Called after each iteration with its number, their count and the mean loss.

    Raises:
        UsageError: There are no tosses, or the checkpoint is of other tosses, other seeds or another recipe.
        FileFormatError: The checkpoint cannot be read.
    """
    course = _Course(pupils, body, Recipe() if recipe is None else recipe)
    state = course.first_state()
    if out is not None and resume and out.is_file():
        state = load_state(out, course.identity)
    try:
        while state.done < course.total:
            state, loss = course.next(state)
            if out is not None and (state.done % course.recipe.save_every == 0 or state.done == course.total):
                save_state(out, state, course.identity)
            if progress is not None:
                progress(state.done, course.total, loss)
    except KeyboardInterrupt:
        if out is not None:
            save_state(out, state, course.identity)
        raise
    return course.trained(state)


class _Course:
    """What does not change while G networks are trained."""

    def __init__(self, pupils: Sequence[Pupil], body: TossBody, recipe: Recipe) -> None:
        import torch

        if not pupils:
            raise UsageError("Training needs one network or more, found none.")
        self.body, self.recipe = body, recipe
        names = [tuple(toss_hash(toss) for toss in pupil.tosses) for pupil in pupils]
        sets = list(dict.fromkeys(names))
        self.windows: list[Windows] = [training_windows(pupils[names.index(name)].tosses) for name in sets]
        self.dt = pupils[0].tosses[0].dt
        self.seeds = [pupil.seed for pupil in pupils]
        self.which = torch.tensor([sets.index(name) for name in names])
        self.total = recipe.identify + recipe.iterations
        about: dict[str, Any] = asdict(recipe) | {"seeds": self.seeds, "which": self.which.tolist()}
        about.pop("save_every")
        self.identity = json.dumps(about | {"tosses": [sorted(name) for name in sets]}, sort_keys=True)

    def first_state(self) -> TrainState:
        """Constants alone, one row for each set of tosses."""
        import torch

        constants = torch.zeros(len(self.windows), CONSTANTS)
        return started(0, constants, {"constants": constants})

    def next(self, state: TrainState) -> tuple[TrainState, float]:
        """The state after an iteration, and the mean loss in it."""
        import torch

        recipe = self.recipe
        if state.done == recipe.identify:
            state = self._met(state)
        alone = state.done < recipe.identify
        at, length = (state.done, recipe.identify) if alone else (state.done - recipe.identify, recipe.iterations)
        share = at / max(length, 1)
        leaves = {name: value.detach().requires_grad_() for name, value in state.values.items()}
        losses = self._losses(leaves, state.done, recipe.horizon(share, alone=alone))
        # Networks do not see each other: the gradient of the sum is that of each.
        found = torch.autograd.grad(losses.sum(), list(leaves.values()), allow_unused=True)
        gradients = {name: g for name, g in zip(leaves, found, strict=True) if g is not None}
        rate = min(1.0, (at + 1) / 20) * 0.5 * (1 + math.cos(math.pi * share))
        constants_rate = rate * recipe.constants_rate * (1.0 if alone else recipe.late_constants)
        rates = {name: constants_rate if name == "constants" else rate * recipe.network_rate for name in gradients}
        decay = {name: 0.0 if name == "constants" else recipe.decay for name in gradients}
        state = optimised(state, gradients, rates, decay, at + 1, recipe.average)
        return state, float(losses.detach().mean())

    def _met(self, state: TrainState) -> TrainState:
        """From the first stage to the second, with networks; what is kept of a noisy search is its mean."""
        identified = state.mean["constants"]
        networks = stacked([make_network(seed) for seed in self.seeds]).weights
        values = {f"network.{name}": value for name, value in networks.items()}
        return started(state.done, identified, {"constants": identified[self.which]} | values)

    def trained(self, state: TrainState) -> list[Trained]:
        """The running means."""
        found: list[Trained] = []
        with_network = self.recipe.iterations > 0
        for row, source in enumerate(self.which.tolist()):
            identified = (state.identified if with_network else state.mean["constants"])[source]
            plain = TossModel(constants_of(identified, self.body))
            model = plain
            if with_network:
                weights = {name: value[row : row + 1] for name, value in _weights(state.mean).items()}
                model = TossModel(constants_of(state.mean["constants"][row], self.body), ContactNetwork(weights))
            found.append(Trained(model, plain.constants))
        return found

    def _losses(self, leaves: dict[str, Tensor], k: int, steps: int) -> Tensor:
        """Loss of each network, (G,), over the rollouts of iteration k."""
        import torch

        recipe, alone = self.recipe, k < self.recipe.identify
        # Constants alone depend on the tosses and on nothing else.
        seeds = [recipe.identify_seed] * len(self.windows) if alone else self.seeds
        windows = self.windows if alone else [self.windows[i] for i in self.which.tolist()]
        draws = zip(windows, seeds, strict=True)
        batch = joined_batches([w.draw(recipe.batch, steps, recipe.first_share, seed=s, iteration=k) for w, s in draws])
        member = torch.arange(len(seeds)).repeat_interleave(recipe.batch)
        generators = [torch.Generator().manual_seed(seed * 1_000_003 + k) for seed in seeds]
        mirrored = torch.cat([torch.rand(recipe.batch, generator=g) < 0.5 for g in generators])
        constants = constants_of(leaves["constants"], self.body).of_worlds(member)
        network = None if alone else ContactNetwork(_weights(leaves), apart=True)
        step = replace(step_of(TossModel(constants, network), self.dt), mirrored=mirrored, member=member)
        twist = torch.where(batch.first, at_first_frame(batch.twist, constants, self.dt), batch.twist)
        if recipe.noise:
            normal = torch.cat([torch.randn(recipe.batch, 6, generator=g) for g in generators])
            twist = twist + recipe.noise * first_noise(normal, batch.thrown)
        way = heading(batch.thrown)
        twist = upright(constants, way, batch.pose[:, 0], twist)[1]
        truth = upright(constants, way, batch.pose, torch.zeros(len(twist), 1, 6))[0]
        options: dict[str, Any] = {"networks": len(seeds), "saturation": recipe.saturation}
        start = (truth[:, 0], twist, way)
        return rollout_losses(step, constants, self.body, start, truth, batch.valid, **options)


def _weights(values: dict[str, Tensor]) -> dict[str, Tensor]:
    prefix = "network."
    return {name.removeprefix(prefix): value for name, value in values.items() if name.startswith(prefix)}
