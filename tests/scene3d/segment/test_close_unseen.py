"""Hollows of vessels are completed; other hollows are left as they were seen."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from scene3d.segment._close_unseen import hollow_of_vessel

CELL = 0.002
RADIUS, HEIGHT, WALL = 22.0, 44, 3.0
"""Of a cup with vertical walls [cells]."""


def test_hollow_seen_halfway_is_completed_down_to_a_floor_as_thick_as_the_wall() -> None:
    outline, depth, weight, x, y = _cup(seen=20)
    hollow = hollow_of_vessel(outline, depth, weight, CELL)
    assert hollow is not None
    assert hollow.thickness / CELL == pytest.approx(WALL, abs=0.8)
    open_ = hollow.is_vessel & (hollow.depth < 0)
    for level in range(6, HEIGHT - 2):
        area = open_[..., level].sum()
        assert area == pytest.approx(np.pi * (RADIUS - WALL) ** 2, rel=0.1), level
    axis = open_[np.argmin(np.abs(x)), np.argmin(np.abs(y))]
    assert np.flatnonzero(axis)[0] == pytest.approx(WALL, abs=1.5)


def test_floor_that_many_views_agree_on_is_kept() -> None:
    outline, depth, weight, x, y = _cup(seen=20, floor_weight=8.0)
    hollow = hollow_of_vessel(outline, depth, weight, CELL)
    assert hollow is not None
    axis = (hollow.depth < 0)[np.argmin(np.abs(x)), np.argmin(np.abs(y)), :HEIGHT]
    assert np.flatnonzero(axis)[0] == pytest.approx(HEIGHT - 20, abs=2)


def test_hollow_does_not_go_into_the_handle() -> None:
    outline, depth, weight, x, y = _cup(seen=20)
    handle = (x[:, None] > RADIUS - 1) & (x[:, None] < RADIUS + 9) & (np.abs(y) < 4)
    outline[..., 8:30] = np.where(handle[..., None], 2 * CELL, outline[..., 8:30])
    hollow = hollow_of_vessel(outline, depth, weight, CELL)
    assert hollow is not None
    open_ = hollow.is_vessel & (hollow.depth < 0)
    assert not open_[x > RADIUS - 0.5].any()


@given(st.integers(0, 5))
def test_shallow_dish_is_no_vessel(seen: int) -> None:
    outline, depth, weight, _, _ = _cup(seen=seen)
    assert hollow_of_vessel(outline, depth, weight, CELL) is None


def test_narrow_hole_in_a_thick_block_is_no_vessel() -> None:
    outline, depth, weight, _, _ = _cup(seen=30, wall=14.0)
    assert hollow_of_vessel(outline, depth, weight, CELL) is None


def test_solid_is_no_vessel() -> None:
    outline, depth, weight, _, _ = _cup(seen=0)
    assert hollow_of_vessel(outline, np.full_like(depth, 4 * CELL), weight, CELL) is None


def _cup(
    *, seen: int, wall: float = WALL, floor_weight: float = 0.05
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32], NDArray, NDArray]:
    """Outline, depth and weight of a cup whose hollow was seen ``seen`` cells deep, and the x and y of its cells."""
    x, y = np.arange(-26, 34) + 0.5, np.arange(-26, 27) + 0.5
    z = np.arange(HEIGHT + 4) + 0.5
    radius = np.hypot(x[:, None], y)[..., None]
    outline = np.minimum(np.minimum(RADIUS - radius, HEIGHT - z), z)
    hollow = np.minimum(RADIUS - wall - radius, z - (HEIGHT - seen))
    depth = np.minimum(np.where(seen > 0, -hollow, 4.0), np.where(radius > RADIUS, RADIUS - radius, 4.0))
    weight = np.where(radius > RADIUS - wall, 10.0, floor_weight) + 0 * z
    inside, behind = (np.clip(field, -4, 4).astype(np.float32) * np.float32(CELL) for field in (outline, depth))
    return inside, behind, weight.astype(np.float32), x, y
