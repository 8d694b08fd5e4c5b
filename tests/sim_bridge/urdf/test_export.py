"""Scenes as URDF files: our own reader and MuJoCo's get back what the scene says."""

# pyright: reportAttributeAccessIssue=false
# mujoco is a compiled module without annotations.

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
import pytest
import torch

from dynamics import State
from dynamics._rollout import rollout
from dynamics._urdf import load_urdf, world_from_urdf
from dynamics._urdf_file import read_urdf
from dynamics.poses import rotation_from_wxyz
from scene3d import Scene
from scene3d._errors import FileFormatError, UsageError
from scene3d.files import load_scene
from sim_bridge.urdf._export import export_urdf
from sim_bridge.urdf._joints import rpy


@pytest.fixture(scope="module")
def scene(tabletop_scene: Path) -> Scene:
    return load_scene(tabletop_scene)


@pytest.fixture(scope="module")
def exported(scene: Scene, tmp_path_factory) -> Any:
    return export_urdf(scene, tmp_path_factory.mktemp("urdf") / "desk.urdf")


def test_objects_come_back_through_our_own_reader(scene: Scene, exported: Any) -> None:
    assert exported.bodies == tuple(thing.name for thing in scene.objects) and all(
        path.is_file() for path in exported.files
    )
    for thing in scene.objects:
        model = load_urdf(exported.path.with_name("desk_objects") / f"{thing.name}.urdf")
        (body,) = model.bodies
        assert model.joints == () and body.name == thing.name
        assert body.mass == pytest.approx(thing.body.mass, rel=1e-9)
        assert np.abs(body.com - thing.body.com).max() < 1e-9
        assert np.abs(body.inertia - thing.body.inertia).max() < 1e-9 * np.abs(thing.body.inertia).max()
        corners = np.concatenate([part.vertices for part in thing.body.parts])
        assert np.abs(body.mesh.bounds - [corners.min(axis=0), corners.max(axis=0)]).max() < 1e-8


def test_an_object_falls_on_the_table_of_a_urdf_world(exported: Any) -> None:
    world = world_from_urdf(exported.path.with_name("desk_objects") / "can.urdf")
    poses = torch.zeros(1, 2, 7)
    poses[..., 3], poses[0, 1, 2] = 1, 0.02
    final = rollout(world, State.at_rest(world, poses), 240).final
    assert abs(final.T_world_body[0, 1, 2]) < 2e-3


def test_mujoco_loads_the_whole_scene(scene: Scene, exported: Any) -> None:
    model = mujoco.MjSpec.from_file(str(exported.path)).compile()
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    for thing in scene.objects:
        body = model.body(thing.name)
        assert body.mass[0] == pytest.approx(thing.body.mass)
        assert model.body_dofnum[body.id] == (6 if thing.kind == "rigid" else 0)
        assert model.body_geomnum[body.id] == len(thing.body.parts)
        away = data.body(thing.name).xpos - thing.T_world_body[:3]
        assert np.abs(away[:2]).max() < 1e-9 and 0 <= away[2] < 1e-3  # Lifted out of the table.
        turned = abs(float(np.dot(data.body(thing.name).xquat, thing.T_world_body[3:])))
        assert turned == pytest.approx(1.0, abs=1e-9)
        corners = np.concatenate([part.vertices for part in thing.body.parts])
        reach = float(np.linalg.norm(corners, axis=1).max())
        geoms = [g for g in range(model.ngeom) if model.geom_bodyid[g] == body.id]
        assert max(reach_of(model, g) for g in geoms) == pytest.approx(reach, rel=1e-5)  # The meshes are its own.
    mujoco.mj_step(model, data, 500)
    assert np.abs(data.body("box").xpos - scene.objects[scene.index("box")].T_world_body[:3]).max() < 5e-3


def reach_of(model: Any, geom: int) -> float:
    mesh = model.geom_dataid[geom]
    local = model.mesh_vert[model.mesh_vertadr[mesh] :][: model.mesh_vertnum[mesh]]
    R = rotation_from_wxyz(torch.from_numpy(model.geom_quat[geom])).numpy()
    return float(np.linalg.norm(local @ R.T + model.geom_pos[geom], axis=1).max())


def test_mujoco_loads_an_object_alone(scene: Scene, exported: Any) -> None:
    spec = mujoco.MjSpec.from_file(str(exported.path.with_name("desk_objects") / "mug.urdf"))
    spec.body("mug").add_freejoint()
    model = spec.compile()
    R = np.zeros(9)
    mujoco.mju_quat2Mat(R, model.body("mug").iquat)
    R = R.reshape(3, 3)
    body = scene.objects[scene.index("mug")].body
    assert model.body("mug").mass[0] == pytest.approx(body.mass)
    assert np.allclose(R @ np.diag(model.body("mug").inertia) @ R.T, body.inertia, rtol=1e-6, atol=1e-12)


def test_our_reader_says_that_it_knows_no_floating_joints(exported: Any) -> None:
    with pytest.raises(FileFormatError, match="floating"):
        read_urdf(exported.path)


@pytest.mark.parametrize("pitch", [0.3, -1.2, math.pi / 2, -math.pi / 2])
def test_angles_make_the_same_rotation(pitch: float) -> None:
    roll, yaw = 0.7, -2.1
    R = matrix(roll, pitch, yaw)
    quaternion = _wxyz(R)
    assert np.abs(matrix(*rpy(quaternion)) - R).max() < 1e-7
    assert np.abs(rotation_from_wxyz(torch.tensor(quaternion, dtype=torch.float64)).numpy() - R).max() < 1e-9


def matrix(roll: float, pitch: float, yaw: float) -> np.ndarray:
    def about(axis: int, angle: float) -> np.ndarray:
        R, (i, j) = np.eye(3), [(1, 2), (2, 0), (0, 1)][axis]
        R[i, i] = R[j, j] = math.cos(angle)
        R[i, j], R[j, i] = -math.sin(angle), math.sin(angle)
        return R

    return about(2, yaw) @ about(1, pitch) @ about(0, roll)


def _wxyz(R: np.ndarray) -> list[float]:
    from dynamics.poses import wxyz_from_rotation

    return wxyz_from_rotation(torch.from_numpy(R)).tolist()


def test_other_endings_and_scenes_without_scale_are_refused(scene: Scene, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"desk\.urdf"):
        export_urdf(scene, tmp_path / "desk.xacro")
    with pytest.raises(UsageError, match="scene3d scale"):
        export_urdf(replace(scene, metric=False), tmp_path / "desk.urdf")
    assert list(tmp_path.iterdir()) == []


def test_a_kinematic_object_is_fixed_and_that_is_said(scene: Scene, tmp_path: Path) -> None:
    at = scene.index("can")
    can = scene.objects[at]
    led = replace(can, body=can.body.with_motion("kinematic"), T_world_body=(0.0, 0.3, 1.0, 1, 0, 0, 0))
    alone = replace(scene, objects=(led,), splats=scene.splats[scene.splats.component_index == 0][:10])
    exported = export_urdf(alone, tmp_path / "held.urdf")
    assert "can: kinematic, here fixed to the world." in exported.notes
    model = mujoco.MjSpec.from_file(str(exported.path)).compile()
    data = mujoco.MjData(model)
    mujoco.mj_step(model, data, 500)
    assert data.body("can").xpos == pytest.approx([0.0, 0.3, 1.0], abs=1e-9)
