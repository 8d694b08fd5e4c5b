"""What an object falls apart into: triangles that hang together, or splats that stand near each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from scene3d.edit._union import closest_faces, signed_distances

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from dynamics import TriangleMesh
    from scene3d._gaussians import Gaussians
    from scene3d._scene_object import SceneObject

__all__ = ["Piece", "collider_pieces", "splat_pieces"]

CRUMB = 0.02
"""Share of the volume under which a piece is no object but goes with the nearest one."""
FEWEST_SPLATS = 40
"""Of a cluster that is to be an object."""
SOLID = 0.4
"""Opacity from which a splat is surface; fainter haze hangs between things."""
APART = 0.1
"""Splats that are farther from the collider than this share of its size are not of what it surrounds."""
LINKED = 0.25
"""Such splats hang together over distances up to this share."""


@dataclass(frozen=True, eq=False)
class Piece:
    """One part of an object, in the frame of the whole."""

    mesh: TriangleMesh
    """Closed collider."""
    splats: Tensor
    """Which of the object's splats are its own, int64, shape (M,)."""
    unseen: NDArray[np.bool_]
    """Faces that were closed by guess, shape (F,)."""
    parts: tuple[TriangleMesh, ...] = ()
    """Convex parts."""
    made_up: bool = False
    """True when the collider is a hull of splats."""


def collider_pieces(thing: SceneObject, splats: Gaussians) -> list[Piece]:
    """Pieces of the collider by descending volume, empty when it is in one."""
    mesh = thing.body.mesh
    label = _components(mesh)
    shells = [_shell(mesh, label == k) for k in range(label.max() + 1)]
    volumes = np.array([_signed_volume(shell) for shell in shells])
    # A shell turned inwards is a cavity: it and crumbs belong to whatever is nearest.
    kept = [k for k in np.argsort(-volumes, kind="stable") if volumes[k] > CRUMB * volumes.sum()]
    if len(kept) < 2:
        return []
    for k in set(range(len(shells))) - set(kept):
        middle = shells[k].vertices.mean(axis=0, keepdims=True)
        label[label == k] = kept[int(_on_surface([shells[j] for j in kept], middle)[0])]
    shells = [_shell(mesh, label == k) for k in kept]
    owner = _on_surface(shells, _means(splats))
    parts = thing.body.parts
    centres = np.stack([part.vertices.mean(axis=0) for part in parts]) if parts else np.zeros((0, 3))
    part_owner = _on_surface(shells, centres)
    unseen = thing.unseen if len(thing.unseen) == len(mesh.faces) else np.zeros(len(mesh.faces), dtype=bool)
    return [
        Piece(
            shell,
            _indices(owner == i),
            unseen[label == k],
            tuple(part for part, mine in zip(parts, part_owner == i, strict=True) if mine),
        )
        for i, (k, shell) in enumerate(zip(kept, shells, strict=True))
    ]


def splat_pieces(thing: SceneObject, splats: Gaussians) -> list[Piece]:
    """The collider with the splats around it, and clusters that stand apart from it; empty when there are none."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components
    from scipy.spatial import KDTree

    means = _means(splats)
    mesh = thing.body.mesh
    solid = splats.opacities.detach().cpu().sigmoid().numpy() > SOLID
    size = float(np.ptp(mesh.bounds, axis=0).max())
    far = np.flatnonzero(solid & (signed_distances(mesh, means) > APART * size))
    if len(far) < FEWEST_SPLATS:
        return []
    pairs = KDTree(means[far]).query_pairs(LINKED * size, output_type="ndarray")
    links = coo_array((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), shape=(len(far), len(far)))
    _, label = connected_components(links, directed=False)
    counts = np.bincount(label)
    clusters = [means[far[label == k]] for k in np.argsort(-counts, kind="stable") if counts[k] >= FEWEST_SPLATS]
    hulls = [_hull(cluster) for cluster in clusters]
    owner = _on_surface([mesh, *hulls], means)
    around = Piece(mesh, _indices(owner == 0), thing.unseen, thing.body.parts)
    return [around, *(_of_hull(hull, owner == i + 1) for i, hull in enumerate(hulls))] if hulls else []


def _of_hull(hull: TriangleMesh, mine: NDArray[np.bool_]) -> Piece:
    return Piece(hull, _indices(mine), np.zeros(len(hull.faces), dtype=bool), made_up=True)


def _components(mesh: TriangleMesh) -> NDArray[np.int64]:
    """Number of the shell of each face (F,)."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    from dynamics._mass_properties import welded

    faces = welded(mesh)
    count = int(faces.max()) + 1
    start, end = np.concatenate([faces[:, 0], faces[:, 1]]), np.concatenate([faces[:, 1], faces[:, 2]])
    links = coo_array((np.ones(len(start), bool), (start, end)), shape=(count, count))
    _, of_vertex = connected_components(links, directed=False)
    _, of_face = np.unique(of_vertex[faces[:, 0]], return_inverse=True)
    return of_face.ravel().astype(np.int64)


def _shell(mesh: TriangleMesh, faces: NDArray[np.bool_]) -> TriangleMesh:
    from dynamics import TriangleMesh

    used, index = np.unique(mesh.faces[faces], return_inverse=True)
    return TriangleMesh(mesh.vertices[used], index.reshape(-1, 3).astype(np.int32))


def _signed_volume(mesh: TriangleMesh) -> float:
    a, b, c = np.moveaxis((mesh.vertices - mesh.vertices.mean(axis=0))[mesh.faces], 1, 0)
    return float((a * np.cross(b, c)).sum() / 6)


def _hull(points: NDArray) -> TriangleMesh:
    """Convex hull of points (M, 3), triangles counter-clockwise seen from outside."""
    import trimesh

    from dynamics import TriangleMesh

    hull: Any = trimesh.convex.convex_hull(points)
    return TriangleMesh(np.asarray(hull.vertices), np.asarray(hull.faces).astype(np.int32))


def _on_surface(shells: list[TriangleMesh], points: NDArray) -> NDArray[np.int64]:
    """Which shell's surface each point (M, 3) is nearest to."""
    if not len(points):
        return np.zeros(0, dtype=np.int64)
    return np.stack([closest_faces(shell, points)[0] for shell in shells]).argmin(axis=0)


def _means(splats: Gaussians) -> NDArray[np.float64]:
    return splats.means.detach().cpu().double().numpy()


def _indices(mask: NDArray[np.bool_]) -> Tensor:
    import torch

    return torch.from_numpy(np.flatnonzero(mask))
