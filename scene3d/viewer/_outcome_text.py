"""What became of things, in a few words: rows as `Outcome.row` makes them in, Markdown out.

What stays in every future is only named; of the others their likeliest fate is told, with how many futures share it
and how far they go.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["outcome_lines", "trust_line"]

SURE = 0.995
"""From this share of the futures on it is said without a number."""
TOLD = 0.1
"""Less likely fates are left out."""
SHORT = 0.02
"""Distances below are told in centimetres with a decimal [m]."""
SEEN = 0.001
"""Nobody sees that something moved by less [m]."""
FATES = {"moves": "slides", "still moving": "still moves"}
"""Words for classes of `Outcome` that read badly in a sentence."""


def outcome_lines(rows: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """One line for each object that something happens to, the farthest first, then one for those that stay.

    Args:
        rows: ``name``, ``outcome``, ``shares``, ``moved``: as `Simulation.document` has them in ``outcomes``.
    """
    still = [str(row["name"]) for row in rows if _share(row, "stays") >= SURE]
    lively = [row for row in rows if _share(row, "stays") < SURE]
    lively.sort(key=lambda row: -(row["moved"]["median"] or 0.0))
    lines = [_line(row) for row in lively]
    if still:
        lines.append(f"{_listed(still)} {'stays' if len(still) == 1 else 'stay'}")
    return tuple(lines)


def trust_line(document: Mapping[str, Any]) -> str:
    """How far to trust it: the share of contacts that the network knows, and what the guard found.

    Args:
        document: Of a simulation.
    """
    futures, flagged = int(document.get("futures", 1)), len(document.get("flagged", ()))
    parts: list[str] = []
    share = document.get("in_support")
    if share is not None:
        parts.append(f"The network knows {100 * float(share):.0f} % of the contacts.")
    if flagged:
        verb = "breaks" if flagged == 1 else "break"
        parts.append(f"**{flagged} of {futures} futures {verb} the laws of physics; do not trust them.**")
    elif document.get("guard"):
        parts.append("Physics guard: all fine.")
    return " ".join(parts)


def _line(row: Mapping[str, Any]) -> str:
    outcome = str(row["outcome"])
    share = _share(row, outcome)
    fate = FATES.get(outcome, outcome) + (f" in {100 * share:.0f} %" if share < SURE else "")
    if outcome == "stays":
        farthest = row["moved"]["high"] or 0.0
        else_ = f", else moves up to {_centimetres(farthest)} cm" if farthest > SEEN else ""
        return f"**{row['name']}** {fate}{else_}"
    rest = sorted(row["shares"].items(), key=lambda pair: -pair[1])
    others = [f"{FATES.get(k, k)} in {100 * v:.0f} %" for k, v in rest if k != outcome and v >= TOLD]
    return ", ".join([f"**{row['name']}** {fate}", *others, f"moves {_distance(row['moved'])}"])


def _distance(moved: Mapping[str, float | None]) -> str:
    low, median, high = (_centimetres(moved[k]) for k in ("low", "median", "high"))
    return f"{median} cm" if low == high else f"{median} cm ({low} to {high})"


def _centimetres(metres: float | None) -> str:
    if metres is None:
        return "?"
    return f"{100 * metres:.{1 if metres < SHORT else 0}f}"


def _share(row: Mapping[str, Any], outcome: str) -> float:
    return float(row["shares"].get(outcome, 0.0))


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
