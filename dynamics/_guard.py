# pyright: basic
"""The guard at run time: a rollout in, which of its worlds leave the band of possible motion, when and in what, out.

Whoever shows or uses a rollout asks the guard first, and says what it found: `str` of the report is the line for
people. The guard looks only at what came out, not at how; a learned step that invents energy is found as surely as a
damaged file. Bands are wide: they are there to catch what is wrong, not what is inexact.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any

from dynamics._guard_terms import (
    energy_growth,
    momentum_change,
    motion_missed,
    motion_of,
    overlap_allowed,
    overlap_depth,
    speed_ratio,
)
from dynamics._state import Latents

if TYPE_CHECKING:
    from torch import Tensor

    from dynamics._guard_terms import Motion
    from dynamics._state import Rollout
    from dynamics._world import World

__all__ = ["Bands", "Departure", "GuardReport", "check_rollout"]

LOOKS = 48
"""Default of ``looks``."""
WORDS = {
    "number": "holds values that are no numbers",
    "energy": "energy grows by {value:.3g} % without work (at most {limit:.3g} %)",
    "penetration": "bodies are {value:.3g} mm inside each other (at most {limit:.3g} mm)",
    "speed": "speed is {value:.3g} times what forces can have made it (at most {limit:.3g})",
    "momentum": "momentum in flight changes by {value:.3g} % (at most {limit:.3g} %)",
    "motion": "a body moves {value:.3g} times as far as its velocity explains (at most {limit:.3g})",
}
SCALES = {"energy": 100.0, "penetration": 1000.0, "momentum": 100.0}


@dataclass(frozen=True)
class Bands:
    """What a rollout may do.

    Behind each is the worst of clean rollouts: 31 recorded first states of the cube with four pairs of friction and
    restitution at 148 and 240 steps a second, 32 heaps of four different bodies, a stack of five.
    """

    energy: float = 0.02
    """Growth of mechanical energy without work, over the most kinetic energy so far and m g l. Clean: 0.007 in one heap
    with rebound, else under 0.0001."""
    penetration: float = 0.003
    """Overlap of two bodies beyond what they move within a step [m]; worlds that begin with a deeper one may keep that.
    Clean: 0.00003 where faces and corners meet; where edges meet, up to 0.009 in all."""
    speed: float = 5.0
    """Fastest surface over what first velocities, driven bodies, gravity and forces can have made: an elastic blow
    doubles the speed of a light body, and turning adds that of its farthest point. Clean: 2.8."""
    momentum: float = 1e-4
    """Change of momentum of what flies, over its size, from one time to the next. Clean: 3e-7."""
    motion: float = 1.5
    """Distance from where velocities take a body, over what an impact can change of it. Clean: 0.8."""
    slack: float = 0.002
    """Distance that counts as none in `motion` [m]."""
    recovery_speed: float = 1.0
    """The fastest that overlaps are undone, as of the step's `ContactSettings` [m/s]."""


@dataclass(frozen=True)
class Departure:
    """Where a world first leaves a band."""

    world: int
    """Which of the B worlds."""
    time: int
    """Index of the time at which it is outside."""
    seconds: float
    """That time since the start [s]."""
    term: str
    """``number``, ``energy``, ``penetration``, ``speed``, ``momentum`` or ``motion``."""
    value: float
    """What was found, in the unit of the band."""
    limit: float
    """The band."""

    def __str__(self) -> str:
        scale = SCALES.get(self.term, 1.0)
        return WORDS[self.term].format(value=self.value * scale, limit=self.limit * scale)


@dataclass(frozen=True)
class GuardReport:
    """What the guard found."""

    worlds: int
    """How many were looked at."""
    departures: tuple[Departure, ...]
    """The first of each world and term, in the order of worlds, then of times."""
    begin_inside: tuple[int, ...]
    """Worlds that begin with bodies deeper inside each other than the band; this alone is no departure."""
    not_judged: tuple[str, ...]
    """Terms that could not be judged, because drives of joints do work that a rollout does not tell."""

    @property
    def ok(self) -> bool:
        """Whether every world stays in its band."""
        return not self.departures

    @property
    def flagged(self) -> tuple[int, ...]:
        """Worlds that leave a band."""
        return tuple(sorted({departure.world for departure in self.departures}))

    def __str__(self) -> str:
        many = f"{self.worlds} world" + "s" * (self.worlds != 1)
        text = f"Guard: {many} within the bands of possible motion."
        if self.departures:
            first = min(self.departures, key=lambda d: (d.time, d.world))
            text = f"Guard: {len(self.flagged)} of {many} not to be trusted. "
            text += f"World {first.world} from {first.seconds:.3f} s on: {first}."
        if self.begin_inside:
            text += f" {len(self.begin_inside)} began with bodies inside each other."
        if self.not_judged:
            text += f" Not judged: {', '.join(self.not_judged)}."
        return text


def check_rollout(world: World, rollout: Rollout, bands: Bands | None = None, *, looks: int = LOOKS) -> GuardReport:
    """Which worlds of a rollout leave the band of possible motion.

    Args:
        world: Bodies, gravity, length of a step.
        rollout: B worlds at T times, from `rollout` or anything else that claims to be one. Its latents and actions,
            where it has them, say how heavy bodies are and what was done to them.
        bands: What it may do; None for the defaults.
        looks: Times, evenly spread, at which overlaps are measured anew, which takes about as long as a few hundred
            steps each; at others those that the rollout carries are taken. 0 suits a rollout that just came from
            `rollout`, which measured them itself.

    A term is judged only up to the first time at which the world holds something that is no number.
    """
    import torch

    bands = Bands() if bands is None else bands
    rollout = _on_cpu(rollout)
    latents = Latents.median(world, len(rollout.T_world_body)) if rollout.latents is None else rollout.latents
    motion = motion_of(world, rollout, latents)
    values, limits = _judged(world, rollout, motion, bands, looks)
    finite = torch.isfinite(rollout.T_world_body).all(-1).all(-1) & torch.isfinite(rollout.twist).all(-1).all(-1)
    whole = finite.int().cummin(1).values.bool()
    departures = [
        _departure("number", ~finite, torch.zeros_like(motion.work), torch.zeros_like(motion.work), rollout.dt)
    ]
    for term, value in values.items():
        limit = limits[term]
        departures.append(_departure(term, (value > limit) & whole, value, limit.expand_as(value), rollout.dt))
    found = sorted((d for part in departures for d in part), key=lambda d: (d.world, d.time))
    inside = (values["penetration"][:, 0] > bands.penetration).nonzero()[:, 0].tolist()
    unknown = tuple(f.name for f in fields(Bands) if f.name in WORDS and f.name not in values)
    return GuardReport(len(finite), tuple(found), tuple(inside), unknown)


def _on_cpu(value: Any) -> Any:
    """A dataclass of tensors, and of such dataclasses, on the CPU."""
    import torch

    moved: dict[str, Any] = {}
    for field in fields(value):
        part = getattr(value, field.name)
        if isinstance(part, torch.Tensor):
            moved[field.name] = part.detach().cpu()
        elif is_dataclass(part):
            moved[field.name] = _on_cpu(part)
    return replace(value, **moved)


def _judged(
    world: World, rollout: Rollout, motion: Motion, bands: Bands, looks: int
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Values of the terms that can be judged, (B, T), and what they may be at most."""
    import torch

    times = motion.poses.shape[1]
    depth = torch.nan_to_num(rollout.overlap.detach().double(), 0.0)
    depth[:, 0] = 0.0
    if looks:
        looked = torch.unique(torch.linspace(0, times - 1, min(times, looks)).round().long())
        depth[:, looked] = torch.maximum(depth[:, looked], overlap_depth(motion, looked))
    values = {"penetration": depth, "motion": motion_missed(motion, bands.slack, bands.recovery_speed)}
    # Bodies that begin inside each other may come out, but go no deeper; a rollout says so with its first step.
    allowed = (1.02 * depth[:, :2].amax(1, keepdim=True)).clamp_min(0.0)
    allowed = torch.maximum(allowed, bands.penetration + overlap_allowed(motion))
    if all(joint.stiffness == 0 and joint.drive_damping == 0 for joint in world.joints):
        values["energy"], values["speed"] = energy_growth(motion, depth), speed_ratio(motion)
    if not world.joints:
        values["momentum"] = momentum_change(motion)
    limits = {name: depth.new_full((1, 1), getattr(bands, name)) for name in values}
    return values, limits | {"penetration": allowed}


def _departure(term: str, outside: Tensor, value: Tensor, limit: Tensor, dt: float) -> list[Departure]:
    """The first time of each world that is outside."""
    found: list[Departure] = []
    for world in outside.any(1).nonzero()[:, 0].tolist():
        time = int(outside[world].int().argmax())
        found.append(Departure(world, time, time * dt, term, float(value[world, time]), float(limit[world, time])))
    return found
