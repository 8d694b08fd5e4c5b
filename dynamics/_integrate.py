"""Velocities -> poses.

Between contacts a body's centre of mass moves on a parabola, which one step follows exactly; a body that was pushed by
a contact or a joint moves with its velocity after the push, so that what rests stays where it is. Bodies turn about
their centre of mass by the exponential of the angular velocity.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dynamics.poses import multiply, rotation_from_wxyz

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["moved_poses", "quaternion_of_turn"]


def moved_poses(
    T_world_body: Tensor, com: Tensor, twist: Tensor, acceleration: Tensor, free: Tensor, dt: float
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


def quaternion_of_turn(rotation_vector: Tensor) -> Tensor:
    """Quaternions wxyz (..., 4) of rotation vectors (..., 3) [rad], smooth at zero."""
    import torch

    half = 0.5 * (rotation_vector * rotation_vector).sum(-1, keepdim=True).clamp_min(1e-24).sqrt()
    return torch.cat([half.cos(), 0.5 * rotation_vector * torch.sinc(half / torch.pi)], dim=-1)
