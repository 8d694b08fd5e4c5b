"""Cameras of a stage -> views of a scene: apertures and focal length to pixels, axes of USD to those of OpenCV."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from scene3d._errors import FileFormatError
from sim_bridge.usd._read_frames import rigid_frame
from sim_bridge.usd._read_values import finite, our_data

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scene3d import SceneView
    from sim_bridge.usd._read_values import StageReader

__all__ = ["read_cameras"]

FLIP = np.diag([1.0, -1.0, -1.0, 1.0])
"""USD looks along -z with y up, OpenCV along z with y down."""
LONGEST = 1024
"""Longest side of the image of a camera whose size nobody says [px]."""
MOST_CAMERAS, MOST_PIXELS = 10_000, 65_536


def read_cameras(reader: StageReader, prims: Sequence[Any]) -> tuple[SceneView, ...]:
    """The pinhole cameras of a stage, sorted by name; what is none is left out, and said."""
    from scene3d import SceneView

    sizes = _render_sizes(reader.stage)
    found: dict[str, SceneView] = {}
    for prim in prims[:MOST_CAMERAS]:
        camera = _camera(reader, prim, sizes.get(str(prim.GetPath())))
        if camera is None:
            continue
        ours = our_data(prim)
        name = str(ours.get("name") or prim.GetName())
        while name in found:
            name += "'"
        found[name] = SceneView(name, camera, held_out=bool(ours.get("held_out", False)))
    if len(prims) > MOST_CAMERAS:
        reader.note(f"The stage has {len(prims)} cameras; the first {MOST_CAMERAS} were read.")
    if found and any(our_data(prim) for prim in prims):
        reader.note("A stage does not hold the photos of its cameras; the scene cannot be fitted to them again.")
    return tuple(found[name] for name in sorted(found))


def _camera(reader: StageReader, prim: Any, size: tuple[int, int] | None) -> Any:
    import torch

    from scene3d import Camera

    def number(name: str) -> float:
        return float(reader.value(prim, name))

    where = prim.GetPath()
    if str(reader.value(prim, "projection")) != "perspective":
        reader.note(f"The camera {where} is no perspective one and was left out.")
        return None
    focal, wide, high = number("focalLength"), number("horizontalAperture"), number("verticalAperture")
    shift = number("horizontalApertureOffset"), number("verticalApertureOffset")
    if not (np.isfinite([focal, wide, high, *shift]).all() and min(focal, wide, high) > 0):
        reader.note(f"The camera {where} has a focal length or an aperture that is none, and was left out.")
        return None
    try:
        frame = rigid_frame(reader.matrix(prim), str(where))
    except FileFormatError:
        reader.note(f"The camera {where} is mirrored or sheared by its transform and was left out.")
        return None
    width, height = _size(reader, prim, size, wide / high)
    K = [
        [focal / wide * width, 0.0, (0.5 - shift[0] / wide) * width],
        [0.0, focal / high * height, (0.5 + shift[1] / high) * height],
        [0.0, 0.0, 1.0],
    ]
    pose = torch.from_numpy(np.ascontiguousarray(frame @ FLIP))
    return Camera(width, height, torch.tensor(K, dtype=torch.float32), pose.float())


def _size(reader: StageReader, prim: Any, rendered: tuple[int, int] | None, aspect: float) -> tuple[int, int]:
    """Pixels of the image: as our exporter kept them, as a render product has them, else a choice."""
    ours = our_data(prim)
    kept = finite([ours.get("width", 0), ours.get("height", 0)], 2)
    if kept is not None and (kept >= 1).all() and (kept <= MOST_PIXELS).all():
        return int(kept[0]), int(kept[1])
    if rendered is not None:
        return rendered
    reader.note(f"Cameras without a size in pixels got {LONGEST} on their longest side.")
    share = min(1.0, 1 / aspect), min(1.0, aspect)
    return max(1, round(LONGEST * share[1])), max(1, round(LONGEST * share[0]))


def _render_sizes(stage: Any) -> dict[str, tuple[int, int]]:
    """Sizes that render products of the stage give to cameras."""
    sizes: dict[str, tuple[int, int]] = {}
    for prim in stage.Traverse():
        if str(prim.GetTypeName()) != "RenderProduct":
            continue
        found = finite(prim.GetAttribute("resolution").Get(), 2)
        targets = prim.GetRelationship("camera").GetTargets()
        if found is not None and targets and (found >= 1).all() and (found <= MOST_PIXELS).all():
            sizes[str(targets[0])] = (int(found[0]), int(found[1]))
    return sizes
