"""A scene as physics sees it: its objects, the tops that they stand on, and a floor below, as a `dynamics.World`.

Bodies come in the order of the scene's objects, so that component i + 1 of the splats rides on body i; supports follow
as slabs that end where their outlines do, and last the floor, so that what is pushed off a table falls and stays. What
the photos show stood still, so objects begin asleep until something touches them: reconstructed bottoms are never flat
to a hair, and nothing is to creep before it is pushed.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from scene3d._errors import UsageError
from scene3d._scene_joints import hanging

if TYPE_CHECKING:
    from collections.abc import Collection

    from numpy.typing import NDArray

    from dynamics import State, World
    from dynamics._body import Motion
    from scene3d._scene import Scene
    from scene3d._scene_object import SceneObject
    from scene3d._support import SupportPlane

__all__ = ["FLOOR", "body_names", "held_by", "scene_state", "scene_world", "stand_joints", "support_names"]

GRAVITY = 9.81
"""[m/s^2]"""
FLOOR = "floor"
THICK = 0.04
"""Thickness of a support's slab [m]."""
BELOW = 0.72
"""The floor lies this far below the lowest support, as under a table [m]."""
BESIDE = 0.03
"""Supports reach this far beyond what was seen of them [m]: objects stand at their edges."""
ASLEEP = 1 << 20
"""Steps of rest that an object begins with."""


def support_names(scene: Scene) -> tuple[str, ...]:
    """What the bodies of the scene's supports are called; objects may be called so too, then a prime is added."""
    taken = {thing.name for thing in scene.objects}
    count = len(scene.supports)
    names = ["table"] if count == 1 else [f"table {number + 1}" for number in range(count)]
    return tuple(name if name not in taken else f"{name}'" for name in names)


def body_names(scene: Scene) -> tuple[str, ...]:
    """Names of all bodies of the scene's world, in their order."""
    names = (*(thing.name for thing in scene.objects), *support_names(scene))
    return (*names, FLOOR if FLOOR not in names else f"{FLOOR}'")


def scene_world(
    scene: Scene, *, dt: float = 1.0 / 240.0, assume_scale: bool = False, driven: Collection[str] = ()
) -> World:
    """Everything of a scene that stays the same while time passes.

    Args:
        scene: With objects. Deformable ones, and those whose body is static, are in the way, but do not move. Joints
            between what does not move are left out.
        dt: Length of a step [s].
        assume_scale: Take a unit of a scene without metric scale for a metre.
        driven: Objects that follow a path whatever is in their way: kinematic bodies.

    Raises:
        UsageError: The scene has no objects, or no metric scale.
    """
    from dynamics import World, body_from_box, body_from_plane, find_material

    if not scene.objects:
        raise UsageError("The scene has no objects, so nothing can move. Find them with `scene3d segment SCENE`.")
    if not (scene.metric or assume_scale):
        raise UsageError(
            "The scene has no metric scale, so gravity means nothing. Set it with `scene3d scale`, or pass "
            "--assume-scale to take a unit of the scene for a metre."
        )
    bodies = [
        thing.body.with_motion("kinematic" if thing.name in driven else _freely(thing)) for thing in scene.objects
    ]
    # A pair's friction is the geometric mean: an unknown table has that of the unknown material, without its spread.
    wood = replace(find_material("unknown"), friction_log_std=0.0, restitution_std=0.0)
    for name, support in zip(support_names(scene), scene.supports, strict=True):
        _, sides = _rectangle(support)
        bodies.append(body_from_box(name, (*sides, THICK), wood, motion="static"))
    bodies.append(body_from_plane(body_names(scene)[-1], wood))
    up = _up(scene)
    gx, gy, gz = (-GRAVITY * up).tolist()
    # A world refuses what ties only bodies that no force moves; they stay where they are without it.
    joints = tuple(
        joint
        for joint in scene.joints
        if any(bodies[side].motion == "dynamic" for side in (joint.parent, joint.child) if side >= 0)
    )
    return World(tuple(bodies), joints, gravity=(gx, gy, gz), dt=dt)


def _freely(thing: SceneObject) -> Motion:
    """How an object moves that nothing drives."""
    return "static" if thing.kind == "deformable" or thing.body.motion == "static" else "dynamic"


def scene_state(scene: Scene, world: World, *, worlds: int = 1) -> State:
    """The moment of the photos, at rest, in a batch of equal worlds.

    Args:
        scene: The scene.
        world: From `scene_world`.
        worlds: Size of the batch.
    """
    import torch

    from dynamics import State

    poses = [np.asarray(thing.T_world_body, dtype=np.float64) for thing in scene.objects]
    poses += [_rectangle(support)[0] for support in scene.supports]
    up = _up(scene)
    heights = [float(support.normal @ up) * support.offset for support in scene.supports]
    lowest = min(heights, default=min(float(pose[:3] @ up) for pose in poses))
    poses.append(np.concatenate([up * (lowest - BELOW), _wxyz(_axes(up))]))
    state = State.at_rest(world, torch.from_numpy(np.stack(poses)).float()).repeated(worlds)
    dynamic = torch.tensor([body.motion == "dynamic" for body in world.bodies])
    return replace(state, still=torch.where(dynamic, ASLEEP, state.still).int())


def stand_joints(world: World, state: State) -> State:
    """The state with its joints where its poses put them: bodies may have been put elsewhere, joints left out."""
    from dynamics._joint_geometry import joint_positions

    if not world.joints and not state.joint_q.shape[-1]:
        return state
    known = state.joint_q.shape[-1] == len(world.joints)
    places, speeds = joint_positions(world, state.T_world_body, state.twist, near=state.joint_q if known else None)
    return replace(state, joint_q=places, joint_qd=speeds, joint_impulse=state.joint_impulse if known else None)


def held_by(scene: Scene, name: str) -> str:
    """The joint that keeps an object, or what hangs together with it, in its place; empty when it can be carried."""
    moving = hanging(scene.joints, scene.index(name)).objects
    for joint in scene.joints:
        sides = (joint.parent, joint.child)
        fast = any(side < 0 or _freely(scene.objects[side]) == "static" for side in sides)
        if fast and not moving.isdisjoint(sides):
            return joint.name
    return ""


def _up(scene: Scene) -> NDArray[np.float64]:
    up = np.asarray(scene.up, dtype=np.float64)
    return up / np.linalg.norm(up)


def _rectangle(support: SupportPlane) -> tuple[NDArray[np.float64], tuple[float, float]]:
    """Pose (7,) of the slab under a support, and its sides [m]: the smallest rectangle around the outline."""
    normal = support.normal / np.linalg.norm(support.normal)
    axes = _axes(normal)
    flat = support.outline @ axes[:, :2]
    best: tuple[float, NDArray, NDArray, NDArray] | None = None
    for edge in np.roll(flat, -1, axis=0) - flat:
        length = float(np.hypot(*edge))
        if length == 0:
            continue
        x = edge / length
        turn = np.array([x, [-x[1], x[0]]])
        low, high = (flat @ turn.T).min(axis=0), (flat @ turn.T).max(axis=0)
        area = float(np.prod(high - low))
        if best is None or area < best[0]:
            best = area, turn, low, high
    if best is None:
        raise UsageError("A support of the scene has no outline. Segment the scene again.")
    _, turn, low, high = best
    middle = (low + high) / 2 @ turn
    R = np.stack([axes[:, :2] @ turn[0], axes[:, :2] @ turn[1], normal], axis=1)
    place = axes[:, :2] @ middle + (support.offset - THICK / 2) * normal
    sides = high - low + 2 * BESIDE
    return np.concatenate([place, _wxyz(R)]), (float(sides[0]), float(sides[1]))


def _axes(z: NDArray[np.float64]) -> NDArray[np.float64]:
    """A rotation (3, 3) whose last column is z."""
    x = np.cross(np.eye(3)[int(np.argmin(np.abs(z)))], z)
    x /= np.linalg.norm(x)
    return np.stack([x, np.cross(z, x), z], axis=1)


def _wxyz(R: NDArray[np.float64]) -> NDArray[np.float64]:
    import torch

    from dynamics.poses import wxyz_from_rotation

    return wxyz_from_rotation(torch.from_numpy(np.ascontiguousarray(R))).numpy()
