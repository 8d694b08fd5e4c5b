# pyright: basic
"""One step of B tosses: a body above a table, through `learned_step` in those worlds where the two touch.

Worlds in which nothing touches fly on a parabola and cost next to nothing. In the others each sphere of the surface
that is near the table, or will have passed it by the end of the step, is a contact, lowest first.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dynamics._contacts import Contacts
from dynamics._inertia import Inertia
from dynamics._integrate import moved_poses
from dynamics._learned_step import LearnedStep, Moved, Surface, learned_step
from dynamics._toss_frames import along
from dynamics.poses import rotation_from_wxyz

if TYPE_CHECKING:
    from torch import Tensor

    from dynamics._toss_body import TossBody, TossConstants

__all__ = ["toss_contacts", "toss_step"]

MARGIN = 0.001
"""Smaller gaps are contacts [m]."""
MOST = 8
"""The most contacts of a step."""
LAYERS = (0.125, 0.4)
"""Thickness of the narrow and the wide layer of `before_features`, in gyration radii."""


def toss_step(
    step: LearnedStep, constants: TossConstants, body: TossBody, pose: Tensor, twist: Tensor, way: Tensor | None = None
) -> tuple[Tensor, Tensor, Moved | None]:
    """One step of tosses: pose (B, 7) and twist (B, 6) of the frame's origin, and what contacts did.

    The third is None when nothing touches in any world. `way`, from `heading`, is needed for a tilted table; without
    it, it is level.
    """
    R = rotation_from_wxyz(pose[:, 3:])
    falling = _falling(step, constants, twist, way)
    touching = _near(*_lowest(body, constants, pose, R), falling, step.dt).any(1).nonzero()[:, 0]
    if len(touching) == len(pose):
        return _touched(step, constants, body, pose, twist, way)
    flown, after = _flown(body, constants, pose, R, twist, falling, step.dt)
    if not len(touching):
        return flown, after, None
    some = replace(step, gravity=_picked(step.gravity, touching))
    some = replace(some, mirrored=_picked(step.mirrored, touching), member=_members(step, touching, len(pose)))
    chosen = constants.of_worlds(touching)
    place, velocity, moved = _touched(some, chosen, body, pose[touching], twist[touching], _picked(way, touching))
    pose, after = flown.index_copy(0, touching, place), after.index_copy(0, touching, velocity)
    return pose, after, _of_all(moved, touching, pose, after)


def _flown(
    body: TossBody, constants: TossConstants, pose: Tensor, R: Tensor, twist: Tensor, falling: Tensor, dt: float
) -> tuple[Tensor, Tensor]:
    """Poses and velocities of origins after a step of flight."""
    import torch

    arm = _arm(body, constants, R)
    turning = torch.linalg.cross(twist[:, 3:], arm)
    central = falling + torch.cat([turning, torch.zeros_like(turning)], dim=-1)
    fall = (falling - twist)[:, None, :3] / dt
    free = torch.ones_like(fall[..., 0])
    flown = moved_poses(pose[:, None], (pose[:, :3] + arm)[:, None], central[:, None], fall, free, dt)[:, 0]
    return flown, _of_origin(body, constants, flown, central)


def _of_all(moved: Moved, index: Tensor, pose: Tensor, twist: Tensor) -> Moved:
    """What contacts did in the worlds of `index` -> the same of all; elsewhere nothing."""
    import torch

    count = len(pose)
    table = torch.zeros_like(pose)
    table[:, 3] = 1.0
    impulses = moved.impulses.new_zeros(count, *moved.impulses.shape[1:]).index_copy(0, index, moved.impulses)
    gate = moved.gate.new_zeros(count, *moved.gate.shape[1:]).index_copy(0, index, moved.gate)
    twists = torch.stack([twist, torch.zeros_like(twist)], dim=1)
    return Moved(torch.stack([pose, table], dim=1), twists, impulses, gate)


def _picked(value: Any, index: Tensor) -> Any:
    """Rows of what each world has one of; scalars and None stay."""
    return value[index] if getattr(value, "ndim", 0) else value


def _members(step: LearnedStep, index: Tensor, worlds: int) -> Tensor | None:
    """Who answers picked worlds, when the members of the network are apart."""
    if step.network is None or not step.network.apart:
        return None
    if step.member is not None:
        return step.member[index]
    return index // -(-worlds // step.network.members)


def _touched(
    step: LearnedStep, constants: TossConstants, body: TossBody, pose: Tensor, twist: Tensor, way: Tensor | None
) -> tuple[Tensor, Tensor, Moved]:
    import torch

    inertia, contacts, patch, free = toss_contacts(step, constants, body, pose, twist, way)
    table = torch.zeros_like(pose)
    table[:, 3] = 1.0
    shape = contacts.gap.shape
    surface = Surface(constants.friction.expand(shape), constants.restitution.expand(shape), patch, constants.recovery)
    moved = learned_step(step, torch.stack([pose, table], dim=1), free, inertia, contacts, surface)
    pose = moved.T_world_body[:, 0]
    return pose, _of_origin(body, constants, pose, moved.twist[:, 0]), moved


def toss_contacts(
    step: LearnedStep, constants: TossConstants, body: TossBody, pose: Tensor, twist: Tensor, way: Tensor | None = None
) -> tuple[Inertia, Contacts, Tensor, Tensor]:
    """What a step starts from: inertia, contacts, their patches, and velocities with gravity (B, 2, 6).

    Body 0 is what was thrown, body 1 the table.
    """
    import torch

    R = rotation_from_wxyz(pose[:, 3:])
    arm = _arm(body, constants, R)
    inertia = _inertia(body, constants, pose, R, arm[:, None])
    falling = _falling(step, constants, twist, way)
    central = torch.cat([falling[:, :3] + torch.linalg.cross(twist[:, 3:], arm), twist[:, 3:]], dim=-1)
    free = torch.stack([central, torch.zeros_like(central)], dim=1)
    contacts, patch = _contacts(body, constants, pose, R, falling, step.dt)
    return inertia, contacts, patch, free


def _falling(step: LearnedStep, constants: TossConstants, twist: Tensor, way: Tensor | None) -> Tensor:
    """Velocities (B, 6) of origins with a step of gravity; the table's tilt draws sideways."""
    import torch

    down = -step.dt * torch.as_tensor(step.gravity).to(twist)
    down = down.expand(len(twist), 1)
    aside = torch.zeros_like(twist[:, :2])
    if way is not None:
        aside = step.dt * along(way, constants.tilt_along, constants.tilt_across)
    return twist + torch.cat([aside, down, torch.zeros_like(twist[:, 3:])], dim=-1)


def _arm(body: TossBody, constants: TossConstants, R: Tensor) -> Tensor:
    """From the frame's origin to the centre of mass, world axes [m], (B, 3)."""
    return (R * (R.new_tensor(body.com) * constants.size)[..., None, :]).sum(-1)


def _of_origin(body: TossBody, constants: TossConstants, pose: Tensor, central: Tensor) -> Tensor:
    """Velocities (B, 6) of centres of mass -> those of the frames' origins."""
    import torch

    if not body.com.any():
        return central
    arm = _arm(body, constants, rotation_from_wxyz(pose[:, 3:]))
    return torch.cat([central[:, :3] - torch.linalg.cross(central[:, 3:], arm), central[:, 3:]], dim=-1)


def _inertia(body: TossBody, constants: TossConstants, pose: Tensor, R: Tensor, arm: Tensor) -> Inertia:
    import torch

    scale = _over(constants.inertia, 2)
    local = pose.new_tensor(body.inertia)
    tensor = R @ local @ R.transpose(-1, -2) * scale
    inverse = R @ torch.linalg.inv(local) @ R.transpose(-1, -2) / scale
    zero = torch.zeros_like(tensor)
    mass = pose.new_tensor([1 / body.mass, 0.0]).expand(len(pose), 2)
    com = torch.cat([pose[:, None, :3] + arm, torch.zeros_like(pose[:, None, :3])], dim=1)
    return Inertia(com, mass, torch.stack([inverse, zero], dim=1), torch.stack([tensor, zero], dim=1))


def _over(value: Tensor, dims: int) -> Tensor:
    """A constant, made to broadcast over so many axes behind that of the worlds."""
    return value.reshape(-1, *(1,) * dims) if value.ndim else value


def _lowest(body: TossBody, constants: TossConstants, pose: Tensor, R: Tensor) -> tuple[Tensor, Tensor]:
    """The lowest point of each sphere, from the origin, world axes (B, P, 3), and its height (B, P)."""
    import torch

    radius = _over(constants.corner_radius, 2)
    points = pose.new_tensor(body.points) * _over(constants.size, 2) + pose.new_tensor(body.inward) * radius
    arms = points @ R.transpose(-1, -2)
    arms = torch.cat([arms[..., :2], arms[..., 2:] - radius], dim=-1)
    return arms, arms[..., 2] + pose[:, 2:3]


def _near(arms: Tensor, gap: Tensor, falling: Tensor, dt: float) -> Tensor:
    """Which spheres touch the table before the step ends, (B, P)."""
    velocity = falling[:, None, 2] + falling[:, None, 3] * arms[..., 1] - falling[:, None, 4] * arms[..., 0]
    return (gap + velocity * dt < 0) | (gap < MARGIN)


def _contacts(
    body: TossBody, constants: TossConstants, pose: Tensor, R: Tensor, falling: Tensor, dt: float
) -> tuple[Contacts, Tensor]:
    """Spheres at the points against the table, lowest first, and where the low part of the surface lies."""
    import torch

    arms, gap = _lowest(body, constants, pose, R)
    near = _near(arms, gap, falling, dt)
    lowest = pose[:, None, :3] + arms
    count = near.sum(1).clamp_max(MOST)
    most = int(count.max()) if len(count) else 0
    order = torch.where(near, gap, torch.full_like(gap, float("inf"))).argsort(dim=1, stable=True)[:, :most]
    point = lowest.gather(1, order[..., None].expand(-1, -1, 3))
    zeros = torch.zeros(order.shape, dtype=torch.int32)
    normal = pose.new_tensor([0.0, 0.0, 1.0]).expand(*order.shape, 3)
    contacts = Contacts(count.int(), zeros, zeros + 1, point, normal, gap.gather(1, order))
    size = (body.inertia.trace() / 3 / body.mass) ** 0.5
    layers = [torch.softmax(-gap / (share * size), dim=1)[:, None] @ lowest for share in LAYERS]
    return contacts, torch.stack([layer - point for layer in layers], dim=2)
