# pyright: basic
"""A low-rank adapter: small factors beside the layers of a contact network, in a file of their own.

Each weight W of a layer becomes W + A B with A (in, r) and B (r, out) [Hu et al. 2021, arXiv 2106.09685]; the base is
not touched. An adapter knows the hash of the model that it was trained beside and is refused on any other. Without
factors it changes nothing.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

from dynamics._errors import FileFormatError, OutputError, UsageError
from dynamics._toss_body import TossConstants

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from dynamics._toss_models import TossModel

__all__ = ["Adapter", "load_adapter", "model_hash", "save_adapter", "with_adapter"]

VERSION = "1"
LARGEST_FILE = 1 << 20
"""An adapter stays under 1 MB."""


@dataclass(frozen=True, eq=False)
class Adapter:
    """Factors by the name of the layer that they are added to."""

    base: str
    """`model_hash` of the model that it belongs to."""
    down: Mapping[str, Tensor] = field(default_factory=dict)
    """A of each layer, shape (E, in, r); empty for an adapter that changes nothing."""
    up: Mapping[str, Tensor] = field(default_factory=dict)
    """B of each layer, shape (E, r, out)."""

    @property
    def size(self) -> int:
        """How many numbers it has."""
        return sum(value.numel() for part in (self.down, self.up) for value in part.values())


def model_hash(model: TossModel) -> str:
    """Sixteen hexadecimal digits that name a model: its constants and the weights of its network."""
    digest = hashlib.sha256()
    values = {part.name: getattr(model.constants, part.name) for part in fields(TossConstants)}
    values |= {} if model.network is None else dict(model.network.weights)
    for name in sorted(values):
        digest.update(name.encode())
        digest.update(values[name].detach().float().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def with_adapter(model: TossModel, adapter: Adapter) -> TossModel:
    """The model with the adapter's factors added to its layers; the model itself when there are none.

    Raises:
        UsageError: The adapter was trained beside another model.
    """
    found = model_hash(model)
    if adapter.base != found:
        raise UsageError(
            f"This adapter belongs to the contact network {adapter.base}, not to {found}. "
            "Give the weights that it was trained beside, or adapt again."
        )
    return adapted(model, adapter.down, adapter.up)


def adapted(model: TossModel, down: Mapping[str, Tensor], up: Mapping[str, Tensor]) -> TossModel:
    """The model with A B added to the layers that have them, with gradients for A and B."""
    if not down or model.network is None:
        return model
    weights = dict(model.network.weights)
    for name, factor in down.items():
        weights[name] = weights[name] + factor @ up[name]
    return replace(model, network=replace(model.network, weights=weights))


def save_adapter(path: Path | str, adapter: Adapter) -> None:
    """Write a safetensors file; an existing one is replaced at once.

    Raises:
        OutputError: It cannot be written.
    """
    from safetensors.torch import save_file

    tensors = {f"down.{name}": value for name, value in adapter.down.items()}
    tensors |= {f"up.{name}": value for name, value in adapter.up.items()}
    part = Path(path).with_suffix(".part")
    about = {"kind": "adapter", "version": VERSION, "base": adapter.base}
    try:
        save_file({name: value.detach().contiguous().clone() for name, value in tensors.items()}, part, metadata=about)
        os.replace(part, path)
    except OSError as error:
        raise OutputError(f"{path} cannot be written ({error}).") from error


def load_adapter(path: Path | str) -> Adapter:
    """Read what `save_adapter` wrote.

    Raises:
        FileFormatError: It is no adapter, or one of another version.
    """
    from safetensors import safe_open

    try:
        if Path(path).stat().st_size > LARGEST_FILE:
            raise FileFormatError(f"{path} is larger than {LARGEST_FILE >> 20} MiB, which no adapter is.")
        with safe_open(path, framework="pt") as file:
            about = file.metadata() or {}
            tensors: dict[str, Tensor] = {name: file.get_tensor(name) for name in file.keys()}
    except FileFormatError:
        raise
    except Exception as error:
        # The reader raises its own kinds for each way in which a file can be damaged.
        raise FileFormatError(f"{path} cannot be read as an adapter ({error}).") from error
    down = {name.removeprefix("down."): value for name, value in tensors.items() if name.startswith("down.")}
    up = {name.removeprefix("up."): value for name, value in tensors.items() if name.startswith("up.")}
    whole = down.keys() == up.keys() and len(down) + len(up) == len(tensors)
    if about.get("kind") != "adapter" or about.get("version") != VERSION or not whole:
        raise FileFormatError(f"{path} is no adapter of a contact network, or one of another version. Adapt again.")
    return Adapter(about.get("base", ""), down, up)
