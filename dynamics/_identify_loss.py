# pyright: basic
"""How far rollouts with some values of the parameters are from recordings, recording by recording.

All candidates and recordings of one length go through one fused rollout where only latents differ; candidates that
change the world itself take one each. Errors count on a logarithmic scale, -log of a Cauchy density, so that a toss
which fell on another face counts little; its width may differ from frame to frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dynamics._errors import UsageError
from dynamics._identify_parameters import changed_latents, changed_world, factor
from dynamics.poses import rotation_from_wxyz

if TYPE_CHECKING:
    from dynamics._identify_parameters import Parameter
    from dynamics._recording import Recording
    from dynamics._state import State
    from dynamics._step import StepSettings
    from dynamics._world import World

__all__ = ["Problem", "Widths", "predicted_poses"]

FLOOR_POSITION, FLOOR_ROTATION = 5e-4, 4e-3
"""Least widths: what a good motion capture is sure of [m], [rad]."""
LOST = 12.0
"""Loss of a rollout that left the world of finite numbers."""
FEW = 8
"""Fewer recordings are not enough for an error of each frame."""
WORLDS = 4096
"""The most rollouts at a time."""
Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Widths:
    """Errors that count one, by frame after the start."""

    position: Array
    """[m], shape (T,)."""
    rotation: Array
    """[rad], shape (T,)."""


@dataclass(frozen=True, eq=False)
class Problem:
    """Recordings, and what is to be found from them."""

    world: World
    parameters: tuple[Parameter, ...]
    recordings: tuple[Recording, ...]
    settings: StepSettings | None = None

    @cached_property
    def groups(self) -> list[NDArray[np.int64]]:
        """Recordings of similar length: none is shorter than three quarters of its group's longest."""
        order = np.argsort([-len(recording) for recording in self.recordings], kind="stable")
        groups: list[list[int]] = []
        for i in order.tolist():
            if groups and len(self.recordings[i]) >= 0.75 * len(self.recordings[groups[-1][0]]):
                groups[-1].append(i)
            else:
                groups.append([i])
        return [np.array(group) for group in groups]

    @cached_property
    def size(self) -> float:
        """Mean side of what is observed [m]."""
        seen = np.flatnonzero(self.recordings[0].observed)
        sides = [np.prod(np.ptp(self.world.bodies[i].mesh.vertices, axis=0)) ** (1 / 3) for i in seen]
        return float(np.mean(sides))

    @cached_property
    def frames(self) -> int:
        """Of the longest recording."""
        return max(len(recording) for recording in self.recordings)

    def values(self, u: Array) -> Array:
        """Physical values (G, P) of standardised ones."""
        return np.stack([parameter.value(u[:, k]) for k, parameter in enumerate(self.parameters)], axis=1)

    def losses(self, u: Array, widths: Widths) -> Array:
        """Loss of each candidate (G, P) on each of the N recordings, shape (G, N)."""
        found = np.zeros((len(u), len(self.recordings)))
        for rows, members, away, turned in self._errors(u):
            frames = away.shape[2]
            cost = np.log1p((away / widths.position[:frames, None]) ** 2)
            cost = cost + np.log1p((turned / widths.rotation[:frames, None]) ** 2)
            cost = np.where(np.isfinite(cost), cost, LOST)
            weight = self._weights(members, frames)
            found[np.ix_(rows, members)] = (cost * weight).sum((2, 3))
        return found

    def residuals(self, u: Array, widths: Widths) -> list[Array]:
        """Errors of one candidate (P,) over the widths, of each recording: positions and turns, (T, k, 6)."""
        import torch

        from dynamics._integrate import turn_between

        found: list[Array] = [np.zeros(0)] * len(self.recordings)
        values = self.values(np.asarray(u, dtype=np.float64)[None])
        for members in self.groups:
            for first in range(0, len(members), WORLDS):
                part = members[first : first + WORLDS]
                recordings = [self.recordings[i] for i in part]
                poses = predicted_poses(self.world, recordings, self.parameters, values, self.settings)[0]
                for i, recording, guess in zip(part, recordings, poses, strict=True):
                    truth = recording.T_world_body[1:, recording.observed]
                    guess = guess[1 : len(recording), recording.observed].astype(np.float64)
                    turned = turn_between(torch.tensor(truth[..., 3:]), torch.tensor(guess[..., 3:])).numpy()
                    unit = slice(1, len(recording))
                    away = (guess[..., :3] - truth[..., :3]) / widths.position[unit, None, None]
                    found[i] = np.concatenate([away, turned / widths.rotation[unit, None, None]], axis=-1)
        return found

    def widths(self, u: Array) -> Widths:
        """The median error of the candidate u (P,) in each frame, and at least what sensors leave.

        Of a few recordings half the median over all frames: with one, every error would be its own measure.
        """
        away, turned = (np.full((len(self.recordings), self.frames), np.nan) for _ in range(2))
        for _, members, a, t in self._errors(u[None]):
            for i, errors in zip(members, zip(a[0], t[0], strict=True), strict=True):
                recording = self.recordings[i]
                for into, error in zip((away, turned), errors, strict=True):
                    into[i, : len(recording)] = error[: len(recording), recording.observed].max(1)
        if len(self.recordings) < FEW:
            ones = np.ones(self.frames)
            halves = [float(np.nanmedian(errors[:, 1:])) / 2 for errors in (away, turned)]
            return Widths(max(halves[0], FLOOR_POSITION) * ones, max(halves[1], FLOOR_ROTATION) * ones)
        return Widths(_smooth(away, FLOOR_POSITION), _smooth(turned, FLOOR_ROTATION))

    def coarse(self) -> Widths:
        """A tenth of the size and a tenth of a radian in every frame."""
        ones = np.ones(self.frames)
        return Widths(0.1 * self.size * ones, 0.1 * ones)

    def _weights(self, members: NDArray[np.int64], frames: int) -> Array:
        """Of each recording, frame after the first and observed body; their sum is 1, shape (N, T, nb)."""
        seen = np.stack([self.recordings[i].observed for i in members]).astype(float)
        length = np.array([len(self.recordings[i]) for i in members])
        time = np.arange(frames)
        valid = ((time > 0) & (time < length[:, None])).astype(float)
        weight = valid[:, :, None] * seen[:, None]
        return weight / np.maximum(weight.sum((1, 2), keepdims=True), 1)

    def _errors(self, u: Array):
        """For each part: candidates, recordings, distances and angles (G, N, T, nb)."""
        values = self.values(np.asarray(u, dtype=np.float64))
        for members in self.groups:
            recordings = [self.recordings[i] for i in members]
            truth = _padded(recordings)
            share = max(1, WORLDS // len(members))
            for first in range(0, len(u), share):
                rows = np.arange(first, min(first + share, len(u)))
                poses = predicted_poses(self.world, recordings, self.parameters, values[rows], self.settings)
                away = np.sqrt(((poses[..., :3] - truth[..., :3]) ** 2).sum(-1))
                minus, plus = poses[..., 3:] - truth[..., 3:], poses[..., 3:] + truth[..., 3:]
                chord = np.sqrt(np.minimum((minus * minus).sum(-1), (plus * plus).sum(-1)))
                yield rows, members, away, 4 * np.arcsin(np.minimum(chord / 2, 1.0))


def predicted_poses(
    world: World,
    recordings: Sequence[Recording],
    parameters: Sequence[Parameter],
    values: Array,
    settings: StepSettings | None = None,
) -> NDArray[np.float32]:
    """Rollouts of G candidates (G, P) from the first frames of N recordings, in recorded lengths, (G, N, T, nb, 7).

    T is the length of the longest. Raises UsageError unless the recordings' time step is a multiple of the world's.
    """
    from dynamics._rollout import rollout
    from dynamics._state import Latents

    every = _steps_per_frame(world, recordings)
    frames = max(len(recording) for recording in recordings)
    worlds = [changed_world(world, parameters, row) for row in values]
    batches = [np.arange(len(values))] if worlds[0] is world else [np.array([k]) for k in range(len(values))]
    parts: list[NDArray[np.float32]] = []
    for rows in batches:
        given = values[rows]
        latents = changed_latents(world, parameters, given, Latents.median(world, len(rows)))
        state = _first_state(world, recordings, parameters, given, latents.com_offset.numpy())
        repeated = {k: getattr(latents, k).repeat_interleave(len(recordings), 0) for k in latents.__dataclass_fields__}
        length = factor(parameters, given, "length")
        action = _action(world, recordings, frames, every, length)
        made = worlds[int(rows[0])]
        run = rollout(
            made, state, (frames - 1) * every, action, replace(latents, **repeated), every=every, settings=settings
        )
        poses = run.T_world_body.reshape(len(rows), len(recordings), frames, -1, 7).numpy()
        poses[..., :3] *= length[:, None, None, None, None].astype(np.float32)
        parts.append(poses)
    return np.concatenate(parts)


def _steps_per_frame(world: World, recordings: Sequence[Recording]) -> int:
    steps = {round(recording.dt / world.dt, 2) for recording in recordings}
    every = round(max(steps))
    if len(steps) > 1 or every < 1 or abs(every - max(steps)) > 0.02 * every:
        raise UsageError(
            f"Recordings have frames every {recordings[0].dt:.5g} s; the world's step of {world.dt:.5g} s must be "
            "that or a whole part of it, the same for all."
        )
    return every


def _first_state(
    world: World, recordings: Sequence[Recording], parameters: Sequence[Parameter], values: Array, offset: Array
) -> State:
    """The states of G x N worlds; velocities of origins become those of the centres of mass that candidates have."""
    import torch

    from dynamics._state import State

    length, spin = factor(parameters, values, "length"), factor(parameters, values, "spin")
    poses = np.stack([recording.T_world_body[0] for recording in recordings])
    twist = np.stack([recording.twist for recording in recordings])
    root = np.stack([recording.root for recording in recordings])
    poses = np.repeat(poses[None], len(values), 0)
    poses[..., :3] /= length[:, None, None, None]
    rotation = rotation_from_wxyz(torch.tensor(poses[..., 3:])).numpy()
    origin = np.take_along_axis(twist[..., :3], root[..., None], axis=1)
    turn = twist[None, ..., 3:] * spin[:, None, None, None]
    # Bodies on joints go round with the root: what their velocities differ by scales with the spin.
    linear = origin + (twist[..., :3] - origin) * spin[:, None, None, None]
    com = np.array([body.com for body in world.bodies])[None] + offset
    arm = (rotation @ com[:, None, ..., None])[..., 0]
    linear = linear / length[:, None, None, None] + np.cross(turn, arm)
    moves = np.array([body.motion == "dynamic" for body in world.bodies])
    both = np.concatenate([linear, turn], axis=-1) * moves[:, None]
    T_world_body = torch.tensor(poses.reshape(-1, *poses.shape[2:]), dtype=torch.float32)
    state = State.at_rest(world, T_world_body)
    rates = np.stack([recording.joint_qd for recording in recordings])[None] * spin[:, None, None]
    return replace(
        state,
        twist=torch.tensor(both.reshape(-1, *both.shape[2:]), dtype=torch.float32),
        joint_qd=torch.tensor(rates.reshape(len(T_world_body), -1), dtype=torch.float32),
    )


def _action(world: World, recordings: Sequence[Recording], frames: int, every: int, length: Array):
    """Kinematic bodies go where they were recorded, on straight lines between frames; None without any."""
    import torch

    from dynamics._state import Action

    if not any(body.motion == "kinematic" for body in world.bodies):
        return None
    path = torch.tensor(np.stack([_stretched(recording.T_world_body, frames) for recording in recordings]))
    share = torch.arange(1, every + 1, dtype=path.dtype)[:, None, None] / every
    target = (path[:, :-1, None] + share * (path[:, 1:, None] - path[:, :-1, None])).flatten(1, 2)
    target[..., 3:] = torch.nn.functional.normalize(target[..., 3:], dim=-1)
    target = target.repeat(len(length), 1, 1, 1)
    target[..., :3] /= torch.tensor(length).repeat_interleave(len(recordings))[:, None, None, None]
    return Action(kinematic_target=target.float())


def _padded(recordings: Sequence[Recording]) -> Array:
    frames = max(len(recording) for recording in recordings)
    return np.stack([_stretched(recording.T_world_body, frames) for recording in recordings])


def _stretched(poses: Array, frames: int) -> Array:
    return np.concatenate([poses, np.repeat(poses[-1:], frames - len(poses), 0)])


def _smooth(errors: Array, floor: float) -> Array:
    """The median over recordings (N, T), never falling with time: late frames are no surer than early ones."""
    with np.errstate(all="ignore"):
        counted: NDArray[np.bool_] = np.asarray(np.isfinite(errors).any(axis=0))
        middle = np.array([np.nanmedian(errors[:, t]) if counted[t] else 0.0 for t in range(errors.shape[1])])
    return np.maximum(np.maximum.accumulate(np.nan_to_num(middle)), floor)
