"""Depth maps: do their sizes and units make sense?

Every program has its own unit of depth, and a wrong one fits a scene that is flat or a thousand times too large. A few
maps spread over the capture are opened. Their shape must be that of their photo; some depth must be known; in a metric
capture its median must be one that a sensor can measure. The message names the unit that the values look like.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from scene3d._errors import CaptureError
from scene3d.capture._depth_files import read_depth
from scene3d.capture._images import image_size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from scene3d.capture._capture import Capture, DepthFile, View

__all__ = ["check_depths", "without_missing_depths"]

LOOKED_AT = 5
"""Maps that are opened."""
UNKNOWN = 65535
"""The largest number of 16 bits is how many sensors write that they saw nothing."""
SHAPE_TOLERANCE = 0.01
"""Aspect ratios that differ by less belong together; maps are rounded to whole pixels."""
NEAREST, FARTHEST = 0.05, 60.0
"""Medians that sensors measure [m]."""
TYPICAL = (0.2, 15.0)
"""Medians of what people capture [m]; tells which unit the values look like."""
UNITS = ((1.0, "metres"), (1e-3, "millimetres"), (1e-2, "centimetres"), (1e-4, "tenths of a millimetre"))
"""Lengths [m] that files store depth in, the likelier first."""


def check_depths(capture: Capture) -> None:
    """Refuse depth maps whose size or unit cannot be right. Opens up to five of them.

    Raises:
        CaptureError: A map has another shape than its photo, the maps know no depth, or their unit is wrong.
    """
    views = [view for view in capture.views if view.depth is not None]
    if not views:
        return
    chosen = np.unique(np.linspace(0, len(views) - 1, LOOKED_AT).round().astype(int))
    medians = _medians([views[index] for index in chosen])
    if not medians:
        # Some maps may be empty, where no sensor looked or an export filled up: all are looked at before giving up.
        medians = _medians(views)
    first = views[0].depth
    assert first is not None
    if not medians:
        raise CaptureError(
            f"The depth maps know no depth: all {len(views)}, e.g. {first.path}, are zero everywhere or unknown. "
            "Export the depth again, or remove it."
        )
    if capture.metric:
        _require_unit(first, float(np.median(medians)))


def _medians(views: Sequence[View]) -> list[float]:
    """Median stored value of each map that knows any."""
    medians = []
    for view in views:
        assert view.depth is not None
        stored = _stored(view.depth)
        _require_shape(view, view.depth, stored)
        values = stored[(stored > 0) & (stored != UNKNOWN)]
        # Values beyond the range mean nothing, but when there are no others they still tell the unit.
        in_range = values[values * view.depth.unit <= view.depth.farthest]
        values = in_range if len(in_range) else values
        if len(values):
            medians.append(float(np.median(values)))
    return medians


def without_missing_depths(views: list[View], notes: list[str]) -> list[View]:
    """The views without the depth maps that are not there; a note tells how many."""
    absent = [view for view in views if view.depth is not None and not view.depth.path.is_file()]
    if absent:
        notes.append(f"{len(absent)} of {len(views)} photos have no depth map; their colour alone is used.")
    gone = {view.name for view in absent}
    return [replace(view, depth=None) if view.name in gone else view for view in views]


def _stored(depth: DepthFile) -> NDArray[np.float32]:
    """The numbers in a depth file, whatever their unit and range; 0 where the sensor saw nothing, shape (h, w)."""
    return read_depth(replace(depth, unit=1.0, nearest=0.0, farthest=math.inf, confidence=None))


def _require_shape(view: View, depth: DepthFile, stored: NDArray[np.float32]) -> None:
    height, width = stored.shape
    photo = (view.camera.width, view.camera.height)
    # The map of a photo that is stored sideways may lie on its side as well.
    if not any(_same_shape((width, height), size) for size in (photo, image_size(view.path))):
        raise CaptureError(
            f"The depth map {depth.path} is {width}x{height} pixels, another shape than its photo {view.path.name} of "
            f"{photo[0]}x{photo[1]}. Depth must show what the photo shows; it may be smaller, not cropped."
        )


def _same_shape(size: tuple[int, int], photo: tuple[int, int]) -> bool:
    return abs((size[0] * photo[1]) / (size[1] * photo[0]) - 1.0) <= SHAPE_TOLERANCE


def _require_unit(depth: DepthFile, median: float) -> None:
    """Refuse a unit [m] that puts the median of the stored values where no sensor measures."""
    if NEAREST <= median * depth.unit <= FARTHEST:
        return
    likely = next((pair for pair in UNITS if TYPICAL[0] <= median * pair[0] <= TYPICAL[1]), None)
    said = next((name for unit, name in UNITS if abs(depth.unit / unit - 1.0) < 1e-6), f"units of {depth.unit:g} m")
    guess = f"The values look like {likely[1]}" if likely else "The values fit no usual unit"
    remedy = f"a 'depth_unit_scale_factor' of {likely[0] if likely else 0.001:g}"
    raise CaptureError(
        f"The depth maps, e.g. {depth.path}, are read as {said}, which makes their median {median * depth.unit:.3g} m. "
        f"{guess}: store millimetres as 16-bit PNG, or give {remedy} in a transforms.json."
    )
