"""Recorded tosses: the real file, conventions of velocities, and files that are refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dynamics._errors import FileFormatError
from dynamics._tosses import first_twist, load_tosses, toss_hash

COLUMNS = "qw qx qy qz x y z wx_body wy_body wz_body vx vy vz".split()


def table(frames: int = 12, dt: float = 0.01) -> np.ndarray:
    """A body that falls and turns about its own x axis, which lies along the world's y."""
    t = np.arange(frames) * dt
    half, spin = np.sqrt(0.5), 3.0
    turn = np.stack([np.cos(spin * t / 2), np.sin(spin * t / 2)], axis=1)
    # q = (quarter turn about z) * (turn about x).
    q = half * np.stack([turn[:, 0], turn[:, 1], turn[:, 1], turn[:, 0]], axis=1)
    position = np.stack([0.5 * t, 0 * t, 1 - 0.5 * 9.81 * t**2], axis=1)
    velocity = np.stack([0.5 + 0 * t, 0 * t, -9.81 * (t - dt / 2)], axis=1)
    return np.concatenate([q, position, np.tile([spin, 0, 0], (frames, 1)), velocity], axis=1)


def write(path: Path, frames: np.ndarray, **changes: object) -> Path:
    values: dict[str, object] = {
        "x": frames.astype(np.float32),
        "offsets": np.array([0, len(frames)]),
        "columns": np.array(COLUMNS),
        "dt": 0.01,
    }
    values |= changes
    arrays: dict[str, Any] = {name: np.asarray(value) for name, value in values.items() if value is not None}
    np.savez(path, **arrays)
    return path


def test_real_tosses(needs: Callable[[str], Path]) -> None:
    tosses = load_tosses(needs("cube_toss/tosses.npz"))
    assert len(tosses) == 370
    assert sum(len(toss) for toss in tosses) == 39352
    assert len({toss_hash(toss) for toss in tosses}) == 370
    assert tosses[0].dt == pytest.approx(1 / 148)
    # Backward differences: each velocity leads from the frame before to its own.
    missed = [np.diff(t.T_world_body[:, :3], axis=0) / t.dt - t.twist[1:, :3] for t in tosses]
    forward = [np.diff(t.T_world_body[:, :3], axis=0) / t.dt - t.twist[:-1, :3] for t in tosses]
    assert np.sqrt((np.concatenate(missed) ** 2).mean()) < 0.3 * np.sqrt((np.concatenate(forward) ** 2).mean())


def test_conventions(tmp_path: Path) -> None:
    (toss,) = load_tosses(write(tmp_path / "a.npz", table()))
    assert np.allclose(toss.twist[:, 3:], [0, 3, 0], atol=1e-6)
    # The corrected velocity is the parabola's at that instant.
    assert first_twist(toss, 9.81)[:3] == pytest.approx([0.5, 0, 0], abs=1e-6)
    assert first_twist(toss, 9.81, frame=5)[2] == pytest.approx(-9.81 * 0.05, abs=1e-6)


def test_world_spin_joints_and_jumping_signs(tmp_path: Path) -> None:
    x = table()
    x[5:, :4] *= -1
    x[:, 7:10] = [0, 3, 0]
    x = np.concatenate([x, np.full((len(x), 1), 0.2), np.full((len(x), 1), -0.1)], axis=1)
    columns = [name.removesuffix("_body") for name in COLUMNS] + ["joint", "joint_velocity"]
    (toss,) = load_tosses(write(tmp_path / "a.npz", x, columns=np.array(columns)))
    assert np.allclose(toss.twist[:, 3:], [0, 3, 0])
    assert (np.diff(toss.T_world_body[:, 3:], axis=0) ** 2).sum(1).max() < 0.01
    assert np.allclose(toss.joint_q, 0.2)
    assert np.allclose(toss.joint_qd, -0.1)


def broken(frame: int, column: int, value: float) -> np.ndarray:
    x = table()
    x[frame, column] = value
    return x


@pytest.mark.parametrize(
    ("x", "changes", "message"),
    [
        (broken(3, 5, np.nan), {}, "not a number in frame 3, column 'y'"),
        (broken(4, 0, 2.0), {}, "quaternion of length .* in frame 4"),
        (table(), {"dt": None, "time": np.r_[np.arange(11) * 0.01, 0.2]}, "must be even"),
        (table(), {"dt": np.array(0.0)}, "above 0"),
        (table(), {"dt": None}, "no `dt`"),
        (table(), {"offsets": np.array([0, 1, 12])}, "toss 0 has 1 frames"),
        (table(), {"offsets": np.array([0, 5, 5, 12])}, "toss 1 has 0 frames"),
        (table(), {"offsets": np.array([0, 13])}, "12 rows"),
        (table(), {"columns": np.array(["qw", *COLUMNS[:-1]])}, "same name"),
        (table(), {"columns": np.array(["q0", *COLUMNS[1:]])}, "'qw' is missing"),
        (table(), {"columns": np.array(COLUMNS[:-1])}, "12 columns are named"),
        (table(), {"x": None}, "no `x`"),
    ],
)
def test_bad_files_are_one_message(tmp_path: Path, x: np.ndarray, changes: dict[str, object], message: str) -> None:
    with pytest.raises(FileFormatError, match=message):
        load_tosses(write(tmp_path / "a.npz", x, **changes))


def test_what_is_no_archive(tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_bytes(b"PK no")
    with pytest.raises(FileFormatError, match="cannot be read"):
        load_tosses(tmp_path / "a.npz")
    with pytest.raises(FileFormatError, match="cannot be read"):
        load_tosses(tmp_path / "none.npz")
    np.savez(tmp_path / "b.npz", x=np.array([{}], dtype=object))
    with pytest.raises(FileFormatError, match="cannot be read"):
        load_tosses(tmp_path / "b.npz")
