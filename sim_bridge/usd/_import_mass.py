"""Mass properties of a body as a stage gives them, completed from its colliders where it does not.

In the order of UsdPhysics: the body's mass, else its density, else what its colliders weigh: each by its own mass, its
own density or that of its material, 1000 kg/m^3 where nobody says. A centre of mass, moments and axes that are authored
are taken as they are; what is missing is that of uniform solids, scaled to the mass.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from scene3d._errors import BodyError
from sim_bridge.usd._import_material import AGREES, written
from sim_bridge.usd._read_values import finite, our_data

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from dynamics import Material, TriangleMesh
    from sim_bridge.usd._read_frames import BodyFrame
    from sim_bridge.usd._read_values import StageReader

__all__ = ["BodyMass", "Solid", "exact_mass", "read_mass"]

WATER = 1000.0
"""Density of a collider of which nothing is known, as engines take it [kg/m^3]."""


@dataclass(frozen=True, eq=False)
class Solid:
    """A collider as a closed surface in the body's frame."""

    prim: Any
    """`Usd.Prim`."""
    mesh: TriangleMesh
    """Closed."""
    density: float | None
    """Of its material [kg/m^3]; None when it has none."""


@dataclass(frozen=True, eq=False)
class BodyMass:
    """What a body weighs."""

    mass: float
    """[kg]"""
    com: NDArray[np.float64]
    """In the body's frame [m], shape (3,)."""
    inertia: NDArray[np.float64]
    """About the centre of mass, in the body's axes [kg m^2], shape (3, 3)."""
    given: bool
    """True when a mass or a density was authored somewhere."""


def read_mass(reader: StageReader, at: BodyFrame, solids: Sequence[Solid], material: Material) -> BodyMass | None:
    """The mass of a body; None when nothing says it and there are no solids to weigh.

    Args:
        reader: Of the stage; gets notes about what was completed.
        at: The body's frame.
        solids: Its colliders.
        material: Its material.
    """
    prim, where = at.prim, at.prim.GetPath()
    mass, density = _positive(reader, prim, "mass"), _positive(reader, prim, "density")
    kilograms, cubic = reader.units.kilograms, reader.units.kilograms / reader.units.metres**3
    weighed = _weigh(reader, solids, None if density is None else density * cubic)
    if mass is not None:
        total = written(mass) * kilograms if kilograms == 1 else mass * kilograms
    elif weighed is not None:
        total = weighed.mass
        why = "a density only" if weighed.given else "neither a mass nor a density"
        reader.note(f"{where} gives {why}: {total:.4g} kg follow from its colliders, and engines differ about that.")
    else:
        return None
    com = finite(reader.value(prim, "physics:centerOfMass", fallback=False), 3)
    inertia = _authored_inertia(reader, at, kilograms)
    if weighed is None and (com is None or inertia is None):
        return None
    if com is not None:
        com = com * at.scale
    else:
        assert weighed is not None
        com = weighed.com
    if inertia is None:
        assert weighed is not None
        if mass is not None:
            reader.note(f"{where} gives no moments of inertia that a body can have; its colliders' were taken.")
        inertia = weighed.inertia * (total / weighed.mass)
    given = mass is not None or (weighed is not None and weighed.given)
    return exact_mass(prim, BodyMass(total, com, inertia, given))


def exact_mass(prim: Any, found: BodyMass, *, mass_only: bool = False) -> BodyMass:
    """The numbers in full precision that our exporter kept, unless another program has changed those of USD since.

    Args:
        prim: `Usd.Prim` of the body.
        found: What USD says.
        mass_only: Compare nothing but the mass: USD says no more.
    """
    ours = our_data(prim)
    mass, com, rows = finite(ours.get("mass")), finite(ours.get("com"), 3), finite(ours.get("inertia"))
    if com is None or rows is None or rows.size != 9:
        return found
    kept = BodyMass(found.mass if mass is None else float(mass), com, rows.reshape(3, 3), found.given)
    same = abs(kept.mass - found.mass) <= AGREES * found.mass
    if not mass_only:
        size = max(float(np.abs(found.com).max()), 1e-3)
        same &= bool(np.abs(com - found.com).max() <= AGREES * size)
        same &= bool(np.abs(kept.inertia - found.inertia).max() <= AGREES * np.abs(found.inertia).max())
    return kept if same else found


def _weigh(reader: StageReader, solids: Sequence[Solid], density: float | None) -> BodyMass | None:
    """Uniform solids together."""
    from dynamics import mass_properties

    kilograms, cubic = reader.units.kilograms, reader.units.kilograms / reader.units.metres**3
    parts, given = [], density is not None
    for solid in solids:
        own_mass, own_density = _positive(reader, solid.prim, "mass"), _positive(reader, solid.prim, "density")
        given = given or own_mass is not None or own_density is not None or solid.density is not None
        chosen = own_density * cubic if own_density is not None else density or solid.density or WATER
        try:
            found = mass_properties(solid.mesh, chosen)
        except BodyError:
            continue
        factor = 1.0 if own_mass is None else own_mass * kilograms / found.mass
        parts.append((found.mass * factor, found.com, found.inertia * factor))
    if not parts:
        return None
    total = sum(mass for mass, _, _ in parts)
    com = sum((mass * place for mass, place, _ in parts), np.zeros(3)) / total
    inertia = np.zeros((3, 3))
    for mass, place, tensor in parts:
        arm = place - com
        inertia += tensor + mass * (arm @ arm * np.eye(3) - np.outer(arm, arm))  # Parallel axes [Steiner].
    return BodyMass(total, com, inertia, given)


def _authored_inertia(reader: StageReader, at: BodyFrame, kilograms: float) -> NDArray[np.float64] | None:
    """The tensor (3, 3) of authored moments and axes, in kg m^2; None when there are none that a body can have."""
    import torch

    from dynamics._mass_properties import check_inertia
    from dynamics.poses import rotation_from_wxyz

    moments = finite(reader.value(at.prim, "physics:diagonalInertia", fallback=False), 3)
    if moments is None or not moments.any():
        return None
    quat = reader.value(at.prim, "physics:principalAxes", fallback=False)
    wxyz = np.array([1.0, 0, 0, 0]) if quat is None else np.array([quat.GetReal(), *quat.GetImaginary()], dtype=float)
    length = float(np.linalg.norm(wxyz))
    if not (np.isfinite(length) and length > 0):
        wxyz, length = np.array([1.0, 0, 0, 0]), 1.0
    R = rotation_from_wxyz(torch.from_numpy(wxyz / length)).numpy()
    tensor = R @ np.diag(moments * kilograms * reader.units.metres**2) @ R.T
    try:
        return check_inertia(tensor)
    except BodyError:
        return None


def _positive(reader: StageReader, prim: Any, name: str) -> float | None:
    """An attribute of MassAPI; 0 means that nothing is said."""
    value = finite(reader.value(prim, f"physics:{name}", fallback=False))
    return float(value) if value is not None and value > 0 else None
