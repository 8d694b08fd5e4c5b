"""One object by itself: its splats on a plain ground, and its collider with the faces that no photo saw marked.

All three pictures of an object share one distance and field of view. The first two look from the side that the photos
saw best, a little from above; the last one looks at the collider from behind and below, where guesses are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from scene3d._camera import Camera

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

    from scene3d._scene import Scene
    from scene3d._scene_object import SceneObject

__all__ = ["UNSEEN_COLOURS", "ObjectPictures", "draw_object"]

UNSEEN_COLOURS = ((178, 181, 188), (108, 111, 119))
"""Stripes on faces that were closed by guess; grey, which is no object's colour."""
STRIPE = 6
"""Width of the stripes [px] across, in pictures as they are shown."""
FIELD_OF_VIEW = math.radians(32)
ABOVE, FAR_ABOVE, BELOW = math.radians(28), math.radians(55), math.radians(-35)
FLAT = 0.3
"""A thing that is lower than this share of its length is looked at from far above."""
MARGIN = 1.12
FINER = 2
"""Colliders are drawn this many times finer than they are shown."""
MOST_LINES = 3000
"""Colliders of more faces are shaded without the edges of their faces, which would be a blot."""


@dataclass(frozen=True)
class ObjectPictures:
    """Square pictures of one object."""

    splats: Image
    """As it looks."""
    collider: Image
    """Its collider from the same side."""
    underneath: Image
    """Its collider from behind and below."""


def draw_object(
    scene: Scene, number: int, size: int, *, paper: tuple[int, int, int], colour: tuple[int, int, int]
) -> ObjectPictures:
    """The three pictures of an object.

    Args:
        scene: Scene with objects.
        number: The object's place among them.
        size: Side of the pictures [px].
        paper: Colour behind the object, sRGB.
        colour: Colour of the collider, sRGB.
    """
    thing = scene.objects[number]
    up = np.asarray(scene.up, dtype=np.float64) / np.linalg.norm(scene.up)
    vertices = _in_world(thing)
    side = _best_side(scene, vertices.mean(axis=0), up)
    flat = np.ptp(vertices @ up) < FLAT * np.linalg.norm(np.ptp(vertices, axis=0))
    front = _camera(vertices, side, up, FAR_ABOVE if flat else ABOVE, FINER * size)
    behind = _camera(vertices, -side, up, BELOW, FINER * size)
    return ObjectPictures(
        splats=_small(_splats(scene, number, front, paper), size),
        collider=_small(_shaded(thing, vertices, front, paper, colour), size),
        underneath=_small(_shaded(thing, vertices, behind, paper, colour), size),
    )


def _in_world(thing: SceneObject) -> NDArray[np.float64]:
    """Vertices of the collider in the world, shape (V, 3)."""
    import torch

    from dynamics.poses import matrix_from_pose

    T = matrix_from_pose(torch.tensor(thing.T_world_body, dtype=torch.float64)).numpy()
    return thing.body.mesh.vertices @ T[:3, :3].T + T[:3, 3]


def _best_side(scene: Scene, centre: NDArray[np.float64], up: NDArray[np.float64]) -> NDArray[np.float64]:
    """Horizontal direction (3,) from an object to the camera that is nearest to it and has it in its picture."""
    from scene3d.capture._geometry import Poses, project

    across = np.eye(3)[int(np.argmin(np.abs(up)))]
    nearest, side = math.inf, across
    if scene.cameras:
        poses = Poses.of(scene.cameras)
        for index, (width, height) in enumerate(poses.sizes):
            pixel, z = project(poses, centre, index)
            inside = z > 0 and 0.1 * width < pixel[0] < 0.9 * width and 0.1 * height < pixel[1] < 0.9 * height
            distance = float(np.linalg.norm(poses.centres[index] - centre))
            if inside and distance < nearest:
                nearest, side = distance, poses.centres[index] - centre
    side = side - (side @ up) * up
    length = float(np.linalg.norm(side))
    if length < 1e-9:  # Seen from straight above alone.
        side = across - (across @ up) * up
        length = float(np.linalg.norm(side))
    return side / length


def _camera(
    vertices: NDArray[np.float64], side: NDArray[np.float64], up: NDArray[np.float64], tilt: float, size: int
) -> Camera:
    """A square view of points (V, 3) from a side, that has them all in its picture."""
    import torch

    centre = 0.5 * (vertices.min(axis=0) + vertices.max(axis=0))
    direction = math.cos(tilt) * side + math.sin(tilt) * up
    right = np.cross(up, side)
    down = np.cross(direction, right)
    local = vertices - centre
    across = np.maximum(np.abs(local @ right), np.abs(local @ down))
    # Far enough for each point: it lies within the field of view at its own depth.
    distance = float((MARGIN * across / math.tan(0.5 * FIELD_OF_VIEW) + local @ direction).max())
    place = centre + max(distance, 1e-6) * direction
    T = Camera.look_at(torch.from_numpy(place), torch.from_numpy(centre), up=torch.from_numpy(up)).float()
    return Camera.from_fov(size, size, FIELD_OF_VIEW, T)


def _splats(scene: Scene, number: int, camera: Camera, paper: tuple[int, int, int]) -> NDArray[np.uint8]:
    """The object's splats on paper, sRGB, shape (H, W, 3)."""
    import torch

    from scene3d.render import render

    splats = scene.splats.detach()
    splats = splats[splats.component_index == number + 1]
    ground = torch.tensor(paper, dtype=splats.means.dtype, device=splats.means.device) / 255
    poses = scene.T_world_body.to(splats.means)
    with torch.no_grad():
        frame = render(splats, camera.to(splats.means.device), T_world_body=poses, background=ground)
    return (frame.rgb.clamp(0, 1) * 255).round().byte().cpu().numpy()


def _shaded(
    thing: SceneObject,
    vertices: NDArray[np.float64],
    camera: Camera,
    paper: tuple[int, int, int],
    colour: tuple[int, int, int],
) -> NDArray[np.uint8]:
    """The collider in two colours, lit from above the camera, sRGB, shape (H, W, 3)."""
    import open3d as o3d

    tensor: Any = o3d.core.Tensor
    faces = thing.body.mesh.faces
    solid = o3d.t.geometry.RaycastingScene()
    solid.add_triangles(tensor(vertices.astype(np.float32)), tensor(faces.astype(np.uint32)))
    K, T = camera.K.double().numpy(), camera.T_cam_world.double().numpy()
    rays = solid.create_rays_pinhole(tensor(K), tensor(T), camera.width, camera.height)
    hits = solid.cast_rays(rays)
    hit = np.isfinite(hits["t_hit"].numpy())
    picture = np.broadcast_to(np.asarray(paper, dtype=np.float64), (*hit.shape, 3)).copy()
    if not hit.any():
        return picture.astype(np.uint8)
    face = hits["primitive_ids"].numpy()[hit].astype(np.int64)
    normal = _normals(vertices, faces)[face]
    towards = -rays.numpy()[hit][:, 3:]
    towards /= np.linalg.norm(towards, axis=1, keepdims=True)
    facing = (normal * towards).sum(axis=1)
    normal *= np.where(facing < 0, -1, 1)[:, None]
    light = camera.T_world_cam[:3, :3].double().numpy() @ (np.array([-0.45, -0.75, -0.6]) / 1.06)
    bright = 0.30 + 0.45 * np.clip(normal @ light, 0, 1) + 0.25 * np.abs(facing)
    unseen = thing.unseen if len(thing.unseen) == len(faces) else np.zeros(len(faces), dtype=bool)
    row, column = np.nonzero(hit)
    stripes = np.asarray(UNSEEN_COLOURS)[(row + column) // (FINER * STRIPE) % 2]
    base = np.where(unseen[face][:, None], stripes, colour)
    bright = np.where(unseen[face], np.maximum(bright, 0.6), bright)  # Undersides are dark, and matter here.
    if len(faces) <= MOST_LINES:
        at = (hits["primitive_uvs"].numpy()[hit], hits["t_hit"].numpy()[hit])
        bright = bright * _lines(vertices, faces, face, *at, K)
    picture[hit] = base * bright[:, None]
    return picture.clip(0, 255).round().astype(np.uint8)


def _normals(vertices: NDArray[np.float64], faces: NDArray[np.int32]) -> NDArray[np.float64]:
    """Unit normals of faces, shape (F, 3); zero for a face without area."""
    a, b, c = vertices[faces].transpose(1, 0, 2)
    normals = np.cross(b - a, c - a)
    return normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-300)


def _lines(
    vertices: NDArray[np.float64],
    faces: NDArray[np.int32],
    face: NDArray[np.int64],
    uv: NDArray[np.float32],
    depth: NDArray[np.float32],
    K: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Factor of brightness at M points of faces: darker within a pixel of an edge, shape (M,)."""
    a, b, c = vertices[faces].transpose(1, 0, 2)
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1)
    sides = np.stack([np.linalg.norm(end - start, axis=1) for start, end in ((b, c), (c, a), (a, b))], axis=1)
    heights = area[:, None] / np.maximum(sides, 1e-300)
    weights = np.stack([1 - uv.sum(axis=1), uv[:, 0], uv[:, 1]], axis=1)
    pixels = (weights * heights[face]).min(axis=1) * K[0, 0] / depth
    return np.where(pixels < 1.0, 0.78, 1.0)


def _small(picture: NDArray[np.uint8], size: int) -> Image:
    from PIL import Image

    return Image.fromarray(picture).resize((size, size), Image.Resampling.LANCZOS)
