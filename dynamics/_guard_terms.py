# pyright: basic
"""What a rollout does, as the guard looks at it: poses and velocities in time -> five tables of numbers.

Each term is what a rollout did over the most that mechanics lets it do, for each world and time: 1 is the edge of the
band. Nothing here depends on how the rollout was made, so that one which was learned, loaded or tampered with is judged
like any other. Terms look at pairs of neighbouring times; the first time has no value but for overlaps.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

from dynamics._find_contacts import find_contacts, near_pairs
from dynamics._inertia import inertia_at
from dynamics._integrate import turn_between
from dynamics._world_arrays import DYNAMIC, KINEMATIC, world_arrays

if TYPE_CHECKING:
    from torch import Tensor

    from dynamics._inertia import Inertia
    from dynamics._state import Latents, Rollout
    from dynamics._world import World

__all__ = [
    "Motion",
    "energy_growth",
    "momentum_change",
    "motion_missed",
    "motion_of",
    "overlap_allowed",
    "overlap_depth",
    "speed_ratio",
]

CHUNK = 256
"""Worlds whose contacts are looked for at once."""
RECENT = 0.05
"""For so long after an impact its overlap may take to be undone [s]."""


@dataclass(frozen=True, eq=False)
class Motion:
    """A rollout of B worlds at T times in double precision, and what it was made with."""

    world: World
    poses: Tensor
    """(B, T, nb, 7)"""
    twist: Tensor
    """(B, T, nb, 6)"""
    inertia: Inertia
    """Of B T worlds, flat."""
    mass: Tensor
    """Of dynamic bodies, 0 for others [kg], (B, nb)."""
    size: Tensor
    """Gyration radii; 0 for bodies that are not dynamic [m], (B, nb)."""
    reach: Tensor
    """Distance from the centre of mass to the farthest point; 0 for the same [m], (nb,)."""
    dt: float
    """Between two times [s]."""
    g: float
    """[m/s^2]"""
    work: Tensor
    """Of external wrenches since the time before [J], (B, T)."""
    forced: Tensor
    """Whether wrenches act between the time before and this one, bool, (B, T)."""
    push: Tensor
    """Largest change of any body's speed by forces since the start, gravity among them [m/s], (B, T)."""
    driven: Tensor
    """Whether a kinematic body moves between the time before and this one, bool, (B, T)."""
    asleep: Tensor
    """Bodies that rest and do not move at all, wherever they are, bool, (B, T, nb)."""

    @property
    def com(self) -> Tensor:
        """Centres of mass, (B, T, nb, 3)."""
        return self.inertia.com.unflatten(0, self.poses.shape[:2])

    @property
    def surface_speed(self) -> Tensor:
        """Speed of the centre of mass, and that which turning gives the farthest point, (B, T, nb)."""
        return self.twist[..., :3].norm(dim=-1) + self.twist[..., 3:].norm(dim=-1) * self.reach


def motion_of(world: World, rollout: Rollout, latents: Latents) -> Motion:
    """A rollout made ready; values that are no numbers become zero."""
    import torch

    arrays = world_arrays(world)
    poses = torch.nan_to_num(rollout.T_world_body.detach().double(), 0.0, 0.0, 0.0)
    twist = torch.nan_to_num(rollout.twist.detach().double(), 0.0, 0.0, 0.0)
    batch, times, bodies = poses.shape[:3]
    flat = inertia_at(world, _repeated(latents, times), poses.flatten(0, 1))
    dynamic = torch.as_tensor(arrays.motion == DYNAMIC)
    kinematic = torch.as_tensor(arrays.motion == KINEMATIC)
    mass = torch.as_tensor(arrays.mass) * latents.mass_scale.double() * dynamic
    moment = torch.as_tensor(arrays.inertia).diagonal(dim1=-2, dim2=-1).sum(-1) / 3
    size = (moment / torch.as_tensor(arrays.mass)).sqrt() * dynamic
    away = torch.as_tensor(arrays.middle - arrays.com).norm(dim=-1)
    reach = (away + torch.as_tensor(arrays.bound)) * dynamic
    moves = ((poses[:, 1:] != poses[:, :-1]).any(-1) & kinematic).any(-1)
    first = torch.zeros(batch, 1)
    g = sum(part * part for part in world.gravity) ** 0.5
    com = flat.com.unflatten(0, (batch, times))
    work, forced, push = _wrench(world, rollout, com, twist, mass, reach / size.clamp_min(1e-9) ** 2)
    time = torch.arange(times) * rollout.dt
    return Motion(
        world,
        poses,
        twist,
        flat,
        mass,
        size.expand(batch, bodies),
        reach,
        rollout.dt,
        g,
        work,
        forced,
        push + g * time,
        torch.cat([first.bool(), moves], dim=1),
        (rollout.still > 0) & (twist == 0).all(-1) & dynamic,
    )


def energy_growth(motion: Motion, depth: Tensor) -> Tensor:
    """Growth of mechanical energy without work since its lowest, over the most kinetic energy so far, (B, T).

    To kinetic energy is added the sum of m g l, with gyration radii l: what lies still has energies of that size.
    Steps in which kinematic bodies move are left out, since how much work they do is not known. Bodies that come out of
    each other may rise by their overlaps (B, T) [m], one on top of the other.
    """
    import torch

    shape = motion.poses.shape[:2]
    spin = motion.twist[..., 3:]
    turning = (spin * (motion.inertia.inertia.unflatten(0, shape) @ spin[..., None])[..., 0]).sum(-1)
    kinetic = 0.5 * (motion.mass[:, None] * (motion.twist[..., :3] ** 2).sum(-1) + turning).sum(-1)
    gravity = motion.com.new_tensor(motion.world.gravity)
    potential = -(motion.mass[:, None] * (motion.com @ gravity)).sum(-1)
    gained = torch.zeros_like(kinetic)
    gained[:, 1:] = (kinetic + potential).diff(dim=1) - motion.work[:, 1:]
    total = torch.where(motion.driven, torch.zeros_like(gained), gained).cumsum(1)
    growth = total - total.cummin(1).values
    weight = motion.mass * max(motion.g, 1.0)
    rest = (weight * motion.size).sum(1, keepdim=True)
    lifted = (motion.mass > 0).sum(1, keepdim=True) * weight.sum(1, keepdim=True) * depth.cummax(1).values
    size = kinetic.cummax(1).values + rest + motion.work.abs().cumsum(1)
    return (growth - lifted).clamp_min(0.0) / size.clamp_min(1e-12)


def overlap_depth(motion: Motion, times: Tensor) -> Tensor:
    """Deepest overlap of any two bodies at some of the times (n,) [m], shape (B, n)."""
    import torch

    poses = motion.poses[:, times].flatten(0, 1)
    com = motion.com[:, times].flatten(0, 1)
    deep: list[Tensor] = []
    for at in range(0, len(poses), CHUNK):
        part = slice(at, at + CHUNK)
        still = torch.zeros_like(poses[part][..., :6])
        found = find_contacts(motion.world, poses[part], com[part], still, motion.dt, margin=0.0, per_direction=1)
        gap = torch.where(found.used, found.gap, torch.zeros_like(found.gap))
        none = gap.new_zeros(len(gap), 1)
        deep.append(-torch.cat([gap, none], dim=1).amin(1).clamp_max(0.0))
    return torch.cat(deep).unflatten(0, (len(motion.poses), len(times)))


def overlap_allowed(motion: Motion) -> Tensor:
    """How deep bodies may get within a step of the world [m], shape (B, T).

    Where edges meet, no point of a surface is in the way, and an overlap is only noticed a step later. So that is as
    far as the fastest surfaces of the last moments move within a step.
    """
    import torch

    fastest = (motion.surface_speed * (motion.mass[:, None] > 0)).amax(-1)
    window = max(round(RECENT / motion.dt), 1) + 1
    padded = torch.nn.functional.pad(fastest[:, None], (window - 1, 0))
    return motion.world.dt * torch.nn.functional.max_pool1d(padded, window, 1)[:, 0]


def speed_ratio(motion: Motion) -> Tensor:
    """Fastest surface over all that could have made it so fast, (B, T).

    That is: the fastest start, the fastest driven body so far, and what gravity and forces add in the time gone by.
    """
    speed = motion.surface_speed
    dynamic = motion.mass[:, None] > 0
    held = motion.twist.new_zeros(())
    start = (speed[:, :1] * dynamic).amax(-1)
    moved = (motion.poses[:, 1:, :, :3] - motion.poses[:, :-1, :, :3]).norm(dim=-1) / motion.dt
    turned = turn_between(motion.poses[:, :-1, :, 3:], motion.poses[:, 1:, :, 3:]).norm(dim=-1) / motion.dt
    # The reach of driven bodies is not kept with the others': a metre is more than any gripper has.
    tool = (moved + turned).where(~dynamic, held).amax(-1).cummax(1).values
    fastest = start + motion.push
    fastest[:, 1:] = fastest[:, 1:] + tool
    return (speed * dynamic).amax(-1) / (fastest + 0.1)


def motion_missed(motion: Motion, slack: float, recovery_speed: float) -> Tensor:
    """How far bodies are from where velocities take them, over what contacts within a step can do to that, (B, T).

    The motion between two times should be dt times a mixture of the velocities at both, as in `kinematics` of the
    physics residuals; an impact between them may change it by as much as it changes the speed.
    """
    import torch

    com, twist, dt = motion.com, motion.twist, motion.dt
    turn = turn_between(motion.poses[:, :-1, :, 3:], motion.poses[:, 1:, :, 3:])
    moved = torch.cat([com[:, 1:] - com[:, :-1], turn * motion.reach[:, None]], dim=-1)
    scale = torch.cat([torch.ones_like(motion.reach)[:, None].expand(-1, 3), motion.reach[:, None].expand(-1, 3)], -1)
    before, after = dt * twist[:, :-1] * scale, dt * twist[:, 1:] * scale
    x, d = moved - before, after - before
    share = ((x * d).sum(-1) / (d * d).sum(-1).clamp_min(1e-30)).clamp(0.0, 1.0)
    missed = (x - share[..., None] * d).norm(dim=-1) * (motion.mass[:, None] > 0)
    speed = motion.surface_speed
    room = dt * (speed[:, 1:] + speed[:, :-1] + recovery_speed) + slack
    room = room + 2 * dt * (motion.push[:, 1:] - motion.push[:, :-1])[..., None]
    ratio = (missed / room).amax(-1)
    return torch.cat([torch.zeros_like(ratio[:, :1]), ratio], dim=1)


def momentum_change(motion: Motion) -> Tensor:
    """Change of momentum and angular momentum in flight beyond that by gravity, over their size, (B, T).

    Judged between times at which nothing dynamic is near anything fixed, asleep, driven or forced, so that whatever
    bodies do to each other, the sum stays.
    """
    import torch

    arrays = world_arrays(motion.world)
    shape = motion.poses.shape[:2]
    mass = motion.mass[:, None, :, None]
    linear = (mass * motion.twist[..., :3]).sum(2)
    whole = motion.mass.sum(1)[:, None, None].clamp_min(1e-12)
    centre = (mass * motion.com).sum(2) / whole
    arm = motion.com - centre[:, :, None]
    spin = (motion.inertia.inertia.unflatten(0, shape) @ motion.twist[..., 3:, None])[..., 0]
    angular = (spin + torch.linalg.cross(arm, mass * motion.twist[..., :3])).sum(2)
    down = whole * linear.new_tensor(motion.world.gravity) * motion.dt
    fixed = torch.as_tensor(arrays.motion != DYNAMIC)
    flat = near_pairs(
        arrays,
        motion.poses.flatten(0, 1),
        motion.inertia.com,
        motion.twist.flatten(0, 1) + 0.0,
        motion.dt,
        0.01 + motion.g * motion.dt**2,
    )
    pairs = torch.as_tensor(arrays.pairs).long()
    held = (flat & fixed[pairs].any(-1)).any(-1).unflatten(0, shape) if len(pairs) else torch.zeros(shape).bool()
    held = held | motion.asleep.any(-1)
    flying = ~held[:, 1:] & ~held[:, :-1] & ~motion.forced[:, 1:]
    unit = (motion.g * motion.size).sqrt()
    size = (motion.mass * unit).sum(1)[:, None] + (mass[..., 0] * motion.twist[..., :3].norm(dim=-1)).sum(2)
    turn_size = (motion.mass * motion.size * unit).sum(1)[:, None] + spin.norm(dim=-1).sum(2)
    turn_size = turn_size + (mass[..., 0] * arm.norm(dim=-1) * motion.twist[..., :3].norm(dim=-1)).sum(2)
    change = (linear.diff(dim=1) - down).norm(dim=-1) / size[:, 1:].clamp_min(1e-12)
    turned = angular.diff(dim=1).norm(dim=-1) / turn_size[:, 1:].clamp_min(1e-12)
    ratio = torch.where(flying, torch.maximum(change, turned), torch.zeros_like(change))
    return torch.cat([torch.zeros_like(ratio[:, :1]), ratio], dim=1)


def _repeated(latents: Latents, times: int) -> Latents:
    parts = {field.name: getattr(latents, field.name) for field in fields(latents)}
    return replace(latents, **{name: part.repeat_interleave(times, dim=0) for name, part in parts.items()})


def _wrench(
    world: World, rollout: Rollout, com: Tensor, twist: Tensor, mass: Tensor, spun: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Work of wrenches, whether any act, and the speed that they can have made since the start, each (B, T).

    `spun` (nb,) is the speed of a body's farthest point by an angular impulse, times the mass [1/m].
    """
    import torch

    batch, times = com.shape[:2]
    none = torch.zeros(batch, times, dtype=torch.float64)
    action = rollout.action
    if action is None or action.wrench is None or times < 2:
        return none, none.bool(), none
    every = max(round(rollout.dt / world.dt), 1)
    wrench = action.wrench[:, : every * (times - 1)].double().unflatten(1, (times - 1, every))
    wrench = wrench * (mass > 0)[:, None, None, :, None]
    mean = wrench.mean(2)
    moved = (mean[..., :3] * (com[:, 1:] - com[:, :-1])).sum((-1, -2))
    turned = (mean[..., 3:] * 0.5 * (twist[:, 1:] + twist[:, :-1])[..., 3:]).sum((-1, -2)) * rollout.dt
    work, push = none.clone(), none.clone()
    work[:, 1:] = moved + turned
    light = 1 / mass.clamp_min(1e-12)[:, None]
    strong = (wrench[..., :3].norm(dim=-1) + wrench[..., 3:].norm(dim=-1) * spun).mean(2)
    push[:, 1:] = (strong * light).amax(-1).cumsum(1) * rollout.dt
    forced = torch.cat([none[:, :1].bool(), (wrench != 0).any(-1).any(-1).any(-1)], dim=1)
    return work, forced, push
