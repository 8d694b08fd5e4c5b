"""Verbs by name: found through the entry-point group `scene3d.verbs`, imported when they are needed.

A package to the right of scene3d adds verbs by declaring them in the same group; nothing here imports it by name. Each
entry point leads to a dataclass whose docstring is the help, whose fields are the flags, and whose `run` does the work.
"""

from __future__ import annotations

import difflib
from importlib.metadata import EntryPoint, entry_points
from typing import ClassVar, Protocol

from scene3d._errors import UsageError

__all__ = ["GROUP", "Verb", "find_verb", "load_verbs"]

GROUP = "scene3d.verbs"


class Verb(Protocol):
    """What an entry point of the group leads to (the class; the parser makes the instance)."""

    section: ClassVar[str]
    """Heading under which the help lists the verb."""

    def run(self) -> int | None:
        """Do the work; returns the exit code, None for 0."""
        ...


def find_verb(name: str) -> type[Verb]:
    """Import one verb.

    Raises:
        UsageError: There is no such verb.
    """
    found = _entry_points()
    if name in found:
        return found[name].load()
    near = difflib.get_close_matches(name, found, n=1, cutoff=0.5)
    hint = f"Did you mean '{near[0]}'? " if near else ""
    raise UsageError(f"There is no verb '{name}'. {hint}`scene3d --help` lists all verbs.")


def load_verbs() -> dict[str, type[Verb]]:
    """Import all verbs, which import nothing heavy, sorted by name."""
    return {name: entry.load() for name, entry in sorted(_entry_points().items())}


def _entry_points() -> dict[str, EntryPoint]:
    found = {entry.name: entry for entry in entry_points(group=GROUP)}
    if not found:
        raise UsageError(
            "No verbs were found: this copy of scene3d is not installed. Run `pip install -e .` beside it."
        )
    return found
