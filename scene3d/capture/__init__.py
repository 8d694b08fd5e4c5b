"""Folders of photos -> `Capture`: posed photos, and the sparse points that came with them.

`read_capture` finds out what a folder holds and calls the reader for it: transforms.json (nerfstudio, instant-ngp) or
a COLMAP model. Every reader ends in the same frozen types; pixels are decoded later, by `View.load`. A capture without
points gets them from `triangulate`, or as a last resort from `random_points_in_frusta`.
"""

from __future__ import annotations

from scene3d.capture._capture import (
    HELD_OUT_EVERY,
    Capture,
    DepthFile,
    MaskMode,
    Photo,
    PointCloud,
    Projection,
    View,
)
from scene3d.capture._detect import read_capture
from scene3d.capture._random_points import random_points_in_frusta
from scene3d.capture._triangulate import triangulate

__all__ = [
    "HELD_OUT_EVERY",
    "Capture",
    "DepthFile",
    "MaskMode",
    "Photo",
    "PointCloud",
    "Projection",
    "View",
    "random_points_in_frusta",
    "read_capture",
    "triangulate",
]
