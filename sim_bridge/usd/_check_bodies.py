"""Rules about rigid bodies: a pose that loaders can set, a mass that no engine has to guess, labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from scene3d._errors import FileFormatError
from sim_bridge.usd._check_finding import Finding
from sim_bridge.usd._read_values import authored, finite

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sim_bridge.usd._import_inventory import OwnedPrims
    from sim_bridge.usd._read_values import StageReader

__all__ = ["check_body"]

POSE_OPS = ["xformOp:translate", "xformOp:orient"]
WHOLE_MASS = {
    "physics:mass": "mass",
    "physics:centerOfMass": "centre of mass",
    "physics:diagonalInertia": "moments of inertia",
    "physics:principalAxes": "principal axes",
}
TRIANGLE = 1e-4
"""Relative excess of the largest moment over the sum of the others that rounding may leave."""
UNIT = 1e-3
FAR = 1e4
"""Engines compute in single precision, which is a millimetre apart here [m]."""
AUTHOR_ALL = "Author mass, centerOfMass, diagonalInertia and principalAxes of MassAPI."


def check_body(reader: StageReader, owned: OwnedPrims) -> Iterator[Finding]:
    """The rules for one rigid body, without its colliders.

    Args:
        reader: Of the stage.
        owned: The body and what belongs to it.
    """
    yield from _pose(reader, owned.prim)
    yield from _place(reader, owned.prim)
    yield from _nested(owned.prim)
    if not bool(reader.value(owned.prim, "physics:kinematicEnabled")):
        yield from _mass(reader, owned.prim)
    yield from _inertia(reader, owned.prim)
    if not any(name.startswith("SemanticsLabelsAPI:") for name in owned.prim.GetAppliedSchemas()):
        yield Finding(
            "warning",
            "labels",
            str(owned.prim.GetPath()),
            "The body has no semantic label, so segmentation cameras of simulators do not name it.",
            "Apply SemanticsLabelsAPI:class with semantics:labels:class = [name].",
        )


def _pose(reader: StageReader, prim: Any) -> Iterator[Finding]:
    from pxr import UsdGeom

    path = str(prim.GetPath())
    xformable = UsdGeom.Xformable(prim)
    ops = xformable.GetOrderedXformOps() if xformable else []
    scaled = False
    for op in ops:
        if op.GetOpType() in (UsdGeom.XformOp.TypeScale, UsdGeom.XformOp.TypeTransform):
            lengths = np.linalg.norm(np.array(op.GetOpTransform(reader.time_of(op.GetAttr())))[:3, :3], axis=1)
            if np.abs(lengths - 1).max() > UNIT:
                scaled = True
                message = f"The body is scaled by {', '.join(f'{length:.4g}' for length in lengths)}."
                hint = "Apply the scale to the geometry below: engines treat scaled bodies each in their own way."
                yield Finding("error", "body-scale", path, message, hint)
    names = [str(op.GetOpName()) for op in ops]
    if names != POSE_OPS and not scaled:
        message = f"The body's transform is [{', '.join(names)}]; loaders set a translation and an orientation."
        yield Finding("warning", "body-transform", path, message, f"Author exactly {' and '.join(POSE_OPS)}.")


def _place(reader: StageReader, prim: Any) -> Iterator[Finding]:
    from pxr import UsdGeom

    path = str(prim.GetPath())
    for op in UsdGeom.Xformable(prim).GetOrderedXformOps() if UsdGeom.Xformable(prim) else []:
        value = op.Get(reader.time_of(op.GetAttr()))
        # USD itself takes an orientation of no numbers for none.
        numbers = [value.GetReal(), *value.GetImaginary()] if hasattr(value, "GetReal") else value
        if value is not None and finite(numbers) is None:
            message = f"{op.GetOpName()} holds numbers that are not finite."
            yield Finding("error", "body-place", path, message, "Give the body a place and an orientation.")
            return
    try:
        away = float(np.abs(reader.matrix(prim)[:3, 3]).max())
    except FileFormatError:  # Something above it is nowhere; said where its colliders are looked at.
        return
    if away > FAR:
        message = f"The body is {away:.3g} m from the origin, where single precision is coarser than a millimetre."
        yield Finding("warning", "body-place", path, message, "Move everything closer to the origin.")


def _nested(prim: Any) -> Iterator[Finding]:
    from pxr import UsdGeom, UsdPhysics

    inner = prim
    while prim and not UsdGeom.Xformable(prim).GetResetXformStack():
        prim = prim.GetParent()
        if prim and prim.HasAPI(UsdPhysics.RigidBodyAPI):
            message = f"The body lies below the body {prim.GetPath()} and inherits its motion, which engines refuse."
            hint = "Take it out, join the two by a joint, or begin its xformOpOrder with !resetXformStack!."
            yield Finding("error", "body-nested", str(inner.GetPath()), message, hint)
            return


def _mass(reader: StageReader, prim: Any) -> Iterator[Finding]:
    path = str(prim.GetPath())
    mass, density = (finite(reader.value(prim, f"physics:{name}", fallback=False)) for name in ("mass", "density"))
    if mass is not None and mass < 0:
        yield Finding("error", "mass", path, f"The mass is {float(mass):g} kg.", "Give a mass above zero.")
        return
    if mass is None or mass == 0:
        if density is not None and density > 0:
            message = (
                f"Only a density of {float(density):g} is given. Engines multiply it by volumes of their own (cooked "
                "hulls, boxes, voxels), which differ by more than half."
            )
            yield Finding("warning", "mass-density", path, message, AUTHOR_ALL)
            return
        said = "The mass is 0, which means that none is given." if mass is not None else "No mass is given."
        message = f"{said} Engines then take 1000 kg/m3 or a material's density times volumes of their own."
        yield Finding("error" if mass is not None else "warning", "mass", path, message, AUTHOR_ALL)
        return
    com = reader.value(prim, "physics:centerOfMass", fallback=False)
    if com is not None and finite(com, 3) is None and not np.isneginf(com).all():  # Minus infinity stands for none.
        message = f"The centre of mass is {', '.join(f'{float(value):g}' for value in com)}."
        yield Finding("error", "mass", path, message, AUTHOR_ALL)
    missing = [words for name, words in WHOLE_MASS.items() if not authored(prim, name)]
    if missing:
        message = f"Not authored: {', '.join(missing)}. Each engine then works it out from its own hulls."
        yield Finding("warning", "mass-partial", path, message, AUTHOR_ALL)


def _inertia(reader: StageReader, prim: Any) -> Iterator[Finding]:
    path = str(prim.GetPath())
    given = reader.value(prim, "physics:diagonalInertia", fallback=False)
    if given is not None:
        moments = finite(given, 3)
        text = ", ".join(f"{float(value):.4g}" for value in given)
        if moments is None or (moments < 0).any() or (moments.any() and not moments.all()):
            message = f"The moments of inertia are {text}; all three must be above zero."
            yield Finding("error", "inertia", path, message, AUTHOR_ALL)
        elif 2 * moments.max() > moments.sum() * (1 + TRIANGLE):
            message = f"The moments of inertia {text} belong to no body: the largest exceeds the sum of the others."
            yield Finding("error", "inertia", path, message, "Give principal moments about the centre of mass.")
    axes = reader.value(prim, "physics:principalAxes", fallback=False)
    if axes is not None:
        length = float(np.linalg.norm([axes.GetReal(), *axes.GetImaginary()]))
        if not (abs(length - 1) <= UNIT or length == 0):
            message = f"The quaternion of the principal axes has length {length:.4g}."
            yield Finding("error", "inertia", path, message, "Divide it by its length.")
