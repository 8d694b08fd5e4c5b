"""The moment that is shown, as a start for new futures: a session in, a `dynamics.State` with its origin out.

What somebody put elsewhere by hand begins there at rest, awake, and so does whatever it touched where it stood: what
leaned on it must be free to fall.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

import numpy as np

from scene3d._errors import UsageError
from scene3d.viewer._act_pose import rotation

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dynamics import Body, Latents, State, World
    from scene3d.viewer._session import Session
    from scene3d.viewer._track import Track

__all__ = ["Moment", "branch_name", "present"]

TOUCHING = 0.005
"""Boxes around bodies that are nearer than this may touch [m]."""
LONGEST_NAME = 24


@dataclass(frozen=True, eq=False)
class Moment:
    """Where new futures begin."""

    state: State
    """One world."""
    track: Track
    """That was shown."""
    future: int
    """Of that track."""
    time: float
    """Of the kept state that they begin from [s]."""
    put: tuple[str, ...]
    """Objects that somebody put elsewhere."""
    latents: Latents | None
    """What this future was drawn to have, one world; None for the scene as photographed."""

    def same_as(self, other: Moment) -> bool:
        """Whether both begin with the same things in the same places."""
        return (
            self.track.poses is other.track.poses
            and (self.future, self.time) == (other.future, other.time)
            and np.array_equal(self.state.T_world_body.numpy(), other.state.T_world_body.numpy())
        )

    @property
    def branch(self) -> tuple[str, float] | None:
        """As `Track.branch`; None where it is the scene as photographed."""
        return None if self.track.rollout is None else (self.track.id or self.track.name, self.time)


def present(session: Session) -> Moment:
    """The moment that a session shows; of a rollout the nearest kept state.

    Raises:
        UsageError: The scene has no physics, or the state holds what is no number.
    """
    from scene3d._scene_world import scene_state

    with session.lock:
        world, track, future, scene = session.world, session.track, session.future, session.scene
        moved = {index: pose.copy() for index, pose in session.moved.items()}
        frame = track.frame(session.clock.time)
    if world is None:
        raise UsageError("This scene has no objects or no metric scale, so nothing can move.")
    state = scene_state(scene, world) if track.rollout is None else track.rollout.at(frame)[future]
    if not bool(state.T_world_body.isfinite().all() and state.twist.isfinite().all()):
        raise UsageError("This future holds what is no number here, so nothing can go on. Choose another one.")
    names = tuple(scene.objects[index].name for index in moved)
    time = 0.0 if track.rollout is None else frame * track.dt
    return Moment(_put(world, state, moved), track, future, time, names, _latents(track, future))


def branch_name(moment: Moment, deed: str) -> str:
    """What a track is called, e.g. ``003 at 0.4 s: push can``."""
    if moment.branch is None:
        return deed
    # Of an unsaved one what was done last: else each branch would have a longer name than the one before.
    name = moment.track.id or moment.track.name.rpartition(": ")[2]
    name = name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"
    return f"{name} at {moment.time:.1f} s: {deed}"


def _latents(track: Track, future: int) -> Latents | None:
    kept = None if track.rollout is None else track.rollout.latents
    if kept is None:
        return None
    return type(kept)(**{field.name: getattr(kept, field.name)[future : future + 1].clone() for field in fields(kept)})


def _put(world: World, state: State, moved: dict[int, NDArray[np.float32]]) -> State:
    import torch

    from dynamics.poses import invert, transform_points

    if not moved:
        return state
    poses, twist, still, x, v = (
        part.clone() for part in (state.T_world_body, state.twist, state.still, state.x, state.v)
    )
    before = state.T_world_body[0].double().numpy()
    for index, pose in moved.items():
        for neighbour in _neighbours(world, before, index):
            still[:, neighbour] = 0
        poses[:, index] = torch.from_numpy(np.asarray(pose)).to(poses)
        twist[:, index], still[:, index] = 0, 0
        span = _particles(world, index)
        if span.stop > span.start:
            # Deformables are carried as they lie.
            lying = transform_points(invert(state.T_world_body[:, index, None]), x[:, span])
            x[:, span], v[:, span] = transform_points(poses[:, index, None], lying), 0
    # What contacts gave a step ago is not to be the first guess for what lies elsewhere now.
    none = {"contact_point": None, "contact_impulse": None}
    return replace(state, T_world_body=poses, twist=twist, still=still, x=x, v=v, **none)


def _particles(world: World, index: int) -> slice:
    counts = [0 if body.particles is None else len(body.particles.points) for body in world.bodies]
    return slice(sum(counts[:index]), sum(counts[: index + 1]))


def _neighbours(world: World, poses: NDArray[np.float64], index: int) -> list[int]:
    """Bodies that move and whose boxes touch that of a body."""
    low, high = _box(world.bodies[index], poses[index])
    found: list[int] = []
    for other, body in enumerate(world.bodies):
        if other != index and body.motion == "dynamic":
            a, b = _box(body, poses[other])
            if (a <= high + TOUCHING).all() and (low <= b + TOUCHING).all():
                found.append(other)
    return found


def _box(body: Body, pose: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    points = body.mesh.vertices @ rotation(pose[3:]).T + pose[:3]
    return points.min(axis=0), points.max(axis=0)
