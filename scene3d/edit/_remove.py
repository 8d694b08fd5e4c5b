"""Taking an object out of a scene: its body and its splats go, what fills the hole below it comes to light."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scene3d._scene_joints import renumbered
from scene3d.edit._apart import put_together, taken_apart

if TYPE_CHECKING:
    from scene3d._scene import Scene

__all__ = ["remove"]


def remove(scene: Scene, name: str) -> Scene:
    """The scene without one object, and without the joints that held it.

    Raises:
        UsageError: There is no such object.
    """
    index = scene.index(name)
    background, things = taken_apart(scene)
    places = {old: old - (old > index) for old in range(len(things)) if old != index}
    return put_together(scene, background, things[:index] + things[index + 1 :], renumbered(scene.joints, places))
