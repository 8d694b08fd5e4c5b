"""Chains through ropes whose centre line is known: the rope of the demo, noisy versions of it, spirals and hooks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh
import yaml
from numpy.testing import assert_allclose
from PIL import Image

from dynamics import TriangleMesh, mass_properties
from dynamics._centre_line import arc_lengths, centre_line, feet
from dynamics._errors import BodyError
from dynamics._particle_kind import particle_kind
from dynamics._rope_particles import rope_particles


def rope_and_truth(tabletop: Path) -> tuple[TriangleMesh, np.ndarray, float]:
    found = trimesh.load(tabletop / "meshes" / "rope.obj")
    assert isinstance(found, trimesh.Trimesh)
    truth = yaml.safe_load((tabletop / "ground_truth.yaml").read_text(encoding="utf-8"))
    (rope,) = (thing for thing in truth["objects"] if thing["name"] == "rope")
    size = rope["dimensions"]
    line = np.column_stack([size["centre_line"], np.full(len(size["centre_line"]), size["diameter"] / 2)])
    return TriangleMesh(np.asarray(found.vertices), np.asarray(found.faces, dtype=np.int32)), line, size["length"]


def tube(line: np.ndarray, radius: float, sides: int = 16) -> TriangleMesh:
    """A closed tube around a curve in the plane (M, 2)."""
    along = np.gradient(line, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    across = np.column_stack([-along[:, 1], along[:, 0], np.zeros(len(line))])
    middle = np.column_stack([line, np.full(len(line), radius)])
    angle = np.arange(sides) * 2 * np.pi / sides
    rings = middle[:, None] + radius * (np.cos(angle)[:, None] * across[:, None] + np.sin(angle)[:, None] * [0, 0, 1.0])
    at = np.arange(len(line) * sides).reshape(len(line), sides)
    here, there = at[:-1], at[1:]
    quads = [here, np.roll(here, -1, axis=1), np.roll(there, -1, axis=1), there]
    a, b, c, d = (quad.ravel() for quad in quads)
    ends = [at.size, at.size + 1]
    first = np.stack([np.full(sides, ends[0]), np.roll(at[0], -1), at[0]], axis=1)
    last = np.stack([np.full(sides, ends[1]), at[-1], np.roll(at[-1], -1)], axis=1)
    faces = np.concatenate([np.stack([a, b, c], axis=1), np.stack([a, c, d], axis=1), first, last])
    mesh = TriangleMesh(np.concatenate([rings.reshape(-1, 3), middle[[0, -1]]]), faces.astype(np.int32))
    return mesh if mass_volume(mesh) > 0 else TriangleMesh(mesh.vertices, mesh.faces[:, ::-1])


def mass_volume(mesh: TriangleMesh) -> float:
    a, b, c = (mesh.vertices[mesh.faces[:, i]] for i in range(3))
    return float(np.einsum("fi,fi->", a, np.cross(b, c))) / 6


@pytest.mark.parametrize("noise", [0.0, 0.0005, 0.001])
def test_rope_of_the_demo(tabletop: Path, noise: float) -> None:
    mesh, truth, length = rope_and_truth(tabletop)
    rng = np.random.default_rng(0)
    noisy = TriangleMesh(mesh.vertices + rng.normal(scale=noise, size=mesh.vertices.shape), mesh.faces)
    particles = rope_particles(noisy, 0.05759)
    assert particle_kind(noisy) == particles.kind == "rope"
    assert 0.0068 < particles.radius < 0.0075 + noise
    # Beads end one radius before the tips.
    assert abs(arc_lengths(particles.points)[-1] + 2 * particles.radius - length) < 0.02 * length
    assert feet(truth, particles.points)[1].max() < 0.0015
    steps = np.linalg.norm(np.diff(particles.points, axis=0), axis=1)
    assert_allclose(steps, steps.mean(), rtol=0.03)
    assert 1 < steps.mean() / particles.radius < 2
    assert_allclose(particles.edges, np.stack([np.arange(len(steps)), np.arange(len(steps)) + 1], axis=1))
    exact = mass_properties(mesh, 0.05759 / mass_properties(mesh, 1.0).volume)
    com = particles.masses @ particles.points / particles.masses.sum()
    second = np.einsum("p,pi,pj->ij", particles.masses, particles.points - com, particles.points - com)
    assert_allclose(particles.masses.sum(), 0.05759)
    assert np.abs(com - exact.com).max() < 0.003
    inertia = np.trace(second) * np.eye(3) - second
    assert_allclose(inertia, exact.inertia, atol=0.03 * np.abs(exact.inertia).max())


def test_surface_points_will_do(tabletop: Path) -> None:
    mesh, truth, length = rope_and_truth(tabletop)
    rng = np.random.default_rng(0)
    points = mesh.vertices[rng.permutation(len(mesh.vertices))[:4000]] + rng.normal(scale=0.0005, size=(4000, 3))
    particles = rope_particles(points, 0.05)
    assert feet(truth, particles.points)[1].max() < 0.002
    assert abs(arc_lengths(particles.points)[-1] + 2 * particles.radius - length) < 0.02 * length
    assert 0.0068 < particles.radius < 0.0085


@pytest.mark.data
def test_real_rope_lies_within_its_masks(needs: Callable[[str], Path]) -> None:
    """Depth cameras saw it from above: its points fill one side, with holes and stray ones."""
    folder = needs("rope4")
    cloud: Any = trimesh.load(folder / "pcd.ply")
    particles = rope_particles(np.asarray(cloud.vertices), 0.05)
    assert 15 < len(particles) < 60
    arrays = [np.load(folder / f"{name}_list.npy") for name in ("intr", "R", "t")]
    for i, (K, R, t) in enumerate(zip(*arrays, strict=True)):
        mask: Any = np.asarray(Image.open(folder / f"mask_{i}.png").convert("L")) > 127
        pixels = (particles.points - t.reshape(3)) @ R @ K.T
        column, row = (pixels[:, :2] / pixels[:, 2:]).astype(int).T
        assert mask[row, column].all()


@pytest.mark.parametrize("shape", ["spiral", "hook"])
def test_windings_beside_each_other_stay_apart(shape: str) -> None:
    """A spiral of two turns, 30 mm apart, and a hairpin with 14 mm between its legs, of rope 10 mm thick."""
    if shape == "spiral":
        angle = np.linspace(np.pi, 5 * np.pi, 300)
        line = (0.03 * angle / (2 * np.pi))[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    else:
        bend = np.linspace(-np.pi / 2, np.pi / 2, 60)
        leg = np.linspace(0, 0.2, 100)[:, None]
        arc = 0.012 * np.stack([np.cos(bend), np.sin(bend)], axis=1)
        line = np.concatenate([leg[::-1] * [-1, 0] - [0, 0.012], arc[1:-1], leg * [-1, 0] + [0, 0.012]])
    true_length = np.linalg.norm(np.diff(line, axis=0), axis=1).sum()
    mesh = tube(line, 0.005)
    assert particle_kind(mesh) == "rope"
    particles = rope_particles(mesh, 0.1)
    found = arc_lengths(particles.points)[-1] + 2 * particles.radius
    assert abs(found - true_length) < 0.03 * true_length
    assert feet(np.column_stack([line, np.full(len(line), 0.005)]), particles.points)[1].max() < 0.002
    assert 0.0045 < particles.radius < 0.0055


def test_order_does_not_depend_on_that_of_the_points() -> None:
    rng = np.random.default_rng(0)
    points = np.column_stack([np.linspace(0, 1, 400), rng.normal(scale=0.002, size=(400, 2))])
    first, second = centre_line(points, 0.01), centre_line(points[rng.permutation(400)], 0.01)
    assert_allclose(first.points, second.points, atol=1e-9)
    assert first.length == pytest.approx(1.0, abs=0.02)


def test_rings_boxes_and_pens_of_two_pieces_are_no_ropes() -> None:
    def kind(found: Any) -> str:
        return particle_kind(TriangleMesh(np.asarray(found.vertices), np.asarray(found.faces, dtype=np.int32)))

    assert kind(trimesh.creation.torus(0.1, 0.006)) == "solid"
    assert kind(trimesh.creation.box((0.1, 0.06, 0.05))) == "solid"
    assert kind(trimesh.creation.cylinder(0.02, 0.2)) == "solid"
    halves = [trimesh.creation.cylinder(0.005, 0.1).apply_translation([x, 0, 0]) for x in (0, 0.05)]
    assert kind(trimesh.util.concatenate(halves)) == "solid"


def test_what_is_no_rope_is_refused(tabletop: Path) -> None:
    mesh = rope_and_truth(tabletop)[0]
    with pytest.raises(BodyError, match=r"more than 5000 particles on a rope of 0\.63"):
        rope_particles(mesh, 0.1, spacing=1e-5)
    with pytest.raises(BodyError, match="above zero kilograms, found 0"):
        rope_particles(mesh, 0)
    with pytest.raises(BodyError, match=r"at least 20 finite points \(N, 3\), found \(4, 3\)"):
        rope_particles(np.zeros((4, 3)), 0.1)
    apart = np.random.default_rng(0).normal(scale=0.01, size=(400, 3))
    apart[200:] += 1
    with pytest.raises(BodyError, match="fall into parts"):
        rope_particles(apart, 0.1)
