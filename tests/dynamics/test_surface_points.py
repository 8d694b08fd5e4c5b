"""Contact points: corners and rims first, the rest evenly, the same every time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import KDTree
from scipy.spatial.transform import Rotation

from dynamics import TriangleMesh, surface_points
from dynamics._errors import BodyError


def as_mesh(solid: trimesh.Trimesh) -> TriangleMesh:
    return TriangleMesh(solid.vertices, solid.faces)


@settings(max_examples=20)
@given(st.tuples(*[st.floats(0.05, 1.0)] * 3), st.integers(0, 1000), st.sampled_from([0, 2]))
def test_the_corners_of_any_box_come_first(sides, seed: int, divisions: int) -> None:
    solid = trimesh.creation.box(sides)
    corners = np.array(solid.vertices)
    for _ in range(divisions):
        solid = solid.subdivide()
    R = Rotation.random(rng=np.random.default_rng(seed)).as_matrix()
    points = surface_points(as_mesh(solid).moved(R, np.ones(3)), 20)
    assert points.shape == (20, 3)
    assert points.dtype == np.float32
    away, which = KDTree(corners @ R.T + 1).query(points[:8])
    assert away.max() < 1e-6
    assert set(np.asarray(which).tolist()) == set(range(8))


def test_a_cylinder_has_both_rims() -> None:
    points = surface_points(as_mesh(trimesh.creation.cylinder(0.03, 0.1, sections=48)), 128)
    rim = (np.abs(np.hypot(points[:, 0], points[:, 1]) - 0.03) < 1e-6) & (np.abs(np.abs(points[:, 2]) - 0.05) < 1e-6)
    assert rim[:32].all()
    for end in (-1, 1):
        ring = points[rim & (np.sign(points[:, 2]) == end)]
        angles = np.sort(np.arctan2(ring[:, 1], ring[:, 0]))
        assert np.diff(angles, append=angles[0] + 2 * np.pi).max() < np.radians(31)


def test_corners_within_a_cavity_are_found() -> None:
    """A step: two of its corners are convex, and not on the hull."""
    outline = np.array([[0, 0], [3, 0], [3, 1], [1.2, 1], [1.2, 2], [0.4, 2], [0.4, 3], [0, 3]])
    shape = trimesh.creation.extrude_triangulation(outline, _fan(outline), 1.0)
    points = surface_points(as_mesh(shape), 64)
    for corner in ((1.2, 2, 0), (1.2, 2, 1)):
        assert np.abs(points[:32] - np.array(corner)).max(axis=1).min() < 1e-6


def _fan(outline: np.ndarray) -> np.ndarray:
    # Star-shaped about the first corner.
    return np.array([[0, i, i + 1] for i in range(1, len(outline) - 1)])


def test_points_are_even_and_on_the_surface(tabletop: Path) -> None:
    solid = trimesh.load_mesh(tabletop / "meshes" / "mug.obj", process=False)
    points = surface_points(as_mesh(solid), 256)
    surface = trimesh.sample.sample_surface(solid, 50_000, seed=0)[0]
    assert KDTree(surface).query(points)[0].max() < 2e-3
    cover = KDTree(points).query(surface)[0].max()
    chance = KDTree(surface[:256]).query(surface)[0].max()
    assert cover < 0.75 * chance
    assert cover < 0.015


def test_the_same_twice_and_another_with_another_seed() -> None:
    solid = as_mesh(trimesh.creation.torus(0.05, 0.01))
    assert np.array_equal(surface_points(solid, 100, 3), surface_points(solid, 100, 3))
    assert not np.array_equal(surface_points(solid, 100, 3), surface_points(solid, 100, 4))


def test_few_points_are_the_first_of_many() -> None:
    solid = as_mesh(trimesh.creation.box((1, 2, 3)))
    assert np.array_equal(surface_points(solid, 8), surface_points(solid, 64)[:8])


def test_nothing_to_choose_from_is_refused() -> None:
    with pytest.raises(BodyError, match="at least one"):
        surface_points(as_mesh(trimesh.creation.box((1, 1, 1))), 0)
    with pytest.raises(BodyError, match="no area"):
        surface_points(TriangleMesh(np.zeros((3, 3)), np.array([[0, 1, 2]])), 5)
    with pytest.raises(BodyError, match="no area"):
        surface_points(TriangleMesh(np.zeros((0, 3)), np.zeros((0, 3), dtype=int)), 5)
