"""A log of a scene's objects in motion -> what it tells of their friction, restitution and mass.

A log is an npz of `time` (T,) [s], `names` (k,) and `poses` (T, k, 7) (xyz [m] + wxyz, the frames of the scene's
objects), and `driven`, the names of those that a hand or a robot moved: their paths are imposed, not predicted. It may
be a saved `Rollout` of all objects in the scene's order too. The objects stand on the scene's largest support; rigid
ones that are not in the log stay where they are, deformable ones are left out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from scene3d._errors import FileFormatError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dynamics import Body, World
    from dynamics._posterior import Posterior
    from dynamics._recording import Recording
    from scene3d._scene import Scene
    from scene3d._support import SupportPlane

__all__ = ["MotionLog", "identify_scene", "load_log", "logged_world"]

LARGEST_FILE = 1 << 30
PARAMETERS = ("friction", "restitution", "mass")
"""What is looked for, unless asked otherwise."""
SUPPORT = "support"
"""Name of the body that objects stand on."""
FASTEST = 1 / 120
"""Longer times between frames are cut into steps of at most this [s]."""
Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class MotionLog:
    """What was seen of k objects over T frames."""

    names: tuple[str, ...]
    """Of the objects."""
    poses: tuple[Array, ...]
    """Of each run, xyz [m] + wxyz, shape (T, k, 7)."""
    dt: float
    """Between frames [s]."""
    driven: tuple[str, ...] = ()
    """Objects that something moved."""


def load_log(path: Path | str, scene: Scene) -> MotionLog:
    """Read a log of a scene's objects, or a saved rollout of all of them.

    Raises:
        FileFormatError: It cannot be read, misses something, or holds values that no motion has.
        UsageError: It names objects that the scene does not have.
    """
    path = Path(path)
    data = _read(path)
    if "T_world_body" in data:
        return _of_rollout(path, data, scene)
    missing = next((name for name in ("time", "names", "poses") if name not in data), None)
    if missing is not None:
        raise FileFormatError(f"{path} holds no `{missing}`; a log has `time`, `names` and `poses`, or is a rollout.")
    time, poses = np.asarray(data["time"], dtype=np.float64), np.asarray(data["poses"], dtype=np.float64)
    names = tuple(str(name) for name in np.atleast_1d(data["names"]))
    driven = tuple(str(name) for name in np.atleast_1d(data.get("driven", np.zeros(0, dtype="U1"))))
    if time.ndim != 1 or poses.shape != (len(time), len(names), 7):
        raise FileFormatError(
            f"{path}: `poses` has shape {poses.shape}; {len(time)} times and {len(names)} names need "
            f"({len(time)}, {len(names)}, 7)."
        )
    for name in (*names, *driven):
        scene.index(name)
    if not set(driven) <= set(names) or len(set(names)) != len(names):
        raise FileFormatError(f"{path}: `names` must be different, and hold all of `driven`: {', '.join(names)}.")
    return MotionLog(names, (_checked(path, poses),), _even(path, time), driven)


def identify_scene(
    scene: Scene,
    log: MotionLog,
    *,
    only: Sequence[str] = (),
    parameters: Sequence[str] = PARAMETERS,
    seed: int = 0,
) -> tuple[Posterior, World]:
    """The posterior of a log, and the world of its objects, for `Posterior.latents`.

    Args:
        scene: Metric, with objects and a support.
        log: From `load_log`.
        only: Objects whose parameters are looked for; none means all that moved freely.
        parameters: Quantities, as for `dynamics.identify_world`.
        seed: Of all draws.

    Raises:
        UsageError: The scene has no metric scale or no support, or `only` names what did not move freely.
    """
    from dynamics._identify import identify_world

    world, recordings = logged_world(scene, log)
    free = [name for name in log.names if name not in log.driven]
    for name in only:
        if name not in free:
            shown = ", ".join(free) or "none"
            raise UsageError(f"{name!r} did not move freely in the log; those that did: {shown}.")
    wanted = [f"{name}.{quantity}" for name in (only or free) for quantity in parameters]
    return identify_world(world, recordings, parameters=wanted, seed=seed), world


def logged_world(scene: Scene, log: MotionLog) -> tuple[World, tuple[Recording, ...]]:
    """The scene's rigid objects on their support, and the log as recordings of them.

    Raises:
        UsageError: The scene has no metric scale, no support, or a logged object is deformable or tied by a joint.
    """
    from dynamics import World
    from dynamics._primitive import body_from_plane
    from dynamics._recording import recording_of_poses

    _check_scene(scene, log)
    free = [name for name in log.names if name not in log.driven]
    things = [scene.objects[scene.index(name)] for name in (*free, *log.driven)]
    others = [thing for thing in scene.objects if thing.kind == "rigid" and thing.name not in log.names]
    others = [thing for thing in others if _near(thing.body, np.array(thing.T_world_body), things, log)]
    # A pair's friction is the geometric mean: with the objects' own, it is their coefficient "against a table".
    friction = float(np.exp(np.mean([np.log(max(thing.body.material.friction, 1e-3)) for thing in things])))
    under = replace(things[0].body.material, friction=friction, restitution=0.0)
    bodies = [body_from_plane(SUPPORT, under)]
    bodies += [thing.body.with_motion("kinematic" if thing.name in log.driven else "dynamic") for thing in things]
    bodies += [thing.body.with_motion("static") for thing in others]
    substeps = max(1, int(np.ceil(log.dt / FASTEST - 1e-6)))
    up = np.asarray(scene.up) / np.linalg.norm(scene.up)
    gx, gy, gz = (-9.81 * up).tolist()
    world = World(tuple(bodies), gravity=(gx, gy, gz), dt=log.dt / substeps)
    still = np.array([_support_pose(scene.supports[0]), *(thing.T_world_body for thing in things + others)])
    recordings = []
    for run in log.poses:
        table = np.repeat(still[None], len(run), 0)
        for k, name in enumerate(log.names):
            table[:, world.index(name)] = run[:, k]
        observed = [world.index(name) for name in free]
        recordings.append(recording_of_poses(world, table, log.dt, observed))
    return world, tuple(recordings)


def _read(path: Path) -> dict[str, NDArray]:
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise FileFormatError(f"{path} is larger than {LARGEST_FILE >> 30} GiB, which is no log of motion.")
        with np.load(path, allow_pickle=False) as file:
            wanted = ("time", "names", "poses", "driven", "T_world_body", "dt")
            return {name: np.asarray(file[name]) for name in wanted if name in file.files}
    except FileFormatError:
        raise
    except Exception as error:
        # Whatever a damaged archive makes the reader raise, the user can only be told that it is damaged.
        raise FileFormatError(f"{path} cannot be read as an npz of motion ({error}).") from error


def _of_rollout(path: Path, data: dict[str, NDArray], scene: Scene) -> MotionLog:
    poses = np.asarray(data["T_world_body"], dtype=np.float64)
    names = tuple(thing.name for thing in scene.objects)
    # `scene3d simulate` saves the tops and the floor too, after the objects.
    whole = (len(names), len(names) + len(scene.supports) + 1)
    if poses.ndim != 4 or poses.shape[2] not in whole or poses.shape[3] != 7 or "dt" not in data:
        raise FileFormatError(
            f"{path} is a rollout of bodies {poses.shape}; the scene has {len(names)} objects. "
            "Give an npz of `time`, `names` and `poses` instead."
        )
    rigid = [i for i, thing in enumerate(scene.objects) if thing.kind == "rigid"]
    runs = tuple(_checked(path, run[:, rigid]) for run in poses)
    return MotionLog(tuple(names[i] for i in rigid), runs, float(data["dt"]))


def _checked(path: Path, poses: Array) -> Array:
    if len(poses) < 3:
        raise FileFormatError(f"{path} has {len(poses)} frames; a log of motion needs three or more.")
    if not np.isfinite(poses).all():
        frame, thing = (int(i) for i in np.argwhere(~np.isfinite(poses))[0][:2])
        raise FileFormatError(f"{path}: the pose of object {thing} is not a number in frame {frame}.")
    norm = np.linalg.norm(poses[..., 3:], axis=-1)
    if not (np.abs(norm - 1) < 1e-2).all():
        worst = float(norm.flat[np.argmax(np.abs(norm - 1))])
        raise FileFormatError(f"{path} has a quaternion of length {worst:.3g}, not 1; poses are xyz + wxyz.")
    unit = poses.copy()
    unit[..., 3:] /= norm[..., None]
    return unit


def _even(path: Path, time: Array) -> float:
    steps = np.diff(time)
    middle = float(np.median(steps)) if len(steps) else 0.0
    if not (np.isfinite(time).all() and middle > 0 and (np.abs(steps - middle) <= 0.01 * middle).all()):
        raise FileFormatError(f"{path}: `time` must rise in even steps of seconds. Resample the log.")
    if middle > 0.1:
        raise FileFormatError(f"{path} has a frame every {middle:.3g} s; contacts need 0.1 s or less.")
    return middle


def _check_scene(scene: Scene, log: MotionLog) -> None:
    if not scene.metric:
        raise UsageError("The scene's lengths are not metres, so nothing falls in it. Run `scene3d scale` first.")
    if not scene.supports:
        raise UsageError("The scene has no support for objects to move on. Run `scene3d segment` again.")
    soft = next((name for name in log.names if scene.objects[scene.index(name)].kind == "deformable"), None)
    if soft is not None:
        raise UsageError(f"{soft!r} is deformable; only rigid objects are identified. Leave it out of the log.")
    tied = {side for joint in scene.joints for side in (joint.parent, joint.child)}
    hung = next((name for name in log.names if name not in log.driven and scene.index(name) in tied), None)
    if hung is not None:
        raise UsageError(
            f"A joint ties {hung!r}; only objects that move freely are identified. Leave it out of the log."
        )
    if not set(log.names) - set(log.driven):
        raise UsageError("Everything in the log was driven; identification needs an object that moved freely.")


def _near(body: Body, pose: Array, things: list, log: MotionLog) -> bool:
    """Whether a body that is not in the log is within reach of one that moves."""

    def reach(other: Body) -> float:
        return float(np.linalg.norm(other.mesh.vertices, axis=1).max())

    for k, name in enumerate(log.names):
        moving = next(thing.body for thing in things if thing.name == name)
        limit = reach(body) + reach(moving) + 0.05
        if any((np.linalg.norm(run[:, k, :3] - pose[:3], axis=1) < limit).any() for run in log.poses):
            return True
    return False


def _support_pose(support: SupportPlane) -> Array:
    """Of the half-space: its z axis is the normal, its origin the point of the plane below the world's origin."""
    import torch

    from dynamics._integrate import quaternion_of_turn

    normal = np.asarray(support.normal) / np.linalg.norm(support.normal)
    axis = np.cross([0.0, 0.0, 1.0], normal)
    sine = float(np.linalg.norm(axis))
    angle = float(np.arctan2(sine, normal[2]))
    turn = axis / sine * angle if sine > 1e-12 else np.array([angle, 0.0, 0.0])
    wxyz = quaternion_of_turn(torch.tensor(turn)).numpy()
    return np.concatenate([normal * support.offset, wxyz])
