"""PhysX on a stage: `python _physx_worker.py request.json answer.json`, run by the interpreter that has ovphysx.

It imports nothing of this project and nothing of usd-core, whose libraries cannot live in one process with ovphysx'
own. Each phase of the request is a stage of its own; the worker attaches it, reads what PhysX made of the bodies,
steps, and reads poses and velocities after the steps that were asked for. The format of both files is described in
`sim_bridge.engines._request`.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from pathlib import Path
from typing import Any

ABSENT = 3
"""Exit status when the engine is not installed."""
FIXED = ("mass", "inertia", "centerOfMassPosition", "dynamicFriction", "staticFriction", "restitution")
MOVING = ("position", "orientation", "linearVelocity", "angularVelocity")


def main() -> None:
    """Answer one request."""
    try:
        ovphysx = importlib.import_module("ovphysx")
        ovstage = importlib.import_module("ovstage")
        schemas = importlib.import_module("ovphysx.samples.python_samples.schema_support")
    except ImportError as error:
        print(error, file=sys.stderr)
        sys.exit(ABSENT)
    request = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    begun = time.monotonic()
    ovphysx.PhysX.set_cpu_mode(True)
    roots = [*map(str, schemas.physx_schema_paths()), str(ovphysx.newton_schema_root())]
    ovstage.population.register_usd_schemas(roots)
    physx = ovphysx.PhysX()
    answer: dict[str, Any] = {"engine": request["engine"], "version": f"ovphysx {ovphysx.__version__}", "phases": {}}
    started = time.monotonic()
    for phase in request["phases"]:
        stage = ovstage.Stage(phase["name"])
        domains = ovstage.PopulationDomain.ALL
        ovstage.population.open_usd(stage, phase["stage"], ordinal=1, domains=domains)
        stage.advance_write_floor(ordinal=1).wait()
        physx.wait_task(physx.attach_ovstage(stage, read_ordinal=1))
        answer["bodies"] = bodies(physx, request)
        answer["phases"][phase["name"]] = run(physx, request, phase)
        physx.wait_task(physx.detach_ovstage())
        stage.destroy()
    physx.destroy()
    answer["seconds"] = {"start": started - begun, "run": time.monotonic() - started}
    Path(sys.argv[2]).write_text(json.dumps(answer), encoding="utf-8")


def read(physx: Any, attribute: str) -> dict[str, list[float]]:
    """One attribute of every rigid body, links of articulations included, by its path."""
    import numpy as np

    types = importlib.import_module("ovphysx.types")
    found: dict[str, list[float]] = {}
    for kind in (types.SimObjectType.RIGID_BODY, types.SimObjectType.ARTICULATION_LINK):
        # One attribute a time: several would come in groups of their own.
        with physx.read_sync(kind, [attribute], scope=types.ObjectScope.ALL) as result:
            for group in result.groups:
                if group.is_delete or not group.tensors:
                    continue
                paths = result.dictionary.get_path_strings(group.prim_list)
                if group.is_array:
                    rows = [np.array(part.numpy(), dtype=np.float64, copy=True).reshape(-1) for part in group.tensors]
                else:
                    values = np.array(group.tensors[0].numpy(), dtype=np.float64, copy=True)
                    rows = list(values.reshape(len(paths), -1))
                found |= {path: row.tolist() for path, row in zip(paths, rows, strict=True)}
    return found


def bodies(physx: Any, request: dict[str, Any]) -> dict[str, Any]:
    """What PhysX holds of each body."""
    values = {attribute: read(physx, attribute) for attribute in FIXED}
    found = {}
    for body in request["bodies"]:
        path = body["path"]
        if path not in values["mass"]:
            sys.exit(f"PhysX found no rigid body at {path}; it found {', '.join(values['mass']) or 'none'}.")
        mine: dict[str, Any] = {attribute: values[attribute].get(path, [None]) for attribute in FIXED}
        found[body["name"]] = {
            "mass": mine["mass"][0],
            "com": mine["centerOfMassPosition"][:3],
            "inertia": mine["inertia"],
            "friction": mine["dynamicFriction"][0],
            "static_friction": mine["staticFriction"][0],
            "restitution": mine["restitution"][0],
        }
    return found


def run(physx: Any, request: dict[str, Any], phase: dict[str, Any]) -> dict[str, Any]:
    """Step through a phase; poses xyz + wxyz and twists at the steps to be read."""
    poses: dict[str, list[list[float]]] = {body["name"]: [] for body in request["bodies"]}
    twists: dict[str, list[list[float]]] = {body["name"]: [] for body in request["bodies"]}
    for step in range(1, phase["steps"] + 1):
        physx.step_sync(request["dt"])
        if step not in phase["read"]:
            continue
        place, turn, speed, spin = (read(physx, attribute) for attribute in MOVING)
        for body in request["bodies"]:
            name, path = body["name"], body["path"]
            x, y, z, w = turn[path]
            poses[name].append([*place[path], w, x, y, z])
            twists[name].append([*speed[path], *spin[path]])
    sleeping = read(physx, "isSleeping")
    asleep = {body["name"]: bool(sleeping[body["path"]][0]) for body in request["bodies"]}
    return {"poses": poses, "twists": twists, "asleep": asleep}


if __name__ == "__main__":
    main()
