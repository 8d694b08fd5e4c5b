"""A mesh as translucent splats, for what has to be seen through: ghosts and tubes.

viser draws splats after all meshes and tests them against the meshes' depth, so a translucent mesh would hide the
splats behind it and show the page's background instead. Splats among splats are sorted and blended as they should.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from scene3d.viewer._splat_arrays import MAGNIFIED, SplatArrays

if TYPE_CHECKING:
    from numpy.typing import ArrayLike
    from viser import ViserServer

__all__ = ["add_splats", "mesh_splats"]

WIDTH = 0.5
"""Deviation along the surface, as a share of the distance between neighbours."""
APART = 0.65
"""Least distance of neighbours, as a share of what an even spread would have."""
FLAT = 0.1
"""Deviation across it, as a share of that along it."""
LIGHT = (0.35, -0.25, 0.9)


def mesh_splats(vertices: ArrayLike, faces: ArrayLike, count: int) -> SplatArrays:
    """About so many flat splats spread evenly over a mesh: white, shaded a little from above, opaque."""
    import trimesh

    mesh = trimesh.Trimesh(np.asarray(vertices, dtype=np.float64), np.asarray(faces), process=False)
    drawn, faces_of = trimesh.sample.sample_surface(mesh, 4 * count, seed=0)[:2]
    _, kept = trimesh.points.remove_close(drawn, APART * float(np.sqrt(mesh.area / count)))
    points, normals = np.asarray(drawn)[kept], np.asarray(mesh.face_normals)[faces_of[kept]]
    sigma = MAGNIFIED * WIDTH * float(np.sqrt(mesh.area / max(len(points), 1)))
    outer = normals[:, :, None] * normals[:, None]
    covariances = sigma**2 * (np.eye(3) - (1 - FLAT**2) * outer)
    light = np.asarray(LIGHT) / np.linalg.norm(LIGHT)
    shade = 0.78 + 0.22 * normals @ light
    return SplatArrays(
        (MAGNIFIED * points).astype(np.float32),
        covariances.astype(np.float32),
        np.repeat(shade[:, None], 3, axis=1).astype(np.float32),
        np.ones((len(points), 1), dtype=np.float32),
    )


def add_splats(
    server: ViserServer, path: str, splats: SplatArrays, color: tuple[int, int, int], opacity: float, **more: Any
) -> Any:
    """Add them as a node, in a colour; returns its handle."""
    rgb = np.clip(splats.rgbs * np.asarray(color) / 255, 0, 1).astype(np.float32)
    return server.scene.add_gaussian_splats(
        path,
        splats.centers,
        splats.covariances,
        rgb,
        opacity * splats.opacities,
        scale=1 / MAGNIFIED,
        **more,
    )
