"""Recordings on the stage: time samples of poses, which USD interpolates back to what was recorded."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pxr import Usd, UsdGeom, UsdPhysics

from dynamics import Rollout, State
from scene3d import Scene
from scene3d._errors import UsageError
from scene3d._scene_world import scene_state, scene_world
from sim_bridge.usd import export_usd

STATES = 7


def recording(scene: Scene, futures: int = 2) -> Rollout:
    """The box flies and turns a whole turn, then rests from state 4 on; the can never moves."""
    world = scene_world(scene)
    states = []
    for number in range(STATES):
        state = scene_state(scene, world, worlds=futures)
        poses = state.T_world_body.clone()
        moved = min(number, 4)
        for future in range(futures):
            poses[future, 0, :3] += torch.tensor([0.01 * moved, 0.02 * future, 0.05 * moved])
        angle = math.pi * moved / 2
        poses[:, 0, 3:] = torch.tensor([math.cos(angle / 2), 0, 0, math.sin(angle / 2)])
        if number == 3:
            poses[:, 0, 3:] *= -1  # The same rotation, written the other way.
        states.append(replace(state, T_world_body=poses))

    def stacked(name: str) -> torch.Tensor:
        return torch.stack([getattr(state, name) for state in states], dim=1)

    parts: dict[str, Any] = {
        name: stacked(name) for name in State.__dataclass_fields__ if getattr(states[0], name) is not None
    }
    return Rollout(**parts, overlap=torch.zeros(futures, STATES), dt=1 / 60)


def test_bodies_follow_the_recording(tiny_scene: Scene, tmp_path: Path) -> None:
    path = recording(tiny_scene)

    exported = export_usd(tiny_scene, tmp_path / "r.usdc", rollout=path, future=1)

    stage = Usd.Stage.Open(str(exported.path))
    assert stage.GetTimeCodesPerSecond() == 60 and stage.GetFramesPerSecond() == 60
    assert (stage.GetStartTimeCode(), stage.GetEndTimeCode()) == (0, STATES - 1)
    box = stage.GetPrimAtPath("/World/box")
    for time in range(STATES):
        matrix = np.array(UsdGeom.Xformable(box).GetLocalTransformation(time))
        pose = path.T_world_body[1, time, 0].double().numpy()
        assert matrix[3, :3] == pytest.approx(pose[:3], abs=1e-6)
        yaw = math.atan2(matrix[0, 1], matrix[0, 0])
        assert math.cos(yaw - math.pi * min(time, 4) / 2) == pytest.approx(1, abs=1e-6)
    # Between states quaternions go the short way: the sign is the same on both sides.
    for time in (2.5, 3.5):
        yaw = UsdGeom.Xformable(box).GetLocalTransformation(time).ExtractRotation().GetAngle()
        assert yaw == pytest.approx(225 if time == 2.5 else 315, abs=1) or 360 - yaw == pytest.approx(
            225 if time == 2.5 else 315, abs=1
        )
    assert tuple(box.GetAttribute("xformOp:translate").Get()) == pytest.approx((0.1, 0.02, 0.0), abs=1e-6)


def test_recorded_bodies_are_kinematic_and_others_are_not(tiny_scene: Scene, tmp_path: Path) -> None:
    still = Usd.Stage.Open(str(export_usd(tiny_scene, tmp_path / "still.usdc").path))
    moving = Usd.Stage.Open(
        str(export_usd(tiny_scene, tmp_path / "r.usdc", rollout=recording(tiny_scene), overwrite=True).path)
    )

    for stage, kinematic in ((still, False), (moving, True)):
        for name in ("box", "can"):
            body = UsdPhysics.RigidBodyAPI(stage.GetPrimAtPath(f"/World/{name}"))
            assert body.GetRigidBodyEnabledAttr().Get() is True
            assert body.GetKinematicEnabledAttr().Get() is kinematic


def test_what_rests_has_no_samples(tiny_scene: Scene, tmp_path: Path) -> None:
    exported = export_usd(tiny_scene, tmp_path / "r.usdc", rollout=recording(tiny_scene))

    stage = Usd.Stage.Open(str(exported.path))
    assert stage.GetPrimAtPath("/World/can").GetAttribute("xformOp:translate").GetNumTimeSamples() == 0
    samples = stage.GetPrimAtPath("/World/box").GetAttribute("xformOp:translate").GetTimeSamples()
    assert samples == [0, 1, 2, 3, 4, 6]


def test_recordings_of_other_scenes_and_futures_are_refused(tiny_scene: Scene, tmp_path: Path) -> None:
    path = recording(tiny_scene)

    with pytest.raises(UsageError, match="futures 0 to 1, and --future 2"):
        export_usd(tiny_scene, tmp_path / "r.usdc", rollout=path, future=2)
    with pytest.raises(UsageError, match="rollout is of 4 bodies, but the scene has 3"):
        export_usd(replace(tiny_scene, objects=tiny_scene.objects[:1]), tmp_path / "r.usdc", rollout=path)
    path.T_world_body[0, 2, 0, 0] = torch.nan
    with pytest.raises(UsageError, match="not finite"):
        export_usd(tiny_scene, tmp_path / "r.usdc", rollout=path)
    assert list(tmp_path.iterdir()) == []
