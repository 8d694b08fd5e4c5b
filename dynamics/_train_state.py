# pyright: basic
"""Where the training of many networks is: parameters, optimiser, running means; one step of it; its file.

A state is never changed: an iteration makes the next one, so that Ctrl-C finds a whole state whenever it comes. All
tensors have a leading axis, one row per network.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dynamics._errors import FileFormatError, UsageError

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["TrainState", "load_state", "optimised", "save_state", "started"]

KINDS = ("values", "first", "second", "mean")


@dataclass(frozen=True, eq=False)
class TrainState:
    """Training after `done` iterations."""

    done: int
    """Iterations."""
    identified: Tensor
    """Numbers of the constants without networks, shape (sets of tosses, 13)."""
    values: dict[str, Tensor]
    """Parameters by name."""
    first: dict[str, Tensor]
    """Running means of gradients."""
    second: dict[str, Tensor]
    """Running means of their squares."""
    mean: dict[str, Tensor]
    """Running means of parameters, which are the result."""


def started(done: int, identified: Tensor, values: dict[str, Tensor]) -> TrainState:
    """An optimiser at rest."""
    import torch

    zeros = {name: torch.zeros_like(value) for name, value in values.items()}
    return TrainState(done, identified, values, zeros, dict(zeros), dict(values))


def optimised(
    state: TrainState,
    gradients: Mapping[str, Tensor],
    rates: Mapping[str, float],
    decay: Mapping[str, float],
    count: int,
    memory: float,
) -> TrainState:
    """The state after a step of Adam [Kingma and Ba 2015], every network's whole gradient cut to length 1.

    Args:
        state: Before.
        gradients: By name, where there are any.
        rates: Learning rates by name.
        decay: How fast values fall to zero, per learning rate.
        count: Steps of the optimiser, this one included.
        memory: Of the running mean of values.

    A network whose gradient is not finite is left as it was.
    """
    import torch

    length = torch.stack([(g * g).flatten(1).sum(1) for g in gradients.values()]).sum(0).sqrt()
    fine = torch.isfinite(length)
    values, first, second = dict(state.values), dict(state.first), dict(state.second)
    for name, gradient in gradients.items():
        rows = (-1, *(1,) * (gradient.ndim - 1))
        keep = fine.reshape(rows)
        g = torch.where(keep, gradient, 0.0) / torch.where(fine, length, 1.0).clamp_min(1.0).reshape(rows)
        m = 0.9 * state.first[name] + 0.1 * g
        v = 0.99 * state.second[name] + 0.01 * g * g
        step = rates[name] * (m / (1 - 0.9**count)) / ((v / (1 - 0.99**count)).sqrt() + 1e-8)
        changed = state.values[name] * (1 - rates[name] * decay[name]) - step
        before = (state.first[name], state.second[name], state.values[name])
        first[name], second[name], values[name] = (
            torch.where(keep, new, old) for new, old in zip((m, v, changed), before, strict=True)
        )
    share = min(memory, count / (count + 10))
    mean = {name: share * state.mean[name] + (1 - share) * value for name, value in values.items()}
    return TrainState(state.done + 1, state.identified, values, first, second, mean)


def save_state(path: Path, state: TrainState, identity: str) -> None:
    """Write a checkpoint; an existing file is replaced at once.

    Args:
        path: File (.safetensors).
        state: To keep.
        identity: What the training is of, compared by `load_state`.
    """
    from safetensors.torch import save_file

    tensors = {f"{kind}/{name}": value for kind in KINDS for name, value in getattr(state, kind).items()}
    tensors["identified"] = state.identified
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    # Copies, because the file format does not store two names of one tensor.
    copies = {name: value.detach().clone().contiguous() for name, value in tensors.items()}
    save_file(copies, part, metadata={"run": identity, "done": str(state.done)})
    os.replace(part, path)


def load_state(path: Path, identity: str) -> TrainState:
    """Read a checkpoint.

    Raises:
        FileFormatError: It cannot be read.
        UsageError: It is of another training.
    """
    from safetensors import safe_open

    try:
        with safe_open(path, framework="pt") as file:
            about = file.metadata() or {}
            tensors: dict[str, Tensor] = {name: file.get_tensor(name) for name in file.keys()}
            done = int(about.get("done", "-1"))
    except Exception as error:
        # The reader raises its own kinds for each way in which a file can be damaged.
        raise FileFormatError(f"{path} cannot be read as a checkpoint ({error}).") from error
    if about.get("run") != identity:
        raise UsageError(f"{path} is of another training (tosses, seeds or recipe). Remove it or train elsewhere.")
    kinds: dict[str, dict[str, Tensor]] = {kind: {} for kind in KINDS}
    for name, value in tensors.items():
        kind, _, key = name.partition("/")
        if key:
            kinds.get(kind, {})[key] = value
    whole = all(kinds[kind].keys() == kinds["values"].keys() for kind in KINDS) and "constants" in kinds["values"]
    if done < 0 or not whole or "identified" not in tensors:
        raise FileFormatError(f"{path} lacks a part of the training. Remove it and train anew.")
    return TrainState(done, tensors["identified"], *(kinds[kind] for kind in KINDS))
