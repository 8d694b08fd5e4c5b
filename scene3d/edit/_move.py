"""Moving an object: one pose changes, its splats lie in its frame and come along, view-dependent colour included.

What joints tie to it moves along as one piece, and what holds it in the world holds it at the new place.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from scene3d._errors import UsageError
from scene3d._scene_joints import carried
from scene3d.edit._apart import replaced
from scene3d.edit._place import Place, Pose, posed, turned

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
    return _moved(scene, index, turned((x, y, z, *thing.T_world_body[3:]), scene.up, yaw))


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
    return _moved(scene, index, posed(scene, thing.T_world_body, thing.body.mesh.vertices, place))


def _moved(scene: Scene, index: int, pose: Pose) -> Scene:
    poses = {place: thing.T_world_body for place, thing in enumerate(scene.objects)}
    placed, joints = carried(scene.joints, poses, index, pose)
    for place, there in placed.items():
        scene = replaced(scene, place, replace(scene.objects[place], T_world_body=there))
    return replace(scene, joints=joints)


def _check_finite(*numbers: float) -> None:
    if not all(map(math.isfinite, numbers)):
        raise UsageError("Positions and angles must be finite numbers.")
