"""Our own dynamics' part of the proof: a scene and phases in, the same answer as of every other engine out.

No file stands between scene and engine here, so what is read back equals what is stored; what the proof adds is how the
solver behaves with it: flight, rest height, sleep. Physics alone speaks, without the contact network.
"""

from __future__ import annotations

import math
import time
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dynamics import Body, State, World
    from scene3d import Scene

__all__ = ["run_own"]


def run_own(scene: Scene, request: Mapping[str, Any]) -> dict[str, Any]:
    """Run the phases of a request.

    Args:
        scene: With objects.
        request: As engines get it; ``assume_scale`` takes a unit of a scene without metric scale for a metre.

    Returns:
        The answer, in the form of all engines.

    Raises:
        UsageError: The scene has no metric scale.
    """
    begun = time.perf_counter()
    world, state = _as_exported(scene, float(request["dt"]), bool(request.get("assume_scale", False)))
    ready = time.perf_counter()
    names = [body["name"] for body in request["bodies"]]
    phases = {phase["name"]: _phase(world, state, phase, names) for phase in request["phases"]}
    return {
        "engine": request["engine"],
        "version": f"scene3d {_version()}",
        "bodies": {name: _properties(world.bodies[world.index(name)]) for name in names},
        "phases": phases,
        "seconds": {"start": ready - begun, "run": time.perf_counter() - ready},
    }


def _as_exported(scene: Scene, dt: float, assume_scale: bool) -> tuple[World, State]:
    """The world in the stage's frame, so that poses mean the same as for the other engines; bodies asleep."""
    import torch

    from dynamics import State, World
    from scene3d._scene_world import ASLEEP
    from sim_bridge.usd._twin import make_twin

    twin = make_twin(scene, assume_scale=assume_scale)
    world = World(twin.bodies, twin.joints, (0.0, 0.0, -twin.gravity), dt)
    state = State.at_rest(world, torch.from_numpy(twin.poses).float())
    dynamic = torch.tensor([body.motion == "dynamic" for body in world.bodies])
    return world, replace(state, still=torch.where(dynamic, ASLEEP, state.still).int())


def _phase(world: World, state: State, phase: Mapping[str, Any], names: list[str]) -> dict[str, Any]:
    import torch

    from dynamics._rollout import rollout
    from dynamics._step import StepSettings

    poses, still = state.T_world_body.clone(), state.still.clone()
    for name, pose in phase["poses"].items():
        poses[0, world.index(name)] = torch.tensor(pose, dtype=poses.dtype)
        still[0, world.index(name)] = 0
    every = math.gcd(*phase["read"])
    steps = math.ceil(phase["steps"] / every) * every
    path = rollout(world, replace(state, T_world_body=poses, still=still), steps, every=every)
    kept = [count // every for count in phase["read"]]
    index = {name: world.index(name) for name in names}
    asleep = path.still[0, -1] >= StepSettings().sleep_after
    return {
        "poses": {name: path.T_world_body[0, kept, at].tolist() for name, at in index.items()},
        "twists": {name: path.twist[0, kept, at].tolist() for name, at in index.items()},
        "asleep": {name: bool(asleep[at]) for name, at in index.items()},
    }


def _properties(body: Body) -> dict[str, Any]:
    return {
        "mass": body.mass,
        "com": body.com.tolist(),
        "inertia": body.inertia.ravel().tolist(),
        "friction": body.material.friction,
        "static_friction": body.material.friction,
        "restitution": body.material.restitution,
    }


def _version() -> str:
    try:
        return version("scene3d")
    except PackageNotFoundError:
        return "from its source tree"
