"""Tetrahedra in a plush toy and in exact shapes: do they fit together, and do they weigh what the solid weighs?"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from dynamics import TriangleMesh, mass_properties
from dynamics._clipped_lattice import clip, clipped_lattice
from dynamics._errors import BodyError
from dynamics._particle_kind import particle_kind
from dynamics._particles import Particles
from dynamics._solid_particles import matched_masses, solid_particles


def mesh_of(found: trimesh.Trimesh) -> TriangleMesh:
    return TriangleMesh(np.asarray(found.vertices), np.asarray(found.faces, dtype=np.int32))


def tabletop_mesh(tabletop: Path, name: str) -> TriangleMesh:
    found = trimesh.load(tabletop / "meshes" / f"{name}.obj", process=False)
    assert isinstance(found, trimesh.Trimesh)
    return mesh_of(found)


@pytest.fixture(scope="module")
def toy(tabletop: Path) -> TriangleMesh:
    return tabletop_mesh(tabletop, "toy")


def volumes(points: np.ndarray, cells: np.ndarray) -> np.ndarray:
    a, b, c, d = (points[cells[:, i]] for i in range(4))
    return np.einsum("ci,ci->c", b - a, np.cross(c - a, d - a)) / 6


def moments(particles: Particles) -> tuple[float, np.ndarray, np.ndarray]:
    mass = float(particles.masses.sum())
    com = particles.masses @ particles.points / mass
    x = particles.points - com
    second = np.einsum("p,pi,pj->ij", particles.masses, x, x)
    return mass, com, np.trace(second) * np.eye(3) - second


def boundary(cells: np.ndarray) -> np.ndarray:
    """Faces that belong to one tetrahedron; none may belong to three."""
    faces = np.concatenate([np.delete(cells, corner, axis=1) for corner in range(4)])
    found, uses = np.unique(np.sort(faces, axis=1), axis=0, return_counts=True)
    assert uses.max() == 2
    return found[uses == 1]


def test_toy_is_filled_with_a_few_hundred_particles(toy: TriangleMesh) -> None:
    particles = solid_particles(toy, 0.12)
    assert particle_kind(toy) == particles.kind == "solid"
    assert 300 < len(particles) < 800
    exact = mass_properties(toy, 0.12 / mass_properties(toy, 1.0).volume)
    mass, com, inertia = moments(particles)
    assert_allclose(mass, 0.12, rtol=1e-12)
    assert_allclose(com, exact.com, atol=1e-9)
    assert_allclose(inertia, exact.inertia, atol=1e-6 * np.abs(exact.inertia).max())
    assert volumes(particles.points, particles.cells).sum() > 0.85 * exact.volume
    again = solid_particles(toy, 0.12)
    assert np.array_equal(again.points, particles.points) and np.array_equal(again.masses, particles.masses)
    # Head, arms and legs hang together.
    pieces = trimesh.graph.connected_components(particles.edges, nodes=np.arange(len(particles)))
    assert len(list(pieces)) == 1


def test_noise_of_a_scan_changes_little(toy: TriangleMesh) -> None:
    rng = np.random.default_rng(0)
    noisy = TriangleMesh(toy.vertices + rng.normal(scale=0.0005, size=toy.vertices.shape), toy.faces)
    before, after = moments(solid_particles(toy, 0.12)), moments(solid_particles(noisy, 0.12))
    assert np.abs(after[1] - before[1]).max() < 0.001
    assert_allclose(after[2], before[2], atol=0.03 * np.abs(before[2]).max())


@settings(max_examples=10)
@given(st.floats(0.012, 0.03), st.floats(0, 1), st.floats(-5, 5))
def test_tetrahedra_fit_together(spacing: float, where: float, away: float) -> None:
    """Faces match, the outside is closed, no tetrahedron is turned over or a sliver, and all end on the sphere."""
    sphere = mesh_of(trimesh.creation.icosphere(subdivisions=4, radius=0.05))
    centre = np.array([away, 0.01 * where, -where])
    points, cells = clipped_lattice(sphere.moved(np.eye(3), centre), spacing)
    found = volumes(points, cells)
    assert found.min() > 1e-4 * spacing**3 / 2
    assert 0.8 < found.sum() / (4 / 3 * np.pi * 0.05**3) < 1.0
    outside = boundary(cells)
    edges = np.sort(np.concatenate([outside[:, [0, 1]], outside[:, [0, 2]], outside[:, [1, 2]]]), axis=1)
    assert (np.unique(edges, axis=0, return_counts=True)[1] == 2).all()
    distance = np.linalg.norm(points[np.unique(outside)] - centre, axis=1)
    assert np.abs(distance - 0.05).max() < 0.02 * 0.05 + 0.15 * spacing**2 / 0.05


def test_a_half_space_is_cut_exactly() -> None:
    grid = np.stack(np.meshgrid(*[np.arange(5.0)] * 2, indexing="ij"), axis=-1).reshape(-1, 2)
    at = np.arange(25).reshape(5, 5)
    lower = np.stack([at[:-1, :-1], at[1:, :-1], at[1:, 1:]], axis=-1).reshape(-1, 3)
    upper = np.stack([at[:-1, :-1], at[1:, 1:], at[:-1, 1:]], axis=-1).reshape(-1, 3)
    for height in (0.9, 1.5, 2.2):
        points, cells = clip(grid, np.concatenate([lower, upper]), height - grid[:, 0])
        a, b, c = (points[cells[:, i]] for i in range(3))
        areas = np.abs((b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]) / 2
        assert_allclose(areas.sum(), 4 * height, rtol=1e-12)
        assert points[np.unique(cells), 0].max() == pytest.approx(height)


def test_masses_stay_positive_when_moments_cannot_be_had() -> None:
    points = np.random.default_rng(0).uniform(-1, 1, (50, 3))
    masses = matched_masses(points, np.full(50, 0.1), 2.0, np.array([3.0, 0, 0]), np.eye(3))
    assert masses.min() > 0
    assert_allclose(masses.sum(), 2.0)


def test_what_cannot_be_filled_is_refused(tabletop: Path, toy: TriangleMesh) -> None:
    with pytest.raises(BodyError, match=r"lattice points for a body of 0\.118 x 0\.117 x 0\.153 m"):
        solid_particles(toy, 0.1, spacing=0.0005)
    with pytest.raises(BodyError, match="particles; at most 20000"):
        solid_particles(toy, 0.1, spacing=0.0042)
    with pytest.raises(BodyError, match="spacing of particles is a length in metres above zero"):
        solid_particles(toy, 0.1, spacing=-1.0)
    with pytest.raises(BodyError, match="above zero kilograms, found nan"):
        solid_particles(toy, float("nan"))
    with pytest.raises(BodyError, match="thinner than the lattice"):
        solid_particles(mesh_of(trimesh.creation.box((0.3, 0.3, 0.001))), 0.1, spacing=0.05)
    with pytest.raises(BodyError, match="The mesh is open"):
        solid_particles(TriangleMesh(toy.vertices, toy.faces[1:]), 0.1)
    with pytest.raises(BodyError, match=r"too thin to be filled: 4000 particles take \d+ % of its volume"):
        solid_particles(tabletop_mesh(tabletop, "mug"), 0.1)
