"""An exported lid in PhysX and Newton: it falls shut, stops at the hinge's limit and stays on it, as in our own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import pytest
import torch

from dynamics import rollout
from dynamics._joint_geometry import joint_frames, joint_positions
from scene3d._errors import DeviceError
from scene3d._scene_world import scene_state, scene_world
from sim_bridge.engines._environments import HERE, engine, find_python
from sim_bridge.engines._request import EngineAbsentError, ask
from sim_bridge.usd import export_usd

from ...scene3d.jointed_scene import half_open_scene


@pytest.mark.parametrize("name", ["physx", "newton-mujoco"])
def test_the_lid_stays_on_its_hinge(name: str, missing: Callable[[str], NoReturn], tmp_path: Path) -> None:
    scene = half_open_scene()
    world = scene_world(scene)
    begun = scene_state(scene, world).T_world_body[0].double()
    exported = export_usd(scene, tmp_path / "scene.usda")
    names = [thing.name for thing in scene.objects]
    phase = {"name": "rest", "stage": str(exported.path), "poses": {}, "steps": 240, "read": [12, 120, 240]}
    request = {
        "version": 1,
        "engine": name,
        "model": str(exported.path),
        "assume_scale": False,
        "dt": 1 / 240,
        "bodies": [
            {"name": called, "path": f"/World/{prim}"} for called, prim in zip(names, exported.bodies, strict=True)
        ],
        "phases": [phase],
    }
    chosen = engine(name)
    assert chosen.worker
    try:
        answer = ask(find_python(chosen), HERE / chosen.worker, request, seconds=300)
    except (DeviceError, EngineAbsentError) as error:
        missing(str(error))
    state = scene_state(scene, world)
    own = rollout(world, replace(state, still=torch.zeros_like(state.still)), 12, every=12).joint_q[0, -1, 0].item()
    angles = []
    for moment in range(3):
        poses = begun.clone()
        for index, called in enumerate(names):
            poses[index] = torch.tensor(answer["phases"]["rest"]["poses"][called][moment], dtype=torch.float64)
        frames = joint_frames(world, poses)
        assert float((frames.parent_point - frames.child_point).norm(dim=-1).max()) < 5e-4
        angles.append(joint_positions(world, poses)[0][0].item())
        # Nothing touches the pendulum, which hangs straight down.
        assert (poses[2, :3] - begun[2, :3]).norm() < 1e-3
    # It began where it stands, and is on its way down.
    assert angles[0] == pytest.approx(own, abs=0.02) and own < 0.35
    assert angles[1:] == pytest.approx([0, 0], abs=0.01)
