"""Planes in a cloud of points that is noisy, full of other things, and unevenly dense.

points -> one per voxel, so that texture and nearness count no more than area -> RANSAC, plane after plane -> each
refined on all points near it by iterated reweighted least squares with Tukey's weights. What a plane means is for the
caller to say.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Plane", "Thinned", "common_normal", "find_planes", "thin"]

MOST_PLANES = 12
MOST_ROUNDS = 24
TRIPLES = 5000
"""Random triples of points that RANSAC tries for each plane."""
MOST_TRIED = 8000
"""RANSAC counts the points of a sample of at most this many voxels."""
TUKEY = 4.685
"""Residuals beyond this many standard deviations count nothing; 95 % efficient for normal noise."""
REFINEMENTS = 15
MOST_POINTS = 400_000
"""A larger cloud is sampled first."""


@dataclass(frozen=True)
class Thinned:
    """A cloud with one point per occupied voxel, and the points that they stand for."""

    voxels: NDArray[np.float64]
    """Mean of the points in each voxel, shape (V, 3)."""
    points: NDArray[np.float64]
    """The points themselves, shape (M, 3)."""
    weights: NDArray[np.float64]
    """Weight of each point; those of one voxel sum to 1, shape (M,)."""


@dataclass(frozen=True)
class Plane:
    """n . x + d = 0, and the points that say so."""

    normal: NDArray[np.float64]
    """Unit normal, shape (3,)."""
    offset: float
    """d."""
    voxels: NDArray[np.float64]
    """Voxel means near the plane, shape (V, 3)."""
    scatter: NDArray[np.float64]
    """Information about the normal: centred second moment of the points over the variance of their residuals,
    shape (3, 3)."""
    noise: float
    """Standard deviation of the residuals."""

    def heights(self, points: NDArray) -> NDArray[np.float64]:
        """Signed distances (M,) of points (M, 3)."""
        return points @ self.normal + self.offset


def thin(points: NDArray, weights: NDArray | None, voxel: float, seed: int) -> Thinned:
    """One point per voxel.

    Args:
        points: Finite positions, shape (M, 3).
        weights: Trust in each point, at least 0, shape (M,); None for equal trust.
        voxel: Edge of a voxel.
        seed: Of the sample that is taken of a very large cloud.
    """
    weights = np.ones(len(points)) if weights is None else np.asarray(weights, dtype=np.float64)
    kept = np.flatnonzero(weights > 0)
    if len(kept) > MOST_POINTS:
        kept = np.sort(np.random.default_rng(seed).choice(kept, MOST_POINTS, replace=False))
    points, weights = np.asarray(points, dtype=np.float64)[kept], weights[kept]
    _, voxel_of = np.unique(np.floor(points / voxel).astype(np.int64), axis=0, return_inverse=True)
    voxel_of = voxel_of.ravel()
    weights = weights / np.bincount(voxel_of, weights)[voxel_of]
    means = np.stack([np.bincount(voxel_of, weights * points[:, axis]) for axis in range(3)], axis=1)
    return Thinned(np.asarray(means, dtype=np.float64), points, weights)


def find_planes(cloud: Thinned, thickness: float, *, fewest: int, seed: int) -> list[Plane]:
    """Planes with many voxels, the most popular first.

    Args:
        cloud: Thinned points.
        thickness: Voxels within this distance belong to a plane.
        fewest: Voxels that a plane needs.
        seed: Seed of RANSAC.
    """
    import open3d as o3d

    o3d.utility.random.seed(seed)
    sample = np.random.default_rng(seed).permutation(len(cloud.voxels))[:MOST_TRIED]
    planes, left = [], cloud.voxels[np.sort(sample)]
    fewest_left = max(3, round(fewest * len(left) / max(1, len(cloud.voxels))))
    for _ in range(MOST_ROUNDS):
        if len(left) < fewest_left or len(planes) == MOST_PLANES:
            break
        part = o3d.geometry.PointCloud(o3d.utility.Vector3dVector(left))
        # A probability of 1 tries all triples; stopping early would depend on the threads.
        model, inliers = part.segment_plane(thickness, ransac_n=3, num_iterations=TRIPLES, probability=1.0)
        normal, offset = np.asarray(model[:3]), float(model[3])
        length = float(np.linalg.norm(normal))
        if len(inliers) < fewest_left or not length > 0:
            break
        plane = _refined(cloud, normal / length, offset / length, thickness)
        # Twice as far as its own voxels: the noise of a plane must not be found again as planes beside it. RANSAC's
        # inliers go as well, so that each round leaves less.
        away = np.abs(plane.heights(left))
        if (away < thickness).sum() > 0.5 * fewest_left:
            planes.append(plane)
        taken = away < 2 * thickness
        taken[inliers] = True
        left = left[~taken]
    return planes


def _refined(cloud: Thinned, normal: NDArray, offset: float, thickness: float) -> Plane:
    """The plane of the points around a first guess."""
    near = np.abs(cloud.points @ normal + offset) < 2 * thickness
    points, weights = cloud.points[near], cloud.weights[near]
    scatter, noise = np.eye(3), thickness
    for _ in range(REFINEMENTS):
        residual = points @ normal + offset
        # The spread is that of the plane's own points, not of what stands on it.
        inside = np.abs(residual) < min(2 * thickness, TUKEY * noise)
        if inside.sum() < 3:
            break
        noise = max(1.4826 * _median(np.abs(residual[inside]), weights[inside]), 1e-6 * thickness)
        tukey = weights * np.clip(1 - (residual / (TUKEY * noise)) ** 2, 0, None) ** 2
        if tukey.sum() <= 0:
            break
        middle = tukey @ points / tukey.sum()
        moment = (points - middle).T @ ((points - middle) * tukey[:, None])
        turned = np.linalg.eigh(moment)[1][:, 0]
        normal = turned if turned @ normal >= 0 else -turned
        offset, scatter = -float(normal @ middle), moment / noise**2
    voxels = cloud.voxels[np.abs(cloud.voxels @ normal + offset) < thickness]
    return Plane(normal, offset, voxels, scatter, noise)


def common_normal(planes: list[Plane]) -> NDArray[np.float64]:
    """The one normal (3,) that fits parallel planes best, each with an offset of its own; signed as the first."""
    normal = np.linalg.eigh(sum((plane.scatter for plane in planes), np.zeros((3, 3))))[1][:, 0]
    return normal if normal @ planes[0].normal >= 0 else -normal


def _median(values: NDArray, weights: NDArray) -> float:
    order = np.argsort(values)
    total = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(total, 0.5 * total[-1])])
