"""body.yaml: mass properties and material of a body <-> bytes.

Geometry is in files of its own, name and pose are in scene.yaml: renaming or moving an object leaves body.yaml alone.
Values that make no physical sense are refused while reading, so that nobody divides by a mass of zero later.
"""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
import numpy as np

from scene3d._errors import FileFormatError
from scene3d.files._scene_file import decode_yaml, encode_yaml

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dynamics import Body, Material

__all__ = ["BodyRecord", "body_record", "decode_body", "encode_body"]

Row3 = tuple[float, float, float]
AtLeast0 = Annotated[float, msgspec.Meta(ge=0)]
Above0 = Annotated[float, msgspec.Meta(gt=0)]


class MaterialRecord(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A `Material`."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    density: Above0
    density_log_std: AtLeast0
    friction: AtLeast0
    friction_log_std: AtLeast0
    restitution: Annotated[float, msgspec.Meta(ge=0, le=1)]
    restitution_std: AtLeast0 = 0.1
    youngs_modulus: Above0 | None = None
    youngs_modulus_log_std: AtLeast0 = 1.0
    poisson_ratio: Annotated[float, msgspec.Meta(gt=-1, le=0.5)] = 0.3

    def material(self) -> Material:
        """As physics takes it."""
        from dynamics import Material

        return Material(**msgspec.structs.asdict(self))


class BodyRecord(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What body.yaml says."""

    motion: Literal["dynamic", "kinematic", "static"] = "dynamic"
    mass: Above0
    """[kg]"""
    mass_log_std: AtLeast0 = 0.0
    com: Row3
    """In the body frame."""
    inertia: tuple[Row3, Row3, Row3]
    """About the centre of mass, in the body frame's axes [kg m^2]."""
    material: MaterialRecord


def body_record(body: Body) -> BodyRecord:
    """The part of a body that body.yaml holds."""
    a, b, c = (_row(row) for row in np.asarray(body.inertia, dtype=np.float64))
    return BodyRecord(
        motion=body.motion,
        mass=float(body.mass),
        mass_log_std=float(body.mass_log_std),
        com=_row(body.com),
        inertia=(a, b, c),
        material=MaterialRecord(**asdict(body.material)),
    )


def encode_body(body: Body) -> bytes:
    """The text of body.yaml."""
    return encode_yaml(body_record(body))


def decode_body(path: Path) -> BodyRecord:
    """Read and check a body.yaml.

    Raises:
        FileFormatError: Damaged, with fields that are not known, or with values that make no physical sense.
    """
    data = decode_yaml(path)
    try:
        record = msgspec.convert(data, BodyRecord)
    except msgspec.ValidationError as error:
        raise FileFormatError(f"{path} does not describe a body ({error}). Copy the scene folder again.") from error
    inertia = np.array(record.inertia)
    wrong = ""
    if not all(math.isfinite(number) for number in _numbers(data)):
        wrong = "a number is not finite"
    elif not np.allclose(inertia, inertia.T, rtol=0, atol=1e-6 * np.abs(inertia).max()):
        wrong = "its inertia is not symmetric"
    elif np.linalg.eigvalsh(inertia).min() < -1e-6 * np.abs(inertia).max():
        wrong = "its inertia is negative about an axis"
    if wrong:
        raise FileFormatError(f"{path} does not describe a body ({wrong}). Copy the scene folder again.")
    return record


def _numbers(value: Any) -> Iterator[float]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for entry in value:
            yield from _numbers(entry)
    elif isinstance(value, (int, float)):
        yield value


def _row(values: Any) -> Row3:
    x, y, z = np.asarray(values, dtype=np.float64).tolist()
    return (x, y, z)
