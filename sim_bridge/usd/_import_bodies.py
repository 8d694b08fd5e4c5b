"""Bodies of a stage -> objects of a scene: frame, shape, mass, material, name.

What USD cannot say (kind, confidence, what was guessed) comes back from `customData` of our exporter; for stages of
other programs it is what the stage leaves open.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np

from scene3d._errors import UsageError
from sim_bridge.usd._import_mass import read_mass
from sim_bridge.usd._import_material import read_material
from sim_bridge.usd._import_solids import read_geometry, read_unseen
from sim_bridge.usd._read_values import finite, our_data

if TYPE_CHECKING:
    from collections.abc import Collection

    from dynamics import Body
    from dynamics._body import Motion
    from scene3d._scene_object import SceneObject
    from sim_bridge.usd._import_inventory import OwnedPrims
    from sim_bridge.usd._read_frames import BodyFrame
    from sim_bridge.usd._read_values import StageReader

__all__ = ["described", "free_name", "read_rigid"]

GUESSES = ("mass", "friction", "kind", "underside", "back")
"""What an object may say that it was guessed."""


def read_rigid(reader: StageReader, at: BodyFrame, owned: OwnedPrims, name: str) -> SceneObject | None:
    """A rigid body.

    Args:
        reader: Of the stage; gets notes.
        at: The body's frame.
        owned: What belongs to it.
        name: Its name in the scene.

    Returns:
        None when it has no shape or no mass at all; that is noted.
    """
    from dynamics import Body

    prim = at.prim
    material, known = read_material(reader, owned.colliders)
    densities = _densities(reader, owned)
    geometry = read_geometry(reader, at, owned, densities)
    if geometry is None:
        reader.note(f"{prim.GetPath()} has no shape that encloses a volume, so it was left out.")
        return None
    mesh, parts, solids = geometry
    weight = read_mass(reader, at, solids, material)
    if weight is None:
        reader.note(f"{prim.GetPath()} has no mass and no shape that could tell it, so it was left out.")
        return None
    spread = finite(our_data(prim).get("mass_log_std"))
    if spread is None:
        spread = 0.0 if weight.given else material.density_log_std
    body = Body(
        name, mesh, material, weight.mass, weight.com, weight.inertia, parts, _motion(reader, at), float(spread)
    )
    guessed = ([] if weight.given else ["mass"]) + ([] if known else ["friction"])
    return described(prim, body, at, guessed, read_unseen(prim.GetChild("surface"), len(mesh.faces)))


def described(prim: Any, body: Body, at: BodyFrame, guessed: list[str], unseen: Any) -> SceneObject:
    """An object with what the exporter kept about it."""
    from scene3d._scene_object import SceneObject

    ours = our_data(prim)
    confidence = finite(ours.get("confidence"))
    said: Any = ours.get("guessed")
    kept = (
        guessed if not hasattr(said, "__iter__") else [word for word in (str(each) for each in said) if word in GUESSES]
    )
    return SceneObject(
        body,
        at.T_world_body,
        kind="deformable" if body.particles is not None else "rigid",
        unseen=np.zeros(0, dtype=bool) if unseen is None else unseen,
        confidence=1.0 if confidence is None else float(np.clip(confidence, 0, 1)),
        guessed=tuple(kept),
    )


def free_name(reader: StageReader, prim: Any, taken: Collection[str]) -> str:
    """What the object of a prim is called: its true name, its display name, or the prim's; unlike what is taken."""
    from scene3d._object_name import LONGEST_NAME, checked_name

    name = ""
    for candidate in (our_data(prim).get("name"), prim.GetDisplayName(), prim.GetName()):
        try:
            name = checked_name(str(candidate or "")[:LONGEST_NAME])
            break
        except UsageError:
            continue
    name = name or "object"
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name[: LONGEST_NAME - 6]} {number}"
    if free != name:
        reader.note(f"Two bodies are called {name!r}; {prim.GetPath()} is called {free!r} here.")
    return free


def _densities(reader: StageReader, owned: OwnedPrims) -> dict[str, float | None]:
    """Density of each collider's material [kg/m^3], by path; None without a material that says one."""
    found: dict[str, float | None] = {}
    for prim in owned.colliders:
        material, _ = read_material(reader, [prim])
        given = material.density_log_std == 0 or bool(our_data(owned.prim))
        found[str(prim.GetPath())] = material.density if given else None
    return found


def _motion(reader: StageReader, at: BodyFrame) -> Motion:
    from pxr import UsdPhysics

    if not at.prim.HasAPI(UsdPhysics.RigidBodyAPI):
        return "static"
    kinematic = bool(reader.value(at.prim, "physics:kinematicEnabled"))
    if kinematic and our_data(at.prim) and reader.stage.HasAuthoredTimeCodeRange():
        reader.note("Bodies of the stage follow a recording; here they begin where it begins and obey forces.")
        return "dynamic"
    return cast("Motion", "kinematic" if kinematic else "dynamic")
