"""What a click hits: a ray and the bodies' colliders at their present poses in, the nearest object out.

The ray is brought into each body's frame, so that meshes stay as they are. Spheres around the bodies sort out most of
them before triangles are tried (Möller and Trumbore 1997).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scene3d.viewer._act_pose import rotation

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from dynamics import TriangleMesh
    from scene3d._scene import Scene

__all__ = ["distance_to_mesh", "pick"]

PARALLEL = 1e-12
"""Of the determinant, over the triangle's size: rays that lie in a triangle do not hit it."""


def pick(scene: Scene, poses: NDArray[np.float32], origin: ArrayLike, direction: ArrayLike) -> int | None:
    """The object that a ray hits first; None when it hits none.

    Args:
        scene: Whose objects.
        poses: T_world_body of at least its objects, shape (nb, 7); objects whose pose is no number are passed over.
        origin: Of the ray, in the world (3,).
        direction: Of the ray, of any length above 0 (3,).
    """
    start, along = np.asarray(origin, dtype=np.float64), np.asarray(direction, dtype=np.float64)
    length = float(np.linalg.norm(along))
    if not (np.isfinite(start).all() and np.isfinite(along).all() and length > 0):
        return None
    along = along / length
    nearest, found = np.inf, None
    for index, thing in enumerate(scene.objects):
        pose = np.asarray(poses[index], dtype=np.float64)
        if not np.isfinite(pose).all():
            continue
        R = rotation(pose[3:])
        distance = distance_to_mesh(thing.body.mesh, R.T @ (start - pose[:3]), R.T @ along)
        if distance < nearest:
            nearest, found = distance, index
    return found


def distance_to_mesh(mesh: TriangleMesh, origin: NDArray[np.float64], direction: NDArray[np.float64]) -> float:
    """How far a ray goes until it hits a mesh from either side; infinite when it does not.

    Args:
        mesh: In the frame of the ray.
        origin: Shape (3,).
        direction: Of length 1, shape (3,).
    """
    if not len(mesh.faces):
        return float("inf")
    low, high = mesh.bounds
    middle, radius = (low + high) / 2, float(np.linalg.norm(high - low)) / 2
    to_middle = middle - origin
    ahead = float(to_middle @ direction)
    if float(to_middle @ to_middle) - ahead**2 > radius**2 or ahead < -radius:
        return float("inf")
    corner, second, third = (mesh.vertices[mesh.faces[:, k]] for k in range(3))
    side, other = second - corner, third - corner
    across = np.cross(direction, other)
    determinant = (side * across).sum(axis=1)
    size = np.linalg.norm(side, axis=1) * np.linalg.norm(other, axis=1)
    usable = np.abs(determinant) > PARALLEL * size
    inverse = 1.0 / np.where(usable, determinant, 1.0)
    offset = origin - corner
    u = (offset * across).sum(axis=1) * inverse
    turned = np.cross(offset, side)
    v = (turned @ direction) * inverse
    distance = (other * turned).sum(axis=1) * inverse
    hit = usable & (u >= 0) & (v >= 0) & (u + v <= 1) & (distance >= 0)
    return float(distance[hit].min()) if hit.any() else float("inf")
