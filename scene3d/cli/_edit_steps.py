"""One flag of `scene3d edit` and its value -> a changed scene, and a few words on what changed.

`STEPS` maps each flag to a function that parses its value, calls the library and says what it did. Names may hold
anything but slashes, so numbers are read from the right.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from scene3d._errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from scene3d import Scene
    from scene3d._scene_object import SceneObject
    from scene3d.edit import Place

__all__ = ["STEPS", "place_and_rest", "position_in_words", "uses_lengths"]

Outcome = tuple["Scene", str]


def uses_lengths(flag: str, value: str) -> bool:
    """Whether a value holds positions, which are metres."""
    return flag == "move" or (flag == "duplicate" and place_and_rest(value, "--duplicate")[1] is not None)


def place_and_rest(text: str, flag: str) -> tuple[str, Place | None]:
    """``REST@X,Y[,Z[,YAW]]`` in metres and degrees; without the part from @ on the place is None.

    Raises:
        UsageError: There is an @ before things that are not numbers.
    """
    from scene3d.edit import Place

    rest, at, numbers = text.rpartition("@")
    if not at:
        return text, None
    values = _numbers(numbers.split(","))
    if values is None or not 2 <= len(values) <= 4:
        raise UsageError(
            f"Found {flag} {text}; a place is written @X,Y or @X,Y,Z or @X,Y,Z,YAW, in metres and degrees, "
            "for example mug@0.1,-0.2."
        )
    z = values[2] if len(values) > 2 else None
    return rest.strip(), Place(values[0], values[1], z, math.radians(values[3]) if len(values) > 3 else 0.0)


def position_in_words(scene: Scene, name: str) -> str:
    """Where an object is, in metres or in the scene's units."""
    xyz = ", ".join(f"{value + 0.0:.3f}" for value in scene.objects[scene.index(name)].T_world_body[:3])
    return f"{xyz} m" if scene.metric else f"{xyz} units"


def _remove(scene: Scene, value: str) -> Outcome:
    from scene3d.edit import remove

    name = value.strip()
    changed = remove(scene, name)
    gone = len(scene.splats) - len(changed.splats)
    return changed, f"{name} is gone, and with it {gone:,} splats"


def _duplicate(scene: Scene, value: str) -> Outcome:
    from scene3d.edit import duplicate

    rest, place = place_and_rest(value, "--duplicate")
    name, new = _one_or_two(scene, rest)
    changed = duplicate(scene, name, new, place)
    made = changed.objects[-1].name
    return changed, f"{made}, a copy of {name}, at {position_in_words(changed, made)}"


def _move(scene: Scene, value: str) -> Outcome:
    from scene3d.edit import move, put

    name, place = place_and_rest(value, "--move")
    if place is not None:
        changed = put(scene, name, place)
    else:
        parts = value.split(",")
        # With a turn or without: the longer reading first, unless its name is no object.
        readings = [(",".join(parts[:-count]).strip(), _numbers(parts[-count:])) for count in (4, 3)]
        known = [thing.name for thing in scene.objects]
        fit = [(name, numbers) for name, numbers in readings if name and numbers is not None]
        if not fit:
            raise UsageError(
                f"Found --move {value}; write NAME,DX,DY,DZ or NAME,DX,DY,DZ,YAW to move by so many metres and "
                "degrees, or NAME@X,Y to put it there. For example: --move mug,0.1,0,0"
            )
        name, numbers = next((reading for reading in fit if reading[0] in known), fit[0])
        changed = move(scene, name, numbers[:3], math.radians(numbers[3]) if len(numbers) > 3 else 0.0)
    return changed, f"{name} from {position_in_words(scene, name)} to {position_in_words(changed, name)}"


def _rename(scene: Scene, value: str) -> Outcome:
    from scene3d.edit import rename

    old, new = _two(scene, value, "--rename", "OLD,NEW", "mug,cup")
    return rename(scene, old, new), f"{old} is called {new} now"


def _material(scene: Scene, value: str) -> Outcome:
    from scene3d.edit import set_material

    name, material = _assigned(value, "--material", "mug=stoneware")
    changed = set_material(scene, name, material)
    return changed, f"{name} is of {_object(changed, name).body.material.name}, {_mass_in_words(changed, name)}"


def _mass(scene: Scene, value: str) -> Outcome:
    from scene3d.edit import set_mass

    name, number = _assigned(value, "--mass", "mug=0.32")
    mass = _numbers([number])
    if mass is None or mass[0] <= 0:
        raise UsageError(f"Found --mass {value}; a mass is a number above zero, in kilograms, as in mug=0.32.")
    changed = set_mass(scene, name, mass[0])
    return changed, f"{name} weighs {mass[0]:g} kg"


def _kind(scene: Scene, value: str) -> Outcome:
    from scene3d._kind import set_kind

    name, kind = _assigned(value, "--kind", "toy=deformable")
    if kind not in ("rigid", "deformable"):
        raise UsageError(f"Found --kind {value}; a kind is rigid or deformable, as in toy=deformable.")
    changed = set_kind(scene, name, kind)
    particles = _object(changed, name).body.particles
    more = "" if particles is None else f", a {particles.kind} of {len(particles.points)} particles"
    return changed, f"{name} is {kind}{more}"


def _merge(scene: Scene, value: str) -> Outcome:
    from scene3d.edit import merge

    parts = [part.strip() for part in value.split(",")]
    if len(parts) not in (2, 3) or not all(parts):
        raise UsageError(f"Found --merge {value}; write A,B or A,B,NEW, for example --merge lid,pot,pot.")
    first, second, new = parts[0], parts[1], parts[2] if len(parts) == 3 else None
    changed = merge(scene, first, second, new)
    made = new or first
    return changed, f"{first} and {second} are {made} now, {_mass_in_words(changed, made)}"


def _split(scene: Scene, value: str) -> Outcome:
    from scene3d.edit import split

    name = value.strip()
    before = {thing.name for thing in scene.objects}
    changed = split(scene, name)
    made = [name, *(thing.name for thing in changed.objects if thing.name not in before)]
    return changed, f"{name} is {' and '.join(made)} now"


STEPS: Mapping[str, Callable[[Scene, str], Outcome]] = {
    "remove": _remove,
    "duplicate": _duplicate,
    "move": _move,
    "rename": _rename,
    "material": _material,
    "mass": _mass,
    "kind": _kind,
    "merge": _merge,
    "split": _split,
}
"""By flag, in the order of the help."""


def _object(scene: Scene, name: str) -> SceneObject:
    return scene.objects[scene.index(name)]


def _mass_in_words(scene: Scene, name: str) -> str:
    body = _object(scene, name).body
    if not body.mass_log_std:
        return f"{body.mass:.3g} kg"
    # 90 % of a log-normal lie within 1.645 standard deviations of its logarithm.
    low, high = (body.mass * math.exp(sign * 1.645 * body.mass_log_std) for sign in (-1, 1))
    return f"{body.mass:.3g} kg ({low:.2g} to {high:.2g})"


def _assigned(value: str, flag: str, example: str) -> tuple[str, str]:
    name, equals, given = (part.strip() for part in value.rpartition("="))
    if not (equals and name and given):
        raise UsageError(f"Found {flag} {value}; it is written NAME=VALUE, for example {flag} {example}.")
    return name, given


def _two(scene: Scene, value: str, flag: str, form: str, example: str) -> tuple[str, str]:
    first, second = _one_or_two(scene, value)
    if not first or not second:
        raise UsageError(f"Found {flag} {value}; it is written {form}, for example {flag} {example}.")
    return first, second


def _one_or_two(scene: Scene, value: str) -> tuple[str, str | None]:
    """``A`` or ``A,B``; a comma within the name of an object stays there."""
    known = [thing.name for thing in scene.objects]
    if value.strip() in known or "," not in value:
        return value.strip(), None
    parts = value.split(",")
    readings = [(",".join(parts[:i]).strip(), ",".join(parts[i:]).strip()) for i in range(1, len(parts))]
    return next((reading for reading in readings if reading[0] in known), readings[0])


def _numbers(texts: list[str]) -> list[float] | None:
    """The texts as finite numbers; None when one is none."""
    try:
        values = [float(text) for text in texts]
    except ValueError:
        return None
    return values if values and all(map(math.isfinite, values)) else None
