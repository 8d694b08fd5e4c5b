"""A scene taken apart and put together again: what edits that add or drop splats share.

`Scene.splats` holds the background first, the made-up splats that fill holes last among them, then each object's.
Taken apart, every object is a pair of its record and its splats, in the frame of its body; put together, components are
numbered anew in the order of the list.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dynamics import Joint
    from scene3d._gaussians import Gaussians
    from scene3d._scene import Scene
    from scene3d._scene_object import SceneObject

__all__ = ["Thing", "put_together", "replaced", "splats_of", "taken_apart"]

Thing = tuple["SceneObject", "Gaussians"]
"""An object, and its splats in the frame of its body."""


def splats_of(scene: Scene, index: int) -> Gaussians:
    """Splats of object ``index`` (-1: the background), in the frame that they are stored in."""
    return scene.splats[scene.splats.component_index == index + 1]


def taken_apart(scene: Scene) -> tuple[Gaussians, list[Thing]]:
    """The background's splats, and all objects with theirs."""
    things = [(thing, splats_of(scene, index)) for index, thing in enumerate(scene.objects)]
    return splats_of(scene, -1), things


def put_together(
    scene: Scene, background: Gaussians, things: Sequence[Thing], joints: Sequence[Joint] | None = None
) -> Scene:
    """The scene with other objects.

    Args:
        scene: What all else is taken from.
        background: In its old order, so that its last splats are the fill.
        things: The objects.
        joints: Between them; None when all objects of the scene keep their places, and with them its joints.
    """
    import torch

    from scene3d._gaussians import Gaussians

    numbered = [
        replace(splats, component_index=torch.full_like(splats.component_index, component))
        for component, splats in enumerate([background, *(splats for _, splats in things)])
    ]
    return replace(
        scene,
        splats=Gaussians.cat(numbered),
        objects=tuple(thing for thing, _ in things),
        joints=scene.joints if joints is None else tuple(joints),
    )


def replaced(scene: Scene, index: int, thing: SceneObject) -> Scene:
    """The scene with another record for object ``index``; splats stay the very same."""
    return replace(scene, objects=(*scene.objects[:index], thing, *scene.objects[index + 1 :]))
