# pyright: basic
"""Adaptation of a trained contact network to another object or table from minutes of recordings.

Only the factors of an `Adapter` are trained, by the same loss through rollouts as the network itself. A quarter of the
recordings is kept out: training stops when they are no longer predicted better, the best factors are kept, and where
none predict them better than the base does, the adapter is empty.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from dynamics._adapter import Adapter, adapted, model_hash
from dynamics._errors import UsageError
from dynamics._toss_frames import heading, upright
from dynamics._toss_models import first_states, step_of
from dynamics._train_loss import rollout_losses
from dynamics._train_windows import training_windows

if TYPE_CHECKING:
    from torch import Tensor

    from dynamics._toss_body import TossBody
    from dynamics._toss_models import TossModel
    from dynamics._tosses import Toss
    from dynamics._train_windows import Windows

__all__ = ["AdaptRecipe", "adapt"]

LEAST = 4
"""Fewer recordings cannot be split into two halves that mean something."""


@dataclass(frozen=True)
class AdaptRecipe:
    """How to adapt."""

    iterations: int = 200
    """The most that are made."""
    batch: int = 64
    """Rollouts of each."""
    steps: int = 24
    """Steps of a rollout."""
    rate: float = 3e-3
    """Learning rate of Adam."""
    check_every: int = 10
    """Iterations between looks at what was kept out."""
    patience: int = 5
    """Looks without a gain after which training stops."""
    decay: float = 1e-3
    """Weight decay of the factors."""


def adapt(
    model: TossModel,
    body: TossBody,
    tosses: Sequence[Toss],
    *,
    rank: int = 4,
    seed: int = 0,
    recipe: AdaptRecipe | None = None,
    progress: Callable[[int, int, float], None] | None = None,
) -> Adapter:
    """An adapter of a model to recorded tosses.

    Args:
        model: Base with a network; it is not changed.
        body: What was thrown.
        tosses: Recordings, four or more, of one time step.
        rank: Of the factors.
        seed: Of the first factors, the split and all draws.
        recipe: How to adapt.
        progress: Called after each iteration with its number, the most there can be, and the loss.

    Raises:
        UsageError: The model has no network, there are too few tosses, or the rank is not above zero.
    """
    if model.network is None:
        raise UsageError("There is no contact network to adapt: the model is plain physics. Give trained weights.")
    if len(tosses) < LEAST:
        raise UsageError(f"Adapting takes {LEAST} recordings or more, found {len(tosses)}.")
    if rank < 1:
        raise UsageError(f"The rank of an adapter is 1 or more, found {rank}.")
    recipe = AdaptRecipe() if recipe is None else recipe
    order = np.random.default_rng(seed).permutation(len(tosses))
    kept = max(1, len(tosses) // 4)
    held, seen = ([tosses[i] for i in part] for part in (np.sort(order[:kept]), np.sort(order[kept:])))
    run = _Run(model, body, training_windows(seen), tuple(seen), training_windows(held), tuple(held), recipe, seed)
    return run.adapter(rank, progress)


@dataclass
class _Run:
    model: TossModel
    body: TossBody
    windows: Windows
    seen: tuple[Toss, ...]
    held_windows: Windows
    held: tuple[Toss, ...]
    recipe: AdaptRecipe
    seed: int

    def adapter(self, rank: int, progress: Callable[[int, int, float], None] | None) -> Adapter:
        import torch

        down, up = self._first(rank)
        leaves = [*down.values(), *up.values()]
        optimiser = torch.optim.AdamW(leaves, lr=self.recipe.rate, weight_decay=self.recipe.decay)
        base = self.held_losses(self.model)
        best, least, waited = Adapter(model_hash(self.model)), float(base.mean()), 0
        for k in range(self.recipe.iterations):
            loss = self._loss(adapted(self.model, down, up), k)
            optimiser.zero_grad()
            loss.backward()
            length = torch.nn.utils.clip_grad_norm_(leaves, 1.0)
            if bool(torch.isfinite(length)):
                optimiser.step()
            if progress is not None:
                progress(k + 1, self.recipe.iterations, float(loss.detach()))
            if (k + 1) % self.recipe.check_every:
                continue
            losses = self.held_losses(adapted(self.model, down, up))
            # Gains within the noise of few recordings are no gains.
            error = float((losses - base).std(correction=0)) / len(losses) ** 0.5
            waited += 1
            if float(losses.mean()) < least and float((base - losses).mean()) > error:
                kept = [{name: value.detach().clone() for name, value in part.items()} for part in (down, up)]
                best, least, waited = Adapter(best.base, *kept), float(losses.mean()), 0
            if waited >= self.recipe.patience:
                break
        return best

    def held_losses(self, model: TossModel) -> Tensor:
        """Of each toss that was kept out, from its first frame for its whole length, shape (N,)."""
        import torch

        truth = self.held_windows.pose
        frames = torch.arange(truth.shape[1])
        valid = frames < torch.as_tensor(self.held_windows.length)[:, None]
        twist = first_states(self.held, model.constants)[1]
        way = heading(torch.as_tensor(self.held_windows.thrown, dtype=torch.float32))
        with torch.no_grad():
            return self._losses(model, truth, twist, way, valid, None, len(self.held))

    def _losses(
        self,
        model: TossModel,
        poses: Tensor,
        twist: Tensor,
        way: Tensor,
        valid: Tensor,
        mirrored: Tensor | None,
        blocks: int,
    ) -> Tensor:
        """Mean losses of so many equal blocks of recordings (B, T, 7)."""
        import torch

        constants = model.constants
        truth = upright(constants, way, poses, torch.zeros(len(poses), 1, 6))[0]
        start = (truth[:, 0], upright(constants, way, poses[:, 0], twist)[1], way)
        step = replace(step_of(model, self.seen[0].dt), mirrored=mirrored)
        return rollout_losses(step, constants, self.body, start, truth, valid, networks=blocks)

    def _first(self, rank: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """A random, B zero: the adapted model begins as the base."""
        import torch

        assert self.model.network is not None
        generator = torch.Generator().manual_seed(self.seed)
        down: dict[str, Tensor] = {}
        up: dict[str, Tensor] = {}
        for name, weight in sorted(self.model.network.weights.items()):
            if not name.endswith(".weight"):
                continue
            members, into, out = weight.shape
            first = torch.randn(members, into, rank, generator=generator) * into**-0.5
            down[name] = first.requires_grad_()
            up[name] = torch.zeros(members, rank, out, requires_grad=True)
        return down, up

    def _loss(self, model: TossModel, k: int) -> Tensor:
        import torch

        batch = self.windows.draw(self.recipe.batch, self.recipe.steps, 0.5, seed=self.seed, iteration=k)
        constants = model.constants
        down = torch.tensor([0.0, 0.0, -0.5 * self.seen[0].dt])
        linear = batch.twist[:, :3] * constants.speed + constants.gravity * down
        recorded = torch.cat([linear, batch.twist[:, 3:] * constants.spin], dim=-1)
        twist = torch.where(batch.first, recorded, batch.twist)
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + k)
        mirrored = torch.rand(len(twist), generator=generator) < 0.5
        return self._losses(model, batch.pose, twist, heading(batch.thrown), batch.valid, mirrored, 1)[0]
