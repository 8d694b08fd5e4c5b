"""Spheres packed into a body: a collider that PhysX, Newton and MuJoCo treat alike, without cooking a hull.

Through points of the surface go the largest balls that touch there from within and hold no other point of the surface
[medial balls; the shrinking-ball algorithm of Ma, Bae and Choi 2012]. Of these the few are chosen that come near the
most of the surface, the larger one where two come near as much [greedy set cover]. What they do not reach is the price:
edges become round.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dynamics import Body

__all__ = ["SPHERES", "sphere_pack"]

SPHERES = 64
"""The most spheres of a body."""
CANDIDATES = 1500
"""Points of the surface that balls go through, and that are to be covered."""
SHRINKS = 20
"""Steps until balls no longer shrink; most stop after five."""
NEAR = 0.02
"""A point counts as covered within this of a sphere, over the body's size."""


def sphere_pack(body: Body, most: int = SPHERES) -> NDArray[np.float64]:
    """Spheres inside a body that touch its surface.

    Args:
        body: With a closed mesh.
        most: The most spheres.

    Returns:
        Centres and radii in the body's frame [m], shape (K, 4), K at most `most`.
    """
    points, normals = _surface(body, CANDIDATES)
    size = float(np.linalg.norm(np.ptp(body.mesh.vertices, axis=0)))
    balls = _medial(body, points, normals, size)
    return balls[_cover(balls, points, NEAR * size, most)]


def _surface(body: Body, count: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Points spread evenly over the mesh, always the same ones, and the normals of their faces, shapes (P, 3)."""
    corners = body.mesh.vertices[body.mesh.faces]
    cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    area = np.linalg.norm(cross, axis=1)
    along = (np.arange(count) + 0.5) / count * area.sum()
    face = np.searchsorted(np.cumsum(area), along).clip(max=len(area) - 1)
    u, v = np.random.default_rng(0).random((2, count))
    folded = u + v > 1
    u, v = np.where(folded, 1 - u, u), np.where(folded, 1 - v, v)
    a, b, c = corners[face].transpose(1, 0, 2)
    points = a + u[:, None] * (b - a) + v[:, None] * (c - a)
    return points, cross[face] / np.maximum(area[face], 1e-30)[:, None]


def _medial(body: Body, points: NDArray[np.float64], normals: NDArray[np.float64], size: float) -> NDArray[np.float64]:
    """The largest ball through each point with its centre below the surface that holds none of the surface, (P, 4)."""
    o3d: Any = import_module("open3d")
    scene: Any = o3d.t.geometry.RaycastingScene()
    scene.add_triangles(
        o3d.core.Tensor(body.mesh.vertices.astype(np.float32)), o3d.core.Tensor(body.mesh.faces.astype(np.uint32))
    )

    def nearest(centres: NDArray[np.float64]) -> NDArray[np.float64]:
        found = scene.compute_closest_points(o3d.core.Tensor(centres.astype(np.float32)))
        return found["points"].numpy().astype(np.float64)

    radius = np.full(len(points), size / 2)
    for _ in range(SHRINKS):
        offset = points - nearest(points - radius[:, None] * normals)
        # The ball through the point and the one that is nearest to its centre; their normals tell it from the same.
        inward = np.einsum("pi,pi->p", offset, normals)
        held = inward > 1e-5 * size
        through = np.einsum("pi,pi->p", offset, offset) / (2 * np.where(held, inward, 1.0))
        radius = np.where(held, np.minimum(radius, through), radius)
    centres = points - radius[:, None] * normals
    return np.column_stack([centres, np.linalg.norm(centres - nearest(centres), axis=1)])


def _cover(balls: NDArray[np.float64], points: NDArray[np.float64], near: float, most: int) -> list[int]:
    """Which balls to take, best first."""
    gaps = np.linalg.norm(points[None] - balls[:, None, :3], axis=2) - balls[:, 3:]
    covers = gaps < near
    left = np.ones(len(points), dtype=bool)
    chosen: list[int] = []
    while len(chosen) < most and left.any():
        gain = (covers & left).sum(axis=1)
        best = int(np.lexsort((balls[:, 3], gain))[-1])
        if gain[best] == 0:
            break
        chosen.append(best)
        left &= ~covers[best]
    return chosen
