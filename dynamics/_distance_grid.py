"""Signed distances on a grid, the shape that contacts look other bodies up in: mesh in, numbers at grid points out.

Distances are negative inside. The spacing follows the thinnest walls, so that a mug keeps both its wall and its
cavity, within a bound on memory. Between grid points values are interpolated trilinearly; beyond the grid they are a
lower bound of the distance, so that nothing is ever nearer than stated. The arrays are laid out as a Warp kernel or a
texture reads them: float32, x slowest.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dynamics._errors import BodyError

if TYPE_CHECKING:
    from dynamics._triangle_mesh import TriangleMesh

__all__ = ["DistanceGrid", "distance_grid"]

MOST_POINTS = 1 << 21
"""Grid points of a spacing that was chosen here: 8 MiB."""
LARGEST_GRID = 1 << 27
"""Grid points of a spacing that a caller may ask for: 512 MiB."""
ACROSS_WALL = 3.0
"""Grid spacings that fit into the thinnest wall."""
THIN = 0.05
"""Share of the surface that may be thinner than what counts as the thinnest wall: edges taper to nothing."""
COARSEST, FINEST = 1 / 80, 1 / 250
"""Spacing as a share of the longest side."""
MARGIN = 0.08
"""Space around the mesh as a share of its longest side."""
WALL_RAYS = 4000
SIGN_RAYS = 3
"""Rays that vote on whether a grid point lies inside."""
BLOCK = 1 << 18


@dataclass(frozen=True, eq=False)
class DistanceGrid:
    """Signed distances to one mesh."""

    origin: NDArray[np.float64]
    """Position of value [0, 0, 0] in the mesh's frame [m], shape (3,)."""
    spacing: float
    """Between neighbouring values, along each axis [m]."""
    values: NDArray[np.float32]
    """Signed distance, negative inside [m], shape (nx, ny, nz), C order, each at least 2."""

    @property
    def bounds(self) -> NDArray[np.float64]:
        """Corners of the box that the grid points span [m], shape (2, 3)."""
        return self.origin + np.stack([np.zeros(3), (np.array(self.values.shape) - 1) * self.spacing])

    def sample(self, points: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Signed distances and their gradients.

        Args:
            points: In the mesh's frame [m], shape (..., 3).

        Returns:
            Distances [m], shape (...), and gradients, shape (..., 3): the derivative of the interpolated distance,
            of length about 1 but for ridges and walls near the spacing. Outside the box, with q the point of the box
            next to p, the distance is sqrt(|p - q|^2 + d(q)^2): never more than the true one, since the box is convex.
        """
        given = np.asarray(points, dtype=np.float64)
        p = given.reshape(-1, 3)
        top = np.array(self.values.shape) - 1
        place = (p - self.origin) / self.spacing
        clamped = np.clip(place, 0, top)
        distance, gradient = self._interpolated(clamped, top)
        beyond = (place - clamped) * self.spacing
        outside = np.any(beyond != 0, axis=-1)
        if outside.any():
            far = np.sqrt((beyond[outside] ** 2).sum(axis=-1) + distance[outside] ** 2)
            # Along the axes that were clamped, the nearest point of the box does not move.
            inner = np.where(beyond[outside] == 0, gradient[outside], 0.0)
            gradient[outside] = (beyond[outside] + distance[outside][..., None] * inner) / far[..., None]
            distance[outside] = far
        return distance.reshape(given.shape[:-1]), gradient.reshape(given.shape)

    def _interpolated(
        self, place: NDArray[np.float64], top: NDArray[np.int64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Trilinear values and derivatives at places (M, 3) in units of the spacing, all within the grid."""
        cell = np.minimum(np.floor(place).astype(np.int64), top - 1)
        x, y, z = np.moveaxis(place - cell, -1, 0)
        i, j, k = np.moveaxis(cell, -1, 0)
        v = [[[self.values[i + a, j + b, k + c].astype(np.float64) for c in (0, 1)] for b in (0, 1)] for a in (0, 1)]
        along_z = [[v[a][b][0] + z * (v[a][b][1] - v[a][b][0]) for b in (0, 1)] for a in (0, 1)]
        slope_z = [[v[a][b][1] - v[a][b][0] for b in (0, 1)] for a in (0, 1)]
        along_y = [along_z[a][0] + y * (along_z[a][1] - along_z[a][0]) for a in (0, 1)]
        slope_y = [along_z[a][1] - along_z[a][0] for a in (0, 1)]
        slope_yz = [slope_z[a][0] + y * (slope_z[a][1] - slope_z[a][0]) for a in (0, 1)]
        distance = along_y[0] + x * (along_y[1] - along_y[0])
        gradient = np.stack(
            [
                along_y[1] - along_y[0],
                slope_y[0] + x * (slope_y[1] - slope_y[0]),
                slope_yz[0] + x * (slope_yz[1] - slope_yz[0]),
            ],
            axis=-1,
        )
        return distance, gradient / self.spacing


def distance_grid(mesh: TriangleMesh, spacing: float | None = None, margin: float | None = None) -> DistanceGrid:
    """Signed distances around a closed mesh.

    Args:
        mesh: Closed surface.
        spacing: Of the grid [m]; None takes a third of the thinnest wall, within 1/250 and 1/80 of the longest side
            and within 8 MiB.
        margin: Space around the mesh that the grid covers [m]; None takes 8 % of the longest side.

    Raises:
        BodyError: The mesh is open, inside out or flat, or the spacing or margin makes no sense.
    """
    from dynamics._mass_properties import mass_properties

    mass_properties(mesh, 1.0)
    low, high = mesh.bounds
    longest = float(np.max(high - low))
    margin = MARGIN * longest if margin is None else margin
    if not (np.isfinite(margin) and margin >= 0):
        raise BodyError(f"The margin of a distance grid is a length of at least 0, found {margin:g}.")
    scene = _ray_scene(mesh)
    if spacing is None:
        wall = _thinnest_wall(mesh, scene)
        spacing = float(np.clip(wall / ACROSS_WALL, FINEST * longest, COARSEST * longest))
        while _points(high - low, spacing, margin) > MOST_POINTS:
            spacing *= 1.02
    elif not (np.isfinite(spacing) and spacing > 0 and _points(high - low, spacing, margin) <= LARGEST_GRID):
        raise BodyError(
            f"A distance grid with a spacing of {spacing:g} m around a mesh of {longest:g} m is impossible or needs "
            f"more than {LARGEST_GRID >> 18} MiB. Give a spacing above {longest / 500:.2g} m."
        )
    shape = _shape(high - low, spacing, margin)
    origin = (low + high) / 2 - (np.array(shape) - 1) * spacing / 2
    return DistanceGrid(origin, float(spacing), _signed_distances(scene, origin, float(spacing), shape))


def _shape(size: NDArray[np.float64], spacing: float, margin: float) -> tuple[int, ...]:
    return tuple(int(n) for n in np.ceil((size + 2 * margin) / spacing - 1e-6) + 1)


def _points(size: NDArray[np.float64], spacing: float, margin: float) -> float:
    """Grid points; a wrong spacing may ask for more than numbers hold, and then it is a large number."""
    return float(np.prod(np.minimum((size + 2 * margin) / spacing + 2, 1e9)))


def _ray_scene(mesh: TriangleMesh) -> Any:
    o3d: Any = import_module("open3d")
    scene = o3d.t.geometry.RaycastingScene()
    vertices, faces = mesh.vertices.astype(np.float32), mesh.faces.astype(np.uint32)
    scene.add_triangles(o3d.core.Tensor(vertices), o3d.core.Tensor(faces))
    return scene


def _signed_distances(
    scene: Any, origin: NDArray[np.float64], spacing: float, shape: tuple[int, ...]
) -> NDArray[np.float32]:
    """Signed distances at all grid points, in blocks."""
    values = np.empty(int(np.prod(shape)), dtype=np.float32)
    for start in range(0, len(values), BLOCK):
        index = np.arange(start, min(start + BLOCK, len(values)))
        places = np.stack(np.unravel_index(index, shape), axis=-1) * spacing + origin
        values[index] = scene.compute_signed_distance(places.astype(np.float32), nsamples=SIGN_RAYS).numpy()
    return values.reshape(shape)


def _thinnest_wall(mesh: TriangleMesh, scene: Any) -> float:
    """Thickness [m] along the inward normal that all but a small share of the surface exceeds."""
    corners = mesh.vertices[mesh.faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    areas = np.linalg.norm(normals, axis=1)
    # Evenly over the area, in the order of the faces: no chance takes part.
    reached = np.cumsum(areas)
    wanted = (np.arange(WALL_RAYS) + 0.5) / WALL_RAYS * reached[-1]
    face = np.asarray(np.searchsorted(reached, wanted), dtype=np.int64)
    inward = -normals[face] / areas[face, None]
    start = corners[face].mean(axis=1) + 1e-4 * float(np.ptp(mesh.bounds, axis=0).max()) * inward
    hit = scene.cast_rays(np.concatenate([start, inward], axis=1).astype(np.float32))["t_hit"].numpy()
    hit = hit[np.isfinite(hit)]
    return float(np.quantile(hit, THIN)) if len(hit) else float("inf")
