"""Seed clouds: PLY with positions and perhaps colours -> `PointCloud`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scene3d._errors import FileFormatError
from scene3d.capture._capture import PointCloud
from scene3d.files._ply_table import read_header

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["load_points"]

COLORS = (("red", "green", "blue"), ("r", "g", "b"), ("diffuse_red", "diffuse_green", "diffuse_blue"))
GREY = 128


def load_points(path: Path) -> PointCloud:
    """Read the points of a PLY file; grey without colours, points that are not finite are left out.

    Raises:
        FileFormatError: The file is damaged or holds no positions.
    """
    table = read_header(path)
    if not {"x", "y", "z"} <= set(table.names):
        raise FileFormatError(f"{path} has vertices without x, y and z. A seed cloud needs positions.")
    points = table.columns("x", "y", "z")
    colors = np.full(points.shape, GREY, dtype=np.uint8)
    for names in COLORS:
        if set(names) <= set(table.names):
            # Colours are bytes in most files and fractions of 1 in the rest.
            scale = 1.0 if table.row[names[0]].kind in "iu" else 255.0
            values = np.nan_to_num(table.columns(*names) * scale, posinf=255.0)
            colors = values.round().clip(0, 255).astype(np.uint8)
            break
    finite = np.isfinite(points).all(axis=1)
    return PointCloud(points[finite], colors[finite])
