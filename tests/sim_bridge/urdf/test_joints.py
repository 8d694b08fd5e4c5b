"""A scene with joints as a URDF, read by MuJoCo: links hang where the scene has them and turn about the same axes."""

# pyright: reportAttributeAccessIssue=false
# mujoco is a compiled module without annotations.

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
import pytest

from dynamics import Joint
from sim_bridge.urdf import export_urdf

from ...scene3d.jointed_scene import HINGE, PIVOT, jointed_scene


def test_links_hang_on_the_scenes_joints(tmp_path: Path) -> None:
    slide = Joint("rail", "slide", 3, 0, T_parent_joint=(0.4, 0.0, 0.075, 1.0, 0.0, 0.0, 0.0), axis=(1.0, 0.0, 0.0))
    spring = replace(PIVOT, stiffness=2.0)
    # The drive is what a URDF cannot hold.
    exported = export_urdf(jointed_scene(HINGE, spring, slide), tmp_path / "scene.urdf")
    assert any("no drives: pivot" in note for note in exported.notes)
    assert not any("begins at position 0" in note for note in exported.notes)

    model: Any = mujoco.MjModel.from_xml_path(str(exported.path))
    data: Any = mujoco.MjData(model)
    mujoco.mj_forward(model, data)

    scene = jointed_scene()
    for thing in scene.objects:
        np.testing.assert_allclose(data.body(thing.name).xipos, thing.T_world_body[:3], atol=1e-6)
        assert model.body(thing.name).mass[0] == pytest.approx(thing.body.mass)
        moments = np.sort(np.linalg.eigvalsh(thing.body.inertia))
        np.testing.assert_allclose(np.sort(model.body(thing.name).inertia), moments, rtol=1e-6)
    assert [mujoco.mjtJoint(kind).name for kind in model.jnt_type].count("mjJNT_HINGE") == 2
    np.testing.assert_allclose(model.joint("lid hinge").range, [0, 1.8])
    np.testing.assert_allclose(model.joint("rail").range, [-1000, 1000])
    assert model.joint("pivot").limited[0] == 0
    np.testing.assert_allclose(data.joint("lid hinge").xanchor, [0, 0.1, 0.2], atol=1e-6)
    np.testing.assert_allclose(data.joint("lid hinge").xaxis, [-1, 0, 0], atol=1e-6)
    # Open by a right angle the lid stands upright on the box's back edge.
    data.joint("lid hinge").qpos[0] = np.pi / 2
    mujoco.mj_forward(model, data)
    np.testing.assert_allclose(data.body("lid").xipos, [0, 0.105, 0.3], atol=1e-6)


def test_where_joints_stand_is_said(tmp_path: Path) -> None:
    scene = jointed_scene(replace(PIVOT, T_parent_joint=(0.5, 0.0, 0.5, 0.5, 0.5, -0.5, 0.5)))

    exported = export_urdf(scene, tmp_path / "scene.urdf")

    assert any("begins at position 0; in the scene stand pivot at" in note for note in exported.notes)
