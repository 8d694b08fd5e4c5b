"""The proof of an exported scene: a scene folder or a stage in, what every engine makes of it out.

A scene is exported as anybody would export it; engines load those files, each in a process and an environment of its
own, and report what they hold of every body and where bodies are after a fall and after two seconds on their support.
With a scene, bodies are compared with the scene's own; with a file alone, with what the file says. A missing engine is
an error when it was asked for by name, else it is listed as absent.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from scene3d._errors import DeviceError, FileFormatError, Scene3dError, UsageError
from sim_bridge.engines._environments import ENGINES, HERE, Engine, engine, find_python, install_line
from sim_bridge.engines._judge import TOLERANCES, Row, judge
from sim_bridge.engines._phases import DT, Phase, fall, rest, write_layer
from sim_bridge.engines._request import EngineAbsentError, EngineError, ask
from sim_bridge.engines._stage_bodies import StageBodies, StageBody, read_bodies
from sim_bridge.engines._supports import Solid, solid

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from scene3d import Scene

__all__ = ["EngineProof", "Proof", "verify"]

TIMEOUT = 900.0
"""An engine is ended after this [s]; Newton compiles its kernels in its first run."""
LONGEST = 60.0
UP = (0.0, 0.0, 1.0)
"""Of every stage."""


@dataclass(frozen=True)
class EngineProof:
    """What one engine made of the scene."""

    name: str
    title: str
    status: str
    """``proven``, ``beyond`` a tolerance, ``absent``, or ``failed``."""
    version: str = ""
    rows: tuple[Row, ...] = ()
    """One per rigid body."""
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
    path: Path,
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
        UsageError: There is no such engine, the time is out of range, or the scene has no metric scale.
    """
    if not DT * 2 <= seconds <= LONGEST:
        raise UsageError(f"Found {seconds:g} s; bodies can stand for up to {LONGEST:g} s.")
    chosen = ENGINES if engines is None else tuple(dict.fromkeys(map(engine, engines)))
    for which in chosen if engines is not None else ():
        if which.worker:  # Said now, not after minutes of other engines.
            find_python(which)
    with tempfile.TemporaryDirectory(prefix="scene3d-verify-") as name:
        given = _prepared(path, Path(name), seconds, assume_scale)
        proofs = []
        for which in chosen:
            if progress is not None:
                progress(which.title)
            proofs.append(_proof(given, which, asked=engines is not None))
    return Proof(path, seconds, tuple(proofs), given.notes)


@dataclass(frozen=True, eq=False)
class _Given:
    """What every engine is asked and measured against."""

    source: Path
    folder: Path
    """For files of this proof."""
    model: Path
    """The stage."""
    scene: Scene | None
    """None when a stage was given."""
    assume_scale: bool
    found: StageBodies
    """Bodies as they should be."""
    solids: tuple[Solid, ...]
    phases: dict[str, Phase]
    layers: dict[str, Path]
    notes: tuple[str, ...]


def _prepared(path: Path, folder: Path, seconds: float, assume_scale: bool) -> _Given:
    from sim_bridge.usd._read_stage import open_stage

    if not path.exists():
        raise UsageError(f"{path} does not exist. Give a scene folder, or a USD stage.")
    scene, model, notes = None, path.resolve(), []
    if path.is_dir():
        from scene3d.files import load_scene
        from sim_bridge.usd._export import export_usd

        scene, model = load_scene(path), folder / "scene.usdc"
        export_usd(scene, model, assume_scale=assume_scale)
    opened = open_stage(model)
    if opened.outside:
        raise FileFormatError(
            f"{path} names {opened.outside[0].name}, which lies outside its folder; engines would follow it. "
            "Copy it beside the stage, or take it out."
        )
    found = read_bodies(opened.stage, str(path))
    if scene is not None:
        found = replace(found, bodies=tuple(_of_scene(scene, found)))
    if found.soft:
        names = ", ".join(soft.rsplit("/", 1)[-1] for soft in found.soft)
        notes.append(f"Deformable, so left out of this rigid proof or standing still in it: {names}.")
    solids = tuple(solid(corners) for corners in found.statics)
    phases = {phase.name: phase for phase in (fall(found), rest(found, solids, seconds))}
    layers = {name: folder / f"{name}.usda" for name in phases}
    for name, phase in phases.items():
        write_layer(model, found, phase, layers[name])
    return _Given(path, folder, model, scene, assume_scale, found, solids, phases, layers, tuple(notes))


def _of_scene(scene: Scene, found: StageBodies) -> list[StageBody]:
    """The stage's bodies with what the scene holds of them, which is what engines must hold too, colliders included."""
    from sim_bridge.usd._body_prims import collider_parts

    in_stage = {body.name: body for body in found.bodies}
    bodies = []
    for thing in scene.objects:
        if thing.kind != "rigid" or thing.body.motion == "static":
            continue
        if thing.name not in in_stage:
            raise FileFormatError(f"The exported stage lost {thing.name!r}; it has {', '.join(in_stage) or 'none'}.")
        body = thing.body
        bodies.append(
            replace(
                in_stage[thing.name],
                mass=body.mass,
                com=body.com,
                inertia=body.inertia,
                friction=body.material.friction,
                corners=np.concatenate([part.vertices for part in collider_parts(body)]),
            )
        )
    return bodies


def _proof(given: _Given, which: Engine, *, asked: bool) -> EngineProof:
    try:
        answer = _answer(given, which)
        bodies = given.found.bodies if which.worker else _with_meshes(given)
        rows = judge(
            bodies,
            given.solids,
            given.phases,
            answer,
            gravity=given.found.gravity,
            exact_flight=which.exact_flight,
        )
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
    said = " ".join(answer.get("notes", ()))
    return EngineProof(which.name, which.title, status, answer["version"], rows, answer["seconds"]["run"], said)


def _answer(given: _Given, which: Engine) -> dict[str, Any]:
    request: dict[str, Any] = {
        "version": 1,
        "engine": which.name,
        "model": str(given.model),
        "assume_scale": given.assume_scale,
        "dt": DT,
        "bodies": [{"name": body.name, "path": body.path} for body in given.found.bodies],
        "phases": [
            {
                "name": phase.name,
                "stage": str(given.layers[phase.name]),
                "poses": {name: pose.tolist() for name, pose in phase.poses.items()},
                "steps": phase.steps,
                "read": list(phase.read),
            }
            for phase in given.phases.values()
        ],
    }
    if which.worker is None:
        from sim_bridge.engines._own_dynamics import run_own

        return run_own(_scene(given), request)
    python = find_python(which)
    if not which.reads_usd:
        from sim_bridge.mjcf._export import export_mjcf

        model, scene = given.folder / "mjcf" / "scene.xml", _scene(given)
        model.parent.mkdir(exist_ok=True)
        exported = export_mjcf(scene, model, assume_scale=given.assume_scale)
        request["model"] = str(model)
        called = dict(zip((thing.name for thing in scene.objects), exported.bodies, strict=True))
        request["bodies"] = [{**body, "model_name": called[body["name"]]} for body in request["bodies"]]
    return ask(python, HERE / which.worker, request, seconds=TIMEOUT)


def _scene(given: _Given) -> Scene:
    """The scene that engines without USD get, in the stage's frame: the given one, or what the stage makes."""
    if given.scene is not None and given.scene.up == UP:
        return given.scene
    from sim_bridge.usd._import import import_usd

    try:
        return import_usd(given.model).scene
    except Scene3dError as error:
        raise DeviceError(f"It reads no USD, and the stage makes no scene: {error}") from error


def _with_meshes(given: _Given) -> tuple[StageBody, ...]:
    """Bodies as our own dynamics meets them: with their whole meshes instead of convex parts."""
    scene = _scene(given)
    meshes = {thing.name: np.asarray(thing.body.mesh.vertices, dtype=np.float64) for thing in scene.objects}
    return tuple(replace(body, corners=meshes[body.name]) for body in given.found.bodies)
