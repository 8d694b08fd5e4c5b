"""A capture: photos with poses, and whatever points came with them.

Readers turn a folder into a `Capture`, which holds paths and numbers only. Pixels are decoded when `View.load` is
called, undistorted onto a pinhole camera and reduced to the size that fitting wants, so a capture of thousands of
photos costs nothing until it is used. `Capture.split` names the held-out views.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from scene3d._camera import Camera

__all__ = ["HELD_OUT_EVERY", "Capture", "DepthFile", "MaskMode", "Photo", "PointCloud", "Projection", "View"]

MaskMode = Literal["ignore", "alpha"]
"""What black pixels of a mask mean: ``ignore`` leaves them out of fitting (people who walk by), ``alpha`` demands that
the splats are transparent there (an object cut out of its background)."""
Projection = Literal["opencv", "fisheye"]
"""Camera model of a photo as OpenCV names it: radial and tangential, or equidistant fisheye."""

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
    depth: NDArray[np.float32] | None = None
    """Sensor depth along the camera's z axis [m or capture units], 0 where unknown, shape (H, W)."""
    outside: NDArray[np.bool_] | None = None
    """Pixels where nothing of the subject is and splats must be transparent (mask mode ``alpha``), shape (H, W)."""


@dataclass(frozen=True)
class DepthFile:
    """A depth map on disk: 16-bit PNG, 32-bit EXR or NPY, camera z, perhaps smaller than its photo."""

    path: Path
    """The file."""
    unit: float = 1e-3
    """Length of one stored unit [m or capture units]; 0.001 for millimetres."""
    nearest: float = 0.0
    """Smaller depths [m or capture units] are unknown."""
    farthest: float = math.inf
    """Larger depths [m or capture units] are unknown."""
    confidence: Path | None = None
    """Map of the same size that rates each depth; None when there is none."""
    least_confidence: int = 0
    """Depths rated lower are unknown."""


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
    """OpenCV coefficients k1, k2, p1, p2[, k3, k4, k5, k6], of a fisheye k1, k2, k3, k4; empty for none."""
    projection: Projection = "opencv"
    """Camera model that `distortion` belongs to."""
    photo_K: tuple[float, float, float, float] | None = None
    """fx, fy, cx, cy [px] of the photo itself where they are not those of `camera`, onto which it is then resampled;
    depth belongs to `camera`. None when they are the same."""
    upright: bool = False
    """True turns the photo as its EXIF orientation says, which is what we solve poses with; False does so only when the
    camera's size demands it, because other solvers differ in this."""
    mask: Path | None = None
    """Mask image, white is kept; None for none. Transparent pixels of the photo itself count as black."""
    mask_mode: MaskMode = "ignore"
    """What black means."""
    depth: DepthFile | None = None
    """Sensor depth."""

    @property
    def resampled(self) -> bool:
        """Whether the photo's pixels move when it is loaded: it bends straight lines, or has a K of its own."""
        return bool(self.distortion) or self.projection == "fisheye" or self.photo_K is not None

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
    up: tuple[float, float, float] | None = None
    """World direction against gravity, unit length; None when the source does not know it."""
    scale_source: str = ""
    """Where metric scale came from, e.g. ``capture``, ``depth``, ``markers``; empty without scale."""
    T_world_source: tuple[tuple[float, float, float, float], ...] | None = None
    """Similarity (4, 4), last row 0 0 0 1, from the source's own world to this one; None for the identity."""

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
