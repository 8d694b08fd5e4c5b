"""MuJoCo's part of the proof: an exported MJCF model and phases in, what the engine holds and does out.

    PYTHON -I _mujoco_worker.py REQUEST.json ANSWER.json

A script of its own that imports nothing of this project, so that what it reads is the exported model and nothing else.
MuJoCo keeps the velocity of a body frame's origin and the angular velocity in the body's axes; the answer has that of
the centre of mass, and world axes.
"""

# pyright: basic

from __future__ import annotations

import importlib
import json
import math
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

ABSENT = 3
"""Exit status when the engine is not installed."""


def main(request_path: str, answer_path: str) -> None:
    """Read the request, run its phases, write the answer."""
    try:
        mujoco = importlib.import_module("mujoco")
    except ImportError as error:
        print(error, file=sys.stderr)
        sys.exit(ABSENT)
    request = json.loads(Path(request_path).read_text(encoding="utf-8"))
    begun = time.perf_counter()
    model = mujoco.MjModel.from_xml_path(request["model"])
    substeps = whole_substeps(model, request["dt"])
    loaded = time.perf_counter()
    # The model calls a body otherwise where MJCF keeps its name for itself.
    names = {body["name"]: body.get("model_name", body["name"]) for body in request["bodies"]}
    answer = {
        "engine": request["engine"],
        "version": f"MuJoCo {mujoco.__version__}",
        "bodies": {name: properties(model, called) for name, called in names.items()},
        "phases": {phase["name"]: run_phase(mujoco, model, phase, names, substeps) for phase in request["phases"]},
        "seconds": {"start": loaded - begun, "run": time.perf_counter() - loaded},
        "notes": [f"{substeps} steps of the model's {model.opt.timestep:.6g} s in each step."] if substeps > 1 else [],
    }
    Path(answer_path).write_text(json.dumps(answer, allow_nan=False), encoding="utf-8")


def properties(model: Any, name: str) -> dict[str, Any]:
    """Mass properties and surface of a body as the compiled model holds them."""
    body = model.body(name).id
    R = matrix(model.body_iquat[body])
    inertia = R @ np.diag(model.body_inertia[body]) @ R.T
    geoms = [geom for geom in range(model.ngeom) if model.geom_bodyid[geom] == body and model.geom_contype[geom]]
    return {
        "mass": float(model.body_mass[body]),
        "com": model.body_ipos[body].tolist(),
        "inertia": inertia.ravel().tolist(),
        "friction": float(model.geom_friction[geoms[0], 0]) if geoms else None,
        "static_friction": None,
        "restitution": rebound(*model.geom_solref[geoms[0]].tolist()) if geoms else None,
    }


def rebound(stiffness: float, damping: float) -> float | None:
    """Speed after over speed before of a mass on the contact spring -k, -b; None for a spring in the other form."""
    if stiffness >= 0 or damping > 0:
        return None
    ratio = min(-damping / (2 * math.sqrt(-stiffness)), 1.0)
    return 0.0 if ratio >= 1 - 1e-9 else math.exp(-math.pi * ratio / math.sqrt(1 - ratio * ratio))


def whole_substeps(model: Any, dt: float) -> int:
    """How many of the model's own steps make one of `dt` [s]; the model's step is changed where none do."""
    substeps = max(1, round(dt / model.opt.timestep))
    model.opt.timestep = dt / substeps
    return substeps


def run_phase(mujoco: Any, model: Any, phase: dict[str, Any], names: dict[str, str], substeps: int) -> dict[str, Any]:
    """Poses and twists after the steps that are asked for; a warning of the engine (it gave up) is an error."""
    data = mujoco.MjData(model)
    starts = {name: int(model.jnt_qposadr[model.body_jntadr[model.body(at).id]]) for name, at in names.items()}
    for name, pose in phase["poses"].items():
        data.qpos[starts[name] : starts[name] + 7] = pose
    poses: dict[str, list[Any]] = {name: [] for name in names}
    twists: dict[str, list[Any]] = {name: [] for name in names}
    wanted = set(phase["read"])
    for step in range(1, phase["steps"] + 1):
        mujoco.mj_step(model, data, substeps)
        if step in wanted:
            for name, called in names.items():
                pose, twist = read(model, data, called)
                poses[name].append(pose)
                twists[name].append(twist)
    if any(warning.number for warning in data.warning):
        raise SystemExit(f"MuJoCo warned in the phase {phase['name']!r}: positions or velocities left all bounds.")
    return {"poses": poses, "twists": twists, "asleep": dict.fromkeys(names)}


def read(model: Any, data: Any, name: str) -> tuple[list[float], list[float]]:
    """Pose of the body frame, velocity of the centre of mass and angular velocity, in the world."""
    body = model.body(name).id
    joint = model.body_jntadr[body]
    at, speed = model.jnt_qposadr[joint], model.jnt_dofadr[joint]
    pose, linear, turn = data.qpos[at : at + 7], data.qvel[speed : speed + 3], data.qvel[speed + 3 : speed + 6]
    R = matrix(pose[3:])
    turn = R @ turn
    linear = linear + np.cross(turn, R @ model.body_ipos[body])
    return pose.tolist(), [*linear.tolist(), *turn.tolist()]


def matrix(wxyz: Any) -> np.ndarray:
    """Rotation (3, 3) of a quaternion."""
    w, x, y, z = np.asarray(wxyz) / np.linalg.norm(wxyz)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


if __name__ == "__main__":
    main(*sys.argv[1:3])
