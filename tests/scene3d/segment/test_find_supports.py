"""Supports: level planes, where they end, how noisy they are, and which of several is meant."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from scene3d import Scene3dError
from scene3d.files import load_scene
from scene3d.segment._find_supports import find_supports, inside_outline
from scene3d.segment._surface_points import Surface, surface_points

from .made_up_desk import around, block, board, splats

WOOD, RED = (0.6, 0.4, 0.2), (0.9, 0.1, 0.1)


def cloud(points: np.ndarray, aim: np.ndarray | None = None) -> Surface:
    n = len(points)
    ones = np.ones(n)
    return Surface(points, np.zeros((n, 3)), ones, np.arange(n), np.zeros((n, 2, 3)), ones if aim is None else aim, 0.8)


@pytest.mark.parametrize("tilt", [0.0, 0.03])
def test_a_noisy_top_is_measured(tilt: float) -> None:
    points = board(noise=0.002, step=0.004)
    turn = np.array([[1, 0, 0], [0, np.cos(tilt), -np.sin(tilt)], [0, np.sin(tilt), np.cos(tilt)]])
    (found,) = find_supports(cloud(points @ turn.T), (0, 0, 1))
    assert np.degrees(np.arccos(min(1.0, found.normal @ turn[:, 2]))) < 0.1
    assert abs(found.offset) < 5e-4
    # Cells hold four points each; their medians are less noisy than the points.
    assert 0.0006 < found.noise < 0.0022
    corners = found.outline @ turn
    assert np.allclose([corners[:, :2].min(), corners[:, :2].max()], [-0.35, 0.35], atol=0.01)


def test_the_outline_runs_counter_clockwise() -> None:
    (found,) = find_supports(cloud(board()), (0, 0, 1))
    corners = found.outline[:, :2]
    following = np.roll(corners, -1, axis=0)
    assert (corners[:, 0] * following[:, 1] - corners[:, 1] * following[:, 0]).sum() > 0
    assert np.allclose(found.heights(found.outline), 0, atol=1e-6)
    inside = inside_outline(found, np.array([[0.0, 0.0, 0.3], [0.34, 0.0, 0.0], [0.5, 0.0, 0.0]]))
    assert inside == pytest.approx([0.35, 0.01, -0.15], abs=0.012)


def test_the_floor_below_a_table_is_no_support() -> None:
    floor = 2.5 * board(step=0.008) + np.array([0, 0, -0.7])
    aim = np.r_[np.ones(len(board(step=0.008))), np.full(len(floor), 0.3)]
    found = find_supports(cloud(np.concatenate([board(step=0.008), floor]), aim), (0, 0, 1))
    assert len(found) == 1
    assert abs(found[0].offset) < 1e-3


def test_two_tables_side_by_side() -> None:
    other = board() + np.array([1.0, 0, 0.1])
    found = find_supports(cloud(np.concatenate([board(), other])), (0, 0, 1))
    assert sorted(round(support.offset, 3) for support in found) == [0.0, 0.1]


def test_haze_below_a_top_does_not_move_it() -> None:
    haze = np.random.default_rng(0).uniform([-0.35, -0.35, -0.03], [0.35, 0.35, 0], (3000, 3))
    (found,) = find_supports(cloud(np.concatenate([board(), haze])), (0, 0, 1))
    assert abs(found.offset) < 5e-4
    assert found.noise < 0.002


def test_no_level_surface() -> None:
    wall = board()[:, [0, 2, 1]]
    with pytest.raises(Scene3dError, match="--point"):
        find_supports(cloud(wall), (0, 0, 1))


def test_the_same_seed_finds_the_same() -> None:
    views, desk = around(4), splats((board(), WOOD), (block(0, 0, (0.06, 0.06, 0.1)), RED))
    first, again = (find_supports(surface_points(desk, views), (0, 0, 1), seed=2) for _ in range(2))
    assert np.array_equal(first[0].outline, again[0].outline)
    assert first[0].offset == again[0].offset


def test_the_tabletop(tabletop_scene: Path) -> None:
    scene = load_scene(tabletop_scene)
    splats_, cameras = scene.splats[scene.splats.component_index == 0], scene.cameras[::6]
    (found,) = find_supports(surface_points(splats_, cameras), scene.up)
    assert np.degrees(np.arccos(found.normal[2])) < 0.3
    assert abs(found.offset) < 0.002
    assert found.noise < 0.002
    assert np.ptp(found.outline, axis=0)[:2] == pytest.approx([1.16, 0.8], abs=0.04)
