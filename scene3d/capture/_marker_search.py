"""Photos -> printed square markers seen in them, each with refined corners.

OpenCV proposes dark squares and reads their codes in all common dictionaries at once, on a reduced copy of large
photos. What it takes for a code may be a window or a bookshelf; most of that fails the fit of the code's edges at full
size (`refine_corners`), and what is left must still agree between photos (`solve_markers`).
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from scene3d._errors import UsageError
from scene3d.capture._marker_corners import MarkerCorners, linear_light, refine_corners

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from scene3d.capture._capture import View

__all__ = ["DICTIONARIES", "Detection", "dictionary_name", "find_markers"]

DICTIONARIES = (
    "DICT_4X4_100",
    "DICT_5X5_100",
    "DICT_6X6_250",
    "DICT_7X7_100",
    "DICT_ARUCO_ORIGINAL",
    "DICT_APRILTAG_16h5",
    "DICT_APRILTAG_25h9",
    "DICT_APRILTAG_36h11",
)
"""What is tried when nothing is said; each contains the smaller ones of its family."""
LONGEST_SIDE = 2000
"""Larger photos are reduced to this for the search [px]."""


@dataclass(frozen=True)
class Detection:
    """One marker in one photo."""

    view: int
    """Index of the view."""
    dictionary: str
    """OpenCV's name of the dictionary."""
    id: int
    """Number of the marker in it."""
    corners: MarkerCorners
    """Outline in the undistorted photo at full size."""


def dictionary_name(text: str) -> str:
    """OpenCV's name for ``4x4_50``, ``apriltag_36h11`` or ``DICT_6X6_250``.

    Raises:
        UsageError: There is no such dictionary.
    """
    import cv2

    names = sorted(name for name in dir(cv2.aruco) if name.startswith("DICT_"))
    wanted = text.upper().removeprefix("DICT_")
    # APRILTAG_36h11 exists in both spellings; the one with a small h is OpenCV's documented one.
    found = [name for name in names if name.upper().removeprefix("DICT_") == wanted]
    if not found:
        known = ", ".join(name.removeprefix("DICT_") for name in DICTIONARIES)
        raise UsageError(f"There is no marker dictionary {text!r}. Known are for example {known}.")
    return found[-1]


def find_markers(
    views: Sequence[View],
    dictionaries: Sequence[str] | None = None,
    *,
    threads: int = 2,
    progress: Callable[[float], None] | None = None,
) -> tuple[Detection, ...]:
    """All that looks like a marker, photo by photo.

    Args:
        views: Photos; they are undistorted, poses are not used.
        dictionaries: OpenCV's names; None tries `DICTIONARIES`.
        threads: Photos that are decoded at a time.
        progress: Called with the share of photos done, 0 to 1.

    Raises:
        CaptureError: A photo cannot be read.
        UsageError: There is no dictionary of that name.
    """
    import cv2

    names = [dictionary_name(name) for name in dictionaries or DICTIONARIES]
    tables = [cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, name)) for name in names]

    def search(index: int) -> list[Detection]:
        return _in_photo(views[index], index, names, tables)

    found: list[Detection] = []
    with ThreadPoolExecutor(max(1, threads)) as pool:
        for done, detections in enumerate(pool.map(search, range(len(views))), start=1):
            found += detections
            if progress is not None:
                progress(done / len(views))
    return tuple(found)


def _in_photo(view: View, index: int, names: list[str], tables: list[Any]) -> list[Detection]:
    import cv2

    rgb = replace(view, mask=None, depth=None).load().rgb
    height, width = rgb.shape[:2]
    zoom = min(1.0, LONGEST_SIDE / max(width, height))
    size = (max(1, round(width * zoom)), max(1, round(height * zoom)))
    grey = cv2.resize(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), size, interpolation=cv2.INTER_AREA)
    back = np.array([width / size[0], height / size[1]])
    candidates = _candidates(np.asarray(grey, dtype=np.uint8), tables)
    if not candidates:
        return []
    light = linear_light(rgb)
    found = []
    for rough, number, table in candidates:
        corners = refine_corners(light, (rough + 0.5) * back, _cells(tables[table], number))
        if corners is not None:
            found.append(Detection(index, names[table], number, corners))
    return found


def _candidates(grey: NDArray[np.uint8], tables: list[Any]) -> list[tuple[NDArray[np.float64], int, int]]:
    """Rough corners (4, 2) in OpenCV's pixels, number and index of the dictionary."""
    import cv2

    found: list[tuple[NDArray[np.float64], int, int]] = []
    if hasattr(cv2.aruco.ArucoDetector, "detectMarkersMultiDict"):
        corners, ids, _, index = cv2.aruco.ArucoDetector(tables).detectMarkersMultiDict(grey)
        if ids is not None and index is not None:
            rows = zip(corners, np.ravel(ids), np.ravel(index), strict=True)
            found = [(np.reshape(c, (4, 2)).astype(np.float64), int(n), int(k)) for c, n, k in rows]
        return found
    for k, table in enumerate(tables):  # Older OpenCV knows one dictionary at a time.
        corners, ids, _ = cv2.aruco.ArucoDetector(table).detectMarkers(grey)
        if ids is not None:
            rows = zip(corners, np.ravel(ids), strict=True)
            found += [(np.reshape(c, (4, 2)).astype(np.float64), int(n), k) for c, n in rows]
    return found


def _cells(table: Any, number: int) -> NDArray[np.bool_]:
    """Cells of a marker with its black border, True where white."""
    import cv2

    return np.asarray(cv2.aruco.generateImageMarker(table, number, int(table.markerSize) + 2)) > 127
