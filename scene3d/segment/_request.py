"""What the user asked of segmentation, checked before work starts."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from scene3d._errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scene3d._scene_object import ObjectKind

__all__ = ["SegmentRequest", "parse_assignments"]

KINDS = ("rigid", "deformable")


@dataclass(frozen=True)
class SegmentRequest:
    """How to tell objects apart, and what is known of them."""

    masks: Path | None = None
    """Folder of instance masks; None looks for them in the capture."""
    use_masks: bool = True
    """False leaves masks alone, also where the capture has them."""
    points: tuple[str, ...] = ()
    """Clicks, each ``IMAGE,U,V[,NAME]`` in pixels of the full-size photo."""
    sam2: Path | None = None
    """Folder of a SAM 2 checkpoint."""
    min_height: float | None = None
    """Things lower than this above their support are no objects [scene units]; None takes max(8 mm, 3 sigma)."""
    materials: Mapping[str, str] = field(default_factory=dict)
    """Material preset of each object that has one, by the object's name."""
    masses: Mapping[str, float] = field(default_factory=dict)
    """Mass of each object that was weighed [kg], by the object's name."""
    kinds: Mapping[str, ObjectKind] = field(default_factory=dict)
    """Kind of each object that is known, by the object's name."""
    device: str = "cpu"
    """Where SAM 2 runs: ``cpu`` or ``cuda``."""
    seed: int = 0
    """Seed of everything random."""

    def check(self) -> None:
        """Find out what is wrong with the request before work starts.

        Raises:
            UsageError: Options contradict each other, name a material or a kind that there is not, or give an object a
                name that none can have.
        """
        from dynamics import find_material
        from scene3d._object_name import checked_name
        from scene3d.segment._prompts import parse_point

        if self.masks is not None and not self.use_masks:
            raise UsageError("--masks FOLDER and --no-masks contradict each other; give one of them.")
        if self.min_height is not None and not 0 <= self.min_height < float("inf"):
            raise UsageError(
                f"Found --min-height {self.min_height:g}; it takes a length of zero or more, in metres where the scene "
                "is metric and in its own units where it is not."
            )
        for name, mass in self.masses.items():
            if not 0 < mass < float("inf"):
                raise UsageError(f"Found --mass {name}={mass:g}; a mass is a number above zero, in kilograms.")
        for name, kind in self.kinds.items():
            if kind not in KINDS:
                raise UsageError(f"Found --kind {name}={kind}; a kind is one of {', '.join(KINDS)}.")
        for name in (*self.materials, *self.masses, *self.kinds):
            checked_name(name)
        for preset in self.materials.values():
            find_material(preset)
        for point in map(parse_point, self.points):
            if point.name:
                checked_name(point.name)


def parse_assignments(texts: Sequence[str], flag: str, example: str) -> dict[str, str]:
    """``NAME=VALUE`` texts as a mapping.

    Args:
        texts: As typed.
        flag: What they were given with, for the message.
        example: A correct one, for the message.

    Raises:
        UsageError: One has no equals sign, an empty side, or repeats a name with another value.
    """
    found: dict[str, str] = {}
    for text in texts:
        name, equals, value = (part.strip() for part in text.rpartition("="))
        if not (equals and name and value):
            raise UsageError(f"Found {flag} {text}; it is written NAME=VALUE, for example {flag} {example}.")
        if found.get(name, value) != value:
            raise UsageError(f"{flag} gives {name!r} two values, {found[name]} and {value}. Give one.")
        found[name] = value
    return found
