"""Particles of a solid deformable: closed mesh and mass in, tetrahedra and lumped masses out.

A clipped lattice fills the mesh, as fine as needed for about as many particles as asked, finer where the thing is too
thin for that. A quarter of each tetrahedron's mass goes to each corner; then masses are changed by a smooth factor near
one, so that mass, centre of mass and inertia are those of the solid that the mesh bounds and not of the coarser one
that the tetrahedra fill.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dynamics._clipped_lattice import clipped_lattice
from dynamics._errors import BodyError
from dynamics._mass_properties import mass_properties
from dynamics._particles import Particles

if TYPE_CHECKING:
    from dynamics._triangle_mesh import TriangleMesh

__all__ = ["check_mass", "matched_masses", "solid_particles", "tetrahedron_edges"]

MOST_PARTICLES = 20_000
WANTED = 500
"""Particles when no spacing is given."""
FINEST = 4000
"""Particles that a thin thing may take when no spacing is given."""
FINER = 0.85
ENOUGH = 0.7
"""Share of the wanted particles that ends the search for a spacing."""
FILLED = 0.85
"""Share of the mesh's volume that tetrahedra should fill when no spacing is given."""
FEWEST_FILLED = 0.5
"""Share of it that they must fill."""
LEAST = 0.2
"""Masses are changed to this share of their lumped value at most."""


def solid_particles(mesh: TriangleMesh, mass: float, *, spacing: float | None = None) -> Particles:
    """Tetrahedra that fill a closed mesh.

    The result is the same for the same mesh every time. Parts that hang together by less than one tetrahedron are lost,
    unless the spacing is smaller than they are thin.

    Args:
        mesh: Closed, in the body frame.
        mass: Of the body [kg], above zero.
        spacing: Distance of lattice points [m]; None takes what gives about 500 particles, up to 4000 for thin things.

    Returns:
        Particles of kind ``solid``; their masses have the mass, the centre of mass and the inertia of the uniform solid
        within the mesh, as far as positive masses can.

    Raises:
        BodyError: The mesh encloses nothing or is thinner than the spacing, or there would be too many particles.
    """
    check_mass(mass)
    exact = mass_properties(mesh, 1.0)
    points, cells = _fitting(mesh, exact.volume) if spacing is None else _largest_part(*clipped_lattice(mesh, spacing))
    if spacing is not None and len(points) > MOST_PARTICLES:
        raise BodyError(
            f"A spacing of {spacing:.3g} m gives {len(points)} particles; at most {MOST_PARTICLES} are made. "
            "Take a larger spacing."
        )
    if not len(cells):
        raise BodyError(
            "No tetrahedra fit into the mesh: it is thinner than the lattice of particles. Give a smaller spacing, or "
            "make it a rope or a cloth."
        )
    quarters = np.repeat(_volumes(points, cells) / 4, 4)
    lumped = np.bincount(cells.ravel(), quarters, minlength=len(points)).astype(np.float64)
    masses = matched_masses(points, lumped, exact.volume, exact.com, exact.inertia) * (mass / exact.volume)
    return Particles("solid", points, masses, tetrahedron_edges(cells), cells, 0.0)


def matched_masses(
    points: NDArray[np.float64],
    masses: NDArray[np.float64],
    mass: float,
    com: NDArray[np.float64],
    inertia: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Masses (P,) near the given ones with these moments, or with as many of the first of them as stay positive.

    They are multiplied by a polynomial of degree 2, 1 or 0 in position, which is the least change of masses, relative
    to themselves, that has the wanted moments.

    Args:
        points: Positions [m], shape (P, 3).
        masses: Above zero, shape (P,).
        mass: Wanted sum.
        com: Wanted centre [m], shape (3,).
        inertia: Wanted, about the centre, shape (3, 3).
    """
    size = float(np.abs(points - com).max())
    x = (points - com) / size
    second = (np.trace(inertia) / 2 * np.eye(3) - inertia) / size**2
    pairs = [(0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2)]
    monomials = np.stack([np.ones(len(x)), *x.T, *(x[:, i] * x[:, j] for i, j in pairs)], axis=1)
    wanted = np.array([mass, 0.0, 0.0, 0.0, *(second[i, j] for i, j in pairs)])
    for terms in (10, 4):
        basis = monomials[:, :terms]
        factors = np.linalg.lstsq(basis.T @ (basis * masses[:, None]), wanted[:terms], rcond=1e-10)[0]
        change = basis @ factors
        if change.min() > LEAST * mass / masses.sum():
            return masses * change
    return masses * (mass / masses.sum())


def tetrahedron_edges(cells: NDArray[np.int32]) -> NDArray[np.int32]:
    """Edges (E, 2) of tetrahedra (C, 4) or triangles (C, 3), each once, smaller index first."""
    pairs = [(a, b) for a in range(cells.shape[1]) for b in range(a + 1, cells.shape[1])]
    found: NDArray[np.int32] = np.unique(np.sort(np.concatenate([cells[:, pair] for pair in pairs]), axis=1), axis=0)
    return found.astype(np.int32)


def check_mass(mass: float) -> None:
    """Raise a BodyError unless a mass is above zero."""
    if not (np.isfinite(mass) and mass > 0):
        raise BodyError(f"A body's mass is above zero kilograms, found {mass!r}.")


def _fitting(mesh: TriangleMesh, volume: float) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    """The coarsest lattice of about as many particles as wanted that fills the mesh in one piece."""
    # Two points a cube; those on the surface come on top and are as many again.
    spacing = float(np.cbrt(4 * volume / WANTED))
    best: tuple[NDArray[np.float64], NDArray[np.int32]] = (np.zeros((0, 3)), np.zeros((0, 4), dtype=np.int32))
    filled = 0.0
    while len(best[0]) < ENOUGH * WANTED or filled < FILLED:
        points, cells = clipped_lattice(mesh, spacing)
        if len(points) > FINEST:
            break
        best = _largest_part(points, cells)
        filled = float(_volumes(*best).sum()) / volume
        spacing *= FINER
    if filled < FEWEST_FILLED:
        raise BodyError(
            f"The mesh is too thin to be filled: {FINEST} particles take {100 * filled:.0f} % of its volume. Make it a "
            "rope, a cloth or a rigid body, or give a spacing."
        )
    return best


def _largest_part(
    points: NDArray[np.float64], cells: NDArray[np.int32]
) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    if not len(cells):
        return points, cells
    sparse: Any = import_module("scipy.sparse")
    graph: Any = import_module("scipy.sparse.csgraph")
    edges = tetrahedron_edges(cells)
    links = sparse.coo_array((np.ones(len(edges)), (edges[:, 0], edges[:, 1])), shape=(len(points), len(points)))
    part = graph.connected_components(links, directed=False)[1]
    weight = np.bincount(part[cells[:, 0]], _volumes(points, cells))
    cells = cells[part[cells[:, 0]] == np.argmax(weight)]
    used, renumbered = np.unique(cells, return_inverse=True)
    return points[used], renumbered.reshape(-1, 4).astype(np.int32)


def _volumes(points: NDArray[np.float64], cells: NDArray[np.int32]) -> NDArray[np.float64]:
    """Volumes (C,) of tetrahedra (C, 4) [m^3]."""
    a, b, c, d = (points[cells[:, i]] for i in range(4))
    return np.einsum("ci,ci->c", b - a, np.cross(c - a, d - a)) / 6
