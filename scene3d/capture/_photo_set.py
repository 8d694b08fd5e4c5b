"""Photos without poses: what a folder of photos or a video holds before structure from motion.

Listing reads headers only. `solve_poses` turns a `PhotoSet` into a `Capture`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from scene3d.capture._capture import DepthFile, MaskMode

__all__ = ["PhotoFile", "PhotoSet"]


@dataclass(frozen=True)
class PhotoFile:
    """One photo as its header describes it."""

    name: str
    """Image name relative to the set, unique."""
    path: Path
    """Image file."""
    width: int
    """Width after the EXIF orientation is applied [px]."""
    height: int
    """Height after the EXIF orientation is applied [px]."""
    focal: float | None = None
    """Focal length from EXIF [px at this size], None when it says nothing usable."""
    lens: str = ""
    """Photos of equal ``lens``, width and height were taken by one camera with one setting of zoom."""
    taken: str = ""
    """Time of exposure as EXIF writes it, sortable; empty when unknown."""
    mask: Path | None = None
    """Mask image, white is kept."""
    depth: DepthFile | None = None
    """Sensor depth."""


@dataclass(frozen=True)
class PhotoSet:
    """Photos of one place whose poses are unknown."""

    root: Path
    """Folder or video that they came from."""
    files: tuple[PhotoFile, ...]
    """Photos sorted by name."""
    ordered: bool = False
    """True when neighbours in the list are neighbours in time, as frames of a video are."""
    source: str = "photos"
    """What was read: ``photos`` or ``video``."""
    mask_mode: MaskMode = "ignore"
    """What black pixels of masks mean."""
    notes: tuple[str, ...] = ()
    """Sentences for the user: files skipped, frames dropped."""
