"""Scenes as MJCF: what MuJoCo reads back is what the scene says."""

# pyright: reportAttributeAccessIssue=false
# mujoco is a compiled module without annotations.

from __future__ import annotations

import math
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
import pytest
import torch

from dynamics import find_material
from dynamics._primitive import body_from_box, body_from_sphere
from dynamics.poses import rotation_from_wxyz
from scene3d import Gaussians, Scene
from scene3d._errors import BodyError, OutputError, UsageError
from scene3d._scene_object import SceneObject
from scene3d._support import SupportPlane
from scene3d.files import load_scene
from sim_bridge.mjcf import _asset_files
from sim_bridge.mjcf._export import export_mjcf

POSE = (0.1, 0.2, 0.05, math.cos(0.2), 0.0, 0.0, math.sin(0.2))


def small_scene(*names: str, metric: bool = True) -> Scene:
    """A block, and spheres beside it, on a table."""
    wood, steel = find_material("wood"), find_material("stoneware")
    things = [SceneObject(body_from_box(names[0], (0.1, 0.06, 0.1), wood), POSE)]
    for number, name in enumerate(names[1:], 1):
        things.append(SceneObject(body_from_sphere(name, 0.03, steel), (0.1 + 0.2 * number, 0.2, 0.03, 1, 0, 0, 0)))
    points = torch.zeros(2, 3)
    splats = Gaussians.from_points(points, torch.tensor([[0.2, 0.2, 0.2], [0.9, 0.1, 0.5]]), sigma=0.01)
    splats = replace(splats, component_index=torch.tensor([0, 1], dtype=torch.int32))
    outline = np.array([[-1.0, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]])
    support = SupportPlane(np.array([0.0, 0, 1]), 0.0, 0.001, outline)
    return Scene(splats, metric=metric, objects=tuple(things), supports=(support,))


@pytest.fixture(scope="module")
def scene(tabletop_scene: Path) -> Scene:
    return load_scene(tabletop_scene)


@pytest.fixture(scope="module")
def exported(scene: Scene, tmp_path_factory) -> Any:
    return export_mjcf(scene, tmp_path_factory.mktemp("mjcf") / "desk.xml")


@pytest.fixture(scope="module")
def model(exported: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return mujoco.MjModel.from_xml_path(str(exported.path))


def rigid(scene: Scene) -> list[SceneObject]:
    return [thing for thing in scene.objects if thing.kind == "rigid"]


def test_mass_properties_are_read_back(scene: Scene, exported: Any, model: Any) -> None:
    assert exported.bodies == tuple(thing.name for thing in scene.objects) and exported.files[0] == exported.path
    assert all(path.is_file() for path in exported.files)
    for thing in rigid(scene):
        body = model.body(thing.name).id
        R = np.zeros(9)
        mujoco.mju_quat2Mat(R, model.body_iquat[body])
        R = R.reshape(3, 3)
        inertia = R @ np.diag(model.body_inertia[body]) @ R.T
        assert model.body_mass[body] == pytest.approx(thing.body.mass, rel=1e-9)
        assert np.abs(model.body_ipos[body] - thing.body.com).max() < 1e-9
        assert np.abs(inertia - thing.body.inertia).max() < 1e-9 * np.abs(thing.body.inertia).max()


def test_bodies_stand_where_the_photos_show_them(scene: Scene, exported: Any, model: Any) -> None:
    assert model.opt.timestep == pytest.approx(1 / 960) and model.opt.gravity.tolist() == [0, 0, -9.81]
    data = mujoco.MjData(model)
    mujoco.mj_resetDataKeyframe(model, data, model.key("capture").id)
    mujoco.mj_forward(model, data)
    for thing in scene.objects:
        pose = np.concatenate([data.body(thing.name).xpos, data.body(thing.name).xquat])
        lifted = pose[2] - thing.T_world_body[2]
        assert 0 <= lifted < 1e-3  # Out of the table, by as much as it is inside.
        pose[2] -= lifted
        assert np.abs(pose - thing.T_world_body).max() < 1e-6
        assert model.body_dofnum[model.body(thing.name).id] == (6 if thing.kind == "rigid" else 0)
    assert any("toy" in note and "deformable" in note for note in exported.notes)


def test_parts_collide_and_the_mesh_is_only_seen(scene: Scene, model: Any) -> None:
    for thing in scene.objects:
        geoms = [g for g in range(model.ngeom) if model.geom_bodyid[g] == model.body(thing.name).id]
        touching = [g for g in geoms if model.geom_contype[g]]
        assert len(touching) == len(thing.body.parts) and len(geoms) == len(touching) + 1
        corners = np.concatenate([vertices(model, g) for g in touching])
        wanted = np.concatenate([part.vertices for part in thing.body.parts])
        assert np.abs(corners.min(axis=0) - wanted.min(axis=0)).max() < 1e-6
        assert np.abs(corners.max(axis=0) - wanted.max(axis=0)).max() < 1e-6


def vertices(model: Any, geom: int) -> np.ndarray:
    """A geom's mesh in the frame of its body: MuJoCo moves meshes to their own centre."""
    mesh = model.geom_dataid[geom]
    start = model.mesh_vertadr[mesh]
    local = model.mesh_vert[start : start + model.mesh_vertnum[mesh]]
    R = rotation_from_wxyz(torch.from_numpy(model.geom_quat[geom])).numpy()
    return local @ R.T + model.geom_pos[geom]


def test_a_pair_has_our_friction_and_rebound_once(scene: Scene, model: Any) -> None:
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    mug, table = model.body("mug").id, model.body("table").id
    found = [c for c in data.contact if {model.geom_bodyid[g] for g in c.geom} == {mug, table}]
    wood = find_material("unknown")
    material = rigid(scene)[0].body.material
    assert found and len({tuple(np.round(c.pos, 6)) for c in found}) == len(found)
    for contact in found:
        assert contact.dim == 3
        assert contact.friction[0] == pytest.approx(math.sqrt(material.friction * wood.friction), rel=1e-6)
    damped = max(material.restitution, wood.restitution)
    ratio = -found[0].solref[1] / (2 * math.sqrt(-found[0].solref[0]))
    assert math.exp(-math.pi * ratio / math.sqrt(1 - ratio**2)) == pytest.approx(damped, abs=1e-6)


def test_cameras_see_what_ours_see(scene: Scene, model: Any) -> None:
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    assert model.ncam == len(scene.views)
    for number in (0, len(scene.views) - 1):
        ours = scene.views[number].camera
        camera, scenery = mujoco.MjvCamera(), mujoco.MjvScene(model, 2000)
        camera.type, camera.fixedcamid = mujoco.mjtCamera.mjCAMERA_FIXED, model.camera(scene.views[number].name).id
        everything = mujoco.mjtCatBit.mjCAT_ALL.value
        mujoco.mjv_updateScene(model, data, mujoco.MjvOption(), None, camera, everything, scenery)
        left_eye, right_eye = scenery.camera[0], scenery.camera[1]
        middle = (np.array(left_eye.pos) + np.array(right_eye.pos)) / 2
        assert np.abs(middle - ours.position.numpy()).max() < 1e-5
        T = ours.T_world_cam.numpy()
        assert np.abs(np.array(left_eye.forward) - T[:3, 2]).max() < 1e-5
        assert np.abs(np.array(left_eye.up) + T[:3, 1]).max() < 1e-5
        K = ours.K.numpy()
        near, top, bottom = left_eye.frustum_near, left_eye.frustum_top, left_eye.frustum_bottom
        assert top / near == pytest.approx(K[1, 2] / K[1, 1], abs=1e-5)
        assert bottom / near == pytest.approx(-(ours.height - K[1, 2]) / K[1, 1], abs=1e-5)
        left = (left_eye.frustum_center - left_eye.frustum_width) / near
        assert left == pytest.approx(-K[0, 2] / K[0, 0], abs=1e-5)


@pytest.mark.parametrize("name", ["world", 'red "mug" & <b>', "茶碗", "table"])
def test_any_name_will_do(tmp_path: Path, name: str) -> None:
    wanted = small_scene("block", name)
    exported = export_mjcf(wanted, tmp_path / "out.xml")
    loaded = mujoco.MjModel.from_xml_path(str(exported.path))
    kept = "world_2" if name == "world" else name
    assert loaded.body(kept).mass[0] == pytest.approx(wanted.objects[1].body.mass)
    assert any("world_2" in note for note in exported.notes) == (name == "world")


def test_exact_shapes_stay_exact_and_rest(tmp_path: Path) -> None:
    exported = export_mjcf(small_scene("block", "ball"), tmp_path / "out.xml")
    assert [path.name for path in exported.files] == ["out.xml"]
    loaded = mujoco.MjModel.from_xml_path(str(exported.path))
    assert loaded.geom("ball_sphere").size[0] == pytest.approx(0.03)
    assert loaded.geom("block_box").rgba[:3] == pytest.approx([0.9, 0.1, 0.5], abs=1e-3)
    data = mujoco.MjData(loaded)
    mujoco.mj_step(loaded, data, 960)
    assert data.body("block").xpos[2] == pytest.approx(0.05, abs=3e-4)
    assert np.abs(data.qvel).max() < 1e-3


def test_another_up_is_turned_to_z(tmp_path: Path) -> None:
    tilted = replace(small_scene("block"), up=(0.0, 0.6, 0.8))
    loaded = mujoco.MjModel.from_xml_path(str(export_mjcf(tilted, tmp_path / "out.xml").path))
    assert loaded.opt.gravity == pytest.approx([0, 0, -9.81])
    assert loaded.body("block").pos[2] == pytest.approx(np.dot(POSE[:3], tilted.up), abs=1e-3)


def test_a_scene_without_scale_is_refused_unless_assumed(tmp_path: Path) -> None:
    wanted = small_scene("block", metric=False)
    with pytest.raises(UsageError, match="scene3d scale"):
        export_mjcf(wanted, tmp_path / "out.xml")
    assert any("no metric scale" in note for note in export_mjcf(wanted, tmp_path / "out.xml", assume_scale=True).notes)


def test_what_cannot_be_exported_is_said(tmp_path: Path) -> None:
    wanted = small_scene("block")
    with pytest.raises(UsageError, match=r"out\.xml"):
        export_mjcf(wanted, tmp_path / "out.mjcf")
    weightless = replace(wanted.objects[0], body=replace(wanted.objects[0].body, mass=0.0))
    with pytest.raises(UsageError, match="'block' has a mass of 0 kg"):
        export_mjcf(replace(wanted, objects=(weightless,)), tmp_path / "out.xml")
    thin = replace(wanted.objects[0], body=replace(wanted.objects[0].body, inertia=np.diag([1.0, 1.0, 9.0])))
    with pytest.raises(BodyError, match=r"'block'.*principal moments"):
        export_mjcf(replace(wanted, objects=(thin,)), tmp_path / "out.xml")
    assert list(tmp_path.iterdir()) == []


def test_nothing_of_the_users_is_replaced(exported: Any, scene: Scene, tmp_path: Path) -> None:
    path = tmp_path / "desk.xml"
    path.write_text("mine")
    with pytest.raises(OutputError, match="--overwrite"):
        export_mjcf(scene, path)
    export_mjcf(scene, path, overwrite=True)
    assert path.read_bytes() == exported.path.read_bytes()
    (tmp_path / "desk_meshes" / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"notes\.txt"):
        export_mjcf(scene, path, overwrite=True)


def test_a_failed_write_leaves_what_was_there(scene: Scene, tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "desk.xml"
    export_mjcf(scene, path)
    before = {file.relative_to(tmp_path): file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    write = _asset_files.write_atomic

    def full(target: Path, parts: Any) -> None:
        if target == path:
            raise OSError(28, "No space left on device")
        write(target, parts)

    monkeypatch.setattr(_asset_files, "write_atomic", full)
    with pytest.raises(OutputError, match="disk is full"):
        export_mjcf(replace(scene, objects=scene.objects[:1]), path, overwrite=True)
    after = {file.relative_to(tmp_path): file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    assert after == before


def test_a_kinematic_object_stays_where_it_is_put(tmp_path: Path) -> None:
    scene = small_scene("block", "ball")
    block, ball = scene.objects
    high = replace(block, body=block.body.with_motion("kinematic"), T_world_body=(0.3, 0.2, 1.0, 1, 0, 0, 0))
    above = replace(ball, T_world_body=(0.3, 0.2, 1.3, 1, 0, 0, 0))
    exported = export_mjcf(replace(scene, objects=(high, above)), tmp_path / "held.xml")
    model = mujoco.MjModel.from_xml_path(str(exported.path))
    data = mujoco.MjData(model)
    mujoco.mj_resetDataKeyframe(model, data, model.key("capture").id)
    mujoco.mj_step(model, data, 1000)
    assert data.body("block").xpos == pytest.approx([0.3, 0.2, 1.0], abs=1e-12)
    assert data.body("ball").xpos[2] == pytest.approx(1.08, abs=2e-3)  # It lies on the block.
    data.mocap_pos[model.body("block").mocapid[0]] = [0.0, 0.0, 2.0]
    mujoco.mj_step(model, data)
    assert data.body("block").xpos == pytest.approx([0.0, 0.0, 2.0], abs=1e-12)
