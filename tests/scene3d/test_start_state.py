"""Where simulations begin: saved states, moments of rollouts, first frames of recordings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from scene3d import Scene
from scene3d._errors import FileFormatError, Scene3dError
from scene3d._rollout_folder import save_simulation
from scene3d._scene_world import scene_state, scene_world
from scene3d._simulate import Simulation, simulate
from scene3d._start_state import start_of

NAME = "Wooden block!"


def test_a_moment_of_a_rollout(scene: Scene, simulation: Simulation, tmp_path: Path) -> None:
    save_simulation(simulation, tmp_path)
    world, poses = scene_world(scene), simulation.rollout.T_world_body
    for text, expected, branch in (
        ("001", poses[0, -1], ("001", 0.5, 0)),
        ("001@0.1", poses[0, 6], ("001", 0.1, 0)),
        ("001@.1#1", poses[1, 6], ("001", 0.1, 1)),
        ("001#1", poses[1, -1], ("001", 0.5, 1)),
    ):
        start = start_of(text, scene, tmp_path, world)
        assert torch.equal(start.state.T_world_body[0], expected)
        assert start.branch == pytest.approx(branch)
        assert start.latents is not None
        assert simulation.rollout.latents is not None
        assert torch.equal(start.latents.mass_scale[0], simulation.rollout.latents.mass_scale[branch[2]])


def test_a_saved_state(scene: Scene, simulation: Simulation, tmp_path: Path) -> None:
    state = simulation.rollout.at(5)
    state[1].save(tmp_path / "state.npz")
    start = start_of(str(tmp_path / "state.npz"), scene, tmp_path, scene_world(scene))
    assert torch.equal(start.state.T_world_body, state.T_world_body[1:2])
    assert (start.latents, start.branch) == (None, None)


def test_where_a_recording_begins(scene: Scene, simulation: Simulation, tmp_path: Path) -> None:
    world, first = scene_world(scene), 4
    poses = simulation.rollout.T_world_body[0, first:, :1].numpy()
    time = simulation.rollout.dt * np.arange(len(poses))
    np.savez(tmp_path / "log.npz", time=time, names=np.array([NAME]), poses=poses)
    state = start_of(str(tmp_path / "log.npz"), scene, tmp_path, world).state
    truth = simulation.rollout.at(first)
    assert state.T_world_body[0, 0].numpy() == pytest.approx(truth.T_world_body[0, 0].numpy(), abs=1e-6)
    assert state.twist[0, 0].numpy() == pytest.approx(truth.twist[0, 0].numpy(), abs=0.02)
    assert int(state.still[0, 0]) == 0
    assert torch.equal(state.T_world_body[0, 1:], scene_state(scene, world).T_world_body[0, 1:])
    gone_on = simulate(scene, state=state, seconds=0.15, network=False).rollout.T_world_body[0, :, 0]
    assert gone_on[:, :3].numpy() == pytest.approx(poses[: len(gone_on), 0, :3], abs=4e-3)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("002", r"no such rollout \(it has 001\)"),
        ("001@9", r"no moment 9 s; it lasts from 0 to 0.5 s"),
        ("001#3", r"no future 3; it has 0 to 2"),
        ("001@", r"it takes a file of a state"),
        ("@0.5", r"it takes a file of a state"),
        ("none.npz", r"no file"),
        ("../rollouts/001", r"no such rollout"),
    ],
)
def test_moments_that_are_not_there(scene: Scene, simulation: Simulation, tmp_path: Path, text: str, says: str) -> None:
    save_simulation(simulation, tmp_path)
    with pytest.raises(Scene3dError, match=says):
        start_of(text, scene, tmp_path, scene_world(scene))


def test_files_that_do_not_fit(scene: Scene, simulation: Simulation, tmp_path: Path) -> None:
    world, path = scene_world(scene), tmp_path / "state.npz"

    def refused(says: str) -> None:
        with pytest.raises(Scene3dError, match=says):
            start_of(str(path), scene, tmp_path, world)

    simulation.rollout.at(0).save(path)
    refused("holds 3 worlds; a simulation begins with one")
    simulation.rollout.save(path)
    refused("is a whole rollout")
    state = simulation.rollout.at(0)[0]
    with np.load(_saved(state, path)) as archive:
        arrays = dict(archive.items())
    np.savez(path, **{**arrays, "still": arrays["still"][:, :2]})  # pyright: ignore
    refused(r"state of another scene: still has shape \(1, 2\)")
    np.savez(path, **{name: array for name, array in arrays.items() if name != "twist"})  # pyright: ignore
    refused("has no 'twist'")
    path.write_bytes(b"PK\x03\x04")
    with pytest.raises(FileFormatError, match=r"no npz archive"):
        start_of(str(path), scene, tmp_path, world)
    arrays["T_world_body"][0, 0, 0] = np.nan
    np.savez(path, **arrays)  # pyright: ignore
    broken = start_of(str(path), scene, tmp_path, world)
    with pytest.raises(Scene3dError, match=r"not finite numbers"):
        simulate(scene, state=broken.state, seconds=0.1, network=False)


def _saved(state: object, path: Path) -> Path:
    state.save(path)  # pyright: ignore
    return path
