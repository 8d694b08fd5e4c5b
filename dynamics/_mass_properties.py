"""Mass, centre of mass and inertia of a uniform solid: triangle mesh and density in, three numbers of physics out.

The integrals are exact for closed meshes, cavities included (divergence theorem on tetrahedra to a common point
[Mirtich 1996]). A mesh that leaks has no inside, so it is refused, and the message says how.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dynamics._errors import BodyError

if TYPE_CHECKING:
    from dynamics._triangle_mesh import TriangleMesh

__all__ = ["MassProperties", "check_inertia", "mass_properties", "welded"]

THINNEST = 1e-9
"""Volume of a mesh relative to its box, under which it is flat."""
SLACK = 1e-6
"""Relative error that stored moments of inertia may have."""


@dataclass(frozen=True, eq=False)
class MassProperties:
    """Of a uniform solid, in the axes of its mesh."""

    mass: float
    """[kg]"""
    com: NDArray[np.float64]
    """Centre of mass [m], shape (3,)."""
    inertia: NDArray[np.float64]
    """About the centre of mass [kg m^2], shape (3, 3)."""
    volume: float
    """[m^3]"""


def mass_properties(mesh: TriangleMesh, density: float) -> MassProperties:
    """Mass properties of the solid that a closed mesh bounds.

    Args:
        mesh: Every edge belongs to as many triangles in one direction as in the other; a shell turned inwards is a
            cavity. Vertices at equal places count as one.
        density: [kg/m^3], above zero.

    Raises:
        BodyError: The mesh is open, inside out, flat or empty, its triangles disagree about which side is outside, or
            the density is not above zero.
    """
    if not (np.isfinite(density) and density > 0):
        raise BodyError(f"Found a density of {density:g} kg/m3; it takes a number above zero.")
    _check_closed(mesh)
    # About the middle of the box, where integrals do not cancel, and with sides about 1, whatever the unit.
    low, high = mesh.bounds
    middle, size = (low + high) / 2, float(np.max(high - low))
    corners = ((mesh.vertices - middle) / max(size, 1e-300))[mesh.faces]
    # Six times the signed volume of each tetrahedron of a triangle and the origin.
    sixfold = (np.cross(corners[:, 0], corners[:, 1]) * corners[:, 2]).sum(axis=1)
    enclosed = float(sixfold.sum() / 6)
    if abs(enclosed) <= THINNEST:
        raise BodyError("The mesh encloses no volume: it is flat or empty. A body needs a closed surface around it.")
    if enclosed < 0:
        raise BodyError("The mesh is inside out: its triangles are clockwise seen from outside. Flip its faces.")
    total = corners.sum(axis=1)
    centre = sixfold @ total / (24 * enclosed)
    # Second moments of a tetrahedron with a corner at the origin: (s s^T + sum_i v_i v_i^T) 6V / 120, s = sum_i v_i.
    moments = np.einsum("f,fi,fj->ij", sixfold, total, total) + np.einsum("f,fki,fkj->ij", sixfold, corners, corners)
    spread = moments / 120 - enclosed * np.outer(centre, centre)
    volume = enclosed * size**3
    inertia = (np.trace(spread) * np.eye(3) - spread) * (density * size**5)
    com = middle + centre * size
    return MassProperties(density * volume, com, (inertia + inertia.T) / 2, volume)


def check_inertia(inertia: NDArray[np.float64]) -> NDArray[np.float64]:
    """The tensor (3, 3), made exactly symmetric, if a rigid body can have it.

    Raises:
        BodyError: It is not a symmetric, positive definite matrix whose principal moments fulfil the triangle
            inequality (none is larger than the sum of the other two).
    """
    tensor = np.asarray(inertia, dtype=np.float64)
    if tensor.shape != (3, 3) or not np.isfinite(tensor).all():
        raise BodyError(f"An inertia is 3 x 3 finite numbers in kg m2, found shape {tensor.shape}: {tensor.tolist()}.")
    largest = float(np.abs(tensor).max())
    if float(np.abs(tensor - tensor.T).max()) > SLACK * largest:
        raise BodyError(f"The inertia {tensor.tolist()} is not symmetric. Give the full tensor about the com.")
    tensor = (tensor + tensor.T) / 2
    moments = np.linalg.eigvalsh(tensor)
    text = ", ".join(f"{moment:.4g}" for moment in moments)
    if not moments[0] > 0:
        raise BodyError(f"The principal moments of inertia must be above zero, found {text} kg m2.")
    if moments[2] > (moments[0] + moments[1]) * (1 + SLACK):
        raise BodyError(
            f"No body has the principal moments of inertia {text} kg m2: the largest is at most the sum of the other "
            "two. Check that they are about the centre of mass, and in kg m2."
        )
    return tensor


def welded(mesh: TriangleMesh) -> NDArray[np.int64]:
    """Triangles (F, 3) that name the first of vertices at equal places; files repeat vertices for each texture."""
    _, first, place = np.unique(mesh.vertices + 0.0, axis=0, return_index=True, return_inverse=True)
    return first[place.ravel()][mesh.faces].astype(np.int64)


def _check_closed(mesh: TriangleMesh) -> None:
    faces = welded(mesh) if len(mesh.faces) else np.zeros((0, 3), dtype=np.int64)
    faces = faces[(faces != np.roll(faces, 1, axis=1)).all(axis=1)]
    if len(faces) < 4:
        raise BodyError(f"The mesh has {len(faces)} triangles, but 4 are the fewest that enclose a volume.")
    start, end = faces.ravel(), np.roll(faces, -1, axis=1).ravel()
    count = int(faces.max()) + 1
    _, edge = np.unique(np.minimum(start, end) * count + np.maximum(start, end), return_inverse=True)
    uses = np.bincount(edge.ravel())
    balance = np.bincount(edge.ravel(), np.where(start < end, 1.0, -1.0))
    open_edges, turned = int((uses % 2 == 1).sum()), int((balance != 0).sum())
    if open_edges:
        raise BodyError(
            f"The mesh is open: {open_edges} of its {len(uses)} edges do not lie between two triangles, so it has no "
            "inside. Close its holes first."
        )
    if turned:
        raise BodyError(
            f"The mesh's triangles disagree about which side is outside, at {turned} of {len(uses)} edges. Orient "
            "them all counter-clockwise seen from outside."
        )
