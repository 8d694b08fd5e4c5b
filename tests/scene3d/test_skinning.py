"""Splats of a toy, a rope and a cloth that bend: exact where truth is known, smooth and differentiable elsewhere."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close
from torch.utils._python_dispatch import TorchDispatchMode

from dynamics import Particles, TriangleMesh
from dynamics._cloth_particles import cloth_particles
from dynamics._rope_particles import rope_particles
from dynamics._solid_particles import solid_particles
from dynamics.poses import rotation_from_wxyz
from scene3d import Camera, Gaussians
from scene3d._binding import bind
from scene3d._particle_rotations import particle_rotations, polar_rotation, shortest_rotation
from scene3d._scene_object import Binding
from scene3d._sh_rotation import rotate_sh
from scene3d._skinning import deform
from scene3d.render import render

Thing = tuple[Gaussians, Binding, Particles]
KINDS = ("solid", "rope", "cloth")


def dressed(particles: Particles, surface: np.ndarray, count: int = 600) -> Thing:
    """Splats of every shape and colour on a surface, bound."""
    g = torch.Generator().manual_seed(0)
    means = torch.from_numpy(surface[np.random.default_rng(0).permutation(len(surface))[:count]])
    n = len(means)
    splats = Gaussians.create(
        means=means,
        quats=torch.randn(n, 4, generator=g, dtype=torch.float64),
        scales=torch.randn(n, 3, generator=g, dtype=torch.float64) * 0.4 - 5.3,
        opacities=torch.rand(n, generator=g, dtype=torch.float64) * 3,
        sh0=torch.randn(n, 1, 3, generator=g, dtype=torch.float64),
        shN=torch.randn(n, 15, 3, generator=g, dtype=torch.float64) * 0.3,
        component_index=torch.full((n,), 3, dtype=torch.int32),
    )
    return splats, bind(surface[np.random.default_rng(0).permutation(len(surface))[:count]], particles), particles


@pytest.fixture(scope="module")
def things(tabletop: Path) -> dict[str, Thing]:
    made: dict[str, Thing] = {}
    for kind, name, make in (("solid", "toy", solid_particles), ("rope", "rope", rope_particles)):
        found = trimesh.load(tabletop / "meshes" / f"{name}.obj", process=False)
        assert isinstance(found, trimesh.Trimesh)
        mesh = TriangleMesh(np.asarray(found.vertices), np.asarray(found.faces, dtype=np.int32))
        made[kind] = dressed(make(mesh, 0.1), mesh.vertices)
    box: Any = trimesh.creation.box((0.3, 0.2, 0.004)).subdivide_to_size(0.006)
    vertices = np.array(box.vertices)
    vertices[:, 2] += 0.02 * np.sin(15 * vertices[:, 0])
    mesh = TriangleMesh(vertices, np.asarray(box.faces, dtype=np.int32))
    made["cloth"] = dressed(cloth_particles(mesh, 0.1), mesh.vertices)
    return made


def rest_of(thing: Thing) -> torch.Tensor:
    return torch.from_numpy(thing[2].points)


def covariances(splats: Gaussians) -> torch.Tensor:
    axes = rotation_from_wxyz(splats.quats.double()) * splats.scales.double().exp()[:, None]
    return axes @ axes.mT


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_at_rest_nothing_moves(things: dict[str, Thing], kind: str, dtype: torch.dtype) -> None:
    splats, binding, particles = things[kind]
    splats = splats.to(dtype=dtype)
    away = deform(splats, binding, particles, rest_of(things[kind]) * 1.1 + 1)
    back = deform(splats, binding, particles, rest_of(things[kind]))
    assert (away.means - splats.means).abs().min() > 0.1
    allowed = 0 if dtype == torch.float32 else 1e-14
    for name in ("means", "quats", "scales", "opacities", "sh0", "shN"):
        assert_close(getattr(back, name), getattr(splats, name), atol=allowed + 1e-14, rtol=0)
    assert torch.equal(back.component_index, splats.component_index)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=6)
@given(seed=st.integers(0, 2**31), far=st.floats(0, 10))
def test_one_rigid_motion_of_all_particles_is_that_of_all_splats(
    things: dict[str, Thing], kind: str, seed: int, far: float
) -> None:
    splats, binding, particles = things[kind]
    g = torch.Generator().manual_seed(seed)
    R = rotation_from_wxyz(torch.randn(4, generator=g, dtype=torch.float64))
    t = far * torch.randn(3, generator=g, dtype=torch.float64)
    moved = deform(splats, binding, particles, rest_of(things[kind]) @ R.T + t)
    assert_close(moved.means, splats.means @ R.T + t, atol=1e-9, rtol=0)
    assert_close(covariances(moved), R @ covariances(splats) @ R.T, atol=0, rtol=1e-6)
    assert_close(moved.shN, rotate_sh(splats.shN, R), atol=1e-7, rtol=0)
    assert torch.equal(moved.scales, splats.scales)


def psnr(a: torch.Tensor, b: torch.Tensor) -> float:
    return -10 * math.log10(float(((a - b) ** 2).mean()) + 1e-20)


@pytest.mark.parametrize("kind", KINDS)
def test_a_quarter_turn_keeps_the_highlights(things: dict[str, Thing], kind: str) -> None:
    """Turning the thing by 90 degrees looks like walking around it by -90 degrees."""
    splats, binding, particles = things[kind]
    splats = replace(splats.to(dtype=torch.float32), component_index=splats.component_index * 0)
    R = torch.tensor([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]], dtype=torch.float64)
    turned = deform(splats, binding, particles, rest_of((splats, binding, particles)) @ R.T)
    eye, target = torch.tensor([0.25, 0.2, 0.3], dtype=torch.float64), torch.tensor([0.0, 0, 0.03], dtype=torch.float64)
    here = Camera.from_fov(96, 72, 0.9, Camera.look_at(eye, target).float())
    T = Camera.look_at(eye, target).double()
    T[:3] = R.T @ T[:3]
    there = Camera.from_fov(96, 72, 0.9, T.float())
    after, before = render(turned, here).rgb, render(splats, there).rgb
    assert before.std() > 0.05
    assert psnr(after, before) > 60
    unturned = replace(turned, shN=splats.shN)
    assert psnr(render(unturned, here).rgb, before) < 40


@pytest.mark.parametrize("kind", KINDS)
def test_bending_follows_the_body(things: dict[str, Thing], kind: str) -> None:
    """Splats keep their distance from the particles around them, and neighbours stay neighbours."""
    splats, binding, particles = things[kind]
    x = rest_of(things[kind])
    size = float((x.max(0).values - x.min(0).values).max())
    angle = 1.2 * torch.sin(math.pi * (x[:, :1] - x[:, :1].mean()) / size)
    zero = torch.zeros_like(angle)
    R = torch.stack([angle.cos(), -angle.sin(), zero, angle.sin(), angle.cos(), zero, zero, zero, zero + 1], -1)
    bent = (R.reshape(-1, 3, 3) @ x[:, :, None])[:, :, 0]
    moved = deform(splats, binding, particles, bent)
    first = torch.from_numpy(binding.indices[:, 0].astype(np.int64))
    before, after = (splats.means - x[first]).norm(dim=1), (moved.means - bent[first]).norm(dim=1)
    assert (after / before.clamp_min(0.002)).median() < 1.2
    gaps = torch.cdist(splats.means, splats.means) + 10 * torch.eye(len(splats))
    near = gaps.argmin(dim=1)
    assert ((moved.means - moved.means[near]).norm(dim=1) < 3 * gaps.min(dim=1).values + 0.003).all()
    assert_close(moved.quats.norm(dim=1), splats.quats.norm(dim=1))


def test_rope_is_not_twisted_by_bending() -> None:
    """A straight rope that is bent to a circle: its frames follow the circle, and its upper side stays up."""
    count, length = 41, 0.4
    s = np.linspace(0, length, count)
    edges = np.stack([np.arange(count - 1), np.arange(1, count)], axis=1).astype(np.int32)
    straight = np.column_stack([s, 0 * s, 0 * s])
    rope = Particles("rope", straight, np.ones(count), edges, np.zeros((0, 4), np.int32), 0.005)
    a = torch.from_numpy(1.5 * math.pi * s / length)
    circle = torch.stack([a.sin(), 1 - a.cos(), 0 * a], dim=1) * length / (1.5 * math.pi)
    R = particle_rotations(rope, circle)
    assert_close(R[:, 2, 2], torch.ones(count, dtype=torch.float64), atol=1e-9, rtol=0)
    assert_close(R[1:-1, 0, 0], a.cos()[1:-1], atol=1e-6, rtol=0)
    splats = Gaussians.from_points(torch.tensor([[0.2, 0.0, 0.005]]), torch.ones(1, 3), sigma=0.001).to(
        dtype=torch.float64
    )
    top = deform(splats, bind(splats.means.numpy(), rope), rope, circle)
    assert_close(top.means[0, 2], splats.means[0, 2], atol=1e-9, rtol=0)


def test_noise_across_a_straight_rope_does_not_roll_it() -> None:
    rng = np.random.default_rng(0)
    points = np.column_stack([np.linspace(0, 0.4, 40), rng.normal(scale=1e-4, size=(40, 2))])
    edges = np.stack([np.arange(39), np.arange(1, 40)], axis=1).astype(np.int32)
    rope = Particles("rope", points, np.ones(40), edges, np.zeros((0, 4), np.int32), 0.005)
    wiggled = torch.from_numpy(points + rng.normal(scale=1e-4, size=(40, 3)))
    assert float(particle_rotations(rope, wiggled)[:, 2, 2].min()) > 0.99
    # Exactly straight and still: the shortest rotation.
    line = Particles("rope", points * [1, 0, 0], np.ones(40), edges, np.zeros((0, 4), np.int32), 0.005)
    turned = torch.from_numpy(points * [1, 0, 0])[:, [1, 0, 2]]
    wanted = torch.tensor([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]], dtype=torch.float64).expand(40, 3, 3)
    assert_close(particle_rotations(line, turned), wanted, atol=1e-9, rtol=0)


def test_opposite_quaternions_are_one_rotation(things: dict[str, Thing]) -> None:
    """Turns of a little more and a little less than half a turn average to half a turn, not to none."""
    points = np.array([[0.0, 0, 0], [0.1, 0, 0]])
    rope = Particles("rope", points, np.ones(2), np.array([[0, 1]], np.int32), np.zeros((0, 4), np.int32), 0.005)
    thing = Binding(np.array([[0, 1]], np.int32), np.array([[0.5, 0.5]], np.float32))
    splats = Gaussians.from_points(torch.tensor([[0.05, 0.01, 0.0]]), torch.ones(1, 3), sigma=0.001).to(
        dtype=torch.float64
    )
    half = torch.tensor([[0.0, 0, 0], [-0.1, 1e-5, 0]], dtype=torch.float64)
    moved = deform(splats, thing, rope, half)
    assert_close(moved.quats.norm(dim=1), torch.ones(1, dtype=torch.float64))
    _, binding, toy = things["solid"]
    R = rotation_from_wxyz(torch.tensor([1e-9, 0.0, 0.0, 1.0], dtype=torch.float64))
    x = torch.from_numpy(toy.points) @ R.T + 1e-7 * torch.randn(len(toy), 3, dtype=torch.float64)
    found = rotation_from_wxyz(deform(things["solid"][0], binding, toy, x).quats)
    assert_close(found, R @ rotation_from_wxyz(things["solid"][0].quats), atol=1e-3, rtol=0)


def few(thing: Thing) -> Thing:
    """The first few splats of a thing."""
    splats, binding, particles = thing
    return splats[:5], Binding(binding.indices[:5], binding.weights[:5]), particles


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("noise", [0.0, 0.002])
def test_gradients_are_those_of_finite_differences(things: dict[str, Thing], kind: str, noise: float) -> None:
    """Also at rest, where singular values may be equal."""
    splats, binding, particles = few(things[kind])
    x = rest_of(things[kind]) + noise * torch.randn(len(particles), 3, dtype=torch.float64)
    direction = torch.randn(len(particles), 3, dtype=torch.float64)
    probes = [torch.randn_like(getattr(splats, name)) for name in ("means", "quats", "shN")]

    def value(step: torch.Tensor) -> torch.Tensor:
        moved = deform(splats, binding, particles, x + step * direction)
        parts = zip((moved.means, moved.quats, moved.shN), probes, strict=True)
        return torch.stack([(part * probe).sum() for part, probe in parts])

    zero = torch.zeros((), dtype=torch.float64, requires_grad=True)
    found = torch.autograd.functional.jacobian(value, zero)
    h = 1e-6
    wanted = (value(torch.tensor(h)) - value(torch.tensor(-h))) / (2 * h)
    assert_close(found, wanted.double(), rtol=1e-4, atol=1e-4 * float(wanted.abs().max()))


@settings(max_examples=5)
@given(st.integers(0, 2**31))
def test_polar_rotation_is_the_best_one(seed: int) -> None:
    g = torch.Generator().manual_seed(seed)
    M = torch.randn(2, 3, 3, generator=g, dtype=torch.float64)
    R = polar_rotation(M)
    assert_close(R @ R.mT, torch.eye(3, dtype=torch.float64).expand(2, 3, 3), atol=1e-12, rtol=0)
    assert (torch.linalg.det(R) > 0).all()
    others = rotation_from_wxyz(torch.randn(200, 1, 4, generator=g, dtype=torch.float64))
    assert ((others * M).sum((-1, -2)) <= (R * M).sum((-1, -2)) + 1e-9).all()
    assert torch.autograd.gradcheck(polar_rotation, (M.requires_grad_(),))
    same = torch.eye(3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(polar_rotation, (same,))


@settings(max_examples=15)
@given(st.integers(0, 2**31))
def test_shortest_rotation(seed: int) -> None:
    g = torch.Generator().manual_seed(seed)
    a, b = torch.nn.functional.normalize(torch.randn(2, 5, 3, generator=g, dtype=torch.float64), dim=2).unbind()
    b[0], b[1] = -a[0], a[1]
    R = shortest_rotation(a, b)
    assert_close((R @ a[:, :, None])[:, :, 0], b, atol=1e-12, rtol=0)
    assert_close(R @ R.mT, torch.eye(3, dtype=torch.float64).expand(5, 3, 3), atol=1e-12, rtol=0)
    cosine = (torch.diagonal(R, dim1=1, dim2=2).sum(1) - 1) / 2
    assert_close(cosine, (a * b).sum(1), atol=1e-12, rtol=0)


class Allocated(TorchDispatchMode):
    """Counts the bytes of all results, and keeps the largest."""

    total = 0
    largest = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        found = func(*args, **(kwargs or {}))
        for result in found if isinstance(found, (tuple, list)) else [found]:
            if isinstance(result, torch.Tensor):
                size = result.numel() * result.element_size()
                self.total, self.largest = self.total + size, max(self.largest, size)
        return found


def test_memory_grows_with_the_splats_only(things: dict[str, Thing]) -> None:
    splats, binding, particles = things["solid"]
    totals, largest = [], []
    for copies in (2, 4):
        many = Gaussians.cat([splats] * copies)
        bound = Binding(np.tile(binding.indices, (copies, 1)), np.tile(binding.weights, (copies, 1)))
        with Allocated() as counted:
            deform(many, bound, particles, torch.from_numpy(particles.points) + 0.1)
        totals.append(counted.total)
        largest.append(counted.largest)
    assert totals[1] < 2.05 * totals[0]
    # The largest array is that of the basis in 12 directions for a slice of splats, or a few numbers for each splat.
    assert largest[1] <= max(2048 * 12 * 15 * 8, 4 * len(splats) * 45 * 8)


def test_sizes_must_fit(things: dict[str, Thing]) -> None:
    splats, binding, particles = things["solid"]
    x = torch.from_numpy(particles.points)
    with pytest.raises(ValueError, match=r"particles need positions \(\d+, 3\), found \(3, 3\)"):
        deform(splats, binding, particles, x[:3])
    with pytest.raises(ValueError, match="A binding of 10 splats"):
        deform(splats[:10], binding, particles, x)
    with pytest.raises(ValueError, match="names particle"):
        deform(splats, Binding(binding.indices + len(particles), binding.weights), particles, x)
