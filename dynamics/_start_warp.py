# pyright: basic
"""Warp, started quietly: every module of kernels calls `start_warp` before it defines any.

Where there is no NVIDIA driver, Warp's native half says so on stderr past all of its settings, though nobody asked for
a GPU; for that moment stderr leads nowhere.
"""

from __future__ import annotations

import os
import sys
from functools import cache

__all__ = ["start_warp"]


@cache
def start_warp() -> None:
    """Initialise Warp; errors alone are printed from then on."""
    import warp as wp

    wp.config.log_level = wp.LOG_ERROR
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        wp.init()
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
