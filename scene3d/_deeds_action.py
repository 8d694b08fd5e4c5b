"""Deeds -> what a rollout takes: the state that it begins with, and forces and targets for each step.

Drops lift an object in the first state; pushes become forces at centres of mass; moves become targets of objects that
are driven, which nothing stops. All of one world; futures share them.
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from scene3d._errors import UsageError
from scene3d._scene_joints import hanging
from scene3d._scene_world import held_by

if TYPE_CHECKING:
    from torch import Tensor

    from dynamics import Action, State, World
    from scene3d._deeds import Deeds, Move
    from scene3d._scene import Scene

__all__ = ["action_of", "check_deeds", "driven_objects", "first_state", "repeated"]

FASTEST, FASTEST_TURN = 20.0, 200.0
"""Of driven objects [m/s, rad/s]: faster paths are mistakes of a unit or of a time."""
Array = NDArray[np.float64]


def driven_objects(deeds: Deeds) -> tuple[str, ...]:
    """Names of the objects that follow a path, each once."""
    return tuple(dict.fromkeys([*(move.name for move in deeds.moves), *deeds.driven]))


def check_deeds(scene: Scene, deeds: Deeds, seconds: float) -> None:
    """Raises UsageError if deeds name what is not there or cannot move, contradict each other, or begin too late."""
    driven = [*(move.name for move in deeds.moves), *deeds.driven]
    for name in [*driven, *(push.name for push in deeds.pushes), *(drop.name for drop in deeds.drops)]:
        thing = scene.objects[scene.index(name)]
        if thing.body.motion == "static":
            raise UsageError(f"{name!r} stands fast: its body is static, so it can be neither pushed nor moved.")
        if thing.kind != "rigid":
            raise UsageError(
                f"{name!r} is deformable, and only rigid things move here. `scene3d edit SCENE --kind {name}=rigid` "
                "helps."
            )
    twice = next((name for name in driven if driven.count(name) > 1), None)
    if twice is not None:
        raise UsageError(f"{twice!r} is to follow two paths. Leave out one.")
    both = next((deed.name for deed in (*deeds.pushes, *deeds.drops) if deed.name in driven), None)
    if both is not None:
        raise UsageError(f"{both!r} follows a path, so it can be neither pushed nor dropped. Leave out one of them.")
    dropped = [drop.name for drop in deeds.drops]
    again = next((name for name in dropped if dropped.count(name) > 1), None)
    if again is not None:
        raise UsageError(f"{again!r} is dropped twice. Leave out one.")
    fast = next((drop.name for drop in deeds.drops if held_by(scene, drop.name)), None)
    if fast is not None:
        raise UsageError(
            f"{fast!r} is held in its place by the joint {held_by(scene, fast)!r}, so it cannot be dropped. Push it."
        )
    late = next((push for push in deeds.pushes if push.start >= seconds), None)
    if late is not None:
        raise UsageError(
            f"A push of {late.name!r} starts at {late.start:g} s, and the rollout ends at {seconds:g} s. "
            "Raise --seconds."
        )


def first_state(scene: Scene, world: World, state: State, deeds: Deeds) -> State:
    """The state with what is dropped in the air, with all that hangs on it, and what is moved at the beginning of its
    path; one world.
    """
    import torch

    poses, still = state.T_world_body.clone(), state.still.clone()
    up = -torch.tensor(world.gravity, dtype=poses.dtype)
    for drop in deeds.drops:
        for index in hanging(scene.joints, scene.index(drop.name)).objects:
            poses[:, index, :3] += drop.height * up / up.norm()
            still[:, index] = 0
    for move in deeds.moves:
        index = scene.index(move.name)
        if move.times[0] == 0:
            poses[:, index] = torch.tensor(_full(move, poses[0, index].double().numpy())[0]).to(poses)
    if deeds.action is not None and deeds.action.kinematic_target is not None:
        for name in deeds.driven:
            poses[:, scene.index(name)] = deeds.action.kinematic_target[:, 0, scene.index(name)]
    return replace(state, T_world_body=poses, still=still)


def action_of(scene: Scene, world: World, begun: State, deeds: Deeds, steps: int) -> Action | None:
    """Forces and targets of all steps, one world; None where nothing is done.

    Args:
        scene: The scene.
        world: Its world, with the driven objects kinematic.
        begun: From `first_state`.
        deeds: What is done, as `check_deeds` lets through.
        steps: How many steps there are; what an action says beyond them is left out, and after its end nothing pushes
            and driven objects stay.
    """
    import torch

    from dynamics import Action

    given = deeds.action or Action()
    wrench = None if given.wrench is None else _lasting(given.wrench, steps, hold=False)
    if deeds.pushes and wrench is None:
        wrench = torch.zeros(1, steps, len(world.bodies), 6)
    for push in deeds.pushes:
        first = round(push.start / world.dt)
        last = max(first + 1, round((push.start + push.seconds) / world.dt))
        assert wrench is not None
        wrench[:, first:last, scene.index(push.name), :3] += torch.tensor(push.force)
    target = None if given.kinematic_target is None else _lasting(given.kinematic_target, steps, hold=True)
    if deeds.moves and target is None:
        target = begun.T_world_body[:, None].repeat(1, steps, 1, 1).float()
    for move in deeds.moves:
        index = scene.index(move.name)
        path = _path(move, begun.T_world_body[0, index].double().numpy(), world.dt, steps)
        assert target is not None
        target[:, :, index] = torch.tensor(path).to(target)
    if target is not None:
        _check_speed(scene, world, begun, target, driven_objects(deeds))
    # Drives aim at position 0 unless something else is said, as in every engine; without a target they would be off.
    driven = any(joint.stiffness or joint.drive_damping for joint in world.joints)
    goal = torch.zeros(1, steps, len(world.joints)) if driven else None
    if wrench is None and target is None and goal is None:
        return None
    return Action(wrench=wrench, kinematic_target=target, joint_target=goal)


def repeated(action: Action | None, worlds: int) -> Action | None:
    """The same in every world, without copies."""
    if action is None:
        return None
    parts = {field.name: getattr(action, field.name) for field in fields(action)}
    return replace(action, **{k: v.expand(worlds, *v.shape[1:]) for k, v in parts.items() if v is not None})


def _lasting(part: Tensor, steps: int, *, hold: bool) -> Tensor:
    """A part of an action (1, T, nb, k) for so many steps: cut, or followed by its last value or by zeros."""
    import torch

    part = part[:, :steps].float().clone()
    after = part[:, -1:] if hold else torch.zeros_like(part[:, -1:])
    return torch.cat([part, after.expand(-1, steps - part.shape[1], -1, -1)], dim=1)


def _full(move: Move, standing: Array) -> Array:
    """Poses (K, 7) of a path; those that are positions alone keep the rotation (of `standing`, (7,))."""
    poses = np.asarray(move.poses, dtype=np.float64)
    if poses.shape[1] == 3:
        poses = np.concatenate([poses, np.repeat(standing[None, 3:], len(poses), 0)], axis=1)
    return np.concatenate([poses[:, :3], poses[:, 3:] / np.linalg.norm(poses[:, 3:], axis=1, keepdims=True)], axis=1)


def _path(move: Move, standing: Array, dt: float, steps: int) -> Array:
    """Poses (steps, 7) at the ends of steps."""
    from scene3d._pose_paths import poses_at

    times, poses = np.asarray(move.times, dtype=np.float64), _full(move, standing)
    if times[0] > 0:
        times, poses = np.concatenate([[0.0], times]), np.concatenate([standing[None], poses])
    return poses_at(times, poses, np.minimum(dt * np.arange(1, steps + 1), times[-1]))


def _check_speed(scene: Scene, world: World, begun: State, target: Tensor, driven: tuple[str, ...]) -> None:
    from scene3d._pose_paths import angles_between

    for name in driven:
        index = scene.index(name)
        path = np.concatenate([begun.T_world_body[:1, index].double().numpy(), target[0, :, index].double().numpy()])
        speed = np.linalg.norm(np.diff(path[:, :3], axis=0), axis=1) / world.dt
        turn = angles_between(path[1:, 3:], path[:-1, 3:]) / world.dt
        if speed.max() > FASTEST or turn.max() > FASTEST_TURN:
            step = int(np.argmax(np.maximum(speed / FASTEST, turn / FASTEST_TURN)))
            raise UsageError(
                f"At {step * world.dt:.3g} s the path of {name!r} goes at {speed[step]:.3g} m/s and {turn[step]:.3g} "
                f"rad/s; up to {FASTEST:g} m/s and {FASTEST_TURN:g} rad/s are followed. Give it more time."
            )
