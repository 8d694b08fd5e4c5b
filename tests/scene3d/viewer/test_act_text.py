"""What is said of outcomes."""

from __future__ import annotations

from typing import Any

from scene3d._outcomes import CLASSES
from scene3d.viewer._outcome_text import outcome_lines, trust_line


def row(name: str, moved: tuple[float | None, ...], **shares: float) -> dict[str, Any]:
    full = {label: shares.get(label.replace(" ", "_"), 0.0) for label in CLASSES}
    low, median, high = moved
    spread = {"low": low, "median": median, "high": high}
    return {"name": name, "outcome": max(full, key=lambda k: full[k]), "shares": full, "moved": spread}


def test_the_farthest_comes_first_and_what_stays_is_only_named() -> None:
    lines = outcome_lines(
        [
            row("box", (0.0, 0.0, 0.0), stays=1.0),
            row("mug", (0.06, 0.09, 0.14), tips_over=0.7, moves=0.25, falls_off=0.05),
            row("can", (0.3, 0.31, 0.4), falls_off=1.0),
            row("tin", (0.0, 0.0, 0.0), stays=1.0),
        ]
    )
    assert lines == (
        "**can** falls off, moves 31 cm (30 to 40)",
        "**mug** tips over in 70 %, slides in 25 %, moves 9 cm (6 to 14)",
        "box and tin stay",
    )


def test_what_mostly_stays_is_told_shortly() -> None:
    assert outcome_lines([row("mug", (0.0, 0.0004, 0.012), stays=0.88, moves=0.12)]) == (
        "**mug** stays in 88 %, else moves up to 1.2 cm",
    )
    assert outcome_lines([row("mug", (0.0, 0.0, 0.0002), stays=0.94, moves=0.06)]) == ("**mug** stays in 94 %",)
    assert outcome_lines([]) == ()


def test_what_was_dropped_lands() -> None:
    rows = [row("mug", (0.0, 0.001, 0.02), moves=0.5, still_moving=0.5), row("can", (0.1, 0.2, 0.3), moves=1.0)]
    assert outcome_lines(rows, {"mug": 0.2}) == (
        "**can** slides, moves 20 cm (10 to 30)",
        "**mug** lands in 50 %, still moves in 50 %, 0.1 cm (0.0 to 2) aside",
    )


def test_what_goes_far_is_told_in_metres() -> None:
    (line,) = outcome_lines([row("mug", (0.02, 0.5, 10.0), falls_off=1.0)])
    assert line == "**mug** falls off, moves 0.5 m (0.0 to 10.0)"
    (line,) = outcome_lines([row("mug", (0.0, 0.0, 1.2), stays=0.62, moves=0.38)])
    assert line == "**mug** stays in 62 %, else moves up to 1.2 m"


def test_distances_that_nobody_knows_are_no_numbers() -> None:
    assert outcome_lines([row("mug", (None, None, None), still_moving=1.0)]) == ("**mug** still moves, moves ? cm",)


def test_how_far_to_trust_it() -> None:
    good = {"futures": 16, "flagged": [], "in_support": 0.942, "guard": "Guard: ..."}
    assert trust_line(good) == "The network knows 94 % of the contacts. Physics guard: all fine."
    bad = {"futures": 16, "flagged": [3, 4], "in_support": None, "guard": "Guard: ..."}
    assert trust_line(bad) == "**2 of 16 futures break the laws of physics; do not trust them.**"
    assert trust_line({}) == ""
