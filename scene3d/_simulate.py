"""What happens to a scene when it is pushed or dropped: a scene and deeds in, futures with their outcomes out.

The scene becomes a world (`scene_world`), deeds become forces and first poses, and what photos do not show is drawn
once for each future: from what `scene3d identify` found, else from the priors of the materials. The contact network
takes part where its training covers the contact. The guard looks at every rollout before anybody else does.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from scene3d._errors import UsageError
from scene3d._outcomes import Outcome, outcomes
from scene3d._scene_world import scene_state, scene_world

if TYPE_CHECKING:
    from dynamics import Action, Latents, Rollout, State, World
    from scene3d._scene import Scene

__all__ = ["Drop", "Push", "Simulation", "parse_drop", "parse_push", "save_simulation", "simulate"]

DT = 1.0 / 240.0
"""Length of a step [s]."""
KEPT = 4
"""Every so many steps a state is kept: 60 a second."""
PUSH_SECONDS = 0.1
LONGEST = 120.0
MOST_SAMPLES = 4096
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"


@dataclass(frozen=True)
class Push:
    """A force on the centre of mass of an object, from the start on."""

    name: str
    force: tuple[float, float, float]
    """In the world [N]."""
    seconds: float = PUSH_SECONDS


@dataclass(frozen=True)
class Drop:
    """An object that begins in the air, above where it stood."""

    name: str
    height: float
    """[m]"""


@dataclass(frozen=True, eq=False)
class Simulation:
    """Futures of a scene."""

    world: World
    rollout: Rollout
    """B futures; the first has what is most likely."""
    outcomes: tuple[Outcome, ...]
    in_support: float | None
    """Share of pressing contacts for which the contact network spoke; None without a network."""
    guard: str
    """What the guard found, for people."""
    flagged: tuple[int, ...]
    """Futures that are not to be trusted."""
    drawn_from: str
    """Where the spread of the futures comes from."""

    def document(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "futures": int(self.rollout.T_world_body.shape[0]),
            "seconds": float(self.rollout.dt * (len(self.rollout) - 1)),
            "drawn_from": self.drawn_from,
            "in_support": self.in_support,
            "guard": self.guard,
            "flagged": list(self.flagged),
            "outcomes": [outcome.row() for outcome in self.outcomes],
        }


def parse_push(text: str) -> Push:
    """Read ``NAME,FX,FY,FZ[,SECONDS]``.

    Raises:
        UsageError: Of another form.
    """
    match = re.fullmatch(f"(.+?),({_NUMBER}),({_NUMBER}),({_NUMBER})(?:,({_NUMBER}))?", text.strip())
    if match is None:
        raise UsageError(f"Found --push {text}; it is written NAME,FX,FY,FZ[,SECONDS] in newtons, e.g. can,2,0,0,0.1.")
    name, *numbers = match.groups()
    force = tuple(float(number) for number in numbers[:3])
    seconds = PUSH_SECONDS if numbers[3] is None else float(numbers[3])
    if not (all(map(np.isfinite, force)) and 0 < seconds <= LONGEST):
        raise UsageError(f"--push {text}: forces are numbers in newtons and the time is above 0 s.")
    return Push(name.strip(), (force[0], force[1], force[2]), seconds)


def parse_drop(text: str) -> Drop:
    """Read ``NAME,HEIGHT``.

    Raises:
        UsageError: Of another form.
    """
    match = re.fullmatch(f"(.+?),({_NUMBER})", text.strip())
    if match is None or not 0 < float(match[2]) <= 10:
        raise UsageError(f"Found --drop {text}; it is written NAME,HEIGHT with a height of 0 to 10 m, e.g. mug,0.1.")
    return Drop(match[1].strip(), float(match[2]))


def simulate(
    scene: Scene,
    *,
    pushes: Sequence[Push] = (),
    drops: Sequence[Drop] = (),
    state: State | None = None,
    action: Action | None = None,
    samples: int = 1,
    seconds: float = 3.0,
    posterior: Path | None = None,
    weights: Path | None = None,
    network: bool = True,
    assume_scale: bool = False,
    seed: int = 0,
) -> Simulation:
    """Roll a scene out.

    Args:
        scene: With objects and metric scale.
        pushes: Forces on objects, all from the start on.
        drops: Objects that begin in the air.
        state: How it begins, one world; None takes the moment of the photos.
        action: What is done, one world; pushes are added to its wrenches.
        samples: Number of futures; the first has what is most likely.
        seconds: How long [s].
        posterior: File that `scene3d identify` wrote; None draws from the materials' priors.
        weights: Contact network; None takes the one that comes with the project.
        network: Whether the contact network takes part.
        assume_scale: Take a unit of a scene without metric scale for a metre.
        seed: Of all draws.

    Raises:
        UsageError: There is no such object, it cannot move, or a number is out of range.
    """
    from dynamics._guard import check_rollout
    from dynamics._rollout import rollout

    if not (0 < seconds <= LONGEST and 1 <= samples <= MOST_SAMPLES):
        raise UsageError(
            f"Found {seconds:g} s and {samples} futures; it takes up to {LONGEST:g} s and 1 to {MOST_SAMPLES} futures."
        )
    world = scene_world(scene, dt=DT, assume_scale=assume_scale)
    begun = scene_state(scene, world) if state is None else state
    begun = _dropped(scene, world, begun, drops).repeated(samples)
    steps = KEPT * max(1, round(seconds / DT / KEPT))
    action = _action(scene, world, action, pushes, steps, samples)
    latents, drawn_from = _latents(world, posterior, samples, seed)
    model = _network(weights) if network else None
    if model is None:
        path = rollout(world, begun, steps, action, latents, every=KEPT)
    else:
        from dynamics._learned_rollout import rollout_learned

        path = rollout_learned(world, begun, steps, action, latents, model=model, every=KEPT)
    report = check_rollout(world, path, looks=0)
    share = None if path.in_support is None else float(path.in_support.mean())
    return Simulation(world, path, outcomes(scene, world, path), share, str(report), report.flagged, drawn_from)


def save_simulation(simulation: Simulation, folder: Path, *, deeds: Sequence[str] = ()) -> Path:
    """Write ``rollouts/ID/states.npz`` and ``rollout.json`` below a scene folder; returns the new folder.

    Raises:
        OutputError: It cannot be written.
    """
    from scene3d.files._atomic import make_folder, write_atomic

    rollouts = folder / "rollouts"
    make_folder(rollouts)
    taken = [int(path.name) for path in rollouts.iterdir() if path.name.isdigit()]
    target = rollouts / f"{max(taken, default=0) + 1:03d}"
    make_folder(target)
    simulation.rollout.save(target / "states.npz")
    names = [body.name for body in simulation.world.bodies]
    document = {"bodies": names, "deeds": list(deeds), **simulation.document()}
    write_atomic(target / "rollout.json", [(json.dumps(document, indent=2, allow_nan=False) + "\n").encode()])
    return target


def _moving(scene: Scene, world: World, name: str) -> int:
    index = scene.index(name)
    if world.bodies[index].motion != "dynamic":
        raise UsageError(
            f"{name!r} is deformable, and only rigid things move here. `scene3d edit SCENE --kind {name}=rigid` helps."
        )
    return index


def _dropped(scene: Scene, world: World, state: State, drops: Sequence[Drop]) -> State:
    import torch

    poses, still = state.T_world_body.clone(), state.still.clone()
    up = -torch.tensor(world.gravity, dtype=poses.dtype)
    for drop in drops:
        index = _moving(scene, world, drop.name)
        poses[:, index, :3] += drop.height * up / up.norm()
        still[:, index] = 0
    return replace(state, T_world_body=poses, still=still) if drops else state


def _action(
    scene: Scene, world: World, action: Action | None, pushes: Sequence[Push], steps: int, samples: int
) -> Action | None:
    import torch

    from dynamics import Action

    if not pushes:
        return None if action is None else _repeated(action, samples)
    wrench = torch.zeros(1, steps, len(world.bodies), 6)
    if action is not None and action.wrench is not None:
        wrench += action.wrench[:, :steps]
    for push in pushes:
        index = _moving(scene, world, push.name)
        wrench[:, : max(1, round(push.seconds / world.dt)), index, :3] += torch.tensor(push.force)
    return _repeated(replace(action or Action(), wrench=wrench), samples)


def _repeated(action: Action, samples: int) -> Action:
    from dataclasses import fields

    parts = {f.name: getattr(action, f.name) for f in fields(action)}
    return replace(action, **{k: v.expand(samples, *v.shape[1:]) for k, v in parts.items() if v is not None})


def _latents(world: World, posterior: Path | None, samples: int, seed: int) -> tuple[Latents, str]:
    from dynamics import Latents

    if posterior is None:
        return Latents.sample(world, samples, seed=seed), "priors of the materials"
    from dynamics._posterior import Posterior

    return Posterior.load(posterior).latents(world, samples, seed), str(posterior)


def _network(weights: Path | None) -> Any:
    from dynamics._contact_weights import load_weights
    from dynamics._evaluate_split import default_weights

    return load_weights(default_weights() / "all.safetensors" if weights is None else weights).model
