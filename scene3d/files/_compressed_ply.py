"""Compressed PLY -> splats: the format of SuperSplat and PlayCanvas, 16 bytes a splat.

Three elements: `chunk` with the bounds of 256 splats each, `vertex` with four packed words per splat, and optionally
`sh` with a byte per SH coefficient. Within the bounds of its chunk a position and a log scale have 11, 10 and 11 bits;
rotations are two bits for the largest component and three times 10; colour and opacity have 8 bits each. Values are
those of a 3DGS PLY in its axes, only rounded.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from scene3d._errors import FileFormatError
from scene3d._gaussians import SH_C0, Gaussians
from scene3d.files._packing import coefficients_last, finite_or_refuse, logits_of_bytes, quats_of_smallest_three
from scene3d.files._ply_table import PlyTable, read_header

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["load_compressed_ply"]

ROWS_PER_CHUNK = 256
WORDS = ("packed_position", "packed_rotation", "packed_scale", "packed_color")
PLACE, SIZE, COLOR = ("x", "y", "z"), ("scale_x", "scale_y", "scale_z"), ("r", "g", "b")
REST_COUNTS = (9, 24, 45)
SH_REACH = 8.0
"""SH bytes cover -4 to 4."""


def load_compressed_ply(path: Path | str) -> Gaussians:
    """Read a compressed PLY.

    Args:
        path: The file.

    Raises:
        FileFormatError: Another kind of file, cut short, or with chunks that do not fit its splats.
    """
    import torch

    path = Path(path)
    chunks, vertices = read_header(path, "chunk"), read_header(path)
    _check(path, chunks, vertices)
    words = vertices.columns(*WORDS, dtype="u4")
    opaque = (words[:, 3] & 255).astype(np.uint8)
    splats = Gaussians.create(
        means=torch.from_numpy(_within(chunks, PLACE, _fields(words[:, 0], (21, 11, 0), (11, 10, 11)))),
        quats=torch.from_numpy(_quats(words[:, 1])),
        scales=torch.from_numpy(_within(chunks, SIZE, _fields(words[:, 2], (21, 11, 0), (11, 10, 11)))),
        opacities=torch.from_numpy(logits_of_bytes(opaque)),
        sh0=torch.from_numpy((_colors(chunks, words[:, 3]) - np.float32(0.5)) / np.float32(SH_C0))[:, None, :],
        shN=torch.from_numpy(_sh(path, vertices.count)),
    )
    return finite_or_refuse(path, splats)


def _check(path: Path, chunks: PlyTable, vertices: PlyTable) -> None:
    missing = [name for name in WORDS if name not in vertices.names]
    missing += [f"{end}_{name}" for name in (*PLACE, *SIZE) for end in ("min", "max")]
    missing = [name for name in missing if name not in (*vertices.names, *chunks.names)]
    if missing:
        raise FileFormatError(f"{path} is no compressed PLY of splats: it has no {', '.join(missing)}.")
    wanted = -(-vertices.count // ROWS_PER_CHUNK)
    if chunks.count != wanted:
        raise FileFormatError(
            f"{path} has {chunks.count} chunks for {vertices.count} splats, but these need {wanted} "
            f"({ROWS_PER_CHUNK} each). It is damaged; export it again."
        )


def _fields(words: NDArray[np.uint32], shifts: tuple[int, ...], bits: tuple[int, ...]) -> NDArray[np.float32]:
    """Unsigned parts of each word as numbers from 0 to 1, shape (N, parts)."""
    parts = np.empty((len(words), len(shifts)), np.float32)
    for column, (shift, width) in enumerate(zip(shifts, bits, strict=True)):
        most = 2**width - 1
        np.multiply((words >> shift) & most, np.float32(1 / most), out=parts[:, column], casting="unsafe")
    return parts


def _within(chunks: PlyTable, names: tuple[str, ...], parts: NDArray[np.float32]) -> NDArray[np.float32]:
    """Numbers from 0 to 1 (N, 3) between the bounds that each splat's chunk has for them."""
    low, high = (chunks.columns(*(f"{end}_{name}" for name in names)) for end in ("min", "max"))
    chunk = np.arange(len(parts)) // ROWS_PER_CHUNK
    with np.errstate(invalid="ignore", over="ignore"):  # Damaged bounds become NaN, which is refused later.
        return low[chunk] * (1 - parts) + high[chunk] * parts


def _quats(words: NDArray[np.uint32]) -> NDArray[np.float32]:
    small = _fields(words, (20, 10, 0), (10, 10, 10))
    small -= np.float32(0.5)
    small *= np.float32(np.sqrt(2))
    return quats_of_smallest_three(small, words >> 30)


def _colors(chunks: PlyTable, words: NDArray[np.uint32]) -> NDArray[np.float32]:
    """Colours (N, 3) of degree 0; files older than SuperSplat 2 have no bounds for them."""
    parts = _fields(words, (24, 16, 8), (8, 8, 8))
    bounded = all(f"{end}_{name}" in chunks.names for name in COLOR for end in ("min", "max"))
    return _within(chunks, COLOR, parts) if bounded else parts


def _sh(path: Path, count: int) -> NDArray[np.float32]:
    """Higher SH (N, K, 3); K = 0 when the file has none."""
    if b"\nelement sh " not in _header(path):
        return np.zeros((count, 0, 3), np.float32)
    table = read_header(path, "sh")
    names = [f"f_rest_{i}" for i in range(len(table.names))]
    if table.count != count or len(names) not in REST_COUNTS or set(names) != set(table.names):
        raise FileFormatError(
            f"{path} has {table.count} rows of {len(names)} SH coefficients for {count} splats; as many rows of "
            "9, 24 or 45 are wanted. It is damaged; export it again."
        )
    levels = (np.arange(256, dtype=np.float32) + np.float32(0.5)) / 256
    levels[[0, 255]] = 0, 1
    values = (levels - np.float32(0.5)) * np.float32(SH_REACH)
    return np.ascontiguousarray(coefficients_last(values[table.columns(*names, dtype="u1")]))


def _header(path: Path) -> bytes:
    with open(path, "rb") as file:
        return file.read(64 * 1024).split(b"end_header")[0]
