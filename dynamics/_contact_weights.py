# pyright: basic
"""Trained models <-> safetensors: constants, ensemble, support, and which tosses they have seen.

Tensors are named ``constants.*``, ``identified.*``, ``network.*``, ``support.*``; the header carries the version of the
layout, the names of the features in their order and the hashes of the tosses, so that a score out of sample can be told
from one within.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from dynamics._contact_features import AFTER, BEFORE
from dynamics._contact_network import ContactNetwork
from dynamics._contact_support import ContactSupport
from dynamics._errors import FileFormatError
from dynamics._toss_models import TossConstants, TossModel

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["ContactWeights", "load_weights", "save_weights"]

VERSION = 2
LARGEST_FILE = 64 << 20


@dataclass(frozen=True, eq=False)
class ContactWeights:
    """A trained model and what it was trained on."""

    model: TossModel
    """Constants, network and support."""
    tosses: frozenset[str]
    """Hashes of the tosses that it has seen, as from `toss_hash`."""
    identified: TossConstants | None = None
    """Constants that suit those tosses best without a network."""


def save_weights(path: Path, model: TossModel, tosses: Sequence[str], identified: TossConstants | None = None) -> None:
    """Write a model; an existing file is replaced at once.

    Args:
        path: File (.safetensors).
        model: With scalar constants.
        tosses: Hashes of the tosses that it has seen.
        identified: Constants that suit them best without a network.
    """
    from safetensors.torch import save_file

    tensors: dict[str, Tensor] = {}
    for part, constants in (("constants", model.constants), ("identified", identified)):
        if constants is not None:
            tensors |= {f"{part}.{field.name}": getattr(constants, field.name) for field in fields(TossConstants)}
    if model.network is not None:
        tensors |= {f"network.{name}": value for name, value in model.network.weights.items()}
    if model.support is not None:
        tensors |= {f"support.{field.name}": getattr(model.support, field.name) for field in fields(ContactSupport)}
    about = {
        "version": str(VERSION),
        "features": json.dumps([*BEFORE, *AFTER]),
        "tosses": json.dumps(sorted(tosses)),
        "sweeps": str(model.sweeps),
    }
    part = path.with_suffix(".part")
    save_file({name: value.detach().contiguous().clone() for name, value in tensors.items()}, part, metadata=about)
    part.chmod(0o644)  # The writer lets only its user read.
    os.replace(part, path)


def load_weights(path: Path | str) -> ContactWeights:
    """Read a model.

    Raises:
        FileFormatError: The file cannot be read, or belongs to another version or another network.
    """
    from safetensors import safe_open

    try:
        if Path(path).stat().st_size > LARGEST_FILE:
            raise FileFormatError(f"{path} is larger than {LARGEST_FILE >> 20} MiB, which is no contact network.")
        with safe_open(path, framework="pt") as file:
            about = file.metadata() or {}
            tensors: dict[str, Tensor] = {name: file.get_tensor(name) for name in file.keys()}
        version, names = about.get("version"), json.loads(about.get("features", "[]"))
        hashes = frozenset(str(name) for name in json.loads(about.get("tosses", "[]")))
        sweeps = int(about.get("sweeps", "10"))
    except FileFormatError:
        raise
    except Exception as error:
        # The reader raises its own kinds for each way in which a file can be damaged.
        raise FileFormatError(f"{path} cannot be read as weights of a contact network ({error}).") from error
    if version != str(VERSION) or names != [*BEFORE, *AFTER]:
        raise FileFormatError(f"{path} belongs to another version of the contact network. Train again.")
    names = [field.name for field in fields(TossConstants)]
    constants = _part(path, tensors, "constants", names)
    identified = _part(path, tensors, "identified", names, optional=True)
    support = _part(path, tensors, "support", [field.name for field in fields(ContactSupport)], optional=True)
    weights = {name.removeprefix("network."): t for name, t in tensors.items() if name.startswith("network.")}
    model = TossModel(
        TossConstants(**constants),
        ContactNetwork(weights) if weights else None,
        ContactSupport(**support) if support else None,
        sweeps,
    )
    return ContactWeights(model, hashes, TossConstants(**identified) if identified else None)


def _part(
    path: Path | str, tensors: dict[str, Tensor], part: str, names: list[str], *, optional: bool = False
) -> dict[str, Tensor]:
    found = {name: tensors[f"{part}.{name}"] for name in names if f"{part}.{name}" in tensors}
    if len(found) != len(names) and not (optional and not found):
        missing = next(name for name in names if name not in found)
        raise FileFormatError(f"{path} lacks {part}.{missing}; it belongs to another version. Train again.")
    return found
