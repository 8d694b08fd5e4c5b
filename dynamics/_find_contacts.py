# pyright: basic
"""Poses and velocities -> contacts, in torch: the twin of the query in the fused kernel.

Pairs of bodies whose surroundings may meet within the step are looked at in both directions: the contact points of one
in the shape of the other. A point counts if its gap is, or will be at the end of the step, under a margin. The closest
few of each direction are kept; gaps that differ by less than `TIE` count as equal, and then the earlier point wins,
since points are ordered from the most important on. Points near an edge of the other shape, where its normal jumps,
come after those that are sure of theirs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dynamics._contacts import Contacts
from dynamics._shape_distance import box_distance, shape_distance
from dynamics._world_arrays import DYNAMIC, PLANE, directions, world_arrays
from dynamics.poses import rotation_from_wxyz

if TYPE_CHECKING:
    from torch import Tensor

    from dynamics._world import World
    from dynamics._world_arrays import WorldArrays

__all__ = ["NEAR_EDGE_BINS", "TIE", "boxes_near", "find_contacts", "near_pairs"]

TIE = 0.00025
"""Gaps are compared in bins of this width [m], with one bin about 0."""
NEAR_EDGE_BINS = 4.0
"""Bins by which a point that is unsure of its normal is put back."""


def find_contacts(
    world: World,
    T_world_body: Tensor,
    com: Tensor,
    twist: Tensor,
    dt: float,
    *,
    margin: float = 0.002,
    per_direction: int = 8,
    awake: Tensor | None = None,
) -> Contacts:
    """Contacts of all pairs of a world's bodies, in the order of `World.pairs`.

    Args:
        world: Bodies and pairs.
        T_world_body: Poses, shape (B, nb, 7).
        com: Centres of mass in the world [m], shape (B, nb, 3).
        twist: Velocities that the bodies would have at the end of the step without contacts, shape (B, nb, 6).
        dt: Length of the step [s].
        margin: Gaps under this are contacts, now or at the end of the step [m].
        per_direction: The most contacts of a pair in each direction.
        awake: Bodies that may move; pairs without one are left out. None for all dynamic ones, shape (B, nb).
    """
    import torch

    arrays = world_arrays(world)
    batch = len(T_world_body)
    near = near_pairs(arrays, T_world_body, com, twist, dt, margin)
    if awake is None:
        awake = torch.as_tensor(arrays.motion == DYNAMIC).expand(batch, -1)
    found: list[tuple[Tensor, ...]] = []
    base = 0
    for index, (source, target, room) in enumerate(directions(arrays, per_direction)):
        if room:
            looked = near[:, index // 2] & (awake[:, source] | awake[:, target])
            closest = _closest(arrays, source, target, T_world_body, com, twist, dt, margin, room, looked)
            shape = closest[0].shape
            sides = torch.tensor([source, target], dtype=torch.int32).expand(*shape, 2)
            place = torch.arange(base, base + shape[1], dtype=torch.int32).expand(shape)
            found.append((*closest, sides, place))
        base += room
    return _packed(found, T_world_body)


def near_pairs(
    arrays: WorldArrays, T_world_body: Tensor, com: Tensor, twist: Tensor, dt: float, margin: float
) -> Tensor:
    """Which pairs may touch within the step, bool, shape (B, np).

    The ball around one body against the box around the other, grown by how far both can move.
    """
    import torch

    near: list[Tensor] = []
    R = rotation_from_wxyz(T_world_body[..., 3:])
    for a, b in arrays.pairs.tolist():
        source, target = (b, a) if arrays.kind[a] == PLANE else (a, b)
        middle = torch.as_tensor(arrays.middle[source]).to(com)
        centre = T_world_body[:, source, :3] + R[:, source] @ middle
        local = ((centre - T_world_body[:, target, :3])[:, None] @ R[:, target])[:, 0]
        if arrays.kind[target] == PLANE:
            distance = local[:, 2]
        else:
            half = torch.as_tensor(arrays.half[target]).to(com)
            distance, _ = box_distance(local - torch.as_tensor(arrays.middle[target]).to(com), half)
        bound = float(arrays.bound[source])
        speed = (twist[:, source, :3] - twist[:, target, :3]).norm(dim=-1)
        for body in (source, target):
            arm = (centre - com[:, body]).norm(dim=-1) + bound
            speed = speed + twist[:, body, 3:].norm(dim=-1) * arm
        near.append(distance - bound < margin + speed * dt)
    empty = torch.zeros(len(com), 0, dtype=torch.bool, device=com.device)
    return torch.stack(near, dim=1) if near else empty


def boxes_near(
    arrays: WorldArrays, T_world_body: Tensor, com: Tensor, twist: Tensor, dt: float, margin: float
) -> Tensor:
    """Which pairs have boxes around them that may touch within the step, bool, shape (B, np).

    What no face of the two boxes separates may; a plane may touch anything.
    """
    import torch

    near: list[Tensor] = []
    R = rotation_from_wxyz(T_world_body[..., 3:])
    middle, half = (torch.as_tensor(part).to(com) for part in (arrays.middle, arrays.half))
    centre = T_world_body[..., :3] + (R @ middle[..., None])[..., 0]
    arm = (centre - com).norm(dim=-1) + torch.as_tensor(arrays.bound).to(com)
    turning = twist[..., 3:].norm(dim=-1) * arm
    for a, b in arrays.pairs.tolist():
        if PLANE in (arrays.kind[a], arrays.kind[b]):
            near.append(torch.ones(len(com), dtype=torch.bool, device=com.device))
            continue
        turned, apart = (R[:, a].transpose(-1, -2) @ R[:, b]).abs(), centre[:, b] - centre[:, a]
        gap_a = (apart[:, None] @ R[:, a])[:, 0].abs() - half[a] - turned @ half[b]
        gap_b = (apart[:, None] @ R[:, b])[:, 0].abs() - half[b] - turned.transpose(-1, -2) @ half[a]
        speed = (twist[:, a, :3] - twist[:, b, :3]).norm(dim=-1) + turning[:, a] + turning[:, b]
        near.append(torch.maximum(gap_a, gap_b).amax(dim=-1) < margin + speed * dt)
    empty = torch.zeros(len(com), 0, dtype=torch.bool, device=com.device)
    return torch.stack(near, dim=1) if near else empty


def _closest(
    arrays: WorldArrays,
    source: int,
    target: int,
    T_world_body: Tensor,
    com: Tensor,
    twist: Tensor,
    dt: float,
    margin: float,
    most: int,
    looked: Tensor,
) -> tuple[Tensor, ...]:
    """Whether used (B, K), points (B, K, 3), normals (B, K, 3), gaps (B, K) and which points (B, K), the best first."""
    import torch

    points, R, normal, gap, unsure = _looked_up(arrays, source, target, T_world_body)
    normal = (R[:, None] @ normal[..., None])[..., 0]
    point = points - float(arrays.radius[source]) * normal

    def velocity(body: int) -> Tensor:
        return twist[:, body, None, :3] + torch.linalg.cross(
            twist[:, body, None, 3:].expand_as(point), point - com[:, body, None]
        )

    closing = ((velocity(source) - velocity(target)) * normal).sum(-1).clamp_max(0.0)
    used = (gap + closing * dt < margin) & looked[:, None]
    rank = torch.floor(gap.detach() / TIE + 0.5) + NEAR_EDGE_BINS * unsure
    rank = torch.where(used, rank, torch.full_like(rank, float("inf")))
    order = torch.sort(rank, dim=1, stable=True).indices[:, :most]
    wide = order[..., None].expand(-1, -1, 3)
    return used.gather(1, order), point.gather(1, wide), normal.gather(1, wide), gap.gather(1, order), order.int()


def _looked_up(
    arrays: WorldArrays, source: int, target: int, T_world_body: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Points of the source in the world, rotation of the target, and what the target's shape says of the points."""
    import torch

    hull = arrays.kind[target] == PLANE
    first = int((arrays.hull_first if hull else arrays.first)[source])
    count = int((arrays.hull_count if hull else arrays.count)[source])
    local = torch.as_tensor(arrays.points[first : first + count]).to(T_world_body)
    R_source = rotation_from_wxyz(T_world_body[:, source, 3:])
    R = rotation_from_wxyz(T_world_body[:, target, 3:])
    points = T_world_body[:, source, None, :3] + local @ R_source.transpose(-1, -2)
    distance, normal, unsure = shape_distance(arrays, target, (points - T_world_body[:, target, None, :3]) @ R)
    return points, R, normal, distance - float(arrays.radius[source]), unsure


def _packed(found: list[tuple[Tensor, ...]], like: Tensor) -> Contacts:
    """Used contacts to the front, in their order."""
    import torch

    batch = len(like)
    if not found:
        none = torch.zeros(batch, 0, dtype=torch.int32)
        vectors = like.new_zeros(batch, 0, 3)
        gap = like.new_zeros(batch, 0)
        return Contacts(none.sum(1, dtype=torch.int32), none, none, vectors, vectors, gap, none, none)
    used, point, normal, gap, source_point, sides, place = (
        torch.cat(parts, dim=1) for parts in zip(*found, strict=True)
    )
    count = used.sum(1, dtype=torch.int32)
    order = torch.sort((~used).int(), dim=1, stable=True).indices[:, : int(count.max())]
    wide = order[..., None].expand(-1, -1, 3)
    sides = sides.gather(1, order[..., None].expand(-1, -1, 2))
    return Contacts(
        count,
        sides[..., 0].contiguous(),
        sides[..., 1].contiguous(),
        point.gather(1, wide),
        normal.gather(1, wide),
        gap.gather(1, order),
        source_point.gather(1, order),
        place.gather(1, order),
    )
