"""What happens in each future of a track, in a few words: "mug tips over, can slides"."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from scene3d._errors import UsageError
from scene3d.viewer._outcome_text import FATES, LANDED

if TYPE_CHECKING:
    from dynamics import World
    from scene3d._scene import Scene
    from scene3d.viewer._track import Track

__all__ = ["dropped", "future_words"]

GRAVEST = ("falls off", "tips over", "still moving", "moves")
MOST_FUTURES = 64
"""Of more, nobody reads the list."""
MOST_NAMED = 2


def future_words(scene: Scene, world: World | None, track: Track) -> tuple[str, ...]:
    """A phrase for each future; empty ones where nothing is known."""
    if track.rollout is None or world is None or track.futures > MOST_FUTURES:
        return ("",) * track.futures
    return tuple(_words(scene, world, track, future) for future in range(track.futures))


def dropped(track: Track) -> dict[str, float]:
    """Objects that were dropped, with the heights that they fell from [m]."""
    from scene3d._deeds import parse_drop

    found: dict[str, float] = {}
    for deed in track.document.get("deeds", ()):
        if deed.startswith("drop "):
            with suppress(UsageError):
                drop = parse_drop(deed.removeprefix("drop "))
                found[drop.name] = drop.height
    return found


def _words(scene: Scene, world: World, track: Track, future: int) -> str:
    from scene3d._outcomes import outcomes

    if track.bad[future]:
        return "holds what is no number, not shown"
    assert track.rollout is not None
    one = slice(future, future + 1)
    rollout = replace(track.rollout, T_world_body=track.rollout.T_world_body[one], twist=track.rollout.twist[one])
    lifted = dropped(track)
    fates = {outcome.name: outcome.likeliest for outcome in outcomes(scene, world, rollout, lifted)}
    lively = [(GRAVEST.index(fate), name) for name, fate in fates.items() if fate in GRAVEST]
    phrases = [f"{name} {_fate(GRAVEST[grave], name in lifted)}" for grave, name in sorted(lively)]
    if not phrases:
        return "all stay"
    more = f" +{len(phrases) - MOST_NAMED}" if len(phrases) > MOST_NAMED else ""
    return ", ".join(phrases[:MOST_NAMED]) + more


def _fate(fate: str, fell: bool) -> str:
    return (LANDED.get(fate, "") if fell else "") or FATES.get(fate, fate)
