"""Were the photos taken in the order of their names, one soon after the other?

Times of exposure decide where all photos have one. Else the names do: numbers that go up in even steps, as frames of a
video are written. The counters of cameras (IMG_1234) are no frames: photos of one object from all sides have them, and
so have photos of a whole day.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["in_order"]

SHORT = 20.0
"""Neighbours are taken within this time [s]."""
MOSTLY = 0.9
"""Share of neighbours for which that holds."""
UNEVEN = 3.0
"""A step in numbers is even up to this many times the usual one."""
NUMBERED = re.compile(r"(.*?)([0-9]+)([^0-9]*)")
COUNTERS = re.compile(r"(.*/)?_?(img|dsc|mg|pxl|dji|gopr?|sam|photo|pict?|p)_?[a-z]?[^a-z/]*", re.IGNORECASE)
"""What comes before the number in names that cameras give."""


def in_order(names: Sequence[str], taken: Sequence[str]) -> bool:
    """Whether neighbours in the list are neighbours in time.

    Args:
        names: Names of photos, in natural order.
        taken: When each was taken as `Exif.taken` writes it, empty where unknown.
    """
    if len(names) < 2:
        return False
    if all(taken):
        seconds = [_seconds(time) for time in taken]
        gaps = np.diff([second for second in seconds if second is not None])
        return len(gaps) == len(names) - 1 and bool((gaps >= 0).all()) and float(np.mean(gaps <= SHORT)) >= MOSTLY
    matches = [NUMBERED.fullmatch(name.rsplit(".", 1)[0]) for name in names]
    if any(match is None for match in matches):
        return False
    parts = [match.groups() for match in matches if match is not None]
    before, _, after = parts[0]
    if COUNTERS.fullmatch(before) or any((part[0], part[2]) != (before, after) for part in parts):
        return False
    steps = np.diff([float(number) for _, number, _ in parts])
    return bool((steps > 0).all()) and float(np.mean(steps <= UNEVEN * np.median(steps))) >= MOSTLY


def _seconds(time: str) -> float | None:
    whole, _, fraction = time.partition(".")
    try:
        moment = datetime.strptime(whole, "%Y:%m:%d %H:%M:%S")
    except ValueError:
        return None
    return (moment - datetime(1970, 1, 1)).total_seconds() + float(f"0.{fraction or 0}")
