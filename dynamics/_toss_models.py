# pyright: basic
"""Models that predict a toss from its first frame: nothing moves, free flight, physics, physics with the network.

A toss is one rigid body over a table (`_toss_body`), recorded by cameras that lean (`_toss_frames`). `rollout_tosses`
runs a batch of them step by step (`_toss_step`) from the first frames; `predicted` is a model's answer, either one
rollout or the centre of many that start with the noise of recordings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dynamics._learned_step import LearnedStep
from dynamics._toss_body import TEXTBOOK, TossBody, TossConstants, toss_body
from dynamics._toss_frames import as_recorded, at_first_frame, first_noise, heading, upright
from dynamics._toss_step import toss_contacts, toss_step
from dynamics.poses import rotation_from_wxyz

if TYPE_CHECKING:
    from torch import Tensor

    from dynamics._contact_network import ContactNetwork
    from dynamics._contact_support import ContactSupport
    from dynamics._tosses import Toss

__all__ = [
    "TEXTBOOK",
    "TossBody",
    "TossConstants",
    "TossModel",
    "as_recorded",
    "ballistic",
    "central_futures",
    "first_noise",
    "first_states",
    "heading",
    "middle_futures",
    "predicted",
    "rollout_tosses",
    "static",
    "step_of",
    "toss_body",
    "toss_contacts",
    "toss_step",
    "upright",
]

NOISE_VELOCITY = 0.01
"""Noise of recorded first velocities without regard to how it goes with that of the turn; see `first_noise` [m/s]."""
NOISE_SPIN = 0.15
"""The same of angular velocities [rad/s]."""
Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class TossModel:
    """Physics, with or without a network."""

    constants: TossConstants
    network: ContactNetwork | None = None
    support: ContactSupport | None = None
    sweeps: int = 6
    warp: bool = True


def first_states(tosses: Sequence[Toss], constants: TossConstants) -> tuple[Tensor, Tensor]:
    """Poses (B, 7) and velocities (B, 6) of the first frames, float32, as rollouts start from them.

    Recorded velocities are those of half a step ago; they are multiplied by `constants.speed` and `constants.spin`.
    """
    import torch

    pose = torch.tensor(np.stack([toss.T_world_body[0] for toss in tosses]), dtype=torch.float32)
    twist = torch.tensor(np.stack([toss.twist[0] for toss in tosses]), dtype=torch.float32)
    return pose, at_first_frame(twist, constants, tosses[0].dt)


def rollout_tosses(
    model: TossModel, body: TossBody, pose: Tensor, twist: Tensor, frames: int, dt: float
) -> tuple[Tensor, Tensor]:
    """Predicted poses (B, frames, 7), the first included, and the share of contacts in the network's support, (B,).

    Args:
        model: Constants and network.
        body: What is thrown.
        pose: Of the body frame at the first frame, shape (B, 7).
        twist: Velocity of the frame's origin and angular velocity at that instant, shape (B, 6).
        frames: How many, the first included.
        dt: Time between them [s].
    """
    import torch

    inside, seen = torch.zeros(len(pose)), torch.zeros(len(pose))
    step = step_of(model, dt)
    with torch.no_grad():
        way = heading(twist)
        pose, twist = upright(model.constants, way, pose, twist)
        poses = [pose]
        for _ in range(frames - 1):
            pose, twist, moved = toss_step(step, model.constants, body, pose, twist, way)
            poses.append(pose)
            if moved is not None:
                pressed = moved.impulses.norm(dim=-1) > 0
                inside, seen = inside + (moved.gate * pressed).sum(1), seen + pressed.sum(1)
        path = as_recorded(model.constants, way, torch.stack(poses, dim=1))
    return path, torch.where(seen > 0, inside / seen.clamp_min(1), torch.ones_like(seen))


def central_futures(poses: Tensor) -> Tensor:
    """The mean of F futures of each toss, (B, F, T, 7) -> (B, T, 7): of positions, and of rotations.

    The mean rotation maximises the sum of squared inner products of quaternions [Markley et al. 2007].
    """
    import torch

    wxyz = poses[..., 3:]
    moments = (wxyz[..., :, None] * wxyz[..., None, :]).sum(1)
    return torch.cat([poses[..., :3].mean(1), torch.linalg.eigh(moments)[1][..., -1]], dim=-1)


def middle_futures(poses: Tensor, width: float) -> Tensor:
    """The one of F futures of each toss that is nearest to all others, (B, F, T, 7) -> (B, T, 7).

    Distances are means over frames of that of positions, in widths of the body, and of the angle in radians. A mean may
    hover above the table or sink into it; a future does not.
    """
    import torch

    chosen = []
    for paths in poses:
        apart = (paths[:, None, :, :3] - paths[None, :, :, :3]).norm(dim=-1).mean(-1) / width
        cosine = torch.einsum("fti,gti->fgt", paths[..., 3:], paths[..., 3:]).abs()
        apart = apart + 2 * torch.arccos(cosine.clamp_max(1.0)).mean(-1)
        chosen.append(paths[int(apart.sum(1).argmin())])
    return torch.stack(chosen)


def predicted(
    model: TossModel,
    body: TossBody,
    tosses: Sequence[Toss],
    *,
    futures: int = 1,
    seed: int = 0,
    centre: str = "mean",
) -> list[Array]:
    """Poses of each toss, (T, 7), from its first frame.

    Args:
        model: Constants and network.
        body: What was thrown.
        tosses: What to predict; they share one time step. Only first frames and lengths are looked at.
        futures: 1 rolls out the first states as recorded; more takes the centre of so many rollouts, from states with
            the noise that recordings were measured to have.
        seed: Of the noise.
        centre: ``mean`` is `central_futures`, ``middle`` is `middle_futures`.
    """
    import torch

    pose, twist = first_states(tosses, model.constants)
    if futures > 1:
        generator = torch.Generator().manual_seed(seed)
        normal = torch.randn(len(tosses), futures, 6, generator=generator)
        normal[:, 0] = 0.0
        pose = pose.repeat_interleave(futures, dim=0)
        twist = twist.repeat_interleave(futures, dim=0)
        twist = twist + first_noise(normal.flatten(0, 1), twist)
    frames = max(len(toss) for toss in tosses)
    poses = rollout_tosses(model, body, pose, twist, frames, tosses[0].dt)[0]
    if futures > 1:
        paths = poses.unflatten(0, (len(tosses), futures))
        poses = central_futures(paths) if centre == "mean" else middle_futures(paths, body.width)
    return [poses[i, : len(toss)].double().numpy() for i, toss in enumerate(tosses)]


def step_of(model: TossModel, dt: float) -> LearnedStep:
    """The model as a step of length dt [s]."""
    return LearnedStep(
        dt,
        gravity=model.constants.gravity,
        network=model.network,
        support=model.support,
        sweeps=model.sweeps,
        warp=model.warp,
    )


def static(toss: Toss) -> Array:
    """Nothing moves: poses (T, 7)."""
    return np.repeat(toss.T_world_body[:1], len(toss), axis=0)


def ballistic(toss: Toss, body: TossBody, gravity: float = 9.81) -> Array:
    """Free flight through the table, lifted until no point is below it: poses (T, 7)."""
    import torch

    time = torch.arange(len(toss), dtype=torch.float64) * toss.dt
    constants = replace(TossConstants.of(**TEXTBOOK), gravity=torch.tensor(gravity))
    pose, twist = first_states([toss], constants)
    p, v, w = pose[0, :3].double(), twist[0, :3].double(), twist[0, 3:].double()
    xyz = p + v * time[:, None]
    xyz[:, 2] -= 0.5 * gravity * time**2
    from dynamics._integrate import quaternion_of_turn
    from dynamics.poses import multiply

    wxyz = multiply(quaternion_of_turn(w * time[:, None]), pose[0, 3:].double().expand(len(time), 4))
    reach = (torch.tensor(body.points) @ rotation_from_wxyz(wxyz).transpose(-1, -2))[..., 2].amin(1)
    xyz[:, 2] = torch.maximum(xyz[:, 2], -reach)
    return torch.cat([xyz, wxyz], dim=-1).numpy()
