"""Metric scale from printed markers of known size.

photos -> detections (`find_markers`) -> squares in the world (`solve_markers`) -> metres per unit. Which dictionary was
printed is decided by which one photos agree on most. Markers of one size must agree on the scale; a few percent apart
means that they are not all of that size, which the caller is told rather than given their mean.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from scene3d._errors import CaptureError, UsageError
from scene3d.capture._marker_search import DICTIONARIES, Detection, dictionary_name, find_markers
from scene3d.capture._marker_solve import LEAST_ANGLE, Marker, solve_markers
from scene3d.capture._scale_estimate import ScaleEstimate

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from scene3d._scene import Scene
    from scene3d.capture._capture import Capture, View

__all__ = ["Marker", "MarkerScale", "find_markers", "marker_scale", "solve_markers"]

SOLVED_ERROR = 0.007
"""Relative error of scale that poses from few photos were seen to have where the markers themselves agree to 0.1 %."""
DISAGREEMENT = 0.03
"""Markers of one size whose sides differ by more than this share are not of one size."""
FEW = 0.15
"""A marker in fewer photos than this share of the best one's does not outvote it."""


@dataclass(frozen=True)
class MarkerScale(ScaleEstimate):
    """Scale, and the markers that it came from."""

    markers: tuple[Marker, ...] = ()
    """Squares in the world before scaling, most seen first; their normals may serve gravity."""


def marker_scale(
    capture: Capture | Scene,
    size: float,
    *,
    ids: Sequence[int] | None = None,
    dictionary: str | None = None,
    threads: int = 2,
    progress: Callable[[float], None] | None = None,
) -> MarkerScale:
    """Metres per unit of a capture or scene, from markers whose black square has a known side.

    Args:
        capture: Posed photos, or a scene that remembers its photos.
        size: Side of the black square [m], without the white margin.
        ids: Use these markers only; None uses all.
        dictionary: Their dictionary, e.g. ``4X4_50``; None finds out.
        threads: Photos that are decoded at a time.
        progress: Called with the share of photos done, 0 to 1.

    Raises:
        UsageError: The size is not above zero, or there is no such dictionary.
        CaptureError: No marker was found, too few photos or too small an angle show it, or markers disagree.
    """
    if not (math.isfinite(size) and size > 0):
        raise UsageError(f"A marker's size must be above zero, found {size:g}; 0.08 is a black square of 8 cm.")
    tried = [dictionary_name(dictionary)] if dictionary else list(DICTIONARIES)
    views = _views(capture)
    detections = find_markers(views, tried, threads=threads, progress=progress)
    if ids is not None:
        detections = tuple(d for d in detections if d.id in set(ids))
    if not detections:
        raise CaptureError(_none_found(len(views), tried, ids))
    markers = _of_one_dictionary(solve_markers(views, detections))
    if not markers:
        raise CaptureError(_not_solved(views, detections))
    markers = _agreeing(markers)
    side, error = _mean_side(markers)
    if _solved(capture):
        error = max(error, SOLVED_ERROR)
    return MarkerScale(size / side, error, "markers", _detail(markers), markers)


def _solved(capture: Capture | Scene) -> bool:
    """Whether structure from motion made the poses; its own errors do not show in how well the markers agree."""
    kind = capture.source if isinstance(capture.source, str) else capture.source.get("reader", "")
    return kind in ("photos", "video")


def _views(capture: Capture | Scene) -> tuple[View, ...]:
    from scene3d._scene import Scene

    return capture.photos() if isinstance(capture, Scene) else capture.views


def _of_one_dictionary(markers: tuple[Marker, ...]) -> tuple[Marker, ...]:
    """Markers of the dictionary that most photos agree on; others are chance."""
    votes: dict[str, int] = {}
    for marker in markers:
        votes[marker.dictionary] = votes.get(marker.dictionary, 0) + len(marker.views)
    best = max(votes, key=lambda name: votes[name], default="")
    return tuple(marker for marker in markers if marker.dictionary == best)


def _agreeing(markers: tuple[Marker, ...]) -> tuple[Marker, ...]:
    """Markers whose sides agree with the best seen one's.

    Raises:
        CaptureError: A marker that is seen well has another size.
    """
    best = markers[0]
    agree = [m for m in markers if abs(m.side / best.side - 1) <= DISAGREEMENT + 2 * m.relative_error]
    others = [m for m in markers if all(m is not a for a in agree) and len(m.views) > FEW * len(best.views)]
    if others:
        sides = ", ".join(f"{m.id} ({m.side / best.side:.3f} times marker {best.id}'s side)" for m in others[:4])
        raise CaptureError(
            f"Markers disagree: marker {best.id} and {sides} differ by more than {DISAGREEMENT:.0%}. They must all "
            "have the given size; name those that have with --marker-id."
        )
    return tuple(agree)


def _mean_side(markers: Sequence[Marker]) -> tuple[float, float]:
    """Weighted mean of the sides and its relative error."""
    logs = np.log([marker.side for marker in markers])
    weights = 1 / np.square([marker.relative_error for marker in markers])
    mean = float((weights * logs).sum() / weights.sum())
    error = float(weights.sum() ** -0.5)
    if len(markers) > 1:
        scatter = math.sqrt(float((weights * (logs - mean) ** 2).sum() / weights.sum()) / (len(markers) - 1))
        error = max(error, scatter)
    return math.exp(mean), error


def _detail(markers: Sequence[Marker]) -> str:
    photos = len({view for marker in markers for view in marker.views})
    name = short_name(markers[0].dictionary, max(marker.id for marker in markers))
    if len(markers) == 1:
        return f"marker {markers[0].id} of {name} in {photos} photos"
    return f"{len(markers)} markers of {name} in {photos} photos"


def short_name(dictionary: str, largest_id: int = 0) -> str:
    """A dictionary as one says it; 4X4_100 is called 4X4_50, which it contains, as long as the ids fit."""
    name = dictionary.removeprefix("DICT_")
    return "4X4_50" if name == "4X4_100" and largest_id < 50 else name


def _none_found(photos: int, tried: Sequence[str], ids: Sequence[int] | None) -> str:
    names = ", ".join(name.removeprefix("DICT_") for name in tried)
    which = "No marker" if ids is None else f"No marker with number {', '.join(map(str, ids))}"
    return (
        f"{which} was found in the {photos} photos; the dictionaries {names} were tried. The black square must be "
        "flat, wholly visible with its white margin, and at least 25 pixels wide."
    )


def _not_solved(views: Sequence[View], detections: Sequence[Detection]) -> str:
    codes: dict[tuple[str, int], set[int]] = {}
    for d in detections:
        codes.setdefault((d.dictionary, d.id), set()).add(d.view)
    (dictionary, number), seen = max(codes.items(), key=lambda item: len(item[1]))
    name = f"Marker {number} of {short_name(dictionary, number)}"
    if len(seen) == 1:
        (view,) = seen
        return (
            f"{name} was seen in one photo only ({views[view].name}); its size in the world takes two photos from "
            "different places. Take more photos that show it."
        )
    return (
        f"{name} was seen in {len(seen)} photos, but no two of them agree on where it is. They must show it from "
        f"places at least {math.degrees(LEAST_ANGLE):.0f} degrees apart, and it must not have been moved."
    )
