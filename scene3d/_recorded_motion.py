"""Recordings of how objects moved -> poses over time by object, to compare futures with.

Three kinds of file: an npz log as `scene3d identify` takes it (``time``, ``names``, ``poses``), a table (.csv) with a
row for each pose, and the states.npz of a rollout, of which the first future counts. A recording in other units, in
another frame or with another order of quaternions is caught where it begins: the rollout begins there too.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from scene3d._errors import FileFormatError, UsageError
from scene3d._pose_paths import angles_between

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dynamics import Rollout
    from scene3d._scene import Scene

__all__ = ["RecordedMotion", "check_beginning", "load_motion"]

COLUMNS = ("time", "name", "x", "y", "z", "qw", "qx", "qy", "qz")
"""Of a table, in any order: seconds, the object, metres, a unit quaternion."""
LARGEST = 1 << 26
"""Bytes of a table."""
SAME_MOMENT = 0.05
"""What a recording first sees later than this does not tell where the object began [s]."""
APART, APART_TURNED = 0.02, 15.0
"""Recordings that begin farther from the rollout are told [m, deg]."""
Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class RecordedMotion:
    """How one object moved."""

    name: str
    """Of the object."""
    times: Array
    """Since the recording's beginning, rising [s], shape (T,)."""
    poses: Array
    """Of the object's frame in the world: xyz [m] + wxyz, shape (T, 7)."""


def load_motion(path: Path | str, scene: Scene, seconds: float = float("inf")) -> tuple[RecordedMotion, ...]:
    """Read a recording of some of a scene's rigid objects.

    Args:
        path: The file.
        scene: Whose objects it names.
        seconds: Two poses of each object or more must lie within these.

    Raises:
        FileFormatError: It cannot be read, misses something, or holds values that no motion has.
        UsageError: There is no such file, or it names what the scene does not have or what is deformable.
    """
    path = Path(path)
    if not path.is_file():
        raise UsageError(
            f"There is no file {path}. --compare takes a log (.npz) of time, names and poses, a table (.csv) with the "
            f"columns {','.join(COLUMNS)}, or the states.npz of a rollout."
        )
    found = _from_csv(path) if path.suffix.lower() == ".csv" else _from_npz(path, scene)
    for motion in found:
        if scene.objects[scene.index(motion.name)].kind != "rigid":
            raise UsageError(f"{path} has poses of {motion.name!r}, which is deformable. Leave it out.")
        if motion.times[1] > seconds:
            raise UsageError(
                f"{path}: the second pose of {motion.name!r} comes at {motion.times[1]:.3g} s, after the end of the "
                f"rollout at {seconds:g} s. Raise --seconds."
            )
    return found


def check_beginning(scene: Scene, T_world_body: Array, motions: Sequence[RecordedMotion]) -> str:
    """A sentence about what is recorded away from where the rollout begins; empty when all fits.

    Args:
        scene: Whose objects they are.
        T_world_body: Poses of the scene's bodies at the beginning of the rollout, (nb, 7).
        motions: From `load_motion`.

    Raises:
        UsageError: An object is recorded farther away than it is large.
    """
    told: list[str] = []
    for motion in motions:
        index = scene.index(motion.name)
        away = float(np.linalg.norm(motion.poses[0, :3] - T_world_body[index, :3]))
        turned = float(np.degrees(angles_between(motion.poses[0, 3:], T_world_body[index, 3:])))
        if motion.times[0] > SAME_MOMENT:
            continue
        size = float(np.linalg.norm(np.subtract(*scene.objects[index].body.mesh.bounds)))
        if away > size:
            raise UsageError(
                f"The recording of {motion.name!r} begins {away:.3g} m from where the rollout does, and the object is "
                f"{size:.2g} m large. It must be in metres and in the scene's world, or --state must begin where it "
                "does."
            )
        if away > APART or turned > APART_TURNED:
            told.append(f"{motion.name} {100 * away:.2g} cm and {turned:.0f} deg")
    if not told:
        return ""
    return (
        f"The recording begins elsewhere than the rollout: {', '.join(told)} away. Is it in the frames of the scene's "
        "objects, with quaternions as wxyz? `--state` with an npz log begins where it does."
    )


def _from_csv(path: Path) -> tuple[RecordedMotion, ...]:
    rows: dict[str, list[list[float]]] = {}
    try:
        if path.stat().st_size > LARGEST:
            raise FileFormatError(f"{path} is larger than {LARGEST >> 20} MiB. Take fewer poses a second.")
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, restkey="too many", strict=True, skipinitialspace=True)
            header = tuple(reader.fieldnames or ())
            if not header:
                raise FileFormatError(f"{path} is empty; it takes {','.join(COLUMNS)}.")
            if sorted(header) != sorted(COLUMNS):
                raise FileFormatError(f"{path} has the columns {','.join(header)}; it takes {','.join(COLUMNS)}.")
            for row in reader:
                rows.setdefault(str(row["name"]), []).append(_numbers(path, reader.line_num, row))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise FileFormatError(f"{path} cannot be read as a table ({error}).") from error
    if not rows:
        raise FileFormatError(f"{path} has no rows.")
    tables = {name: np.array(values, dtype=np.float64) for name, values in rows.items()}
    begin = min(float(table[0, 0]) for table in tables.values())
    return tuple(_checked(path, name, table[:, 0] - begin, table[:, 1:]) for name, table in tables.items())


def _numbers(path: Path, line: int, row: dict[str, str]) -> list[float]:
    try:
        if "too many" in row:
            raise ValueError
        return [float(row[column]) for column in COLUMNS if column != "name"]
    except (TypeError, ValueError) as error:
        raise FileFormatError(f"{path}, line {line}: each column but name takes one number.") from error


def _from_npz(path: Path, scene: Scene) -> tuple[RecordedMotion, ...]:
    from scene3d._identify_scene import load_log

    if _is_rollout(path):
        rollout = _rollout(path, scene)
        return _of_rollout(path, rollout.T_world_body.double().numpy(), rollout.dt, scene)
    log = load_log(path, scene)
    times = log.dt * np.arange(len(log.poses[0]), dtype=np.float64)
    return tuple(_checked(path, name, times, log.poses[0][:, k]) for k, name in enumerate(log.names))


def _is_rollout(path: Path) -> bool:
    import zipfile

    try:
        with zipfile.ZipFile(path) as archive:
            return {"T_world_body.npy", "overlap.npy"} <= set(archive.namelist())
    except (OSError, zipfile.BadZipFile) as error:
        raise FileFormatError(f"{path} is neither an npz archive nor a .csv ({error}).") from error


def _rollout(path: Path, scene: Scene) -> Rollout:
    """A saved rollout; where its record lies beside it, names and shapes of its bodies are compared too."""
    from dynamics import Rollout
    from scene3d._rollout_folder import ROLLOUTS, STATES, list_rollouts, load_rollout

    where = path.resolve().parent
    folder = where.parent.parent
    if (path.name, where.parent.name) == (STATES, ROLLOUTS) and where.name in list_rollouts(folder):
        return load_rollout(scene, folder, where.name).rollout
    return Rollout.load(path)


def _of_rollout(path: Path, poses: Array, dt: float, scene: Scene) -> tuple[RecordedMotion, ...]:
    from scene3d._scene_world import body_names

    bodies = len(body_names(scene))
    if poses.ndim != 4 or poses.shape[2:] != (bodies, 7) or not len(poses) or not dt > 0:
        raise UsageError(
            f"{path} is a rollout of another scene: its poses are {poses.shape}, this scene has {bodies} bodies."
        )
    times = dt * np.arange(poses.shape[1], dtype=np.float64)
    rigid = [(i, thing.name) for i, thing in enumerate(scene.objects) if thing.kind == "rigid"]
    return tuple(_checked(path, name, times, poses[0, :, i]) for i, name in rigid)


def _checked(path: Path, name: str, times: Array, poses: Array) -> RecordedMotion:
    if len(times) < 2 or not np.isfinite(times).all() or not (np.diff(times) > 0).all():
        raise FileFormatError(f"{path}: {name!r} needs two poses or more, at times that rise.")
    if not np.isfinite(poses).all():
        frame = int(np.argwhere(~np.isfinite(poses))[0][0])
        raise FileFormatError(f"{path}: the pose of {name!r} is not a number in frame {frame}.")
    norm = np.linalg.norm(poses[:, 3:], axis=1)
    if not (np.abs(norm - 1) < 1e-2).all():
        worst = float(norm[np.argmax(np.abs(norm - 1))])
        raise FileFormatError(f"{path}: {name!r} has a quaternion of length {worst:.3g}, not 1; they are wxyz.")
    return RecordedMotion(name, times, np.concatenate([poses[:, :3], poses[:, 3:] / norm[:, None]], axis=1))
