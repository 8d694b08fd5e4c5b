"""Which particles suit a deformable: closed mesh in, ``solid``, ``rope`` or ``cloth`` out.

Twice the volume over the area is the radius of a rod and the thickness of a sheet. Both special kinds have to prove
themselves: a rope by a centre line that all of it keeps close to, a cloth by being one thin layer. All else is a solid,
which is never wrong, only slower.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dynamics._cloth_particles import is_sheet
from dynamics._errors import BodyError
from dynamics._rope_particles import area_and_volume, inside_centre_line

if TYPE_CHECKING:
    from dynamics._particles import ParticleKind
    from dynamics._triangle_mesh import TriangleMesh

__all__ = ["particle_kind"]

SLENDER = 10.0
"""Diameters that a rope is long, at least."""
ROUND = 1.5
"""Deviation from the centre line that a rope may have, as a multiple of that of a round rod."""
SAMPLES = 8000
"""Points inside that the centre line is tried on."""
THIN = 1 / 15
"""Thickness of a cloth over its shorter side, at most."""


def particle_kind(mesh: TriangleMesh) -> ParticleKind:
    """The kind of particles for a closed mesh.

    ``rope``: at least 10 diameters long, of about round section everywhere, not closed to a ring and nowhere touching
    itself. ``cloth``: thinner than a 15th of its shorter side, in one layer. Else ``solid``.

    Args:
        mesh: Closed, counter-clockwise seen from outside.

    Raises:
        BodyError: The mesh encloses nothing.
    """
    area, volume = area_and_volume(mesh)
    if not volume > 0:
        raise BodyError(
            "The mesh encloses no volume. Particles need a closed surface with triangles seen from outside."
        )
    half = 2 * volume / area
    if volume > SLENDER * 2 * np.pi * half**3 / 2 and _is_rope(mesh, volume):
        return "rope"
    sides = np.sqrt(np.linalg.eigvalsh(np.cov(mesh.vertices.T))) * np.sqrt(12)
    if half < THIN * sides[1] and is_sheet(mesh):
        return "cloth"
    return "solid"


def _is_rope(mesh: TriangleMesh, volume: float) -> bool:
    try:
        line = inside_centre_line(mesh, most=SAMPLES)[1]
    except BodyError:
        return False
    radius = float(np.sqrt(volume / (np.pi * line.length)))
    # Samples of a disc are 0.71 radii from its middle, as a root mean square.
    return line.length > SLENDER * 2 * radius and line.deviation < ROUND * 0.71 * radius
