"""What a person says of an object: its name, what it is made of, what it weighs.

None of this touches splats or shapes. Photos do not show mass, so what is said here takes the place of a guess, and
the list of guesses shrinks.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from scene3d._errors import UsageError
from scene3d.edit._apart import replaced

if TYPE_CHECKING:
    from dynamics import Material
    from scene3d._scene import Scene

__all__ = ["free_name", "new_name", "rename", "set_mass", "set_material"]


def rename(scene: Scene, old: str, new: str) -> Scene:
    """The scene with an object under another name.

    Raises:
        UsageError: There is no such object, the new name is taken, or it is no name.
    """
    index = scene.index(old)
    thing = scene.objects[index]
    new = new_name(scene, new, besides=old)
    return replaced(scene, index, replace(thing, body=thing.body.renamed(new)))


def set_material(scene: Scene, name: str, material: Material | str) -> Scene:
    """The scene with an object made of something else.

    The mass follows from the material's density and the collider's volume, unless the object was weighed.

    Args:
        scene: Any scene.
        name: The object.
        material: A material, or the name of a preset as in configs/materials.yaml.

    Raises:
        UsageError: There is no such object, or no such preset.
    """
    from dynamics._material import UNKNOWN, find_material

    index = scene.index(name)
    thing = scene.objects[index]
    chosen = find_material(material) if isinstance(material, str) else material
    body = thing.body.with_material(chosen)
    if thing.body.mass_log_std == 0:  # Weighed: what it is made of changes nothing about that.
        body = body.with_mass(thing.body.mass)
    guessed = set(thing.guessed) - {"mass", "friction"}
    if chosen.name == UNKNOWN:
        guessed |= {"friction"} if body.mass_log_std == 0 else {"mass", "friction"}
    return replaced(scene, index, replace(thing, body=body, guessed=tuple(sorted(guessed))))


def set_mass(scene: Scene, name: str, mass: float) -> Scene:
    """The scene with an object whose mass is known [kg]; its inertia follows.

    Raises:
        UsageError: There is no such object.
        BodyError: The mass is not above zero.
    """
    index = scene.index(name)
    thing = scene.objects[index]
    guessed = tuple(word for word in thing.guessed if word != "mass")
    return replaced(scene, index, replace(thing, body=thing.body.with_mass(mass), guessed=guessed))


def new_name(scene: Scene, name: str, *, besides: str | None = None) -> str:
    """A name as it is kept, checked to be free.

    Args:
        scene: Whose objects have names already.
        name: As a person wrote it.
        besides: An object that gives its own name up.

    Raises:
        UsageError: It is no name, or another object has it.
    """
    from scene3d._object_name import checked_name

    name = checked_name(name)
    if name != besides and name in (thing.name for thing in scene.objects):
        raise UsageError(f"The scene has an object {name!r} already. Give another name, or remove or rename that one.")
    return name


def free_name(scene: Scene, name: str) -> str:
    """``name``, or else the first of name-2, name-3, ... that no object has."""
    from scene3d._object_name import LONGEST_NAME

    taken = {thing.name for thing in scene.objects}
    number, found = 1, name
    while found in taken:
        number += 1
        found = f"{name[: LONGEST_NAME - 1 - len(str(number))]}-{number}"
    return found
