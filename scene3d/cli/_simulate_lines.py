"""What `scene3d simulate` says: for each object a line in words and figures, then how far that is to be believed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scene3d._compare import FEWEST

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scene3d._outcomes import Outcome, Spread
    from scene3d._scene import Scene
    from scene3d._simulate import Simulation

__all__ = ["held_objects", "result_lines", "warning"]


def held_objects(scene: Scene) -> list[str]:
    """Names of the objects that are in the way, but do not move."""
    return [thing.name for thing in scene.objects if thing.kind != "rigid" or thing.body.motion == "static"]


def result_lines(simulation: Simulation, document: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Names and values to print.

    Args:
        simulation: What came out.
        document: The JSON document; `compare`, `held`, `video` and `rollout` are taken from it.
    """
    futures = int(simulation.rollout.T_world_body.shape[0]) - len(simulation.flagged)
    lines = [(outcome.name, _said(outcome, futures)) for outcome in simulation.outcomes]
    if not simulation.outcomes:
        lines.append(("outcome", "unknown: no future can be trusted"))
    lines += [(f"{row['name']}, recorded", _compared(row)) for row in document.get("compare", {}).get("bodies", [])]
    if document.get("held"):
        lines.append(("held", f"{', '.join(document['held'])}: in the way, but what is deformable or static stays"))
    if simulation.in_support is not None:
        share = f"spoke in {100 * simulation.in_support:.0f} % of the contacts, physics alone elsewhere"
        lines.append(("network", f"{share} ({simulation.network})"))
    elif simulation.network is not None:
        lines.append(("network", "not asked: nothing moved, so nothing bumped into anything"))
    lines.append(("guard", simulation.guard.removeprefix("Guard: ")))
    lines.append(("drawn", simulation.drawn_from))
    if "compare" in document:
        lines.append(("compared", document["compare"]["plot"]))
    if "video" in document:
        lines.append(("video", document["video"]))
    lines.append(("rollout", document["rollout"]))
    return lines


def warning(simulation: Simulation) -> str:
    """A sentence about futures that the guard flagged."""
    futures, flagged = int(simulation.rollout.T_world_body.shape[0]), simulation.flagged
    named = ", ".join(str(future) for future in flagged[:8]) + (" ..." if len(flagged) > 8 else "")
    left = "No outcome is left." if len(flagged) == futures else f"Outcomes are of the other {futures - len(flagged)}."
    return f"{simulation.guard} Left out: {named}. {left}"


def _said(outcome: Outcome, futures: int) -> str:
    likeliest, share = outcome.likeliest, outcome.shares[outcome.likeliest]
    sure = f" in {100 * share:.0f} % of {futures} futures" if futures > 1 else ""
    text = likeliest + sure
    if likeliest != "stays":
        text += f", {_spread(outcome.moved, 100, 'cm', futures)} away"
        text += f", turned {_spread(outcome.turned, 1, 'deg', futures)}"
        if outcome.settled.median == outcome.settled.median:
            text += f", at rest after {_spread(outcome.settled, 1, 's', futures)}"
    others = [f"{name} {100 * value:.0f} %" for name, value in outcome.shares.items() if value and name != likeliest]
    return text + (f" (else {', '.join(others)})" if others else "")


def _compared(row: Mapping[str, Any]) -> str:
    place, turn = row["position_m"], row["rotation_deg"]
    text = f"{_short(100 * place['mean'])} cm and {_short(turn['mean'])} deg apart on average, "
    text += f"{_short(100 * place['end'])} cm and {_short(turn['end'])} deg at the end"
    if row["position_in_band"] is not None:
        inside = (100 * row["position_in_band"], 100 * row["rotation_in_band"])
        text += f"; foreseen in {inside[0]:.0f} % (position) and {inside[1]:.0f} % (rotation) of {row['frames']} frames"
    else:
        text += f" (--samples {FEWEST} or more tell whether it was foreseen)"
    return text


def _spread(value: Spread, scale: float, unit: str, futures: int) -> str:
    median, low, high = (_short(scale * part) for part in (value.median, value.low, value.high))
    return f"{median} {unit}" if futures == 1 or low == high else f"{median} {unit} ({low} to {high})"


def _short(value: float) -> str:
    """Two digits, without powers of ten: 0.0028, 1.5, 230."""
    return f"{value:.0f}" if abs(value) >= 10 else f"{value:.2g}"
