"""PLY as a table: header text -> numpy record type -> rows, in chunks.

Splat files, seed clouds and (later) meshes share this part. The header is read within a bound, every row count is
checked against the size of the file before anything is allocated, and nothing but fixed-size properties is accepted in
or before the wanted element (usually the vertices), so that reading an untrusted file costs at most what it weighs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from scene3d._errors import FileFormatError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["PlyTable", "read_header"]

HEADER_LIMIT = 64 * 1024
"""Longest header that is read [bytes]."""
ROWS_AT_ONCE = 8192
"""Rows per chunk: small enough to stay in cache while columns are picked out."""
MIB = 1024 * 1024

TYPES = {
    **{"char": "i1", "uchar": "u1", "short": "i2", "ushort": "u2", "int": "i4", "uint": "u4"},
    **{"int8": "i1", "uint8": "u1", "int16": "i2", "uint16": "u2", "int32": "i4", "uint32": "u4"},
    **{"float": "f4", "double": "f8", "float32": "f4", "float64": "f8"},
}
BYTE_ORDERS = {"binary_little_endian": "<", "binary_big_endian": ">", "ascii": "="}


@dataclass(frozen=True)
class PlyTable:
    """Where the vertices (or another element) of a PLY file are and what a row of them holds."""

    path: Path
    """The file."""
    ascii: bool
    """True for text, False for binary."""
    count: int
    """Number of vertices; already known to fit the file."""
    row: np.dtype
    """Record type of one vertex."""
    offset: int
    """Where the vertices start [bytes]."""
    rows_before: int
    """Text lines between the header and the vertices; 0 for binary files."""
    comments: tuple[str, ...]
    """Comment lines."""

    @property
    def names(self) -> tuple[str, ...]:
        """Property names in file order."""
        return self.row.names or ()

    def chunks(self) -> Iterator[tuple[int, NDArray[np.void]]]:
        """First row number and rows of each chunk, in file order."""
        return self._ascii_chunks() if self.ascii else self._binary_chunks()

    def columns(self, *names: str, dtype: str = "f4") -> NDArray:
        """Properties of all rows as one array (count, len(names)); float64 beyond float32 becomes infinite."""
        return self.blocks(names, dtype=dtype)[0]

    def blocks(self, *groups: Sequence[str], dtype: str = "f4") -> list[NDArray]:
        """One array like `columns` for each group of properties, all of them in one pass over the file."""
        out = [np.empty((self.count, len(names)), dtype) for names in groups]
        kinds = {self.row[name] for name in self.names}
        indices = [[self.names.index(name) for name in names] for names in groups]
        with np.errstate(over="ignore", invalid="ignore"):
            for start, rows in self.chunks():
                targets = [block[start : start + len(rows)] for block in out]
                if len(kinds) == 1:  # The usual file: one number type, so a row is a plain vector.
                    plain = rows.view((next(iter(kinds)), len(self.names)))
                    for target, chosen in zip(targets, indices, strict=True):
                        np.take(plain, chosen, axis=1, out=target, mode="clip")
                    continue
                for target, names in zip(targets, groups, strict=True):
                    for i, name in enumerate(names):
                        target[:, i] = rows[name]
        return out

    def _binary_chunks(self) -> Iterator[tuple[int, NDArray[np.void]]]:
        with open(self.path, "rb") as file:
            file.seek(self.offset)
            for start in range(0, self.count, ROWS_AT_ONCE):
                rows = np.fromfile(file, self.row, min(ROWS_AT_ONCE, self.count - start))
                if len(rows) < min(ROWS_AT_ONCE, self.count - start):
                    raise FileFormatError(f"{self.path} ended after {start + len(rows)} of {self.count} vertices.")
                yield start, rows

    def _ascii_chunks(self) -> Iterator[tuple[int, NDArray[np.void]]]:
        with open(self.path, "rb") as file:
            file.seek(self.offset)
            for _ in range(self.rows_before):
                file.readline()
            for start in range(0, self.count, ROWS_AT_ONCE):
                lines = [file.readline().split() for _ in range(min(ROWS_AT_ONCE, self.count - start))]
                try:
                    rows = np.array([tuple(map(float, line)) for line in lines], dtype=np.float64)
                    rows = rows.reshape(len(lines), len(self.names))
                except ValueError as error:
                    raise FileFormatError(
                        f"{self.path}: a vertex among {start} to {start + len(lines)} does not hold "
                        f"{len(self.names)} numbers. Export the file again."
                    ) from error
                with np.errstate(over="ignore", invalid="ignore"):
                    yield start, np.rec.fromarrays(list(rows.T), dtype=self.row)


@dataclass
class _Element:
    name: str
    count: int
    properties: list[tuple[str, str]]
    has_list: bool = False


def read_header(path: Path, element: str = "vertex") -> PlyTable:
    """Read and check the header of a PLY file.

    Args:
        path: The file.
        element: Name of the element whose rows are wanted.

    Raises:
        FileFormatError: Not a PLY file, no such element, or more of it than the file can hold.
    """
    try:
        with open(path, "rb") as file:
            head = file.read(HEADER_LIMIT)
            size = file.seek(0, 2)
    except OSError as error:
        raise FileFormatError(f"{path} cannot be read ({error.strerror}).") from error
    lines, offset = _header_lines(path, head)
    kind, elements, comments = _parse(path, lines)
    return _table(path, element, kind, elements, comments, offset, size)


def _header_lines(path: Path, head: bytes) -> tuple[list[str], int]:
    """Header lines without the magic word, and the offset [bytes] of what follows them."""
    if head[:3] != b"ply" or head[3:4] not in (b"\n", b"\r"):
        raise FileFormatError(f"{path} is not a PLY file: it does not start with 'ply'.")
    at = head.find(b"end_header")
    newline = head.find(b"\n", at)
    if at < 0 or newline < 0:
        raise FileFormatError(
            f"{path} has no end_header within its first {HEADER_LIMIT // 1024} KiB. It is damaged; export it again."
        )
    return [line.strip() for line in head[3:at].decode("ascii", "replace").splitlines()], newline + 1


def _parse(path: Path, lines: list[str]) -> tuple[str, list[_Element], tuple[str, ...]]:
    kind, elements, comments = "", list[_Element](), list[str]()
    for line in filter(None, lines):
        match line.split():
            case ["format", ("ascii" | "binary_little_endian" | "binary_big_endian") as kind, _]:
                pass
            case ["comment" | "obj_info", *_]:
                comments.append(line.partition(" ")[2].strip())
            case ["element", name, count] if count.isdecimal() and len(count) < 20:
                elements.append(_Element(name, int(count), []))
            case ["property", "list", *_] if elements:
                elements[-1].has_list = True
            case ["property", kind_name, name] if elements and kind_name in TYPES:
                elements[-1].properties.append((name, TYPES[kind_name]))
            case _:
                raise FileFormatError(f"{path} has a PLY header line that is not understood: {line[:60]!r}.")
    if not kind:
        raise FileFormatError(f"{path} has no PLY format line. The file is damaged; export it again.")
    return kind, elements, tuple(comments)


def _table(
    path: Path, wanted: str, kind: str, elements: list[_Element], comments: tuple[str, ...], offset: int, size: int
) -> PlyTable:
    """Find the wanted element, and check the room that it and what comes before it take."""
    order = BYTE_ORDERS[kind]
    rows_before, is_ascii = 0, kind == "ascii"
    for element in elements:
        names = [name for name, _ in element.properties]
        if len(set(names)) != len(names):
            raise FileFormatError(f"{path} lists a property of '{element.name}' twice. Export the file again.")
        row = np.dtype([(name, order + code) for name, code in element.properties])
        # A text row needs at least a digit and a separator for each number; an empty row still needs its newline.
        row_bytes = max(1, 2 * len(names) - (element is elements[-1])) if is_ascii else row.itemsize
        needed = element.count * row_bytes
        if element.has_list and element.name == wanted:
            raise FileFormatError(f"{path} has lists in its vertices, which is not read. Export it as plain points.")
        if needed > size - offset:
            raise FileFormatError(
                f"{path} says that it holds {element.count} of '{element.name}' ({needed / MIB:.1f} MiB), but only "
                f"{max(0, size - offset) / MIB:.1f} MiB follow. It is cut off or its header lies; export it again."
            )
        if element.name == wanted:
            return PlyTable(path, is_ascii, element.count, row, offset, rows_before, comments)
        if element.has_list:
            raise FileFormatError(f"{path} has lists before its vertices. Export it as plain points.")
        rows_before += element.count if is_ascii else 0
        offset += 0 if is_ascii else needed
    if wanted == "vertex":
        raise FileFormatError(f"{path} has no vertices. Splat and point files have an element named 'vertex'.")
    raise FileFormatError(f"{path} has no element named '{wanted}', which files of its kind have. Export it again.")
