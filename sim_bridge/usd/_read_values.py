"""Values of a composed stage: attributes and transforms as NumPy arrays, at one moment, in metres with Z up.

A stage that was exported with a rollout has a value without time beside the sampled ones, and that one is taken; where
there are only samples, the first. `StageReader` carries the stage, its units and what is to be said to the user.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from scene3d._errors import FileFormatError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["StageReader", "Units", "authored", "finite", "our_data", "read_units"]

FROM_Y_UP = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
"""Rotation of a world with Y up to one with Z up."""
FALLBACK_METRES = 0.01
"""What USD takes for a unit when a stage does not say."""


@dataclass(frozen=True)
class Units:
    """What a stage's numbers mean."""

    metres: float
    """Length of one unit [m]."""
    kilograms: float
    """Mass of one unit [kg]."""
    up: str
    """``Y`` or ``Z``."""
    metric: bool
    """False when nobody knows how long a unit is."""


@dataclass(frozen=True, eq=False)
class StageReader:
    """A stage, its units, and what was noticed while reading."""

    path: Path
    """The file, for messages."""
    stage: Any
    """`Usd.Stage`."""
    units: Units
    """Units of the stage."""
    notes: list[str] = field(default_factory=list[str])
    """Sentences for the user, in order."""
    sampled: dict[str, bool] = field(default_factory=dict[str, bool])
    """Attributes with time samples; True when there is no value beside them."""

    def note(self, text: str) -> None:
        """Say something once."""
        if text not in self.notes:
            self.notes.append(text)

    def time_of(self, attribute: Any) -> Any:
        """The moment at which an attribute is read: the value without time, else the first sample."""
        from pxr import Usd

        if not attribute.GetNumTimeSamples():
            return Usd.TimeCode.Default()
        only = not attribute.GetResolveInfo(Usd.TimeCode.Default()).HasAuthoredValue()
        self.sampled[str(attribute.GetPath())] = only
        return Usd.TimeCode(attribute.GetTimeSamples()[0]) if only else Usd.TimeCode.Default()

    def value(self, prim: Any, name: str, *, fallback: bool = True) -> Any:
        """The value of an attribute as USD gives it; None when there is none.

        Args:
            prim: `Usd.Prim`.
            name: Of the attribute.
            fallback: Take what the schema says when nobody authored a value.
        """
        attribute = prim.GetAttribute(name)
        if not attribute or not (fallback or attribute.HasAuthoredValue()):
            return None
        found = attribute.Get(self.time_of(attribute))
        if found is None or _fits(found, attribute.GetTypeName().defaultValue):
            return found
        self.note(f"{attribute.GetPath()} holds a value of another type than its own and was not read.")
        return prim.GetPrimDefinition().GetAttributeFallbackValue(name) if fallback else None

    def array(self, prim: Any, name: str, columns: int, most: int, dtype: Any = np.float64) -> NDArray[Any] | None:
        """An array attribute, shape (N, columns), or (N,) for one column; None when it is not authored.

        Args:
            prim: `Usd.Prim`.
            name: Of the attribute.
            columns: Numbers in each element.
            most: Elements that are read at most.
            dtype: Of the result.

        Raises:
            FileFormatError: It has more than ``most`` rows, or elements of another width.
        """
        found = self.value(prim, name, fallback=False)
        if found is None:
            return None
        if hasattr(found, "__len__") and len(found) > most:
            raise FileFormatError(
                f"{self.path}: {name} of {prim.GetPath()} has {len(found):,} elements; at most {most:,} are read."
            )
        try:
            array = np.asarray(found).astype(dtype)
        except (TypeError, ValueError):
            array = np.zeros((1, 0, 0), dtype=dtype)
        if columns == 1 and array.ndim != 1:
            raise FileFormatError(f"{self.path}: {name} of {prim.GetPath()} does not hold a list of numbers.")
        if columns > 1:
            array = array.reshape(-1, columns) if array.size == 0 else array
            if array.ndim != 2 or array.shape[1] != columns:
                raise FileFormatError(f"{self.path}: {name} of {prim.GetPath()} holds elements of another width.")
        return array

    def matrix(self, prim: Any) -> NDArray[np.float64]:
        """Coordinates of a prim -> the world of the scene (metres, Z up), shape (4, 4), columns are axes."""
        up = np.eye(4)
        if self.units.up == "Y":
            up[:3, :3] = FROM_Y_UP
        up[:3] *= self.units.metres
        return up @ self._stage_matrix(prim)

    def matrix_within(self, prim: Any, ancestor: Any) -> NDArray[np.float64] | None:
        """Coordinates of a prim -> coordinates of one above it, shape (4, 4); None when it leaves that one's frame."""
        from pxr import UsdGeom

        matrix = np.eye(4)
        while prim and prim != ancestor:
            xformable = UsdGeom.Xformable(prim)
            if xformable:
                matrix = self._local_matrix(xformable) @ matrix
                if xformable.GetResetXformStack():
                    return None
            prim = prim.GetParent()
        return matrix

    def _stage_matrix(self, prim: Any) -> NDArray[np.float64]:
        """Coordinates of a prim -> coordinates of the stage."""
        from pxr import UsdGeom

        matrix = np.eye(4)
        while prim and not prim.IsPseudoRoot():
            xformable = UsdGeom.Xformable(prim)
            if xformable:
                matrix = self._local_matrix(xformable) @ matrix
                if xformable.GetResetXformStack():
                    break
            prim = prim.GetParent()
        if not np.isfinite(matrix).all():
            raise FileFormatError(f"{self.path} places a prim at numbers that are not finite. Export it again.")
        return matrix

    def _local_matrix(self, xformable: Any) -> NDArray[np.float64]:
        matrix = np.eye(4)
        for op in xformable.GetOrderedXformOps():  # The first is the outermost; USD's matrices multiply rows.
            matrix = matrix @ np.array(op.GetOpTransform(self.time_of(op.GetAttr()))).T
        return matrix


def _fits(found: Any, like: Any) -> bool:
    """Whether a value is of the kind of another: USD hands out whatever a file holds, arrays are looked at later."""
    if isinstance(like, (bool, int, float)):
        return isinstance(found, (bool, int, float))
    if isinstance(like, str):
        return isinstance(found, str)
    return hasattr(found, "GetReal") if hasattr(like, "GetReal") else True


def read_units(stage: Any, notes: list[str], *, physics: bool) -> Units:
    """Which way is up, how long a unit is and how heavy; says what differs from metres, kilograms and Z up.

    Args:
        stage: `Usd.Stage`.
        notes: Where to say it.
        physics: The stage holds rigid bodies, whose engines take USD's fallback for a unit that is not given.
    """
    from pxr import UsdGeom, UsdPhysics

    up = str(UsdGeom.GetStageUpAxis(stage))
    if up not in ("Y", "Z"):
        notes.append(f"The stage's up axis {up!r} is neither Y nor Z; it was taken for Z.")
        up = "Z"
    said = stage.HasAuthoredMetadata(UsdGeom.Tokens.upAxis)
    if up == "Y":
        why = "The stage is Y-up" if said else "The stage does not say what is up, which in USD is Y"
        notes.append(f"{why}: it was turned to Z-up, by a quarter turn about x.")
    known = bool(UsdGeom.StageHasAuthoredMetersPerUnit(stage))
    metres = float(UsdGeom.GetStageMetersPerUnit(stage)) if known else FALLBACK_METRES if physics else 1.0
    if not (np.isfinite(metres) and metres > 0):
        raise FileFormatError(f"The stage says that a unit is {metres:g} m long; it takes a number above zero.")
    if not known and physics:
        notes.append("The stage does not say its metersPerUnit; lengths were taken for centimetres, as engines do.")
    elif not known:
        notes.append("The stage does not say its metersPerUnit: lengths are as they were and the scene has no scale.")
    elif metres != 1:
        notes.append(f"The stage's unit is {metres:g} m: all lengths were converted to metres.")
    kilograms = float(UsdPhysics.GetStageKilogramsPerUnit(stage))
    if not (np.isfinite(kilograms) and kilograms > 0):
        raise FileFormatError(f"The stage says that a unit of mass is {kilograms:g} kg; it takes a number above zero.")
    if kilograms != 1:
        notes.append(f"The stage's unit of mass is {kilograms:g} kg: masses were converted to kilograms.")
    return Units(metres, kilograms, up, known or physics)


def our_data(prim: Any) -> dict[str, Any]:
    """What the exporter wrote about a prim that USD has no attribute for; empty for stages of other programs."""
    found = prim.GetCustomDataByKey("scene3d")
    return dict(found) if isinstance(found, dict) else {}


def finite(value: Any, length: int | None = None) -> NDArray[np.float64] | None:
    """A number or a list of them as float64, or None when it is none, not finite, or of another length."""
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        return None
    wrong = value is None or not np.isfinite(array).all() or (length is not None and array.shape != (length,))
    return None if wrong else array


def authored(prim: Any, name: str) -> bool:
    """True when somebody gave the attribute a value."""
    attribute = prim.GetAttribute(name)
    return bool(attribute) and attribute.HasAuthoredValue()
