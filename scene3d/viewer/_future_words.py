"""What happens in each future of a track, in a few words: "mug tips over, can slides"."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dynamics import World
    from scene3d._scene import Scene
    from scene3d.viewer._track import Track

__all__ = ["future_words"]

GRAVEST = ("falls off", "tips over", "still moving", "moves")
WORDS = {"moves": "slides", "still moving": "still moves"}
MOST_FUTURES = 64
"""Of more, nobody reads the list."""
MOST_NAMED = 2


def future_words(scene: Scene, world: World | None, track: Track) -> tuple[str, ...]:
    """A phrase for each future; empty ones where nothing is known."""
    if track.rollout is None or world is None or track.futures > MOST_FUTURES:
        return ("",) * track.futures
    return tuple(_words(scene, world, track, future) for future in range(track.futures))


def _words(scene: Scene, world: World, track: Track, future: int) -> str:
    from scene3d._outcomes import outcomes

    if track.bad[future]:
        return "holds what is no number, not shown"
    assert track.rollout is not None
    one = slice(future, future + 1)
    rollout = replace(track.rollout, T_world_body=track.rollout.T_world_body[one], twist=track.rollout.twist[one])
    fates = {outcome.name: outcome.likeliest for outcome in outcomes(scene, world, rollout)}
    lively = [(GRAVEST.index(fate), name) for name, fate in fates.items() if fate in GRAVEST]
    phrases = [f"{name} {WORDS.get(GRAVEST[grave], GRAVEST[grave])}" for grave, name in sorted(lively)]
    if not phrases:
        return "all stay"
    more = f" +{len(phrases) - MOST_NAMED}" if len(phrases) > MOST_NAMED else ""
    return ", ".join(phrases[:MOST_NAMED]) + more
