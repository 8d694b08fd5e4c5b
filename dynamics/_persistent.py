# pyright: basic
"""Physics with a constant error: what it missed on average in a step with contact is added in every such step.

This is the least that a learned residual has to beat. The residual of a recorded step is the velocity that would have
carried the body from where physics put it to where it was found, linear and angular. It is averaged in the frame of
travel (along the horizontal velocity, to its left, up), since tosses have no preferred direction on the table.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dynamics._toss_frames import as_recorded, heading, upright
from dynamics._toss_models import first_states, step_of
from dynamics._toss_step import toss_step
from dynamics.poses import multiply

if TYPE_CHECKING:
    from torch import Tensor

    from dynamics._toss_models import TossBody, TossModel
    from dynamics._tosses import Toss

__all__ = ["contact_residual", "persistent"]

SLOW = 1e-3
"""Without this much horizontal speed there is no direction of travel [m/s]; x takes its place."""
Array = NDArray[np.float64]


def contact_residual(model: TossModel, body: TossBody, tosses: Sequence[Toss]) -> Array:
    """Mean velocity that physics missed in recorded steps with contact, in the frame of travel, shape (6,).

    Args:
        model: Plain physics.
        body: What was thrown.
        tosses: Recordings that share one time step. Each frame but the last starts one step.
    """
    import torch

    dt = tosses[0].dt
    constants = model.constants
    first = heading(torch.tensor(np.stack([toss.twist[0] for toss in tosses]), dtype=torch.float32))
    way = first[torch.tensor(np.repeat(np.arange(len(tosses)), [len(toss) - 1 for toss in tosses]))]
    twist = torch.tensor(np.concatenate([toss.twist[:-1] for toss in tosses]), dtype=torch.float32)
    twist = twist + torch.tensor([0.0, 0.0, -0.5 * dt, 0.0, 0.0, 0.0]) * constants.gravity
    ends = (slice(None, -1), slice(1, None))
    recorded = [np.concatenate([toss.T_world_body[end] for toss in tosses]) for end in ends]
    pose, found = (upright(constants, way, torch.tensor(x, dtype=torch.float32), twist)[0] for x in recorded)
    twist = upright(constants, way, pose, twist)[1]
    with torch.no_grad():
        guess, _, moved = toss_step(step_of(model, dt), constants, body, pose, twist, way)
    if moved is None:
        return np.zeros(6)
    pressed = (moved.impulses.norm(dim=-1) > 0).any(1)
    if not bool(pressed.any()):
        return np.zeros(6)
    away = (found[:, :3] - guess[:, :3]) / dt
    turned = multiply(found[:, 3:], guess[:, 3:] * guess.new_tensor([1.0, -1.0, -1.0, -1.0]))
    turned = 2 * torch.where(turned[:, :1] < 0, -turned, turned)[:, 1:] / dt
    frame = _travel(twist)
    missed = torch.cat([_into(frame, away), _into(frame, turned)], dim=-1)
    return missed[pressed].double().mean(0).numpy()


def persistent(model: TossModel, residual: Array, body: TossBody, tosses: Sequence[Toss]) -> list[Array]:
    """Poses of each toss (T, 7), from its first frame, with the residual (6,) added in every step with contact."""
    import torch

    from dynamics._integrate import quaternion_of_turn

    dt = tosses[0].dt
    step = step_of(model, dt)
    along, about = (torch.tensor(part, dtype=torch.float32) for part in (residual[:3], residual[3:]))
    pose, twist = first_states(tosses, model.constants)
    way = heading(twist)
    pose, twist = upright(model.constants, way, pose, twist)
    poses = [pose]
    with torch.no_grad():
        for _ in range(max(len(toss) for toss in tosses) - 1):
            frame = _travel(twist)
            pose, twist, moved = toss_step(step, model.constants, body, pose, twist, way)
            if moved is not None:
                pressed = (moved.impulses.norm(dim=-1) > 0).any(1)[:, None]
                v, w = (pressed * _out_of(frame, part) for part in (along, about))
                twist = twist + torch.cat([v, w], dim=-1)
                wxyz = multiply(quaternion_of_turn(w * dt), pose[:, 3:])
                pose = torch.cat([pose[:, :3] + v * dt, wxyz], dim=-1)
            poses.append(pose)
    every = as_recorded(model.constants, way, torch.stack(poses, dim=1)).double().numpy()
    return [every[i, : len(toss)] for i, toss in enumerate(tosses)]


def _travel(twist: Tensor) -> Tensor:
    """Unit vectors along the horizontal velocity, to its left, and up, as rows (B, 3, 3)."""
    import torch

    flat = twist[:, :2]
    speed = flat.norm(dim=-1, keepdim=True)
    x = torch.where(speed > SLOW, flat / speed.clamp_min(SLOW), flat.new_tensor([1.0, 0.0]))
    zero, one = torch.zeros_like(x[:, :1]), torch.ones_like(x[:, :1])
    rows = (torch.cat([x, zero], 1), torch.cat([-x[:, 1:], x[:, :1], zero], 1), torch.cat([zero, zero, one], 1))
    return torch.stack(rows, dim=1)


def _into(frame: Tensor, vectors: Tensor) -> Tensor:
    return (frame @ vectors[..., None])[..., 0]


def _out_of(frame: Tensor, vector: Tensor) -> Tensor:
    return (frame.transpose(-1, -2) @ vector[..., None])[..., 0]
