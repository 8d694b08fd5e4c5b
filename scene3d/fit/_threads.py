"""How many threads preparation may use: the processors that this process may run on."""

from __future__ import annotations

import os

__all__ = ["thread_count"]


def thread_count() -> int:
    """Processors available to this process, at least one."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1
