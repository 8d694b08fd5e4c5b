"""A capture: photos with poses, and whatever points came with them.

Readers turn a folder into a `Capture`, which holds paths and numbers only. Pixels are decoded when `View.load` is
called, undistorted onto a pinhole camera and reduced to the size that fitting wants, so a capture of thousands of
photos costs nothing until it is used. `Capture.split` names the held-out views.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from scene3d._camera import Camera

__all__ = ["HELD_OUT_EVERY", "Capture", "Photo", "PointCloud", "View"]

HELD_OUT_EVERY = 8
"""Every 8th present image, sorted by name, is held out for testing."""

FEWEST_FOR_HELD_OUT = 16


@dataclass(frozen=True)
class Photo:
    """Decoded pixels of one view on its pinhole camera."""

    rgb: NDArray[np.uint8]
    """sRGB, shape (H, W, 3)."""
    valid: NDArray[np.bool_]
    """Pixels that the photo really saw (undistortion leaves borders), shape (H, W)."""
    camera: Camera
    """Pinhole camera of exactly these pixels."""


@dataclass(frozen=True)
class View:
    """One posed photo."""

    name: str
    """Image name relative to the capture, unique."""
    path: Path
    """Image file."""
    camera: Camera
    """Pinhole camera at the photo's full size."""
    distortion: tuple[float, ...] = ()
    """OpenCV coefficients k1, k2, p1, p2[, k3, k4, k5, k6]; empty for none."""

    def load(self, longest_side: int | None = None) -> Photo:
        """Decode, undistort and reduce the photo.

        Args:
            longest_side: Reduce to at most this many pixels on the longest side; None keeps the size.

        Raises:
            CaptureError: The file cannot be decoded or has another size than its camera.
        """
        from scene3d.capture._images import load_photo

        return load_photo(self, longest_side)


@dataclass(frozen=True)
class PointCloud:
    """Sparse points that came with the poses."""

    points: NDArray[np.float32]
    """Positions [m or capture units], shape (M, 3)."""
    colors: NDArray[np.uint8]
    """sRGB, shape (M, 3)."""


@dataclass(frozen=True)
class Capture:
    """Posed photos of one place."""

    root: Path
    """Folder it was read from."""
    views: tuple[View, ...]
    """Present views sorted by name."""
    points: PointCloud | None = None
    """Sparse points, when the source has them."""
    metric: bool = False
    """True when lengths are known to be metres."""
    source: str = ""
    """What was read, e.g. ``transforms.json`` or ``colmap``."""
    notes: tuple[str, ...] = field(default=())
    """Sentences for the user: frames dropped, defaults assumed."""

    def split(self, hold_out: bool | None = None) -> tuple[tuple[View, ...], tuple[View, ...]]:
        """Training and held-out views.

        Args:
            hold_out: Hold out every 8th view (index % 8 == 0, sorted by name). None does so from 16 views on.
        """
        if hold_out is None:
            hold_out = len(self.views) >= FEWEST_FOR_HELD_OUT
        if not hold_out:
            return self.views, ()
        train = tuple(view for i, view in enumerate(self.views) if i % HELD_OUT_EVERY)
        return train, tuple(view for i, view in enumerate(self.views) if i % HELD_OUT_EVERY == 0)
