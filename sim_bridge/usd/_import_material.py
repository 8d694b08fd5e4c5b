"""Physics materials of a stage -> `dynamics.Material`.

USD holds single values, a scene medians with spreads. For a stage of ours the spreads come back from `customData`; for
other stages a value that is given is taken as known, and one that is not as that of the unknown material.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from sim_bridge.usd._read_values import finite, our_data

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dynamics import Material
    from sim_bridge.usd._read_values import StageReader

__all__ = ["read_material", "written"]

SPREADS = ("density_log_std", "friction_log_std", "restitution_std", "youngs_modulus_log_std")
LONGEST_NAME = 64
AGREES = 1e-5
"""Relative difference between a number and itself in single precision, generously."""


def read_material(reader: StageReader, prims: Sequence[Any]) -> tuple[Material, bool]:
    """The physics material of the first of a body's colliders that has one.

    Returns:
        The material, and whether its friction was given; without one, the unknown material.
    """
    from dynamics import find_material

    unknown = find_material("unknown")
    bound = [found for found in (_bound(prim) for prim in prims) if found is not None]
    if not bound:
        return unknown, False
    if len({str(prim.GetPath()) for prim in bound}) > 1:
        reader.note(f"Colliders of one body have several materials; that of {bound[0].GetPath()} was taken for all.")
    return _read(reader, bound[0], unknown)


def written(value: float) -> float:
    """A number in single precision as somebody wrote it: 0.35, not 0.3499999940395355."""
    return float(str(np.float32(value)))


def _bound(prim: Any) -> Any:
    from pxr import UsdPhysics, UsdShade

    material, _ = UsdShade.MaterialBindingAPI(prim).ComputeBoundMaterial("physics")
    found = material.GetPrim() if material else None
    return found if found and found.HasAPI(UsdPhysics.MaterialAPI) else None


def _read(reader: StageReader, prim: Any, unknown: Material) -> tuple[Material, bool]:
    ours = our_data(prim)

    def given(name: str, own: str) -> float | None:
        value, exact = finite(reader.value(prim, f"physics:{name}", fallback=False)), finite(ours.get(own))
        if value is None or value < 0:
            return None
        same = exact is not None and abs(float(exact) - float(value)) <= AGREES * abs(float(value))
        return float(exact) if exact is not None and same else written(float(value))

    friction, static = given("dynamicFriction", "friction"), given("staticFriction", "friction")
    density = given("density", "density")
    restitution = given("restitution", "restitution")
    sliding = static if friction is None else friction
    if friction is not None and static is not None and abs(static - friction) > 1e-6:
        reader.note(
            f"{prim.GetPath()} sticks with {static:g} and slides with {friction:g}; a scene has one friction, the "
            "second was taken."
        )
    units = reader.units
    values: dict[str, Any] = {
        "name": str(ours.get("name") or prim.GetName())[:LONGEST_NAME],
        "friction": unknown.friction if sliding is None else sliding,
        "friction_log_std": unknown.friction_log_std if sliding is None else 0.0,
        "restitution": unknown.restitution if restitution is None else min(restitution, 1.0),
        "restitution_std": unknown.restitution_std if restitution is None else 0.0,
    }
    if density:
        values |= {"density": density * units.kilograms / units.metres**3, "density_log_std": 0.0}
    for name in SPREADS:
        spread = finite(ours.get(name))
        if spread is not None and 0 <= spread <= 5:
            values[name] = float(spread)
    modulus, ratio = finite(ours.get("youngs_modulus")), finite(ours.get("poisson_ratio"))
    if modulus is not None and modulus > 0:
        values["youngs_modulus"] = float(modulus)
    if ratio is not None and -1 < ratio <= 0.5:
        values["poisson_ratio"] = float(ratio)
    return replace(unknown, **values), sliding is not None
