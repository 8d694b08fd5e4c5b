"""Identification: what recordings tell is found, what they cannot tell keeps its prior, and nothing is damaged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from dynamics import Body, Latents, State, World, find_material
from dynamics._errors import FileFormatError, UsageError
from dynamics._identify import Search, identify_world, rollout_recordings
from dynamics._identify_parameters import find_parameters
from dynamics._identify_search import minimise
from dynamics._posterior import Posterior
from dynamics._primitive import body_from_box, body_from_plane
from dynamics._recording import Recording, recording_of_poses, recordings_of_tosses, windows
from dynamics._rollout import rollout
from dynamics._toss_metrics import toss_errors
from dynamics._tosses import Toss, load_tosses

QUICK = Search(coarse=12, fine=6, population=12)
DT = 1 / 148


@pytest.fixture(autouse=True)
def _one_thread():
    """Tensors here are tiny; threads only get in each other's way."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def cube_body() -> Body:
    wood = replace(find_material("wood"), friction=0.2, friction_log_std=0.35, restitution=0.15, restitution_std=0.1)
    cube = body_from_box("cube", (0.1048, 0.1048, 0.1048), wood, mass=0.37)
    return replace(cube, inertia=np.eye(3) * 8.1e-4, mass_log_std=0.2)


@pytest.fixture(scope="module")
def world() -> World:
    """A table of friction 1: the pair's is the root of the cube's."""
    cube = cube_body()
    table = body_from_plane("table", replace(cube.material, friction=1.0, restitution=0.0))
    return World((table, cube), dt=DT)


def synthetic(
    world: World, count: int, frames: int, *, friction: float, restitution: float, noise: float = 1.0, seed: int = 0
) -> tuple[Toss, ...]:
    """Tosses of the cube with these constants, as a noisy camera would record them."""
    rng = np.random.default_rng(seed)
    pose, twist = np.zeros((count, 2, 7)), np.zeros((count, 2, 6))
    pose[..., 3] = 1
    turns = rng.normal(size=(count, 4))
    pose[:, 1, 3:] = turns / np.linalg.norm(turns, axis=1, keepdims=True)
    pose[:, 1, 2] = rng.uniform(0.12, 0.2, count)
    twist[:, 1, :3] = rng.normal(size=(count, 3)) * [0.7, 0.7, 0.2]
    twist[:, 1, 3:] = rng.normal(size=(count, 3)) * 4
    start = State.at_rest(world, torch.tensor(pose, dtype=torch.float32))
    start = replace(start, twist=torch.tensor(twist, dtype=torch.float32))
    latents = Latents.median(world, count)
    latents.friction[:, 1], latents.restitution[:, 1] = friction, restitution
    paths = rollout(world, start, frames - 1, latents=latents).T_world_body[:, :, 1].double().numpy()
    found = []
    for path, velocity in zip(paths, twist[:, 1], strict=True):
        seen = path + noise * rng.normal(size=path.shape) * ([5e-4] * 3 + [1e-3] * 4)
        seen[:, 3:] /= np.linalg.norm(seen[:, 3:], axis=1, keepdims=True)
        recorded = np.zeros((frames, 6))
        recorded[0] = velocity + noise * rng.normal(size=6) * ([0.01] * 3 + [0.15] * 3)
        recorded[0, 2] += 0.5 * 9.81 * DT  # As backward differences have it.
        found.append(Toss(seen, recorded, np.zeros((frames, 0)), np.zeros((frames, 0)), DT))
    return tuple(found)


@pytest.fixture(scope="module")
def tossed(world: World) -> Posterior:
    tosses = synthetic(world, 10, 44, friction=0.12, restitution=0.35)
    recordings = recordings_of_tosses(world, tosses, "cube")
    return identify_world(world, recordings, parameters=["friction", "restitution", "mass"], search=QUICK)


def test_the_truth_is_found(tossed: Posterior) -> None:
    low, high = tossed.interval(0.99)["cube.friction"]
    assert low < 0.12 < high
    assert high / low < 1.5
    low, high = tossed.interval(0.99)["cube.restitution"]
    assert low < 0.35 < high
    assert high - low < 0.1


def test_the_mass_of_a_tossed_body_keeps_its_prior(tossed: Posterior) -> None:
    """Nothing that is seen of a free body depends on its mass."""
    assert tossed.untold == ("cube.mass",)
    low, high = tossed.interval()["cube.mass"]
    assert (low, high) == pytest.approx((np.exp(-0.329), np.exp(0.329)), rel=0.05)


def test_draws_become_latents(tossed: Posterior, world: World) -> None:
    latents = tossed.latents(world, 400, seed=1)
    assert latents.friction[0, 1] == pytest.approx(tossed.median["cube.friction"])
    low, high = tossed.interval()["cube.friction"]
    inside = ((latents.friction[:, 1] > low) & (latents.friction[:, 1] < high)).float().mean()
    assert 0.85 < inside < 0.95
    # What was not identified is drawn from the prior, for the table too.
    assert latents.friction[:, 0].std() > 0.1
    again = tossed.latents(world, 400, seed=1)
    assert torch.equal(latents.mass_scale, again.mass_scale)


def test_the_same_seed_gives_the_same_bits(world: World) -> None:
    recordings = recordings_of_tosses(world, synthetic(world, 3, 30, friction=0.3, restitution=0.1), "cube")
    short = Search(coarse=2, fine=1, population=6)
    runs = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        runs.append(identify_world(world, recordings, parameters=["cube.friction", "length"], search=short))
    assert np.array_equal(runs[0].mean, runs[1].mean)
    assert np.array_equal(runs[0].covariance, runs[1].covariance)


def test_a_few_real_tosses_bring_physics_closer(world: World, needs: Callable[[str], Path]) -> None:
    tosses = load_tosses(needs("cube_toss/tosses.npz"))
    world = replace(world, dt=tosses[0].dt)
    seen, held = (recordings_of_tosses(world, part, "cube") for part in (tosses[:48:4], tosses[200::17]))
    posterior = identify_world(world, seen, parameters=["friction", "restitution", "inertia"], search=QUICK)

    def error(guess: Posterior | None) -> float:
        paths = [path[:, 1] for path in rollout_recordings(world, held, guess)]
        truth = [recording.T_world_body[:, 1] for recording in held]
        points = world.bodies[1].contact_points[:8].astype(np.float64)
        return float(toss_errors(truth, paths, width=0.1048, points=points).position_percent.mean())

    assert error(posterior) < 20
    assert error(posterior) < 0.5 * error(None)
    assert 0.14 < posterior.median["cube.friction"] ** 0.5 < 0.24


def test_velocities_of_a_log_of_poses_are_slopes(world: World) -> None:
    time = np.arange(40) * DT
    poses = np.zeros((40, 2, 7))
    poses[..., 3] = 1
    poses[:, 1, 0], poses[:, 1, 2] = 0.8 * time, 2 + 1.5 * time - 4.905 * time**2
    poses[:, 1, 3], poses[:, 1, 6] = np.cos(1.5 * time), np.sin(1.5 * time)
    recording = recording_of_poses(world, poses, DT, [1])
    assert recording.twist[1] == pytest.approx([0.8, 0, 1.5, 0, 0, 3.0], abs=1e-6)
    path = rollout_recordings(world, [recording])[0]
    assert np.abs(path - poses).max() < 1e-4
    parts = windows(world, recording, 12)
    assert [len(part) for part in parts] == [13, 13, 13]
    assert parts[1].twist[1, 2] == pytest.approx(1.5 - 9.81 * 12 * DT, abs=1e-5)


def test_a_file_keeps_everything(tossed: Posterior, tmp_path: Path) -> None:
    tossed.save(tmp_path / "latents.npz")
    again = Posterior.load(tmp_path / "latents.npz")
    assert again.parameters == tossed.parameters
    assert np.array_equal(again.mean, tossed.mean)
    assert np.array_equal(again.covariance, tossed.covariance)
    (tmp_path / "bad.npz").write_bytes(b"PK but no archive")
    with pytest.raises(FileFormatError, match="no posterior"):
        Posterior.load(tmp_path / "bad.npz")
    np.savez(tmp_path / "other.npz", mean=np.zeros(2))
    with pytest.raises(FileFormatError, match="no posterior"):
        Posterior.load(tmp_path / "other.npz")


def test_search_goes_down_a_bent_valley() -> None:
    def valley(x: np.ndarray) -> np.ndarray:
        return 20 * (x[:, 1] - x[:, 0] ** 2) ** 2 + (1 - x[:, 0]) ** 2

    found = minimise(valley, np.array([-1.0, 1.0]), generations=120)
    assert np.abs(found.mean - 1).max() < 1e-3


def test_parameters_by_name(world: World) -> None:
    names = [parameter.name for parameter in find_parameters(world, ["cube.com", "gravity", "friction"])]
    assert names == ["cube.com_x", "cube.com_y", "cube.com_z", "gravity", "cube.friction"]
    with pytest.raises(UsageError, match=r"'colour' cannot be identified; choose from friction, "):
        find_parameters(world, ["colour"])
    with pytest.raises(UsageError, match="names nothing that moves; the world has cube"):
        find_parameters(world, ["table.friction"])


def test_refusals(world: World) -> None:
    with pytest.raises(UsageError, match="one recording or more"):
        identify_world(world, [])
    recording = recordings_of_tosses(world, synthetic(world, 1, 8, friction=0.2, restitution=0.1), "cube")[0]
    slow: Recording = replace(recording, dt=0.7 * DT)
    with pytest.raises(UsageError, match="must be that or a whole part"):
        rollout_recordings(world, [slow])
    with pytest.raises(UsageError, match="three frames or more"):
        recording_of_poses(world, recording.T_world_body[:2], DT, [1])
