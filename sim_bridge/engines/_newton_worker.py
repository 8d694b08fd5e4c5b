"""Newton on a stage: `python _newton_worker.py request.json answer.json`, run by the interpreter that has Newton.

It imports nothing of this project. The request names one of three solvers: XPBD with Newton's own collisions, MuJoCo's
C code with MuJoCo's, or, for deformables, VBD (_newton_soft.py, which lies beside this file). Each phase of the request
is a stage of its own, from which a model is built afresh. What is read back is what the solver computes with: Newton's
model for XPBD and VBD, the compiled MuJoCo model for MuJoCo. The format of both files is described in
`sim_bridge.engines._request`.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import sys
import time
from pathlib import Path
from typing import Any

ABSENT = 3
"""Exit status when the engine is not installed."""


def main() -> None:
    """Answer one request."""
    try:
        warp = importlib.import_module("warp")
        newton = importlib.import_module("newton")
        importlib.import_module("newton.usd")
        importlib.import_module("mujoco")
        importlib.import_module("scipy")  # Newton makes convex hulls with it, and no package of its own asks for it.
    except ImportError as error:
        print(error, file=sys.stderr)
        sys.exit(ABSENT)
    request = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    begun = time.monotonic()
    warp.config.quiet = True
    # Kernels without gradients compile in a third of the time; Warp keeps them for the next run.
    warp.config.enable_backward = False
    answer: dict[str, Any] = {"engine": request["engine"], "version": f"Newton {newton.__version__}", "phases": {}}
    make = soft_simulation() if request["engine"] == "newton-vbd" else Simulation
    started = begun
    for phase in request["phases"]:
        simulation = make(newton, request, phase["stage"])
        started = started if answer["phases"] else time.monotonic()
        answer["bodies"] = simulation.bodies()
        answer["phases"][phase["name"]] = simulation.run(phase)
    answer["seconds"] = {"start": started - begun, "run": time.monotonic() - started}
    answer["notes"] = simulation.notes
    Path(sys.argv[2]).write_text(json.dumps(answer), encoding="utf-8")


def soft_simulation() -> Any:
    """The class for deformables; a script that Python runs alone (-I) cannot import what lies beside it."""
    spec = importlib.util.spec_from_file_location("newton_soft", Path(__file__).with_name("_newton_soft.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.SoftSimulation


class Simulation:
    """A stage, the model that Newton makes of it, and a solver."""

    def __init__(self, newton: Any, request: dict[str, Any], stage: str) -> None:
        self.newton, self.dt = newton, request["dt"]
        self.mujoco = request["engine"] == "newton-mujoco"
        self.notes = ("MuJoCo's contacts have no restitution, so none is compared.",) if self.mujoco else ()
        builder = newton.ModelBuilder()
        newton.solvers.SolverMuJoCo.register_custom_attributes(builder)
        found = builder.add_usd(stage)["path_body_map"]
        missing = next((body["path"] for body in request["bodies"] if body["path"] not in found), None)
        if missing is not None:
            sys.exit(f"Newton found no rigid body at {missing}; it found {', '.join(found) or 'none'}.")
        self.index = {body["name"]: found[body["path"]] for body in request["bodies"]}
        self.model = builder.finalize(device="cpu")
        solvers = newton.solvers
        self.solver = (
            solvers.SolverMuJoCo(self.model, use_mujoco_cpu=True) if self.mujoco else solvers.SolverXPBD(self.model)
        )

    def bodies(self) -> dict[str, Any]:
        """What the solver holds of each body."""
        shapes = self.model.shape_body.numpy()
        friction = self.model.shape_material_mu.numpy()
        restitution = self.model.shape_material_restitution.numpy()
        collides = self.model.shape_flags.numpy() & int(self.newton.ShapeFlags.COLLIDE_SHAPES) != 0
        found = {}
        for name, index in self.index.items():
            own = (shapes == index) & collides
            found[name] = {
                **(self._of_mujoco(index) if self.mujoco else self._of_newton(index)),
                "static_friction": None,
                # MuJoCo has no such number.
                "restitution": float(restitution[own][0]) if own.any() and not self.mujoco else None,
            }
            if own.any():
                found[name].setdefault("friction", float(friction[own][0]))
        return found

    def _of_newton(self, index: int) -> dict[str, Any]:
        model = self.model
        return {
            "mass": float(model.body_mass.numpy()[index]),
            "com": model.body_com.numpy()[index].tolist(),
            "inertia": model.body_inertia.numpy()[index].reshape(9).tolist(),
        }

    def _of_mujoco(self, index: int) -> dict[str, Any]:
        """MuJoCo keeps principal moments in a frame of their own."""
        import numpy as np

        compiled = self.solver.mj_model
        numbers = self.solver.mjc_body_to_newton.numpy()[0]
        body = int(np.flatnonzero(numbers == index)[0])
        turn = np.zeros(9)
        importlib.import_module("mujoco").mju_quat2Mat(turn, compiled.body_iquat[body])
        axes = turn.reshape(3, 3)
        geoms = np.flatnonzero((compiled.geom_bodyid == body) & (compiled.geom_contype != 0))
        return {
            "mass": float(compiled.body_mass[body]),
            "com": compiled.body_ipos[body].tolist(),
            "inertia": (axes * compiled.body_inertia[body] @ axes.T).reshape(9).tolist(),
            "friction": float(compiled.geom_friction[geoms[0], 0]) if len(geoms) else None,
        }

    def run(self, phase: dict[str, Any]) -> dict[str, Any]:
        """Step through a phase; poses xyz + wxyz and twists at the steps to be read."""
        model = self.model
        poses: dict[str, list[list[float]]] = {name: [] for name in self.index}
        twists: dict[str, list[list[float]]] = {name: [] for name in self.index}
        now, after, control = model.state(), model.state(), model.control()
        self.newton.eval_fk(model, model.joint_q, model.joint_qd, now)
        pipeline = None if self.mujoco else self.newton.CollisionPipeline(model)
        contacts = None if pipeline is None else pipeline.contacts()
        for step in range(1, phase["steps"] + 1):
            now.clear_forces()
            if pipeline is not None:
                pipeline.collide(now, contacts)
            self.solver.step(now, after, control, contacts, self.dt)
            now, after = after, now
            if step in phase["read"]:
                place, speed = now.body_q.numpy(), now.body_qd.numpy()
                for name, index in self.index.items():
                    px, py, pz, x, y, z, w = place[index].tolist()
                    poses[name].append([px, py, pz, w, x, y, z])
                    twists[name].append(speed[index].tolist())
        return {"poses": poses, "twists": twists, "asleep": dict.fromkeys(self.index)}


if __name__ == "__main__":
    main()
