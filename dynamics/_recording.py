# pyright: basic
"""What was observed of a world while it moved, as identification compares it with rollouts.

A `Recording` holds the poses of all bodies over time and the velocities with which it begins. It is made of tosses
(root body, and joints where there are some: `recordings_of_tosses`), or of poses alone (`recording_of_poses`), whose
first velocities are slopes of parabolas. `windows` cuts long recordings where motion is smooth: multiple shooting.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dynamics._errors import UsageError
from dynamics._identify_links import linked_poses, linked_twists
from dynamics._toss_models import NOISE_SPIN, NOISE_VELOCITY
from dynamics._tosses import first_twist

if TYPE_CHECKING:
    from dynamics._tosses import Toss
    from dynamics._world import World

__all__ = ["Recording", "recording_of_poses", "recordings_of_tosses", "windows"]

HALF = 3
"""Frames on either side of a start that the parabola is fitted to."""
ROUGH_POSITION, ROUGH_ROTATION = 1e-3, 2e-2
"""Root mean square distance from the parabola above which a frame is no start [m], [rad]."""
Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Recording:
    """T frames of a world of nb bodies."""

    T_world_body: Array
    """Poses xyz [m] + wxyz, shape (T, nb, 7); of bodies that nobody observed, where they were at the beginning."""
    twist: Array
    """First velocities of the frames' origins [m/s] and angular [rad/s], world axes, shape (nb, 6)."""
    observed: NDArray[np.bool_]
    """Which bodies are compared, shape (nb,)."""
    root: NDArray[np.int64]
    """The body that each hangs on by joints, itself for a free body, shape (nb,)."""
    joint_qd: Array
    """First velocities of the joints [rad/s or m/s], shape (nj,)."""
    dt: float
    """Between frames [s]."""
    doubt: tuple[float, float] = (NOISE_VELOCITY, NOISE_SPIN)
    """Standard deviations of the first velocities [m/s], [rad/s]."""

    def __len__(self) -> int:
        return len(self.T_world_body)


def recordings_of_tosses(world: World, tosses: Sequence[Toss], root: int | str) -> tuple[Recording, ...]:
    """Tosses as recordings of a world: the root body and all that joints tie to it; other bodies rest at the origin.

    Args:
        world: With the thrown bodies; static bodies, such as the table, are at the identity.
        tosses: From `load_tosses`; their joints are those of the world, in order.
        root: Body, or its name, that the tosses' poses are of.

    Raises:
        UsageError: Tosses and world have different joints.
    """
    import torch

    root = world.index(root) if isinstance(root, str) else root
    down = -float(world.gravity[2])
    found: list[Recording] = []
    for toss in tosses:
        poses = linked_poses(world, root, torch.tensor(toss.T_world_body), torch.tensor(toss.joint_q))
        first = {body: pose[0] for body, pose in poses.items()}
        twist = torch.tensor(first_twist(toss, down))
        twists = linked_twists(world, root, first, twist, torch.tensor(toss.joint_qd[0]))
        found.append(_recording(world, poses, twists, root, toss))
    return tuple(found)


def recording_of_poses(
    world: World, T_world_body: Array, dt: float, observed: Sequence[int], *, start: int = 0
) -> Recording:
    """A recording of poses alone, from a frame on.

    Args:
        world: Its bodies.
        T_world_body: Of all bodies, shape (T, nb, 7); what was not observed stands still.
        dt: Between frames [s].
        observed: Bodies that are compared.
        start: First frame; its velocities are slopes of parabolas through the frames around it.

    Raises:
        UsageError: There are fewer than two frames after the start.
    """
    poses = np.asarray(T_world_body, dtype=np.float64)
    if len(poses) - start < 3:
        raise UsageError(f"A log needs three frames or more, found {len(poses) - start}.")
    twist = np.zeros((len(world.bodies), 6))
    mask = np.zeros(len(world.bodies), dtype=bool)
    for body in observed:
        mask[body] = True
        twist[body] = _slope(poses[:, body], start, dt)[0]
    return Recording(poses[start:], twist, mask, np.arange(len(world.bodies)), np.zeros(len(world.joints)), dt)


def windows(world: World, recording: Recording, steps: int) -> tuple[Recording, ...]:
    """Parts of at most that many steps that begin where motion is smooth, one right behind the other.

    Jointed worlds and recordings that are no longer than 1.5 windows stay whole.
    """
    if world.joints or len(recording) <= 1.5 * steps:
        return (recording,)
    poses, observed = recording.T_world_body, np.flatnonzero(recording.observed)
    found = [_cut(recording, 0, steps, recording.twist)]
    start = steps
    while start < len(recording) - HALF - 2:
        slopes = {body: _slope(poses[:, body], start, recording.dt) for body in observed}
        if any(rough for _, rough in slopes.values()):
            start += 1
            continue
        twist = np.zeros_like(recording.twist)
        for body, (slope, _) in slopes.items():
            twist[body] = slope
        found.append(_cut(recording, start, steps, twist))
        start += steps
    return tuple(found)


def _cut(recording: Recording, start: int, steps: int, twist: Array) -> Recording:
    poses = recording.T_world_body[start : start + steps + 1]
    return Recording(poses, twist, recording.observed, recording.root, recording.joint_qd, recording.dt)


def _recording(world: World, poses: dict, twists: dict, root: int, toss: Toss) -> Recording:
    bodies = len(world.bodies)
    table = np.zeros((len(toss), bodies, 7))
    table[..., 3] = 1.0
    twist, observed, roots = np.zeros((bodies, 6)), np.zeros(bodies, dtype=bool), np.arange(bodies)
    for body, pose in poses.items():
        table[:, body], twist[body] = pose.numpy(), twists[body].numpy()
        observed[body], roots[body] = True, root
    return Recording(table, twist, observed, roots, np.asarray(toss.joint_qd[0], dtype=np.float64), toss.dt)


def _slope(path: Array, frame: int, dt: float) -> tuple[Array, bool]:
    """Velocity (6,) of poses (T, 7) at a frame, and whether motion around it is rough."""
    low, high = max(0, frame - HALF), min(len(path), frame + HALF + 1)
    if frame - low < HALF:
        high = min(len(path), low + 2 * HALF + 1)
    near = path[low:high]
    time = (np.arange(low, high) - frame) * dt
    basis = np.stack([np.ones_like(time), time, time**2], axis=1)[:, : min(3, len(time) - 1)]
    moved = np.concatenate([near[:, :3], _turns(near[:, 3:], path[frame, 3:])], axis=1)
    fit = np.linalg.lstsq(basis, moved, rcond=None)[0]
    missed = (moved - basis @ fit) ** 2
    rough = missed[:, :3].sum(1).mean() > ROUGH_POSITION**2 or missed[:, 3:].sum(1).mean() > ROUGH_ROTATION**2
    return fit[1], bool(rough)


def _turns(wxyz: Array, origin: Array) -> Array:
    """Rotation vectors in the world from one orientation (4,) to others (T, 4), shape (T, 3)."""
    import torch

    from dynamics._integrate import turn_between

    return turn_between(torch.tensor(origin).expand(len(wxyz), 4), torch.tensor(wxyz)).numpy()
