"""What happens to a scene when things are done to it: a scene and deeds in, futures with their outcomes out.

The scene becomes a world (`scene_world`), deeds become forces, paths and first poses (`_deeds_action`), and what photos
do not show is drawn once for each future: from what `scene3d identify` found, else from the priors of the materials.
The contact network takes part where its training covers the contact, and each future but the first hears one member of
its ensemble. The guard looks at every rollout before anybody else does; futures that it flags count in no outcome.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scene3d._deeds import LONGEST, Deeds, Drop, Move, Push, parse_drop, parse_push
from scene3d._deeds_action import action_of, check_deeds, driven_objects, first_state, repeated
from scene3d._errors import UsageError
from scene3d._outcomes import Outcome, outcomes
from scene3d._roll_futures import roll_futures
from scene3d._scene_world import scene_state, scene_world, stand_joints

if TYPE_CHECKING:
    from dynamics import Action, ContactModel, Latents, Rollout, State, World
    from scene3d._scene import Scene

__all__ = [
    "Drop",
    "Move",
    "Push",
    "Simulation",
    "parse_drop",
    "parse_push",
    "prepare_contacts",
    "simulate",
    "trusted",
]

DT = 1.0 / 240.0
"""Length of a step [s]."""
KEPT = 4
"""Every so many steps a state is kept: 60 a second."""
MOST_SAMPLES = 4096
MOST_NUMBERS = 1 << 28
"""Poses, velocities, forces and particles of all futures together: 1 GiB."""


@dataclass(frozen=True, eq=False)
class Simulation:
    """Futures of a scene."""

    world: World
    rollout: Rollout
    """B futures; the first has what is most likely."""
    outcomes: tuple[Outcome, ...]
    """Over the futures that can be trusted; empty when none can."""
    in_support: float | None
    """Share of pressing contacts for which the contact network spoke, a mean over the futures in which something moved;
    None if there are none, or without a network."""
    guard: str
    """What the guard found, for people."""
    flagged: tuple[int, ...]
    """Futures that are not to be trusted."""
    drawn_from: str
    """Where the spread of the futures comes from."""
    network: str | None = None
    """Who answered for contacts, for people; None without a network."""

    def document(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "futures": int(self.rollout.T_world_body.shape[0]),
            "seconds": float(self.rollout.dt * (len(self.rollout) - 1)),
            "drawn_from": self.drawn_from,
            "network": self.network,
            "in_support": self.in_support,
            "guard": self.guard,
            "flagged": list(self.flagged),
            "outcomes": [outcome.row() for outcome in self.outcomes],
        }


def prepare_contacts(
    scene: Scene, folder: Path | None = None, on_progress: Callable[[float], None] | None = None
) -> None:
    """Work out the contact geometry of a scene's objects, seconds of work that later calls of `simulate` then save.

    Args:
        scene: Its bodies remember the result, also when they are moved, renamed or made of another material.
        folder: Where earlier results are found and new ones kept; None takes `dynamics`' folder of the user.
        on_progress: Called with the share of the objects that is done.
    """
    from dynamics._contact_cache import contact_cache, with_contact_geometry

    with_contact_geometry([t.body for t in scene.objects], contact_cache() if folder is None else folder, on_progress)


def simulate(
    scene: Scene,
    *,
    pushes: Sequence[Push] = (),
    drops: Sequence[Drop] = (),
    moves: Sequence[Move] = (),
    state: State | None = None,
    action: Action | None = None,
    driven: Sequence[str] = (),
    latents: Latents | None = None,
    alter: Callable[[World, Latents], Latents] | None = None,
    samples: int = 1,
    seconds: float = 3.0,
    posterior: Path | None = None,
    weights: Path | None = None,
    network: bool = True,
    assume_scale: bool = False,
    seed: int = 0,
    tell: Callable[[float, str], None] | None = None,
) -> Simulation:
    """Roll a scene out.

    Args:
        scene: With objects and metric scale.
        pushes: Forces on objects.
        drops: Objects that begin in the air.
        moves: Objects that follow a path.
        state: How it begins, one world, e.g. from `state_at`; None takes the moment of the photos.
        action: What is done step by step, one world; pushes and moves are added to it.
        driven: Objects that follow the action's kinematic targets.
        latents: What the first future has instead of what is most likely, one world.
        alter: Changes what was drawn for all futures, e.g. the mass of one body.
        samples: Number of futures; the first has what is most likely.
        seconds: How long [s].
        posterior: File that `scene3d identify` wrote; None draws from the materials' priors.
        weights: Contact network; None takes the one that comes with the project.
        network: Whether the contact network takes part.
        assume_scale: Take a unit of a scene without metric scale for a metre.
        seed: Of all draws.
        tell: Called with the share that is done, 0 to 1, and with words; what it raises ends the work.

    Raises:
        UsageError: There is no such object, it cannot move, or a number is out of range.
    """
    from dynamics._contact_cache import with_contact_geometry
    from dynamics._guard import check_rollout

    deeds = Deeds(pushes, drops, moves, action, driven)
    if not 0 < seconds <= LONGEST:
        raise UsageError(f"Found {seconds:g} s; a rollout takes more than 0 and up to {LONGEST:g} s.")
    if not 1 <= samples <= MOST_SAMPLES:
        raise UsageError(f"Found {samples} futures; a rollout takes 1 to {MOST_SAMPLES} futures.")
    if not 0 <= seed < 1 << 63:
        raise UsageError(f"Found the seed {seed}; seeds are whole numbers from 0, below 2^63.")
    check_deeds(scene, deeds, seconds)
    # Of the scene's own bodies, so that the next call finds it: copies keep it, but do not give it back.
    with_contact_geometry([thing.body for thing in scene.objects])
    world = scene_world(scene, dt=DT, assume_scale=assume_scale, driven=driven_objects(deeds))
    _check_size(world, seconds, samples)
    begun = first_state(scene, world, scene_state(scene, world) if state is None else state, deeds)
    begun = stand_joints(world, begun)
    steps = KEPT * max(1, round(seconds / DT / KEPT))
    done = repeated(action_of(scene, world, begun, deeds, steps), samples)
    drawn, drawn_from = _latents(world, posterior, samples, seed)
    drawn = drawn if latents is None else _first(latents, drawn)
    drawn = drawn if alter is None else alter(world, drawn)
    model = _network(weights) if network else None
    path, speaks = roll_futures(world, begun.repeated(samples), steps, done, drawn, model=model, every=KEPT, tell=tell)
    report = check_rollout(world, path, looks=0)
    good = trusted(path, report.flagged)
    share = _in_support(path)
    found = () if good is None else outcomes(scene, world, good, {drop.name: drop.height for drop in drops})
    return Simulation(world, path, found, share, str(report), report.flagged, drawn_from, speaks)


def trusted(rollout: Rollout, flagged: Sequence[int]) -> Rollout | None:
    """Poses and velocities of the futures that are not flagged; None when all are."""
    kept = [future for future in range(len(rollout.T_world_body)) if future not in set(flagged)]
    if not kept:
        return None
    return replace(rollout, T_world_body=rollout.T_world_body[kept], twist=rollout.twist[kept])


def _in_support(rollout: Rollout) -> float | None:
    """See `Simulation`: where nothing moves, nothing presses on the network's account."""
    if rollout.in_support is None:
        return None
    moved = (rollout.twist != 0).any(dim=3).any(dim=2).any(dim=1)
    return float(rollout.in_support[moved].mean()) if bool(moved.any()) else None


def _check_size(world: World, seconds: float, samples: int) -> None:
    """Raises UsageError if the rollout would take more memory than it may."""
    bodies = len(world.bodies)
    particles = sum(len(body.particles.points) for body in world.bodies if body.particles is not None)
    each = seconds / DT * 13 * bodies + seconds / DT / KEPT * (15 * bodies + 6 * particles)
    if samples * each > MOST_NUMBERS:
        raise UsageError(
            f"{samples} futures of {seconds:g} s of {bodies} bodies would take {4 * samples * each / 2**30:.1f} GiB; "
            f"up to {int(MOST_NUMBERS / each)} fit. Lower --samples or --seconds."
        )


def _latents(world: World, posterior: Path | None, samples: int, seed: int) -> tuple[Latents, str]:
    from dynamics import Latents

    if posterior is None:
        return Latents.sample(world, samples, seed=seed), "priors of the materials"
    from dynamics._posterior import Posterior

    return Posterior.load(posterior).latents(world, samples, seed), str(posterior)


def _first(first: Latents, drawn: Latents) -> Latents:
    """The draws, with others in the first world."""
    import torch

    names = list(type(drawn).__dataclass_fields__)
    return replace(
        drawn, **{n: torch.cat([getattr(first, n).to(getattr(drawn, n)), getattr(drawn, n)[1:]]) for n in names}
    )


def _network(weights: Path | None) -> ContactModel:
    from dynamics import ContactModel
    from dynamics._contact_weights import load_weights
    from dynamics._evaluate_split import default_weights

    model = load_weights(default_weights() / "all.safetensors" if weights is None else weights).model
    return ContactModel(model.network, model.support)
