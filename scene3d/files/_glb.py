"""GLB, the binary container of glTF 2.0: JSON text and one buffer <-> arrays and nodes.

What is read is checked first: chunk sizes against the file, accessors against their buffer views, views against the
buffer, and the tree of nodes against cycles. Only what point primitives need is understood.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from scene3d._errors import FileFormatError
from scene3d.files._packing import read_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["Glb", "glb_head", "glb_size", "read_glb"]

MAGIC = b"glTF"
HEADER, CHUNK = struct.Struct("<4sII"), struct.Struct("<I4s")
LARGEST = 2**32 - 1
"""Sizes in a GLB are 32-bit numbers [bytes]."""
DEEPEST = 64
COMPONENTS = {5120: "i1", 5121: "u1", 5122: "<i2", 5123: "<u2", 5126: "<f4"}
WIDTHS = {"SCALAR": 1, "VEC3": 3, "VEC4": 4}


class Glb:
    """A GLB file that was read: its JSON, its buffer, and access to both that trusts neither."""

    def __init__(self, path: Path, document: dict[str, Any], buffer: memoryview) -> None:
        self.path = path
        self.document = document
        self.buffer = buffer

    def damaged(self, what: str) -> FileFormatError:
        """The error to raise."""
        return FileFormatError(f"{self.path}: {what}. Export it again.")

    def item(self, kind: str, index: object) -> dict[str, Any]:
        """Entry `index` of a top-level list such as ``accessors``."""
        entries = self.document.get(kind)
        if not isinstance(entries, list) or not isinstance(index, int) or not 0 <= index < len(entries):
            raise self.damaged(f"it refers to {kind}[{index}], which it does not have")
        entry = entries[index]
        if not isinstance(entry, dict):
            raise self.damaged(f"{kind}[{index}] is not an object")
        return entry

    def array(self, index: object, width: int, count: int | None = None) -> NDArray[np.float32]:
        """An accessor as float32 (count, width), normalised integers as their fractions."""
        accessor = self.item("accessors", index)
        code = COMPONENTS.get(accessor.get("componentType", 0))
        rows = _number(accessor, "count")
        if code is None or WIDTHS.get(accessor.get("type", "")) != width or "sparse" in accessor:
            raise self.damaged(f"accessor {index} is not a plain array of {width} numbers per splat")
        if rows < 0 or (count is not None and rows != count):
            raise self.damaged(f"accessor {index} has {rows} rows where {count} are wanted")
        view = self.item("bufferViews", accessor.get("bufferView"))
        dtype = np.dtype((code, (width,)))
        stride = _number(view, "byteStride") or dtype.itemsize
        start = _number(view, "byteOffset") + _number(accessor, "byteOffset")
        end = _number(view, "byteOffset") + _number(view, "byteLength")
        last = start + (rows - 1) * stride + dtype.itemsize if rows else start
        if min(start, end, _number(accessor, "byteOffset")) < 0 or stride < dtype.itemsize:
            raise self.damaged(f"accessor {index} has an offset or a stride that cannot be")
        if _number(view, "buffer") != 0 or last > end or end > len(self.buffer):
            raise self.damaged(f"accessor {index} reaches beyond its buffer; the file is cut short or its JSON lies")
        found = np.ndarray((rows, width), dtype.base, self.buffer, start, (stride, dtype.base.itemsize))
        values = found.astype(np.float32)
        if accessor.get("normalized") and dtype.base.kind in "iu":
            values = np.maximum(values / np.float32(np.iinfo(dtype.base).max), -1)
        return values

    def mesh_nodes(self) -> Iterator[tuple[dict[str, Any], NDArray[np.float64]]]:
        """Every mesh of the scene and the matrix (4, 4) that puts it into the world."""
        scene = self.item("scenes", self.document.get("scene", 0))
        waiting = [(index, np.eye(4), 0) for index in _indices(scene, "nodes")]
        for visited, (index, parent, depth) in enumerate(_growing(waiting)):
            node = self.item("nodes", index)
            if depth > DEEPEST or visited > len(self.document["nodes"]):
                raise self.damaged("its nodes form a cycle")
            matrix = parent @ self._matrix(node)
            if "mesh" in node:
                yield self.item("meshes", node["mesh"]), matrix
            waiting += [(child, matrix, depth + 1) for child in _indices(node, "children")]

    def _matrix(self, node: dict[str, Any]) -> NDArray[np.float64]:
        from scipy.spatial.transform import Rotation

        try:
            if "matrix" in node:
                return np.array(node["matrix"], np.float64).reshape(4, 4).T
            matrix = np.eye(4)
            turned = Rotation.from_quat(node.get("rotation", [0, 0, 0, 1])).as_matrix()
            matrix[:3, :3] = turned * np.array(node.get("scale", [1, 1, 1]), np.float64)
            matrix[:3, 3] = node.get("translation", [0, 0, 0])
        except (ValueError, TypeError) as error:
            raise self.damaged("a node has a transform that cannot be read") from error
        return matrix


def read_glb(path: Path) -> Glb:
    """Read a GLB file.

    Raises:
        FileFormatError: Not glTF 2.0 in its binary form, cut short, or without JSON that can be read.
    """
    data = read_bytes(path)
    if len(data) < HEADER.size + CHUNK.size or data[:4] != MAGIC:
        raise FileFormatError(f"{path} is not a binary glTF file (.glb): it does not start with 'glTF'.")
    _, version, size = HEADER.unpack_from(data)
    if version != 2:
        raise FileFormatError(f"{path} is glTF version {version}; version 2 is read. Export it again.")
    if size > len(data):
        raise FileFormatError(f"{path} is cut short: it has {len(data)} of {size} bytes. Copy it again.")
    chunks: dict[bytes, memoryview] = {}
    at, whole = HEADER.size, memoryview(data)
    while at + CHUNK.size <= size:
        length, kind = CHUNK.unpack_from(data, at)
        at += CHUNK.size
        if length > size - at:
            raise FileFormatError(f"{path} is cut short within a chunk. Copy it again.")
        chunks.setdefault(kind, whole[at : at + length])
        at += length
    try:
        document = msgspec.json.decode(chunks.get(b"JSON", b""), type=dict)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise FileFormatError(f"{path} has no JSON that can be read ({error}). Export it again.") from error
    return Glb(path, document, chunks.get(b"BIN\0", memoryview(b"")))


def glb_size(document: bytes, buffer: int) -> int:
    """Size of the file [bytes] for JSON, padded to 4 bytes, and a buffer of a multiple of 4 bytes."""
    return HEADER.size + 2 * CHUNK.size + len(document) + buffer


def glb_head(document: bytes, buffer: int) -> bytes:
    """All bytes of the file before its buffer."""
    return b"".join(
        (
            HEADER.pack(MAGIC, 2, glb_size(document, buffer)),
            CHUNK.pack(len(document), b"JSON"),
            document,
            CHUNK.pack(buffer, b"BIN\0"),
        )
    )


def _number(entry: dict[str, Any], name: str) -> int:
    """A count or an offset; -1, which no check lets pass, when it is of another type."""
    value = entry.get(name, 0)
    return value if isinstance(value, int) and not isinstance(value, bool) else -1


def _indices(entry: dict[str, Any], name: str) -> list[Any]:
    value = entry.get(name, [])
    return value if isinstance(value, list) else []


def _growing(waiting: list[Any]) -> Iterator[Any]:
    """The entries of a list that grows while it is walked."""
    at = 0
    while at < len(waiting):
        yield waiting[at]
        at += 1
