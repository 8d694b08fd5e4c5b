"""Arrows and corners: where they point, and that a first push is neither a touch nor a blow."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import numpy as np
import pytest
import torch

from dynamics.poses import wxyz_from_rotation
from scene3d._scene_world import scene_world
from scene3d._simulate import Push, simulate
from scene3d.viewer._act_highlight import corners
from scene3d.viewer._act_look import look_at_selected, sees_selected
from scene3d.viewer._act_pose import diagonal, kept_above
from scene3d.viewer._acts import Acts
from scene3d.viewer._drop_tool import HIGHEST, LOWEST, DropTool
from scene3d.viewer._push_tool import PushTool, first_aim, plane_axes
from scene3d.viewer._session import Session

from .small_scenes import PLACES, small_scene, write_small_scene

SCENE = small_scene(600)
BOX, CAN, MUG = range(3)
EYE = np.array([0.1, -0.9, 0.6])


@pytest.fixture
def acts(tmp_path: Path) -> Iterator[Acts]:
    made = Acts(Session(tmp_path, SCENE, scene_world(SCENE)))
    yield made
    made.session.jobs.close()


@pytest.mark.parametrize("up", [(0, 0, 1), (1, 0, 0), (0, -1, 0), (0.6, 0, 0.8), (0.36, 0.48, -0.8)])
def test_the_plane_of_a_push_lies_across_gravity(up: tuple[float, ...]) -> None:
    axes = plane_axes(np.array(up, dtype=float))
    assert axes.T @ axes == pytest.approx(np.eye(3), abs=1e-12)
    assert np.linalg.det(axes) == pytest.approx(1)
    assert axes[:, 2] == pytest.approx(up)


def test_a_first_push_sends_things_a_hands_breadth_far() -> None:
    for index, name in enumerate(PLACES):
        aim = first_aim(SCENE.objects[index].body, 90.0)
        assert 0 < aim.force < aim.most
        push = Push(name, (0.0, -aim.force, 0.0), aim.seconds)
        moved = simulate(SCENE, pushes=[push], seconds=1.5, network=False).outcomes[index].moved.median
        assert 0.05 < moved < 0.2, name


def test_the_push_follows_the_pointer_in_its_plane(acts: Acts) -> None:
    tool = PushTool(acts, MagicMock())
    assert tool.aim is None
    assert bool((tool.force() == 0).all())
    tool.facing = np.array([0.0, 1.0, 0.3])
    acts.session.select(CAN)
    first = tool.aim
    assert first is not None
    assert first.angle == pytest.approx(90)
    assert tool.force() / first.force == pytest.approx([0, 1, 0], abs=1e-9)
    for way in ((-1.0, 0.0), (0.6, -0.8)):
        target = np.array([*(np.array(PLACES["can"][:2]) + 0.15 * np.array(way)), PLACES["can"][2]])
        tool._dragged((EYE, target - EYE))
        assert tool.force()[:2] / np.linalg.norm(tool.force()) == pytest.approx(way, abs=1e-6)
    far = np.array([5.0, 0.1, PLACES["can"][2]])
    tool._dragged((EYE, far - EYE))
    assert tool.aim is not None
    assert tool.aim.force == pytest.approx(first.most)
    before = tool.aim
    tool._dragged((EYE, np.array([0.0, 0.0, 1.0])))  # Up into the air, where the plane is not.
    assert tool.aim == before
    acts.session.select(BOX)
    assert tool.aim != before  # Each object has its own.
    acts.session.select(CAN)
    assert tool.aim == before


def test_the_drop_follows_the_pointer_along_the_vertical(acts: Acts) -> None:
    tool = DropTool(acts, MagicMock())
    acts.session.select(MUG)
    x, y, z = PLACES["mug"]
    top = z + 0.05
    for height, found in ((0.2, 0.2), (5.0, HIGHEST), (-1.0, LOWEST)):
        tool._dragged((EYE, np.array([x, y, top + height]) - EYE))
        assert tool.height == pytest.approx(found, abs=1e-6)
    tool._dragged((EYE, np.array([0.0, 0.0, -1.0])))  # Along the vertical every height is as near.
    assert tool.height == pytest.approx(LOWEST)


def test_a_scene_without_scale_is_looked_at_but_not_pushed(view: Any, tmp_path: Path) -> None:
    viewer = view(write_small_scene(tmp_path / "desk", replace(SCENE, metric=False)))
    session = viewer.session
    for index in (MUG, None, BOX):
        session.select(index)
    assert viewer.server.scene.get_handle_by_name("/tools/selected") is not None
    assert viewer.server.scene.get_handle_by_name("/tools/push") is None
    assert "metric scale" in Acts(session).drop(BOX, 0.1)


def test_corners_lie_outside_and_tools_on_long_things_stay_small() -> None:
    bounds = np.array([[-0.1, -0.02, 0.0], [0.1, 0.02, 0.3]])
    lines = corners(bounds)
    assert lines.shape == (24, 2, 3)
    inside = ((lines > bounds[0]) & (lines < bounds[1])).all(axis=2)
    assert not inside.any()
    assert bool((np.ptp(lines, axis=1).astype(bool).sum(axis=1) == 1).all())  # Each along one axis.
    sizes = [diagonal(SCENE, index) for index in range(3)]
    own = [float(np.linalg.norm(np.ptp(thing.body.mesh.vertices, axis=0))) for thing in SCENE.objects]
    assert max(sizes) == pytest.approx(np.median(own))


def test_looking_at_what_is_selected(tmp_path: Path) -> None:
    session = Session(tmp_path, SCENE, None)
    eye, ahead = np.array([0.0, -1.0, 0.5]), np.array([0.0, -1.0, 0.0])
    back = wxyz_from_rotation(torch.tensor([[-1.0, 0, 0], [0, 0, -1], [0, -1, 0]])).numpy()
    camera = SimpleNamespace(position=eye, look_at=eye + ahead, wxyz=back, fov=0.8, aspect=1.5)
    client: Any = SimpleNamespace(camera=camera, atomic=nullcontext)
    assert sees_selected(session, client), "nothing is selected, so nothing is missing"
    assert "Choose an object" in look_at_selected(session, client)
    session.select(MUG)
    assert not sees_selected(session, client), "it looks the other way"
    assert look_at_selected(session, client) == ""
    np.testing.assert_allclose(camera.look_at, PLACES["mug"], atol=1e-6)
    ahead = np.asarray(camera.look_at) - camera.position
    np.testing.assert_allclose(ahead / np.linalg.norm(ahead), [0, -1, 0], atol=1e-6)
    assert 0.3 < np.linalg.norm(ahead) < 1.5
    assert sees_selected(session, client)


def test_nothing_is_put_into_the_table_or_the_floor(acts: Acts) -> None:
    session = acts.session
    world, poses = session.world, session.poses()
    assert world is not None

    def height(x: float, y: float, z: float, *wxyz: float) -> float:
        pose = np.array([x, y, z, *(wxyz or (1.0, 0, 0, 0))], dtype=np.float32)
        return float(kept_above(world, poses, BOX, pose, objects=3)[2])

    assert height(0, 0, 0.3) == pytest.approx(0.3)
    assert height(0, 0, -0.3) == pytest.approx(0.06, abs=1e-4)
    assert height(0, 0, 0.0, np.sqrt(0.5), np.sqrt(0.5), 0, 0) == pytest.approx(0.03, abs=1e-4)  # On its side.
    assert height(1.0, 0, -0.3) == pytest.approx(-0.3)  # Beside the table there is room down to the floor.
    assert height(1.0, 0, -3.0) == pytest.approx(-0.72 + 0.06, abs=1e-3)
