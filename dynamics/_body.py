"""A body: what physics needs to know of one thing, rigid or deformable.

`body_from_mesh` turns a watertight mesh and a material into mass, centre of mass and inertia; contact geometry (signed
distances, surface points) is made from the mesh when it is first asked for. The body's frame is fixed when it is made
and `com` is stored in it, so that changes of mass never move anything that is drawn.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dynamics._errors import BodyError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dynamics._distance_grid import DistanceGrid
    from dynamics._material import Material
    from dynamics._particles import Particles
    from dynamics._primitive import Primitive
    from dynamics._triangle_mesh import TriangleMesh

__all__ = ["CONTACT_POINTS", "Body", "Motion", "body_from_mesh"]

Motion = Literal["dynamic", "kinematic", "static"]

CONTACT_POINTS = 256
"""How many surface points stand for a body in contacts."""
GEOMETRY = ("volume", "distance", "contact_points")
"""What is computed from the mesh alone and survives changes of everything else."""


@dataclass(frozen=True, eq=False)
class Body:
    """One thing in its own frame."""

    name: str
    """Unique within a world."""
    mesh: TriangleMesh
    """Watertight collider in the body frame."""
    material: Material
    """What it is made of."""
    mass: float
    """[kg]"""
    com: NDArray[np.float64]
    """Centre of mass in the body frame [m], shape (3,)."""
    inertia: NDArray[np.float64]
    """About the centre of mass, in the body frame's axes [kg m^2], shape (3, 3)."""
    parts: tuple[TriangleMesh, ...] = ()
    """Convex parts whose union approximates the mesh; empty when the mesh itself is convex or none were made."""
    motion: Motion = "dynamic"
    """``static`` never moves, ``kinematic`` moves as an action says, ``dynamic`` obeys forces."""
    mass_log_std: float = 0.0
    """Spread of the mass: standard deviation of its natural logarithm; 0 when it is known."""
    particles: Particles | None = None
    """Discretisation of a deformable; None for a rigid body."""
    primitive: Primitive | None = None
    """Exact shape that contacts use instead of the mesh; None for a mesh."""

    @cached_property
    def volume(self) -> float:
        """Volume that the collider encloses [m^3]."""
        from dynamics._mass_properties import mass_properties

        return mass_properties(self.mesh, 1.0).volume

    @cached_property
    def distance(self) -> DistanceGrid:
        """Signed distances around the collider, at the spacing that `distance_grid` chooses."""
        from dynamics._distance_grid import distance_grid

        return distance_grid(self.mesh)

    @cached_property
    def contact_points(self) -> NDArray[np.float32]:
        """Points on the collider that contacts are looked for at, corners first [m], shape (P, 3)."""
        if self.primitive is not None:
            return self.primitive.points
        from dynamics._surface_points import surface_points

        return surface_points(self.mesh, CONTACT_POINTS)

    def principal_inertia(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Principal moments and their axes.

        Returns:
            Moments [kg m^2], smallest first, shape (3,), and a rotation R (3, 3) whose columns are the axes in the
            body frame, so that ``inertia = R diag(moments) R^T``.
        """
        moments, axes = np.linalg.eigh(self.inertia)
        # Signs are arbitrary: the largest component of the first two axes is positive, the third makes it a rotation.
        for column in range(2):
            axes[:, column] *= np.copysign(1.0, axes[np.argmax(np.abs(axes[:, column])), column])
        axes[:, 2] = np.cross(axes[:, 0], axes[:, 1])
        return moments, axes

    def renamed(self, name: str) -> Body:
        """The same body under another name."""
        return self._with(name=_checked_name(name))

    def with_motion(self, motion: Motion) -> Body:
        """The same body that moves in another way."""
        return self._with(motion=motion)

    def with_mass(self, mass: float, *, mass_log_std: float = 0.0) -> Body:
        """The same distribution of another mass [kg]; inertia and the masses of particles follow.

        Raises:
            BodyError: The mass is not above zero.
        """
        factor = _checked_mass(mass, self.name) / self.mass
        particles = self.particles
        if particles is not None:
            particles = replace(particles, masses=particles.masses * factor)
        return self._with(
            mass=float(mass), inertia=self.inertia * factor, mass_log_std=mass_log_std, particles=particles
        )

    def with_material(self, material: Material) -> Body:
        """The same shape of another material: its density decides the mass, with its spread.

        The centre of mass stays where it is.
        """
        changed = self.with_mass(material.density * self.volume, mass_log_std=material.density_log_std)
        return changed._with(material=material)

    def scaled(self, factor: float) -> Body:
        """The body with every length multiplied by ``factor`` > 0, of the same density; `with_mass` keeps a mass."""
        if not (np.isfinite(factor) and factor > 0):
            raise BodyError(f"Lengths of a body are multiplied by a number above zero, found {factor:g}.")
        particles = self.particles
        if particles is not None:
            particles = replace(
                particles,
                points=particles.points * factor,
                masses=particles.masses * factor**3,
                radius=particles.radius * factor,
            )
        return replace(
            self,
            mesh=self.mesh.scaled(factor),
            mass=self.mass * factor**3,
            com=self.com * factor,
            inertia=self.inertia * factor**5,
            parts=tuple(part.scaled(factor) for part in self.parts),
            particles=particles,
            primitive=None if self.primitive is None else self.primitive.scaled(factor),
        )

    def _with(self, **changes: Any) -> Body:
        """A copy whose mesh is the same, so that what was computed from it is kept."""
        changed = replace(self, **changes)
        changed.__dict__.update({name: self.__dict__[name] for name in GEOMETRY if name in self.__dict__})
        return changed


def body_from_mesh(
    name: str,
    mesh: TriangleMesh,
    material: Material,
    *,
    mass: float | None = None,
    mass_log_std: float | None = None,
    com: ArrayLike | None = None,
    inertia: ArrayLike | None = None,
    parts: Iterable[TriangleMesh] = (),
    motion: Motion = "dynamic",
    particles: Particles | None = None,
) -> Body:
    """A body of uniform density inside a closed mesh, but for what is given.

    Args:
        name: Unique within a world.
        mesh: Closed collider in the body frame [m].
        material: Decides the density, unless a mass is given, and how surfaces touch.
        mass: [kg]; the inertia follows unless it is given too. None takes density times volume.
        mass_log_std: Spread of the mass; by default the material's, and 0 for a given mass.
        com: Centre of mass in the body frame [m], shape (3,); None takes that of the uniform solid.
        inertia: About the centre of mass, in the body frame's axes [kg m^2], shape (3, 3); None takes that of the
            uniform solid, scaled to the mass.
        parts: Convex parts of the mesh, as from `convex_parts`.
        motion: How it moves.
        particles: Discretisation of a deformable; its masses are scaled to sum to the body's.

    Raises:
        BodyError: The mesh is open, inside out or flat, or a given value makes no physical sense.
    """
    from dynamics._mass_properties import check_inertia, mass_properties

    _checked_name(name)
    if mass is not None:
        _checked_mass(mass, name)
    try:
        solid = mass_properties(mesh, material.density)
        chosen = solid.mass if mass is None else mass
        tensor = solid.inertia * (chosen / solid.mass) if inertia is None else np.asarray(inertia, dtype=np.float64)
        tensor = check_inertia(tensor)
    except BodyError as error:
        raise BodyError(f"{name}: {error}") from error
    centre = solid.com if com is None else np.asarray(com, dtype=np.float64)
    if centre.shape != (3,) or not np.isfinite(centre).all():
        raise BodyError(f"{name}: a centre of mass is 3 finite numbers in metres, found {centre.tolist()}.")
    if mass_log_std is None:
        mass_log_std = material.density_log_std if mass is None else 0.0
    if particles is not None:
        particles = replace(particles, masses=particles.masses * (chosen / particles.masses.sum()))
    return Body(name, mesh, material, chosen, centre, tensor, tuple(parts), motion, mass_log_std, particles)


def _checked_name(name: str) -> str:
    if not name.strip():
        raise BodyError("A body needs a name, but it is empty.")
    return name


def _checked_mass(mass: float, name: str) -> float:
    if not (np.isfinite(mass) and mass > 0):
        raise BodyError(f"{name}: found a mass of {mass:g} kg; it takes a number above zero.")
    return float(mass)
