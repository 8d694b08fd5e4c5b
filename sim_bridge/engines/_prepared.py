"""What a proof is about: a scene folder or a stage in, what every engine is asked and measured against out.

A scene is exported as anybody would export it. What moves is read back from that stage; with a scene it gets the
scene's own mass properties and surfaces, which are what engines must hold. Rigid and deformable things are trials of
their own, since no engine here moves both.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from scene3d._errors import DeviceError, FileFormatError, Scene3dError, UsageError
from sim_bridge.engines._phases import Phase, fall, rest, write_layer
from sim_bridge.engines._stage_bodies import StageBodies, StageBody, StageThing, read_bodies
from sim_bridge.engines._stage_soft import StageSoft, read_soft
from sim_bridge.engines._supports import Solid, solid

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from scene3d import Scene

__all__ = ["Prepared", "Trial", "prepare"]

UP = (0.0, 0.0, 1.0)
"""Of every stage."""
EARTH = (0.0, 0.0, -9.81)
"""Gravity of every scene [m/s^2]."""


@dataclass(frozen=True, eq=False)
class Trial:
    """Things that are proven together."""

    phases: dict[str, Phase]
    """By name."""
    layers: dict[str, Path]
    """The stage as each phase begins, by its name."""


@dataclass(frozen=True, eq=False)
class Prepared:
    """What every engine is asked and measured against."""

    folder: Path
    """For files of this proof."""
    model: Path
    """The stage."""
    given: Scene | None
    """None when a stage was given."""
    assume_scale: bool
    bodies: tuple[StageBody, ...]
    """Rigid bodies as they should be."""
    soft: tuple[StageSoft, ...]
    """Deformables as they should be."""
    solids: tuple[Solid, ...]
    """What stands still."""
    gravity: NDArray[np.float64]
    """[m/s^2], shape (3,)."""
    rigid_trial: Trial | None
    """None when there is no rigid body."""
    soft_trial: Trial | None
    """None when there is nothing deformable."""
    notes: tuple[str, ...]
    """What people should know."""

    def scene(self) -> Scene:
        """What engines without USD get, in the stage's frame: the given scene, or what the stage makes.

        As in the layers of the stage, nothing is led along and nothing hangs together.

        Raises:
            DeviceError: The stage makes none, or one that is not the same.
        """
        scene = self._scene()
        lost = {body.name for body in self.bodies} - {thing.name for thing in scene.objects}
        if lost:
            raise DeviceError(f"It reads no USD, and the scene that the stage makes calls {min(lost)!r} otherwise.")
        things = (
            replace(thing, body=thing.body.with_motion("dynamic")) if thing.body.motion == "kinematic" else thing
            for thing in scene.objects
        )
        return replace(scene, objects=tuple(things), joints=())

    def _scene(self) -> Scene:
        if self.given is not None and self.given.up == UP:
            return self.given
        from sim_bridge.usd._import import import_usd

        if not np.allclose(self.gravity, EARTH, atol=0.01):
            raise DeviceError("It reads no USD, and a scene has the gravity of the Earth, unlike the stage.")
        try:
            return import_usd(self.model).scene
        except Scene3dError as error:
            raise DeviceError(f"It reads no USD, and the stage makes no scene: {error}") from error


def prepare(path: Path, folder: Path, seconds: float, *, assume_scale: bool = False) -> Prepared:
    """Export or open, read, and write the layers of all phases.

    Args:
        path: Scene folder or stage.
        folder: For files; empty.
        seconds: How long things stand [s].
        assume_scale: Take a unit of a scene without metric scale for a metre.

    Raises:
        FileFormatError: The stage cannot be proven as it is; the message says why.
        UsageError: There is nothing at that path, or the scene has no metric scale.
    """
    from sim_bridge.usd._read_stage import open_stage, reading

    scene, model = _model(path, folder, assume_scale)
    opened = open_stage(model)
    if opened.outside:
        raise FileFormatError(
            f"{path} names {opened.outside[0].name}, which lies outside its folder; engines would follow it. "
            "Copy it beside the stage, or take it out."
        )
    with reading(path):
        found = read_bodies(opened.stage, str(path))
        soft, left = read_soft(opened.stage, found.soft)
        bodies = found.bodies
        if scene is not None:
            bodies, soft = _rigid_of(scene, bodies), _soft_of(scene, soft)
        solids = tuple(solid(corners) for corners in found.statics)
        place = _Place(model, folder, found, solids, seconds)
        rigid_trial = _trial(place, bodies, found.soft, "")
        soft_trial = _trial(place, soft, [body.path for body in found.bodies], "soft-")
    return Prepared(
        folder=folder,
        model=model,
        given=scene,
        assume_scale=assume_scale,
        bodies=bodies,
        soft=soft,
        solids=solids,
        gravity=found.gravity,
        rigid_trial=rigid_trial,
        soft_trial=soft_trial,
        notes=_notes(found, left),
    )


def _model(path: Path, folder: Path, assume_scale: bool) -> tuple[Scene | None, Path]:
    """The scene, None for a stage, and the stage: a scene is exported, a stage of others read once in a child first."""
    if not path.exists():
        raise UsageError(f"{path} does not exist. Give a scene folder, or a USD stage.")
    if path.is_dir():
        from scene3d.files import load_scene
        from sim_bridge.usd._export import export_usd

        scene = load_scene(path)
        return scene, export_usd(scene, folder / "scene.usdc", assume_scale=assume_scale).path
    from sim_bridge.usd._read_probe import probe
    from sim_bridge.usd._read_stage import usd_file

    probe(usd_file(path), "read")
    return None, path.resolve()


@dataclass(frozen=True, eq=False)
class _Place:
    """Where trials take place."""

    model: Path
    folder: Path
    found: StageBodies
    solids: tuple[Solid, ...]
    seconds: float


def _trial(place: _Place, things: Sequence[StageThing], idle: Sequence[str], prefix: str) -> Trial | None:
    """The trial of some things without the others; None without things."""
    if not things:
        return None
    found = place.found
    phases = {phase.name: phase for phase in (fall(things, found.statics), rest(things, place.solids, place.seconds))}
    layers = {name: place.folder / f"{prefix}{name}.usda" for name in phases}
    for name, phase in phases.items():
        write_layer(place.model, things, phase.poses, [*idle, *found.joints], layers[name])
    return Trial(phases, layers)


def _notes(found: StageBodies, left: Sequence[str]) -> tuple[str, ...]:
    notes = []
    led = [body.name for body in found.bodies if body.kinematic]
    if led:
        notes.append(f"{', '.join(led)}: kinematic, set free for this proof.")
    if found.joints:
        notes.append("Joints are left out: each body is proven by itself.")
    if left:
        notes.append(f"{', '.join(left)}: deformable without masses of its points, so there is nothing to compare.")
    return tuple(notes)


def _rigid_of(scene: Scene, bodies: Sequence[StageBody]) -> tuple[StageBody, ...]:
    """The stage's bodies with what the scene holds of them, which is what engines must hold too, colliders included."""
    from sim_bridge.usd._body_prims import collider_parts

    in_stage = {body.name: body for body in bodies}
    found = []
    for thing in scene.objects:
        if thing.kind != "rigid" or thing.body.motion == "static":
            continue
        if thing.name not in in_stage:
            raise FileFormatError(f"The exported stage lost {thing.name!r}; it has {', '.join(in_stage) or 'none'}.")
        body = thing.body
        found.append(
            replace(
                in_stage[thing.name],
                mass=body.mass,
                com=body.com,
                inertia=body.inertia,
                friction=body.material.friction,
                static_friction=body.material.friction,
                restitution=body.material.restitution,
                corners=np.concatenate([part.vertices for part in collider_parts(body)]),
            )
        )
    return tuple(found)


def _soft_of(scene: Scene, soft: Sequence[StageSoft]) -> tuple[StageSoft, ...]:
    """The same of deformables."""
    found = []
    for each in soft:
        particles = scene.objects[scene.index(each.name)].body.particles
        assert particles is not None  # It was exported from them.
        com = particles.masses @ particles.points / particles.masses.sum()
        found.append(replace(each, mass=float(particles.masses.sum()), com=com, particles=len(particles)))
    return tuple(found)
