"""Rigid or deformable: particles and binding of an object are made, or dropped.

A rope becomes a chain, a cloth a sheet, everything else is filled with tetrahedra; its shape tells which. The object's
splats are bound to those particles in the rest shape, which is the shape that the photos saw.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from scene3d.edit._apart import replaced, splats_of

if TYPE_CHECKING:
    from dynamics import Particles, TriangleMesh
    from scene3d._scene import Scene
    from scene3d._scene_object import ObjectKind

__all__ = ["make_deformable", "make_rigid", "set_kind"]


def set_kind(scene: Scene, name: str, kind: ObjectKind) -> Scene:
    """The scene with an object of the kind that a person said it is.

    Raises:
        UsageError: There is no such object.
        BodyError: Its shape cannot be filled with particles.
    """
    index = scene.index(name)
    changed = make_deformable(scene, index) if kind == "deformable" else make_rigid(scene, index)
    thing = changed.objects[index]
    guessed = tuple(word for word in thing.guessed if word != "kind")
    return replaced(changed, index, replace(thing, guessed=guessed))


def make_deformable(scene: Scene, index: int) -> Scene:
    """The scene with object ``index`` made of particles, whatever it was; splats stay where they are.

    Raises:
        BodyError: Its shape cannot be filled with particles.
    """
    from scene3d._binding import bind

    thing = scene.objects[index]
    particles = _particles(thing.body.mesh, thing.body.mass)
    means = splats_of(scene, index).means.detach().cpu().double().numpy()
    body = replace(thing.body, particles=particles)
    return replaced(scene, index, replace(thing, body=body, kind="deformable", binding=bind(means, particles)))


def make_rigid(scene: Scene, index: int) -> Scene:
    """The scene with object ``index`` in one stiff piece, without particles."""
    thing = scene.objects[index]
    body = replace(thing.body, particles=None)
    return replaced(scene, index, replace(thing, body=body, kind="rigid", binding=None))


def _particles(mesh: TriangleMesh, mass: float) -> Particles:
    from dynamics._particle_kind import particle_kind

    kind = particle_kind(mesh)
    if kind == "rope":
        from dynamics._rope_particles import rope_particles

        return rope_particles(mesh, mass)
    if kind == "cloth":
        from dynamics._cloth_particles import cloth_particles

        return cloth_particles(mesh, mass)
    from dynamics._solid_particles import solid_particles

    return solid_particles(mesh, mass)
