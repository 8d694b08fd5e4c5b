"""What the panel says of an object and of a rollout, as Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scene3d.viewer._act_changes import Change, ranges
from scene3d.viewer._future_words import dropped
from scene3d.viewer._outcome_text import outcome_lines, trust_line

if TYPE_CHECKING:
    from scene3d.viewer._acts import Acts
    from scene3d.viewer._track import Track

__all__ = ["about", "outcome_text"]


def about(acts: Acts, index: int | None) -> str:
    """Mass, material and how sure one is of them; or what to do when nothing is selected."""
    session = acts.session
    if session.world is None:
        return "Nothing can move here: the scene has no objects, or no metric scale."
    if index is None:
        return "Click an object to push, drop or move it."
    thing = session.scene.objects[index]
    change = acts.changes.get(index, Change())
    mass = ranges(session.scene, session.world, index, acts.posterior)["mass"]
    if change.mass is not None:
        weight = f"**{change.mass:.2g} kg** (set here)"
    elif mass.high > mass.low:
        weight = f"**{mass.median:.2g} kg** ({mass.low:.2g} to {mass.high:.2g})"
    else:
        weight = f"**{mass.median:.2g} kg**"
    lines = [f"{weight}, {thing.body.material.name}"]
    sure = f"outline {100 * thing.confidence:.0f} % sure"
    guessed = f"; guessed: {', '.join(thing.guessed)}" if thing.guessed else ""
    lines.append(f"<small>{sure}{guessed}</small>")
    reason = acts.why_not(index)
    if reason:
        lines.append(reason)
    return "\n\n".join(lines)


def outcome_text(track: Track) -> str:
    """What became of things, and how far to trust it; empty for the scene as photographed."""
    rows = track.document.get("outcomes", ())
    if not rows and not track.document.get("flagged"):
        return ""
    lines = [*outcome_lines(rows, dropped(track)), trust_line(track.document)]
    return f"<small>{'<br>'.join(line for line in lines if line)}</small>"
