# pyright: basic
"""How far rollouts are from recordings, for many networks at once, with gradients that stay bounded.

Errors grow like a logarithm, so that a toss which fell on another face counts little. Gradients are cut to a largest
size per world and step, because those of a tumbling body grow without bound.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

from dynamics._toss_step import toss_step
from dynamics.poses import multiply

if TYPE_CHECKING:
    from torch import Tensor

    from dynamics._learned_step import LearnedStep
    from dynamics._toss_body import TossBody, TossConstants

__all__ = ["rollout_losses"]

POSITION_UNIT = 0.1
"""Position errors count in this share of the body's width."""
ROTATION_UNIT = 0.1
"""Rotation errors count in radians over this."""
STATE_CUT = 10.0
"""Largest gradient with respect to a state of one world, relative to the mean loss of its network."""


def rollout_losses(
    step: LearnedStep,
    constants: TossConstants,
    body: TossBody,
    start: tuple[Tensor, Tensor, Tensor],
    truth: Tensor,
    valid: Tensor,
    *,
    networks: int = 1,
    saturation: float = 2.0,
) -> Tensor:
    """Mean saturated error of positions and rotations over the frames after the first, of each network, (G,).

    Args:
        step: Model and length of the step.
        constants: Of the worlds.
        body: What was thrown.
        start: Poses (B, 7) and velocities (B, 6) in space (`upright`) and `heading` (B, 2, 2).
        truth: Poses in space, shape (B, K + 1, 7).
        valid: Which frames count, shape (B, K + 1).
        networks: G; each has an equal block of worlds.
        saturation: Errors of this many units begin to count less.
    """
    pose, twist, way = start
    cut = _cut()
    total = pose.new_zeros(networks)
    steps = truth.shape[1] - 1
    flip = pose.new_tensor([1.0, -1.0, -1.0, -1.0])
    for t in range(1, steps + 1):
        pose, twist, _ = toss_step(step, constants, body, pose, twist, way)
        if pose.requires_grad:
            pose, twist = cut(pose, twist, body.width / 2, networks)
        away = (pose[:, :3] - truth[:, t, :3]) / (POSITION_UNIT * body.width)
        turned = 2 * multiply(pose[:, 3:] * flip, truth[:, t, 3:])[:, 1:] / ROTATION_UNIT
        error = (_saturated(away, saturation) + _saturated(turned, saturation)) * valid[:, t]
        total = total + error.reshape(networks, -1).mean(1)
    return total / steps


def _saturated(error: Tensor, saturation: float) -> Tensor:
    """Smooth at zero, then linear, then logarithmic in the length of the last axis."""
    size = ((error * error).sum(-1) + 0.04).sqrt() - 0.2
    return saturation * (size / saturation).log1p()


@cache
def _cut() -> Callable[[Tensor, Tensor, float, int], tuple[Tensor, Tensor]]:
    """The identity, whose gradient is cut per world to `STATE_CUT` over the network's worlds, in the body's units."""
    import torch

    class Cut(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, pose: Tensor, twist: Tensor, size: float, networks: int) -> Any:
            ctx.size, ctx.networks = size, networks
            return pose.view_as(pose), twist.view_as(twist)

        @staticmethod
        def backward(ctx: Any, *gradients: Tensor) -> Any:
            pose, twist = (torch.nan_to_num(g, 0.0, 0.0, 0.0) for g in gradients)
            speed = (9.81 * ctx.size) ** 0.5
            units = pose.new_tensor([ctx.size] * 3 + [1.0] * 4), pose.new_tensor([speed] * 3 + [speed / ctx.size] * 3)
            length = (((pose * units[0]) ** 2).sum(1) + ((twist * units[1]) ** 2).sum(1)).sqrt()[:, None]
            factor = (STATE_CUT * ctx.networks / len(pose) / length.clamp_min(1e-20)).clamp_max(1.0)
            return pose * factor, twist * factor, None, None

    return Cut.apply  # pyright: ignore[reportReturnType]
