"""Metric scale for a finished scene: the library side of `scene3d scale`.

One source says how long a unit is: an object's known size, a measured distance, printed markers, or a number. The
scene is expressed in metres by that factor (splats, cameras, the stored transform from the capture's own world) and
saved in its folder, where its previous version stays in the history. Nothing is fitted again.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from scene3d._errors import CaptureError, OutputError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from scene3d._scene import Scene
    from scene3d.capture._scale_estimate import ScaleEstimate

__all__ = ["ScaleRequest", "apply_scale", "estimate_scale", "set_scale"]

OBJECT_ERROR = 0.03
"""How well the extent of an object's splats is known, as a share: their outline is soft."""


@dataclass(frozen=True)
class ScaleRequest:
    """Where the scale is to come from; exactly one of the first four is set."""

    size: str | None = None
    """``NAME=METRES``: the longest side of an object."""
    known_distance: str | None = None
    """``IMAGE,U1,V1,U2,V2=METRES``, see `scene3d.capture._known_distance`."""
    marker_size: float | None = None
    """Side of the black square of printed markers [m]."""
    factor: float | None = None
    """Metres per unit, as a number."""
    marker_ids: Sequence[int] | None = None
    """Markers that have `marker_size`; None for all that are found."""
    marker_dictionary: str | None = None
    """Dictionary of the markers; None finds out."""

    def check(self) -> None:
        """Find out what is wrong with the request before work starts.

        Raises:
            UsageError: None or several sources, a malformed value, or one that is not above zero.
        """
        given = {
            "--size": self.size,
            "--known-distance": self.known_distance,
            "--marker-size": self.marker_size,
            "--factor": self.factor,
        }
        named = [name for name, value in given.items() if value is not None]
        if len(named) != 1:
            found = f"{' and '.join(named)} were given" if named else "none was given"
            raise UsageError(
                f"Scale comes from exactly one of {', '.join(given)}, but {found}. For example: --marker-size 0.08"
            )
        if self.marker_size is None and (self.marker_ids is not None or self.marker_dictionary is not None):
            raise UsageError("--marker-id and --marker-dictionary belong to --marker-size, which was not given.")
        for name, value in (("--marker-size", self.marker_size), ("--factor", self.factor)):
            if value is not None and not (math.isfinite(value) and value > 0):
                raise UsageError(f"Found {name} {value:g}; it takes a number above zero, in metres.")
        if self.size is not None:
            _size(self.size)
        if self.known_distance is not None:
            from scene3d.capture._known_distance import parse_known_distance

            parse_known_distance(self.known_distance)


def set_scale(
    folder: Path | str,
    request: ScaleRequest,
    *,
    overwrite: bool = False,
    progress: Callable[[float], None] | None = None,
) -> tuple[Scene, ScaleEstimate]:
    """Make a scene folder metric.

    Args:
        folder: Scene folder; its previous version stays in ``.history``.
        request: Where the scale is to come from.
        overwrite: Also when the scene is metric already.
        progress: Called with the share of photos searched for markers, 0 to 1.

    Returns:
        The scene in metres as it was saved, and the scale that it was multiplied with.

    Raises:
        UsageError: The request is wrong, e.g. names a photo or an object that the scene does not have.
        OutputError: The scene is metric already and `overwrite` is False, or cannot be written.
        CaptureError: The scene or its photos do not show what was asked for.
        FileFormatError: Not a scene folder, or a damaged one.
    """
    from scene3d.files import load_scene, save_scene

    request.check()
    folder = Path(folder)
    scene = load_scene(folder)
    if scene.metric and not overwrite:
        origin = f" (scale from {scene.scale_source})" if scene.scale_source else ""
        raise OutputError(f"{folder} is metric already{origin}; pass --overwrite to set its scale anew.")
    if len(scene.splats) and int(scene.splats.component_index.max()) > len(scene.objects):
        raise UsageError(
            f"{folder} holds splats of bodies that it does not describe, so they cannot be scaled. "
            "Set the scale before segmenting, or segment it again."
        )
    estimate = estimate_scale(scene, request, progress)
    scaled = apply_scale(scene, estimate)
    save_scene(scaled, folder, overwrite=True)
    return scaled, estimate


def apply_scale(scene: Scene, estimate: ScaleEstimate) -> Scene:
    """The scene in metres; ``source["scale"]`` keeps how it came to be."""
    from scene3d.capture._similarity import Similarity, transform_scene

    note = {
        "source": estimate.source,
        "factor": float(estimate.scale),
        "relative_error": float(estimate.relative_error),
        "detail": estimate.detail,
    }
    return replace(
        transform_scene(scene, Similarity(estimate.scale)),
        metric=True,
        scale_source=estimate.source,
        source={**scene.source, "scale": note},
    )


def estimate_scale(
    scene: Scene, request: ScaleRequest, progress: Callable[[float], None] | None = None
) -> ScaleEstimate:
    """Metres per unit of a scene, from what was asked for; see `set_scale`."""
    from scene3d._flatten import flatten
    from scene3d.capture._scale_estimate import ScaleEstimate

    if request.factor is not None:
        return ScaleEstimate(request.factor, 0.0, "factor", "given")
    if request.size is not None and scene.objects:
        return _from_body(scene, request.size)
    scene = flatten(scene)  # What measures surfaces looks at the splats of the world.
    if request.known_distance is not None:
        from scene3d.capture._known_distance import known_distance

        return known_distance(scene, request.known_distance)
    if request.marker_size is not None:
        from scene3d.capture._markers import marker_scale

        ids, dictionary = request.marker_ids, request.marker_dictionary
        return marker_scale(scene, request.marker_size, ids=ids, dictionary=dictionary, progress=progress)
    assert request.size is not None
    return _from_size(scene, request.size)


def _from_body(scene: Scene, text: str) -> ScaleEstimate:
    from scene3d._object_box import upright_sides
    from scene3d.capture._scale_estimate import ScaleEstimate

    name, metres = _size(text)
    extent = max(upright_sides(scene.objects[scene.index(name)], scene.up))
    if not (math.isfinite(extent) and extent > 0):
        raise CaptureError(f"The object {name!r} has no extent in the scene. Name another object.")
    return ScaleEstimate(metres / extent, OBJECT_ERROR, "size", f"{name} is {metres:g} m long")


def _from_size(scene: Scene, text: str) -> ScaleEstimate:
    from scene3d.capture._object_size import object_extent
    from scene3d.capture._scale_estimate import ScaleEstimate

    name, metres = _size(text)
    extent = float(object_extent(scene, name))
    if not (math.isfinite(extent) and extent > 0):
        raise CaptureError(f"The object {name!r} has no extent in the scene. Name another object.")
    return ScaleEstimate(metres / extent, OBJECT_ERROR, "size", f"{name} is {metres:g} m long")


def _size(text: str) -> tuple[str, float]:
    name, equals, number = text.rpartition("=")
    try:
        metres = float(number)
    except ValueError:
        equals, metres = "", math.nan
    if not equals or not name.strip():
        raise UsageError(f"Found --size {text}; it is written NAME=METRES, for example --size mug=0.10.")
    if not (math.isfinite(metres) and metres > 0):
        raise UsageError(f"Found --size {text}; the longest side of an object must be above zero metres.")
    return name.strip(), metres
