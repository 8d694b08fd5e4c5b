# pyright: basic
"""Angular momentum of bodies that touch each other and nothing fixed.

Bodies are moved by one solution and left with the velocities of another, so where a body ends up and where its linear
momentum points to disagree a little, and an oblique impact would change the angular momentum of the pair. Each group of
touching bodies that touches nothing fixed is therefore given the one common turn, about its centre of mass, that
restores it. A common turn changes no velocity at any contact and no linear momentum.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dynamics._world_arrays import world_arrays

if TYPE_CHECKING:
    from torch import Tensor

    from dynamics._contacts import Contacts
    from dynamics._free_motion import FreeMotion
    from dynamics._state import Latents
    from dynamics._world import World

__all__ = ["keep_momentum"]


def keep_momentum(
    world: World, latents: Latents, motion: FreeMotion, contacts: Contacts, landing: Tensor, rebound: Tensor
) -> Tensor:
    """Velocities after contact (B, nb, 6), turned.

    Args:
        world: Bodies.
        latents: Their masses.
        motion: Before contacts.
        contacts: That link bodies.
        landing: Velocities that moved the bodies, shape (B, nb, 6).
        rebound: Velocities that they are left with, shape (B, nb, 6).
    """
    import torch

    together, free = _groups(world, motion, contacts)
    mass = torch.as_tensor(world_arrays(world).mass).to(rebound) * latents.mass_scale.to(rebound)
    weight = together.to(rebound) * mass[:, None]
    share = weight / weight.sum(-1, keepdim=True).clamp_min(1e-30)
    after = motion.inertia.com + world.dt * landing[..., :3]

    def about(part: Tensor) -> Tensor:
        """Relative to the group's centre of mass."""
        return part - share @ part

    arm = about(after)
    moved = torch.linalg.cross(about(landing[..., :3]), about(rebound[..., :3]))
    moved = moved - 0.5 * torch.linalg.cross(about(motion.twist[..., :3]), about(motion.free[..., :3]))
    excess = world.dt * weight @ moved
    if world.joints:
        # Joints push where bodies arrive, contacts where they were: only the whole balance tells.
        change = rebound - motion.free
        spin = (motion.inertia.inertia @ change[..., 3:, None])[..., 0]
        orbit = mass[..., None] * torch.linalg.cross(about(motion.inertia.com), about(change[..., :3]))
        excess = excess + together.to(rebound) @ (spin + orbit)
    square = (arm * arm).sum(-1)[..., None, None] * torch.eye(3).to(arm)
    orbit = mass[..., None, None] * (square - arm[..., :, None] * arm[..., None, :])
    total = torch.einsum("bij,bjkl->bikl", together.to(rebound), motion.inertia.inertia + orbit)
    total = torch.where(free[..., None, None], total, torch.eye(3).to(arm))
    turn = -torch.linalg.solve(total, excess[..., None])[..., 0]
    change = torch.cat([torch.linalg.cross(turn, arm), turn], dim=-1)
    return rebound + torch.where(free[..., None], change, torch.zeros_like(change))


def _groups(world: World, motion: FreeMotion, contacts: Contacts) -> tuple[Tensor, Tensor]:
    """Which bodies are linked by contacts and joints, (B, nb, nb), and which are in a group that nothing holds."""
    import torch

    bodies = motion.awake.shape[1]
    a, b = contacts.body_a.long(), contacts.body_b.long()
    a_moves, b_moves = motion.awake.gather(1, a), motion.awake.gather(1, b)
    link = torch.zeros(len(a), bodies * bodies, dtype=torch.int32)
    both = (contacts.used & a_moves & b_moves).int()
    link = link.scatter_add(1, a * bodies + b, both).scatter_add(1, b * bodies + a, both)
    fixed = torch.zeros_like(motion.still)
    for joint in world.joints:
        moves = motion.awake[:, joint.child] & (motion.awake[:, joint.parent] if joint.parent >= 0 else False)
        link[:, joint.child * bodies + joint.parent] |= moves.int()
        link[:, joint.parent * bodies + joint.child] |= moves.int()
        for body in {joint.child, joint.parent} - {-1}:
            fixed[:, body] |= (~moves).int()
    together = (link.reshape(-1, bodies, bodies) > 0) | torch.eye(bodies, dtype=torch.bool)
    for _ in range(max(bodies - 1, 1).bit_length()):
        together = (together.float() @ together.float()) > 0
    fixed = fixed.scatter_add(1, a, (contacts.used & ~b_moves).int())
    fixed = fixed.scatter_add(1, b, (contacts.used & ~a_moves).int())
    held = (together & (fixed > 0)[:, None]).any(-1)
    return together, motion.awake & ~held & (together.sum(-1) > 1)
