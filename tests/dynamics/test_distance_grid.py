"""Distance grids against exact distances: boxes, spheres, and the mug with its thin wall."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from dynamics import DistanceGrid, TriangleMesh, distance_grid
from dynamics._errors import BodyError

BOX = np.array([0.1, 0.2, 0.3])


def as_mesh(solid: trimesh.Trimesh) -> TriangleMesh:
    return TriangleMesh(solid.vertices, solid.faces)


def to_box(points: NDArray) -> NDArray:
    """Exact signed distances to the box."""
    q = np.abs(points) - BOX / 2
    return np.linalg.norm(np.maximum(q, 0), axis=-1) + np.minimum(q.max(axis=-1), 0)


@pytest.fixture(scope="module")
def box_grid() -> DistanceGrid:
    return distance_grid(as_mesh(trimesh.creation.box(BOX)), spacing=0.005, margin=0.03)


@pytest.fixture(scope="module")
def mug(tabletop: Path) -> DistanceGrid:
    return distance_grid(as_mesh(trimesh.load_mesh(tabletop / "meshes" / "mug.obj", process=False)))


place = st.tuples(*[st.floats(-1, 1)] * 3).map(np.array)


@given(place)
def test_a_box_is_exact_but_for_its_edges(box_grid: DistanceGrid, unit: NDArray) -> None:
    point = unit * (BOX / 2 + 0.03)
    distance, gradient = box_grid.sample(point)
    # Trilinear values cut corners by at most the part of a cell beyond the edge.
    assert abs(distance - to_box(point)) <= 0.5 * box_grid.spacing
    assert gradient.shape == (3,)
    near_face = np.sort(BOX / 2 - np.abs(point))
    margin = 3 * box_grid.spacing
    if near_face[1] - abs(near_face[0]) > margin and margin < near_face[1] and near_face[0] < BOX.min() / 2 - margin:
        assert distance == pytest.approx(to_box(point), abs=1e-7)
        axis = int(np.argmin(BOX / 2 - np.abs(point)))
        assert np.allclose(gradient, np.eye(3)[axis] * np.sign(point[axis]), atol=1e-5)


@given(place)
def test_gradients_are_those_of_the_values(box_grid: DistanceGrid, unit: NDArray) -> None:
    # Away from the borders of cells, where the slope jumps.
    cell = (unit * 0.3 - box_grid.origin) / box_grid.spacing
    point = (np.floor(cell) + np.clip(cell - np.floor(cell), 0.1, 0.9)) * box_grid.spacing + box_grid.origin
    step = 1e-6
    numeric = [
        (box_grid.sample(point + step * e)[0] - box_grid.sample(point - step * e)[0]) / (2 * step) for e in np.eye(3)
    ]
    assert np.allclose(box_grid.sample(point)[1], numeric, atol=1e-6)


@given(place)
def test_outside_the_grid_nothing_is_nearer_than_stated(box_grid: DistanceGrid, unit: NDArray) -> None:
    point = unit * 2
    stated, true = float(box_grid.sample(point)[0]), float(to_box(point))
    assert stated <= true + 0.5 * box_grid.spacing
    if (np.abs(point) > BOX / 2 + 0.03).any():
        assert stated > 0.6 * true
        assert np.linalg.norm(box_grid.sample(point)[1]) <= 1.1


@settings(max_examples=5)
@given(st.floats(0.02, 2.0), st.tuples(*[st.floats(-3, 3)] * 3).map(np.array))
def test_spheres_of_any_size_and_place(radius: float, centre: NDArray) -> None:
    ball = as_mesh(trimesh.creation.icosphere(3, radius=radius)).moved(np.eye(3), centre)
    grid = distance_grid(ball, spacing=radius / 10)
    points = centre + np.random.default_rng(0).uniform(-1.1, 1.1, (500, 3)) * radius
    distance, gradient = grid.sample(points)
    true = np.linalg.norm(points - centre, axis=1) - radius
    # The facets lie up to 0.6 % inside the sphere.
    assert np.abs(distance - true)[true > -0.8 * radius].max() < 0.02 * radius
    near = np.abs(true) < 0.3 * radius
    outward = (points - centre) / np.linalg.norm(points - centre, axis=1, keepdims=True)
    assert ((gradient * outward).sum(axis=1)[near] > 0.9).all()


def test_the_mug_keeps_its_cavity_and_its_wall(mug: DistanceGrid) -> None:
    cavity = [[0, 0, 0.05], [0, 0, 0.01], [0.03, 0, 0.08], [0, -0.038, 0.05]]
    angle = np.linspace(0, 2 * np.pi, 90)
    wall = np.stack([0.043 * np.cos(angle), 0.043 * np.sin(angle), np.full(90, 0.05)], axis=1)
    assert (mug.sample(cavity)[0] > 0).all()
    # The middle of the 4 mm wall is 2 mm deep, and a grid that resolves it says at least half of that.
    assert (mug.sample(wall)[0] < -0.001).all()
    assert mug.sample([0, 0, 0.003])[0] < -0.001
    assert mug.sample([0, 0, 0.05])[0] == pytest.approx(0.041, abs=5e-4)
    assert mug.values.nbytes <= 8 << 20
    assert mug.values.dtype == np.float32
    assert mug.values.flags.c_contiguous


def test_the_mugs_surface_has_distance_zero(mug: DistanceGrid, tabletop: Path) -> None:
    solid = trimesh.load_mesh(tabletop / "meshes" / "mug.obj", process=False)
    distance, gradient = mug.sample(solid.vertices)
    assert np.abs(distance).max() < 6e-4
    assert np.abs(mug.sample(trimesh.sample.sample_surface(solid, 5000, seed=0)[0])[0]).mean() < 2e-5
    assert ((gradient * solid.vertex_normals).sum(axis=1) > 0.5).mean() > 0.99


def test_thin_plates_are_not_lost() -> None:
    plate = distance_grid(as_mesh(trimesh.creation.box((0.2, 0.2, 0.002))))
    assert plate.sample([0.03, 0.04, 0.0])[0] < -0.0005
    assert plate.values.size <= 1 << 21


def test_the_same_twice() -> None:
    solid = as_mesh(trimesh.creation.torus(0.05, 0.01))
    a, b = distance_grid(solid), distance_grid(solid)
    assert np.array_equal(a.values, b.values)


def test_any_shape_of_points(box_grid: DistanceGrid) -> None:
    points = np.random.default_rng(0).uniform(-0.5, 0.5, (2, 3, 4, 3))
    distance, gradient = box_grid.sample(points)
    assert (distance.shape, gradient.shape) == ((2, 3, 4), (2, 3, 4, 3))
    assert distance[1, 2, 3] == box_grid.sample(points[1, 2, 3])[0]


@pytest.mark.parametrize("spacing", [0.0, -1.0, float("nan"), 1e-9, 1e-300])
def test_impossible_spacings_are_refused_before_memory_is_taken(spacing: float) -> None:
    with pytest.raises(BodyError, match="spacing"):
        distance_grid(as_mesh(trimesh.creation.box(BOX)), spacing)


def test_open_meshes_and_negative_margins_are_refused() -> None:
    solid = trimesh.creation.box(BOX)
    with pytest.raises(BodyError, match="open"):
        distance_grid(TriangleMesh(solid.vertices, solid.faces[1:]))
    with pytest.raises(BodyError, match="margin"):
        distance_grid(as_mesh(solid), margin=-0.1)
