"""What the poses alone say about a place: how far away things are, and which views see the same of it.

Camera axes of a capture that walks around something cross near it; their best common point gives a depth. Where
they do not cross (a camera that looks out of a window, or moves sideways), the spread of the cameras has to do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from scene3d._camera import Camera

__all__ = ["Poses", "depth_range", "neighbours", "project", "unproject"]

IN_FRONT = 0.7
"""Share of cameras that must look towards the common point for it to count."""
BEST_ANGLE = 12.0
"""Angle between two rays [deg] at which features still match and depth is already well determined."""


@dataclass(frozen=True)
class Poses:
    """Cameras of a capture as arrays, C of them."""

    K: NDArray[np.float64]
    """Intrinsics [px], shape (C, 3, 3)."""
    R: NDArray[np.float64]
    """World-to-camera rotations, shape (C, 3, 3)."""
    centres: NDArray[np.float64]
    """Camera centres, shape (C, 3)."""
    sizes: NDArray[np.float64]
    """Width and height [px], shape (C, 2)."""

    @staticmethod
    def of(cameras: Sequence[Camera]) -> Poses:
        """The arrays of single-view cameras."""
        T = np.stack([camera.T_world_cam.detach().cpu().double().numpy() for camera in cameras])
        K = np.stack([camera.K.detach().cpu().double().numpy() for camera in cameras])
        sizes = np.array([[camera.width, camera.height] for camera in cameras], dtype=np.float64)
        return Poses(K, T[:, :3, :3].transpose(0, 2, 1), T[:, :3, 3], sizes)


def project(poses: Poses, points: NDArray, camera: int | NDArray) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Pixels (..., 2) and depths (...) of points (..., 3) in one camera, or each point in its own."""
    local = np.einsum("...ij,...j->...i", poses.R[camera], points - poses.centres[camera])
    image = np.einsum("...ij,...j->...i", poses.K[camera], local)
    depth = local[..., 2]
    return image[..., :2] / np.where(np.abs(depth) < 1e-12, 1e-12, depth)[..., None], depth


def unproject(poses: Poses, pixels: NDArray, camera: int | NDArray) -> NDArray[np.float64]:
    """World directions (..., 3) of pixels (..., 2), with length 1 along the camera's z axis."""
    homogeneous = np.concatenate([pixels, np.ones((*pixels.shape[:-1], 1))], axis=-1)
    local = np.einsum("...ij,...j->...i", np.linalg.inv(poses.K)[camera], homogeneous)
    return np.einsum("...ji,...j->...i", poses.R[camera], local)


def depth_range(poses: Poses) -> tuple[float, float]:
    """Smallest and largest depth at which to expect something, in world units."""
    forward = poses.R[:, 2]
    across = np.eye(3) - forward[:, :, None] * forward[:, None, :]
    # Least squares point of all camera axes; the small term decides where parallel axes leave it open.
    middle = poses.centres.mean(axis=0)
    normal = across.sum(axis=0) + 1e-6 * len(across) * np.eye(3)
    focus = middle + np.linalg.solve(normal, np.einsum("cij,cj->i", across, poses.centres - middle))
    depths = np.einsum("ci,ci->c", forward, focus - poses.centres)
    extent = float(np.linalg.norm(poses.centres - middle, axis=1).max())
    if (depths > 0).mean() >= IN_FRONT and np.median(depths) > 0.25 * extent:
        depth = float(np.median(depths[depths > 0]))
        return 0.3 * depth, 3.0 * depth
    scale = extent if extent > 0 else 1.0
    return 0.5 * scale, 8.0 * scale


def neighbours(poses: Poses, count: int) -> list[tuple[int, int]]:
    """Pairs (i < j) of views that see much of the same from usefully different places, about `count` for each view.

    A few points are spread over the frustum of each view; another view scores one for each that it sees too, weighted
    down when the two rays are nearly parallel or too far apart for features to match.
    """
    near, far = depth_range(poses)
    grid = (np.stack(np.meshgrid(np.arange(5), np.arange(5)), axis=-1).reshape(-1, 2) + 0.5) / 5
    depths = np.geomspace(1.5 * near, 0.7 * far, 3)
    pairs = set[tuple[int, int]]()
    everyone = np.arange(len(poses.K))[:, None]
    for i in range(len(poses.K)):
        directions = unproject(poses, grid * poses.sizes[i], i)
        points = (poses.centres[i] + directions[:, None] * depths[:, None]).reshape(-1, 3)
        pixels, depth = project(poses, points[None], everyone)
        seen = (depth > 0) & (pixels >= 0).all(-1) & (pixels < poses.sizes[:, None]).all(-1)
        there, here = points - poses.centres[:, None], points - poses.centres[i]
        cosine = (there * here).sum(-1) / (np.linalg.norm(there, axis=-1) * np.linalg.norm(here, axis=-1) + 1e-12)
        angle = np.degrees(np.arccos(np.clip(cosine, -1, 1))) / BEST_ANGLE
        score = (seen * angle * np.exp(1 - angle)).sum(axis=1)
        score[i] = 0
        best = np.argsort(-score, kind="stable")[:count]
        pairs |= {(min(i, int(j)), max(i, int(j))) for j in best if score[j] > 0}
    return sorted(pairs)
