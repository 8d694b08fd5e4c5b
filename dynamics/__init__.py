"""State -> State: the physics side of the world. Knows nothing of pictures.

    poses             rotations and rigid poses: the one module of tested conversions
    Material          density, friction, restitution and how sure one is; presets by `load_materials`
    Body              mass, inertia, contact geometry of one thing; made by `body_from_mesh`
    Particles         the discretisation of a deformable body
    TriangleMesh      what colliders are made of

Names are resolved on first use, so that importing this package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dynamics._body import Body as Body
    from dynamics._body import body_from_mesh as body_from_mesh
    from dynamics._cloth_particles import cloth_particles as cloth_particles
    from dynamics._convex_parts import convex_parts as convex_parts
    from dynamics._distance_grid import DistanceGrid as DistanceGrid
    from dynamics._distance_grid import distance_grid as distance_grid
    from dynamics._mass_properties import MassProperties as MassProperties
    from dynamics._mass_properties import mass_properties as mass_properties
    from dynamics._material import Material as Material
    from dynamics._material import find_material as find_material
    from dynamics._material import load_materials as load_materials
    from dynamics._particle_kind import particle_kind as particle_kind
    from dynamics._particles import Particles as Particles
    from dynamics._rope_particles import rope_particles as rope_particles
    from dynamics._solid_particles import solid_particles as solid_particles
    from dynamics._state import Action as Action
    from dynamics._state import Latents as Latents
    from dynamics._state import State as State
    from dynamics._surface_points import surface_points as surface_points
    from dynamics._triangle_mesh import TriangleMesh as TriangleMesh
    from dynamics._world import Joint as Joint
    from dynamics._world import World as World

__all__ = [
    "Action",
    "Body",
    "DistanceGrid",
    "Joint",
    "Latents",
    "MassProperties",
    "Material",
    "Particles",
    "State",
    "TriangleMesh",
    "World",
    "body_from_mesh",
    "cloth_particles",
    "convex_parts",
    "distance_grid",
    "find_material",
    "load_materials",
    "mass_properties",
    "particle_kind",
    "rope_particles",
    "solid_particles",
    "surface_points",
]

_HOMES = {
    "Action": "dynamics._state",
    "Body": "dynamics._body",
    "DistanceGrid": "dynamics._distance_grid",
    "Joint": "dynamics._world",
    "Latents": "dynamics._state",
    "MassProperties": "dynamics._mass_properties",
    "Material": "dynamics._material",
    "Particles": "dynamics._particles",
    "State": "dynamics._state",
    "TriangleMesh": "dynamics._triangle_mesh",
    "World": "dynamics._world",
    "body_from_mesh": "dynamics._body",
    "cloth_particles": "dynamics._cloth_particles",
    "convex_parts": "dynamics._convex_parts",
    "distance_grid": "dynamics._distance_grid",
    "find_material": "dynamics._material",
    "load_materials": "dynamics._material",
    "mass_properties": "dynamics._mass_properties",
    "particle_kind": "dynamics._particle_kind",
    "rope_particles": "dynamics._rope_particles",
    "solid_particles": "dynamics._solid_particles",
    "surface_points": "dynamics._surface_points",
}


def __getattr__(name: str) -> Any:
    """Import public names when they are first used."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Public names, whether imported yet or not."""
    return sorted(set(globals()) | set(__all__))
