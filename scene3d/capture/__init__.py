"""Anything that photographed a place -> `Capture`: posed photos, and the points and depths that came with them.

`read_capture` finds out what a path holds and calls the reader for it; photos and videos get their poses from
`solve_poses`. Every reader ends in the same frozen types; pixels are decoded later, by `View.load`. `align` gives a
capture metric scale and turns its world upright. A capture without points gets them from its depth maps
(`depth_points`) or from matches (`triangulate`), or as a last resort from `random_points_in_frusta`.
"""

from __future__ import annotations

from scene3d.capture._align import align, parse_up
from scene3d.capture._camera_up import CameraUp, camera_up
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
from scene3d.capture._depth_points import depth_points
from scene3d.capture._detect import FORMATS, find_source, is_archive, read_capture
from scene3d.capture._known_distance import known_distance, require_pixels
from scene3d.capture._markers import find_markers, marker_scale
from scene3d.capture._photo_focal import with_photo_focal
from scene3d.capture._photo_set import PhotoFile, PhotoSet
from scene3d.capture._random_points import random_points_in_frusta
from scene3d.capture._scale_estimate import ScaleEstimate
from scene3d.capture._similarity import Similarity, transform_capture, transform_scene, transform_splats
from scene3d.capture._solve_poses import solve_poses
from scene3d.capture._triangulate import triangulate

__all__ = [
    "FORMATS",
    "HELD_OUT_EVERY",
    "CameraUp",
    "Capture",
    "DepthFile",
    "MaskMode",
    "Photo",
    "PhotoFile",
    "PhotoSet",
    "PointCloud",
    "Projection",
    "ScaleEstimate",
    "Similarity",
    "View",
    "align",
    "camera_up",
    "depth_points",
    "find_markers",
    "find_source",
    "is_archive",
    "known_distance",
    "marker_scale",
    "parse_up",
    "random_points_in_frusta",
    "read_capture",
    "require_pixels",
    "solve_poses",
    "transform_capture",
    "transform_scene",
    "transform_splats",
    "triangulate",
    "with_photo_focal",
]
