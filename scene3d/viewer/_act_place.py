"""Where a session is: track, future, time, and what somebody put elsewhere; so that undoing can go back there.

Tracks are known by their array of poses, which stays the same when a track is saved and gets another name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from scene3d.viewer._session import Session
    from scene3d.viewer._track import Track

__all__ = ["Place", "find", "go", "place_of"]


@dataclass(frozen=True, eq=False)
class Place:
    """A moment that a session showed."""

    track: Track
    future: int
    time: float
    """[s]"""
    moved: dict[int, NDArray[np.float32]]
    """Poses (7,) of what somebody put elsewhere."""


def place_of(session: Session) -> Place:
    """The moment that it shows."""
    with session.lock:
        moved = {index: pose.copy() for index, pose in session.moved.items()}
        return Place(session.track, session.future, session.clock.time, moved)


def find(session: Session, track: Track) -> int | None:
    """Place of a track in the list, under whatever name; None when it is not there."""
    return next((index for index, other in enumerate(session.tracks) if other.poses is track.poses), None)


def go(session: Session, place: Place) -> None:
    """Show again what was shown, at rest; nothing happens when its track is gone."""
    with session.lock:
        index = find(session, place.track)
        if index is None:
            return
        session.set_clock(playing=False)
        if session.track.poses is not place.track.poses or session.future != place.future:
            session.show(index, place.future)
        session.seek(place.time)
        for body in (*session.moved,):
            if body not in place.moved:
                session.put(body, None)
        for body, pose in place.moved.items():
            session.put(body, pose)
