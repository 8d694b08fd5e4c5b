"""Metric scale from sensor depth: how many metres one unit of the poses is.

Structure from motion knows a place up to a factor; a depth sensor knows it in metres. Each sparse point is projected
into the views that have a depth map, and the depth read there is divided by the point's own. Most ratios agree on the
scale; points hidden behind something, edges and holes do not, so the mode counts and not the mean. A capture that is
metric already must come out at 1, which finds depth maps whose unit is wrong.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scene3d._errors import CaptureError
from scene3d.capture._geometry import Poses, project
from scene3d.capture._scale_estimate import ScaleEstimate
from scene3d.capture._sensor_depth import without_edges

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from scene3d.capture._capture import Capture, PointCloud, View

__all__ = ["TooFewDepths", "depth_scale"]

LONGEST_SIDE = 480
MOST_VIEWS = 40
"""Depth maps that are read, spread evenly over the capture."""
FEWEST_RATIOS = 50
"""Points seen in depth maps, all views together."""
AGREE = 0.1
"""Ratios this close to the scale, in natural logarithm, agree with it."""
LEAST_AGREEING = 0.3
"""Share of ratios that must agree; the rest are points that the view does not see."""
LARGEST_ERROR = 0.25
"""A metric capture must come out this close to 1. Units are off by more; by less it is intrinsics: a Kinect's colour
camera that is given the focal length of its depth camera comes out at 0.9."""
SYSTEMATIC = 0.002
"""Error that stays however many points there are; 0.001 was seen on exact depth."""
UNITS = {
    1e-3: "the depth maps seem to be in metres, but were read as millimetres",
    1e3: "the depth maps seem to be in millimetres, but were read as metres",
    1e-2: "the depth maps or the poses seem to be in centimetres, or read as such",
    1e2: "the depth maps or the poses seem to be in centimetres, or read as such",
    0.1: "the depth maps are read ten times too short, as 10000 units a metre where 1000 are meant",
    10.0: "the depth maps are read ten times too long, as 1000 units a metre where 10000 are meant",
    0.2: "the depth maps are read five times too short, as 5000 units a metre where 1000 are meant",
    5.0: "the depth maps are read five times too long, as 1000 units a metre where 5000 are meant",
    0.3048: "the poses seem to be in feet",
    3.2808: "the depth maps seem to be in feet",
}
"""What a factor between depth maps and metric poses is likely to mean."""


class TooFewDepths(CaptureError):
    """Depth maps and sparse points meet too seldom to say anything."""


def depth_scale(capture: Capture, points: PointCloud) -> ScaleEstimate:
    """Metres per unit of the capture's world, from the sensor depth of its views.

    Args:
        capture: Posed photos, some of them with depth maps in metres.
        points: Sparse points in the capture's world.

    Raises:
        TooFewDepths: Fewer than 50 points fall onto depth.
        CaptureError: Depth and poses do not fit together; or the capture is metric and its depth has another unit.
    """
    chosen = [view for view in capture.views if view.depth is not None]
    chosen = chosen[:: max(1, -(-len(chosen) // MOST_VIEWS))]
    found = [_log_ratios(view, points.points) for view in chosen]
    ratios = np.concatenate([*found, np.zeros(0)])
    if len(ratios) < FEWEST_RATIOS:
        raise TooFewDepths(
            f"Only {len(ratios)} sparse points fall onto sensor depth in {len(chosen)} views, but {FEWEST_RATIOS} are "
            "needed to find the scale. Take more photos with depth, or give the scale another way."
        )
    centre = _mode(ratios)
    near = ratios[np.abs(ratios - centre) < AGREE]
    centre = float(np.median(near))
    near = ratios[np.abs(ratios - centre) < AGREE]
    share = len(near) / len(ratios)
    if share < LEAST_AGREEING:
        raise CaptureError(
            f"Depth and poses do not fit together: only {100 * share:.0f} % of {len(ratios)} points agree on a scale "
            "within 10 %. Use depth maps that belong to these photos, as camera z and not as distance along the ray."
        )
    scale = float(np.exp(np.median(near)))
    if capture.metric and abs(np.log(scale)) > np.log(1 + LARGEST_ERROR):
        raise CaptureError(_wrong_unit(scale))
    detail = f"{len(near)} points in {sum(len(one) > 0 for one in found)} depth maps"
    return ScaleEstimate(scale, _standard_error(found, centre), "depth", detail)


def _log_ratios(view: View, points: NDArray) -> NDArray[np.float64]:
    """log(sensor depth / depth of the point) for each point that falls onto known depth away from edges."""
    photo = view.load(LONGEST_SIDE)
    if photo.depth is None:
        return np.zeros(0)
    depth = without_edges(photo.depth)
    pixels, z = project(Poses.of([photo.camera]), np.asarray(points, dtype=np.float64), 0)
    inside = (z > 0) & (pixels >= 0).all(1) & (pixels < [photo.camera.width, photo.camera.height]).all(1)
    column, row = pixels[inside].astype(np.int64).T
    seen = depth[row, column].astype(np.float64)
    known = seen > 0
    return np.log(seen[known] / z[inside][known])


def _mode(values: NDArray) -> float:
    """Middle of the narrowest window that holds a third of the values: the mode, where outliers are many."""
    ordered = np.sort(values)
    count = max(2, len(ordered) // 3)
    width = ordered[count - 1 :] - ordered[: len(ordered) - count + 1]
    start = int(np.argmin(width))
    return float(np.median(ordered[start : start + count]))


def _standard_error(found: Sequence[NDArray], centre: float) -> float:
    """Standard error of the logarithm of the scale.

    Points of one view share their errors (a sensor's bias drifts slowly, a pose is off), so views are counted and not
    points, where there are enough of them.
    """
    close = [one[np.abs(one - centre) < AGREE] for one in found]
    medians = np.array([np.median(one) for one in close if len(one) >= 5])
    values = medians if len(medians) >= 4 else np.concatenate(close)
    spread = 1.4826 * float(np.median(np.abs(values - np.median(values))))
    return float(np.hypot(1.2533 * spread / np.sqrt(len(values)), SYSTEMATIC))


def _wrong_unit(scale: float) -> str:
    likely = min(UNITS, key=lambda unit: abs(np.log(scale / unit)))
    why = UNITS[likely] if abs(np.log(scale / likely)) < np.log(1.15) else "depth maps and poses have different units"
    return (
        f"The capture's poses are metric, but its depth maps say that everything is {scale:.4g} times as far away: "
        f"{why}. Correct the unit of the depth maps, or leave them out."
    )
