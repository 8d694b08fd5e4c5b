"""Rules about a stage as a whole: its files, its units and axes, gravity, something to stand on, names of ours."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any

from sim_bridge.usd._check_finding import Finding
from sim_bridge.usd._read_values import our_data

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sim_bridge.usd._import_inventory import Inventory
    from sim_bridge.usd._read_stage import OpenedStage

__all__ = ["check_stage"]


def check_stage(opened: OpenedStage, found: Inventory) -> Iterator[Finding]:
    """Rules about files, metadata, gravity, ground and names.

    Args:
        opened: The stage.
        found: Its prims by role.
    """
    yield from _files(opened)
    yield from _units(opened)
    if not found.bodies and not found.splats and not found.standing:
        yield Finding(
            "warning",
            "empty",
            opened.path.name,
            "The stage holds no splats, no bodies and no colliders: there is nothing to see, to simulate or to check.",
            "Look whether the file is the right one, and whether the prims are active and their references are there.",
        )
    dynamic = [owned.prim for owned in found.bodies]
    if dynamic and not found.standing:
        yield Finding(
            "warning",
            "ground",
            str(dynamic[0].GetPath()),
            f"The stage has {len(dynamic)} bodies that fall and no collider that stands still to land on.",
            "Add a ground: a box or a plane with CollisionAPI and without RigidBodyAPI.",
        )
    kinds = Counter(str(prim.GetTypeName()) for prim in opened.stage.Traverse())
    if dynamic and not kinds["PhysicsScene"]:
        yield Finding(
            "warning",
            "gravity",
            opened.path.name,
            "The stage has bodies but no PhysicsScene, so each engine chooses gravity itself.",
            "Add UsdPhysics.Scene with gravityDirection (0, 0, -1) and gravityMagnitude 9.81.",
        )
    if _is_ours(opened.stage):
        yield from _names(found)


def _files(opened: OpenedStage) -> Iterator[Finding]:
    for asset in opened.outside:
        yield Finding(
            "error",
            "outside",
            opened.path.name,
            f"{asset.name} lies outside of the stage's folder. It was not followed, so what it brings is not checked.",
            "Copy the file beside the stage and refer to it by a relative path, or flatten the stage.",
        )
    for asset in opened.missing if opened.outside else ():  # Else USD's own validator says it.
        yield Finding(
            "error",
            "missing",
            opened.path.name,
            f"{asset.name} is named by the stage but is not there, or cannot be read.",
            "Put the file where the stage looks for it, or remove the reference.",
        )


def _units(opened: OpenedStage) -> Iterator[Finding]:
    from pxr import UsdGeom, UsdPhysics

    stage, name = opened.stage, opened.path.name
    up = str(UsdGeom.GetStageUpAxis(stage))
    if stage.HasAuthoredMetadata(UsdGeom.Tokens.upAxis) and up != "Z":
        message = f"The stage is {up}-up. Robots and simulators work Z-up, and not every one turns what it loads."
        hint = "Convert it: scene3d import FILE --out SCENE, then scene3d export SCENE OUT.usdc."
        yield Finding("warning", "up-axis", name, message, hint)
    metres = float(UsdGeom.GetStageMetersPerUnit(stage))
    if UsdGeom.StageHasAuthoredMetersPerUnit(stage) and abs(metres - 1) > 1e-6:
        message = f"The stage's unit is {metres:g} m. Simulators work in metres, and gravity and masses must fit that."
        hint = "Convert it: scene3d import FILE --out SCENE, then scene3d export SCENE OUT.usdc."
        yield Finding("warning", "units", name, message, hint)
    kilograms = float(UsdPhysics.GetStageKilogramsPerUnit(stage))
    if abs(kilograms - 1) > 1e-6:
        message = f"The stage's unit of mass is {kilograms:g} kg, which not every engine looks at."
        yield Finding("warning", "units", name, message, "Author masses in kilograms and set kilogramsPerUnit to 1.")


def _is_ours(stage: Any) -> bool:
    return isinstance(stage.GetRootLayer().customLayerData.get("scene3d"), dict)


def _names(found: Inventory) -> Iterator[Finding]:
    """What stages of ours promise: objects right below /World, under plain names, with their true name kept."""
    names: Counter[str] = Counter()
    for owned in found.bodies:
        prim = owned.prim
        path, true = str(prim.GetPath()), our_data(prim).get("name")
        if str(prim.GetParent().GetPath()) != "/World":
            message = "An object of scene3d lies elsewhere than right below /World, where loaders look for it."
            yield Finding("error", "names", path, message, "Move it below /World, or export the scene again.")
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", prim.GetName()):
            message = f"The prim's name {prim.GetName()!r} holds letters that engines refuse."
            yield Finding("error", "names", path, message, "Rename it with a-z, 0-9 and underscores.")
        if not true:
            message = "The object's true name is missing from its customData, so import calls it by the prim's name."
            yield Finding("warning", "names", path, message, "Export the scene again.")
        else:
            names[str(true)] += 1
    for name, count in names.items():
        if count > 1:
            message = f"{count} objects are called {name!r}."
            yield Finding("error", "names", "/World", message, "Rename one with `scene3d edit` and export again.")
