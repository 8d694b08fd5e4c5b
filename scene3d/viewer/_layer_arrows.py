"""Arrows: velocities of what moves, and contacts with the forces that act in them.

Rollouts record poses and velocities but no forces. Contacts and forces of the moment shown are therefore computed
again: two steps of physics from that state, with what that future has for mass and friction, and what the last of them
gave each contact divided by its length. That takes a while the first time, so it begins when the layer is switched on.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from scene3d.viewer._act_pose import rotation
from scene3d.viewer._layer import Layer
from scene3d.viewer._mesh_splats import add_splats, mesh_splats
from scene3d.viewer._palette import FORCE, SPEED, SPIN

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dynamics import State, World
    from scene3d._scene import Scene
    from scene3d.viewer._signal import Signal
    from scene3d.viewer._track import Track

__all__ = ["ContactLayer", "Touch", "VelocityLayer", "touches"]

SLOW, SLOW_TURN = 0.01, 0.2
"""Slower bodies have no arrow [m/s, rad/s]."""
METRES_PER_SPEED = 0.15
"""Length of an arrow at 1 m/s [m]."""
METRES_PER_TURN = 0.012
"""At 1 rad/s [m]."""
METRES_PER_NEWTON = 0.05
LONGEST = 0.35
"""Of an arrow, whatever it means [m]."""
STEPS = 2
"""The first steps from a cold start share forces out unevenly."""
WEAK = 0.02
"""Forces below are not drawn [N]."""
GHOST, GHOST_OPACITY, GHOST_SPLATS = (205, 222, 240), 0.16, 1000


class _Arrows(Layer):
    """Nodes of arrows by what they mean."""

    moves = True

    def put(self, name: str, starts: NDArray[Any], ways: NDArray[Any], color: tuple[int, int, int]) -> None:
        """Arrows from points (N, 3) along vectors (N, 3) [m]; none takes the node away."""
        length = np.linalg.norm(ways, axis=1, keepdims=True)
        ways = ways * np.minimum(1.0, LONGEST / np.maximum(length, 1e-9))
        points = np.stack([starts, starts + ways], axis=1).astype(np.float32)
        known = self.handles.get(name)
        if not len(points) or not np.isfinite(points).all():
            if known is not None:
                self.drop(name)
            return
        if known is not None:
            known.points = points
            return
        size = self.nodes.size
        self.handles[name] = self.server.scene.add_arrows(
            self.path(name),
            points,
            color,
            shaft_radius=0.003 * size,
            head_radius=0.0075 * size,
            head_length=0.018 * size,
        )


class VelocityLayer(_Arrows):
    """Linear and angular velocities."""

    name, label = "velocities", "Velocities"
    hint = (
        f"Blue: {100 * METRES_PER_SPEED:.0f} cm for 1 m/s. "
        f"Yellow: the axis of turning, {1000 * METRES_PER_TURN:.0f} cm for 10 rad/s"
    )

    def lacking(self) -> str:
        return "" if len(self.session.tracks) > 1 else "There is no rollout yet."

    def draw(self) -> None:
        with self.session.lock:
            scene, track, future = self.session.scene, self.session.track, self.session.future
            poses, frame = self.session.poses(), track.frame(self.session.clock.time)
        count = len(scene.objects)
        twist = np.nan_to_num(track.twist[future, frame, :count].astype(np.float64))
        # Above the objects, for splats in front of an arrow hide it.
        starts = _tops(scene, poses)
        fast = np.linalg.norm(twist[:, :3], axis=1) > SLOW
        turning = np.linalg.norm(twist[:, 3:], axis=1) > SLOW_TURN
        self.put("linear", starts[fast], METRES_PER_SPEED * twist[fast, :3], SPEED)
        self.put("angular", starts[turning], METRES_PER_TURN * twist[turning, 3:], SPIN)


class ContactLayer(_Arrows):
    """Where bodies touch, and the forces there."""

    name, label = "forces", "Forces"
    hint = (
        f"Dots where bodies touch; red: forces on the upper body, {100 * METRES_PER_NEWTON:.0f} cm for 1 N; "
        "yellow: pushes. Shown while time stands"
    )

    def lacking(self) -> str:
        if self.session.world is None:
            return "This scene has no objects or no metric scale, so there are no forces."
        return ""

    def follows(self) -> tuple[Signal, ...]:
        return (*super().follows(), self.session.clock_changed)

    def draw(self) -> None:
        with self.session.lock:
            scene, world, track, future = (
                self.session.scene,
                self.session.world,
                self.session.track,
                self.session.future,
            )
            poses, frame, playing = (
                self.session.poses(),
                track.frame(self.session.clock.time),
                self.session.clock.playing,
            )
        if playing or world is None:
            self.clear()
            return
        self._see_through(scene)
        found = touches(world, _state(scene, world, track, future, frame, poses), _latents(track, future))
        strong = np.linalg.norm(found.force, axis=1) > WEAK
        self.put("forces", found.point[strong], METRES_PER_NEWTON * found.force[strong], FORCE)
        pushed, force = _pushes(track, future, frame, world.dt)
        starts = _centers(scene.objects, poses)
        mine = pushed < len(starts)
        # The arrow's head is where it pushes.
        ways = METRES_PER_NEWTON * force[mine]
        self.put("pushes", starts[pushed[mine]] - ways, ways, SPIN)
        self._dots(found.point)

    def clear(self) -> None:
        super().clear()
        self.nodes.show_objects(True)

    def _see_through(self, scene: Scene) -> None:
        """Draw objects as ghosts, for forces act where splats hide them."""
        for index, thing in enumerate(scene.objects):
            name = f"ghost {index}"
            path = f"{self.nodes.frame_path(index)}/see-through"
            known = self.handles.get(name)
            if known is None or self.server.scene.get_handle_by_name(path) is not known:
                mesh = thing.body.mesh
                self.handles[name] = add_splats(
                    self.server, path, mesh_splats(mesh.vertices, mesh.faces, GHOST_SPLATS), GHOST, GHOST_OPACITY
                )
        self.nodes.show_objects(False)

    def _dots(self, points: NDArray[np.float64]) -> None:
        if "dots" in self.handles:
            self.drop("dots")
        if len(points):
            self.handles["dots"] = self.server.scene.add_point_cloud(
                self.path("dots"),
                points.astype(np.float32),
                np.asarray(FORCE),
                point_size=0.006 * self.nodes.size,
                point_shape="circle",
                precision="float32",
            )


@dataclass(frozen=True, eq=False)
class Touch:
    """N contacts of one moment."""

    point: NDArray[np.float64]
    """In the world [m], shape (N, 3)."""
    force: NDArray[np.float64]
    """On the body that is higher of the two [N], shape (N, 3)."""
    bodies: NDArray[np.int64]
    """That body and the other one, shape (N, 2)."""


def touches(world: World, state: State, latents: Any = None) -> Touch:
    """Contacts and forces of a state of one world, with everything awake."""
    import torch

    from dynamics import rollout
    from dynamics._step import StepSettings
    from dynamics._world_arrays import directions, world_arrays

    awake = replace(state, still=torch.zeros_like(state.still), contact_point=None, contact_impulse=None)
    after = rollout(world, awake, STEPS, None, latents, threads=1)
    assert after.contact_point is not None and after.contact_impulse is not None
    arrays = world_arrays(world)
    rooms = directions(arrays, StepSettings().contact.per_direction)
    poses = state.T_world_body[0].double().numpy()
    up = -np.asarray(world.gravity)
    places = after.contact_point[0].numpy()
    forces = after.contact_impulse[0].double().numpy() / world.dt
    point, force, bodies, base = [], [], [], 0
    for source, target, room in rooms:
        for place in range(base, base + room):
            if places[place] < 0:
                continue
            local = np.asarray(arrays.points[int(arrays.first[source]) + int(places[place])], dtype=np.float64)
            higher = (poses[source, :3] - poses[target, :3]) @ up >= 0
            point.append(_moved(poses[source], local))
            force.append(forces[place] if higher else -forces[place])
            bodies.append((source, target) if higher else (target, source))
        base += room
    return Touch(
        np.array(point, dtype=np.float64).reshape(-1, 3),
        np.array(force, dtype=np.float64).reshape(-1, 3),
        np.array(bodies, dtype=np.int64).reshape(-1, 2),
    )


def _moved(pose: NDArray[np.float64], point: NDArray[np.float64]) -> NDArray[np.float64]:
    return rotation(pose[3:]) @ point + pose[:3]


def _centers(objects: Any, poses: NDArray[np.float32]) -> NDArray[np.float64]:
    centers = [
        _moved(pose.astype(np.float64), np.asarray(thing.body.com)) for thing, pose in zip(objects, poses, strict=False)
    ]
    return np.array(centers, dtype=np.float64).reshape(-1, 3)


def _tops(scene: Scene, poses: NDArray[np.float32]) -> NDArray[np.float64]:
    """Over the centres of mass, as high as each object reaches just now."""
    up = np.asarray(scene.up, dtype=np.float64)
    up /= np.linalg.norm(up)
    centers = _centers(scene.objects, poses)
    for index, thing in enumerate(scene.objects):
        pose = poses[index].astype(np.float64)
        highest = (np.asarray(thing.body.mesh.vertices) @ (rotation(pose[3:]).T @ up)).max() + pose[:3] @ up
        centers[index] += (highest - centers[index] @ up) * up
    return centers


def _state(scene: Any, world: World, track: Track, future: int, frame: int, poses: NDArray[np.float32]) -> State:
    """The kept state nearest to the moment, with bodies where they are drawn."""
    import torch

    from scene3d._scene_world import scene_state

    state = scene_state(scene, world) if track.rollout is None else track.rollout.at(frame)[future]
    return replace(state, T_world_body=torch.from_numpy(poses.copy())[None].to(state.T_world_body))


def _latents(track: Track, future: int) -> Any:
    from dataclasses import fields

    if track.rollout is None or track.rollout.latents is None:
        return None
    latents = track.rollout.latents
    one = slice(future, future + 1)
    return replace(latents, **{field.name: getattr(latents, field.name)[one] for field in fields(latents)})


def _pushes(track: Track, future: int, frame: int, dt: float) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Bodies that are pushed just now, and with what force [N]."""
    none = np.zeros(0, dtype=np.int64), np.zeros((0, 3))
    action = None if track.rollout is None else track.rollout.action
    if action is None or action.wrench is None:
        return none
    step = round(frame * track.dt / dt)
    if step >= action.wrench.shape[1]:
        return none
    force = action.wrench[min(future, len(action.wrench) - 1), step, :, :3].double().numpy()
    pushed = np.flatnonzero(np.linalg.norm(force, axis=1) > WEAK)
    return pushed, force[pushed]
