"""Particles of a rope: closed mesh or surface points and mass in, a chain of beads along the centre line out.

Beads are one and a half radii apart, so that they overlap and contacts cannot slip between them; the first and the last
sit one radius from the tips. A mesh is sampled inside, which also says how much mass each bead carries; a cloud of
points must show the rope all around, else the chain lies too high.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dynamics._centre_line import CentreLine, centre_line, feet
from dynamics._clipped_lattice import inside_lattice
from dynamics._errors import BodyError
from dynamics._particles import Particles
from dynamics._solid_particles import check_mass
from dynamics._triangle_mesh import TriangleMesh

__all__ = ["MOST_PARTICLES", "area_and_volume", "inside_centre_line", "rope_particles"]

STEP = 1.5
"""Distance of beads, in radii."""
OUTER = 0.9
"""The radius is this quantile of the surface's distance from the centre line: strands of a laid rope touch things."""
FINE = 0.4
"""Spacing of samples inside, in radii."""
MOST_SAMPLES = 12_000
SURFACE = 10_000
"""Points on the surface that say how thick the rope is."""
NEIGHBOURS = 8
"""Points within a voxel's reach of one another, when a cloud is thinned."""
MOST_PARTICLES = 5000
FEWEST = 20
"""Points of a cloud."""


def rope_particles(
    shape: TriangleMesh | NDArray[np.float64], mass: float, *, spacing: float | None = None
) -> Particles:
    """A chain of particles along a long thin thing.

    Args:
        shape: Closed mesh, or points all around the surface (N, 3), in the body frame [m].
        mass: Of the body [kg], above zero.
        spacing: Distance of particles [m]; None takes 1.5 radii.

    Returns:
        Particles of kind ``rope``, in order along it, at equal arc lengths of the centre line. Each carries the share
        of mass that is nearest to it.

    Raises:
        BodyError: The thing falls into parts, or there would be too many particles.
    """
    check_mass(mass)
    if isinstance(shape, TriangleMesh):
        samples, line = inside_centre_line(shape)
        surface = _on_surface(shape)
    else:
        surface = _checked(np.asarray(shape, dtype=np.float64))
        samples, line = _surface_centre_line(surface)
    arcs, distances = feet(line.points, surface)
    beside = (arcs > 0) & (arcs < line.length)
    radius = float(np.quantile(distances[beside] if beside.any() else distances, OUTER))
    ends = min(radius, 0.25 * line.length)
    step = STEP * radius if spacing is None else spacing
    count = max(2, round((line.length - 2 * ends) / step) + 1) if step > 0 else MOST_PARTICLES + 1
    if count > MOST_PARTICLES:
        raise BodyError(
            f"A spacing of {step:.3g} m gives more than {MOST_PARTICLES} particles on a rope of {line.length:.3g} m. "
            "Take a larger spacing."
        )
    at = np.linspace(ends, line.length - ends, count)
    points = line.resampled(at)
    nearest = np.clip(np.rint((feet(line.points, samples)[0] - at[0]) / (at[1] - at[0])), 0, count - 1).astype(np.int64)
    # A bead always carries something, though noise may leave its slice without samples.
    shares = np.maximum(np.bincount(nearest, minlength=count), 0.1 * len(samples) / count)
    order = np.arange(count, dtype=np.int32)
    edges = np.stack([order[:-1], order[1:]], axis=1)
    none = np.zeros((0, 4), dtype=np.int32)
    return Particles("rope", points, mass * shares / shares.sum(), edges, none, radius)


def inside_centre_line(mesh: TriangleMesh, *, most: int = MOST_SAMPLES) -> tuple[NDArray[np.float64], CentreLine]:
    """Samples inside a closed mesh, evenly spread, and the centre line through them.

    Args:
        mesh: Closed.
        most: Samples, at most about.

    Raises:
        BodyError: The mesh encloses nothing, or its inside falls into parts.
    """
    area, volume = area_and_volume(mesh)
    if not volume > 0:
        raise BodyError(
            "The mesh encloses no volume. Particles need a closed surface with triangles seen from outside."
        )
    spacing = max(FINE * 2 * volume / area, float(np.cbrt(volume / most)))
    samples = inside_lattice(mesh, spacing)
    return samples, centre_line(samples, spacing)


def area_and_volume(mesh: TriangleMesh) -> tuple[float, float]:
    """Area [m^2] and enclosed volume [m^3] of a mesh.

    Twice their quotient 2 V / A is the radius of a long rod and the thickness of a wide sheet.
    """
    corners = (mesh.vertices - mesh.bounds.mean(axis=0))[mesh.faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    volume = np.einsum("fi,fi->f", corners[:, 0], normals).sum() / 6
    return float(np.linalg.norm(normals, axis=1).sum() / 2), float(volume)


def _on_surface(mesh: TriangleMesh) -> NDArray[np.float64]:
    """Points on a mesh, as many for equal areas, shape (N, 3)."""
    corners = mesh.vertices[mesh.faces]
    areas = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    order = np.arange(SURFACE, dtype=np.float64)
    upto = np.cumsum(areas).astype(np.float64)
    picked = np.searchsorted(upto[:-1], (order + 0.5) / SURFACE * float(upto[-1]))
    # Low-discrepancy places within the triangles [Roberts 2018], so that large triangles do not count as one point.
    u, v = np.fmod(0.7548776662466927 * order, 1.0)[:, None], np.fmod(0.5698402909980532 * order, 1.0)[:, None]
    folded = u + v > 1
    u, v = np.where(folded, 1 - u, u), np.where(folded, 1 - v, v)
    a, b, c = (corners[picked, i] for i in range(3))
    return a + u * (b - a) + v * (c - a)


def _surface_centre_line(points: NDArray[np.float64]) -> tuple[NDArray[np.float64], CentreLine]:
    """The points thinned to one per voxel, and the centre line through them."""
    spatial: Any = import_module("scipy.spatial")
    distances = spatial.cKDTree(points).query(points, k=min(NEIGHBOURS + 1, len(points)))[0]
    voxel = max(float(np.median(distances[:, -1])), float(np.ptp(points, axis=0).max()) / 1000)
    _, voxel_of, counts = np.unique(np.floor(points / voxel), axis=0, return_inverse=True, return_counts=True)
    sums = [np.bincount(voxel_of.ravel(), points[:, axis]) for axis in range(3)]
    thinned = np.stack(sums, axis=1) / counts[:, None]
    # Means of neighbouring voxels may be farther apart than voxels are wide.
    return thinned, centre_line(thinned, 1.2 * voxel)


def _checked(points: NDArray[np.float64]) -> NDArray[np.float64]:
    if points.ndim != 2 or points.shape[1] != 3 or len(points) < FEWEST or not np.isfinite(points).all():
        raise BodyError(
            f"A rope is made from a closed mesh or from at least {FEWEST} finite points (N, 3), found {points.shape}."
        )
    return points
