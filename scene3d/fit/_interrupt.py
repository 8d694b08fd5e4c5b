"""Ctrl-C between two steps instead of within one.

Python raises KeyboardInterrupt wherever it happens to be, most likely in the middle of a step: the splats have moved,
the step is not counted yet, and a checkpoint of that moment would repeat it. So the first Ctrl-C only asks, and the
loop stops when the step is done. A second one is raised at once, for whoever does not want to wait.
"""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["held_interrupts"]


@contextmanager
def held_interrupts() -> Iterator[Callable[[], bool]]:
    """Hold Ctrl-C back within the block; yields a function that says whether it came.

    Only Python's own handler is replaced: a program with one of its own, or another thread than the main one, keeps
    what it has.
    """
    asked = False

    def hold(*_: object) -> None:
        nonlocal asked
        asked = True
        signal.signal(signal.SIGINT, signal.default_int_handler)

    main = threading.current_thread() is threading.main_thread()
    ours = main and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if ours:
        signal.signal(signal.SIGINT, hold)
    try:
        yield lambda: asked
    finally:
        if ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)
