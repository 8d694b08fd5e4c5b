"""Matches -> tracks -> points.

A track is the set of features that are one point of the world, at most one in each view. Tracks grow by joining
matches, most similar first; a join that would put two features of one view into a track is refused. Points start where
the rays come nearest and are refined by robust Gauss-Newton on the reprojection error, all tracks at once; observations
that stay too far off are dropped, then points with too few of them or with too narrow an angle.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from scene3d.capture._geometry import project, unproject

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from scene3d.capture._geometry import Poses

__all__ = ["Tracks", "build_tracks", "solve_tracks"]

SOFT_ERROR = 1.0
"""Reprojection error [px] from which an observation loses weight while points settle."""
STEPS = 8


@dataclass(frozen=True)
class Tracks:
    """Observations O of tracks T, sorted by track."""

    track: NDArray[np.int64]
    """Track of each observation, 0 to T - 1 without gaps, shape (O,)."""
    camera: NDArray[np.int64]
    """View of each observation, shape (O,)."""
    pixels: NDArray[np.float64]
    """Where it was seen [px], shape (O, 2)."""
    feature: NDArray[np.int64]
    """Number of the feature among those of all views, shape (O,)."""

    def __len__(self) -> int:
        return int(self.track[-1]) + 1 if len(self.track) else 0

    @property
    def starts(self) -> NDArray[np.int64]:
        """First observation of each track, shape (T,)."""
        return np.searchsorted(self.track, np.arange(len(self)))

    def total(self, values: NDArray) -> NDArray:
        """Sums (T, ...) of values (O, ...) over each track."""
        return np.add.reduceat(values, self.starts, axis=0)

    def only(self, observations: NDArray[np.bool_], tracks: NDArray[np.bool_]) -> Tracks:
        """The chosen observations (O,) of the chosen tracks (T,), renumbered."""
        kept = observations & tracks[self.track]
        numbers = np.cumsum(tracks) - 1
        return Tracks(numbers[self.track[kept]], self.camera[kept], self.pixels[kept], self.feature[kept])

    @staticmethod
    def cat(a: Tracks, b: Tracks) -> Tracks:
        """The tracks of a, then those of b."""
        return Tracks(
            np.concatenate([a.track, b.track + len(a)]),
            np.concatenate([a.camera, b.camera]),
            np.concatenate([a.pixels, b.pixels]),
            np.concatenate([a.feature, b.feature]),
        )


def build_tracks(
    pixels: Sequence[NDArray],
    matches: Sequence[tuple[int, int, NDArray[np.int64], NDArray[np.float32]]],
    used: NDArray[np.int64] | tuple[()] = (),
) -> Tracks:
    """Join matches into tracks.

    Args:
        pixels: Feature positions [px] of each view, shape (F_i, 2).
        matches: Views a and b, feature numbers (M, 2) in them, similarities (M,).
        used: Features, numbered among those of all views, that are left out, shape (U,).
    """
    offsets = np.concatenate([[0], np.cumsum([len(p) for p in pixels])]).astype(np.int64)
    camera = np.repeat(np.arange(len(pixels)), [len(p) for p in pixels])
    numbered = [m + np.array([offsets[a], offsets[b]]) for a, b, m, _ in matches]
    edges = np.concatenate([np.zeros((0, 2), np.int64), *numbered])
    similarity = np.concatenate([np.zeros(0, np.float32), *(s for *_, s in matches)])
    is_free = np.ones(len(camera), dtype=bool)
    is_free[np.asarray(used, dtype=np.int64)] = False
    free = is_free[edges].all(axis=1)
    edges, similarity = edges[free], similarity[free]
    root = _join(edges[np.argsort(-similarity, kind="stable")], camera)
    _, track, count = np.unique(root, return_inverse=True, return_counts=True)
    kept = np.flatnonzero(count[track] > 1)
    kept = kept[np.argsort(track[kept], kind="stable")]
    numbers = np.cumsum(count > 1) - 1
    everything = np.concatenate([np.zeros((0, 2)), *pixels])
    return Tracks(numbers[track[kept]], camera[kept], everything[kept].astype(np.float64), kept)


def _join(edges: NDArray[np.int64], camera: NDArray[np.int64]) -> NDArray[np.int64]:
    """Union-find over features; the set of views of a track is one integer with a bit for each."""
    parent = list(range(len(camera)))
    views = [1 << c for c in camera.tolist()]

    def find(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for i, j in edges.tolist():
        a, b = find(i), find(j)
        if a != b and not views[a] & views[b]:
            parent[b] = a
            views[a] |= views[b]
    return np.array([find(i) for i in range(len(parent))], dtype=np.int64)


def solve_tracks(
    poses: Poses, tracks: Tracks, *, largest_error: float, least_angle: float, fewest: int = 2
) -> tuple[NDArray[np.float64], Tracks]:
    """Points (T, 3) of the tracks that make good ones, and those tracks without their bad observations.

    Args:
        poses: Cameras.
        tracks: Candidates.
        largest_error: Reprojection error that an observation may have [px].
        least_angle: Angle that the widest two rays of a point must span [rad].
        fewest: Observations that a point must have.
    """
    if not len(tracks):
        return np.zeros((0, 3)), tracks
    points = _refine(poses, tracks, _nearest_to_rays(poses, tracks))
    for _ in range(2):
        error, depth = _residuals(poses, tracks, points)
        good = (np.linalg.norm(error, axis=1) <= largest_error) & (depth > 0)
        enough = tracks.total(good.astype(np.int64)) >= fewest
        tracks, points = tracks.only(good, enough), points[enough]
        if not len(tracks):
            return np.zeros((0, 3)), tracks
        points = _refine(poses, tracks, points)
    error, depth = _residuals(poses, tracks, points)
    bad = (np.linalg.norm(error, axis=1) > largest_error) | (depth <= 0)
    fine = (tracks.total(bad.astype(np.int64)) == 0) & (_widest_angle(poses, tracks, points) >= least_angle)
    return points[fine], tracks.only(np.ones(len(bad), dtype=bool), fine)


def _nearest_to_rays(poses: Poses, tracks: Tracks) -> NDArray[np.float64]:
    """The point of each track with the least sum of squared distances to its rays."""
    rays = unproject(poses, tracks.pixels, tracks.camera)
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    across = np.eye(3) - rays[:, :, None] * rays[:, None, :]
    right = np.einsum("oij,oj->oi", across, poses.centres[tracks.camera])
    return _solve(tracks.total(across), tracks.total(right))


def _refine(poses: Poses, tracks: Tracks, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Gauss-Newton on the Cauchy loss of the reprojection error."""
    K_R = poses.K[:, :2] @ poses.R
    for _ in range(STEPS):
        error, depth = _residuals(poses, tracks, points)
        seen = tracks.pixels + error
        # d(pixel)/d(point) = (K R - pixel (x) third row of R) / depth.
        safe = np.where(depth > 1e-9, depth, np.inf)  # Behind the camera: no say.
        J = (K_R[tracks.camera] - seen[:, :, None] * poses.R[tracks.camera, 2][:, None, :]) / safe[:, None, None]
        weight = 1.0 / (1.0 + (error**2).sum(axis=1) / SOFT_ERROR**2)
        H = tracks.total(np.einsum("oki,okj,o->oij", J, J, weight))
        g = tracks.total(np.einsum("oki,ok,o->oi", J, error, weight))
        points = points - _solve(H, g)
    return points


def _residuals(
    poses: Poses, tracks: Tracks, points: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Projected less observed pixels (O, 2) and depths (O,)."""
    pixels, depth = project(poses, points[tracks.track], tracks.camera)
    return pixels - tracks.pixels, depth


def _solve(H: NDArray[np.float64], g: NDArray[np.float64]) -> NDArray[np.float64]:
    """Solutions (T, 3) of slightly damped systems (T, 3, 3), so that parallel rays give a far point and no error."""
    damping = 1e-9 * np.trace(H, axis1=1, axis2=2)[:, None, None] + 1e-30
    return np.linalg.solve(H + damping * np.eye(3), g[..., None])[..., 0]


def _widest_angle(poses: Poses, tracks: Tracks, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Largest angle between two rays of each track [rad], shape (T,)."""
    rays = points[tracks.track] - poses.centres[tracks.camera]
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    least_cosine = np.ones(len(tracks))
    for step in range(1, int(np.bincount(tracks.track).max())):
        same = tracks.track[step:] == tracks.track[:-step]
        cosine = (rays[step:] * rays[:-step]).sum(axis=1)[same]
        np.minimum.at(least_cosine, tracks.track[step:][same], cosine)
    return np.arccos(np.clip(least_cosine, -1, 1))
