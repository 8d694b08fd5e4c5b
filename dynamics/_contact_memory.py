"""What contacts gave in the step before: the solver's first guess, without which stacks of bodies sink.

A contact is known again by the point of the source that it lies at. A state remembers one place for each contact that
a look-up (one body's points in the other's shape) may have; pairs that sleep keep their memory until they wake.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dynamics._world_arrays import directions, world_arrays

if TYPE_CHECKING:
    from torch import Tensor

    from dynamics._contacts import Contacts
    from dynamics._rows import Rows
    from dynamics._state import State
    from dynamics._world import World

__all__ = ["contact_memory", "first_guess", "forgotten", "remembered"]


def contact_memory(world: World, state: State, per_direction: int) -> tuple[Tensor, Tensor]:
    """Points (B, M) and impulses (B, M, 3) that a state remembers of its contacts; none if it is from elsewhere."""
    import torch

    length = sum(room for _, _, room in directions(world_arrays(world), per_direction))
    point, impulse = state.contact_point, state.contact_impulse
    if point is None or impulse is None or point.shape[1] != length:
        poses = state.T_world_body
        point = torch.full((len(state), length), -1, dtype=torch.int32, device=poses.device)
        return point, poses.new_zeros(len(state), length, 3)
    return point, impulse


def first_guess(
    rows: Rows, contacts: Contacts, known: tuple[Tensor, Tensor], impact: Tensor, per_direction: int, world: World
) -> Tensor:
    """What the same points gave in the step before, turned into this step's frames and cone, shape (B, R)."""
    import torch

    point, impulse = known
    assert contacts.place is not None and contacts.source_point is not None
    rooms = directions(world_arrays(world), per_direction)
    owner = torch.repeat_interleave(torch.arange(len(rooms)), torch.tensor([room for _, _, room in rooms]))
    same = (owner[contacts.place.long()][..., None] == owner) & (contacts.source_point[..., None] == point[:, None])
    same = same & (contacts.used & ~impact)[..., None]
    vector = same.to(impulse) @ impulse
    axes = rows.J[..., :3].reshape(*contacts.gap.shape, 3, 3)
    given = (axes @ vector[..., None])[..., 0]
    pressed = given[..., :1].clamp_min(0.0)
    slip = given[..., 1:]
    length = ((slip * slip).sum(-1, keepdim=True) + 1e-30).sqrt()
    limit = rows.mu[:, ::3, None] * pressed
    slip = slip * torch.where(length > limit, limit / length, torch.ones_like(length))
    return torch.cat([pressed, slip], dim=-1).reshape(rows.target.shape)


def forgotten(known: tuple[Tensor, Tensor], awake: Tensor, world: World, per_direction: int) -> tuple[Tensor, Tensor]:
    """What is left of the memory without this step's contacts: pairs that sleep keep theirs."""
    import torch

    point, impulse = known
    kept = [
        (~(awake[:, source] | awake[:, target]))[:, None].expand(-1, room)
        for source, target, room in directions(world_arrays(world), per_direction)
    ]
    keep = torch.cat(kept, dim=1) if kept else torch.zeros_like(point, dtype=torch.bool)
    point = torch.where(keep, point, torch.full_like(point, -1))
    return point, torch.where(keep[..., None], impulse, torch.zeros_like(impulse))


def remembered(contacts: Contacts, rows: Rows, impulses: Tensor, left: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """The memory after the step."""
    assert contacts.place is not None and contacts.source_point is not None
    point, impulse = left
    axes = rows.J[..., :3].reshape(*contacts.gap.shape, 3, 3)
    given = (impulses.reshape(*contacts.gap.shape, 3)[..., None] * axes).sum(-2)
    worlds, contact = contacts.used.nonzero(as_tuple=True)
    place = contacts.place[worlds, contact].long()
    point = point.index_put((worlds, place), contacts.source_point[worlds, contact])
    return point, impulse.index_put((worlds, place), given[worlds, contact])
