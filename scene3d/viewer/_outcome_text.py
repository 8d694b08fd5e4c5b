"""What became of things, in a few words: rows as `Outcome.row` makes them in, Markdown out.

What stays in every future is only named; of the others their likeliest fate is told, with how many futures share it
and how far they go.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

__all__ = ["FATES", "LANDED", "outcome_lines", "trust_line"]

SURE = 0.995
"""From this share of the futures on it is said without a number."""
TOLD = 0.1
"""Less likely fates are left out."""
SHORT, LONG = 0.02, 1.0
"""Distances below are told in centimetres with a decimal, from there on in metres [m]."""
SEEN = 0.001
"""Nobody sees that something moved by less [m]."""
FATES = {"moves": "slides", "still moving": "still moves"}
"""Words for classes of `Outcome` that read badly in a sentence."""
LANDED = {"moves": "lands"}
"""Of what was dropped."""


def outcome_lines(rows: Sequence[Mapping[str, Any]], dropped: Collection[str] = ()) -> tuple[str, ...]:
    """One line for each object that something happens to, the farthest first, then one for those that stay.

    Args:
        rows: ``name``, ``outcome``, ``shares``, ``moved``: as `Simulation.document` has them in ``outcomes``.
        dropped: Names of those that began in the air; distances are from below there.
    """
    still = [str(row["name"]) for row in rows if _share(row, "stays") >= SURE]
    lively = [row for row in rows if _share(row, "stays") < SURE]
    lively.sort(key=lambda row: -(row["moved"]["median"] or 0.0))
    lines = [_line(row, row["name"] in dropped) for row in lively]
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


def _line(row: Mapping[str, Any], dropped: bool) -> str:
    fates = {**FATES, **LANDED} if dropped else FATES
    outcome = str(row["outcome"])
    share = _share(row, outcome)
    fate = fates.get(outcome, outcome) + (f" in {100 * share:.0f} %" if share < SURE else "")
    if outcome == "stays":
        farthest = row["moved"]["high"] or 0.0
        else_ = f", else moves up to {_length(farthest, farthest)}" if farthest > SEEN else ""
        return f"**{row['name']}** {fate}{else_}"
    rest = sorted(row["shares"].items(), key=lambda pair: -pair[1])
    others = [f"{fates.get(k, k)} in {100 * v:.0f} %" for k, v in rest if k != outcome and v >= TOLD]
    far = f"{_distance(row['moved'])} aside" if dropped else f"moves {_distance(row['moved'])}"
    return ", ".join([f"**{row['name']}** {fate}", *others, far])


def _distance(moved: Mapping[str, float | None]) -> str:
    farthest = moved["high"] or 0.0
    low, median, high = (_length(moved[k], farthest) for k in ("low", "median", "high"))
    unit = median.rpartition(" ")[2]
    return median if low == high else f"{median} ({low.removesuffix(f' {unit}')} to {high.removesuffix(f' {unit}')})"


def _length(metres: float | None, farthest: float) -> str:
    """With its unit, which is that of the farthest of several."""
    if farthest >= LONG:
        return "? m" if metres is None else f"{metres:.1f} m"
    if metres is None:
        return "? cm"
    return f"{100 * metres:.{1 if metres < SHORT else 0}f} cm"


def _share(row: Mapping[str, Any], outcome: str) -> float:
    return float(row["shares"].get(outcome, 0.0))


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
