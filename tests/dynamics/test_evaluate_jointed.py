"""Evaluation of a body with a hinge, on recordings that physics itself made."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from dynamics import World
from dynamics._errors import UsageError
from dynamics._evaluate_body import load_thrown
from dynamics._evaluate_choice import Request
from dynamics._evaluate_document import evaluation_document
from dynamics._evaluate_jointed import ROOT, evaluate_jointed
from dynamics._identify import Search, rollout_recordings
from dynamics._joint_geometry import joint_positions
from dynamics._recording import recordings_of_tosses
from dynamics._tosses import Toss

DT = 1 / 148
LINK = """<link name="{}"><inertial><mass value="0.2"/>
<inertia ixx="1e-4" iyy="2e-4" izz="2e-4" ixy="0" ixz="0" iyz="0"/></inertial>
<collision><geometry><box size="0.1 0.05 0.05"/></geometry></collision></link>"""
JOINT = """<joint name="hinge" type="continuous"><parent link="a"/><child link="b"/>
<origin xyz="0 0 0.06"/><axis xyz="1 0 0"/></joint>"""


@pytest.fixture
def elbow(tmp_path: Path) -> World:
    path = tmp_path / "elbow.urdf"
    path.write_text(f'<robot name="elbow">{LINK.format("a")}{LINK.format("b")}{JOINT}</robot>')
    found = load_thrown(path, DT)
    assert isinstance(found, World)
    return found


def thrown(world: World, count: int, frames: int) -> list[Toss]:
    """Tosses by the world's own physics."""
    rng = np.random.default_rng(0)
    blank: list[Toss] = []
    for _ in range(count):
        pose, twist = np.zeros((frames, 7)), np.zeros((frames, 6))
        pose[:, 2], pose[:, 3] = 0.1, 1.0
        twist[0] = np.array([0.5, 0.1, 0.2, 1, 2, 0.5]) + 0.1 * rng.standard_normal(6)
        blank.append(Toss(pose, twist, np.zeros((frames, 1)), np.zeros((frames, 1)), DT))
    paths = rollout_recordings(world, recordings_of_tosses(world, blank, ROOT))
    angles = [joint_positions(world, torch.tensor(path))[0].numpy() for path in paths]
    return [replace(b, T_world_body=p[:, ROOT], joint_q=q) for b, p, q in zip(blank, paths, angles, strict=True)]


def test_physics_finds_its_own_tosses(elbow: World) -> None:
    tosses = thrown(elbow, 4, 24)
    names = ("static", "ballistic", "physics_textbook", "physics_identified")
    quick = Search(coarse=1, fine=1, population=4, mend=False)
    found = evaluate_jointed(tosses, elbow, Request(2, names, futures=8), search=quick)
    assert tuple(found.errors) == names
    assert found.scored.tolist() == [2, 3]
    same, flown, still = (found.errors[name] for name in ("physics_textbook", "ballistic", "static"))
    assert same.position_percent.max() < 0.01
    assert same.position_percent.max() < flown.position_percent.min() < still.position_percent.min()
    assert same.joint_deg is not None and flown.joint_deg is not None
    assert same.joint_deg.max() < 0.01 < flown.joint_deg.min()
    assert found.truth[0].shape == (24, 2, 7)
    document = evaluation_document(found)
    assert all("joint_deg" in row for row in document["models"])
    assert document["uncertainty"]["model"] == "physics_identified"


def test_recordings_without_the_joint_are_refused(elbow: World) -> None:
    bare = [replace(toss, joint_q=toss.joint_q[:, :0], joint_qd=toss.joint_qd[:, :0]) for toss in thrown(elbow, 1, 4)]
    with pytest.raises(UsageError, match="have 0 joints, the URDF 1"):
        evaluate_jointed(bare, elbow, Request())
