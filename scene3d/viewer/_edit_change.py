"""What the Edit tab says of an object -> changes of the scene, through the same functions as `scene3d edit`.

`Said` is the form; `apply` changes what differs from what the object is now, and says in words what that was.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from scene3d._errors import UsageError

if TYPE_CHECKING:
    from scene3d._scene import Scene

__all__ = ["LEAST_MASS", "Said", "apply", "said_of", "same_bodies"]

LEAST_MASS = 1e-4
"""Masses in the form are whole multiples of it [kg]; what was not changed there stays what it was."""


@dataclass(frozen=True)
class Said:
    """What a person can say of an object."""

    name: str
    material: str
    mass: float
    """[kg]"""
    kind: Literal["rigid", "deformable"]


def said_of(scene: Scene, index: int) -> Said:
    """What is known of an object now, as the form shows it."""
    thing = scene.objects[index]
    return Said(thing.name, thing.body.material.name, max(LEAST_MASS, round(thing.body.mass, 4)), thing.kind)


def apply(scene: Scene, name: str, said: Said, shown: Said) -> tuple[Scene, str]:
    """The scene with an object as somebody said it is, and what changed in words.

    Args:
        scene: The scene as it is on disk.
        name: The object.
        said: What the form says now.
        shown: What it said when it was filled in; only what differs is changed.

    Raises:
        UsageError: There is no such object, the name is taken or none, or the mass is not above zero.
        BodyError: The object cannot be filled with particles.
    """
    from scene3d._kind import set_kind
    from scene3d.edit import rename, set_mass, set_material

    words: list[str] = []
    if said.material != shown.material:
        scene = set_material(scene, name, said.material)
        words.append(f"of {said.material}, {scene.objects[scene.index(name)].body.mass:.3g} kg")
    if said.mass != shown.mass:
        if not 0 < said.mass < float("inf"):
            raise UsageError(f"A mass is a number above zero, in kilograms; found {said.mass:g}.")
        scene = set_mass(scene, name, said.mass)
        words.append(f"{said.mass:g} kg, weighed")
    if said.kind != shown.kind:
        scene = set_kind(scene, name, said.kind)
        words.append(said.kind)
    new = said.name.strip()
    if new != shown.name:
        scene = rename(scene, name, new)
        words.append(f"called {new}")
    if not words:
        raise UsageError(f"Nothing of {name} was changed. Change a field first.")
    return scene, f"{name} is {', '.join(words)} now."


def same_bodies(before: Scene, after: Scene) -> bool:
    """Whether rollouts of one scene are ones of the other: objects of the same shapes in the same order, whatever they
    are called.
    """
    import numpy as np

    if (len(before.objects), len(before.supports)) != (len(after.objects), len(after.supports)):
        return False
    return all(
        a.kind == b.kind
        and a.body.mesh.faces.shape == b.body.mesh.faces.shape
        and a.body.mesh.vertices.shape == b.body.mesh.vertices.shape
        and bool(np.allclose(a.body.mesh.vertices, b.body.mesh.vertices, atol=1e-6))
        for a, b in zip(before.objects, after.objects, strict=True)
    )
