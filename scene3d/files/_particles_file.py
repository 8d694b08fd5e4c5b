"""particles.npz: the particles of a deformable and how its splats ride on them <-> bytes.

An uncompressed .npz of plain arrays, as `numpy.load` reads it. Our own reader looks at the header of each array first:
name, type and shape must be what is expected and must fit the bytes that are there, so nothing in the file can make us
take memory that a real one would not need. No pickle is ever read.
"""

from __future__ import annotations

import io
import math
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np

from scene3d._errors import FileFormatError, Scene3dError
from scene3d._scene_object import Binding

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from dynamics import Particles

__all__ = ["decode_particles", "encode_particles"]

TYPES = {
    "kind": "<U5",
    "points": "<f8",
    "masses": "<f8",
    "edges": "<i4",
    "cells": "<i4",
    "radius": "<f8",
    "binding_indices": "<i4",
    "binding_weights": "<f4",
}
MOST_WEIGHTS = 64
"""Particles per splat."""
DAMAGED = (zipfile.BadZipFile, ValueError, KeyError, EOFError, NotImplementedError, RuntimeError, Scene3dError)
"""What zipfile, numpy and our own checks raise about contents."""
HEADER = 128
"""Bytes of the header of each array that numpy writes; longer ones are of another kind."""


def encode_particles(particles: Particles, binding: Binding) -> bytes:
    """The bytes of particles.npz."""
    arrays: dict[str, Any] = {
        "kind": particles.kind,
        "points": particles.points,
        "masses": particles.masses,
        "edges": particles.edges,
        "cells": particles.cells,
        "radius": particles.radius,
        "binding_indices": binding.indices,
        "binding_weights": binding.weights,
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, value in arrays.items():
            with archive.open(f"{name}.npy", "w") as file:
                np.lib.format.write_array(file, np.asarray(value, dtype=TYPES[name]), (1, 0), allow_pickle=False)
    return buffer.getvalue()


def decode_particles(path: Path, splats: int) -> tuple[Particles, Binding]:
    """Read and check a particles.npz.

    Args:
        path: The file.
        splats: Number of splats of the object, each of which must have a binding.

    Raises:
        FileFormatError: Damaged, of another kind, or not of an object with so many splats.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            arrays = {name: _array(archive, name) for name in TYPES}
        return _checked(arrays, splats)
    except OSError as error:
        raise FileFormatError(f"{path} cannot be read ({error.strerror}).") from error
    except DAMAGED as error:
        reason = " ".join(str(error).split()).strip("'\".")
        raise FileFormatError(
            f"{path} does not hold the particles of its object ({reason}). Copy the scene folder again."
        ) from error


def _array(archive: zipfile.ZipFile, name: str) -> NDArray:
    """One array, of the expected type; its shape must fit its bytes."""
    entry = archive.getinfo(f"{name}.npy")
    if entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size:
        raise ValueError(f"{name} is compressed, which is not read")
    with archive.open(entry) as file:
        # A stored entry cannot be larger than the archive, so this is bounded by the file's own size.
        data = file.read()
    stream = io.BytesIO(data)
    if np.lib.format.read_magic(stream) != (1, 0):
        raise ValueError(f"{name} is of another version of .npy")
    shape, fortran, dtype = np.lib.format.read_array_header_1_0(stream, max_header_size=HEADER)
    if dtype != np.dtype(TYPES[name]) or fortran:
        raise ValueError(f"{name} has type {dtype} where {np.dtype(TYPES[name])} is expected")
    content = data[stream.tell() :]
    if len(content) != math.prod(shape) * dtype.itemsize:
        raise ValueError(f"{name} says that it has shape {shape}, but has {len(content)} bytes")
    return np.frombuffer(content, dtype).reshape(shape).copy()


def _checked(arrays: dict[str, NDArray], splats: int) -> tuple[Particles, Binding]:
    """The arrays as particles and binding; refuses shapes and values that do not fit together."""
    from dynamics import Particles

    if arrays["kind"].shape != () or arrays["radius"].shape != ():
        raise ValueError("kind and radius are single values")
    particles = Particles(
        kind=str(arrays["kind"]),  # type: ignore[arg-type]
        points=arrays["points"],
        masses=arrays["masses"],
        edges=arrays["edges"],
        cells=arrays["cells"],
        radius=float(arrays["radius"]),
    )
    weights, indices = arrays["binding_weights"], arrays["binding_indices"]
    if weights.ndim != 2 or weights.shape != indices.shape or not 1 <= weights.shape[1] <= MOST_WEIGHTS:
        raise ValueError(f"bindings have shapes {indices.shape} and {weights.shape}")
    if len(weights) != splats:
        raise ValueError(f"{len(weights)} splats are bound and the object has {splats}")
    if indices.size and not (indices.min() >= 0 and indices.max() < len(particles.points)):
        raise ValueError("splats are bound to particles that do not exist")
    if not np.isfinite(weights).all() or (weights < 0).any():
        raise ValueError("a weight is negative or not finite")
    if len(weights) and np.abs(weights.sum(axis=1, dtype=np.float64) - 1).max() > 1e-3:
        raise ValueError("weights of a splat do not sum to 1")
    return particles, Binding(indices, weights)
