"""Checkpoints: everything that a fit needs to go on, as one safetensors file that is replaced atomically.

No pickle: arrays plus a small JSON header. A fit that is resumed continues with the same splats, Adam state, colour
maps and random state, so that a fit by steps ends as if it had never stopped.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from scene3d._errors import FitError, OutputError
from scene3d.fit._exposure import Exposures
from scene3d.fit._optimizer import NAMES, SplatOptimizer

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from scene3d.fit._config import FitConfig

__all__ = ["Checkpoint", "load_checkpoint", "remove_checkpoint", "save_checkpoint"]

_NAME = "fit.safetensors"


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
    stats: tuple[Tensor, ...] = ()
    """Density statistics since the last control."""


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Write the checkpoint into the scene folder; the previous one stays until the new one is complete."""
    import os

    from safetensors.torch import save_file

    tensors: dict[str, Tensor] = {"steps": checkpoint.splats.steps, "generator": checkpoint.generator}
    for kind in ("params", "first", "second"):
        for name in NAMES:
            tensors[f"{kind}.{name}"] = getattr(checkpoint.splats, kind)[name].cpu()
    e = checkpoint.exposures
    tensors |= {"exposure.maps": e.maps, "exposure.first": e.first, "exposure.second": e.second}
    tensors |= {"exposure.steps": e.steps}
    tensors |= {f"stats.{i}": value.cpu() for i, value in enumerate(checkpoint.stats)}
    about = {
        "step": checkpoint.step,
        "seconds": checkpoint.seconds,
        "extent": checkpoint.extent,
        "views": checkpoint.views,
        "notes": checkpoint.notes,
        "config": msgspec.to_builtins(checkpoint.config),
    }
    path = folder / _NAME
    partial = path.with_suffix(".partial")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        save_file({name: value.contiguous() for name, value in tensors.items()}, partial, {"fit": json.dumps(about)})
        os.replace(partial, path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise OutputError(f"The checkpoint {path} cannot be written ({error.strerror or error}).") from error


def load_checkpoint(folder: Path) -> Checkpoint:
    """Read the checkpoint of a scene folder.

    Raises:
        FitError: There is none, or it is damaged.
    """
    from safetensors import SafetensorError, safe_open

    from scene3d.fit._config import FitConfig

    path = folder / _NAME
    if not path.exists():
        raise FitError(
            f"There is no interrupted fit in {folder}: --resume goes on with one. Leave --resume out to start."
        )
    try:
        with safe_open(path, framework="pt") as file:
            about = json.loads(file.metadata()["fit"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
        splats = SplatOptimizer(
            *({name: tensors[f"{kind}.{name}"] for name in NAMES} for kind in ("params", "first", "second")),
            tensors["steps"],
        )
        exposures = Exposures(*(tensors[f"exposure.{name}"] for name in ("maps", "first", "second", "steps")))
        return Checkpoint(
            splats, exposures, tensors["generator"], int(about["step"]), float(about["seconds"]),
            float(about["extent"]), tuple(about["views"]), tuple(about["notes"]),
            msgspec.convert(about["config"], FitConfig), tuple(tensors[f"stats.{i}"] for i in range(3)),
        )
    except (SafetensorError, KeyError, ValueError, OSError) as error:
        raise FitError(
            f"The checkpoint {path} is damaged ({error}); start again with --overwrite instead of --resume."
        ) from error


def remove_checkpoint(folder: Path) -> None:
    """Forget a finished fit."""
    (folder / _NAME).unlink(missing_ok=True)
    (folder / _NAME).with_suffix(".partial").unlink(missing_ok=True)
