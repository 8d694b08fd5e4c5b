"""Rollouts <-> ``SCENE/rollouts/ID/``, the folders that `scene3d simulate` and the viewer write and read.

    states.npz      the `dynamics.Rollout`: every pose, velocity, action and draw, bit for bit
    rollout.yaml    the bodies and their shapes, what was done, what became of it, the guard's verdict

A folder is filled under a hidden name and renamed when it is whole, so that nobody sees half of one and two writers
never take the same number. Rollouts are of one scene: poses of another's bodies would draw nonsense, so names and
shapes are compared when one is read. Other names for the same shapes are a rename, and read as such. Other masses than
then are told, not refused: what it shows stays what it was.
"""

from __future__ import annotations

import os
import re
import shutil
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import numpy as np

from scene3d._errors import FileFormatError, UsageError

if TYPE_CHECKING:
    from dynamics import Body, Rollout, State
    from scene3d._scene import Scene
    from scene3d._simulate import Simulation

__all__ = [
    "SavedRollout",
    "list_rollouts",
    "load_rollout",
    "rollout_folder",
    "save_simulation",
    "state_at",
]

ROLLOUTS, STATES, RECORD, OLD_RECORD = "rollouts", "states.npz", "rollout.yaml", "rollout.json"
LARGEST_RECORD = 16 << 20
"""Bytes."""
CLOSE = 1e-4
"""Corners of two boxes that are nearer than this share of the size belong to the same shape: files round numbers."""
SAME_MASS = 1e-3
"""As a share."""
TRIES = 1000
BLOCK = 1 << 20


class _Shape(msgspec.Struct, forbid_unknown_fields=True):
    """What tells a body from another of the same name."""

    vertices: int
    faces: int
    low: tuple[float, float, float]
    high: tuple[float, float, float]
    mass: float


class _Spread(msgspec.Struct):
    median: float | None = None
    low: float | None = None
    high: float | None = None


class _Row(msgspec.Struct):
    """As `Outcome.row` makes them."""

    name: str
    outcome: str
    shares: dict[str, float]
    moved: _Spread = msgspec.field(default_factory=_Spread)
    turned_deg: _Spread = msgspec.field(default_factory=_Spread)
    settled_s: _Spread = msgspec.field(default_factory=_Spread)


class _Record(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What rollout.yaml says."""

    version: int = 1
    bodies: Annotated[list[str], msgspec.Meta(max_length=4096)]
    deeds: list[str] = []
    branch_of: str | None = None
    branch_time: float | None = None
    branch_future: int | None = None
    futures: int
    seconds: float
    drawn_from: str = ""
    network: str | None = None
    in_support: float | None = None
    guard: str = ""
    flagged: list[int] = []
    outcomes: list[_Row] = []
    shapes: Annotated[list[_Shape], msgspec.Meta(max_length=4096)] = []


@dataclass(frozen=True, eq=False)
class SavedRollout:
    """A rollout of a scene, read from its folder."""

    id: str
    """Name of the folder, e.g. ``003``."""
    folder: Path
    rollout: Rollout
    """B futures of nb bodies at T times."""
    bodies: tuple[str, ...]
    """Names in the order of the rollout: the scene's objects, the tops that they stand on, the floor."""
    deeds: tuple[str, ...]
    """What was done, e.g. ``push can,3,0,0``."""
    document: Mapping[str, Any]
    """``outcomes``, ``in_support``, ``guard``, ``flagged``, ``drawn_from``, ``branch_of``, ``branch_time`` ..., as
    `Simulation.document` has them."""
    changed: tuple[str, ...] = ()
    """Objects whose mass is another one now; what a new rollout would show may differ."""


def list_rollouts(folder: Path | str) -> tuple[str, ...]:
    """Ids of the rollouts in a scene folder, oldest first; empty when there are none."""
    rollouts = Path(folder) / ROLLOUTS
    if not rollouts.is_dir():
        return ()
    found = [path for path in rollouts.iterdir() if _is_id(path.name) and (path / STATES).is_file()]
    names = [path.name for path in found if (path / RECORD).is_file() or (path / OLD_RECORD).is_file()]
    return tuple(sorted(names, key=lambda name: (not name.isdigit(), int(name) if name.isdigit() else 0, name)))


def rollout_folder(folder: Path, id: str) -> Path:
    """Where a rollout of a scene folder lies.

    Raises:
        UsageError: There is no such rollout.
    """
    known = list_rollouts(folder)
    if id not in known:
        has = f"It has {', '.join(known)}." if known else "It has none: `scene3d simulate` makes some."
        raise UsageError(f"There is no rollout {id!r} in {folder}. {has}")
    return folder / ROLLOUTS / id


def save_simulation(
    simulation: Simulation,
    folder: Path | str,
    *,
    deeds: Sequence[str] = (),
    branch: tuple[str, float] | tuple[str, float, int] | None = None,
) -> Path:
    """Write a simulation below a scene folder; returns the new folder, whose name is the rollout's id.

    Args:
        simulation: From `simulate`.
        folder: The scene folder.
        deeds: What was done, in words.
        branch: Id of the rollout that it branched off from, the time [s] and, if said, the future (0 else).

    Raises:
        OutputError: It cannot be written; then nothing is left behind.
    """
    from scene3d.files._atomic import cannot_write, make_folder
    from scene3d.files._scene_file import encode_yaml

    rollouts = Path(folder) / ROLLOUTS
    make_folder(rollouts)
    record = _Record(
        bodies=[body.name for body in simulation.world.bodies],
        deeds=list(deeds),
        branch_of=None if branch is None else branch[0],
        branch_time=None if branch is None else float(branch[1]),
        branch_future=None if branch is None else int(branch[2]) if len(branch) > 2 else 0,
        shapes=[_shape(body) for body in simulation.world.bodies],
        **simulation.document(),
    )
    part = rollouts / f".{os.getpid()}-{os.urandom(4).hex()}.tmp"
    try:
        part.mkdir()
        _write_states(simulation.rollout, part / STATES)
        (part / RECORD).write_bytes(encode_yaml(record))
        return _named(part, rollouts)
    except OSError as error:
        raise cannot_write(rollouts, error, 0) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def load_rollout(scene: Scene, folder: Path | str, id: str) -> SavedRollout:
    """Read a rollout of a scene.

    Args:
        scene: The scene that is in the folder, to compare with.
        folder: The scene folder.
        id: One of `list_rollouts`.

    Raises:
        UsageError: There is no such rollout, or it is of another scene: its bodies have other names or shapes.
        FileFormatError: It is damaged.
    """
    from dynamics import Rollout

    folder = Path(folder)
    where = rollout_folder(folder, id)
    record = _read_record(where)
    changed = _compared(scene, record, where)
    record = _called_as_now(scene, record)
    rollout = Rollout.load(where / STATES)
    _check(rollout, record, scene, where)
    document = {
        name: value
        for name, value in msgspec.to_builtins(record).items()
        if name not in ("version", "bodies", "deeds", "shapes")
    }
    return SavedRollout(id, where, rollout, tuple(record.bodies), tuple(record.deeds), document, changed)


def state_at(saved: SavedRollout, future: int, time: float) -> State:
    """The kept state that is nearest to a moment, one world, for `simulate(..., state=...)`.

    It knows since when bodies have been at rest, so that what slept goes on sleeping.

    Args:
        saved: From `load_rollout`.
        future: Which of its futures, from 0.
        time: Since its start [s].

    Raises:
        UsageError: There is no such future or time, or the state holds what is no number.
    """
    rollout = saved.rollout
    futures, times = rollout.T_world_body.shape[:2]
    end = rollout.dt * (times - 1)
    if not 0 <= future < futures:
        raise UsageError(f"Rollout {saved.id} has no future {future}; it has 0 to {futures - 1}.")
    if not -1e-6 <= time <= end + 0.5 * rollout.dt:
        raise UsageError(f"Rollout {saved.id} has no moment {time:g} s; it lasts from 0 to {end:g} s.")
    index = min(max(round(time / rollout.dt), 0), times - 1)
    state = rollout.at(index)[future]
    if not bool(state.T_world_body.isfinite().all() and state.twist.isfinite().all()):
        raise UsageError(
            f"Future {future} of rollout {saved.id} holds what is no number at {time:g} s, so nothing can go on there."
        )
    return state


def _is_id(name: str) -> bool:
    return re.fullmatch(r"\w[\w -]{0,63}", name) is not None


def _write_states(rollout: Rollout, path: Path) -> None:
    """As `Rollout.save` does, but packed: held particles and repeated actions are long and hold little."""
    plain = path.with_suffix(".part")
    rollout.save(plain)
    with zipfile.ZipFile(plain) as source, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as target:
        for name in source.namelist():
            with source.open(name) as entry, target.open(name, "w", force_zip64=True) as room:
                shutil.copyfileobj(entry, room, BLOCK)
    plain.unlink()
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _named(part: Path, rollouts: Path) -> Path:
    """Give the finished folder the next number; whoever comes second finds it taken and takes the one after."""
    from scene3d.files._atomic import sync_folder

    taken = [int(path.name) for path in rollouts.iterdir() if path.name.isdigit()]
    number = max(taken, default=0) + 1
    for target in (rollouts / f"{number + further:03d}" for further in range(TRIES)):
        try:
            # Fails on a folder that holds something, and on a file.
            os.rename(part, target)
        except OSError:
            if not target.exists():
                raise
            continue
        sync_folder(rollouts)
        return target
    raise OSError(f"no number after {number} is free")


def _read_record(where: Path) -> _Record:
    from scene3d.files._scene_file import decode_yaml

    path = where / RECORD
    try:
        if path.is_file():
            return msgspec.convert(decode_yaml(path, f"Delete {where} and simulate again."), _Record)
        path = where / OLD_RECORD
        if path.stat().st_size > LARGEST_RECORD:
            raise FileFormatError(f"{path} is larger than {LARGEST_RECORD >> 20} MiB, which is no rollout's record.")
        return msgspec.json.decode(path.read_bytes(), type=_Record)
    except (msgspec.ValidationError, msgspec.DecodeError, OSError) as error:
        raise FileFormatError(f"{path} is damaged ({error}). Delete {where} and simulate again.") from error


def _compared(scene: Scene, record: _Record, where: Path) -> tuple[str, ...]:
    """Objects whose mass changed; refuses a rollout of other bodies."""
    from scene3d._scene_world import body_names

    names = body_names(scene)
    if tuple(record.bodies) != names and not _only_renamed(scene, record, names):
        raise UsageError(
            f"{where} is a rollout of another scene: it moves {', '.join(record.bodies)}, and this scene has "
            f"{', '.join(names)}. Simulate this one anew."
        )
    changed: list[str] = []
    for thing, then in zip(scene.objects, record.shapes, strict=False):
        now = _shape(thing.body)
        if not _same_shape(now, then):
            raise UsageError(
                f"{where} is a rollout of another scene: its {_words(thing.name, then)}, this scene's "
                f"{_words(thing.name, now)}. Simulate this one anew."
            )
        if abs(now.mass - then.mass) > SAME_MASS * then.mass:
            changed.append(thing.name)
    return tuple(changed)


def _only_renamed(scene: Scene, record: _Record, names: Sequence[str]) -> bool:
    """Whether a record is of these very objects under other names, none of which one of them had then."""
    if not len(record.bodies) == len(names) == len(record.shapes):
        return False
    then = record.bodies[: len(scene.objects)]
    fresh = {now for old, now in zip(then, names, strict=False) if now != old}
    same = all(_same_shape(_shape(thing.body), old) for thing, old in zip(scene.objects, record.shapes, strict=False))
    return same and fresh.isdisjoint(then)


def _called_as_now(scene: Scene, record: _Record) -> _Record:
    from scene3d._renamed import renamed_words
    from scene3d._scene_world import body_names

    bodies = body_names(scene)
    names = dict(zip(record.bodies, bodies, strict=True))
    rows = [msgspec.structs.replace(row, name=names.get(row.name, row.name)) for row in record.outcomes]
    deeds = [renamed_words(deed, names) for deed in record.deeds]
    return msgspec.structs.replace(record, bodies=list(bodies), deeds=deeds, outcomes=rows)


def _shape(body: Body) -> _Shape:
    low, high = body.mesh.bounds.tolist()
    # Four digits of a micrometre are noise of files, and long lists of digits are hard to read.
    low, high = ((round(x, 7), round(y, 7), round(z, 7)) for x, y, z in (low, high))
    return _Shape(len(body.mesh.vertices), len(body.mesh.faces), low, high, float(f"{body.mass:.6g}"))


def _same_shape(a: _Shape, b: _Shape) -> bool:
    near = CLOSE * float(np.linalg.norm(np.subtract(b.high, b.low)))
    same = (a.vertices, a.faces) == (b.vertices, b.faces)
    return same and bool(np.allclose((*a.low, *a.high), (*b.low, *b.high), rtol=0, atol=near))


def _words(name: str, shape: _Shape) -> str:
    sides = " x ".join(f"{100 * side:.3g}" for side in np.subtract(shape.high, shape.low).tolist())
    return f"{name} is {sides} cm large with {shape.faces} faces and {shape.mass:.3g} kg"


def _check(rollout: Rollout, record: _Record, scene: Scene, where: Path) -> None:
    """Refuse arrays that contradict each other, before anybody indexes them."""
    poses = rollout.T_world_body
    bodies = len(record.bodies)
    particles = sum(len(t.body.particles.points) for t in scene.objects if t.body.particles is not None)
    lead = tuple(poses.shape[:2])
    if 0 in lead:
        raise FileFormatError(f"{where / STATES} is damaged: it holds no state. Delete {where} and simulate again.")
    timed = {"T_world_body": (bodies, 7), "twist": (bodies, 6), "still": (bodies,), "x": (particles, 3)}
    joints = min(rollout.joint_q.shape[-1], len(scene.joints))  # Fewer when some of their bodies were driven.
    timed |= {"v": (particles, 3), "joint_q": (joints,), "joint_qd": (joints,)}
    wanted = [(name, getattr(rollout, name), (*lead, *shape)) for name, shape in timed.items()]
    if rollout.latents is not None:
        drawn = vars(rollout.latents)
        wanted += [(name, part, (*lead[:1], bodies, 3)[: part.ndim]) for name, part in drawn.items()]
    last = {"contact_point": rollout.contact_point, "contact_impulse": rollout.contact_impulse}
    wanted += [(name, part, (*lead[:1], *part.shape[1:])) for name, part in last.items() if part is not None]
    for name, part, shape in wanted:
        if tuple(part.shape) != shape or len(lead) != 2:
            raise FileFormatError(
                f"{where / STATES} is damaged: {name} has shape {tuple(part.shape)}, and {bodies} bodies need {shape}. "
                "Simulate again."
            )
    if not (np.isfinite(rollout.dt) and rollout.dt > 0):
        raise FileFormatError(f"{where / STATES} is damaged: its time between states is {rollout.dt:g} s.")
