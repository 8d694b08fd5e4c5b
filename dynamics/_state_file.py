"""States and rollouts in npz archives: every tensor under the name of its field, bit for bit, and nothing executable.

Parts that are groups of tensors themselves (the action and latents of a rollout) have names with a dot. What is None
is left out.
"""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from dynamics._errors import FileFormatError, OutputError
from dynamics._state import Action, Latents

__all__ = ["load_tensors", "save_tensors"]

GROUPS: dict[str, type] = {"action": Action, "latents": Latents}
LARGEST = 1 << 32
"""Bytes that an archive may unpack to."""

T = TypeVar("T")


def save_tensors(group: object, path: Path | str) -> None:
    """Write a dataclass of tensors, numbers and such dataclasses.

    Raises:
        OutputError: The file cannot be written.
    """
    try:
        with Path(path).open("wb") as file:
            np.savez(file, allow_pickle=False, **_flat(group))
    except OSError as error:
        raise OutputError(f"{path} cannot be written ({error}).") from error


def load_tensors(kind: type[T], path: Path | str) -> T:
    """Read what `save_tensors` wrote of that kind.

    Raises:
        FileFormatError: The file is no archive of that kind.
    """
    name = kind.__name__.lower()
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
        if size > LARGEST:
            raise FileFormatError(f"{path} unpacks to {size >> 30} GiB; a {name} has at most {LARGEST >> 30}.")
        with np.load(path, allow_pickle=False) as archive:
            arrays = dict(archive.items())
        return _built(kind, arrays, "", str(path))
    # A header may ask for more memory than there is, and arrays may hold letters.
    except (
        OSError,
        ValueError,
        TypeError,
        EOFError,
        MemoryError,
        RuntimeError,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        raise FileFormatError(f"{path} is no saved {name} ({error}); give an npz that was saved as one.") from error


def _flat(group: Any, prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for part in fields(group):
        value = getattr(group, part.name)
        if is_dataclass(value):
            found |= _flat(value, f"{prefix}{part.name}.")
        elif value is not None:
            found[prefix + part.name] = np.asarray(value.detach().cpu() if hasattr(value, "detach") else value)
    return found


def _built(kind: type[T], arrays: dict[str, NDArray[Any]], prefix: str, path: str) -> T:
    import torch

    given: dict[str, Any] = {}
    for part in fields(kind):  # pyright: ignore[reportArgumentType]
        name = prefix + part.name
        if part.name in GROUPS and any(other.startswith(name + ".") for other in arrays):
            given[part.name] = _built(GROUPS[part.name], arrays, name + ".", path)
        elif name in arrays:
            value = arrays[name]
            given[part.name] = float(value) if part.type == "float" else torch.as_tensor(value.copy())
        elif part.default is MISSING:
            raise FileFormatError(f"{path} has no {name!r}; give an npz that was saved as a {kind.__name__.lower()}.")
    return kind(**given)
