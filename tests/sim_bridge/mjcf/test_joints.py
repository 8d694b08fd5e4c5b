"""A scene with joints in MuJoCo: it stands as in the scene, opens on its hinge, and its drives pull to position 0."""

# pyright: reportAttributeAccessIssue=false
# mujoco is a compiled module without annotations.

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
import pytest

from scene3d import Scene
from sim_bridge.mjcf import export_mjcf

from ...scene3d.jointed_scene import HINGE, PIVOT, half_open_scene, jointed_scene


def loaded(scene: Scene, folder: Path) -> tuple[Any, Any]:
    model: Any = mujoco.MjModel.from_xml_path(str(export_mjcf(scene, folder / "scene.xml").path))
    data: Any = mujoco.MjData(model)
    mujoco.mj_resetDataKeyframe(model, data, 0)
    mujoco.mj_forward(model, data)
    return model, data


def test_it_stands_as_in_the_scene(tmp_path: Path) -> None:
    scene = half_open_scene()
    model, data = loaded(scene, tmp_path)
    for thing in scene.objects:
        np.testing.assert_allclose(data.body(thing.name).xpos, thing.T_world_body[:3], atol=1e-6)
        assert abs(data.body(thing.name).xquat @ np.array(thing.T_world_body[3:])) == pytest.approx(1, abs=1e-9)
    hinge, pivot = model.joint("lid hinge"), model.joint("pivot")
    assert data.joint("lid hinge").qpos[0] == pytest.approx(0.4)
    np.testing.assert_allclose(hinge.range, [0.0, 1.8])
    assert hinge.limited[0] and not pivot.limited[0]
    assert (hinge.damping[0], hinge.frictionloss[0]) == pytest.approx((0.001, 0.002))
    assert model.nv == 6 + 1 + 1 + 6
    np.testing.assert_allclose(data.joint("lid hinge").xanchor, [0, 0.1, 0.2], atol=1e-6)
    np.testing.assert_allclose(data.joint("lid hinge").xaxis, [-1, 0, 0], atol=1e-6)


def test_the_lid_falls_shut_and_stops_at_its_limit(tmp_path: Path) -> None:
    model, data = loaded(half_open_scene(), tmp_path)
    while data.time < 1.0:
        mujoco.mj_step(model, data)
    assert data.joint("lid hinge").qpos[0] == pytest.approx(0.0, abs=0.01)
    np.testing.assert_allclose(data.body("box").xpos, [0, 0, 0.1], atol=2e-3)


def test_drives_pull_to_position_0(tmp_path: Path) -> None:
    spring = replace(PIVOT, stiffness=2.0, drive_damping=0.3, force_limit=4.0)
    model, data = loaded(jointed_scene(HINGE, spring), tmp_path)
    np.testing.assert_allclose(model.actuator("pivot drive").forcerange, [-4, 4])
    data.joint("pivot").qpos[0] = 0.5
    while data.time < 2.0:
        mujoco.mj_step(model, data)
    assert abs(data.joint("pivot").qpos[0]) < 0.05


def test_a_joint_may_be_met_from_its_child(tmp_path: Path) -> None:
    """The lid is the parent here, the box stands still: the tree grows from the box all the same."""
    back = replace(HINGE, parent=1, child=0, T_parent_joint=HINGE.T_child_joint, T_child_joint=HINGE.T_parent_joint)
    scene = jointed_scene(replace(back, axis=(1.0, 0.0, 0.0)))
    box = scene.objects[0]
    scene = replace(scene, objects=(replace(box, body=box.body.with_motion("static")), *scene.objects[1:]))
    model, data = loaded(scene, tmp_path)
    assert model.body("lid").parentid[0] == model.body("box").id
    np.testing.assert_allclose(data.joint("lid hinge").xaxis, [-1, 0, 0], atol=1e-6)
    mujoco.mj_step(model, data, 100)
    # Joined bodies pass through each other, so that nothing pushes them apart.
    assert data.joint("lid hinge").qpos[0] == pytest.approx(0.0, abs=0.01)
