"""A capture gets its scale and its gravity: the one step between solving poses and fitting.

What the capture knows is kept. What it does not know is measured: scale from markers of a given size, else from sensor
depth; gravity from what the user says, else from the support plane. Then the world is scaled and turned about its own
origin, by the smallest rotation that makes up +Z, and nothing is centred or normalised. `Capture.T_world_source`
remembers the way back, and `Capture.notes` says in a sentence each what was done and how sure it is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from scene3d._errors import UsageError
from scene3d.capture._depth_scale import TooFewDepths, depth_scale
from scene3d.capture._gravity import estimate_up
from scene3d.capture._similarity import Similarity, transform_capture

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from scene3d.capture._capture import Capture, PointCloud
    from scene3d.capture._scale_estimate import ScaleEstimate

__all__ = ["Up", "align", "parse_up", "smallest_rotation"]

Vector = tuple[float, float, float]
Up = Literal["auto", "keep"] | Vector
"""``auto`` finds gravity, ``keep`` leaves the axes of the capture as they are, a vector says where up is in them."""

AXES: dict[str, Vector] = {"x": (1, 0, 0), "y": (0, 1, 0), "z": (0, 0, 1)}
AT_REST = 1e-6
"""Rotations and scales that change less than this change nothing."""
DISAGREES = 0.05
"""Scales that differ by more are worth a sentence."""


def parse_up(text: str) -> Up:
    """The value of the flag ``--up``: an axis (``z``, ``-y``), a direction (``0,-0.9,0.1``), ``auto`` or ``keep``.

    Raises:
        UsageError: It is none of these.
    """
    word = text.strip().lower()
    if word in ("auto", "keep"):
        return "auto" if word == "auto" else "keep"
    if word.lstrip("+-") in AXES and len(word.lstrip("+-")) >= len(word) - 1:
        x, y, z = AXES[word[-1]]
        sign = -1 if word.startswith("-") else 1
        return (float(sign * x), float(sign * y), float(sign * z))
    try:
        numbers = [float(part) for part in word.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) != 3 or not all(map(math.isfinite, numbers)) or not any(numbers):
        raise UsageError(
            f"Found --up {text!r}; it takes the axis that points up (x, -x, y, -y, z, -z), a direction such as "
            "0,-0.9,0.1, auto, or keep."
        )
    return _unit((numbers[0], numbers[1], numbers[2]))


def align(
    capture: Capture,
    *,
    up: Up | str = "auto",
    marker_size: float | None = None,
    points: PointCloud | None = None,
    seed: int = 0,
    progress: Callable[[str, float], None] | None = None,
) -> Capture:
    """Bring a capture to metres and Z up, as far as it or the user knows how.

    A capture that is metric and knows that +Z is up is returned as it is.

    Args:
        capture: Posed photos.
        up: Where up is in the capture's world; also as text, see `parse_up`.
        marker_size: Edge of the printed markers in the photos [m]; None looks for none.
        points: Points in the capture's world for gravity and depth; None takes the capture's own, or triangulates
            them when they are needed, and then keeps them in the result. The scale can be found from depth only with
            points that come from the poses, never with points that were lifted from the depth maps themselves.
        seed: Seed of RANSAC.
        progress: Called with what is being done and its share, 0 to 1, while points are triangulated.

    Returns:
        The capture with `metric`, `scale_source`, `up`, `T_world_source` and `notes` set. Its `up` is +Z, except with
        ``keep``, where it stays what it was.

    Raises:
        UsageError: ``up`` is no direction.
        CaptureError: Markers were asked for and not found, or sensor depth and poses contradict each other.
    """
    asked = parse_up(up) if isinstance(up, str) else _unit(up)
    cloud = _Cloud(capture, points if points is not None else capture.points, progress)
    scale, scale_source, notes = _scale(capture, marker_size, cloud)
    direction, up_notes = _up(capture, asked, cloud, seed)
    R = np.eye(3) if direction is None or asked == "keep" else smallest_rotation(direction, (0.0, 0.0, 1.0))
    if capture.metric and capture.scale_source and capture.up == (0.0, 0.0, 1.0) == direction:
        return replace(capture, notes=(*capture.notes, *notes, *up_notes)) if notes or up_notes else capture
    if cloud.triangulated is not None:
        capture = replace(capture, points=cloud.triangulated)
    if abs(scale - 1) > AT_REST or np.abs(R - np.eye(3)).max() > AT_REST:
        capture = transform_capture(capture, Similarity(scale, R))
    return replace(
        capture,
        metric=capture.metric or bool(scale_source),
        scale_source=capture.scale_source or scale_source,
        up=capture.up if asked == "keep" else (0.0, 0.0, 1.0),
        notes=(*capture.notes, *notes, *up_notes),
    )


def smallest_rotation(a: Vector, b: Vector) -> NDArray[np.float64]:
    """The rotation (3, 3) by the smallest angle that takes direction a to direction b."""
    u, v = np.array(_unit(a)), np.array(_unit(b))
    cosine = float(u @ v)
    if cosine < -1 + 1e-12:
        # Half a turn about any axis across.
        axis = np.cross(u, np.eye(3)[int(np.argmin(np.abs(u)))])
        axis /= np.linalg.norm(axis)
        return 2 * np.outer(axis, axis) - np.eye(3)
    x, y, z = np.cross(u, v)
    K = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + K + K @ K / (1 + cosine)


@dataclass
class _Cloud:
    """Sparse points, made when first asked for."""

    capture: Capture
    known: PointCloud | None
    progress: Callable[[str, float], None] | None
    triangulated: PointCloud | None = None

    def get(self) -> PointCloud:
        if self.known is None:
            from scene3d.capture._triangulate import triangulate

            # Held-out photos are not looked at: these points go on to be the first splats.
            seen = replace(self.capture, views=self.capture.split()[0])
            self.known = self.triangulated = triangulate(seen, progress=self.progress)
        return self.known


def _scale(capture: Capture, marker_size: float | None, cloud: _Cloud) -> tuple[float, str, list[str]]:
    """Factor on the capture's lengths, where it is from (empty when unknown), and sentences about it."""
    has_depth = any(view.depth is not None for view in capture.views)
    marked = None if marker_size is None else _from_markers(capture, marker_size)
    if capture.metric:
        # Depth must agree with poses that are metric already; points are not made for this check alone.
        checked = _from_depth(capture, cloud.known) if has_depth and cloud.known is not None else None
        return 1.0, capture.scale_source or "capture", _disagreements(marked, checked)
    measured = _from_depth(capture, cloud.get()) if has_depth else None
    if marked is not None:
        notes = [_sentence(marked)]
        if isinstance(measured, str):
            notes.append(measured)
        elif measured is not None and abs(math.log(measured.scale / marked.scale)) > DISAGREES:
            ratio = measured.scale / marked.scale
            notes.append(f"Sensor depth says {ratio:.3f} times as much; check the size of the markers.")
        return marked.scale, marked.source, notes
    if measured is None:
        return 1.0, "", ["Lengths are in units of the capture: nothing in it tells the scale."]
    if isinstance(measured, str):
        return 1.0, "", [measured]
    return measured.scale, measured.source, [_sentence(measured)]


def _disagreements(marked: ScaleEstimate | None, depth: ScaleEstimate | str | None) -> list[str]:
    """What contradicts the known scale of a capture."""
    notes = []
    for who, found in (("The markers say", marked), ("Sensor depth says", depth)):
        if found is not None and not isinstance(found, str) and abs(math.log(found.scale)) > DISAGREES:
            notes.append(f"{who} that lengths are {found.scale:.3f} times those of the capture, which were kept.")
    return notes


def _from_markers(capture: Capture, size: float) -> ScaleEstimate:
    from scene3d.capture._markers import marker_scale

    return marker_scale(capture, size)


def _from_depth(capture: Capture, points: PointCloud) -> ScaleEstimate | str:
    """The scale, or a sentence about why depth says none."""
    try:
        return depth_scale(capture, points)
    except TooFewDepths as why:
        return f"No scale from sensor depth. {why}"


def _sentence(estimate: ScaleEstimate) -> str:
    error = 100 * estimate.relative_error
    return (
        f"Scale from {estimate.source}: one unit of the capture is {estimate.scale:.5g} m, "
        f"give or take {error:.1g} % ({estimate.detail})."
    )


def _up(capture: Capture, asked: Up, cloud: _Cloud, seed: int) -> tuple[Vector | None, list[str]]:
    """Up in the capture's world, None to leave it alone, and sentences about it."""
    if asked == "keep":
        return None, []
    if not isinstance(asked, str):
        if capture.up is None or _degrees(asked, capture.up) < 1:
            return asked, ["Up as given by --up."]
        angle = _degrees(asked, capture.up)
        return asked, [f"Up as given by --up, {angle:.0f} degrees from what the capture says."]
    if capture.up is not None:
        return capture.up, []
    found = estimate_up(cloud.get().points, [view.camera for view in capture.views], seed=seed)
    return found.up, [found.note]


def _unit(vector: Vector) -> Vector:
    length = math.hypot(*vector)
    if not (math.isfinite(length) and length > 0):
        raise UsageError(f"Found {vector} as the up direction; it takes three finite numbers, not all zero.")
    return (vector[0] / length, vector[1] / length, vector[2] / length)


def _degrees(a: Vector, b: Vector) -> float:
    u, v = np.array(_unit(a)), np.array(_unit(b))
    return math.degrees(2 * math.atan2(float(np.linalg.norm(u - v)), float(np.linalg.norm(u + v))))
