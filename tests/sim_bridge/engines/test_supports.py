"""Where bodies come to rest by geometry alone."""

from __future__ import annotations

import numpy as np
import pytest

from scene3d._errors import FileFormatError
from sim_bridge.engines._supports import depth_in, rest_height, solid, support_below

CUBE = np.array([(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], dtype=np.float64)
DOWN = np.array([0.0, 0.0, -1.0])


def turned(points: np.ndarray, degrees: float) -> np.ndarray:
    angle = np.radians(degrees)
    c, s = np.cos(angle), np.sin(angle)
    return points @ np.array([[1, 0, 0], [0, c, -s], [0, s, c]]).T


@pytest.mark.parametrize(("degrees", "height"), [(0, 0.03), (20, 0.03), (44, 0.03), (60, 0.05), (100, 0.05)])
def test_a_brick_falls_on_the_face_below_its_middle(degrees: float, height: float) -> None:
    # Half sides of 0.1, 0.05 and 0.03 m; standing on its edge is the way over at atan(0.05 / 0.03) = 59 degrees.
    brick = turned(CUBE * [0.1, 0.05, 0.03], degrees)
    assert rest_height(brick, np.zeros(3), DOWN) == pytest.approx(height)


def test_a_low_centre_of_mass_rolls_back() -> None:
    # A long rod tipped by 80 degrees whose weight is all in its foot.
    rod = CUBE * [0.02, 0.02, 0.1] + [0.0, 0.0, 0.1]
    foot = np.array([0.0, 0.0, 0.01])
    assert rest_height(turned(rod, 50), turned(foot[None], 50)[0], DOWN) == pytest.approx(0.01)
    assert rest_height(turned(rod, 80), turned(foot[None], 80)[0], DOWN) == pytest.approx(0.02)


def test_a_cone_ends_on_its_side_or_its_base() -> None:
    angle = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    cone = np.vstack([np.column_stack([0.05 * np.cos(angle), 0.05 * np.sin(angle), 0 * angle]), [0, 0, 0.2]])
    com = np.array([0, 0, 0.05])
    assert rest_height(cone, com, DOWN) == pytest.approx(0.05)
    lying = rest_height(cone, com, np.array([1.0, 0.0, 0.0]))
    assert lying == pytest.approx(0.15 * 0.05 / np.hypot(0.2, 0.05), rel=2e-3)


def test_the_highest_top_below_a_point_carries_it() -> None:
    floor, table = solid(CUBE * [5, 5, 0.5] - [0, 0, 1.22]), solid(CUBE * [0.5, 0.4, 0.02] - [0, 0, 0.02])
    on_table = support_below([floor, table], np.array([0.1, 0.1, 0.05]))
    assert on_table is not None
    assert on_table.solid == 1
    assert on_table.offset == pytest.approx(0.0)
    beside = support_below([floor, table], np.array([0.6, 0.1, 0.05]))
    assert beside is not None
    assert beside.solid == 0
    assert float(beside.heights(np.array([[0.6, 0.1, 0.05]]))[0]) == pytest.approx(0.05 + 0.72)
    assert support_below([floor, table], np.array([9.0, 0.0, 0.05])) is None


def test_depth_is_that_of_the_deepest_corner() -> None:
    table = solid(CUBE * [0.5, 0.4, 0.02] - [0, 0, 0.02])
    points = np.array([[0.0, 0, 0.01], [0.1, 0, -0.003], [0.2, 0, -0.001]])
    assert depth_in([table], points) == pytest.approx(0.003)
    assert depth_in([table], points[:1]) == 0.0
    assert depth_in([], points) == 0.0


def test_what_is_flat_carries_nothing() -> None:
    with pytest.raises(FileFormatError, match="4 corners encloses no volume"):
        solid(CUBE[CUBE[:, 2] > 0])
