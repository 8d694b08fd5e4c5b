"""Rollouts after a rename: what was recorded of bodies under old names -> the same under new ones.

Arrays know bodies by their place, so that only words change: outcomes, and what was done.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["renamed_outcomes", "renamed_words"]

DEEDS = ("push", "drop", "move", "put", "let go of")
"""Words before a name, as `scene3d simulate` and the viewer write them."""
QUANTITIES = "mass|friction|restitution|balance"
"""Words after one."""


def renamed_words(words: str, names: Mapping[str, str]) -> str:
    """What was done, e.g. ``push can,3,0,0`` or ``can: mass 0.3 kg``, with objects called otherwise.

    Args:
        words: A deed, or the name of a rollout, which is made of such.
        names: New names by old ones, of all objects: then ``push can 2`` is never taken for a push of a can.
    """
    if not names:
        return words
    # The longest that fits is meant.
    any_name = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    before = "|".join(rf"(?<=\b{deed} )" for deed in DEEDS)
    done = rf"(?:{before})(?P<done>{any_name})(?=,|: | at |…| \d+$|$)"
    changed = rf"^(?P<changed>{any_name})(?=: (?:{QUANTITIES}) )"
    return re.sub(f"{done}|{changed}", lambda found: names[found[0]], words)


def renamed_outcomes(rows: Sequence[Mapping[str, Any]], names: Mapping[str, str]) -> list[dict[str, Any]]:
    """Rows as of `Outcome.row`, of bodies that are called otherwise."""
    return [{**row, "name": names.get(str(row.get("name")), row.get("name"))} for row in rows]
