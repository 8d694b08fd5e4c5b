"""What a stage holds, sorted by what becomes of it: bodies, colliders, splats, cameras; and what has no place.

One walk over all prims that are active and defined, copies of instances included. Each collider and each set of splats
is given to the nearest body above it. What a scene cannot hold is counted by kind, so that it can be said.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sim_bridge.usd._read_shapes import SHAPES
from sim_bridge.usd._read_splats import SPLAT_TYPE
from sim_bridge.usd._read_values import our_data

if TYPE_CHECKING:
    from sim_bridge.usd._read_values import StageReader

__all__ = ["Inventory", "OwnedPrims", "is_deformable", "say_left_out", "take_inventory"]

QUIET = {
    "",
    "Xform",
    "Scope",
    "Material",
    "Shader",
    "NodeGraph",
    "PhysicsScene",
    "RenderSettings",
    "RenderProduct",
    "GeomSubset",
}
"""Types that hold nothing themselves."""
OURS = {"surface", "particles"}
"""Children of an object that the exporter writes beside its colliders."""
FOR_SHOW = {"render", "default"}
"""Purposes of what is drawn."""


@dataclass(frozen=True, eq=False)
class OwnedPrims:
    """A body's prim and the prims that belong to it."""

    prim: Any
    """`Usd.Prim` of the body."""
    colliders: list[Any] = field(default_factory=list[Any])
    """Shapes that collide."""
    splats: list[Any] = field(default_factory=list[Any])
    """ParticleField3DGaussianSplat."""
    visuals: list[Any] = field(default_factory=list[Any])
    """Shapes that do not collide."""


@dataclass(frozen=True, eq=False)
class Inventory:
    """The prims of a stage by role, in the order of the stage."""

    bodies: list[OwnedPrims] = field(default_factory=list[OwnedPrims])
    """Rigid bodies, and the deformables and static objects that the exporter wrote."""
    splats: list[Any] = field(default_factory=list[Any])
    """Splats that ride on no body."""
    standing: list[Any] = field(default_factory=list[Any])
    """Colliders that belong to no body."""
    cameras: list[Any] = field(default_factory=list[Any])
    """Camera prims."""
    joints: list[Any] = field(default_factory=list[Any])
    """Joints of UsdPhysics."""
    left_out: Counter[str] = field(default_factory=Counter[str])
    """How many prims of which kind have no place in a scene."""


def take_inventory(stage: Any, notes: list[str]) -> Inventory:
    """Walk over a stage; what is left out of the walk itself goes to the notes."""
    from pxr import Usd

    found = Inventory()
    owners: dict[Any, OwnedPrims] = {}
    copies = variants = 0
    walk = iter(Usd.PrimRange(stage.GetPseudoRoot(), Usd.TraverseInstanceProxies(Usd.PrimDefaultPredicate)))
    for prim in walk:
        kind = str(prim.GetTypeName())
        if kind == "PointInstancer":
            walk.PruneChildren()
            found.left_out["point instancer"] += 1
            continue
        copies += prim.IsInstance()
        variants += bool(prim.GetVariantSets().GetNames())
        owner = owners.get(prim.GetParent().GetPath()) if not prim.IsPseudoRoot() else None
        if _is_body(prim):
            owner = OwnedPrims(prim)
            found.bodies.append(owner)
        if owner is not None:
            owners[prim.GetPath()] = owner
        _sort(found, prim, kind, owner)
    inactive = sum(not prim.IsActive() for prim in stage.TraverseAll())
    if copies:
        notes.append(f"{copies} instances were read as copies of what they are instances of.")
    if variants:
        notes.append(f"{variants} prims have variants: those that the stage selects were read, the others left out.")
    if inactive:
        notes.append(f"{inactive} prims are switched off (not active) and were left out.")
    return found


def say_left_out(found: Inventory, reader: StageReader) -> None:
    """Note what the walk found no place for."""
    if found.left_out:
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(found.left_out.items()))
        reader.note(f"Left out, because a scene has no place for it: {kinds}.")


def is_deformable(prim: Any) -> bool:
    """True for a deformable that the exporter wrote, unless it was made a rigid body since."""
    from pxr import UsdPhysics

    return our_data(prim).get("kind") == "deformable" and not prim.HasAPI(UsdPhysics.RigidBodyAPI)


def _is_body(prim: Any) -> bool:
    """True for what becomes an object; a body that is switched off stands still, like what belongs to none."""
    from pxr import UsdPhysics

    if prim.HasAPI(UsdPhysics.RigidBodyAPI):
        return bool(UsdPhysics.RigidBodyAPI(prim).GetRigidBodyEnabledAttr().Get())
    ours = our_data(prim)
    if is_deformable(prim):
        return bool(prim.GetChild("particles"))
    return ours.get("motion") == "static" and bool(prim.GetChild("colliders"))


def _sort(found: Inventory, prim: Any, kind: str, owner: OwnedPrims | None) -> None:
    if kind == SPLAT_TYPE:
        _sort_splats(found, prim, owner)
    elif kind in SHAPES or kind == "Plane":
        _sort_shape(found, prim, kind, owner)
    elif kind == "Camera":
        found.cameras.append(prim)
    elif kind.startswith("Physics") and kind.endswith("Joint"):
        found.joints.append(prim)
    elif kind not in QUIET and not (owner is not None and prim.GetName() in OURS):
        found.left_out[kind] += 1


def _sort_splats(found: Inventory, prim: Any, owner: OwnedPrims | None) -> None:
    from pxr import UsdGeom

    image = UsdGeom.Imageable(prim)
    if str(image.ComputePurpose()) not in FOR_SHOW:
        found.left_out["set of splats that is a stand-in (purpose proxy or guide)"] += 1
    elif image.ComputeVisibility() == UsdGeom.Tokens.invisible:
        found.left_out["invisible set of splats"] += 1
    else:
        (found.splats if owner is None else owner.splats).append(prim)


def _sort_shape(found: Inventory, prim: Any, kind: str, owner: OwnedPrims | None) -> None:
    from pxr import UsdPhysics

    collides = prim.HasAPI(UsdPhysics.CollisionAPI)
    if collides and not UsdPhysics.CollisionAPI(prim).GetCollisionEnabledAttr().Get():
        found.left_out["collider that is switched off"] += 1
    elif collides and owner is not None and kind == "Plane":
        found.left_out["plane that collides as part of a body"] += 1
    elif owner is not None:
        if collides:
            owner.colliders.append(prim)
        else:
            owner.visuals.append(prim)
    elif collides:
        found.standing.append(prim)
    else:
        found.left_out[f"{kind} that is only drawn"] += 1
