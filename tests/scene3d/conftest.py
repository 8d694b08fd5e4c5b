"""A scene with objects for the tests of everything that reads, writes, moves or draws them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import trimesh

from dynamics import Body, Material, Particles, TriangleMesh, body_from_mesh
from scene3d import Camera, Gaussians, Scene, SceneView
from scene3d._flatten import into_bodies
from scene3d._scene_object import Binding, SceneObject
from scene3d._simulate import Drop, Simulation, simulate
from scene3d._support import SupportPlane

WOOD = Material("wood", 600.0, 0.1, 0.4, 0.2, 0.3)
POSES = ((0.3, -0.2, 0.1, 0.5, 0.5, -0.5, 0.5), (-0.4, 0.1, 0.05, 0.8, 0.0, 0.6, 0.0))


def shell(seed: int, center: tuple[float, float, float], count: int = 40) -> Gaussians:
    """Splats with every value drawn at random around a place, in the world's frame."""
    g = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> torch.Tensor:
        return torch.rand(count, *shape, generator=g) * 2 - 1

    return Gaussians.create(
        means=torch.tensor(center) + 0.1 * draw(3),
        quats=draw(4) + 1.5,
        scales=draw(3) * 0.5 - 3.5,
        opacities=draw() + 2,
        sh0=draw(1, 3),
        shN=0.3 * draw(15, 3),
    )


def block(sides: tuple[float, float, float]) -> TriangleMesh:
    box = trimesh.creation.box(sides)
    return TriangleMesh(np.asarray(box.vertices) + 0.01, np.asarray(box.faces, dtype=np.int32))


def rope() -> Body:
    points = np.stack([np.linspace(-0.1, 0.1, 9), np.zeros(9), np.zeros(9)], axis=1)
    chain = np.stack([np.arange(8), np.arange(1, 9)], axis=1).astype(np.int32)
    cells = np.zeros((0, 4), dtype=np.int32)
    particles = Particles("rope", points, np.full(9, 0.01), chain, cells, 0.005)
    return body_from_mesh("blue rope", block((0.2, 0.01, 0.01)), WOOD, mass=0.09, particles=particles)


def scene_of_objects() -> Scene:
    """Background (its last 5 splats made up), a wooden block and a rope on a table, one camera."""
    mesh = block((0.1, 0.06, 0.04))
    wooden = body_from_mesh("Wooden block!", mesh, WOOD, parts=(mesh,))
    rng = np.random.default_rng(0)
    weights = rng.random((40, 4)).astype(np.float32) + 0.1
    weights /= weights.sum(axis=1, keepdims=True)
    binding = Binding(rng.integers(0, 9, (40, 4)).astype(np.int32), weights)
    objects = (
        SceneObject(wooden, POSES[0], unseen=np.arange(12) % 3 == 0, confidence=0.9, guessed=("mass", "underside")),
        SceneObject(rope(), POSES[1], kind="deformable", binding=binding, confidence=0.75),
    )
    world = Gaussians.cat([shell(0, (0, 0, 0), 60), shell(1, POSES[0][:3]), shell(2, POSES[1][:3])])
    component = torch.tensor([0] * 60 + [1] * 40 + [2] * 40, dtype=torch.int32)
    poses = torch.tensor([(0.0, 0, 0, 1, 0, 0, 0), *POSES], dtype=torch.float64)
    outline = np.array([[-1.0, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]])
    pose = Camera.look_at(torch.tensor([1.2, 0.4, 0.8]), torch.zeros(3))
    return Scene(
        splats=into_bodies(world, component, poses),
        views=(SceneView("a.jpg", Camera.from_fov(64, 48, 1.0, pose)),),
        metric=True,
        objects=objects,
        supports=(SupportPlane(np.array([0.0, 0, 1]), 0.0, 0.001, outline),),
        filled=5,
    )


@pytest.fixture(scope="session")
def scene() -> Scene:
    """See `scene_of_objects`; for all that do not put another in its place."""
    return scene_of_objects()


@pytest.fixture(scope="session")
def simulation(scene: Scene) -> Simulation:
    """Three futures of half a second in which the block falls from half a metre."""
    return simulate(scene, drops=[Drop(scene.objects[0].name, 0.5)], samples=3, seconds=0.5, network=False)


@pytest.fixture
def objects_scene() -> Scene:
    """See `scene_of_objects`."""
    return scene_of_objects()
