"""A thread that draws what is out of date, always towards the newest moment, so that nobody waits for drawing.

Listeners say that something is stale and go on; the thread calls its function soon. What is said twice meanwhile is
drawn once. What goes wrong is told to a function and drawn no more until it is stale again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

__all__ = ["Painter"]

RATE = 30.0
"""Rounds a second, at most."""
REST = 1.5
"""After a round it rests for at least so many times as long as that took."""


class Painter:
    """Functions that bring parts of a drawing up to date."""

    def __init__(self, failed: Callable[[str, Exception], None]) -> None:
        self._failed = failed
        self._draws: dict[str, Callable[[], None]] = {}
        self._stale: set[str] = set()
        self._change = threading.Condition()
        self._busy = self._stopped = False
        self._thread = threading.Thread(target=self._run, name="scene3d-painter", daemon=True)
        self._thread.start()

    def add(self, name: str, draw: Callable[[], None]) -> Callable[[], None]:
        """Returns what is to be called when `draw` has something to do; it runs in the painter's thread."""
        self._draws[name] = draw
        return lambda: self.spoil(name)

    def spoil(self, name: str) -> None:
        """A part is out of date."""
        with self._change:
            self._stale.add(name)
            self._change.notify_all()

    def finish(self, seconds: float = 60.0) -> bool:
        """Wait until everything is drawn; returns whether it is."""
        with self._change:
            return self._change.wait_for(lambda: not (self._stale or self._busy), seconds)

    def stop(self) -> None:
        """Draw nothing any more."""
        with self._change:
            self._stopped = True
            self._change.notify_all()
        self._thread.join()

    def _run(self) -> None:
        while True:
            with self._change:
                self._busy = False
                self._change.notify_all()
                self._change.wait_for(lambda: self._stale or self._stopped)
                if self._stopped:
                    return
                names = [name for name in self._draws if name in self._stale]
                self._stale.clear()
                self._busy = True
            begin = time.monotonic()
            for name in names:
                try:
                    self._draws[name]()
                except Exception as error:
                    self._failed(name, error)
            spent = time.monotonic() - begin
            # On a busy machine what moves the bodies comes first.
            time.sleep(max(REST * spent, 1 / RATE - spent))
