"""Markers seen in several posed photos -> squares in the world.

Two detections of one code, seen from different places, propose a square; the other detections vote for it. The
proposal with most votes is refined over all of its photos: seven unknowns (pose and side of a flat square) and a
robust loss of reprojection errors. What OpenCV took for a code by mistake meets no second photo that agrees, or no
square. The spread of the side is estimated with every photo as one witness, because an error of a photo's pose moves
all corners in it together.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from scene3d.capture._geometry import Poses, project, unproject

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from scene3d.capture._capture import View
    from scene3d.capture._marker_search import Detection

__all__ = ["Marker", "solve_markers"]

SQUARE = np.array([[-0.5, 0.5, 0.0], [0.5, 0.5, 0.0], [0.5, -0.5, 0.0], [-0.5, -0.5, 0.0]])
"""Corners of the unit square in its own frame, in OpenCV's order; its normal is +z."""
LEAST_ANGLE = math.radians(2.0)
"""Smallest angle between two photos' rays to a marker that says how far away it is."""
MOST_PAIRS = 200
"""Proposals that are tried for one code."""
AGREES = (1.5, 0.05)
"""Reprojection error of a vote [px], and as a share of the marker's size in the photo; the larger counts."""
SQUARENESS = 0.1
"""Largest deviation of a proposal's corners from a square, as a share of its side."""
LEAST_ERROR = 1e-3
"""No side is known better than this share: paper stretches."""


@dataclass(frozen=True)
class Marker:
    """One printed square in the world of the poses."""

    dictionary: str
    """OpenCV's name of the dictionary."""
    id: int
    """Number of the marker in it."""
    corners: NDArray[np.float64]
    """Corners of the black square, shape (4, 3): top left, top right, bottom right, bottom left."""
    side: float
    """Length of its sides."""
    relative_error: float
    """Standard error of the side, as a share of it."""
    normal: NDArray[np.float64]
    """Unit normal that points out of the print, shape (3,)."""
    views: tuple[int, ...]
    """Indices of the views that agree."""


def solve_markers(views: Sequence[View], detections: Sequence[Detection]) -> tuple[Marker, ...]:
    """Markers that at least two photos agree on, most seen first; a code that was printed twice may appear twice."""
    poses = Poses.of([view.camera for view in views])
    codes = sorted({(d.dictionary, d.id) for d in detections})
    markers: list[Marker] = []
    for code in codes:
        rest = [d for d in detections if (d.dictionary, d.id) == code]
        least = 2
        while len(rest) >= least:
            agreeing = _largest_agreement(poses, rest)
            if len(agreeing) < least:
                break
            marker = _refined(poses, agreeing)
            if marker is not None:
                markers.append(marker)
            rest = [d for d in rest if all(d is not other for other in agreeing)]
            least = 3  # A second print of a code needs more proof than the first.
    return tuple(sorted(markers, key=lambda marker: -len(marker.views)))


def _largest_agreement(poses: Poses, detections: list[Detection]) -> list[Detection]:
    pixels = np.stack([d.corners.corners for d in detections])
    cameras = np.array([d.view for d in detections])
    best = np.zeros(len(detections), dtype=bool)
    for i, j in _pairs(poses, pixels, cameras):
        corners = _triangulated(poses, pixels[[i, j]], cameras[[i, j]])
        if corners is None or _square_of(corners)[3] > SQUARENESS:
            continue
        votes = _agree(poses, corners, pixels, cameras)
        if votes.sum() > best.sum():
            best = votes
    return [d for d, agrees in zip(detections, best, strict=True) if agrees]


def _pairs(poses: Poses, pixels: NDArray[np.float64], cameras: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Detections in two photos under a usable angle; evenly picked where there are many."""
    rays = unproject(poses, pixels.mean(axis=1), cameras)
    rays /= np.linalg.norm(rays, axis=1)[:, None]
    angle = np.arccos(np.clip(rays @ rays.T, -1, 1))
    apart = np.linalg.norm(poses.centres[cameras][:, None] - poses.centres[cameras], axis=-1) > 0
    found = np.argwhere(np.triu((angle >= LEAST_ANGLE) & apart, 1))
    stride = max(1, len(found) // MOST_PAIRS)
    return [(int(i), int(j)) for i, j in found[::stride]]


def _triangulated(poses: Poses, pixels: NDArray[np.float64], cameras: NDArray[np.int64]) -> NDArray[np.float64] | None:
    """Points (4, 3) nearest to the rays through pixels (V, 4, 2); None when one is behind a camera."""
    directions = unproject(poses, pixels, cameras[:, None])
    directions = directions / np.linalg.norm(directions, axis=-1, keepdims=True)
    across = np.eye(3) - directions[..., :, None] * directions[..., None, :]
    right = np.einsum("vkij,vj->ki", across, poses.centres[cameras])
    points = np.linalg.solve(across.sum(axis=0), right[..., None])[..., 0]
    _, depth = project(poses, points[None], cameras[:, None])
    return points if (depth > 0).all() else None


def _agree(
    poses: Poses, corners: NDArray[np.float64], pixels: NDArray[np.float64], cameras: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Which detections show the corners (4, 3), at most one in a photo."""
    seen, depth = project(poses, corners[None], cameras[:, None])
    error = np.linalg.norm(seen - pixels, axis=-1).mean(axis=1)
    size = np.linalg.norm(np.roll(pixels, 1, axis=1) - pixels, axis=-1).mean(axis=1)
    agrees = (error < np.maximum(AGREES[0], AGREES[1] * size)) & (depth > 0).all(axis=1)
    for camera in np.unique(cameras[agrees]):
        rivals = np.flatnonzero(agrees & (cameras == camera))
        agrees[rivals] = rivals == rivals[np.argmin(error[rivals])]
    return agrees


def _square_of(
    corners: NDArray[np.float64],
) -> tuple[float, NDArray[np.float64], NDArray[np.float64], float]:
    """Side, rotation, centre and deviation (as a share of the side) of the nearest square [Umeyama 1991]."""
    centre = corners.mean(axis=0)
    U, S, Vt = np.linalg.svd((corners - centre).T @ SQUARE)
    sign = np.array([1.0, 1.0, np.sign(np.linalg.det(U @ Vt))])
    R = U * sign @ Vt
    side = float((S * sign).sum() / (SQUARE**2).sum())
    if side <= 0:
        return 1.0, R, centre, math.inf
    left = corners - centre - side * SQUARE @ R.T
    return side, R, centre, float(np.sqrt((left**2).sum(axis=1).mean())) / side


def _refined(poses: Poses, detections: list[Detection]) -> Marker | None:
    """The square that explains all detections best; None when they contradict it."""
    from scipy.optimize import least_squares
    from scipy.spatial.transform import Rotation

    cameras = np.array([d.view for d in detections])
    pixels = np.stack([d.corners.corners for d in detections])
    sigma = np.array([d.corners.sigma for d in detections])
    start = _triangulated(poses, pixels, cameras)
    if start is None:
        return None
    side, R0, centre, deviation = _square_of(start)
    if deviation > SQUARENESS:
        return None

    def corners(x: NDArray[np.float64]) -> NDArray[np.float64]:
        turned = SQUARE @ (Rotation.from_rotvec(x[:3]).as_matrix() @ R0).T
        return centre + side * x[3:6] + side * math.exp(x[6]) * turned

    def errors(x: NDArray[np.float64]) -> NDArray[np.float64]:
        seen, _ = project(poses, corners(x)[None], cameras[:, None])
        return ((seen - pixels) / sigma[:, None, None]).ravel()

    # Poses are not perfect either, so the scale of the robust loss is what the errors are found to be.
    loss_scale = max(1.0, 1.48 * float(np.median(np.abs(errors(np.zeros(7))))))
    fit = least_squares(errors, np.zeros(7), loss="soft_l1", f_scale=loss_scale)
    solved, side = corners(fit.x), side * math.exp(fit.x[6])
    R = Rotation.from_rotvec(fit.x[:3]).as_matrix() @ R0
    error = _error_of_side(fit.jac, errors(fit.x), loss_scale, len(detections))
    code = detections[0]
    views = tuple(sorted(int(camera) for camera in cameras))
    return Marker(code.dictionary, code.id, solved, float(side), max(error, LEAST_ERROR), R[:, 2], views)


def _error_of_side(jacobian: NDArray[np.float64], errors: NDArray[np.float64], loss_scale: float, views: int) -> float:
    """Standard error of the logarithm of the side: the larger of what corners and of what whole photos scatter by."""
    inverse = np.linalg.pinv(jacobian.T @ jacobian)
    freedom = max(1, len(errors) - 7)
    weights = 1 / np.sqrt(1 + (errors / loss_scale) ** 2)
    single = inverse * max(1.0, float((weights * errors**2).sum()) / freedom)
    pulls = np.einsum("vkp,vk->vp", jacobian.reshape(views, 8, -1), (np.sqrt(weights) * errors).reshape(views, 8))
    whole = inverse @ (pulls.T @ pulls) @ inverse * views / max(1, views - 1)
    return float(np.sqrt(max(single[6, 6], whole[6, 6])))
