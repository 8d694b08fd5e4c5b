"""What a body is made of: density, friction and restitution, each with how unsure one is of it.

Presets come from configs/materials.yaml. Photos do not show mass, so a body whose material nobody named is `unknown`:
log-normal priors wide enough for plush and for stoneware, which flow into every spread that is printed.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta

from dynamics._errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["UNKNOWN", "Material", "find_material", "load_materials"]

UNKNOWN = "unknown"
"""Name of the preset for what nobody named."""
LARGEST_FILE = 1 << 20
FILE = "materials.yaml"


@dataclass(frozen=True)
class Material:
    """Medians of log-normal priors, and their spreads as the standard deviation of the natural logarithm."""

    name: str
    """Name of the preset."""
    density: float
    """Mass over the volume of the collider, air inside included [kg/m^3]."""
    density_log_std: float
    """Spread of `density`; 0 when it is known."""
    friction: float
    """Coulomb coefficient against a table."""
    friction_log_std: float
    """Spread of `friction`."""
    restitution: float
    """Speed after over speed before an impact, 0 to 1."""
    restitution_std: float = 0.1
    """Standard deviation of `restitution`, before it is cut to [0, 1]."""
    youngs_modulus: float | None = None
    """Stiffness of a deformable [Pa]; None for a rigid material."""
    youngs_modulus_log_std: float = 1.0
    """Spread of `youngs_modulus`."""
    poisson_ratio: float = 0.3
    """Of a deformable, -1 to 0.5."""


_Spread = Annotated[float, Meta(ge=0.0, le=5.0)]
_Share = Annotated[float, Meta(ge=0.0, le=1.0)]


class _Preset(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One entry of the file; the fields of `Material` with the ranges that they have."""

    density: Annotated[float, Meta(gt=0.0, le=30_000.0)]
    density_log_std: _Spread
    friction: Annotated[float, Meta(ge=0.0, le=10.0)]
    friction_log_std: _Spread
    restitution: _Share
    restitution_std: _Share = 0.1
    youngs_modulus: Annotated[float, Meta(gt=0.0, le=1e13)] | None = None
    youngs_modulus_log_std: _Spread = 1.0
    poisson_ratio: Annotated[float, Meta(gt=-1.0, lt=0.5)] = 0.3

    def named(self, name: str) -> Material:
        return Material(name, **{field: getattr(self, field) for field in self.__struct_fields__})


_Name = Annotated[str, Meta(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=60)]


def load_materials(path: Path | str | None = None) -> Mapping[str, Material]:
    """Materials by name, in the order of the file.

    Args:
        path: YAML file of ``name: {density: ..., density_log_std: ..., friction: ..., friction_log_std: ...,
            restitution: ...}``, in SI units; names in small letters with hyphens. None reads the presets.

    Raises:
        UsageError: The file cannot be read, or something in it is wrong.
    """
    if path is None:
        return _presets()
    try:
        if Path(path).stat().st_size > LARGEST_FILE:
            raise UsageError(f"{path} is larger than {LARGEST_FILE >> 20} MiB, which is no list of materials.")
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"The materials {path} cannot be read ({error}); give a YAML file.") from error
    return _parse(text, str(path))


def find_material(name: str, materials: Mapping[str, Material] | None = None) -> Material:
    """The material of that name; spaces, underscores and capitals do not matter.

    Args:
        name: As in the file, e.g. ``cotton-rope`` or ``cotton rope``.
        materials: What to choose from; None for the presets.

    Raises:
        UsageError: There is none of that name; the message says which there are, and which comes closest.
    """
    materials = load_materials() if materials is None else materials
    wanted = "-".join(name.lower().replace("_", " ").replace("-", " ").split())
    if wanted in materials:
        return materials[wanted]
    close = difflib.get_close_matches(wanted, materials, n=1, cutoff=0.5)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    raise UsageError(f"There is no material {name!r}.{hint} Materials are {', '.join(materials)}.")


@cache
def _presets() -> Mapping[str, Material]:
    """A wheel carries the presets in ``scene3d/configs``; a source tree has them in ``configs`` beside the package."""
    package = resources.files("dynamics")
    for folder in (package / ".." / "scene3d" / "configs", package / ".." / "configs"):
        if (folder / FILE).is_file():
            return _parse((folder / FILE).read_text(encoding="utf-8"), FILE)
    raise UsageError(f"The presets {FILE} are missing from this installation; install scene3d again.")


def _parse(text: str, origin: str) -> Mapping[str, Material]:
    import yaml

    try:
        presets = msgspec.convert(yaml.safe_load(text) or {}, dict[_Name, _Preset])
    except (yaml.YAMLError, msgspec.ValidationError, ValueError, RecursionError) as error:
        fields = ", ".join(_Preset.__struct_fields__)
        raise UsageError(f"In {origin}: {error}. Each material has a name and the fields {fields}.") from error
    return MappingProxyType({name: preset.named(name) for name, preset in presets.items()})
