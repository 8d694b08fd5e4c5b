"""Which particles carry which splat: near ones, of the same limb, with weights that fade."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from dynamics import Particles, TriangleMesh
from dynamics._solid_particles import solid_particles, tetrahedron_edges
from scene3d._binding import bind


def chain(count: int, step: float = 0.01) -> Particles:
    points = np.zeros((count, 3))
    points[:, 0] = step * np.arange(count)
    edges = np.stack([np.arange(count - 1), np.arange(1, count)], axis=1).astype(np.int32)
    return Particles("rope", points, np.ones(count), edges, np.zeros((0, 4), np.int32), step)


def legs() -> Particles:
    """Two legs 4 mm apart that meet at the hip, as one solid."""
    parts = [trimesh.creation.box((0.02, 0.02, 0.1)).apply_translation([side * 0.012, 0, 0.05]) for side in (-1, 1)]
    whole = [*parts, trimesh.creation.box((0.044, 0.02, 0.02)).apply_translation([0, 0, 0.105])]
    # Lattices of the parts, joined where they overlap: by hand, as no boolean library is at hand.
    grid = np.stack(np.meshgrid(*[np.arange(-0.024, 0.13, 0.004)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    inside = np.any(
        [(np.abs(grid - part.bounds.mean(axis=0)) <= part.extents / 2 + 1e-9).all(1) for part in whole], axis=0
    )
    points = grid[inside]
    places = {tuple(np.rint(p / 0.004).astype(int)): i for i, p in enumerate(points)}
    five = np.array([[0, 1, 2, 4], [3, 1, 2, 7], [5, 1, 4, 7], [6, 2, 4, 7], [1, 2, 4, 7]])
    corners = np.stack(np.meshgrid(*[[0, 1]] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    cells = []
    for place in places:
        cube = [places.get(tuple(np.array(place) + corner)) for corner in corners]
        if None not in cube:
            cells.append(np.array(cube)[five])
    found = np.concatenate(cells).astype(np.int32)
    return Particles("solid", points, np.ones(len(points)), tetrahedron_edges(found), found, 0.0)


@pytest.fixture(scope="module")
def toy(tabletop: Path) -> tuple[Particles, np.ndarray]:
    found = trimesh.load(tabletop / "meshes" / "toy.obj", process=False)
    assert isinstance(found, trimesh.Trimesh)
    mesh = TriangleMesh(np.asarray(found.vertices), np.asarray(found.faces, dtype=np.int32))
    return solid_particles(mesh, 0.12), mesh.vertices


@pytest.mark.parametrize("k", [1, 4, 8, 16])
def test_toy(toy: tuple[Particles, np.ndarray], k: int) -> None:
    particles, surface = toy
    binding = bind(surface, particles, k=k)
    assert binding.indices.shape == binding.weights.shape == (len(surface), k)
    assert (binding.indices.dtype, binding.weights.dtype) == (np.int32, np.float32)
    assert_allclose(binding.weights.sum(axis=1), 1, atol=1e-6)
    assert binding.weights.min() >= 0 and (np.diff(binding.weights, axis=1) <= 0).all()
    away = np.linalg.norm(particles.points[binding.indices] - surface[:, None], axis=2)
    assert away[:, 0].max() < 0.02
    assert np.quantile(away[binding.weights > 0.01], 0.99) < 0.035


def test_neighbours_on_the_surface_are_bound_alike(toy: tuple[Particles, np.ndarray]) -> None:
    """Half a millimetre along a surface changes weights a little: no seam will show when the body bends."""
    particles, surface = toy
    step = np.random.default_rng(0).normal(size=surface.shape)
    step *= 0.0005 / np.linalg.norm(step, axis=1, keepdims=True)
    dense = np.zeros((2, len(surface), len(particles)), dtype=np.float32)
    for row, means in enumerate((surface, surface + step)):
        binding = bind(means, particles)
        np.put_along_axis(dense[row], binding.indices.astype(np.int64), binding.weights, axis=1)
    change = np.abs(dense[1] - dense[0]).sum(axis=1)
    assert np.median(change) < 0.12
    assert np.quantile(change, 0.99) < 0.4


def test_a_splat_on_one_leg_is_not_carried_by_the_other() -> None:
    particles = legs()
    rng = np.random.default_rng(0)
    means = np.column_stack(
        [rng.uniform(-0.022, -0.003, 400), rng.uniform(-0.01, 0.01, 400), rng.uniform(0, 0.07, 400)]
    )
    binding = bind(means, particles)
    carrying = particles.points[binding.indices][binding.weights > 0]
    assert (carrying[:, 0] < 0).all()
    # The legs are so near that the nearest eight particles alone would reach over.
    nearest = np.argsort(np.linalg.norm(means[:, None] - particles.points, axis=2), axis=1)[:, :16]
    assert (particles.points[nearest][..., 0] > 0).any()


def test_windings_of_a_rope_stay_apart() -> None:
    bend = np.linspace(-np.pi / 2, np.pi / 2, 5)
    points = np.concatenate(
        [
            np.column_stack([np.linspace(-0.1, 0, 12), np.full(12, -0.012)]),
            0.012 * np.stack([np.cos(bend), np.sin(bend)], axis=1)[1:-1],
            np.column_stack([np.linspace(0, -0.1, 12), np.full(12, 0.012)]),
        ]
    )
    count = len(points)
    edges = np.stack([np.arange(count - 1), np.arange(1, count)], axis=1).astype(np.int32)
    rope = Particles(
        "rope", np.column_stack([points, np.zeros(count)]), np.ones(count), edges, np.zeros((0, 4), np.int32), 0.01
    )
    rng = np.random.default_rng(0)
    means = np.column_stack(
        [rng.uniform(-0.1, -0.03, 200), rng.uniform(-0.02, -0.003, 200), rng.uniform(-0.01, 0.01, 200)]
    )
    assert bind(means, rope).indices.max() < 12


@settings(max_examples=20)
@given(st.floats(0.02, 0.07), st.floats(-0.01, 0.01), st.integers(4, 16))
def test_weights_on_a_chain_reproduce_the_place_along_it(along: float, beside: float, k: int) -> None:
    rope = chain(10)
    binding = bind(np.array([[along, beside, 0.0]]), rope, k=k)
    assert binding.indices.shape == (1, 4)
    place = (binding.weights[0] * rope.points[binding.indices[0], 0]).sum()
    assert_allclose(place, along, atol=1e-6)


@pytest.mark.parametrize("count", [2, 3])
def test_small_chains(count: int) -> None:
    binding = bind(np.random.default_rng(0).normal(size=(50, 3)), chain(count))
    assert binding.indices.max() < count
    assert_allclose(binding.weights.sum(axis=1), 1, atol=1e-6)


def test_few_particles_and_equal_distances() -> None:
    points = np.array([[1.0, 1, 1], [-1, -1, 1], [-1, 1, -1], [1, -1, -1]])
    cells = np.array([[0, 1, 2, 3]], dtype=np.int32)
    one = Particles("solid", points, np.ones(4), tetrahedron_edges(cells), cells, 0.0)
    binding = bind(np.zeros((1, 3)), one)
    assert_allclose(binding.weights, 0.25)
    binding = bind(np.zeros((1, 3)), one, k=2)
    assert_allclose(binding.weights, 0.5)
    edges, both = (np.concatenate([part, part + 4]) for part in (one.edges, cells))
    pair = Particles("solid", np.concatenate([points, points + 5]), np.ones(8), edges, both, 0.0)
    assert bind(np.ones((3, 3)), pair).indices.max() < 4
    assert bind(np.zeros((0, 3)), one).weights.shape == (0, 4)
    assert np.isfinite(bind(np.full((3, 3), 1e6), one).weights).all()


def test_memory_grows_with_the_splats_only(toy: tuple[Particles, np.ndarray]) -> None:
    """Twice the splats take at most twice the memory, a hundred bytes each, and never all pairs."""
    particles, surface = toy
    peaks = []
    for copies in (10, 20):
        means = np.tile(surface, (copies, 1))
        tracemalloc.start()
        bind(means, particles)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] - peaks[0] < 100 * 10 * len(surface)
    assert peaks[1] < 2 * peaks[0]
    assert peaks[1] < 0.3 * 8 * 20 * len(surface) * len(particles)


def test_wrong_arguments() -> None:
    with pytest.raises(ValueError, match="1 to 16 particles, found k = 0"):
        bind(np.zeros((2, 3)), chain(5), k=0)
    with pytest.raises(ValueError, match=r"finite centres \(N, 3\)"):
        bind(np.full((2, 3), np.nan), chain(5))
