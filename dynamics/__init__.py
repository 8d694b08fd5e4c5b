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
    from dynamics._adapt import adapt as adapt
    from dynamics._adapter import Adapter as Adapter
    from dynamics._adapter import load_adapter as load_adapter
    from dynamics._adapter import save_adapter as save_adapter
    from dynamics._adapter import with_adapter as with_adapter
    from dynamics._body import Body as Body
    from dynamics._body import body_from_mesh as body_from_mesh
    from dynamics._cloth_particles import cloth_particles as cloth_particles
    from dynamics._contact_weights import load_weights as load_weights
    from dynamics._convex_parts import convex_parts as convex_parts
    from dynamics._distance_grid import DistanceGrid as DistanceGrid
    from dynamics._distance_grid import distance_grid as distance_grid
    from dynamics._guard import Bands as Bands
    from dynamics._guard import Departure as Departure
    from dynamics._guard import GuardReport as GuardReport
    from dynamics._guard import check_rollout as check_rollout
    from dynamics._identify import identify_world as identify_world
    from dynamics._identify import rollout_recordings as rollout_recordings
    from dynamics._joint_geometry import joint_positions as joint_positions
    from dynamics._learned_rollout import ContactModel as ContactModel
    from dynamics._learned_rollout import rollout_learned as rollout_learned
    from dynamics._mass_properties import MassProperties as MassProperties
    from dynamics._mass_properties import mass_properties as mass_properties
    from dynamics._material import Material as Material
    from dynamics._material import find_material as find_material
    from dynamics._material import load_materials as load_materials
    from dynamics._particle_kind import particle_kind as particle_kind
    from dynamics._particles import Particles as Particles
    from dynamics._physics_residuals import PhysicsResiduals as PhysicsResiduals
    from dynamics._physics_residuals import physics_residuals as physics_residuals
    from dynamics._place_joints import place_joints as place_joints
    from dynamics._posterior import Posterior as Posterior
    from dynamics._primitive import Primitive as Primitive
    from dynamics._primitive import body_from_box as body_from_box
    from dynamics._primitive import body_from_plane as body_from_plane
    from dynamics._primitive import body_from_sphere as body_from_sphere
    from dynamics._recording import Recording as Recording
    from dynamics._recording import recordings_of_tosses as recordings_of_tosses
    from dynamics._rollout import rollout as rollout
    from dynamics._rollout import step as step
    from dynamics._rope_particles import rope_particles as rope_particles
    from dynamics._solid_particles import solid_particles as solid_particles
    from dynamics._state import Action as Action
    from dynamics._state import Latents as Latents
    from dynamics._state import Rollout as Rollout
    from dynamics._state import State as State
    from dynamics._step import StepSettings as StepSettings
    from dynamics._surface_points import surface_points as surface_points
    from dynamics._tosses import Toss as Toss
    from dynamics._tosses import load_tosses as load_tosses
    from dynamics._transition import Transition as Transition
    from dynamics._transition import transition_between as transition_between
    from dynamics._triangle_mesh import TriangleMesh as TriangleMesh
    from dynamics._urdf import UrdfModel as UrdfModel
    from dynamics._urdf import load_urdf as load_urdf
    from dynamics._urdf import world_from_urdf as world_from_urdf
    from dynamics._world import Joint as Joint
    from dynamics._world import World as World

__all__ = [
    "Action",
    "Adapter",
    "Bands",
    "Body",
    "ContactModel",
    "Departure",
    "DistanceGrid",
    "GuardReport",
    "Joint",
    "Latents",
    "MassProperties",
    "Material",
    "Particles",
    "PhysicsResiduals",
    "Posterior",
    "Primitive",
    "Recording",
    "Rollout",
    "State",
    "StepSettings",
    "Toss",
    "Transition",
    "TriangleMesh",
    "UrdfModel",
    "World",
    "adapt",
    "body_from_box",
    "body_from_mesh",
    "body_from_plane",
    "body_from_sphere",
    "check_rollout",
    "cloth_particles",
    "convex_parts",
    "distance_grid",
    "find_material",
    "identify_world",
    "joint_positions",
    "load_adapter",
    "load_materials",
    "load_tosses",
    "load_urdf",
    "load_weights",
    "mass_properties",
    "particle_kind",
    "physics_residuals",
    "place_joints",
    "recordings_of_tosses",
    "rollout",
    "rollout_learned",
    "rollout_recordings",
    "rope_particles",
    "save_adapter",
    "solid_particles",
    "step",
    "surface_points",
    "transition_between",
    "with_adapter",
    "world_from_urdf",
]

_HOMES = {
    "Action": "dynamics._state",
    "Adapter": "dynamics._adapter",
    "Bands": "dynamics._guard",
    "Body": "dynamics._body",
    "ContactModel": "dynamics._learned_rollout",
    "Departure": "dynamics._guard",
    "DistanceGrid": "dynamics._distance_grid",
    "GuardReport": "dynamics._guard",
    "Joint": "dynamics._world",
    "Latents": "dynamics._state",
    "MassProperties": "dynamics._mass_properties",
    "Material": "dynamics._material",
    "Particles": "dynamics._particles",
    "PhysicsResiduals": "dynamics._physics_residuals",
    "Posterior": "dynamics._posterior",
    "Primitive": "dynamics._primitive",
    "Recording": "dynamics._recording",
    "Rollout": "dynamics._state",
    "State": "dynamics._state",
    "StepSettings": "dynamics._step",
    "Toss": "dynamics._tosses",
    "Transition": "dynamics._transition",
    "TriangleMesh": "dynamics._triangle_mesh",
    "UrdfModel": "dynamics._urdf",
    "World": "dynamics._world",
    "adapt": "dynamics._adapt",
    "body_from_box": "dynamics._primitive",
    "body_from_mesh": "dynamics._body",
    "body_from_plane": "dynamics._primitive",
    "body_from_sphere": "dynamics._primitive",
    "check_rollout": "dynamics._guard",
    "cloth_particles": "dynamics._cloth_particles",
    "convex_parts": "dynamics._convex_parts",
    "distance_grid": "dynamics._distance_grid",
    "find_material": "dynamics._material",
    "identify_world": "dynamics._identify",
    "joint_positions": "dynamics._joint_geometry",
    "load_adapter": "dynamics._adapter",
    "load_materials": "dynamics._material",
    "load_tosses": "dynamics._tosses",
    "load_urdf": "dynamics._urdf",
    "load_weights": "dynamics._contact_weights",
    "mass_properties": "dynamics._mass_properties",
    "particle_kind": "dynamics._particle_kind",
    "physics_residuals": "dynamics._physics_residuals",
    "place_joints": "dynamics._place_joints",
    "recordings_of_tosses": "dynamics._recording",
    "rollout": "dynamics._rollout",
    "rollout_learned": "dynamics._learned_rollout",
    "rollout_recordings": "dynamics._identify",
    "rope_particles": "dynamics._rope_particles",
    "save_adapter": "dynamics._adapter",
    "solid_particles": "dynamics._solid_particles",
    "step": "dynamics._rollout",
    "surface_points": "dynamics._surface_points",
    "transition_between": "dynamics._transition",
    "with_adapter": "dynamics._adapter",
    "world_from_urdf": "dynamics._urdf",
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
