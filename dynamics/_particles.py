"""Particles: the discretisation of a deformable body.

A solid is filled with tetrahedra, a rope is a chain, a cloth is a sheet. Positions are the rest shape in the body's
frame; a `State` carries where they are now.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["ParticleKind", "Particles"]

ParticleKind = Literal["solid", "rope", "cloth"]


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
    """Radius of contact of each particle [m]; half the thickness of a rope or a cloth."""
