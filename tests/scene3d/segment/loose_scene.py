"""Scenes in which a thing stands that nobody told apart: an object's splats given back to the background."""

from __future__ import annotations

from dataclasses import replace

import torch

from scene3d import Gaussians, Scene, SceneView
from scene3d._flatten import in_world
from scene3d.edit._apart import put_together, taken_apart


def loose(scene: Scene, name: str) -> Scene:
    """The scene with an object as part of its background."""
    index = scene.index(name)
    background, things = taken_apart(scene)
    poses = torch.tensor([(0.0, 0, 0, 1, 0, 0, 0), scene.objects[index].T_world_body], dtype=torch.float64)
    own = things[index][1]
    world = in_world(replace(own, component_index=torch.ones_like(own.component_index)), poses)
    seen = len(background) - scene.filled
    parts = Gaussians.cat([background[:seen], world, background[seen:]])
    return put_together(scene, parts, [*things[:index], *things[index + 1 :]])


def seen_larger(scene: Scene, width: int = 240) -> Scene:
    """The scene with cameras of that width [px]."""
    views = (
        replace(view, camera=view.camera.resized(width, round(width * view.camera.height / view.camera.width)))
        for view in scene.views
    )
    return replace(scene, views=tuple[SceneView, ...](views))
