"""What was done, newest last, each with how to take it back and how to do it again.

Entries hold functions, so that this knows nothing of scenes. What was taken back can be done again until something else
is done. Entries with the same key that follow each other within a second are one: a slider that is dragged changes its
value twenty times a second.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from scene3d.viewer._signal import Signal

__all__ = ["History"]

LIMIT = 100
"""Entries; older ones are forgotten."""
SAME = 1.0
"""Of two entries with the same key [s]."""


@dataclass
class _Entry:
    label: str
    back: Callable[[], None]
    forth: Callable[[], None]
    key: str
    when: float


class History:
    """A bounded list of what can be undone; may be used from any thread."""

    def __init__(self, limit: int = LIMIT, clock: Callable[[], float] = time.monotonic) -> None:
        self.changed = Signal()
        """There is more, less or something else to undo."""
        self._entries: deque[_Entry] = deque(maxlen=limit)
        self._undone: list[_Entry] = []
        self._lock = threading.Lock()
        self._clock = clock

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def last(self) -> str:
        """What `undo` would take back, e.g. ``move mug``; empty when there is nothing."""
        with self._lock:
            return self._entries[-1].label if self._entries else ""

    def add(self, label: str, back: Callable[[], None], forth: Callable[[], None], *, key: str = "") -> None:
        """Remember something that was done.

        Args:
            label: In words, e.g. ``move mug``.
            back: Brings back what was before.
            forth: Brings what is now, after `back`.
            key: Same as that of the entry before, and shortly after it: both become one.
        """
        now = self._clock()
        with self._lock:
            again = bool(self._undone)
            self._undone.clear()
            last = self._entries[-1] if self._entries else None
            if key and not again and last is not None and last.key == key and now - last.when < SAME:
                last.when, last.forth = now, forth
                return
            self._entries.append(_Entry(label, back, forth, key, now))
        self.changed.send()

    def undo(self) -> str:
        """Take the newest back; returns what it was, empty when there was nothing."""
        with self._lock:
            if not self._entries:
                return ""
            entry = self._entries.pop()
            self._undone.append(entry)
        entry.back()
        self.changed.send()
        return entry.label

    def redo(self) -> str:
        """Do again what was taken back last; returns what it was, empty when there was nothing."""
        with self._lock:
            if not self._undone:
                return ""
            entry = self._undone.pop()
            self._entries.append(entry)
        entry.forth()
        self.changed.send()
        return entry.label

    def clear(self) -> None:
        """Forget everything, e.g. because the scene is another one."""
        with self._lock:
            self._entries.clear()
            self._undone.clear()
        self.changed.send()
