"""What every source of metric scale answers with: sensor depth, markers, a known distance, an object's size."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ScaleEstimate"]


@dataclass(frozen=True)
class ScaleEstimate:
    """Metres per unit of a world, and how sure that is."""

    scale: float
    """Length of one unit [m], above zero."""
    relative_error: float
    """Standard error of the scale, as a share of it."""
    source: str
    """Where it came from: ``depth``, ``markers``, ``known distance`` or ``size``."""
    detail: str
    """What was used, as words for a sentence: ``12 views, 5310 points``."""
