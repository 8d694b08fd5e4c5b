"""Particles: the discretisation of a deformable body.

A solid is filled with tetrahedra, a rope is a chain, a cloth is a sheet. Positions are the rest shape in the body's
frame; a `State` carries where they are now. They are made by `solid_particles`, `rope_particles` and
`cloth_particles`; `particle_kind` says which of the three suits a mesh.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dynamics._errors import BodyError

__all__ = ["ParticleKind", "Particles"]

ParticleKind = Literal["solid", "rope", "cloth"]

_CORNERS = {"solid": 4, "rope": 4, "cloth": 3}
_FEWEST = {"solid": 4, "rope": 2, "cloth": 3}


@dataclass(frozen=True, eq=False)
class Particles:
    """P particles and what connects them."""

    kind: ParticleKind
    """``solid``: tetrahedra; ``rope``: a chain in order; ``cloth``: triangles."""
    points: NDArray[np.float64]
    """Rest positions in the body frame [m], shape (P, 3)."""
    masses: NDArray[np.float64]
    """Mass of each [kg], shape (P,); they sum to the body's."""
    edges: NDArray[np.int32]
    """Pairs that keep their distance, shape (E, 2)."""
    cells: NDArray[np.int32]
    """Tetrahedra (C, 4) of a solid, triangles (C, 3) of a cloth, (0, 4) for a rope."""
    radius: float
    """Radius of contact of each particle [m]: half the thickness of a rope or a cloth; 0 for a solid, whose outer
    particles lie on its surface."""

    def __post_init__(self) -> None:
        if self.kind not in _CORNERS:
            raise BodyError(f"Particles are solid, rope or cloth, found {self.kind!r}.")
        points = np.ascontiguousarray(self.points, dtype=np.float64)
        masses = np.ascontiguousarray(self.masses, dtype=np.float64)
        count, corners = len(points), _CORNERS[self.kind]
        if points.shape != (count, 3) or masses.shape != (count,) or count < _FEWEST[self.kind]:
            raise BodyError(
                f"Particles of a {self.kind} need positions (P, 3) and masses (P,), P at least {_FEWEST[self.kind]}; "
                f"found {points.shape} and {masses.shape}."
            )
        if not np.isfinite(points).all() or not (np.isfinite(masses).all() and masses.min() > 0):
            raise BodyError("Particles need finite positions and masses above zero. Make them again from the mesh.")
        if not (np.isfinite(self.radius) and self.radius >= 0):
            raise BodyError(f"The radius of particles is a length in metres, at least 0; found {self.radius!r}.")
        object.__setattr__(self, "points", points)
        object.__setattr__(self, "masses", masses)
        object.__setattr__(self, "edges", _indices(self.edges, 2, count, "edges"))
        object.__setattr__(self, "cells", _indices(self.cells, corners, count, "cells"))
        object.__setattr__(self, "radius", float(self.radius))

    def __len__(self) -> int:
        return len(self.points)


def _indices(found: NDArray[np.int32], columns: int, count: int, name: str) -> NDArray[np.int32]:
    """Rows of particles, each below ``count``."""
    array = np.ascontiguousarray(found)
    if array.ndim != 2 or array.shape[1] != columns or array.dtype.kind not in "iu":
        raise BodyError(
            f"The {name} of particles are whole numbers (.., {columns}), found {array.shape} {array.dtype}."
        )
    if len(array) and (array.min() < 0 or array.max() >= count):
        raise BodyError(f"The {name} of {count} particles name particle {array.max()}. Make them again from the mesh.")
    return array.astype(np.int32)
