"""Moving an object: one pose changes, its splats lie in its frame and come along, view-dependent colour included."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from scene3d._errors import UsageError
from scene3d.edit._apart import replaced
from scene3d.edit._place import Place, posed, turned

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scene3d._scene import Scene

__all__ = ["move", "put"]


def move(scene: Scene, name: str, by: Sequence[float], yaw: float = 0.0) -> Scene:
    """The scene with an object moved from where it is.

    Args:
        scene: Any scene.
        name: The object.
        by: Displacement along the world's axes [scene units], shape (3,).
        yaw: Turn about the vertical through the origin of its frame, counter-clockwise from above [rad].

    Raises:
        UsageError: There is no such object, or a number is not finite.
    """
    index = scene.index(name)
    thing = scene.objects[index]
    _check_finite(*by, yaw)
    x, y, z = (float(a) + float(b) for a, b in zip(thing.T_world_body[:3], by, strict=True))
    pose = turned((x, y, z, *thing.T_world_body[3:]), scene.up, yaw)
    return replaced(scene, index, replace(thing, T_world_body=pose))


def put(scene: Scene, name: str, place: Place) -> Scene:
    """The scene with an object put somewhere.

    Args:
        scene: Any scene.
        name: The object.
        place: Where the origin of its frame goes, and how far it is turned from how it stands now.

    Raises:
        UsageError: There is no such object, a number is not finite, or Z is not given and there is no support.
    """
    index = scene.index(name)
    thing = scene.objects[index]
    _check_finite(place.x, place.y, place.z or 0.0, place.yaw)
    pose = posed(scene, thing.T_world_body, thing.body.mesh.vertices, place)
    return replaced(scene, index, replace(thing, T_world_body=pose))


def _check_finite(*numbers: float) -> None:
    if not all(map(math.isfinite, numbers)):
        raise UsageError("Positions and angles must be finite numbers.")
