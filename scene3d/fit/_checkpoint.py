"""Checkpoints: everything that a fit needs to go on, as one safetensors file that is replaced atomically.

No pickle: arrays plus a small JSON header. A fit that is resumed continues with the same splats, Adam state, colour
maps and random state, so that a fit by steps ends as if it had never stopped.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import msgspec

from scene3d._errors import FitError, OutputError
from scene3d.fit._config import FitConfig
from scene3d.fit._density import DensityStats
from scene3d.fit._exposure import Exposures
from scene3d.fit._optimizer import NAMES, SplatOptimizer

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

__all__ = ["Checkpoint", "load_checkpoint", "remove_checkpoint", "require_checkpoint", "save_checkpoint"]

_NAME = "fit.safetensors"
_EXPOSURE = tuple(field.name for field in fields(Exposures))


@dataclass(frozen=True)
class Checkpoint:
    """State of an interrupted fit."""

    splats: SplatOptimizer
    exposures: Exposures
    generator: Tensor
    """State of the random generator of density control."""
    step: int
    seconds: float
    extent: float
    views: tuple[str, ...]
    """Names of the training views, to tell another capture."""
    notes: tuple[str, ...]
    config: FitConfig
    seed: int
    rollbacks: int
    """Times that a NaN made it go back; each halved the rates."""
    stats: tuple[Tensor, ...]
    """Density statistics since the last control."""


class _About(msgspec.Struct, frozen=True):
    """The numbers of a checkpoint: the header of its file."""

    step: int
    seconds: float
    extent: float
    views: tuple[str, ...]
    notes: tuple[str, ...]
    config: FitConfig
    seed: int
    rollbacks: int


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Write the checkpoint into the scene folder; the previous one stays until the new one is complete."""
    import os

    from safetensors import SafetensorError
    from safetensors.torch import save_file

    c = checkpoint
    tensors: dict[str, Tensor] = {"steps": c.splats.steps, "generator": c.generator}
    for kind in ("params", "first", "second"):
        tensors |= {f"{kind}.{name}": getattr(c.splats, kind)[name] for name in NAMES}
    tensors |= {f"exposure.{name}": getattr(c.exposures, name) for name in _EXPOSURE}
    tensors |= {f"stats.{i}": value for i, value in enumerate(c.stats)}
    tensors = {name: value.cpu().contiguous() for name, value in tensors.items()}
    about = _About(c.step, c.seconds, c.extent, c.views, c.notes, c.config, c.seed, c.rollbacks)
    path = folder / _NAME
    partial = path.with_suffix(".partial")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        save_file(tensors, partial, {"fit": msgspec.json.encode(about).decode()})
        os.replace(partial, path)
    except (OSError, SafetensorError) as error:  # A full disk is the latter.
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise OutputError(f"The checkpoint {path} cannot be written ({error}).") from error


def require_checkpoint(folder: Path) -> None:
    """Make sure that there is an interrupted fit to go on with, before long work starts.

    Raises:
        FitError: There is none.
    """
    if not (folder / _NAME).exists():
        raise FitError(
            f"There is no interrupted fit in {folder}: --resume goes on with one. Leave --resume out to start."
        )


def load_checkpoint(folder: Path) -> Checkpoint:
    """Read the checkpoint of a scene folder.

    Raises:
        FitError: There is none, or it is damaged.
    """
    from safetensors import SafetensorError, safe_open

    path = folder / _NAME
    require_checkpoint(folder)
    try:
        with safe_open(path, framework="pt") as file:
            about = msgspec.json.decode((file.metadata() or {})["fit"], type=_About)
            arrays = {name: file.get_tensor(name) for name in file.keys()}
        return _assembled(about, arrays)
    except (SafetensorError, KeyError, ValueError, RuntimeError, TypeError, OSError) as error:
        raise FitError(
            f"The checkpoint {path} is damaged ({error}); start again with --overwrite instead of --resume."
        ) from error


def _assembled(about: _About, arrays: dict[str, Tensor]) -> Checkpoint:
    import torch

    params, first, second = ({n: arrays[f"{kind}.{n}"] for n in NAMES} for kind in ("params", "first", "second"))
    splats = SplatOptimizer(params, first, second, arrays["steps"])
    exposures = Exposures(*(arrays[f"exposure.{name}"] for name in _EXPOSURE))
    stats = tuple(arrays[f"stats.{i}"] for i in range(len(fields(DensityStats))))
    splats.splats()  # Checks the shapes of the parameters.
    torch.Generator().set_state(arrays["generator"])  # Checks that it is such a state.
    count, photos = len(splats), len(about.views)
    alike = all(moment[name].shape == params[name].shape for moment in (first, second) for name in NAMES)
    per_splat = all(len(value) == count for value in (splats.steps, *stats))
    if not alike or not per_splat or exposures.maps.shape != (photos, 3, 4) or len(exposures.steps) != photos:
        raise ValueError("its arrays disagree in size")
    return Checkpoint(
        splats=splats,
        exposures=exposures,
        generator=arrays["generator"],
        stats=stats,
        **{name: getattr(about, name) for name in _About.__struct_fields__},
    )


def remove_checkpoint(folder: Path) -> None:
    """Forget a finished fit."""
    (folder / _NAME).unlink(missing_ok=True)
    (folder / _NAME).with_suffix(".partial").unlink(missing_ok=True)
