# pyright: basic
"""Trains networks without physics: tosses in, one network per fold out.

All folds are trained at once, as one set of tensors with a leading axis. Rollouts of growing length, from first frames
and from frames in the middle, are compared with the recording by a loss that grows like a logarithm, as for the contact
network. So that the comparison is fair, first states get the noise that recordings have, and a body that looks the same
after some turns and reflections is shown through all of them. All draws follow from the seed.
"""

from __future__ import annotations

import itertools
import json
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dynamics._errors import FileFormatError, UsageError
from dynamics._free_network import FreeNetworks, free_step, layer_shapes
from dynamics._tosses import toss_hash
from dynamics._train_windows import folds
from dynamics.poses import multiply

if TYPE_CHECKING:
    from torch import Tensor

    from dynamics._toss_body import TossBody
    from dynamics._tosses import Toss

__all__ = ["FreeRecipe", "symmetries", "train_free_networks"]

POSITION_UNIT = 0.1
"""Position errors count in this share of the body's width."""
ROTATION_UNIT = 0.1
"""Rotation errors count in radians over this."""
SATURATION = 2.0
"""Errors of this many units begin to count less."""
NOISE_VELOCITY = 0.01
"""Noise of recorded first velocities [m/s]."""
NOISE_SPIN = 0.15
"""The same of angular velocities [rad/s]."""
STATE_CUT = 10.0
"""Largest gradient with respect to a velocity of one world, relative to the mean loss."""
SAVE_EVERY = 50
"""Iterations between checkpoints."""
Array = NDArray[np.float64]


@dataclass(frozen=True)
class FreeRecipe:
    """How to train."""

    iterations: int = 3200
    """Of Adam."""
    batch: int = 96
    """Rollouts per network and iteration."""
    shortest: int = 4
    """Steps of a rollout at the beginning."""
    longest: int = 40
    """Steps of a rollout in the last fifth."""
    first_share: float = 0.35
    """Share of rollouts that start at first frames."""
    rate: float = 3e-3
    """Learning rate at its highest."""
    average: float = 0.99
    """Memory of the running mean of the weights, which is the result."""
    noise: float = 1.0
    """Noise of first states, relative to what was measured."""


def train_free_networks(
    tosses: Sequence[Toss],
    body: TossBody,
    *,
    parts: int = 5,
    out: Path | None = None,
    resume: bool = False,
    seed: int = 0,
    recipe: FreeRecipe | None = None,
    progress: Callable[[int, int, float], None] | None = None,
) -> FreeNetworks:
    """Networks without physics; number k has not seen the tosses of ``folds(len(tosses), parts)[k]``.

    Args:
        tosses: All of them, of one time step.
        body: What was thrown; only its width and its symmetries are used.
        parts: Number of networks; a single one sees every toss.
        out: File of the checkpoint (.safetensors), written every few iterations; None keeps nothing.
        resume: Go on from the checkpoint, if there is one.
        seed: Of first weights and draws.
        recipe: How to train.
        progress: Called after each iteration with its number, their count and the mean loss of the networks.

    Raises:
        UsageError: There are fewer tosses than parts, or none, or their time steps differ, or the checkpoint is of
            another training.
        FileFormatError: The checkpoint cannot be read.
    """
    import torch

    recipe = FreeRecipe() if recipe is None else recipe
    _check(tosses)
    held: list[set[int]] = [set()] if parts == 1 else [set(part.tolist()) for part in folds(len(tosses), parts)]
    seen = [np.array([i for i in range(len(tosses)) if i not in out_of_fold]) for out_of_fold in held]
    draws = _Draws(tosses, seen, symmetries(body), recipe, seed)
    names = tuple(frozenset(toss_hash(tosses[i]) for i in mine) for mine in seen)
    units = torch.stack([_units([tosses[i] for i in mine]) for mine in seen])
    first = _first_weights(len(seen), seed)
    zero = {name: torch.zeros_like(value) for name, value in first.items()}
    state = {"values": first, "mean": dict(first), "first": zero, "second": dict(zero)}
    about = json.dumps([asdict(recipe), seed, [sorted(part) for part in names], body.width], sort_keys=True)
    done = _load(out, about, state) if resume and out is not None and out.is_file() else 0
    for k in range(done, recipe.iterations):
        grown = min(1.0, k / recipe.iterations / 0.8)
        steps = round(recipe.shortest * (recipe.longest / recipe.shortest) ** grown)
        leaves = {name: value.detach().requires_grad_() for name, value in state["values"].items()}
        loss = _loss(FreeNetworks(leaves, units, tosses[0].dt, names), draws.draw(k, steps), body.width)
        gradients = torch.autograd.grad(loss.sum(), list(leaves.values()))
        _update(state, dict(zip(leaves, gradients, strict=True)), k, recipe)
        if out is not None and (k + 1) % SAVE_EVERY == 0:
            _save(out, about, state, k + 1)
        if progress is not None:
            progress(k + 1, recipe.iterations, float(loss.detach().mean()))
    return FreeNetworks(state["mean"], units, tosses[0].dt, names)


def _check(tosses: Sequence[Toss]) -> None:
    if not tosses:
        raise UsageError("Training needs one toss or more, found none.")
    steps = [toss.dt for toss in tosses]
    if max(steps) - min(steps) > 1e-6 * max(steps):
        raise UsageError(f"Tosses to train on share one time step, found {min(steps):.5g} to {max(steps):.5g} s.")


def symmetries(body: TossBody) -> Array:
    """Turns and reflections that exchange the body's axes and leave its points where points were, shape (S, 3, 3)."""
    found: list[Array] = []
    near = 1e-3 * body.width
    for order in itertools.permutations(range(3)):
        for signs in itertools.product((1.0, -1.0), repeat=3):
            matrix = np.zeros((3, 3))
            matrix[range(3), order] = signs
            moved = body.points @ matrix.T
            away = np.linalg.norm(moved[:, None] - body.points, axis=2)
            same = (away.min(1) < near).all() and (away.min(0) < near).all()
            inertia = matrix @ body.inertia @ matrix.T
            even = np.allclose(inertia, body.inertia, rtol=0, atol=1e-3 * body.inertia.trace())
            if same and even and np.linalg.norm(matrix @ body.com - body.com) < near:
                found.append(matrix)
    return np.stack(found)


@dataclass(frozen=True, eq=False)
class _Rollouts:
    """N rollouts of K steps for each of E networks."""

    truth: Tensor
    """(E, N, K + 1, 7)"""
    valid: Tensor
    """(E, N, K + 1)"""
    twist: Tensor
    """(E, N, 6)"""
    mirror: Tensor
    """(E, N, 3, 3)"""


class _Draws:
    """Draws rollouts of each network's own tosses."""

    def __init__(
        self,
        tosses: Sequence[Toss],
        seen: Sequence[NDArray[np.int64]],
        mirrors: Array,
        recipe: FreeRecipe,
        seed: int,
    ) -> None:
        import torch

        self.length = np.array([len(toss) for toss in tosses])
        self.seen, self.recipe, self.seed = seen, recipe, seed
        frames = np.minimum(np.arange(self.length.max()), self.length[:, None] - 1)
        pose = np.stack([toss.T_world_body[rows] for toss, rows in zip(tosses, frames, strict=True)])
        twist = np.stack([toss.twist[rows] for toss, rows in zip(tosses, frames, strict=True)])
        self.pose = torch.tensor(pose, dtype=torch.float32)
        self.twist = torch.tensor(twist, dtype=torch.float32)
        self.mirrors = torch.tensor(mirrors, dtype=torch.float32)

    def draw(self, iteration: int, steps: int) -> _Rollouts:
        import torch

        rng = np.random.default_rng([self.seed, iteration])
        shape = (len(self.seen), self.recipe.batch)
        toss = np.stack([rng.choice(mine, self.recipe.batch) for mine in self.seen])
        # A start leaves half of the steps before the end of the recording, so that few frames are empty.
        room = np.maximum(self.length[toss] - 1 - steps // 2, 1)
        start = (rng.random(shape) * room).astype(np.int64)
        start[:, : round(self.recipe.first_share * self.recipe.batch)] = 0
        frames = start[..., None] + np.arange(steps + 1)
        valid = torch.as_tensor(frames < self.length[toss][..., None])
        which = torch.as_tensor(toss)
        truth = self.pose[which[..., None], torch.as_tensor(np.minimum(frames, self.pose.shape[1] - 1))]
        size = np.array([NOISE_VELOCITY] * 3 + [NOISE_SPIN] * 3) * self.recipe.noise
        noise = torch.as_tensor(size * rng.standard_normal((*shape, 6)), dtype=torch.float32)
        mirror = self.mirrors[torch.as_tensor(rng.integers(0, len(self.mirrors), shape))]
        return _Rollouts(truth, valid, self.twist[which, torch.as_tensor(start)] + noise, mirror)


def _loss(networks: FreeNetworks, rollouts: _Rollouts, width: float) -> Tensor:
    """Mean saturated error of positions and rotations of each network, shape (E,)."""
    import torch

    pose, twist = rollouts.truth[:, :, 0], rollouts.twist
    path: list[Tensor] = []
    limit = STATE_CUT / pose.shape[1]
    for _ in range(rollouts.truth.shape[2] - 1):
        pose, twist = free_step(networks, pose, twist, rollouts.mirror)
        twist.register_hook(lambda g: g * (limit / g.norm(dim=-1, keepdim=True).clamp_min(1e-20)).clamp_max(1.0))
        path.append(pose)
    found, truth = torch.stack(path, dim=2), rollouts.truth[:, :, 1:]
    away = (found[..., :3] - truth[..., :3]) / (POSITION_UNIT * width)
    between = multiply(found[..., 3:] * found.new_tensor([1.0, -1.0, -1.0, -1.0]), truth[..., 3:])
    error = _saturated(away) + _saturated(2 * between[..., 1:] / ROTATION_UNIT)
    return (error * rollouts.valid[:, :, 1:]).mean((1, 2))


def _saturated(error: Tensor) -> Tensor:
    """Smooth at zero, then linear, then logarithmic in the length of the last axis."""
    size = ((error * error).sum(-1) + 0.04).sqrt() - 0.2
    return SATURATION * (size / SATURATION).log1p()


def _update(state: dict[str, dict[str, Tensor]], gradients: dict[str, Tensor], k: int, recipe: FreeRecipe) -> None:
    """Adam [Kingma and Ba 2015] and the running mean.

    Each network's gradient is cut to length 1, whatever the others do; a broken one is left out.
    """
    import torch

    length = torch.stack([(g * g).sum((1, 2)) for g in gradients.values()]).sum(0).sqrt()[:, None, None]
    factor = torch.where(length.isfinite(), 1 / length.clamp_min(1.0), torch.zeros_like(length))
    falling = 0.5 * (1 + math.cos(math.pi * k / recipe.iterations)) + 1e-3
    rate = recipe.rate * min(1.0, (k + 1) / 50) * falling
    memory = min(recipe.average, k / (k + 10))
    for name, g in gradients.items():
        g = torch.nan_to_num(g, 0.0, 0.0, 0.0) * factor
        state["first"][name] = 0.9 * state["first"][name] + 0.1 * g
        state["second"][name] = 0.99 * state["second"][name] + 0.01 * g * g
        m, v = state["first"][name] / (1 - 0.9 ** (k + 1)), state["second"][name] / (1 - 0.99 ** (k + 1))
        state["values"][name] = state["values"][name] - rate * m / (v.sqrt() + 1e-8)
        state["mean"][name] = memory * state["mean"][name] + (1 - memory) * state["values"][name]


def _save(path: Path, about: str, state: dict[str, dict[str, Tensor]], done: int) -> None:
    from safetensors.torch import save_file

    tensors = {f"{kind}/{name}": value.contiguous() for kind, part in state.items() for name, value in part.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    save_file(tensors, part, metadata={"run": about, "done": str(done)})
    os.replace(part, path)


def _load(path: Path, about: str, state: dict[str, dict[str, Tensor]]) -> int:
    """Fills in the state, and says how many iterations it has behind it."""
    from safetensors import safe_open

    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            tensors: dict[str, Tensor] = {name: file.get_tensor(name) for name in file.keys()}
            done = int(header.get("done", "-1"))
    except Exception as error:
        raise FileFormatError(f"{path} cannot be read as a checkpoint ({error}).") from error
    if header.get("run") != about or done < 0:
        raise UsageError(f"{path} is of another training (tosses, seed or recipe). Remove it or train elsewhere.")
    for name, value in tensors.items():
        kind, key = name.split("/", 1)
        state[kind][key] = value
    return done


def _units(tosses: Sequence[Toss]) -> Tensor:
    """Mean height and standard deviations of what goes in and comes out, in the order of `UNITS`."""
    import torch

    height = np.concatenate([toss.T_world_body[:, 2] for toss in tosses])
    twist = np.concatenate([toss.twist for toss in tosses])
    change = np.concatenate([np.diff(toss.twist, axis=0) for toss in tosses])
    sizes = [float(np.sqrt((part**2).mean())) for part in (twist[:, :3], twist[:, 3:], change[:, :3], change[:, 3:])]
    return torch.tensor([float(height.mean()), float(height.std()), *sizes], dtype=torch.float32).clamp_min(1e-6)


def _first_weights(count: int, seed: int) -> dict[str, Tensor]:
    """The same random weights for all networks; the last layer is near zero."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    values: dict[str, Tensor] = {}
    for name, shape in layer_shapes().items():
        bound = (3 / shape[0]) ** 0.5 * (0.03 if name.startswith("layer4") else 1.0)
        random = not name.endswith("bias")
        value = bound * (2 * torch.rand(shape, generator=generator) - 1) if random else torch.zeros(shape)
        values[name] = value.repeat(count, 1, 1)
    return values
