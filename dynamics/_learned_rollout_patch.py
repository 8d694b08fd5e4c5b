# pyright: basic
"""Where the rest of a body's surface lies that is nearly as close as a contact: the centre of pressure to be expected.

Of the points of a contact's body a, weighed by exp(-gap / thickness) of their gaps to body b, the mean place, less the
contact: for a narrow and a wide layer. It tells the network a face from an edge and an edge from a corner. The twin of
`layers` in `dynamics._learned_features_kernels`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dynamics._shape_distance import shape_distance
from dynamics._world_arrays import PLANE, world_arrays
from dynamics.poses import rotation_from_wxyz

if TYPE_CHECKING:
    from torch import Tensor

    from dynamics._contacts import Contacts
    from dynamics._world import World

__all__ = ["LAYERS", "patches"]

LAYERS = (0.125, 0.4)
"""Thickness of the narrow and the wide layer, in gyration radii."""


def patches(world: World, contacts: Contacts, T_world_body: Tensor, length: Tensor) -> Tensor:
    """Patches of contacts [m], shape (B, C, 2, 3), as `before_features` takes them.

    Args:
        world: Bodies.
        contacts: C contacts in each of B worlds.
        T_world_body: Poses, shape (B, nb, 7).
        length: Gyration radius of each contact's smaller moving body [m], shape (B, C).
    """
    import torch

    out = torch.zeros(*contacts.gap.shape, 2, 3).to(T_world_body)
    a, b, used = contacts.body_a, contacts.body_b, contacts.used
    for source, target in torch.stack([a[used], b[used]], dim=-1).unique(dim=0).tolist():
        point, gap = _points(world, source, target, T_world_body)
        mine = used & (a == source) & (b == target)
        for layer, thickness in enumerate(LAYERS):
            # Lengths are the same for all contacts of the two bodies in a world.
            size = torch.where(mine, length, torch.zeros_like(length)).amax(1, keepdim=True).clamp_min(1e-9)
            mean = torch.softmax(-gap / (thickness * size), dim=1)[:, None] @ point
            out[:, :, layer] = torch.where(mine[..., None], mean - contacts.point, out[:, :, layer])
    return out


def _points(world: World, source: int, target: int, T_world_body: Tensor) -> tuple[Tensor, Tensor]:
    """Surface points of the source (B, P, 3) and their gaps to the target (B, P)."""
    import torch

    arrays = world_arrays(world)
    hull = arrays.kind[target] == PLANE
    first = int((arrays.hull_first if hull else arrays.first)[source])
    count = int((arrays.hull_count if hull else arrays.count)[source])
    R_source = rotation_from_wxyz(T_world_body[:, source, 3:])
    R = rotation_from_wxyz(T_world_body[:, target, 3:])
    local = torch.as_tensor(arrays.points[first : first + count]).to(T_world_body)
    points = T_world_body[:, source, None, :3] + local @ R_source.transpose(-1, -2)
    distance, normal, _ = shape_distance(arrays, target, (points - T_world_body[:, target, None, :3]) @ R)
    radius = float(arrays.radius[source])
    return points - radius * (R[:, None] @ normal[..., None])[..., 0], distance - radius
