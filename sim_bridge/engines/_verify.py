"""The proof of an exported scene: a scene folder or a stage in, what every engine makes of it out.

A scene is exported as anybody would export it; engines load those files, each in a process and an environment of its
own, and report what they hold of everything that moves and where it is after a fall and after two seconds on its
support. With a scene, that is compared with the scene's own; with a file alone, with what the file says. Rigid objects
and deformables are proven by engines of their own; what becomes of deformables in the others is said. A missing engine
is an error when it was asked for by name, else it is listed as absent.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from scene3d._errors import DeviceError, UsageError
from sim_bridge.engines._environments import ENGINES, HERE, Engine, engine, find_python, install_line
from sim_bridge.engines._judge import TOLERANCES, Row, judge
from sim_bridge.engines._judge_soft import judge_soft
from sim_bridge.engines._phases import DT
from sim_bridge.engines._prepared import Prepared, prepare
from sim_bridge.engines._request import EngineAbsentError, EngineError, ask

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sim_bridge.engines._prepared import Trial
    from sim_bridge.engines._stage_bodies import StageBody

__all__ = ["EngineProof", "Proof", "verify"]

TIMEOUT = 900.0
"""An engine is ended after this [s]; Newton compiles its kernels in its first run."""
LONGEST = 60.0


@dataclass(frozen=True)
class EngineProof:
    """What one engine made of the scene."""

    name: str
    title: str
    status: str
    """``proven``, ``beyond`` a tolerance, ``absent``, or ``failed``."""
    version: str = ""
    rows: tuple[Row, ...] = ()
    """One for each object that it moves."""
    seconds: float = 0.0
    """That its process took, without the start."""
    said: str = ""
    """Why it is absent or failed, or what else is to be known."""

    def document(self) -> dict[str, Any]:
        """For JSON."""
        plain = {name: getattr(self, name) for name in ("name", "title", "status", "version", "said")}
        return {**plain, "seconds": round(self.seconds, 2), "bodies": [row.document() for row in self.rows]}


@dataclass(frozen=True)
class Proof:
    """What all engines made of a scene."""

    source: Path
    """Scene folder or stage."""
    seconds: float
    """That bodies stood [s]."""
    engines: tuple[EngineProof, ...]
    notes: tuple[str, ...]
    """What else is to be known."""

    @property
    def ok(self) -> bool:
        """At least one engine proves it and none fails or is beyond a tolerance; absent ones neither help nor hurt."""
        found = {each.status for each in self.engines}
        return "proven" in found and found <= {"proven", "absent"}

    def document(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "source": str(self.source),
            "ok": self.ok,
            "seconds": self.seconds,
            "tolerances": TOLERANCES,
            "engines": [each.document() for each in self.engines],
            "notes": list(self.notes),
        }


def verify(
    path: Path | str,
    *,
    engines: Sequence[str] | None = None,
    seconds: float = 2.0,
    assume_scale: bool = False,
    progress: Callable[[str], None] | None = None,
) -> Proof:
    """Prove a scene in physics engines.

    Args:
        path: Scene folder, or a USD stage in metres with Z up.
        engines: Names from `ENGINES`; None takes those that are installed.
        seconds: How long bodies stand [s].
        assume_scale: Take a unit of a scene without metric scale for a metre.
        progress: Called with the title of each engine before it runs.

    Raises:
        DeviceError: An engine that was asked for by name is not installed.
        FileFormatError: The stage cannot be proven as it is; the message says why.
        UsageError: There is no such engine or nothing for it to move, the time is out of range, or the scene has no
            metric scale.
    """
    path = Path(path)
    if not DT * 2 <= seconds <= LONGEST:
        raise UsageError(f"Found {seconds:g} s; bodies can stand for up to {LONGEST:g} s.")
    chosen = ENGINES if engines is None else tuple(dict.fromkeys(map(engine, engines)))
    for which in chosen if engines is not None else ():
        if which.worker:  # Said now, not after minutes of other engines.
            find_python(which)
    with tempfile.TemporaryDirectory(prefix="scene3d-verify-") as name:
        given = prepare(path, Path(name), seconds, assume_scale=assume_scale)
        proofs = []
        for which in chosen:
            trial = given.soft_trial if which.soft else given.rigid_trial
            if trial is None:
                if engines is not None:
                    kind = "deformable" if which.soft else "rigid that moves"
                    raise UsageError(f"{path} has nothing {kind}, so there is nothing for {which.title} to prove.")
                continue
            if progress is not None:
                progress(which.title)
            proofs.append(_proof(given, trial, which, asked=engines is not None))
    return Proof(path, seconds, tuple(proofs), given.notes)


def _proof(given: Prepared, trial: Trial, which: Engine, *, asked: bool) -> EngineProof:
    try:
        answer = _answer(given, trial, which)
        rows, notes = _rows(given, trial, which, answer)
    except EngineAbsentError as error:
        if asked:
            raise DeviceError(f"{which.title} is not installed: {error} {install_line(which)}") from error
        return EngineProof(which.name, which.title, "absent", said=f"{error} {install_line(which)}")
    except DeviceError as error:
        if asked:
            raise
        return EngineProof(which.name, which.title, "absent", said=str(error))
    except EngineError as error:
        return EngineProof(which.name, which.title, "failed", said=str(error))
    status = "beyond" if any(row.failures for row in rows) else "proven"
    said = " ".join((*answer.get("notes", ()), *notes))
    return EngineProof(which.name, which.title, status, answer["version"], rows, answer["seconds"]["run"], said)


def _rows(
    given: Prepared, trial: Trial, which: Engine, answer: dict[str, Any]
) -> tuple[tuple[Row, ...], tuple[str, ...]]:
    """The figures, and what else is to be known."""
    physics = {"gravity": given.gravity, "exact_flight": which.exact_flight}
    if which.soft:
        return judge_soft(given.soft, given.solids, trial.phases, answer, **physics)
    bodies = given.bodies if which.worker else _with_meshes(given)
    rows = judge(bodies, given.solids, trial.phases, answer, **physics)
    names = ", ".join(thing.name for thing in given.soft)
    return rows, (f"{names}: deformable, {which.deformables}.",) if names else ()


def _answer(given: Prepared, trial: Trial, which: Engine) -> dict[str, Any]:
    things = [(each.name, each.geometry) for each in given.soft]
    if not which.soft:
        things = [(body.name, body.path) for body in given.bodies]
    request: dict[str, Any] = {
        "engine": which.name,
        "model": str(given.model),
        "assume_scale": given.assume_scale,
        "dt": DT,
        "bodies": [{"name": name, "path": path} for name, path in things],
        "phases": [
            {
                "name": phase.name,
                "stage": str(trial.layers[phase.name]),
                "poses": {name: pose.tolist() for name, pose in phase.poses.items()},
                "steps": phase.steps,
                "read": list(phase.read),
            }
            for phase in trial.phases.values()
        ],
    }
    if which.worker is None:
        from sim_bridge.engines._own_dynamics import run_own

        return run_own(given.scene(), request)
    python = find_python(which)
    if not which.reads_usd:
        from sim_bridge.mjcf._export import export_mjcf

        model, scene = given.folder / "mjcf" / "scene.xml", given.scene()
        model.parent.mkdir(exist_ok=True)
        exported = export_mjcf(scene, model, assume_scale=given.assume_scale)
        request["model"] = str(model)
        called = dict(zip((thing.name for thing in scene.objects), exported.bodies, strict=True))
        request["bodies"] = [{**body, "model_name": called[body["name"]]} for body in request["bodies"]]
    return ask(python, HERE / which.worker, request, seconds=TIMEOUT)


def _with_meshes(given: Prepared) -> tuple[StageBody, ...]:
    """Bodies as our own dynamics meets them: with their whole meshes instead of convex parts."""
    meshes = {thing.name: np.asarray(thing.body.mesh.vertices) for thing in given.scene().objects}
    return tuple(replace(body, corners=meshes[body.name].astype(np.float64)) for body in given.bodies)
