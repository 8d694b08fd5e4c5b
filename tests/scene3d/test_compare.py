"""Futures against recordings: errors, bands that cover what they say, and recordings that are none."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dynamics import Rollout
from scene3d import Scene
from scene3d._compare import BodyComparison, compare, write_comparison
from scene3d._compare_plot import AREA, RECORDED
from scene3d._errors import Scene3dError, UsageError
from scene3d._pose_paths import angles_between, poses_at
from scene3d._recorded_motion import COLUMNS, RecordedMotion, load_motion
from scene3d._simulate import Drop, simulate

NAME = "Wooden block!"
TIMES = 61


@pytest.fixture(scope="module")
def fallen(scene: Scene) -> Rollout:
    return simulate(scene, drops=[Drop(NAME, 0.05)], seconds=1.0, network=False).rollout


def scattered(fallen: Rollout, futures: int, seed: int, spread: float = 0.02) -> Rollout:
    """Futures whose block drifts away in random directions and turns about random axes."""
    g = np.random.default_rng(seed)
    poses = np.repeat(fallen.T_world_body.double().numpy(), futures, axis=0)
    time = np.linspace(0, 1, poses.shape[1])[:, None]
    for future in range(futures):
        poses[future, :, 0, :3] += time * spread * g.standard_normal(3)
        angle, axis = 0.1 * time * abs(g.standard_normal()), g.standard_normal(3)
        turn = np.concatenate([np.cos(angle / 2), np.sin(angle / 2) * axis / np.linalg.norm(axis)], axis=1)
        poses[future, :, 0, 3:] = _product(turn, poses[future, :, 0, 3:])
    return replace(fallen, T_world_body=torch.from_numpy(poses))


def _product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    from dynamics.poses import multiply

    return multiply(torch.from_numpy(a), torch.from_numpy(b)).numpy()


def recorded(rollout: Rollout, future: int = 0, every: int = 2) -> RecordedMotion:
    poses = rollout.T_world_body[future, ::every, 0].double().numpy()
    return RecordedMotion(NAME, every * rollout.dt * np.arange(len(poses), dtype=np.float64), poses)


def test_a_future_is_no_distance_from_itself(scene: Scene, fallen: Rollout) -> None:
    (found,) = compare(scene, fallen, [recorded(fallen)])
    assert len(found.times) == 31
    assert found.position.max() < 1e-6
    assert found.rotation.max() < 1e-3
    assert (found.coverage, found.reach) == (None, None)  # One future has no band.


def test_errors_are_what_the_recording_is_off(scene: Scene, fallen: Rollout) -> None:
    motion = recorded(fallen)
    turn = np.array([np.cos(0.05), 0.0, 0.0, np.sin(0.05)])
    poses = np.concatenate([motion.poses[:, :3] + [0.03, 0.0, 0.04], _product(turn[None], motion.poses[:, 3:])], axis=1)
    (found,) = compare(scene, fallen, [RecordedMotion(NAME, motion.times, poses)])
    assert found.position == pytest.approx(0.05, abs=1e-6)
    assert found.rotation == pytest.approx(0.1, abs=1e-6)
    row = found.row()
    assert row["position_m"] == pytest.approx({"mean": 0.05, "end": 0.05, "largest": 0.05}, abs=1e-6)
    assert row["position_in_band"] is None
    json.dumps(row, allow_nan=False)


def test_bands_cover_what_they_say(scene: Scene, fallen: Rollout) -> None:
    futures = scattered(fallen, 64, 0)
    inside = []
    for seed in range(1, 41):
        motion = recorded(scattered(fallen, 1, seed), every=60)  # Beginning and end.
        (found,) = compare(scene, futures, [motion])
        assert found.away is not None
        assert found.reach is not None
        assert found.turned is not None
        assert found.reach_turned is not None
        inside.append((found.away[-1] <= found.reach[-1], found.turned[-1] <= found.reach_turned[-1]))
    # 40 draws with probability 0.9: beyond three standard deviations lies one in hundreds.
    for share in np.mean(inside, axis=0):
        assert 0.76 <= share <= 1.0
    (far,) = compare(scene, futures, [recorded(scattered(fallen, 1, 7, spread=1.0))])
    assert far.coverage is not None
    assert far.coverage[0] < 0.3


def test_flagged_futures_are_left_out(scene: Scene, fallen: Rollout) -> None:
    futures = scattered(fallen, 6, 0)
    futures.T_world_body[0] = torch.nan
    (found,) = compare(scene, futures, [recorded(fallen)], flagged=[0])
    (same,) = compare(scene, replace(futures, T_world_body=futures.T_world_body[1:]), [recorded(fallen)])
    assert np.array_equal(found.position, same.position)
    with pytest.raises(UsageError, match=r"No future can be trusted"):
        compare(scene, futures, [recorded(fallen)], flagged=range(6))


def test_what_is_beyond_the_rollout_is_left_out(scene: Scene, fallen: Rollout) -> None:
    motion = recorded(fallen)
    longer = RecordedMotion(NAME, 1.5 * motion.times, motion.poses)
    (found,) = compare(scene, fallen, [longer])
    assert found.times[-1] == pytest.approx(1.0)
    with pytest.raises(UsageError, match=r"Raise --seconds"):
        compare(scene, fallen, [RecordedMotion(NAME, 100 * motion.times, motion.poses)])


def test_files_of_a_comparison(scene: Scene, fallen: Rollout, tmp_path: Path) -> None:
    futures = scattered(fallen, 16, 0)
    found: tuple[BodyComparison, ...] = compare(scene, futures, [recorded(scattered(fallen, 1, 3))])
    document = write_comparison(found, tmp_path, tmp_path / "log.csv", 16)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["compare.json", "compare.png"]
    whole = json.loads((tmp_path / "compare.json").read_text())
    assert (whole["futures"], whole["level"]) == (16, 0.9)
    assert len(whole["bodies"][0]["curves"]["band_m"]) == whole["bodies"][0]["frames"] == 31
    assert "curves" not in document["bodies"][0]
    picture = np.asarray(Image.open(tmp_path / "compare.png"))
    assert picture.shape == (44 + 190, 880, 3)
    for colour, least in ((AREA, 2000), (RECORDED, 150)):
        assert (np.abs(picture.astype(int) - colour).max(axis=2) < 12).sum() > least


def table_of(motion: RecordedMotion) -> list[list[object]]:
    return [[10 + t, motion.name, *pose] for t, pose in zip(motion.times.tolist(), motion.poses.tolist(), strict=True)]


def write_table(path: Path, rows: list[list[object]], header: str = ",".join(COLUMNS)) -> None:
    path.write_text("\n".join([header, *(",".join(str(cell) for cell in row) for row in rows)]) + "\n")


def test_recordings_of_three_kinds(scene: Scene, fallen: Rollout, tmp_path: Path) -> None:
    motion = recorded(fallen)
    write_table(tmp_path / "log.csv", table_of(motion))
    names = np.array([NAME])
    np.savez(tmp_path / "log.npz", time=motion.times, names=names, poses=motion.poses[:, None])
    fallen.save(tmp_path / "states.npz")
    for name in ("log.csv", "log.npz", "states.npz"):
        (found,) = load_motion(tmp_path / name, scene, 1.0)
        every = 2 if name == "states.npz" else 1
        assert found.name == NAME
        assert found.times[::every] == pytest.approx(motion.times, abs=1e-9)
        assert found.poses[::every] == pytest.approx(motion.poses, abs=1e-6)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("header", r"has the columns time,x; it takes time,name,x"),
        ("word", r"line 3: each column but name takes one number"),
        ("short", r"line 3: each column but name takes one number"),
        ("long", r"line 3: each column but name takes one number"),
        ("nan", r"is not a number in frame 1"),
        ("back", r"at times that rise"),
        ("quaternion", r"quaternion of length 2"),
        ("object", r"no object 'cup'"),
        ("rope", r"'blue rope', which is deformable"),
        ("one", r"needs two poses or more"),
        ("none", r"has no rows"),
        ("late", r"comes at 2 s, after the end of the rollout at 1 s"),
    ],
)
def test_tables_that_are_none(scene: Scene, fallen: Rollout, tmp_path: Path, change: str, says: str) -> None:
    rows, header = table_of(recorded(fallen)), ",".join(COLUMNS)
    if change == "header":
        header = "time,x"
    elif change in ("one", "none"):
        rows = rows[: ("none", "one").index(change)]
    elif change in ("object", "rope"):
        rows = [[row[0], "cup" if change == "object" else "blue rope", *row[2:]] for row in rows]
    elif change == "short":
        rows[1] = rows[1][:-1]
    else:
        column, value = {
            "word": (2, "left"),
            "long": (8, "0,0"),
            "nan": (3, "nan"),
            "back": (0, 9),
            "quaternion": (5, "2,0,0,0"),
            "late": (0, 12),
        }[change]
        rows[1] = rows[1][:column] + [value] + ([] if change == "quaternion" else rows[1][column + 1 :])
        rows = rows[:2] if change == "late" else rows
    write_table(tmp_path / "log.csv", rows, header)
    with pytest.raises(Scene3dError, match=says):
        load_motion(tmp_path / "log.csv", scene, 1.0)


def test_other_files_that_are_none(scene: Scene, fallen: Rollout, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no file .* --compare takes a log"):
        load_motion(tmp_path / "log.csv", scene)
    (tmp_path / "log.txt").write_text("x")
    with pytest.raises(Scene3dError, match=r"neither an npz archive nor a \.csv"):
        load_motion(tmp_path / "log.txt", scene)
    replace(fallen, T_world_body=fallen.T_world_body[:, :, :3]).save(tmp_path / "states.npz")
    with pytest.raises(UsageError, match=r"rollout of another scene"):
        load_motion(tmp_path / "states.npz", scene)
    np.savez(tmp_path / "log.npz", time=np.zeros(3), names=np.array([NAME]))
    with pytest.raises(Scene3dError, match=r"holds no `poses`"):
        load_motion(tmp_path / "log.npz", scene)


def test_poses_in_between() -> None:
    quarter = np.array([np.cos(np.pi / 4), 0.0, 0.0, np.sin(np.pi / 4)])
    poses = np.array([[0.0, 0, 0, 1, 0, 0, 0], [1.0, 2, 3, *(-quarter)]])
    (found,) = poses_at(np.array([1.0, 3.0]), poses, np.array([2.0]))
    assert found[:3] == pytest.approx([0.5, 1.0, 1.5])
    half = np.array([np.cos(np.pi / 8), 0.0, 0.0, np.sin(np.pi / 8)])
    assert angles_between(found[3:], half) == pytest.approx(0, abs=1e-7)
    ends = poses_at(np.array([1.0, 3.0]), poses, np.array([1.0, 3.0]))
    assert ends[:, :3] == pytest.approx(poses[:, :3])
    assert angles_between(ends[:, 3:], poses[:, 3:]) == pytest.approx([0, 0], abs=1e-7)
    assert angles_between(poses[0, 3:], poses[1, 3:]) == pytest.approx(np.pi / 2)


def test_many_paths_at_many_times_of_any_order() -> None:
    rng = np.random.default_rng(0)
    poses = rng.standard_normal((3, 2, 6, 7))
    poses[..., 3:] /= np.linalg.norm(poses[..., 3:], axis=-1, keepdims=True)
    times, wanted = np.array([0.0, 0.1, 0.3, 0.4, 0.8, 1.0]), np.array([0.8, -1.0, 0.35, 0.05, 9.0, 0.1])
    found = poses_at(times, poses, wanted)
    assert (found.shape, found.dtype) == ((3, 2, 6, 7), np.float64)
    assert np.linalg.norm(found[..., 3:], axis=-1) == pytest.approx(np.ones((3, 2, 6)))
    for k, time in enumerate(wanted.tolist()):
        assert np.array_equal(poses_at(times, poses[1, 0], np.array([time]))[0], found[1, 0, k])
    # A quaternion and its negative are one rotation, and the ends hold beyond the times.
    signs = np.where(rng.random((3, 2, 6, 1)) < 0.5, -1.0, 1.0)
    other = poses_at(times, np.concatenate([poses[..., :3], signs * poses[..., 3:]], axis=-1), wanted)
    assert other[..., :3] == pytest.approx(found[..., :3])
    assert angles_between(other[..., 3:], found[..., 3:]).max() < 1e-6
    assert np.array_equal(found[..., 1, :3], poses[..., 0, :3]) and np.array_equal(found[..., 4, :3], poses[..., 5, :3])
    assert poses_at(times[:1], poses[..., :1, :], wanted).shape == found.shape


def test_what_is_no_number_stays_so_and_spoils_nothing_else() -> None:
    times, poses = np.arange(4.0), np.tile([1.0, 2, 3, 1, 0, 0, 0], (4, 1))
    poses[2] = np.nan
    found = poses_at(times, poses.astype(np.float32), np.array([0.5, 1.0, 1.5, 2.0, 2.5, 3.0]))
    assert np.isnan(found[2:5]).all()
    assert np.array_equal(found[[0, 1, 5]], poses[[0, 1, 3]])
