"""Tracks after an object was renamed: the same futures, of bodies under their new names.

Poses know bodies by their place. What knows names are words about what was done and what became of it, and the world
that an unsaved track is saved with.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scene3d._scene import Scene
    from scene3d._simulate import Simulation
    from scene3d.viewer._track import Track

__all__ = ["renamed_track"]


def renamed_track(track: Track, before: Scene, after: Scene) -> Track:
    """The track of one scene as one of the other, which has the same objects in the same order.

    Its array of poses stays the same one, by which tracks are known.
    """
    from scene3d._renamed import renamed_outcomes, renamed_words
    from scene3d._scene_world import body_names

    names = dict(zip(body_names(before), body_names(after), strict=True))
    if all(old == new for old, new in names.items()):
        return track
    document = dict(track.document)
    if "outcomes" in document:
        document["outcomes"] = renamed_outcomes(document["outcomes"], names)
    if "deeds" in document:
        document["deeds"] = [renamed_words(deed, names) for deed in document["deeds"]]
    return replace(
        track,
        name=renamed_words(track.name, names),
        document=document,
        branch=None if track.branch is None else (renamed_words(track.branch[0], names), track.branch[1]),
        simulation=None if track.simulation is None else _renamed(track.simulation, names),
    )


def _renamed(simulation: Simulation, names: Mapping[str, str]) -> Simulation:
    world = simulation.world
    bodies = tuple(body.renamed(names.get(body.name, body.name)) for body in world.bodies)
    outcomes = tuple(replace(one, name=names.get(one.name, one.name)) for one in simulation.outcomes)
    return replace(simulation, world=replace(world, bodies=bodies), outcomes=outcomes)
