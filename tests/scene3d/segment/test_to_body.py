"""From labels to bodies: the shipped scene against its ground truth, and made-up things of known shape."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
import trimesh

from dynamics import Material, TriangleMesh, mass_properties
from dynamics.poses import rotation_from_wxyz
from scene3d._camera import Camera
from scene3d._errors import SegmentError
from scene3d._flatten import flatten
from scene3d._gaussians import Gaussians
from scene3d._support import SupportPlane
from scene3d.files import load_scene
from scene3d.segment import find_instances, labels_of, vote
from scene3d.segment._to_body import Collider, body_of, find_colliders

NAMES = ("mug", "can", "box")
TABLE = SupportPlane(np.array([0.0, 0.0, 1.0]), 0.0, 0.001, np.zeros((0, 3)))
CLAY = Material("clay", 1000.0, 0.1, 0.5, 0.1, 0.2)


@pytest.fixture(scope="module")
def scores(repository: Path) -> ModuleType:
    """The scorer of the benchmarks; tests are no package, so it is loaded by its path."""
    spec = importlib.util.spec_from_file_location(
        "_body_scores", repository / "tests" / "benchmarks" / "_body_scores.py"
    )
    assert spec and spec.loader
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def truths(scores: ModuleType, tabletop: Path) -> dict[str, Any]:
    return scores.load_truth(tabletop)


@pytest.fixture(scope="module")
def colliders(tabletop: Path, tabletop_scene: Path) -> dict[str, Collider]:
    """Of three things of the shipped scene, from 30 of its 60 views, labelled by its masks."""
    scene = flatten(load_scene(tabletop_scene))
    photos = scene.photos()[::2]
    instances = find_instances(tabletop, photos)
    cameras = [photo.camera.fitted(320) for photo in photos]
    maps = [instances.label_map(photo, camera) for photo, camera in zip(photos, cameras, strict=True)]
    labels = labels_of(vote(scene.splats, cameras, maps, len(instances.names) + 1))
    of_splat = torch.where(labels < 0, labels, torch.zeros_like(labels))
    for index, name in enumerate(NAMES):
        of_splat[labels == instances.names.index(name) + 1] = index + 1
    # The other things stay things of the surroundings.
    found = find_colliders(scene.splats, of_splat, NAMES, [photo.camera for photo in photos], (TABLE,), scene.up)
    assert all(isinstance(one, Collider) for one in found), found
    return {name: one for name, one in zip(NAMES, found, strict=True) if isinstance(one, Collider)}


@pytest.mark.parametrize("name", NAMES)
def test_solid_of_the_shipped_scene(
    colliders: dict[str, Collider], truths: dict[str, Any], scores: ModuleType, name: str
) -> None:
    found = scores.solid_scores(truths[name], colliders[name].mesh)
    assert found["com_mm"] < 3
    assert found["inertia_percent"] < 15
    if name != "mug":
        assert abs(found["volume_percent"]) < 8


def test_hollow_of_the_shipped_mug(colliders: dict[str, Collider], truths: dict[str, Any], scores: ModuleType) -> None:
    found = scores.hollow_scores(truths["mug"], colliders["mug"].mesh)
    assert found["wall_median_mm"] < 3
    assert found["wall_p95_mm"] < 6
    assert abs(found["depth_mm"]) < 5
    assert scores.fit_clearance(truths["mug"], colliders["mug"].mesh, colliders["can"].mesh) > -0.5


def test_underside_is_marked_unseen_and_sides_are_not(colliders: dict[str, Collider]) -> None:
    box = colliders["box"]
    corners = box.mesh.vertices[box.mesh.faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    area = np.linalg.norm(normals, axis=1)
    down, up = normals[:, 2] < -0.9 * area, normals[:, 2] > 0.9 * area
    assert area[down & box.unseen].sum() > 0.9 * area[down].sum()
    assert area[up & box.unseen].sum() < 0.05 * area[up].sum()


def test_body_stands_on_its_support_with_x_along_its_longer_side(
    colliders: dict[str, Collider], truths: dict[str, Any]
) -> None:
    body, pose = body_of(colliders["box"], "box", CLAY, parts=False)
    sides = np.ptp(body.mesh.bounds, axis=0)
    assert sides[0] > sides[1]
    assert sides == pytest.approx([0.12, 0.06, 0.18], abs=0.01)
    assert body.com[:2] == pytest.approx([0, 0], abs=1e-9)
    assert pose[2] == pytest.approx(0, abs=1e-9)
    R = rotation_from_wxyz(torch.tensor(pose[3:], dtype=torch.float64)).numpy()
    assert np.linalg.norm(R @ body.com + pose[:3] - truths["box"].com) < 0.003
    assert body.mass == pytest.approx(1000 * mass_properties(body.mesh, 1.0).volume)


def test_made_up_ball_on_a_table_is_measured_at_any_scale() -> None:
    for scale in (1.0, 25.0):
        mesh = _collider(*_ball(scale), scale).mesh
        volume = mass_properties(mesh, 1.0).volume / scale**3
        assert volume == pytest.approx(4 / 3 * np.pi * 0.04**3, rel=0.1)
        assert mass_properties(mesh, 1.0).com / scale == pytest.approx([0.0, 0.0, 0.04], abs=0.002)


def test_few_views_from_one_side_still_give_a_closed_body() -> None:
    splats, labels = _ball(1.0)
    found = find_colliders(splats, labels, ("ball",), _cameras(1.0)[:2], (TABLE,))[0]
    assert isinstance(found, Collider)
    assert 0.5 < mass_properties(found.mesh, 1.0).volume / (4 / 3 * np.pi * 0.04**3) < 2.5
    assert found.unseen.any()
    assert found.views == 2


def test_one_view_with_a_wrong_outline_does_not_cut_the_object() -> None:
    splats, labels = _ball(1.0)
    cameras = _cameras(1.0)
    position = cameras[0].position * 0.97  # A dark speck right before one camera hides the middle of the ball.
    speck = Gaussians.from_points(position[None], torch.zeros(1, 3), sigma=0.0008, opacity=0.99)
    ball = _collider(splats, labels, 1.0).mesh
    both = _collider(Gaussians.cat([splats, speck]), torch.cat([labels, torch.zeros(1, dtype=torch.int64)]), 1.0).mesh
    assert mass_properties(both, 1.0).volume == pytest.approx(mass_properties(ball, 1.0).volume, rel=0.01)


def test_haze_becomes_a_smooth_body_of_about_its_outline() -> None:
    splats, labels = _ball(1.0)
    chance = torch.Generator().manual_seed(5)
    ball = (labels == 1).nonzero()[:, 0]
    # A few large, faint splats all through the ball, not on its surface.
    count = 220
    way = torch.nn.functional.normalize(torch.randn(count, 3, generator=chance), dim=1)
    points = way * 0.034 * torch.rand(count, 1, generator=chance) ** (1 / 3) + torch.tensor([0.0, 0.0, 0.04])
    sigma = 0.004 + 0.008 * torch.rand(count, generator=chance)
    colours = torch.full((count, 3), 0.8)
    haze = Gaussians.from_points(points, colours, sigma=sigma, opacity=0.15)
    both = Gaussians.cat([haze, splats[len(ball) :]])
    mesh = _collider(both, torch.cat([torch.ones(count, dtype=torch.int64), labels[len(ball) :]]), 1.0).mesh
    volume = mass_properties(mesh, 1.0).volume
    hull = trimesh.convex.convex_hull(mesh.vertices).volume
    assert 0.6 < volume / (4 / 3 * np.pi * 0.04**3) < 1.6
    assert volume > 0.9 * hull
    assert mass_properties(mesh, 1.0).com == pytest.approx([0.0, 0.0, 0.04], abs=0.006)


def test_object_of_forty_splats_says_so() -> None:
    splats, labels = _ball(1.0)
    few = torch.where(torch.cumsum(labels, 0) <= 40, labels, torch.zeros_like(labels))
    (found,) = find_colliders(splats, few, ("crumb",), _cameras(1.0), (TABLE,))
    assert isinstance(found, SegmentError)
    assert "crumb is made of 40 splats" in str(found)


def test_object_that_no_view_shows_says_so() -> None:
    splats, labels = _ball(1.0)
    away = [replace(c, T_world_cam=c.T_world_cam @ torch.diag(torch.tensor([1.0, -1, -1, 1]))) for c in _cameras(1.0)]
    (found,) = find_colliders(splats, labels, ("ball",), away, (TABLE,))
    assert isinstance(found, SegmentError)
    assert "No photo shows ball" in str(found)


def test_same_input_same_collider() -> None:
    first, second = (_collider(*_ball(1.0), 1.0).mesh for _ in range(2))
    assert np.array_equal(first.vertices, second.vertices)
    assert np.array_equal(first.faces, second.faces)


def _collider(splats: Gaussians, labels: torch.Tensor, scale: float) -> Collider:
    (found,) = find_colliders(splats, labels, ("ball",), _cameras(scale), (TABLE,))
    assert isinstance(found, Collider)
    assert isinstance(found.mesh, TriangleMesh)
    return found


def _ball(scale: float) -> tuple[Gaussians, torch.Tensor]:
    """A ball of radius 4 cm on a table, as flat opaque splats on the surfaces, and their labels."""
    count = 1500
    turn = torch.arange(count) * 2.399963229728653
    z = 1 - 2 * (torch.arange(count) + 0.5) / count
    ring = (1 - z * z).sqrt()
    ball = 0.04 * torch.stack([ring * turn.cos(), ring * turn.sin(), z + 1], dim=1)
    line = torch.linspace(-0.2, 0.2, 41)
    table = torch.stack([*torch.meshgrid(line, line, indexing="ij"), torch.zeros(41, 41)], dim=-1).reshape(-1, 3)
    points = torch.cat([ball, table]) * scale
    colors = torch.cat([torch.tensor([[0.8, 0.2, 0.1]]).expand(count, 3), torch.full((len(table), 3), 0.4)])
    sigma = torch.cat([torch.full((count,), 0.0015), torch.full((len(table),), 0.006)]) * scale
    labels = torch.cat([torch.ones(count), torch.zeros(len(table))]).to(torch.int64)
    splats = Gaussians.from_points(points, colors, sigma=sigma, opacity=0.95)
    normal = torch.cat([torch.stack([ring * turn.cos(), ring * turn.sin(), z], dim=1), torch.zeros(len(table), 3)])
    normal[count:, 2] = 1
    # The shortest turn from +Z to the normal.
    quats = torch.stack([1 + normal[:, 2], -normal[:, 1], normal[:, 0], 0 * turn.new_zeros(len(normal))], dim=1)
    scales = splats.scales.clone()
    scales[:, 2] -= 3
    return replace(splats, quats=torch.nn.functional.normalize(quats, dim=1), scales=scales), labels


def _cameras(scale: float) -> list[Camera]:
    """Fourteen views from two heights."""
    cameras = []
    for index in range(14):
        angle, height = index * 2.4, (0.12, 0.35)[index % 2]
        position = torch.tensor([0.35 * np.cos(angle), 0.35 * np.sin(angle), height], dtype=torch.float32) * scale
        pose = Camera.look_at(position, torch.tensor([0.0, 0.0, 0.04]) * scale)
        cameras.append(Camera.from_fov(160, 160, 0.5, pose))
    return cameras
