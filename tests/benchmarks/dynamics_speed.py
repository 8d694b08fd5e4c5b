"""How fast contact dynamics are: steps of worlds per second, beside MuJoCo's in the same run, and a cold start.

    .venv/bin/python tests/benchmarks/dynamics_speed.py [--only cube tabletop cold] [--fresh] [--quick] [--json FILE]

`cube` tosses 1024 cubes on a table for a second, on 2 threads: by physics alone, by MuJoCo with the same step and
friction, and with the contact network, one member and the whole ensemble. `tabletop` lets 6 bodies, three of them
meshes, fall and settle in 64 worlds. `cold` compiles every kernel in a process and a cache of its own. What is compared
is measured in turns, and the best of a few is kept. What was measured is kept in outputs/numbers.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import numpy as np
import torch
import trimesh
import tyro
from _records import ROOT, outputs, recorded, say, write_json

from dynamics import Body, State, TriangleMesh, World, body_from_mesh, find_material
from dynamics._contact_network import ContactNetwork, make_network
from dynamics._learned_rollout import ContactModel, rollout_learned
from dynamics._primitive import body_from_box, body_from_plane, body_from_sphere
from dynamics._rollout import rollout
from dynamics._step import StepSettings

THREADS = 2
REPEATS = 7
CUBE, MASS, FRICTION, RESTITUTION = 0.1048, 0.37, 0.18, 0.125
WEIGHTS = ROOT / "assets" / "contact" / "all.safetensors"
COLD = """
import json, time
begin = time.perf_counter()
import torch
import warp as wp
imported = time.perf_counter()
import importlib, pathlib, dynamics
names = sorted(path.stem for path in pathlib.Path(dynamics.__file__).parent.glob("_*_kernels.py"))
modules = [importlib.import_module(f"dynamics.{name}") for name in names]
owners = {
    part.module for module in modules for part in vars(module).values() if isinstance(part, wp.Kernel)
}
start = time.perf_counter()
wp.force_load("cpu", modules=sorted(owners, key=lambda owner: owner.name), max_workers=2)
end = time.perf_counter()
print(json.dumps({"import_seconds": imported - begin, "compile_seconds": end - start, "modules": len(owners)}))
"""


@dataclass(frozen=True)
class Speed:
    """Measure the speed of contact dynamics."""

    only: Annotated[tuple[str, ...], tyro.conf.arg(metavar="PART")] = ()
    """Parts to measure: cube, tabletop, cold."""
    fresh: bool = False
    """Measure again what is in outputs/numbers."""
    quick: bool = False
    """Few worlds and steps, to see that everything works."""
    json: Path | None = None
    """Where to write all figures."""


def main() -> None:
    """Measure what was asked for and print it."""
    arguments = tyro.cli(Speed)
    torch.set_num_threads(THREADS)
    parts: dict[str, Callable[[bool], dict[str, Any]]] = {"cube": cube, "tabletop": tabletop, "cold": cold}
    figures: dict[str, Any] = {}
    for name, measure in parts.items():
        if not arguments.only or name in arguments.only:
            path = outputs(arguments.quick) / f"dynamics-{name}.json"
            figures[name] = recorded(path, arguments.fresh, lambda measure=measure: measure(arguments.quick))
    if arguments.json is not None:
        write_json(arguments.json, figures)
    print(json.dumps(figures, indent=1))


def cube(quick: bool) -> dict[str, Any]:
    """Steps of tossed cubes per second."""
    worlds, steps = (32, 20) if quick else (1024, 148)
    world, state = _cubes(worlds)
    settings = StepSettings(sweeps=12)
    models = _models()
    ways: dict[str, Callable[[], object]] = {
        "physics": lambda: rollout(world, state, steps, every=steps, settings=settings, threads=THREADS),
        "mujoco": _mujoco(world, state, steps),
    }
    for name, model in models.items():
        ways[name] = lambda model=model: rollout_learned(
            world, state, steps, model=model, every=steps, settings=settings, threads=THREADS
        )
    best = _best(ways, 2 if quick else REPEATS)
    figures: dict[str, Any] = {f"{name}_steps_per_s": worlds * steps / seconds for name, seconds in best.items()}
    figures["physics_to_mujoco"] = best["mujoco"] / best["physics"]
    figures["members"] = models["ensemble"].network.members if models["ensemble"].network else 0
    figures["trained"] = WEIGHTS.is_file()
    path = rollout_learned(world, state, steps, model=models["ensemble"], every=steps, settings=settings)
    figures["in_support"] = None if path.in_support is None else float(path.in_support.mean())
    return {**figures, "worlds": worlds, "steps": steps, "threads": THREADS}


def tabletop(quick: bool) -> dict[str, Any]:
    """Steps per second of worlds with 6 bodies over a table."""
    worlds, steps = (4, 20) if quick else (64, 240)
    world = World((body_from_plane("table", find_material("wood")), *_six()), dt=1 / 240)
    g = torch.Generator().manual_seed(0)
    poses = torch.zeros(worlds, 7, 7)
    poses[..., 3] = 1
    poses[:, 1:, 0] = torch.tensor([-0.12, 0.0, 0.12, -0.12, 0.0, 0.12])
    poses[:, 1:, 1] = torch.tensor([-0.07, -0.07, -0.07, 0.07, 0.07, 0.07])
    poses[:, 1:, :2] += 0.02 * torch.randn(worlds, 6, 2, generator=g)
    poses[:, 1:, 2] = 0.08 + 0.03 * torch.rand(worlds, 6, generator=g)
    turn = torch.tensor([1.0, 0, 0, 0]) + 0.3 * torch.randn(worlds, 6, 4, generator=g)
    poses[:, 1:, 3:] = torch.nn.functional.normalize(turn, dim=-1)
    state = State.at_rest(world, poses)
    model = _models()["one_member"]
    ways: dict[str, Callable[[], object]] = {
        "physics": lambda: rollout(world, state, steps, every=steps, threads=THREADS),
        "one_member": lambda: rollout_learned(world, state, steps, model=model, every=steps, threads=THREADS),
    }
    best = _best(ways, 2 if quick else REPEATS)
    figures = {f"{name}_world_steps_per_s": worlds * steps / seconds for name, seconds in best.items()}
    return {**figures, "worlds": worlds, "steps": steps, "bodies": 6, "threads": THREADS}


def cold(quick: bool) -> dict[str, Any]:
    """Seconds until all kernels are there, in a fresh process with an empty cache."""
    del quick
    with TemporaryDirectory() as folder:
        environment = {**os.environ, "WARP_CACHE_PATH": folder}
        run = subprocess.run(
            [sys.executable, "-c", COLD], env=environment, capture_output=True, text=True, check=False, cwd=ROOT
        )
    if run.returncode:
        raise SystemExit(f"The cold start failed:\n{run.stderr[-2000:]}")
    return json.loads(run.stdout.strip().splitlines()[-1])


def _best(ways: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Least seconds of each, in turns; a first round warms up."""
    best = dict.fromkeys(ways, float("inf"))
    for turn in range(repeats + 1):
        for name, run in ways.items():
            start = time.perf_counter()
            run()
            seconds = time.perf_counter() - start
            if turn:
                best[name] = min(best[name], seconds)
        say(f"round {turn} of {repeats}")
    return best


def _cubes(worlds: int) -> tuple[World, State]:
    """The cube of the recorded tosses, thrown about as there."""
    wood = replace(find_material("wood"), friction=FRICTION, restitution=RESTITUTION)
    body = body_from_box("cube", (CUBE, CUBE, CUBE), wood, mass=MASS)
    world = World((body_from_plane("table", wood), body), dt=1 / 148)
    g = torch.Generator().manual_seed(0)
    poses, twist = torch.zeros(worlds, 2, 7), torch.zeros(worlds, 2, 6)
    poses[..., 3] = 1
    poses[:, 1, 2] = 0.15 + 0.1 * torch.rand(worlds, generator=g)
    poses[:, 1, 3:] = torch.nn.functional.normalize(torch.randn(worlds, 4, generator=g), dim=-1)
    twist[:, 1] = torch.randn(worlds, 6, generator=g) * torch.tensor([1.0, 1, 1, 4, 4, 4])
    return world, replace(State.at_rest(world, poses), twist=twist)


def _six() -> list[Body]:
    wood = find_material("wood")
    can = trimesh.creation.cylinder(radius=0.033, height=0.1, sections=32)
    profile = [(0, 0), (0.04, 0), (0.04, 0.09), (0.036, 0.09), (0.036, 0.006), (0, 0.006)]
    mug = trimesh.creation.revolve(np.array(profile), sections=24)
    bowl = trimesh.creation.icosphere(subdivisions=2, radius=0.04)
    return [
        body_from_box("block", (0.06, 0.05, 0.04), wood),
        body_from_box("brick", (0.09, 0.04, 0.05), wood),
        body_from_sphere("ball", 0.03, wood),
        body_from_mesh("can", TriangleMesh(can.vertices, can.faces), wood),
        body_from_mesh("mug", TriangleMesh(mug.vertices, mug.faces), wood),
        body_from_mesh("lump", TriangleMesh(bowl.vertices * [1, 0.8, 0.6], bowl.faces), wood),
    ]


def _models() -> dict[str, ContactModel]:
    """The trained ensemble and its first member; random ones of the same size when there are none."""
    if not WEIGHTS.is_file():
        say("assets/contact has no weights: four random members")
        g = torch.Generator().manual_seed(0)
        weights = {
            name: torch.cat([part] * 4) + 0.05 * torch.randn(4, *part.shape[1:], generator=g)
            for name, part in make_network(0).weights.items()
        }
        ensemble = ContactModel(ContactNetwork(weights))
    else:
        from dynamics._contact_weights import load_weights

        trained = load_weights(WEIGHTS).model
        ensemble = ContactModel(trained.network, trained.support)
    assert ensemble.network is not None
    first = ContactNetwork({name: part[:1] for name, part in ensemble.network.weights.items()})
    return {"one_member": ContactModel(first, ensemble.support), "ensemble": ensemble}


def _mujoco(world: World, state: State, steps: int) -> Callable[[], object]:
    """The same tosses by MuJoCo C, on as many threads, with its own contact model."""
    from importlib import import_module

    from mujoco import rollout as mujoco_rollout

    mujoco: Any = import_module("mujoco")

    edge = CUBE / 2
    inertia = MASS * CUBE**2 / 6
    model = mujoco.MjModel.from_xml_string(f"""
    <mujoco>
      <option timestep="{world.dt}"/>
      <worldbody>
        <geom type="plane" size="5 5 .1" friction="{FRICTION} .001 .0001"/>
        <body>
          <freejoint/>
          <inertial pos="0 0 0" mass="{MASS}" diaginertia="{inertia} {inertia} {inertia}"/>
          <geom type="box" size="{edge} {edge} {edge}" friction="{FRICTION} .001 .0001"/>
        </body>
      </worldbody>
    </mujoco>""")
    datas = [mujoco.MjData(model) for _ in range(THREADS)]
    pose, twist = state.T_world_body[:, 1].double().numpy(), state.twist[:, 1].double().numpy()
    start = np.zeros((len(state), mujoco.mj_stateSize(model, mujoco.mjtState.mjSTATE_FULLPHYSICS)))
    start[:, 1:8], start[:, 8:14] = pose, twist
    runner = mujoco_rollout.Rollout(nthread=THREADS)
    return lambda: runner.rollout(model, datas, start, nstep=steps)


if __name__ == "__main__":
    main()
