"""Sparse points for posed photos that came without any.

photos, undistorted and reduced -> SIFT -> matches between neighbouring views, kept near epipolar lines -> tracks ->
points with colours. Nothing is random and the number of threads changes nothing but the time.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from scene3d.capture._capture import PointCloud
from scene3d.capture._features import detect, match
from scene3d.capture._geometry import Poses, neighbours
from scene3d.capture._tracks import Tracks, build_tracks, solve_tracks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from numpy.typing import NDArray

    from scene3d.capture._capture import Capture, Photo

__all__ = ["triangulate"]

T = TypeVar("T")

NEIGHBOURS = 12
"""Views that each view is matched with."""
LARGEST_ERROR = 1.5
"""Reprojection error of an observation [px] at the reduced size."""
LEAST_ANGLE = math.radians(1.5)
ROUNDS = 3
"""Times that tracks are built; each takes the features that no point has used yet."""
SHARE_OF_FEATURES = 0.25
"""Share of the time that features take, for the progress bar."""


def triangulate(
    capture: Capture,
    *,
    longest_side: int = 640,
    threads: int = 2,
    progress: Callable[[str, float], None] | None = None,
) -> PointCloud:
    """Triangulate points from matched features and the known poses.

    Args:
        capture: Posed photos; all views take part.
        longest_side: Size at which features are sought [px].
        threads: Threads for decoding, features and matching.
        progress: Called with what is being done and the share of all work done so far, 0 to 1.

    Returns:
        Points seen by at least two views under at least 1.5 degrees; possibly none.
    """
    report = progress or (lambda _stage, _share: None)
    with ThreadPoolExecutor(max(1, threads)) as pool:
        photos = list(
            _counted(
                pool.map(lambda view: view.load(longest_side), capture.views),
                len(capture.views),
                lambda share: report("reading photos", 0.5 * SHARE_OF_FEATURES * share),
            )
        )
        features = list(
            _counted(
                pool.map(detect, photos),
                len(photos),
                lambda share: report("finding features", SHARE_OF_FEATURES * (0.5 + 0.5 * share)),
            )
        )
        poses = Poses.of([photo.camera for photo in photos])
        pairs = neighbours(poses, NEIGHBOURS)
        found = list(
            _counted(
                pool.map(lambda pair: match(poses, pair[0], pair[1], features), pairs),
                len(pairs),
                lambda share: report("matching", SHARE_OF_FEATURES + (0.95 - SHARE_OF_FEATURES) * share),
            )
        )
    matches = [(a, b, *result) for (a, b), result in zip(pairs, found, strict=True)]
    points, tracks = _solve([f.pixels for f in features], matches, poses)
    report("triangulating", 1.0)
    return PointCloud(points.astype(np.float32), _colors(photos, tracks))


def _solve(pixels: list[NDArray], matches: list[Any], poses: Poses) -> tuple[NDArray[np.float64], Tracks]:
    """Points (T, 3) and their tracks. A false match spoils a track, so what was left over gets another chance."""
    points, tracks = np.zeros((0, 3)), build_tracks(pixels, [])
    for _ in range(ROUNDS):
        candidates = build_tracks(pixels, matches, used=tracks.feature)
        more, added = solve_tracks(poses, candidates, largest_error=LARGEST_ERROR, least_angle=LEAST_ANGLE)
        points, tracks = np.concatenate([points, more]), Tracks.cat(tracks, added)
    return points, tracks


def _counted(results: Iterable[T], total: int, report: Callable[[float], None]) -> Iterator[T]:
    for done, result in enumerate(results, start=1):
        report(done / total)
        yield result


def _colors(photos: list[Photo], tracks: Tracks) -> NDArray[np.uint8]:
    """Mean colour (T, 3) of each track's observations."""
    if not len(tracks):
        return np.zeros((0, 3), dtype=np.uint8)
    seen = np.zeros((len(tracks.track), 3))
    for index, photo in enumerate(photos):
        mine = tracks.camera == index
        column, row = tracks.pixels[mine].astype(np.int64).T
        seen[mine] = photo.rgb[row, column]
    counts = np.bincount(tracks.track, minlength=len(tracks))
    return (tracks.total(seen) / counts[:, None]).round().astype(np.uint8)
