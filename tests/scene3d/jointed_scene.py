"""A box with a lid on a hinge, a pendulum that hangs in the world, and a stone: what the tests of joints look at."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import torch
import trimesh

from dynamics import Body, Joint, Material, TriangleMesh, body_from_mesh
from scene3d import Gaussians, Scene
from scene3d._scene_object import SceneObject
from scene3d._support import SupportPlane

WOOD = Material("wood", 600.0, 0.1, 0.4, 0.2, 0.3)
UPRIGHT = (1.0, 0.0, 0.0, 0.0)
HALF = math.sqrt(0.5)
HINGE = Joint(
    "lid hinge",
    "hinge",
    parent=0,
    child=1,
    T_parent_joint=(0.0, 0.1, 0.1, *UPRIGHT),
    T_child_joint=(0.0, 0.1, -0.005, *UPRIGHT),
    axis=(-1.0, 0.0, 0.0),
    low=0.0,
    high=1.8,
    friction=0.002,
    damping=0.001,
)
"""At the box's back edge; the lid opens by positive angles."""
PIVOT = Joint(
    "pivot",
    "hinge",
    parent=-1,
    child=2,
    T_parent_joint=(0.5, 0.0, 0.5, HALF, HALF, 0.0, 0.0),
    T_child_joint=(0.0, 0.0, 0.15, HALF, HALF, 0.0, 0.0),
)
"""Turns about the world's y, in its own frame about z; without limits."""


def solid(name: str, sides: tuple[float, float, float]) -> Body:
    """A wooden box around the origin of its frame."""
    box = trimesh.creation.box(sides)
    mesh = TriangleMesh(np.asarray(box.vertices), np.asarray(box.faces, dtype=np.int32))
    return body_from_mesh(name, mesh, WOOD, parts=(mesh,))


def jointed_scene(*joints: Joint) -> Scene:
    """Box, lid, pendulum and stone on and above a table, ten splats on each, with `HINGE` and `PIVOT` unless told."""
    things = (
        (solid("box", (0.3, 0.2, 0.2)), (0.0, 0.0, 0.1, *UPRIGHT)),
        (solid("lid", (0.3, 0.2, 0.01)), (0.0, 0.0, 0.205, *UPRIGHT)),
        (solid("pendulum", (0.04, 0.04, 0.3)), (0.5, 0.0, 0.35, *UPRIGHT)),
        (solid("stone", (0.05, 0.05, 0.05)), (-0.4, 0.0, 0.025, *UPRIGHT)),
    )
    parts = []
    for index in range(len(things) + 1):
        points = 0.02 * torch.randn(10, 3, generator=torch.Generator().manual_seed(index))
        splats = Gaussians.from_points(points, points.abs(), sigma=0.005)
        parts.append(replace(splats, component_index=torch.full((10,), index, dtype=torch.int32)))
    corners = np.array([[-1.0, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]])
    return Scene(
        Gaussians.cat(parts),
        metric=True,
        objects=tuple(SceneObject(body, pose) for body, pose in things),
        supports=(SupportPlane(np.array([0.0, 0, 1]), 0.0, 0.001, corners),),
        joints=joints or (HINGE, PIVOT),
    )


def half_open_scene() -> Scene:
    """The same with its lid open by 0.4 rad."""
    scene = jointed_scene()
    c, s = math.cos(0.4), math.sin(0.4)
    y, z = 0.1 - 0.1 * c + 0.005 * s, 0.2 + 0.1 * s + 0.005 * c
    pose = (0.0, y, z, math.cos(0.2), -math.sin(0.2), 0.0, 0.0)
    opened = replace(scene.objects[1], T_world_body=pose)
    return replace(scene, objects=(scene.objects[0], opened, *scene.objects[2:]))
