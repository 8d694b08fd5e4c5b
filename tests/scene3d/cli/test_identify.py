"""`scene3d identify`: a log of the demo scene's objects -> a table, a file, one message for each way to go wrong."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dynamics import Latents, State
from dynamics._posterior import Posterior
from dynamics._rollout import rollout
from scene3d import Scene
from scene3d._errors import FileFormatError, OutputError, UsageError
from scene3d._identify_scene import MotionLog, load_log, logged_world
from scene3d.cli.identify import Identify
from scene3d.files import load_scene

FRAMES, DT = 40, 1 / 60
FRICTION = 0.3


@pytest.fixture(scope="module")
def scene(tabletop_scene: Path) -> Scene:
    """With the box and the toy alone: distances around what stands beside take seconds to make."""
    whole = load_scene(tabletop_scene)
    return replace(whole, objects=tuple(thing for thing in whole.objects if thing.name in ("box", "toy")))


@pytest.fixture(autouse=True)
def _loaded(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scene3d.files.load_scene", lambda _folder: scene)


@pytest.fixture(scope="module")
def slid(scene: Scene, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log of the box, pushed over the table: friction is told, restitution and mass are not."""
    box = scene.objects[scene.index("box")]
    start = np.repeat(np.array(box.T_world_body)[None, None], FRAMES, 0)
    world, _ = logged_world(scene, MotionLog(("box",), (start,), DT))
    place = world.index("box")
    poses = torch.zeros(1, len(world.bodies), 7)
    poses[..., 3] = 1
    poses[0, place] = torch.tensor(box.T_world_body)
    still = {thing.name: torch.tensor(thing.T_world_body) for thing in scene.objects}
    for k, body in enumerate(world.bodies):
        if body.name in still:
            poses[0, k] = still[body.name]
    state = State.at_rest(world, poses)
    twist = state.twist.clone()
    twist[0, place] = torch.tensor([-0.5, 0.1, 0.0, 0.0, 0.0, 0.6])
    latents = Latents.median(world, 1)
    latents.friction[:, place] = FRICTION
    every = round(DT / world.dt)
    path = rollout(world, replace(state, twist=twist), (FRAMES - 1) * every, latents=latents, every=every)
    seen = path.T_world_body[0, :, place].double().numpy()
    seen += np.random.default_rng(0).normal(size=seen.shape) * ([3e-4] * 3 + [5e-4] * 4)
    seen[:, 3:] /= np.linalg.norm(seen[:, 3:], axis=1, keepdims=True)
    log = tmp_path_factory.mktemp("log") / "slide.npz"
    np.savez(log, time=np.arange(FRAMES) * DT, names=np.array(["box"]), poses=seen[:, None])
    return log


def test_a_slide_tells_friction_and_nothing_else(
    slid: Path, tabletop_scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "latents.npz"
    verb = Identify(tabletop_scene, slid, out=out, json=True, draws=3)
    assert verb.run() == 0
    document = json.loads(capsys.readouterr().out)
    friction, restitution, mass = document["parameters"]
    assert friction["name"] == "box.friction"
    assert friction["posterior"]["low"] < FRICTION < friction["posterior"]["high"]
    width, before = ((friction[k]["high"] - friction[k]["low"]) for k in ("posterior", "prior"))
    assert width < 0.5 * before
    assert (restitution["unchanged"], mass["unchanged"]) == (True, True)
    assert len(document["draws"]) == 3
    assert Posterior.load(out).median["box.friction"] == friction["posterior"]["median"]
    with pytest.raises(OutputError, match="pass --overwrite"):
        verb.run()


def test_a_rollout_that_simulate_saved_is_a_log(scene: Scene, tmp_path: Path) -> None:
    from scene3d._scene_world import scene_state, scene_world

    world = scene_world(scene)
    path = rollout(world, scene_state(scene, world, worlds=2), 8, every=4)
    path.save(tmp_path / "states.npz")
    log = load_log(tmp_path / "states.npz", scene)
    rigid = tuple(thing.name for thing in scene.objects if thing.kind == "rigid")
    assert (log.names, len(log.poses), log.poses[0].shape) == (rigid, 2, (3, len(rigid), 7))
    assert log.dt == pytest.approx(path.dt)


def test_refusals(slid: Path, scene: Scene, tabletop_scene: Path, tmp_path: Path) -> None:
    with np.load(slid) as file:
        good = dict(file.items())

    def saved(**changes: Any) -> Path:
        kept: dict[str, Any] = {k: v for k, v in (good | changes).items() if v is not None}
        np.savez(tmp_path / "log.npz", **kept)
        return tmp_path / "log.npz"

    broken = good["poses"].copy()
    broken[7, 0, 2] = np.nan
    cases = [
        ({"poses": None}, FileFormatError, "holds no `poses`"),
        ({"poses": broken}, FileFormatError, "not a number in frame 7"),
        ({"poses": good["poses"] * 2}, FileFormatError, "quaternion of length 2"),
        ({"poses": good["poses"][:9]}, FileFormatError, "has shape"),
        ({"names": np.array(["teapot"])}, UsageError, "no object 'teapot'"),
        ({"time": np.zeros(FRAMES)}, FileFormatError, "even steps"),
    ]
    for changes, kind, message in cases:
        with pytest.raises(kind, match=message):
            load_log(saved(**changes), scene)
    (tmp_path / "no.npz").write_bytes(b"PK")
    with pytest.raises(FileFormatError, match="cannot be read"):
        load_log(tmp_path / "no.npz", scene)
    with pytest.raises(UsageError, match="'can' did not move freely in the log; those that did: box"):
        Identify(tabletop_scene, slid, object=("can",), out=tmp_path / "x.npz").run()
    with pytest.raises(UsageError, match="was driven"):
        logged_world(scene, load_log(saved(driven=np.array(["box"])), scene))
    with pytest.raises(UsageError, match="'toy' is deformable"):
        logged_world(scene, load_log(saved(names=np.array(["toy"])), scene))
    assert not (tmp_path / "x.npz").exists()


def test_a_scene_without_metres_or_support_is_refused(slid: Path, scene: Scene) -> None:
    log = load_log(slid, scene)
    with pytest.raises(UsageError, match="not metres"):
        logged_world(replace(scene, metric=False), log)
    with pytest.raises(UsageError, match="no support"):
        logged_world(replace(scene, supports=()), log)
