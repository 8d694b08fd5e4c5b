"""A scene as the stage is to have it: Z up, every body placed, nothing inside what it stands on.

`scene_world` says which bodies there are: the objects, the supports' slabs, the floor. A world whose up is another
direction is turned as a whole. Objects that overlap what they stand on are lifted (`_lift.py`), unless a recording says
where they were.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from scene3d._errors import UsageError
from sim_bridge.usd._body_prims import check_body, with_small_parts
from sim_bridge.usd._lift import lifted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dynamics import Body, Joint, Rollout, World
    from scene3d import Scene

__all__ = ["Twin", "make_twin"]

NO_SCALE = (
    "The scene has no metric scale, and a simulator takes every length for metres. Set it with `scene3d scale`, or "
    "pass --assume-scale to take a unit of the scene for a metre."
)
NO_OBJECTS = (
    "The scene has no objects, so the stage shows it but nothing in it can be moved: `scene3d segment` finds them."
)
GRAVITY = 9.81
"""Where there is no world to ask [m/s^2]."""
STILL = 1e-5
"""Particles that stay within this of their rest shape have not moved [m]."""


@dataclass(frozen=True, eq=False)
class Twin:
    """What there is and where, in a frame with Z up."""

    bodies: tuple[Body, ...]
    """Objects first, in the scene's order, then what only stands."""
    poses: NDArray[np.float64]
    """Of the bodies' frames, xyz [m] + unit wxyz, shape (nb, 7)."""
    T_stage_world: NDArray[np.float64]
    """Turns the scene's world so that its up is Z, shape (4, 4)."""
    gravity: float
    """[m/s^2], downwards."""
    joints: tuple[Joint, ...] = ()
    """Between the bodies; those in the world have their frames in the stage."""
    no_contact: frozenset[tuple[int, int]] = frozenset()
    """Pairs of bodies that pass through each other."""
    paths: NDArray[np.float64] | None = None
    """Poses over time, shape (T, nb, 7); None when nothing was recorded."""
    shapes: Mapping[int, NDArray[np.float64]] = field(default_factory=dict[int, NDArray[np.float64]])
    """Particles of the deformables that moved, in their bodies' frames, by body, shape (T, P, 3)."""
    dt: float = 1.0 / 60.0
    """Between two times [s]."""
    notes: tuple[str, ...] = ()
    """What the user should know."""

    @property
    def is_turned(self) -> bool:
        """Whether the scene's world is another than the stage's."""
        return not np.array_equal(self.T_stage_world, np.eye(4))

    @property
    def turn(self) -> NDArray[np.float64]:
        """The scene's world in the stage, xyz + wxyz, shape (7,)."""
        return _turned(self.T_stage_world, np.array([0.0, 0, 0, 1, 0, 0, 0]))


def make_twin(
    scene: Scene,
    *,
    world: World | None = None,
    rollout: Rollout | None = None,
    future: int = 0,
    assume_scale: bool = False,
) -> Twin:
    """Place the bodies of a scene.

    Args:
        scene: What to export.
        world: Bodies and joints in place of `scene_world`'s, which has the scene's own joints; its first bodies are the
            scene's objects.
        rollout: Where the bodies were over time; nothing is lifted then.
        future: Which of the rollout's worlds.
        assume_scale: Take a unit of a scene without metric scale for a metre.

    Raises:
        UsageError: The scene has no metric scale, a body no collider, no mass or no pose, or the
            rollout is of other bodies.
    """
    if not (scene.metric or assume_scale):
        raise UsageError(NO_SCALE)
    T_stage_world = _upright(np.asarray(scene.up, dtype=np.float64))
    notes = [] if scene.metric else ["The scene has no metric scale: a unit of it is taken for a metre."]
    if not np.allclose(T_stage_world, np.eye(4), atol=1e-9):
        notes.append(f"The scene's up {scene.up} is turned to Z.")
    if not scene.objects:
        return Twin((), np.zeros((0, 7)), T_stage_world, GRAVITY, notes=(*notes, NO_OBJECTS))
    bodies, poses, world = _bodies(scene, world, assume_scale)
    for body in bodies[: len(scene.objects)]:
        check_body(body)
    # Slabs fit already, and the parts of a deformable touch nothing.
    bodies = tuple(
        with_small_parts(body) if body.primitive is None and body.particles is None else body for body in bodies
    )
    poses = _turned(T_stage_world, poses)
    gravity = float(np.linalg.norm(world.gravity))
    joints = _upright_joints(T_stage_world, world.joints)
    twin = Twin(bodies, poses, T_stage_world, gravity, joints=joints, no_contact=world.no_contact, notes=tuple(notes))
    if rollout is not None:
        return _recorded(twin, scene, rollout, future)
    return lifted(twin, len(scene.objects))


def _bodies(
    scene: Scene, world: World | None, assume_scale: bool
) -> tuple[tuple[Body, ...], NDArray[np.float64], World]:
    """Bodies and their poses in the scene's world; those of objects in full precision."""
    from scene3d._scene_world import scene_state, scene_world

    own = scene_world(scene, assume_scale=assume_scale)
    world = own if world is None else world
    if [body.name for body in world.bodies] != [body.name for body in own.bodies]:
        names = ", ".join(body.name for body in own.bodies)
        raise UsageError(f"The world given for this scene must have its bodies, in this order: {names}.")
    down = np.asarray(own.gravity) / np.linalg.norm(own.gravity)
    if np.linalg.norm(np.asarray(world.gravity) - np.dot(world.gravity, down) * down) > 1e-6:
        raise UsageError(f"The world given for this scene has the gravity {world.gravity}, which is not downwards.")
    poses = scene_state(scene, own).T_world_body[0].double().numpy()
    bodies = list(world.bodies)
    for index, thing in enumerate(scene.objects):
        poses[index] = thing.T_world_body
        if not (np.isfinite(poses[index]).all() and np.linalg.norm(poses[index, 3:]) > 0):
            raise UsageError(f"The pose of {thing.name!r} is {thing.T_world_body}, which is no place and no rotation.")
        if thing.kind == "rigid":
            bodies[index] = replace(bodies[index], particles=None)
    return tuple(bodies), poses, world


def _upright_joints(T_stage_world: NDArray[np.float64], joints: tuple[Joint, ...]) -> tuple[Joint, ...]:
    """Joints whose frames in the world are frames in the stage."""
    return tuple(
        joint
        if joint.parent >= 0
        else replace(joint, T_parent_joint=tuple(_turned(T_stage_world, np.array(joint.T_parent_joint)).tolist()))
        for joint in joints
    )


def _upright(up: NDArray[np.float64]) -> NDArray[np.float64]:
    """The least rotation (4, 4) that brings up to Z [Rodrigues]."""
    up = up / np.linalg.norm(up)
    T = np.eye(4)
    x, y, z = up
    if z < -1 + 1e-12:
        T[:3, :3] = np.diag([1.0, -1.0, -1.0])
    elif abs(x) > 1e-12 or abs(y) > 1e-12:
        skew = np.array([[0, 0, -x], [0, 0, -y], [x, y, 0]])
        T[:3, :3] = np.eye(3) + skew + skew @ skew / (1 + z)
    return T


def _turned(T_stage_world: NDArray[np.float64], poses: NDArray[np.float64]) -> NDArray[np.float64]:
    """Poses (..., 7) in the stage, their quaternions of unit length."""
    import torch

    from dynamics.poses import compose, pose_from_matrix

    poses = poses.copy()
    poses[..., 3:] /= np.linalg.norm(poses[..., 3:], axis=-1, keepdims=True)
    if np.array_equal(T_stage_world, np.eye(4)):
        return poses
    turn = pose_from_matrix(torch.from_numpy(T_stage_world))
    flat = torch.from_numpy(poses.reshape(-1, 7))
    return compose(turn.expand(len(flat), 7), flat).numpy().reshape(poses.shape)


def _recorded(twin: Twin, scene: Scene, rollout: Rollout, future: int) -> Twin:
    worlds, _, bodies, _ = rollout.T_world_body.shape
    if bodies != len(twin.bodies):
        raise UsageError(
            f"The rollout is of {bodies} bodies, but the scene has {len(twin.bodies)} by now. Simulate it again."
        )
    if not 0 <= future < worlds:
        raise UsageError(f"The rollout has the futures 0 to {worlds - 1}, and --future {future} is none of them.")
    paths = rollout.T_world_body[future].double().cpu().numpy()
    if not np.isfinite(paths).all():
        raise UsageError("The rollout holds poses that are not finite numbers. Simulate it again.")
    shapes = _shapes(scene, paths, rollout.x[future].double().cpu().numpy())
    paths = _turned(twin.T_stage_world, paths)
    moving = tuple(replace(body, motion="kinematic") if body.motion == "dynamic" else body for body in twin.bodies)
    note = f"Bodies follow the recording of {rollout.dt * (len(rollout) - 1):.2f} s: they are kinematic."
    return replace(
        twin, bodies=moving, poses=paths[0], paths=paths, shapes=shapes, dt=rollout.dt, notes=(*twin.notes, note)
    )


def _shapes(scene: Scene, paths: NDArray[np.float64], x: NDArray[np.float64]) -> dict[int, NDArray[np.float64]]:
    """Particles (T, P, 3) of the deformables that changed their shape, in the bodies' frames."""
    import torch

    from dynamics.poses import invert, transform_points

    found: dict[int, NDArray[np.float64]] = {}
    first = 0
    for index, thing in enumerate(scene.objects):
        if thing.body.particles is None:
            continue
        last = first + len(thing.body.particles)
        if last > x.shape[1]:
            raise UsageError("The rollout has fewer particles than the scene by now. Simulate it again.")
        T_body_world = invert(torch.from_numpy(paths[:, index]))[:, None]
        shape = transform_points(T_body_world, torch.from_numpy(x[:, first:last])).numpy()
        first = last
        if thing.kind == "deformable" and np.abs(shape - thing.body.particles.points).max() > STILL:
            found[index] = shape
    return found
