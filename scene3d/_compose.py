"""Objects of one scene put into another: the library side of `scene3d compose`.

An object travels whole: its splats in the frame of its body, the body, what binds them, its material and what no photo
saw of it. The other world's up becomes this one's, and the body is set down on a support: at the place that was asked
for, or where one is free near the objects that are there. Lengths must mean the same in both scenes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from scene3d._errors import UsageError
from scene3d.edit._apart import put_together, splats_of, taken_apart
from scene3d.edit._attributes import free_name, new_name
from scene3d.edit._free_spot import free_shift
from scene3d.edit._place import Place, Pose, mesh_in_world, posed, rotation_of, set_down, support_below

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from scene3d._scene import Scene
    from scene3d._scene_object import SceneObject
    from scene3d._support import SupportPlane

__all__ = ["Addition", "add_object", "add_objects"]


@dataclass(frozen=True)
class Addition:
    """What to take from another scene."""

    scene: Scene
    """Where it comes from."""
    name: str | None = None
    """The object there; None takes all of them."""
    new: str | None = None
    """Its name here; None keeps its name, numbered when that is taken."""
    place: Place | None = None
    """Where the origin of its frame goes; None takes a free place on the largest support."""


def add_objects(scene: Scene, addition: Addition, *, assume_scale: bool = False) -> tuple[Scene, tuple[str, ...]]:
    """A scene with one or all objects of another one, each placed by itself: joints between them are not taken along.

    Args:
        scene: What is added to.
        addition: What is added.
        assume_scale: Take the units of both scenes for the same, whatever is known of them.

    Returns:
        The scene, and the names of what was added.

    Raises:
        UsageError: There is no such object, a name is taken, a place or a new name is given for several objects, no
            place is free, or the scenes' lengths are not known to mean the same.
    """
    other = addition.scene
    if not other.objects:
        raise UsageError("The other scene has no objects to take. Run `scene3d segment` on it first.")
    names = [thing.name for thing in other.objects] if addition.name is None else [addition.name]
    if len(names) > 1 and (addition.place is not None or addition.new is not None):
        raise UsageError(
            f"A place or a new name is for one object, but the other scene has {len(names)}: {', '.join(names)}. "
            "Say which, as SCENE:NAME@X,Y."
        )
    added = []
    for name in names:
        scene, called = add_object(
            scene, other, name, new=addition.new, place=addition.place, assume_scale=assume_scale
        )
        added.append(called)
    return scene, tuple(added)


def add_object(
    scene: Scene,
    other: Scene,
    name: str,
    *,
    new: str | None = None,
    place: Place | None = None,
    assume_scale: bool = False,
) -> tuple[Scene, str]:
    """A scene with one object of another one, and that object's name here; see `add_objects`."""
    index = other.index(name)
    _check_units(scene, other, assume_scale)
    called = free_name(scene, name) if new is None else new_name(scene, new)
    thing = other.objects[index]
    upright = _upright(scene, other, thing)
    vertices = thing.body.mesh.vertices
    pose = _free_pose(scene, vertices, upright) if place is None else posed(scene, upright, vertices, place)
    splats = splats_of(other, index).to(scene.splats.means.device, scene.splats.means.dtype)
    background, things = taken_apart(scene)
    arrived = replace(thing, body=thing.body.renamed(called), T_world_body=pose)
    return put_together(scene, background, [*things, (arrived, splats)]), called


def _check_units(scene: Scene, other: Scene, assume_scale: bool) -> None:
    if assume_scale or (scene.metric and other.metric):
        return
    which = "Neither scene's lengths are" if scene.metric == other.metric else "Lengths of one of the scenes are not"
    raise UsageError(
        f"{which} known in metres, so nobody can say how large things of one are in the other. Set the scale with "
        "`scene3d scale` first, or pass --assume-scale to take the units of both for the same."
    )


def _upright(scene: Scene, other: Scene, thing: SceneObject) -> Pose:
    """Pose in the other world, turned by the smallest rotation that takes its up to this world's."""
    import torch

    from dynamics.poses import wxyz_from_rotation

    R = _between(np.asarray(other.up, dtype=np.float64), np.asarray(scene.up, dtype=np.float64))
    if np.array_equal(R, np.eye(3)):
        return thing.T_world_body
    quat = wxyz_from_rotation(torch.from_numpy(R @ rotation_of(thing.T_world_body)))
    w, x, y, z = (float(value) for value in quat)
    return (*thing.T_world_body[:3], w, x, y, z)


def _between(a: NDArray, b: NDArray) -> NDArray:
    """The smallest rotation (3, 3) that takes direction a to b [Rodrigues]."""
    a, b = a / np.linalg.norm(a), b / np.linalg.norm(b)
    if np.array_equal(a, b):
        return np.eye(3)
    axis, cosine = np.cross(a, b), float(a @ b)
    if cosine < -1 + 1e-9:
        side = np.cross(a, np.eye(3)[int(np.argmin(np.abs(a)))])
        side /= np.linalg.norm(side)
        return 2 * np.outer(side, side) - np.eye(3)
    K = np.cross(np.eye(3), axis)
    return np.eye(3) + K + K @ K / (1 + cosine)


def _free_pose(scene: Scene, vertices: NDArray, pose: Pose) -> Pose:
    """Standing on the largest support, near what stands there."""
    support = scene.supports[0] if scene.supports else support_below(scene, pose, mesh_in_world(pose, vertices))
    near = _middle(scene, support)
    start = (float(near[0]), float(near[1]), float(near[2]), *pose[3:])
    shift = free_shift(scene, mesh_in_world(start, vertices), support, near)
    x, y, z = (float(value) for value in near + shift)
    return set_down((x, y, z, *pose[3:]), vertices, support)


def _middle(scene: Scene, support: SupportPlane) -> NDArray:
    """World point on the support in the midst of the objects, else of its outline."""
    if scene.objects:
        point = np.mean([thing.T_world_body[:3] for thing in scene.objects], axis=0)
    else:
        point = support.outline.mean(axis=0) if len(support.outline) else np.zeros(3)
    return point - float(support.heights(point)) * support.normal
