"""Clusters: what counts as an object on a support, and how one is divided between two clicks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scene3d._support import SupportPlane
from scene3d.segment._cluster_divide import divided
from scene3d.segment._cluster_ground import height_band, levelled_heights
from scene3d.segment._clusters import find_clusters
from scene3d.segment._surface_points import Surface

from .made_up_desk import block, board

EDGE = np.array([[-0.35, -0.35, 0], [0.35, -0.35, 0], [0.35, 0.35, 0], [-0.35, 0.35, 0]])
DESK = SupportPlane(np.array([0.0, 0.0, 1.0]), 0.0, 0.0005, EDGE)


def cloud(*parts: np.ndarray) -> Surface:
    points = np.concatenate(parts)
    n = len(points)
    ones = np.ones(n)
    return Surface(points, np.full((n, 3), 0.5), ones, np.arange(n), np.zeros((n, 2, 3)), ones, 0.8)


def sizes(*parts: np.ndarray, min_height: float | None = None) -> list[int]:
    surface = cloud(board(), *parts)
    found = find_clusters(surface, DESK, height_band(DESK, 0.8, True, min_height))
    return [len(cluster.points) for cluster in found]


def test_heights_that_count() -> None:
    assert height_band(DESK, 0.8, True).object == 0.008
    assert height_band(DESK, 8.0, False).object == 0.08
    noisy = SupportPlane(DESK.normal, 0.0, 0.01, EDGE)
    assert height_band(noisy, 0.8, True).object == pytest.approx(0.03)
    assert height_band(noisy, 0.8, True, 0.001).object == pytest.approx(0.03)
    assert height_band(DESK, 0.8, True, 0.003).object == 0.003


def test_apart_things_are_apart_and_whole() -> None:
    tall, low = block(-0.1, 0, (0.06, 0.06, 0.12)), block(0.1, 0, (0.05, 0.05, 0.03))
    found = sizes(tall, low)
    # All of each but the strip that is as low as the desk's own noise.
    assert len(found) == 2
    for count, thing in zip(found, (tall, low), strict=True):
        assert (thing[:, 2] > 0.0025).sum() <= count <= len(thing)


def test_a_rope_is_an_object_and_a_card_is_not() -> None:
    rope, card = block(-0.1, 0, (0.015, 0.4, 0.015)), block(0.1, 0, (0.1, 0.15, 0.006), step=0.003)
    assert len(sizes(rope, card)) == 1
    assert len(sizes(rope, card, min_height=0.003)) == 2


def test_a_mug_beside_a_magazine() -> None:
    mug, magazine = block(0, 0, (0.08, 0.08, 0.1)), block(0.14, 0, (0.2, 0.2, 0.012))
    surface = cloud(board(), mug, magazine)
    found = find_clusters(surface, DESK, height_band(DESK, 0.8, True))
    tall = max(found, key=lambda cluster: surface.points[cluster.points, 2].max())
    assert surface.points[tall.points, 0].max() < 0.06


def test_what_is_no_object() -> None:
    wall = block(0.36, 0, (0.03, 0.7, 0.4), step=0.01)
    chair = block(0.0, 0.38, (0.3, 0.03, 0.2))
    lamp = block(0, 0, (0.1, 0.1, 0.05)) + np.array([0, 0, 0.3])
    assert sizes(wall) == sizes(chair) == sizes(lamp) == sizes() == []


def test_a_bent_top_is_levelled() -> None:
    points = board(step=0.006)
    points[:, 2] += 0.006 * np.cos(4 * points[:, 0])
    surface = cloud(points)
    levelled = levelled_heights(surface, DESK, height_band(DESK, 0.8, True))
    inner = np.abs(points[:, :2]).max(axis=1) < 0.3
    assert np.abs(levelled[inner]).max() < 0.3 * np.abs(points[inner, 2]).max()


@settings(max_examples=20)
@given(st.floats(0.5, 20.0))
def test_size_does_not_matter_without_a_scale(scale: float) -> None:
    surface = cloud(board(step=0.02), block(0, 0, (0.08, 0.08, 0.1)))
    large = Surface(
        surface.points * scale, surface.colours, surface.weights, surface.splat, surface.axes, surface.aim, 0.8 * scale
    )
    desk = SupportPlane(DESK.normal, 0.0, DESK.noise * scale, EDGE * scale)
    one, other = (find_clusters(s, d, height_band(d, s.distance, False)) for s, d in ((surface, DESK), (large, desk)))
    assert len(one) == len(other) == 1
    assert np.array_equal(one[0].points, other[0].points)


def test_two_clicks_divide_where_the_colour_changes() -> None:
    points = np.concatenate([block(0, 0, (0.1, 0.05, 0.05)), block(0.1, 0, (0.1, 0.05, 0.05))])
    surface = cloud(points)
    left = points[:, 0] < 0.05
    surface.colours[left] = [0.9, 0.1, 0.1]
    owner = divided(surface, np.arange(len(points)), [(0, np.array([0.03, 0, 0.05])), (1, np.array([0.13, 0, 0.05]))])
    assert ((owner == 0) == left).mean() > 0.98
    assert (divided(surface, np.arange(9), [(4, points[0])]) == 4).all()
