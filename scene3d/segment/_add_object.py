"""One more object for a scene that has some: a click on a thing that nobody told apart yet, as in the viewer's page.

Segmenting again finds everything anew, which forgets what was merged, moved or removed. Here all other objects stay as
they are, to the bit: the click picks splats of the background, they become a body, and the hole under it is filled.
Clicks need the cameras of the scene and none of its photos' pixels.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from scene3d._errors import SegmentError
from scene3d.edit._apart import put_together, taken_apart

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from scene3d._gaussians import Gaussians
    from scene3d._scene import Scene
    from scene3d._scene_object import SceneObject
    from scene3d._support import SupportPlane
    from scene3d.segment._prompts import PointPrompt
    from scene3d.segment._surface_points import Surface

__all__ = ["add_object", "photo_of_point"]

SAME_DEPTH = 0.03
"""A view sees a point when its surface is as far away as the point, but for this share."""
TRIED = 8
"""Views that are asked whether they see a point, the ones most like the page's own view."""
EDGE = 0.02
"""Points nearer to the border of a picture than this share of its size count as outside."""
IDENTITY = (0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0)


def add_object(
    scene: Scene, point: NDArray[np.float64], eye: NDArray[np.float64], name: str = "", *, tell: Callable | None = None
) -> Scene:
    """The scene with one more object, the last of its list: the thing at a point.

    Args:
        scene: With cameras.
        point: On the surface of the thing, in the world (3,).
        eye: From where somebody pointed at it (3,): a view from there is preferred.
        name: Of the object; empty for a number.
        tell: Called with what is being done and the share that is done, 0 to 1.

    Raises:
        UsageError: The name is taken, or is none.
        SegmentError: No view sees the point, it lies on an object that there is already, or on nothing that could be
            one.
    """
    from scene3d.edit._attributes import free_name, new_name

    said = tell or (lambda what, share: None)
    if not scene.views:
        raise SegmentError("The scene remembers no cameras, so nothing can be looked at. Reconstruct it from photos.")
    name = new_name(scene, name) if name.strip() else free_name(scene, "object-1")
    said("telling splats apart", 0.05)
    scene = replace(scene, splats=scene.splats.to("cpu").detach())
    world = _in_world(scene)
    prompt = photo_of_point(world, scene, point, eye, name)
    of_splat, confidence, supports = _labels(scene, world, prompt)
    said("shaping the body", 0.35)
    thing = _thing(scene, world, of_splat, name, confidence, supports)
    said("filling the hole", 0.7)
    changed = _assembled(replace(scene, supports=supports), world, of_splat, thing)
    said("binding splats", 0.95)
    return _deformed(changed)


def photo_of_point(
    world: Gaussians, scene: Scene, point: NDArray[np.float64], eye: NDArray[np.float64], name: str
) -> PointPrompt:
    """The click on a photo that means a point: in the view nearest to the eye that sees it.

    Raises:
        SegmentError: No view does.
    """
    from scene3d.capture._ray_surface import ray_surface
    from scene3d.segment._prompts import PointPrompt

    found: list[tuple[float, int, float, float]] = []
    for index, view in enumerate(scene.views):
        K, T = view.camera.K.cpu().double().numpy(), view.camera.T_world_cam.cpu().double().numpy()
        x, y, z = (point - T[:3, 3]) @ T[:3, :3]
        if z <= 0:
            continue
        u, v = K[0, 0] * x / z + K[0, 2], K[1, 1] * y / z + K[1, 2]
        inside = EDGE < u / view.camera.width < 1 - EDGE and EDGE < v / view.camera.height < 1 - EDGE
        if inside:
            a, b = point - T[:3, 3], point - eye
            found.append((-float(a @ b) / float(np.linalg.norm(a) * np.linalg.norm(b) + 1e-12), index, u, v))
    for _, index, u, v in sorted(found)[:TRIED]:
        camera = scene.views[index].camera
        K, T = camera.K.cpu().double().numpy(), camera.T_world_cam.cpu().double().numpy()
        ray = np.array([[(u - K[0, 2]) / K[0, 0], (v - K[1, 2]) / K[1, 1], 1.0]])
        depth = float((point - T[:3, 3]) @ T[:3, 2])
        seen = ray_surface(world, T, ray)
        if seen is not None and abs(seen[0] - depth) < SAME_DEPTH * depth:
            return PointPrompt(scene.views[index].name, float(u), float(v), name)
    raise SegmentError("No photo shows that place, so nothing can be told apart there. Click where photos look at it.")


def _in_world(scene: Scene) -> Gaussians:
    """All splats in the world, in the order of the scene, each still with its component."""
    import torch

    from scene3d._flatten import in_world

    poses = torch.tensor([IDENTITY, *(thing.T_world_body for thing in scene.objects)], dtype=torch.float64)
    return replace(in_world(scene.splats, poses), component_index=scene.splats.component_index)


def _labels(scene: Scene, world: Gaussians, prompt: PointPrompt) -> tuple[Tensor, float, tuple[SupportPlane, ...]]:
    """Which splats are the new object's (N,), how sure that is, and what things stand on."""
    from pathlib import Path

    from scene3d.capture._capture import View
    from scene3d.segment._labels import Labels
    from scene3d.segment._prompts import labels_from_prompts
    from scene3d.segment._surface_points import surface_points

    names = tuple(thing.name for thing in scene.objects)
    surface = surface_points(world, scene.cameras)
    supports = scene.supports or _supports(scene, surface)
    component = world.component_index.long()
    known = Labels(names, component, tuple(thing.confidence for thing in scene.objects), supports, (True,) * len(names))
    # The scene's own cameras: what a photo's lens bends plays no part.
    photos = [View(view.name, Path(view.name), view.camera) for view in scene.views]
    labels = labels_from_prompts(
        world, scene.cameras, photos, [prompt], surface, supports, metric=scene.metric, existing=known
    )
    new = len(names) + 1
    own = (labels.of_splat == new) & (component == 0)
    if len(labels.names) < new or not bool(own.any()):
        raise SegmentError("That belongs to an object that there is already. Select it to name it.")
    return own, labels.confidence[-1], supports


def _supports(scene: Scene, surface: Surface) -> tuple[SupportPlane, ...]:
    from scene3d.segment._find_supports import find_supports

    try:
        return find_supports(surface, scene.up)
    except SegmentError:
        return ()


def _thing(
    scene: Scene, world: Gaussians, own: Tensor, name: str, confidence: float, supports: Sequence[SupportPlane]
) -> SceneObject:
    """The new object's body and all that is guessed of it."""
    from scene3d.segment._labels import Labels
    from scene3d.segment._make_objects import make_objects
    from scene3d.segment._request import SegmentRequest

    labels = Labels((name,), own.long(), (confidence,), tuple(supports), (True,))
    made = make_objects(replace(scene, splats=world, objects=(), joints=(), filled=0), labels, SegmentRequest())
    return made.objects[0]


def _assembled(scene: Scene, world: Gaussians, own: Tensor, thing: SceneObject) -> Scene:
    """The scene with the new object; of the background only what lies in its hole changes."""
    import torch

    from scene3d._flatten import into_bodies
    from scene3d._gaussians import Gaussians
    from scene3d.segment._inner_floor import with_inner_floors
    from scene3d.segment._patch_background import patched_background

    _, things = taken_apart(scene)
    ground = world.component_index == 0
    # Earlier fill is marked while the background is patched, to be told from it afterwards.
    made_up = torch.zeros(int(ground.sum()), dtype=torch.int32)
    made_up[len(made_up) - scene.filled :] = 1
    splats = replace(world[ground], component_index=made_up)
    around = (1, scene.cameras, scene.supports)
    splats, of_splat = with_inner_floors(splats, own[ground].long(), *around)
    patched = patched_background(splats, of_splat, *around)
    before = patched.splats.component_index == 1
    background = Gaussians.cat([patched.splats[~before], patched.splats[before], patched.fill])
    poses = torch.tensor([IDENTITY, thing.T_world_body], dtype=torch.float64)
    mine = splats[of_splat == 1]
    body = into_bodies(mine, torch.ones(len(mine), dtype=torch.int32), poses)
    changed = put_together(scene, background, [*things, (thing, body)])
    return replace(changed, filled=int(before.sum()) + len(patched.fill))


def _deformed(scene: Scene) -> Scene:
    """Particles for the last object if it is deformable; what cannot be filled with them stays rigid."""
    from scene3d._errors import BodyError
    from scene3d._kind import make_deformable, make_rigid

    index = len(scene.objects) - 1
    if scene.objects[index].kind != "deformable":
        return scene
    try:
        return make_deformable(scene, index)
    except BodyError:
        return make_rigid(scene, index)
