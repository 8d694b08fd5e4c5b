"""URDF files: the real cube, a two-block hinge, merged links, meshes, and what is refused."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh

from dynamics import State
from dynamics._errors import BodyError, FileFormatError, Scene3dError
from dynamics._joint_geometry import joint_positions
from dynamics._place_joints import place_joints
from dynamics._rollout import rollout
from dynamics._urdf import load_urdf, world_from_urdf

INERTIAL = """<inertial><origin xyz="{com}"/><mass value="{mass}"/>
  <inertia ixx="6.2e-4" iyy="3.9e-4" izz="3.9e-4"/></inertial>"""
BLOCK = """<link name="{name}">{inertial}<visual><origin xyz="{com}"/><geometry><box size="0.05 0.1 0.1"/></geometry>
  </visual></link>"""
ELBOW = f"""<?xml version="1.0"?><robot name="elbow">
{BLOCK.format(name="one", com="0 0 0", inertial=INERTIAL.format(com="0 0 0", mass=0.37))}
{BLOCK.format(name="two", com="0.025 0 0.05", inertial=INERTIAL.format(com="0.025 0 0.05", mass=0.37))}
<joint name="elbow" type="continuous"><parent link="one"/><child link="two"/><origin xyz="0.025 0 -0.05"/>
<axis xyz="0 2 0"/><dynamics damping="0.001" friction="0.01"/></joint></robot>"""


def written(folder: Path, text: str) -> Path:
    path = folder / "robot.urdf"
    path.write_text(text)
    return path


def test_the_real_cube(needs) -> None:
    path = needs("cube_toss/contactnets_cube.urdf")
    world = world_from_urdf(path, dt=1 / 148)
    assert [body.name for body in world.bodies] == ["table", "body"]
    cube = world.bodies[1]
    assert cube.mass == 0.37 and cube.mass_log_std == 0
    assert cube.primitive is not None and cube.primitive.size == pytest.approx((0.0524,) * 3)
    assert np.allclose(cube.inertia, 8.1e-4 * np.eye(3))
    assert world.joints == ()


def test_two_blocks_on_a_hinge_fall_and_fold(tmp_path: Path) -> None:
    world = world_from_urdf(written(tmp_path, ELBOW))
    hinge = world.joints[0]
    assert (hinge.kind, hinge.parent, hinge.child, hinge.axis) == ("hinge", 1, 2, (0.0, 1.0, 0.0))
    assert (hinge.damping, hinge.friction, hinge.high) == (0.001, 0.01, math.inf)
    assert world.bodies[2].com == pytest.approx([0.025, 0, 0.05])
    poses = torch.zeros(1, 3, 7)
    poses[..., 3], poses[0, 1, 2] = 1, 0.2
    poses, _ = place_joints(world, poses, torch.tensor([[0.4]]))
    state = State.at_rest(world, poses)
    assert state.joint_q.item() == pytest.approx(0.4, abs=1e-6)
    path = rollout(world, state, 480)
    assert path.T_world_body[0, -1, 1:, 2].min() > 0.02
    assert path.overlap[0, -1] < 0.001
    assert path.twist[0, -1].abs().max() < 0.02
    moved, _ = joint_positions(world, path.T_world_body[:, -1])
    assert moved.item() == pytest.approx(path.joint_q[0, -1].item(), abs=1e-6)


def test_poses_and_joint_positions_are_inverse(tmp_path: Path) -> None:
    world = world_from_urdf(written(tmp_path, ARM), base="static", table=False)
    torch.manual_seed(0)
    poses, twist = torch.zeros(4, len(world.bodies), 7), torch.zeros(4, len(world.bodies), 6)
    poses[..., 3] = 1
    twist[:, 0] = torch.randn(4, 6)
    q, qd = torch.rand(4, len(world.joints)) - 0.5, torch.randn(4, len(world.joints))
    placed, moving = place_joints(world, poses, q, twist, qd)
    places, speeds = joint_positions(world, placed, moving)
    assert torch.allclose(places, q, atol=1e-5) and torch.allclose(speeds, qd, atol=1e-5)
    assert (placed - poses)[:, 1:].abs().max() > 0.1


ARM = """<robot name="arm"><link name="base"><collision><geometry><cylinder radius="0.05" length="0.1"/></geometry>
</collision></link>
<link name="flange"><collision><origin xyz="0 0 0.1" rpy="0 1.5707963 0"/>
<geometry><box size="0.1 0.02 0.04"/></geometry>
</collision></link>
<link name="upper"><collision><geometry><sphere radius="0.03"/></geometry></collision></link>
<link name="finger"><collision><geometry>
<mesh filename="package://arm/meshes/finger.stl" scale="0.001 0.001 0.001"/></geometry></collision></link>
<joint name="weld" type="fixed"><parent link="base"/><child link="flange"/><origin xyz="0 0 0.05"/></joint>
<joint name="turn" type="revolute"><parent link="flange"/><child link="upper"/><origin xyz="0 0 0.2" rpy="0.3 0 0"/>
<axis xyz="0 0 1"/><limit lower="-1" upper="2" effort="30" velocity="1"/></joint>
<joint name="grip" type="prismatic"><parent link="upper"/><child link="finger"/><axis xyz="1 0 0"/>
<limit lower="-0.6" upper="0.6" effort="20" velocity="1"/></joint></robot>"""


@pytest.fixture(autouse=True)
def finger(tmp_path: Path) -> None:
    """A mesh in millimetres beside the file."""
    (tmp_path / "meshes").mkdir()
    trimesh.creation.box((20, 10, 60)).export(tmp_path / "meshes" / "finger.stl")


def test_fixed_links_merge_and_meshes_are_scaled(tmp_path: Path) -> None:
    model = load_urdf(written(tmp_path, ARM), base="kinematic", stiffness=100.0, drive_damping=5.0)
    assert [body.name for body in model.bodies] == ["base", "upper", "finger"]
    base, upper, tip = model.bodies
    assert (base.motion, upper.motion) == ("kinematic", "dynamic")
    cylinder = 0.5 * 32 * 0.05**2 * math.sin(math.tau / 32) * 0.1
    assert base.volume == pytest.approx(cylinder + 0.1 * 0.02 * 0.04, rel=1e-6)
    assert base.mesh.bounds[1, 2] == pytest.approx(0.05 + 0.1 + 0.05)
    assert upper.primitive is not None and upper.primitive.kind == "sphere"
    assert tip.mass == pytest.approx(tip.material.density * 0.02 * 0.01 * 0.06)
    turn, grip = model.joints
    assert turn.T_parent_joint[:3] == pytest.approx((0, 0, 0.25)) and (turn.low, turn.high) == (-1, 2)
    assert (grip.kind, grip.force_limit, grip.stiffness, grip.drive_damping) == ("slide", 20, 100, 5)


def test_a_link_called_world_is_the_world(tmp_path: Path) -> None:
    text = ELBOW.replace('<link name="one">', '<link name="world"/><link name="one">').replace(
        "</robot>", '<joint name="root" type="fixed"><parent link="world"/><child link="one"/></joint></robot>'
    )
    model = load_urdf(written(tmp_path, text))
    assert [(joint.name, joint.parent) for joint in model.joints] == [("elbow", 0), ("root", -1)]


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        (("<robot", '<!DOCTYPE r [<!ENTITY a "b">]><robot'), FileFormatError, "document type"),
        (("</robot>", ""), FileFormatError, "no XML"),
        (("robot", "sdf"), FileFormatError, "begins with <sdf>"),
        (('value="0.37"', 'value="0"'), FileFormatError, "mass of 0 kg"),
        (('value="0.37"', 'value="heavy"'), FileFormatError, "'heavy'; it takes a number"),
        (('ixx="6.2e-4"', 'ixx="6.2"'), BodyError, "link 'one'"),
        (('size="0.05 0.1 0.1"', 'size="0.05 0.1"'), FileFormatError, "it takes 3 numbers"),
        (('size="0.05 0.1 0.1"', 'size="0.05 0 0.1"'), FileFormatError, "length of 0 m"),
        (('type="continuous"', 'type="planar"'), FileFormatError, "is planar; joints are"),
        (('type="continuous"', 'type="revolute"'), FileFormatError, "needs <limit>"),
        (('link="two"', 'link="three"'), FileFormatError, "'three', which is not there"),
        (('child link="two"', 'child link="one"'), BodyError, "close a loop"),
        (('xyz="0 2 0"', 'xyz="0 0 0"'), FileFormatError, "axis of length 0"),
        (('<box size="0.05 0.1 0.1"/>', '<mesh filename="../secret.obj"/>'), FileFormatError, "not in the folder"),
        (('<box size="0.05 0.1 0.1"/>', '<mesh filename="none.obj"/>'), FileFormatError, "no mesh that can be read"),
        (('<box size="0.05 0.1 0.1"/>', '<mesh filename="a.dae"/>'), FileFormatError, "meshes are obj, stl, ply"),
        (('<box size="0.05 0.1 0.1"/>', "<capsule/>"), FileFormatError, "shapes are box"),
        (('name="two"', 'name="one"'), FileFormatError, "two links are called 'one'"),
        (("<dynamics", '<mimic joint="x"/><dynamics'), FileFormatError, "mimics another"),
    ],
)
def test_files_that_make_no_sense(tmp_path: Path, change: tuple[str, str], kind: type, message: str) -> None:
    path = written(tmp_path, ELBOW.replace(*change))
    with pytest.raises(kind, match=message) as caught:
        load_urdf(path)
    assert isinstance(caught.value, Scene3dError) and "\n" not in str(caught.value)


def test_a_loop_is_refused(tmp_path: Path) -> None:
    extra = '<joint name="back" type="continuous"><parent link="two"/><child link="one"/></joint></robot>'
    with pytest.raises(BodyError, match="close a loop"):
        load_urdf(written(tmp_path, ELBOW.replace("</robot>", extra)))
    with pytest.raises(FileFormatError, match="cannot be read"):
        load_urdf(tmp_path / "none.urdf")
