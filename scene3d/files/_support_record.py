"""A support plane <-> its entry in scene.yaml."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scene3d._errors import FileFormatError
from scene3d._support import SupportPlane
from scene3d.files._scene_file import SupportRecord

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["support_of", "support_record"]


def support_record(support: SupportPlane) -> SupportRecord:
    """What scene.yaml says about a support."""
    return SupportRecord(
        normal=tuple(np.asarray(support.normal, dtype=np.float64).tolist()),
        offset=float(support.offset),
        noise=float(support.noise),
        outline=[tuple(corner) for corner in np.asarray(support.outline, dtype=np.float64).tolist()],
    )


def support_of(record: SupportRecord, where: Path) -> SupportPlane:
    """The support that an entry describes.

    Raises:
        FileFormatError: Its normal is no unit vector, or a number is not finite.
    """
    normal, outline = np.array(record.normal), np.array(record.outline, dtype=np.float64).reshape(-1, 3)
    finite = np.isfinite([*record.normal, record.offset, record.noise]).all() and np.isfinite(outline).all()
    if not finite or abs(float(np.linalg.norm(normal)) - 1) > 1e-3:
        raise FileFormatError(f"{where} has a support without a unit normal or with numbers that are not finite.")
    return SupportPlane(normal, record.offset, record.noise, outline)
