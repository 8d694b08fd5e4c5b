"""Convex parts within the limits of every engine."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial import ConvexHull

from dynamics import TriangleMesh, mass_properties
from scene3d import Scene
from sim_bridge.usd._hull_faces import SMALL, within_limits


def hull_of(points: NDArray) -> TriangleMesh:
    hull = ConvexHull(points)
    place = np.full(len(points), -1)
    place[hull.vertices] = np.arange(len(hull.vertices))
    faces = place[hull.simplices]
    a, b, c = points[hull.simplices].transpose(1, 0, 2)
    inward = (np.cross(b - a, c - a) * hull.equations[:, :3]).sum(axis=1) < 0
    faces[inward] = faces[inward][:, ::-1]
    return TriangleMesh(points[hull.vertices], faces)


def faces_of(part: TriangleMesh) -> int:
    return len(np.unique(np.round(ConvexHull(part.vertices).equations, 5), axis=0))


def test_what_fits_stays_as_it_is() -> None:
    angle = 2 * np.pi * np.arange(32) / 32
    ring = np.column_stack([0.03 * np.cos(angle), 0.03 * np.sin(angle)])
    prism = hull_of(np.vstack([np.column_stack([ring, np.full(32, z)]) for z in (0.0, 0.1)]))
    assert len(prism.vertices) == 64
    assert len(prism.faces) == 124
    assert within_limits(prism) == (prism,)


@pytest.mark.parametrize("count", [64, 200])
def test_a_ball_of_many_faces_becomes_slices_of_the_same_ball(count: int) -> None:
    points = np.random.default_rng(0).normal(size=(count, 3))
    ball = hull_of(0.05 * points / np.linalg.norm(points, axis=1, keepdims=True))
    pieces = within_limits(ball)
    assert len(pieces) > 1
    assert all(len(piece.vertices) <= 64 and faces_of(piece) <= 64 for piece in pieces)
    volume = sum(mass_properties(piece, 1.0).volume for piece in pieces)
    assert volume == pytest.approx(mass_properties(ball, 1.0).volume, rel=0.01)
    assert all(within_limits(piece) == (piece,) for piece in pieces)


def test_reconstructed_parts_lose_no_more_than_a_hair(tabletop_loaded: Scene) -> None:
    for thing in tabletop_loaded.objects:
        for part in thing.body.parts[:4]:
            pieces = within_limits(part)
            assert all(len(piece.vertices) <= 64 and faces_of(piece) <= 64 for piece in pieces)
            whole = ConvexHull(np.concatenate([piece.vertices for piece in pieces]))
            out = part.vertices @ whole.equations[:, :3].T + whole.equations[:, 3]
            # Vertices go one after another, so a few that lie side by side may add up.
            assert out.max() < 2 * SMALL
