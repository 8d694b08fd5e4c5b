"""Recorded tosses: npz -> a list of trajectories in our conventions.

A file holds one table `x` of all frames, `columns` that say what is what, `offsets` that cut the table into tosses, and
`dt` (or `time` per frame). Velocities in such files are backward differences, (p[t] - p[t-dt]) / dt, which is the
velocity half a step ago; `first_twist` turns that of the first frame into the velocity of that instant, from which a
rollout starts. Nothing here looks at later frames than a rollout may see.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dynamics._errors import FileFormatError

__all__ = ["Toss", "first_twist", "load_tosses", "toss_hash"]

LARGEST_FILE = 1 << 30
QUATERNION = ("qw", "qx", "qy", "qz")
POSITION = ("x", "y", "z")
VELOCITY = ("vx", "vy", "vz")
BODY_SPIN = ("wx_body", "wy_body", "wz_body")
WORLD_SPIN = ("wx", "wy", "wz")
Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Toss:
    """One recorded trajectory of T frames."""

    T_world_body: Array
    """Pose of the root body, xyz [m] + wxyz, shape (T, 7); signs of quaternions are continuous."""
    twist: Array
    """Backward differences: velocity of the body frame's origin [m/s], angular velocity [rad/s], world, (T, 6)."""
    joint_q: Array
    """Joint positions [rad or m], shape (T, nj)."""
    joint_qd: Array
    """Joint velocities, backward differences, shape (T, nj)."""
    dt: float
    """Time between frames [s]."""

    def __len__(self) -> int:
        return len(self.T_world_body)


def load_tosses(path: Path | str) -> tuple[Toss, ...]:
    """Read a file of tosses.

    Args:
        path: npz with `x` (N, c), `columns` (c,), `offsets` (tosses + 1,) and `dt` [s] or `time` (N,) [s]. Columns are
            ``qw qx qy qz``, ``x y z`` [m], ``vx vy vz`` [m/s], ``wx_body wy_body wz_body`` (or ``wx wy wz`` in the
            world) [rad/s], and for jointed bodies ``joint, joint_velocity`` (``joint_1, joint_velocity_1``, ...).

    Raises:
        FileFormatError: The file cannot be read, misses something, or holds values that no recording has.
    """
    data = _read(Path(path))
    x, offsets = data["x"], data["offsets"]
    columns = [str(name) for name in data["columns"]]
    if x.ndim != 2 or x.dtype.kind not in "fiu" or x.shape[1] != len(columns):
        raise FileFormatError(f"{path}: `x` has shape {x.shape} but {len(columns)} columns are named.")
    if len(set(columns)) != len(columns):
        raise FileFormatError(f"{path}: two columns have the same name in {' '.join(columns)}.")
    _check_offsets(path, offsets, len(x))
    table = {name: x[:, i].astype(np.float64) for i, name in enumerate(columns)}
    spin = BODY_SPIN if BODY_SPIN[0] in table else WORLD_SPIN
    missing = [name for name in (*QUATERNION, *POSITION, *VELOCITY, *spin) if name not in table]
    if missing:
        raise FileFormatError(f"{path}: column {missing[0]!r} is missing; found {' '.join(columns)}.")
    joints = _joint_names(path, columns)
    frames = _Frames(path, table, spin, joints)
    cuts = zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True)
    return tuple(frames.toss(i, a, b, _step(path, i, data, a, b)) for i, (a, b) in enumerate(cuts))


def first_twist(toss: Toss, gravity: float, *, frame: int = 0) -> Array:
    """Velocity of the instant at a frame of free flight, shape (6,).

    A backward difference on a parabola is the velocity half a step ago, so half a step of gravity is added.

    Args:
        toss: The recording.
        gravity: Its magnitude in the recording's own lengths [m/s^2].
        frame: Which frame.
    """
    twist = toss.twist[frame].copy()
    twist[2] -= 0.5 * gravity * toss.dt
    return twist


def toss_hash(toss: Toss) -> str:
    """Sixteen hexadecimal digits that name a recording: weights carry those of the tosses that they have seen."""
    digest = hashlib.sha256()
    for values in (toss.T_world_body, toss.twist, toss.joint_q, toss.joint_qd):
        digest.update(np.ascontiguousarray(values, dtype="<f4").tobytes())
    return digest.hexdigest()[:16]


@dataclass(frozen=True)
class _Frames:
    """The whole table, by columns."""

    path: Path | str
    table: dict[str, Array]
    spin: tuple[str, str, str]
    joints: tuple[tuple[str, str], ...]

    def columns(self, names: tuple[str, ...], a: int, b: int) -> Array:
        return np.stack([self.table[name][a:b] for name in names], axis=1) if names else np.zeros((b - a, 0))

    def toss(self, number: int, a: int, b: int, dt: float) -> Toss:
        where = f"{self.path}: toss {number}"
        if b - a < 2:
            raise FileFormatError(f"{where} has {b - a} frames; a toss needs two or more.")
        names = (*QUATERNION, *POSITION, *VELOCITY, *self.spin, *(name for pair in self.joints for name in pair))
        values = self.columns(names, a, b)
        if not np.isfinite(values).all():
            frame, column = (int(i) for i in np.argwhere(~np.isfinite(values))[0])
            raise FileFormatError(f"{where} is not a number in frame {frame}, column {names[column]!r}.")
        wxyz = self.columns(QUATERNION, a, b)
        norm = np.linalg.norm(wxyz, axis=1)
        if not (np.abs(norm - 1) < 1e-2).all():
            frame = int(np.argmax(np.abs(norm - 1)))
            raise FileFormatError(f"{where} has a quaternion of length {norm[frame]:.3g} in frame {frame}, not 1.")
        wxyz = _continuous(wxyz / norm[:, None])
        omega = self.columns(self.spin, a, b)
        if self.spin == BODY_SPIN:
            omega = _turned(wxyz, omega)
        twist = np.concatenate([self.columns(VELOCITY, a, b), omega], axis=1)
        pose = np.concatenate([self.columns(POSITION, a, b), wxyz], axis=1)
        q = self.columns(tuple(pair[0] for pair in self.joints), a, b)
        return Toss(pose, twist, q, self.columns(tuple(pair[1] for pair in self.joints), a, b), dt)


def _read(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise FileFormatError(f"{path} is larger than {LARGEST_FILE >> 30} GiB, which is no file of tosses.")
        with np.load(path, allow_pickle=False) as file:
            names = [name for name in ("x", "offsets", "columns", "dt", "time") if name in file.files]
            data = {name: np.asarray(file[name]) for name in names}
    except FileFormatError:
        raise
    except Exception as error:
        # Whatever a damaged archive makes the reader raise, the user can only be told that it is damaged.
        raise FileFormatError(f"{path} cannot be read as an npz of tosses ({error}).") from error
    missing = [name for name in ("x", "offsets", "columns") if name not in data]
    if not missing and "dt" not in data and "time" not in data:
        missing = ["dt"]
    if missing:
        raise FileFormatError(f"{path} holds no `{missing[0]}`; tosses need `x`, `offsets`, `columns` and `dt`.")
    return data


def _check_offsets(path: Path | str, offsets: NDArray[Any], rows: int) -> None:
    if offsets.ndim != 1 or len(offsets) < 2 or offsets.dtype.kind not in "iu":
        raise FileFormatError(f"{path}: `offsets` must list where tosses begin, and the end: found {offsets.shape}.")
    if offsets[0] != 0 or offsets[-1] != rows or (np.diff(offsets.astype(np.int64)) < 0).any():
        raise FileFormatError(f"{path}: `offsets` must rise from 0 to the {rows} rows of `x`.")


def _step(path: Path | str, number: int, data: dict[str, Any], a: int, b: int) -> float:
    if "time" not in data:
        dt = np.atleast_1d(data["dt"]).astype(np.float64)
        if len(dt) == 1:
            return _checked_step(path, number, float(dt[0]))
        steps = dt[a + 1 : b] if len(dt) == len(data["x"]) else dt
    else:
        steps = np.diff(np.asarray(data["time"], dtype=np.float64)[a:b])
    if len(steps) == 0:
        return 1.0  # One frame only: refused later, with the better message.
    middle = float(np.median(steps))
    if not (np.abs(steps - middle) <= 0.01 * abs(middle)).all():
        low, high = float(np.min(steps)), float(np.max(steps))
        raise FileFormatError(f"{path}: toss {number} has steps of {low:.4g} to {high:.4g} s; they must be even.")
    return _checked_step(path, number, middle)


def _checked_step(path: Path | str, number: int, dt: float) -> float:
    if not 0 < dt <= 0.1:
        raise FileFormatError(f"{path}: toss {number} has a step of {dt:.4g} s; steps are above 0 and at most 0.1 s.")
    return dt


def _joint_names(path: Path | str, columns: list[str]) -> tuple[tuple[str, str], ...]:
    positions = [name for name in columns if name.startswith("joint") and not name.startswith("joint_velocity")]
    pairs = tuple((name, name.replace("joint", "joint_velocity", 1)) for name in positions)
    for _, velocity in pairs:
        if velocity not in columns:
            raise FileFormatError(f"{path}: column {velocity!r} is missing; each joint needs position and velocity.")
    return pairs


def _continuous(wxyz: Array) -> Array:
    """The same rotations, without jumps between q and -q."""
    flips = np.where((wxyz[1:] * wxyz[:-1]).sum(1) < 0, -1.0, 1.0)
    signs: Array = np.concatenate([np.ones(1), np.multiply.accumulate(flips)])
    return wxyz * signs[:, None]


def _turned(wxyz: Array, vectors: Array) -> Array:
    """Vectors of the body's frame in the world's, both (T, 3)."""
    w, u = wxyz[:, :1], wxyz[:, 1:]
    across = 2 * np.cross(u, vectors)
    return vectors + w * across + np.cross(u, across)
