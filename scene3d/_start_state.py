"""Where a simulation begins, if not at the photos: a saved state, a moment of a rollout, or where a recording begins.

A text, as after ``--state``, in; a state of one world out, with what a branch remembers of the rollout it leaves.
"""

from __future__ import annotations

import re
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from scene3d._errors import FileFormatError, UsageError

if TYPE_CHECKING:
    from dynamics import Latents, State, World
    from scene3d._identify_scene import MotionLog
    from scene3d._rollout_folder import SavedRollout
    from scene3d._scene import Scene

__all__ = ["Start", "latents_at", "start_of"]

FORM = "it takes a file of a state (.npz), of a recording (.npz), or ROLLOUT[@SECONDS][#FUTURE], e.g. 003@0.5#2"


@dataclass(frozen=True, eq=False)
class Start:
    """How a simulation begins."""

    state: State
    """One world."""
    latents: Latents | None = None
    """What the future that it branches off from had instead of medians, one world."""
    branch: tuple[str, float, int] | None = None
    """Rollout, time [s] and future that it branches off from."""


def start_of(text: str, scene: Scene, folder: Path, world: World) -> Start:
    """Read what ``--state`` names.

    Args:
        text: Path of a saved `State` of one world or of a motion log, or a moment ``ROLLOUT[@SECONDS][#FUTURE]``: by
            default its end, in its first future.
        scene: The scene.
        folder: Its folder.
        world: Its world.

    Raises:
        UsageError: It is none of these, or does not fit the scene.
        FileFormatError: The file is damaged.
    """
    path = Path(text)
    if path.suffix.lower() == ".npz" or path.is_file():
        return Start(_from_file(path, scene, world))
    match = re.fullmatch(r"([^@#]+?)(?:@(\d+\.?\d*|\.\d+))?(?:#(\d{1,9}))?", text.strip())
    if match is None:
        raise UsageError(f"Found --state {text}; {FORM}.")
    return _from_rollout(match[1], match[2], match[3], scene, folder)


def latents_at(saved: SavedRollout, future: int) -> Latents | None:
    """What a future of a rollout was drawn to have, one world, for `simulate(..., latents=...)`; None if not kept."""
    from dynamics import Latents

    kept = saved.rollout.latents
    if kept is None:
        return None
    return Latents(**{name: getattr(kept, name)[future : future + 1].clone() for name in Latents.__dataclass_fields__})


def _from_rollout(id: str, seconds: str | None, future: str | None, scene: Scene, folder: Path) -> Start:
    from scene3d._rollout_folder import list_rollouts, load_rollout, state_at

    if id not in list_rollouts(folder):
        ids = list_rollouts(folder)
        known = ", ".join([*ids[:2], "...", *ids[-3:]] if len(ids) > 6 else ids) or "none"
        raise UsageError(f"Found --state {id}, and {folder} has no such rollout (it has {known}); {FORM}.")
    saved = load_rollout(scene, folder, id)
    which = int(future or 0)
    time = saved.rollout.dt * (len(saved.rollout) - 1) if seconds is None else float(seconds)
    state = state_at(saved, which, time)
    return Start(state, latents_at(saved, which), (id, time, which))


def _from_file(path: Path, scene: Scene, world: World) -> State:
    from dynamics import State

    if not path.is_file():
        raise UsageError(f"There is no file {path}. For --state, {FORM}.")
    names = _names(path)
    if {"time", "poses"} <= names:
        from scene3d._identify_scene import load_log

        return state_of_log(load_log(path, scene), scene, world)
    if "overlap" in names:
        raise UsageError(
            f"{path} is a whole rollout; say a moment of it as ROLLOUT@SECONDS, e.g. {path.parent.name}@0.5."
        )
    state = State.load(path)
    _check(state, world, path)
    return state


def state_of_log(log: MotionLog, scene: Scene, world: World) -> State:
    """The photos' moment, but for logged objects: those are where the recording begins, and move as it does there."""
    import torch

    from dynamics._recording import recording_of_poses
    from scene3d._scene_world import scene_state

    state = scene_state(scene, world)
    poses, twist, still = state.T_world_body.clone(), state.twist.clone(), state.still.clone()
    path = log.poses[0]
    table = np.repeat(poses.double().numpy(), len(path), axis=0)
    seen = [scene.index(name) for name in log.names]
    table[:, seen] = path
    slopes = recording_of_poses(world, table, log.dt, seen).twist
    for index in seen:
        com = np.asarray(world.bodies[index].com)
        arm = _turned(table[0, index, 3:], com)
        speed, turn = slopes[index, :3], slopes[index, 3:]
        poses[0, index] = torch.tensor(table[0, index]).to(poses)
        twist[0, index] = torch.tensor(np.concatenate([speed + np.cross(turn, arm), turn])).to(twist)
        still[0, index] = 0
    return replace(state, T_world_body=poses, twist=twist, still=still)


def _turned(wxyz: np.ndarray, vector: np.ndarray) -> np.ndarray:
    import torch

    from dynamics.poses import rotation_from_wxyz

    return rotation_from_wxyz(torch.from_numpy(wxyz)).numpy() @ vector


def _names(path: Path) -> set[str]:
    try:
        with zipfile.ZipFile(path) as archive:
            return {name.removesuffix(".npy") for name in archive.namelist()}
    except (OSError, zipfile.BadZipFile) as error:
        raise FileFormatError(f"{path} is no npz archive ({error}). For --state, {FORM}.") from error


def _check(state: State, world: World, path: Path) -> None:
    """What the rollout itself does not check; it looks at poses and twists."""
    bodies = len(world.bodies)
    particles = sum(len(body.particles.points) for body in world.bodies if body.particles is not None)
    if state.T_world_body.ndim != 3 or len(state) != 1:
        raise UsageError(f"{path} holds {len(state)} worlds; a simulation begins with one. Save `state[i]`.")
    wanted = {
        "T_world_body": (1, bodies, 7),
        "twist": (1, bodies, 6),
        "still": (1, bodies),
        "x": (1, particles, 3),
        "v": (1, particles, 3),
    }
    for name, shape in wanted.items():
        found = tuple(getattr(state, name).shape)
        if found != shape:
            raise UsageError(
                f"{path} is a state of another scene: {name} has shape {found}, and this scene's {bodies} bodies "
                f"({', '.join(body.name for body in world.bodies)}) need {shape}."
            )
