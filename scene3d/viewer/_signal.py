"""A list of functions to call when something has changed: the only way in which parts of the viewer hear of others."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["Signal"]


class Signal:
    """What `connect` was given is called by `send`, in that order, in the thread that sends."""

    def __init__(self) -> None:
        self._listeners: list[Callable[[], None]] = []

    def connect(self, listener: Callable[[], None]) -> None:
        """Call `listener` at every `send` from now on."""
        self._listeners.append(listener)

    def send(self) -> None:
        """Tell everybody."""
        for listener in tuple(self._listeners):
            listener()
