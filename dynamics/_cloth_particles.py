"""Particles of a cloth: closed thin mesh and mass in, a sheet of triangles half-way between its two sides out.

The direction that most of the surface faces is up; rays along it find the upper and the lower side on a fine raster.
Where both are hit is the cloth's outline, to which a lattice of equilateral triangles is cut; each particle is put half
a thickness under the upper side. A cloth that hangs over an edge is fine, one that is folded is not: see `is_sheet`.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dynamics._clipped_lattice import clip
from dynamics._errors import BodyError
from dynamics._particles import Particles
from dynamics._rope_particles import area_and_volume
from dynamics._solid_particles import check_mass, tetrahedron_edges

if TYPE_CHECKING:
    from dynamics._triangle_mesh import TriangleMesh

__all__ = ["cloth_particles", "is_sheet"]

WANTED = 600
"""Particles when no spacing is given."""
MOST_PARTICLES = 20_000
RASTER = 8
"""Rays for each spacing."""
FINEST_RASTER = 1024
"""Rays along the longer side."""
RIM = 0.7
"""Share of the median thickness under which a ray goes through the rim."""
FACING = 0.75
"""A sheet's surface faces up or down at least this much, as the area-weighted mean of |n . up|."""
SINGLE = 0.9
"""Share of rays through a sheet that cross it once."""


@dataclass(frozen=True, eq=False)
class _Heights:
    """Both sides of a thin thing over a raster in its own frame."""

    frame: NDArray[np.float64]
    """Rows are the two directions of the raster and up, (3, 3)."""
    origin: NDArray[np.float64]
    """First raster point in that frame, (2,)."""
    step: float
    upper: NDArray[np.float64]
    """(H, W), NaN where nothing is hit."""
    lower: NDArray[np.float64]
    crossings: NDArray[np.int64]
    """Surfaces on each ray, (H, W)."""


def cloth_particles(mesh: TriangleMesh, mass: float, *, spacing: float | None = None) -> Particles:
    """A sheet of triangles in the middle of a thin thing.

    Args:
        mesh: Closed, in the body frame.
        mass: Of the body [kg], above zero; spread over the sheet by its thickness.
        spacing: Side of the triangles [m]; None takes what gives about 600 particles.

    Returns:
        Particles of kind ``cloth``, triangles counter-clockwise seen from the side that looks up (to +Z, unless the
        cloth stands upright); the radius is half the median thickness.

    Raises:
        BodyError: The mesh encloses nothing or is smaller than the spacing, or there would be too many particles.
    """
    check_mass(mass)
    area, volume = area_and_volume(mesh)
    if not volume > 0:
        raise BodyError(
            "The mesh encloses no volume. Particles need a closed surface with triangles seen from outside."
        )
    # Half of the area is one side, and a triangle of a lattice takes half of sqrt(3)/2 spacing squared.
    step = float(np.sqrt(area / 2 / WANTED / 0.866)) if spacing is None else spacing
    if not (np.isfinite(step) and step > 0) or area / 2 / (0.866 * step**2) > MOST_PARTICLES:
        raise BodyError(
            f"A spacing of {step!r} m does not give between 3 and {MOST_PARTICLES} particles. Take a larger spacing."
        )
    heights = _heights(mesh, step / RASTER)
    flat, cells = _outlined(heights, step)
    if not len(cells):
        raise BodyError(f"The cloth is smaller than the {step:.3g} m between its particles. Take a smaller spacing.")
    through = heights.upper - heights.lower
    thickness = np.maximum(_looked_up(heights, through, flat), 1e-9)
    # A ray through the rim cuts off a corner, and its middle is not the cloth's.
    whole = through > RIM * np.nanmedian(through)
    middle = _looked_up(heights, np.where(whole, (heights.upper + heights.lower) / 2, np.nan), flat)
    a, b, c = (flat[cells[:, i]] for i in range(3))
    doubled = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
    cells = np.where(doubled[:, None] < 0, cells[:, [0, 2, 1]], cells)
    lumps = np.bincount(cells.ravel(), np.repeat(np.abs(doubled), 3), minlength=len(flat)) * thickness
    points = np.column_stack([flat, middle]) @ heights.frame
    return Particles(
        "cloth", points, mass * lumps / lumps.sum(), tetrahedron_edges(cells), cells, float(np.median(thickness)) / 2
    )


def is_sheet(mesh: TriangleMesh) -> bool:
    """Whether a closed mesh is one layer over an outline, rather than folded, hollow or round."""
    heights = _heights(mesh, float(np.ptp(mesh.vertices, axis=0).max()) / 64)
    normals = _area_normals(mesh)
    facing = np.abs(normals @ heights.frame[2]).sum() / np.linalg.norm(normals, axis=1).sum()
    hit = heights.crossings > 0
    return bool(facing > FACING and hit.any() and (heights.crossings[hit] == 2).mean() > SINGLE)


def _area_normals(mesh: TriangleMesh) -> NDArray[np.float64]:
    """Normals as long as twice the triangles' areas (F, 3)."""
    corners = mesh.vertices[mesh.faces]
    return np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])


def _frame(mesh: TriangleMesh) -> NDArray[np.float64]:
    """Rows x, y, up (3, 3): up is what most of the surface faces, towards +Z if it can."""
    normals = _area_normals(mesh)
    lengths = np.maximum(np.linalg.norm(normals, axis=1), 1e-300)
    up = np.linalg.eigh((normals / lengths[:, None]).T @ normals)[1][:, 2]
    up = up if tuple(up[::-1]) > (0.0, 0.0, 0.0) else -up
    x = np.cross(np.eye(3)[int(np.argmin(np.abs(up)))], up)
    x /= np.linalg.norm(x)
    return np.stack([x, np.cross(up, x), up])


def _heights(mesh: TriangleMesh, step: float) -> _Heights:
    """Both sides of a mesh along its own up."""
    o3d: Any = import_module("open3d")
    frame = _frame(mesh)
    # Rays start from the middle of the mesh's box: 32-bit rays are exact near the origin only.
    middle = mesh.bounds.mean(axis=0)
    local = (mesh.vertices - middle) @ frame.T
    low, high = local.min(axis=0), local.max(axis=0)
    step = max(step, float((high - low)[:2].max()) / FINEST_RASTER)
    counts = np.ceil((high - low)[:2] / step).astype(int) + 3
    origin = (low + high)[:2] / 2 - (counts - 1) * step / 2
    x, y = (origin[:, None, None] + step * np.indices(tuple(counts))).astype(np.float64)
    scene = o3d.t.geometry.RaycastingScene()
    scene.add_triangles(
        o3d.core.Tensor(local.astype(np.float32)), o3d.core.Tensor(np.ascontiguousarray(mesh.faces, dtype=np.uint32))
    )
    top, bottom = high[2] + step, low[2] - step
    down = np.stack([x, y, np.full_like(x, top), 0 * x, 0 * x, 0 * x - 1], axis=-1).astype(np.float32)
    up = np.stack([x, y, np.full_like(x, bottom), 0 * x, 0 * x, 0 * x + 1], axis=-1).astype(np.float32)
    from_top, from_bottom = (scene.cast_rays(o3d.core.Tensor(rays))["t_hit"].numpy() for rays in (down, up))
    crossings = scene.count_intersections(o3d.core.Tensor(down)).numpy().astype(np.int64)
    offset = float(frame[2] @ middle)
    upper = np.where(np.isfinite(from_top), top + offset - from_top, np.nan).astype(np.float64)
    lower = np.where(np.isfinite(from_bottom), bottom + offset + from_bottom, np.nan).astype(np.float64)
    return _Heights(frame, origin + frame[:2] @ middle, step, upper, lower, crossings)


def _outlined(heights: _Heights, spacing: float) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    """Points (P, 2) and triangles (C, 3) of a lattice that is cut to the outline, in one piece."""
    ndimage: Any = import_module("scipy.ndimage")
    parts, count = ndimage.label(np.isfinite(heights.upper) & np.isfinite(heights.lower))
    if not count:
        return np.zeros((0, 2)), np.zeros((0, 3), dtype=np.int32)
    inside = parts == 1 + np.argmax(np.bincount(parts.ravel())[1:])
    # Distances must be known at the outermost lattice points too, two spacings away.
    margin = int(np.ceil(2 * spacing / heights.step)) + 1
    extent = np.array(inside.shape) - 1
    inside = np.pad(inside, margin)
    low = heights.origin - margin * heights.step
    edt = ndimage.distance_transform_edt
    depth = (edt(inside) - edt(~inside)) * heights.step
    points, cells = _triangular_lattice(heights.origin, heights.origin + heights.step * extent, spacing)
    at = ((points - low) / heights.step).T
    points, cells = clip(points, cells, ndimage.map_coordinates(depth, at, order=1, mode="nearest"))
    corners = points[cells]
    u, v = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    cells = cells[np.abs(u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]) > 1e-3 * spacing**2]
    used, cells = np.unique(cells, return_inverse=True)
    return points[used], cells.reshape(-1, 3).astype(np.int32)


def _triangular_lattice(
    low: NDArray[np.float64], high: NDArray[np.float64], spacing: float
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Equilateral triangles (C, 3) over a rectangle, and their corners (N, 2)."""
    rows = int((high[1] - low[1]) / (spacing * 0.75**0.5)) + 3
    columns = int((high[0] - low[0]) / spacing) + 4
    row, column = np.meshgrid(np.arange(rows), np.arange(columns), indexing="ij")
    x = low[0] + spacing * (column - 1 + 0.5 * (row % 2))
    y = low[1] + spacing * 0.75**0.5 * (row - 1)
    at = row * columns + column
    here, right, above, beyond = at[:-1, :-1], at[:-1, 1:], at[1:, :-1], at[1:, 1:]
    odd = (row % 2 == 1)[:-1, :-1, None]
    one = np.where(odd, np.stack([here, right, beyond], axis=-1), np.stack([here, right, above], axis=-1))
    two = np.where(odd, np.stack([here, beyond, above], axis=-1), np.stack([right, beyond, above], axis=-1))
    cells = np.concatenate([one.reshape(-1, 3), two.reshape(-1, 3)])
    return np.stack([x.ravel(), y.ravel()], axis=1), cells.astype(np.int64)


def _looked_up(heights: _Heights, raster: NDArray[np.float64], flat: NDArray[np.float64]) -> NDArray[np.float64]:
    """Values (P,) of a raster at points (P, 2), filled from the nearest known ones."""
    ndimage: Any = import_module("scipy.ndimage")
    nearest = ndimage.distance_transform_edt(np.isnan(raster), return_distances=False, return_indices=True)
    at = ((flat - heights.origin) / heights.step).T
    return np.asarray(ndimage.map_coordinates(raster[tuple(nearest)], at, order=1, mode="nearest"), dtype=np.float64)
