"""The demo scene with its objects put in by hand: labels from the capture's id maps, bodies and poses from the truth.

What segmentation makes of the photos differs by millimetres from day to day; here every pose and every mass is exact.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
import trimesh
import yaml

from dynamics import Material, TriangleMesh, body_from_mesh
from scene3d import Scene, load_scene
from scene3d._flatten import flatten, into_bodies
from scene3d._scene_object import SceneObject
from scene3d._support import SupportPlane
from scene3d.segment import find_instances, labels_of, vote

LONGEST_SIDE = 240
EVERY = 5
"""Photos that vote; the others say nothing new of things that are seen all around."""
GUESSED = ("friction", "mass", "underside")


@cache
def tabletop_objects(scene_folder: Path, capture: Path) -> Scene:
    """Mug, can, box, toy and rope, all rigid and of a guessed material with the true mass, on the table's top."""
    scene = flatten(load_scene(scene_folder))
    truth: dict[str, Any] = yaml.safe_load((capture / "ground_truth.yaml").read_text(encoding="utf-8"))
    photos = scene.photos()
    instances = find_instances(capture, photos)
    views = photos[::EVERY]
    cameras = [view.camera.fitted(LONGEST_SIDE) for view in views]
    maps = [instances.label_map(view, camera) for view, camera in zip(views, cameras, strict=True)]
    label = labels_of(vote(scene.splats, cameras, maps, len(instances.names) + 1)).clamp_min(0)
    by_name = {thing["name"]: thing for thing in truth["objects"]}
    objects = tuple(_object(by_name[name], capture) for name in instances.names)
    poses = torch.tensor([[0.0, 0, 0, 1, 0, 0, 0], *(thing.T_world_body for thing in objects)], dtype=torch.float64)
    order = torch.argsort(label, stable=True)
    splats = into_bodies(scene.splats[order], label[order].int(), poses)
    x, y = (side / 2 for side in truth["table"]["size"])
    outline = np.array([[-x, -y, 0], [x, -y, 0], [x, y, 0], [-x, y, 0]])
    table = SupportPlane(np.array([0.0, 0.0, 1.0]), 0.0, 0.001, outline)
    return replace(scene, splats=splats, objects=objects, supports=(table,))


def _object(thing: dict[str, Any], capture: Path) -> SceneObject:
    mesh: Any = trimesh.load(capture / thing["mesh"], process=False, force="mesh")
    material = Material("of the truth", thing["density"], 0.2, 0.4, 0.2, 0.3)
    shape = TriangleMesh(np.asarray(mesh.vertices), np.asarray(mesh.faces, dtype=np.int32))
    body = body_from_mesh(thing["name"], shape, material)
    return SceneObject(
        body, tuple(thing["T_world_body"]), guessed=GUESSED, unseen=shape.vertices[shape.faces, 2].max(1) < 1e-6
    )
