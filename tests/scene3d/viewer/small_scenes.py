"""A desk with three things on it, small enough for a browser that draws on the CPU, and rollouts made by formula.

About 4000 flat splats lie on the surfaces of a table top, a red box, a green can and a blue mug, all in metres; nine
cameras look at them. `sliding` is a rollout that moves bodies as the caller says, without any physics.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import trimesh

from dynamics import Body, Material, Rollout, TriangleMesh, World, body_from_mesh
from scene3d import Camera, Gaussians, Scene, SceneView, save_scene
from scene3d._flatten import into_bodies
from scene3d._scene_object import SceneObject
from scene3d._scene_world import scene_state, scene_world
from scene3d._support import SupportPlane

WOOD = Material("wood", 600.0, 0.1, 0.4, 0.2, 0.3)
FLAT = 0.0006
"""Least deviation of a splat, across its surface [m]."""
COLORS = {"box": (0.85, 0.1, 0.1), "can": (0.1, 0.7, 0.15), "mug": (0.1, 0.2, 0.85)}
PLACES = {"box": (-0.15, 0.0, 0.06), "can": (0.0, 0.1, 0.06), "mug": (0.15, -0.03, 0.05)}
SHAPES = {
    "box": trimesh.creation.box((0.08, 0.06, 0.12)),
    "can": trimesh.creation.cylinder(0.033, 0.12, sections=24),
    "mug": trimesh.creation.cylinder(0.045, 0.1, sections=24),
}
TABLE = (0.7, 0.5)


def small_scene(splats: int = 4000, things: int = 3) -> Scene:
    """The desk; half of the splats lie on the table. More things than three are rows of the same ones."""
    names, places = _names_and_places(things)
    table = _on_plane(splats // 2)
    shells = [
        _on_mesh(SHAPES[kind], place, COLORS[kind], splats // (2 * things), seed)
        for seed, (kind, place) in enumerate(zip(_kinds(things), places, strict=True))
    ]
    component = torch.cat([torch.full((len(part),), index) for index, part in enumerate([table, *shells])]).int()
    poses = [(*place, 1.0, 0.0, 0.0, 0.0) for place in places]
    x, y = TABLE[0] / 2, TABLE[1] / 2
    outline = np.array([[-x, -y, 0], [x, -y, 0], [x, y, 0], [-x, y, 0.0]])
    return Scene(
        splats=into_bodies(
            Gaussians.cat([table, *shells]),
            component,
            torch.tensor([(0.0, 0, 0, 1, 0, 0, 0), *poses], dtype=torch.float64),
        ),
        views=tuple(SceneView(f"{index}.jpg", _camera(index)) for index in range(9)),
        metric=True,
        objects=tuple(
            SceneObject(_body(kind, name), pose) for kind, name, pose in zip(_kinds(things), names, poses, strict=True)
        ),
        supports=(SupportPlane(np.array([0.0, 0, 1]), 0.0, 0.001, outline),),
    )


def write_small_scene(folder: Path, scene: Scene | None = None) -> Path:
    """Save the desk, or another scene, as a scene folder."""
    return save_scene(small_scene() if scene is None else scene, folder)


def sliding(
    scene: Scene,
    move: Callable[[int, float, Any], None],
    *,
    futures: int = 1,
    seconds: float = 1.0,
    dt: float = 1 / 60,
) -> tuple[World, Rollout]:
    """A rollout without physics: ``move(future, time, poses)`` changes the poses (nb, 7) of a moment in place."""
    world = scene_world(scene)
    state = scene_state(scene, world, worlds=futures)
    times = round(seconds / dt) + 1
    poses = state.T_world_body[:, None].repeat(1, times, 1, 1)
    for future in range(futures):
        for index in range(times):
            move(future, index * dt, poses[future, index])
    twist = torch.zeros(*poses.shape[:3], 6)
    twist[:, 1:, :, :3] = (poses[:, 1:, :, :3] - poses[:, :-1, :, :3]) / dt
    none = torch.zeros(futures, times, 0)

    def held(part: torch.Tensor) -> torch.Tensor:
        return part[:, None].repeat(1, times, *[1] * (part.dim() - 1))

    rollout = Rollout(poses, twist, none, none, held(state.x), held(state.v), held(state.still), none.sum(2), dt)
    return world, rollout


def save_sliding(folder: Path, world: World, rollout: Rollout, *, outcomes: Sequence[Any] = (), **more: Any) -> str:
    """Save such a rollout below a scene folder; returns its id."""
    from scene3d._rollout_folder import save_simulation
    from scene3d._simulate import Simulation

    simulation = Simulation(world, rollout, tuple(outcomes), None, "", (), "nothing")
    return save_simulation(simulation, folder, **more).name


def _kinds(things: int) -> list[str]:
    return [tuple(PLACES)[index % len(PLACES)] for index in range(things)]


def _names_and_places(things: int) -> tuple[list[str], list[tuple[float, float, float]]]:
    names: list[str] = []
    places: list[tuple[float, float, float]] = []
    for index, kind in enumerate(_kinds(things)):
        row = index // len(PLACES)
        x, y, z = PLACES[kind]
        names.append(kind if row == 0 else f"{kind} {row + 1}")
        places.append((x, y - 0.15 * row, z))
    return names, places


def _body(kind: str, name: str) -> Body:
    mesh = SHAPES[kind]
    return body_from_mesh(
        name, TriangleMesh(np.asarray(mesh.vertices, dtype=np.float64), np.asarray(mesh.faces, dtype=np.int32)), WOOD
    )


def _camera(index: int) -> Camera:
    angle = 0.25 * (index - 4) - np.pi / 2
    position = torch.tensor([0.75 * np.cos(angle), 0.75 * np.sin(angle), 0.45], dtype=torch.float32)
    return Camera.from_fov(960, 640, 0.9, Camera.look_at(position, torch.tensor([0.0, 0.0, 0.05])))


def _on_plane(count: int) -> Gaussians:
    rows = int(np.sqrt(count * TABLE[1] / TABLE[0]))
    x, y = np.meshgrid(np.linspace(-0.5, 0.5, count // rows), np.linspace(-0.5, 0.5, rows))
    points = np.stack([TABLE[0] * x.ravel(), TABLE[1] * y.ravel(), np.zeros(x.size)], axis=1)
    normals = np.tile([0.0, 0.0, 1.0], (len(points), 1))
    shade = 0.08 * np.sin(40 * points[:, :1])
    return _flat(points, normals, np.array([0.72, 0.6, 0.45]) + shade, 0.7 * np.sqrt(np.prod(TABLE) / len(points)))


def _on_mesh(mesh: Any, place: tuple[float, ...], color: tuple[float, ...], count: int, seed: int) -> Gaussians:
    points, faces = trimesh.sample.sample_surface_even(mesh, count, seed=seed)
    shade = 0.85 + 0.15 * mesh.face_normals[faces] @ np.array([[0.3], [-0.5], [0.8]])
    sigma = 0.7 * np.sqrt(mesh.area / len(points))
    return _flat(points + np.asarray(place), mesh.face_normals[faces], shade * np.asarray(color), sigma)


def _flat(points: Any, normals: Any, colors: Any, sigma: float) -> Gaussians:
    from dynamics.poses import wxyz_from_rotation

    side = np.cross(normals, np.eye(3)[np.argmin(np.abs(normals), axis=1)])
    side /= np.linalg.norm(side, axis=1, keepdims=True)
    R = np.stack([side, np.cross(normals, side), normals], axis=2)
    base = Gaussians.from_points(
        torch.from_numpy(points).float(), torch.from_numpy(np.clip(colors, 0, 1)).float(), sigma=sigma, opacity=0.95
    )
    scales = torch.tensor([sigma, sigma, FLAT]).log().expand(len(points), 3).clone()
    return Gaussians.create(
        base.means, wxyz_from_rotation(torch.from_numpy(R)).float(), scales, base.opacities, base.sh0
    )
