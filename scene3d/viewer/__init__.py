"""The interactive viewer: a scene and its rollouts in a browser page, served by viser.

    open_viewer   a scene folder -> a page, as a `Viewer` that is stopped by `stop`
    Session       what is being looked at: the scene, tracks (rollouts), the clock, the selection; panels change it and
                  listen to it, and nothing in it knows of browsers
    Clock, Track  time, and poses over it

Data flows one way: panels -> `Session` -> signals -> nodes in the page. Splats are sent once, in the frame of their
body; afterwards only poses travel.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scene3d.viewer._clock import Clock as Clock
    from scene3d.viewer._session import Session as Session
    from scene3d.viewer._track import Track as Track
    from scene3d.viewer._viewer import Viewer as Viewer
    from scene3d.viewer._viewer import open_viewer as open_viewer

__all__ = ["Clock", "Session", "Track", "Viewer", "open_viewer"]

_HOMES = {"Clock": "_clock", "Session": "_session", "Track": "_track", "Viewer": "_viewer", "open_viewer": "_viewer"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
