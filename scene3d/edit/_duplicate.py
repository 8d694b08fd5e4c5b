"""A second one of an object: a body and splats of its own, beside the first or where it was said to go."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from scene3d.edit._apart import put_together, taken_apart
from scene3d.edit._attributes import free_name, new_name
from scene3d.edit._free_spot import free_shift
from scene3d.edit._place import Place, mesh_in_world, posed, support_below

if TYPE_CHECKING:
    from scene3d._scene import Scene

__all__ = ["duplicate"]


def duplicate(scene: Scene, name: str, new: str | None = None, place: Place | None = None) -> Scene:
    """The scene with one more object, which no joint ties to anything.

    Args:
        scene: Any scene.
        name: The object that is copied.
        new: Name of the copy; None numbers it, as mug-2.
        place: Where the copy goes; None takes the nearest free place on the same support, where the boxes of no two
            objects overlap.

    Raises:
        UsageError: There is no such object, the new name is taken or no name, or no place is free.
    """
    index = scene.index(name)
    thing = scene.objects[index]
    new = free_name(scene, name) if new is None else new_name(scene, new)
    pose = thing.T_world_body
    if place is None:
        points = mesh_in_world(pose, thing.body.mesh.vertices)
        middle = (points.min(axis=0) + points.max(axis=0)) / 2
        support = support_below(scene, tuple(middle), points)
        x, y, z = (float(a + b) for a, b in zip(pose[:3], free_shift(scene, points, support, middle), strict=True))
        pose = (x, y, z, *pose[3:])
    else:
        pose = posed(scene, pose, thing.body.mesh.vertices, place)
    background, things = taken_apart(scene)
    copy = replace(thing, body=thing.body.renamed(new), T_world_body=pose)
    return put_together(scene, background, [*things, (copy, things[index][1])])
