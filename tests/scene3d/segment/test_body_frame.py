"""Frames of bodies and the supports that they stand on."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynamics import TriangleMesh, mass_properties
from scene3d._support import SupportPlane
from scene3d.segment._body_frame import body_frame, support_under
from scene3d.segment._collider_grid import Grid, tight_turn, upright_axes

UP = np.array([0.0, 0.0, 1.0])


def _box(sides: tuple[float, float, float], yaw: float = 0.0) -> TriangleMesh:
    import trimesh

    box = trimesh.creation.box(sides)
    c, s = np.cos(yaw), np.sin(yaw)
    turn = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    return TriangleMesh(np.asarray(box.vertices), np.asarray(box.faces)).moved(turn, np.array([0.3, 0.1, 0.5]))


def _plane(height: float, at: float = 0.0, half: float = 1.0) -> SupportPlane:
    corners = np.array([[-half, -half], [half, -half], [half, half], [-half, half]]) + at
    return SupportPlane(UP, height, 0.001, np.column_stack([corners, np.full(4, height)]))


@given(st.floats(-1.5, 1.5))
def test_x_lies_along_the_longer_side(yaw: float) -> None:
    mesh = _box((0.3, 0.1, 0.2), yaw)
    rotation, origin = body_frame(mesh, mass_properties(mesh, 1.0).com, UP, _plane(0.4))
    assert np.linalg.det(rotation) == pytest.approx(1)
    assert rotation[:, 2] == pytest.approx(UP)
    assert abs(rotation[:, 0] @ [np.cos(yaw), np.sin(yaw), 0]) > np.cos(np.deg2rad(1))
    assert origin == pytest.approx([0.3, 0.1, 0.4])


def test_round_footprint_keeps_the_yaw_of_the_world() -> None:
    mesh = _box((0.1, 0.102, 0.2), 0.0)
    rotation, origin = body_frame(mesh, np.array([0.3, 0.1, 0.5]), UP, None)
    assert rotation == pytest.approx(np.eye(3))
    assert origin == pytest.approx([0.3, 0.1, 0.5])


@given(st.tuples(*(st.floats(-1, 1),) * 3).filter(lambda v: np.linalg.norm(v) > 0.1))
def test_upright_axes_are_a_rotation_with_z_up(up: tuple[float, float, float]) -> None:
    axes = upright_axes(np.array(up))
    assert axes @ axes.T == pytest.approx(np.eye(3), abs=1e-9)
    assert np.linalg.det(axes) == pytest.approx(1)
    assert axes[2] == pytest.approx(np.array(up) / np.linalg.norm(up))


def test_support_is_the_plane_right_below() -> None:
    points = np.random.default_rng(0).uniform([-0.1, -0.1, 0.8], [0.1, 0.1, 1.0], (200, 3))
    table, floor, shelf, beside = _plane(0.8), _plane(0.0), _plane(1.5), _plane(0.81, at=5.0)
    assert support_under(points, (floor, shelf, beside, table)) is table
    assert support_under(points, (beside,)) is None
    assert support_under(points, (shelf,)) is None
    assert support_under(points, ()) is None


def test_tight_turn_of_a_turned_rectangle() -> None:
    corners = np.array([[-2, -1], [2, -1], [2, 1], [-2, 1.0]])
    for degrees in (-60, 0, 30, 80):
        angle = np.deg2rad(degrees)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        found, longer, shorter = tight_turn(corners @ turn.T)
        assert found == pytest.approx(angle, abs=1e-6)
        assert (longer, shorter) == (pytest.approx(4), pytest.approx(2))


@given(st.floats(1e-6, 10), st.tuples(*(st.floats(0, 100),) * 3))
def test_grid_stays_small_and_covers_its_box(cell: float, sides: tuple[float, float, float]) -> None:
    grid = Grid.around(np.zeros(3), np.array(sides), np.eye(3), cell)
    assert np.prod(grid.shape) < 4_000_000
    assert (np.asarray(grid.shape) * grid.cell >= np.array(sides) * (1 - 1e-9)).all()
