"""Names of prims: what people call things -> identifiers that every reader of USD accepts, each used once.

USD itself allows letters of any script since 24.03; engines do not, so identifiers keep to ASCII letters, digits and
underscores. The true name stays with the prim, as its display name and in `customData`.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["RESERVED", "identifier", "prim_names"]

RESERVED = frozenset({"PhysicsScene", "Materials", "Background", "Joints", "Cameras"})
"""Children of /World that are no objects."""


def identifier(name: str, otherwise: str = "object") -> str:
    """The name in ASCII letters, digits and underscores, beginning with a letter or an underscore.

    Args:
        name: What people call it.
        otherwise: What takes the place of a name of which nothing remains, and what goes before a digit.
    """
    if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        return name
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    plain = re.sub(r"[^A-Za-z0-9]+", "_", plain).strip("_") or otherwise
    return f"{otherwise}_{plain}" if plain[0].isdigit() else plain


def prim_names(names: Sequence[str], taken: Iterable[str] = (), otherwise: str = "object") -> tuple[str, ...]:
    """One identifier for each name, unlike each other and unlike what is taken.

    Names that are identifiers already keep themselves; others are numbered where they would clash.
    """
    used = set(taken)
    kept = {name for name in names if identifier(name, otherwise) == name and name not in used}
    used |= kept
    found: list[str] = []
    for name in names:
        if name in kept:
            kept.discard(name)
            found.append(name)
            continue
        plain = free = identifier(name, otherwise)
        number = 1
        while free in used:
            number += 1
            free = f"{plain}_{number}"
        used.add(free)
        found.append(free)
    return tuple(found)
