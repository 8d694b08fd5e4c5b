# pyright: basic
"""Recorded tosses <-> tosses in space: which way a throw goes, how its recording leans, what noise its first frame has.

The recordings of the cube were turned about the vertical, each session by an angle of its own. All throws came from one
side, so that what cameras and table did to one side is found again relative to the throw. Found in the flights of 281
tosses: they drift to the left by 0.135 m/s^2 (standard error 0.003), and sliding cubes by 0.03. So the z axis of the
recording leans, which only what falls can show, and the table is tilted a little.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from dynamics._toss_body import TossConstants

__all__ = ["along", "as_recorded", "at_first_frame", "first_noise", "heading", "upright"]

NOISE_SPIN = (0.18, 0.25, 0.18)
"""Noise of recorded first angular velocities along the throw, to its left and upwards [rad/s]."""
NOISE_VELOCITY = (0.008, 0.005, 0.006)
"""The same of velocities, beside what follows from that of the turn [m/s]."""
TRACKED = (-0.024, 0.0, -0.03)
"""Where the body's velocity is recorded without the noise of its turn: at the side that cameras saw [m]."""


def at_first_frame(recorded: Tensor, constants: TossConstants, dt: float) -> Tensor:
    """Velocities (B, 6) at the instant of first frames, from those that were recorded there.

    Backward differences are velocities of half a step ago; what a filter took off is multiplied back.
    """
    import torch

    down = recorded.new_tensor([0.0, 0.0, -0.5 * dt])
    linear = recorded[:, :3] * constants.speed + constants.gravity * down
    return torch.cat([linear, recorded[:, 3:] * constants.spin], dim=-1)


def heading(twist: Tensor) -> Tensor:
    """Directions of throws seen from above: unit vectors along and to the left of velocities (B, 6), (B, 2, 2)."""
    import torch

    ahead = torch.nn.functional.normalize(twist[:, :2], dim=-1, eps=1e-6)
    return torch.stack([ahead, torch.stack([-ahead[:, 1], ahead[:, 0]], dim=-1)], dim=1)


def along(way: Tensor, ahead: Tensor, left: Tensor) -> Tensor:
    """Horizontal vectors (B, 2) of components along and to the left of throws; `way` is from `heading`."""
    return ahead * way[:, 0] + left * way[:, 1]


def upright(constants: TossConstants, way: Tensor, pose: Tensor, twist: Tensor) -> tuple[Tensor, Tensor]:
    """Recorded poses (B, ..., 7) and velocities (B, ..., 6) -> those in space, where what falls does not drift.

    Recorded positions are displaced by a share of the height. `way` is from `heading`.
    """
    import torch

    lean = along(way, constants.shear_along, constants.shear_across)
    place, change = (lean.reshape(-1, *(1,) * (x.ndim - 2), 2) * x[..., 2:3] for x in (pose, twist))
    pose = torch.cat([pose[..., :2] - place, pose[..., 2:]], dim=-1)
    return pose, torch.cat([twist[..., :2] - change, twist[..., 2:]], dim=-1)


def as_recorded(constants: TossConstants, way: Tensor, poses: Tensor) -> Tensor:
    """The poses (B, T, 7) of `upright` as they would be recorded."""
    import torch

    place = along(way, constants.shear_along, constants.shear_across)[:, None] * poses[..., 2:3]
    return torch.cat([poses[..., :2] + place, poses[..., 2:]], dim=-1)


def first_noise(normal: Tensor, twist: Tensor) -> Tensor:
    """Errors of recorded first velocities (B, 6) made of normal deviates (B, 6).

    Velocities err together with angular velocities, as if the body had been tracked at `TRACKED` instead of its centre:
    measured against fits to the flights of 328 tosses, correlations of 0.45 to 0.7.
    """
    import torch

    spin = normal[:, 3:] * normal.new_tensor(NOISE_SPIN)
    velocity = normal[:, :3] * normal.new_tensor(NOISE_VELOCITY)
    velocity = velocity + torch.linalg.cross(spin, normal.new_tensor(TRACKED).expand_as(spin))
    way = heading(twist)
    parts = [along(way, v[:, :1], v[:, 1:2]) for v in (velocity, spin)]
    return torch.cat([parts[0], velocity[:, 2:], parts[1], spin[:, 2:]], dim=-1)
