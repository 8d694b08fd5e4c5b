# pyright: basic
"""Velocities -> poses.

Between contacts a body's centre of mass moves on a parabola, which one step follows exactly; a body that was pushed by
a contact or a joint moves with its velocity after the push, so that what rests stays where it is. Bodies turn about
their centre of mass by the exponential of the angular velocity. Angular momentum, not angular velocity, is what a turn
keeps; `midway_turn` finds the turn that keeps energy too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dynamics.poses import multiply, rotation_from_wxyz

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["midway_turn", "moved_poses", "quaternion_of_turn", "turn_between", "turned_by"]

REFINEMENTS = 4
"""Fixed-point iterations of the turn; each gains about the angle of the turn in radians."""


def moved_poses(
    T_world_body: Tensor,
    com: Tensor,
    twist: Tensor,
    acceleration: Tensor,
    free: Tensor,
    dt: float,
) -> Tensor:
    """Poses after a step.

    Args:
        T_world_body: Poses before, shape (B, nb, 7).
        com: Centres of mass in the world before [m], shape (B, nb, 3).
        twist: Velocities after the step, shape (B, nb, 6).
        acceleration: What accelerated the centre of mass during the step [m/s^2], shape (B, nb, 3).
        free: 1 for bodies that nothing pushed, else 0, shape (B, nb).
        dt: Length of the step [s].
    """
    import torch

    turn = quaternion_of_turn(twist[..., 3:] * dt)
    wxyz = torch.nn.functional.normalize(multiply(turn, T_world_body[..., 3:]), dim=-1)
    # v is the velocity at the end: x + v dt overshoots a parabola by a dt^2 / 2.
    new_com = com + twist[..., :3] * dt - 0.5 * dt * dt * acceleration * free[..., None]
    arm = rotation_from_wxyz(T_world_body[..., 3:]).transpose(-1, -2) @ (com - T_world_body[..., :3])[..., None]
    xyz = new_com - (rotation_from_wxyz(wxyz) @ arm)[..., 0]
    return torch.cat([xyz, wxyz], dim=-1)


def midway_turn(wxyz: Tensor, turn: Tensor, inertia: Tensor, inverse: Tensor, dt: float) -> Tensor:
    """The constant angular velocity (..., 3) at which bodies without torque get through a step.

    Args:
        wxyz: Orientations before, shape (..., 4).
        turn: Angular velocities before [rad/s], world axes, shape (..., 3).
        inertia: In the body frame, in any unit of mass, shape (..., 3, 3).
        inverse: Its inverse, shape (..., 3, 3).
        dt: Length of the step [s].

    The turn is about I^-1 times the mean of the angular momenta before and after, both seen from the body (implicit
    midpoint rule on the rotation group), and together with `turned_by` it leaves kinetic energy as it was.
    """
    R = rotation_from_wxyz(wxyz)
    rate = (R.transpose(-1, -2) @ turn[..., None])[..., 0]
    momentum = inertia @ rate[..., None]
    for _ in range(REFINEMENTS):
        after = rotation_from_wxyz(quaternion_of_turn(-rate * dt)) @ momentum
        rate = 0.5 * (inverse @ (momentum + after))[..., 0]
    return (R @ rate[..., None])[..., 0]


def turned_by(before: Tensor, after: Tensor, turn: Tensor, inertia: Tensor, inverse: Tensor) -> Tensor:
    """Angular velocities (..., 3) at orientations `after` with the angular momentum that `turn` has at `before`."""
    old, new = rotation_from_wxyz(before), rotation_from_wxyz(after)
    momentum = old @ (inertia @ (old.transpose(-1, -2) @ turn[..., None]))
    return (new @ (inverse @ (new.transpose(-1, -2) @ momentum)))[..., 0]


def turn_between(before: Tensor, after: Tensor) -> Tensor:
    """Shortest rotation vectors (..., 3) [rad], world axes, from one orientation to the other, both wxyz (..., 4)."""
    import torch

    between = multiply(after, before * before.new_tensor([1.0, -1.0, -1.0, -1.0]))
    between = torch.nn.functional.normalize(torch.where(between[..., :1] < 0, -between, between), dim=-1)
    sine = between[..., 1:].norm(dim=-1, keepdim=True)
    ratio = torch.where(sine > 1e-6, torch.atan2(sine, between[..., :1]) / sine.clamp_min(1e-12), 1.0)
    return 2 * ratio * between[..., 1:]


def quaternion_of_turn(rotation_vector: Tensor) -> Tensor:
    """Quaternions wxyz (..., 4) of rotation vectors (..., 3) [rad], smooth at zero."""
    import torch

    half = 0.5 * (rotation_vector * rotation_vector).sum(-1, keepdim=True).clamp_min(1e-24).sqrt()
    return torch.cat([half.cos(), 0.5 * rotation_vector * torch.sinc(half / torch.pi)], dim=-1)
