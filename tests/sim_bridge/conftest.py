"""Small scenes to export: a box and a can on a table, made here, and the demo scene that is committed."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from dynamics import TriangleMesh, body_from_mesh, find_material
from scene3d import Camera, Gaussians, Scene, SceneView, load_scene
from scene3d._scene_object import SceneObject
from scene3d._support import SupportPlane

SPLATS = 50
TABLE = np.array([[-0.4, -0.3, 0.0], [0.4, -0.3, 0.0], [0.4, 0.3, 0.0], [-0.4, 0.3, 0.0]])


def prism(sides: int, radius: float, height: float) -> TriangleMesh:
    """A regular prism that stands on z = 0."""
    angle = 2 * np.pi * (np.arange(sides) + 0.5) / sides
    ring = np.column_stack([radius * np.cos(angle), radius * np.sin(angle)])
    low, high = (np.column_stack([ring, np.full(sides, z)]) for z in (0.0, height))
    i = np.arange(sides)
    j = (i + 1) % sides
    walls = [np.column_stack([i, j, j + sides]), np.column_stack([i, j + sides, i + sides])]
    fan = np.column_stack([np.zeros(sides - 2, int), np.arange(1, sides - 1), np.arange(2, sides)])
    faces = np.concatenate([*walls, fan[:, ::-1], fan + sides])
    return TriangleMesh(np.concatenate([low, high]), faces.astype(np.int32))


def tiny_splats(objects: int = 2, sh_degree: int = 1) -> Gaussians:
    """50 splats of many sizes and colours, spread over the background and the objects."""
    draw = torch.Generator().manual_seed(3)
    points = 0.1 * torch.randn(SPLATS, 3, generator=draw)
    return Gaussians.create(
        means=points,
        quats=torch.randn(SPLATS, 4, generator=draw),
        scales=torch.randn(SPLATS, 3, generator=draw) - 5,
        opacities=2 * torch.randn(SPLATS, generator=draw),
        sh0=torch.randn(SPLATS, 1, 3, generator=draw),
        shN=0.2 * torch.randn(SPLATS, (sh_degree + 1) ** 2 - 1, 3, generator=draw),
        component_index=(torch.arange(SPLATS) % (objects + 1)).int(),
    )


def tiny_views() -> tuple[SceneView, ...]:
    """Three cameras around the table; the last has pixels that are not square and its principal point aside."""
    views = []
    for number in range(3):
        angle = 2 * math.pi * number / 3
        eye = torch.tensor([math.cos(angle), math.sin(angle), 0.7])
        K = torch.tensor([[50.0, 0, 32], [0, 50, 24], [0, 0, 1]])
        if number == 2:
            K = torch.tensor([[55.0, 0, 29.5], [0, 48, 26.25], [0, 0, 1]])
        camera = Camera(64, 48, K, Camera.look_at(eye, torch.zeros(3)))
        views.append(SceneView(f"images/{number:04d}.jpg", camera, held_out=number == 0))
    return tuple(views)


@pytest.fixture
def tiny_scene() -> Scene:
    """A box (its mesh is its collider) and a can (one convex part) on a table, with 50 splats of degree 1."""
    box = body_from_mesh("box", prism(4, 0.05, 0.12), find_material("cardboard-box"))
    hull = prism(16, 0.033, 0.12)
    can = body_from_mesh("can", hull, find_material("aluminium-can-full"), mass=0.35, parts=(hull,))
    turned = (math.cos(0.3), 0.0, 0.0, math.sin(0.3))
    objects = (
        SceneObject(box, (0.1, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0), guessed=("mass", "underside"), confidence=0.9),
        SceneObject(can, (-0.1, 0.05, 0.0, *turned), unseen=np.arange(len(hull.faces)) < 4),
    )
    table = SupportPlane(np.array([0.0, 0.0, 1.0]), 0.0, 0.001, TABLE)
    return Scene(
        tiny_splats(),
        tiny_views(),
        metric=True,
        scale_source="capture",
        metrics={"psnr": 30.5, "device": "cpu"},
        objects=objects,
        supports=(table,),
        filled=2,
    )


@pytest.fixture(scope="session")
def tabletop_loaded(tabletop_scene: Path) -> Scene:
    """The demo scene: mug, can and box are rigid, toy (tetrahedra) and rope (a chain) deformable."""
    return load_scene(tabletop_scene)
