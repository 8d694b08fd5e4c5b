"""Splats <-> standard 3DGS PLY.

Rows hold ``x y z, f_dc_*, f_rest_*, opacity, scale_*, rot_*`` as Kerbl 2023's code writes them: values before their
activation, rotations wxyz, higher SH coefficients channel after channel. Reading takes the properties by name, in any
order and number type, and ignores those that it does not know; writing makes little-endian float32. Both go through
the file in chunks of rows, so memory stays at the size of the splats.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from scene3d._errors import FileFormatError, OutputError
from scene3d._gaussians import Gaussians
from scene3d.files._atomic import make_folder, write_atomic
from scene3d.files._ply_table import ROWS_AT_ONCE, PlyTable, read_header

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

__all__ = ["load_ply", "save_ply"]

BEFORE_REST = ("x", "y", "z", "f_dc_0", "f_dc_1", "f_dc_2")
AFTER_REST = ("opacity", "scale_0", "scale_1", "scale_2", "rot_0", "rot_1", "rot_2", "rot_3")
REST_COUNTS = (0, 9, 24, 45)
"""Number of f_rest properties for SH degree 0 to 3."""
COMPONENT = "component_index"


def load_ply(path: Path | str, *, drop_non_finite: bool = False) -> Gaussians:
    """Read a 3DGS PLY, or the compressed PLY of SuperSplat.

    Args:
        path: The file.
        drop_non_finite: Leave out splats with NaN, infinite values or no rotation instead of refusing the file.

    Raises:
        FileFormatError: Not a splat file, cut off, or with values that cannot be rendered.
    """
    path = Path(path)
    table = read_header(path)
    if "packed_position" in table.names:
        from scene3d.files._compressed_ply import load_compressed_ply

        return load_compressed_ply(path)
    rest = _check_names(table)
    blocks, component = _read_blocks(table, rest)
    usable = _usable(blocks)
    if usable is not None:
        if not drop_non_finite:
            bad = int(np.count_nonzero(~usable))
            raise FileFormatError(
                f"{path}: {bad} of {table.count} splats hold NaN, infinite values or no rotation. "
                "Clean the file in a splat editor, or load it with drop_non_finite=True to leave them out."
            )
        blocks, component = {name: block[usable] for name, block in blocks.items()}, component[usable]
    return _splats(blocks, component)


def save_ply(splats: Gaussians, path: Path | str, *, comments: Sequence[str] = ()) -> None:
    """Write a 3DGS PLY, whole or not at all.

    Args:
        splats: What to write. `component_index` is kept as an extra property when any splat is off the background.
        path: Target; replaced when it exists, its folder is made when it does not.
        comments: Lines for the header, e.g. the up axis and the units.

    Raises:
        OutputError: The disk is full, the folder cannot be written, or splats hold NaN.
    """
    path = Path(path)
    values = _columns(splats)
    if not all(np.isfinite(block).all() for block in values):
        raise OutputError(f"{path} was not written: some splats hold NaN or infinite values. Remove them first.")
    component = splats.component_index.detach().cpu().numpy()
    width = sum(block.shape[1] for block in values)
    row = np.dtype([("values", "<f4", (width,)), *([(COMPONENT, "<i4")] if component.any() else [])])
    header = _header(len(splats), width - len(BEFORE_REST) - len(AFTER_REST), COMPONENT in (row.names or ()), comments)
    make_folder(path.parent)
    size = len(header) + len(splats) * row.itemsize
    write_atomic(path, _parts(header, values, component, row), size=size)


def _check_names(table: PlyTable) -> int:
    """Number of f_rest properties of a splat file; refuses every other kind of file."""
    names = set(table.names)
    missing = [name for name in (*BEFORE_REST, *AFTER_REST) if name not in names]
    if missing:
        raise FileFormatError(
            f"{table.path} holds no splats: its vertices have no {', '.join(missing)}. "
            "A 3DGS PLY has x y z, f_dc_0..2, opacity, scale_0..2 and rot_0..3."
        )
    rest = sum(name.startswith("f_rest_") for name in names)
    if rest not in REST_COUNTS or not all(f"f_rest_{i}" in names for i in range(rest)):
        raise FileFormatError(f"{table.path} has {rest} f_rest properties, but SH degrees 0 to 3 have 0, 9, 24 or 45.")
    return rest


def _read_blocks(table: PlyTable, rest: int) -> tuple[dict[str, NDArray[np.float32]], NDArray[np.int32]]:
    """Each field of `Gaussians` as columns, and the components; a coefficient's colours lie side by side."""
    count = rest // 3
    names = {
        "means": BEFORE_REST[:3],
        "sh0": BEFORE_REST[3:],
        "shN": [f"f_rest_{channel * count + k}" for k in range(count) for channel in range(3)],
        "opacities": AFTER_REST[:1],
        "scales": AFTER_REST[1:4],
        "quats": AFTER_REST[4:],
    }
    blocks = dict(zip(names, table.blocks(*names.values()), strict=True))
    component = np.zeros(table.count, dtype=np.int32)
    if COMPONENT in table.names:
        component = table.columns(COMPONENT, dtype="i4")[:, 0]
    if component.min(initial=0) < 0:
        raise FileFormatError(f"{table.path} has negative values of {COMPONENT}; bodies count from 0, the background.")
    return blocks, component


def _usable(blocks: Mapping[str, NDArray[np.float32]]) -> NDArray[np.bool_] | None:
    """Which splats can be rendered, shape (N,); None when all can, which takes a tenth of the time to see."""
    quats = blocks["quats"]
    turned = (quats[:, 0] != 0) | (quats[:, 1] != 0) | (quats[:, 2] != 0) | (quats[:, 3] != 0)
    if turned.all() and all(np.isfinite(block).all() for block in blocks.values()):
        return None
    return turned & np.all([np.isfinite(block).all(axis=1) for block in blocks.values()], axis=0)


def _splats(blocks: Mapping[str, NDArray[np.float32]], component: NDArray[np.int32]) -> Gaussians:
    import torch

    fields = {name: torch.from_numpy(block) for name, block in blocks.items()}
    return Gaussians.create(
        means=fields["means"],
        sh0=fields["sh0"][:, None, :],
        shN=fields["shN"].unflatten(1, (fields["shN"].shape[1] // 3, 3)),
        opacities=fields["opacities"][:, 0],
        scales=fields["scales"],
        quats=fields["quats"],
        component_index=torch.from_numpy(component),
    )


def _columns(splats: Gaussians) -> list[NDArray[np.float32]]:
    """Blocks of columns (N, ...) in file order."""
    n = len(splats)
    ordered = [
        splats.means,
        splats.sh0.reshape(n, 3),
        splats.shN.transpose(1, 2).reshape(n, 3 * splats.shN.shape[1]),
        splats.opacities[:, None],
        splats.scales,
        splats.quats,
    ]
    return [tensor.detach().cpu().float().numpy() for tensor in ordered]


def _header(count: int, rest: int, has_component: bool, comments: Sequence[str]) -> bytes:
    names = (*BEFORE_REST, *(f"f_rest_{i}" for i in range(rest)), *AFTER_REST)
    lines = ["ply", "format binary_little_endian 1.0"]
    lines += [f"comment {' '.join(comment.split())}" for comment in comments]
    lines += [f"element vertex {count}", *(f"property float {name}" for name in names)]
    lines += [f"property int {COMPONENT}"] if has_component else []
    return ("\n".join([*lines, "end_header"]) + "\n").encode("ascii", "replace")


def _parts(
    header: bytes, values: list[NDArray[np.float32]], component: NDArray[np.int32], row: np.dtype
) -> Iterator[bytes]:
    yield header
    for start in range(0, len(component), ROWS_AT_ONCE):
        stop = min(start + ROWS_AT_ONCE, len(component))
        rows = np.empty(stop - start, dtype=row)
        np.concatenate([block[start:stop] for block in values], axis=1, out=rows["values"])
        if COMPONENT in (row.names or ()):
            rows[COMPONENT] = component[start:stop]
        yield rows.tobytes()
