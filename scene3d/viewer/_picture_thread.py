"""Pictures in the background: small ones while things move, a whole one once they rest, stale wishes dropped.

`ask` only says that something changed; what is drawn then is what is true when drawing begins. A picture may take a
fifth of the time, so that a large scene leaves the machine to the simulation and to the page.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

__all__ = ["PictureThread"]

REST = 0.25
"""After so long without a wish things rest [s]."""
SHARE = 0.2
"""Of the time that pictures may take while things move."""


class PictureThread:
    """One thread that draws when asked."""

    def __init__(self, draw: Callable[[bool], None]) -> None:
        self._draw = draw
        """Called with whether things move; must not raise."""
        self._asked = threading.Event()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="scene3d-picture", daemon=True)
        self._thread.start()

    def ask(self) -> None:
        """Something changed: draw soon."""
        self._asked.set()

    def close(self) -> None:
        """Draw nothing any more."""
        self._closed.set()
        self._asked.set()

    def _run(self) -> None:
        while not self._closed.is_set():
            self._asked.wait()
            self._asked.clear()
            if self._closed.is_set():
                return
            begun = time.monotonic()
            self._draw(True)
            spent = time.monotonic() - begun
            if self._closed.wait(spent * (1 / SHARE - 1)):
                return
            if not self._asked.wait(REST) and not self._closed.is_set():
                self._draw(False)
