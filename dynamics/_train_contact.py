# pyright: basic
"""Training on recorded tosses: first the constants, then the contact network with them.

Both are fitted by rollouts: predicted poses are compared with recorded ones frame by frame, through the solver, by a
loss that grows like a logarithm, so that a toss which fell on another face counts little. Gradients are cut to a
largest size per world and step, because those of a tumbling body grow without bound. The horizon grows while the
learning rate falls; the result is a running mean of the weights. Everything that training depends on is in its
checkpoint, and all draws follow from the seed: interrupted training goes on as if it had not been.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dynamics._contact_network import ContactNetwork, make_network
from dynamics._errors import FileFormatError, UsageError
from dynamics._toss_models import TossBody, TossConstants, TossModel, first_states, step_of, toss_step
from dynamics._train_windows import Windows, training_windows
from dynamics.poses import multiply

if TYPE_CHECKING:
    from torch import Tensor

    from dynamics._toss_models import LearnedStep
    from dynamics._tosses import Toss

__all__ = ["Recipe", "constants_of", "identify_constants", "train_contact"]

CONSTANTS = 8
"""How many numbers `constants_of` takes."""
POSITION_UNIT = 0.1
"""Position errors count in this share of the body's width."""
ROTATION_UNIT = 0.1
"""Rotation errors count in radians over this."""
SATURATION = 2.0
"""Errors of this many units begin to count less."""
STATE_CUT = 10.0
"""Largest gradient with respect to a state of one world, relative to the mean loss."""


@dataclass(frozen=True)
class Recipe:
    """How to train."""

    identify: int = 80
    """Iterations for the constants alone."""
    iterations: int = 700
    """Iterations for network and constants."""
    batch: int = 256
    """Rollouts per iteration."""
    shortest: int = 8
    """Steps of a rollout at the beginning."""
    longest: int = 40
    """Steps from the middle of training on."""
    first_share: float = 0.3
    """Share of rollouts that start at first frames."""
    network_rate: float = 3e-3
    """Learning rate of the network."""
    constants_rate: float = 3e-2
    """Learning rate of the constants alone; a third of it with the network."""
    average: float = 0.98
    """Memory of the running mean of the weights."""
    noise: float = 0.0
    """Noise of first states: 1 is 1 cm/s and 0.15 rad/s, as measured."""
    save_every: int = 50
    """Iterations between checkpoints."""


def constants_of(raw: Tensor, body: TossBody) -> TossConstants:
    """Constants of 8 unbounded numbers, each of about unit size; 0 is close to what the cube needs."""
    import torch

    return TossConstants(
        friction=0.18 * torch.exp(0.3 * raw[0]),
        restitution=torch.sigmoid(-1.4 + raw[1]),
        size=0.98 + 0.02 * raw[2],
        inertia=1.2 * torch.exp(0.3 * raw[3]),
        gravity=9.65 + 0.2 * raw[4],
        recovery=torch.sigmoid(-2.0 + raw[5]),
        corner_radius=0.03 * body.width * torch.exp(raw[6]),
        spin=1.02 + 0.05 * torch.tanh(raw[7]),
    )


def identify_constants(
    tosses: Sequence[Toss], body: TossBody, *, seed: int = 0, recipe: Recipe | None = None
) -> TossModel:
    """Plain physics whose constants are fitted to tosses."""
    recipe = Recipe() if recipe is None else recipe
    run = _Run(training_windows(tosses), tuple(tosses), body, replace(recipe, iterations=0), seed, None, None)
    return run.model()


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
    """One contact network with its constants.

    Args:
        tosses: To learn from; give a fold's training tosses.
        body: What was thrown.
        out: File of the checkpoint (.safetensors), written every few iterations; None keeps nothing.
        resume: Go on from the checkpoint, if there is one.
        seed: Of the network's first weights and of all draws.
        recipe: How to train.
        progress: Called after each iteration with its number, their count and the loss.

    Raises:
        UsageError: There are no tosses, or the checkpoint is of other tosses, another seed or recipe.
        FileFormatError: The checkpoint cannot be read.
    """
    recipe = Recipe() if recipe is None else recipe
    run = _Run(training_windows(tosses), tuple(tosses), body, recipe, seed, out if resume else None, progress)
    return run.model(out)


class _Run:
    """Parameters, optimiser state and running mean of one training."""

    def __init__(
        self,
        windows: Windows,
        tosses: tuple[Toss, ...],
        body: TossBody,
        recipe: Recipe,
        seed: int,
        checkpoint: Path | None,
        progress: Callable[[int, int, float], None] | None,
    ) -> None:
        import torch

        self.windows, self.tosses, self.body, self.recipe, self.seed = windows, tosses, body, recipe, seed
        self.progress = progress
        self.values: dict[str, Tensor] = {"constants": torch.zeros(CONSTANTS)}
        if recipe.iterations:
            self.values |= {f"network.{name}": value for name, value in make_network(seed).weights.items()}
        self.first = {name: torch.zeros_like(value) for name, value in self.values.items()}
        self.second = {name: torch.zeros_like(value) for name, value in self.values.items()}
        self.mean = {name: value.clone() for name, value in self.values.items()}
        self.done = 0
        if checkpoint is not None and checkpoint.is_file():
            self._load(checkpoint)

    def model(self, out: Path | None = None) -> TossModel:
        """Train to the end and return the running mean."""
        total = self.recipe.identify + self.recipe.iterations
        while self.done < total:
            loss = self._iterate(self.done)
            self.done += 1
            if self.progress is not None:
                self.progress(self.done, total, loss)
            if out is not None and (self.done % self.recipe.save_every == 0 or self.done == total):
                self._save(out)
        return self._model(self.mean, self.recipe.iterations > 0)

    def _model(self, values: dict[str, Tensor], with_network: bool) -> TossModel:
        network = None
        if with_network:
            prefix = "network."
            network = ContactNetwork({k.removeprefix(prefix): v for k, v in values.items() if k.startswith(prefix)})
        return TossModel(constants_of(values["constants"], self.body), network)

    def _iterate(self, k: int) -> float:
        import torch

        recipe = self.recipe
        alone = k < recipe.identify
        if k == recipe.identify:
            # What is kept of the first stage is its mean: single iterates of a noisy search wander.
            self.values["constants"] = self.mean["constants"].clone()
            self.first["constants"].zero_()
            self.second["constants"].zero_()
        at, length = (k, recipe.identify) if alone else (k - recipe.identify, recipe.iterations)
        share = at / max(length, 1)
        grown = 1.0 if alone else min(1.0, share / 0.5)
        steps = round(recipe.shortest + grown * (recipe.longest - recipe.shortest))
        leaves = {n: v.detach().requires_grad_() for n, v in self.values.items() if not alone or n == "constants"}
        loss = self._loss(leaves, not alone, steps, k)
        gradients: dict[str, Tensor | None] = dict(
            zip(leaves, torch.autograd.grad(loss, list(leaves.values()), allow_unused=True), strict=True)
        )
        rate = min(1.0, (at + 1) / 20) * 0.5 * (1 + math.cos(math.pi * share))
        self._update(gradients, at + 1, rate, alone)
        return float(loss.detach())

    def _update(self, gradients: dict[str, Tensor | None], count: int, rate: float, alone: bool) -> None:
        """Adam [Kingma and Ba 2015] with the whole gradient cut to length 1, and the running mean."""
        import torch

        present = {name: g for name, g in gradients.items() if g is not None}
        length = torch.stack([(g * g).sum() for g in present.values()]).sum().sqrt()
        if not bool(torch.isfinite(length)):
            return
        for name, g in present.items():
            g = g / length.clamp_min(1.0)
            self.first[name] = 0.9 * self.first[name] + 0.1 * g
            self.second[name] = 0.99 * self.second[name] + 0.01 * g * g
            m, v = self.first[name] / (1 - 0.9**count), self.second[name] / (1 - 0.99**count)
            top = self.recipe.network_rate if name != "constants" else self.recipe.constants_rate / (1 if alone else 3)
            self.values[name] = self.values[name] - rate * top * m / (v.sqrt() + 1e-8)
        for name, value in self.values.items():
            if alone and name != "constants":
                continue
            memory = min(self.recipe.average, count / (count + 10))
            self.mean[name] = memory * self.mean[name] + (1 - memory) * value

    def _loss(self, leaves: dict[str, Tensor], with_network: bool, steps: int, k: int) -> Tensor:
        import torch

        recipe = self.recipe
        batch = self.windows.draw(recipe.batch, steps, recipe.first_share, seed=self.seed, iteration=k)
        model = self._model(leaves, with_network)
        step = step_of(model, self.tosses[0].dt)
        pose, twist = batch.pose[:, 0], batch.twist
        first = batch.first >= 0
        if bool(first.any()):
            heads = [self.tosses[int(i)] for i in batch.first[first]]
            begun = first_states(heads, model.constants)[1]
            twist = torch.cat([begun, twist[int(first.sum()) :]])
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + k)
        step = replace(step, mirrored=torch.rand(len(pose), generator=generator) < 0.5)
        if recipe.noise:
            size = torch.tensor([0.01] * 3 + [0.15] * 3) * recipe.noise
            twist = twist + size * torch.randn(twist.shape, generator=generator)
        return rollout_loss(step, model.constants, self.body, pose, twist, batch.pose, batch.valid)

    def _save(self, path: Path) -> None:
        from safetensors.torch import save_file

        tensors = {
            f"{kind}/{name}": value.detach().contiguous()
            for kind in ("values", "first", "second", "mean")
            for name, value in getattr(self, kind).items()
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        save_file(tensors, part, metadata={"run": self._identity(), "done": str(self.done)})
        os.replace(part, path)

    def _load(self, path: Path) -> None:
        from safetensors import safe_open

        try:
            with safe_open(path, framework="pt") as file:
                about = file.metadata() or {}
                tensors: dict[str, Tensor] = {name: file.get_tensor(name) for name in file.keys()}
                done = int(about.get("done", "-1"))
        except Exception as error:
            raise FileFormatError(f"{path} cannot be read as a checkpoint ({error}).") from error
        expected = {f"{kind}/{name}" for kind in ("values", "first", "second", "mean") for name in self.values}
        if about.get("run") != self._identity() or done < 0 or set(tensors) != expected:
            raise UsageError(f"{path} is of another training (tosses, seed or recipe). Remove it or train elsewhere.")
        for name, value in tensors.items():
            kind, key = name.split("/", 1)
            getattr(self, kind)[key] = value
        self.done = done

    def _identity(self) -> str:
        from dynamics._tosses import toss_hash

        about: dict[str, Any] = asdict(self.recipe) | {"seed": self.seed}
        about.pop("save_every")
        return json.dumps(about | {"tosses": sorted(toss_hash(toss) for toss in self.tosses)}, sort_keys=True)


def rollout_loss(
    step: LearnedStep,
    constants: TossConstants,
    body: TossBody,
    pose: Tensor,
    twist: Tensor,
    truth: Tensor,
    valid: Tensor,
) -> Tensor:
    """Mean saturated error of positions and rotations over the frames after the first.

    Args:
        step: Model and length of the step.
        constants: Of the body.
        body: What was thrown.
        pose: At the start, shape (B, 7).
        twist: At the start, shape (B, 6).
        truth: Recorded poses, shape (B, K + 1, 7).
        valid: Which frames count, shape (B, K + 1).
    """
    import torch

    cut = _cut()
    total = torch.zeros(())
    steps = truth.shape[1] - 1
    for t in range(1, steps + 1):
        pose, twist, _ = toss_step(step, constants, body, pose, twist)
        if pose.requires_grad:
            pose, twist = cut(pose, twist, body.width / 2)
        away = (pose[:, :3] - truth[:, t, :3]) / (POSITION_UNIT * body.width)
        between = multiply(pose[:, 3:] * pose.new_tensor([1.0, -1.0, -1.0, -1.0]), truth[:, t, 3:])
        turned = 2 * between[:, 1:] / ROTATION_UNIT
        total = total + ((_saturated(away) + _saturated(turned)) * valid[:, t]).mean()
    return total / steps


def _saturated(error: Tensor) -> Tensor:
    """Smooth at zero, then linear, then logarithmic in the length of the last axis."""
    size = ((error * error).sum(-1) + 0.04).sqrt() - 0.2
    return SATURATION * (size / SATURATION).log1p()


@cache
def _cut() -> Callable[[Tensor, Tensor, float], tuple[Tensor, Tensor]]:
    """The identity, whose gradient is cut per world to `STATE_CUT` over the batch, in units of the body's size."""
    import torch

    class Cut(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, pose: Tensor, twist: Tensor, size: float) -> Any:
            ctx.size = size
            return pose.view_as(pose), twist.view_as(twist)

        @staticmethod
        def backward(ctx: Any, *gradients: Tensor) -> Any:
            pose, twist = (torch.nan_to_num(g, 0.0, 0.0, 0.0) for g in gradients)
            speed = (9.81 * ctx.size) ** 0.5
            units = pose.new_tensor([ctx.size] * 3 + [1.0] * 4), pose.new_tensor([speed] * 3 + [speed / ctx.size] * 3)
            length = (((pose * units[0]) ** 2).sum(1) + ((twist * units[1]) ** 2).sum(1)).sqrt()[:, None]
            factor = (STATE_CUT / len(pose) / length.clamp_min(1e-20)).clamp_max(1.0)
            return pose * factor, twist * factor, None

    return Cut.apply  # pyright: ignore[reportReturnType]
