"""Corners of a printed square marker in one photo, to a few hundredths of a pixel.

Half brightness marks an edge only in linear light, and a photo's tone curve is not known: undoing sRGB leaves black
squares looking smaller (or larger) by a part of a pixel all round, which makes the scale wrong by per cents. But the
marker's code has edges of both polarities. Seen through any tone curve, all of them move towards black by the same
number of pixels, so that the outline shrinks while white cells within grow. One least-squares fit over all edges gives
the four corners and that shift: corners -> homography -> where each edge should be -> how far from there brightness
crosses the half -> better corners.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["MarkerCorners", "linear_light", "refine_corners"]

UNIT = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
"""Corners of the unit square in OpenCV's order: top left, top right, bottom right, bottom left."""
ALONG = np.linspace(0.2, 0.8, 7)
"""Places on the side of a cell where the edge is measured."""
REACH = 3.0
"""Farthest that an edge is sought from where it should be [px]."""
LEAST_REACH = 1.2
"""Edges of cells that leave less room than this are not measured [px]."""
STEPS = 41
"""Samples of one profile."""
ROUNDS = 6
LEAST_CONTRAST = 0.3
"""Edges with less contrast than this share of the median are shadows, glare or occluded."""
FEWEST = 24
"""Edges needed for the nine unknowns."""


@dataclass(frozen=True)
class MarkerCorners:
    """One refined outline."""

    corners: NDArray[np.float64]
    """Corners of the black square [px, pixel centres at +0.5], shape (4, 2), in the marker's own order."""
    sigma: float
    """Standard error of a corner's coordinates [px]."""
    shift: float
    """How far edges had moved towards black [px]; taken out of the corners."""


def linear_light(rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Luminance (H, W) in [0, 1] of sRGB pixels (H, W, 3), the standard's curve undone."""
    x = np.arange(256) / 255
    table = np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4).astype(np.float32)
    # Channel by channel: a photo of 50 megapixels would take 600 MB otherwise.
    light = np.zeros(rgb.shape[:2], dtype=np.float32)
    for channel, weight in enumerate((0.2126, 0.7152, 0.0722)):
        light += np.float32(weight) * table[rgb[..., channel]]
    return light


def refine_corners(
    light: NDArray[np.float32], corners: NDArray[np.float64], white: NDArray[np.bool_]
) -> MarkerCorners | None:
    """Refine the corners of one detection.

    Args:
        light: Linear luminance of the undistorted photo, shape (H, W).
        corners: Rough corners [px, pixel centres at +0.5] in the marker's order, shape (4, 2).
        white: The marker's cells with its black border, shape (n, n), True where white.

    Returns:
        None when too few edges are visible, or they contradict a flat square.
    """
    places, outward = _edges(white)
    corners = np.array(corners, dtype=np.float64)
    shift, left = 0.0, np.zeros(0)
    normal_matrix = np.eye(9)
    for _ in range(ROUNDS):
        offsets, normals, used = _offsets(light, corners, places, outward, len(white))
        if used.sum() < FEWEST:
            return None
        system = np.concatenate([_slopes(corners, places[used], normals[used]), np.ones((used.sum(), 1))], axis=1)
        solution, left, weights = _robust(system, offsets[used])
        corners, shift = corners + solution[:8].reshape(4, 2), float(solution[8])
        normal_matrix = system.T @ (weights[:, None] * system)
        if np.abs(solution[:8]).max() < 1e-3:
            break
    spread = 1.48 * float(np.median(np.abs(left)))
    covariance = np.linalg.pinv(normal_matrix) * max(spread, 0.02) ** 2
    # Neighbouring samples of one edge share their pixels, so they count as one for each cell side.
    sigma = float(np.sqrt(np.trace(covariance[:8, :8]) / 8 * len(ALONG)))
    if spread > 0.5 or abs(shift) > 0.5 * REACH or not _convex(corners):
        return None
    return MarkerCorners(corners, sigma, -shift)


def _edges(white: NDArray[np.bool_]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Places (S, 2) on edges between black and white in the unit square, and the direction (S, 2) to white."""
    n = len(white)
    cells = np.pad(white, 1, constant_values=True)  # The quiet zone around the marker.
    places, directions = [], []
    for axis in (0, 1):
        grid = cells if axis == 0 else cells.T
        change = grid[1:-1, 1:].astype(int) - grid[1:-1, :-1]
        for row, line in np.argwhere(change):
            across = np.full(len(ALONG), line / n)
            along = (row + ALONG) / n
            places.append(np.stack([across, along] if axis == 0 else [along, across], axis=1))
            step = [1.0, 0.0] if axis == 0 else [0.0, 1.0]
            directions.append(np.tile(np.array(step) * change[row, line], (len(ALONG), 1)))
    return np.concatenate(places), np.concatenate(directions)


def _homography(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    """Matrix (3, 3) from the unit square to pixels."""
    rows = []
    for (x, y), (u, v) in zip(UNIT, corners, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
    return np.append(np.linalg.solve(np.array(rows), corners.ravel()), 1.0).reshape(3, 3)


def _mapped(H: NDArray[np.float64], places: NDArray[np.float64]) -> NDArray[np.float64]:
    p = places @ H[:, :2].T + H[:, 2]
    return p[:, :2] / p[:, 2:]


def _offsets(
    light: NDArray[np.float32],
    corners: NDArray[np.float64],
    places: NDArray[np.float64],
    outward: NDArray[np.float64],
    cells: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """How far along its normal [px] each edge is from where it should be, the normals (S, 2), and which were found."""
    import cv2

    H = _homography(corners)
    pixels, small = _mapped(H, places), 1e-4
    towards = (_mapped(H, places + small * outward) - pixels) / small
    tangent = (_mapped(H, places + small * outward[:, ::-1]) - pixels) / small
    normals = np.stack([tangent[:, 1], -tangent[:, 0]], axis=1) / np.linalg.norm(tangent, axis=1)[:, None]
    side = (normals * towards).sum(axis=1)
    normals, side = normals * np.sign(side)[:, None], np.abs(side)
    # The profile ends inside the cells on both sides.
    reach = np.minimum(REACH, 0.6 * side / cells)
    t = np.linspace(-1, 1, STEPS)
    points = (pixels[:, None] + (t * reach[:, None])[..., None] * normals[:, None] - 0.5).astype(np.float32)
    profile = cv2.remap(light, points[..., 0], points[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    profile = np.asarray(profile, dtype=np.float64)
    black, bright = profile[:, :3].mean(axis=1), profile[:, -3:].mean(axis=1)
    above = profile > ((black + bright) / 2)[:, None]
    step = np.argmax(above, axis=1).clip(1)
    i = np.arange(len(step))
    low, high = profile[i, step - 1], profile[i, step]
    within = ((black + bright) / 2 - low) / np.where(high > low, high - low, 1.0)
    offsets = reach * (t[step - 1] + within * (t[1] - t[0]))
    contrast = bright - black
    inside = ((points > 0) & (points < np.array(light.shape[::-1]) - 1)).all(axis=(1, 2))
    one_crossing = (np.diff(above.astype(int), axis=1) != 0).sum(axis=1) == 1
    strong = contrast > LEAST_CONTRAST * np.median(contrast[inside]) if inside.any() else inside
    return offsets, normals, inside & one_crossing & strong & (reach >= LEAST_REACH) & (contrast > 0)


def _slopes(
    corners: NDArray[np.float64], places: NDArray[np.float64], normals: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Motion of each edge along its normal per motion of each of the eight corner coordinates, shape (S, 8)."""
    base, small = _mapped(_homography(corners), places), 1e-4
    columns = []
    for k in range(8):
        moved = corners.copy()
        moved[k // 2, k % 2] += small
        columns.append(((_mapped(_homography(moved), places) - base) / small * normals).sum(axis=1))
    return np.stack(columns, axis=1)


def _robust(
    system: NDArray[np.float64], offsets: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Iteratively reweighted least squares (Huber's weights): solution, residuals, weights."""
    weights: NDArray[np.float64] = np.ones(len(offsets))
    solution, left = np.zeros(system.shape[1]), offsets
    for _ in range(8):
        root = np.sqrt(weights)
        solution = np.linalg.lstsq(system * root[:, None], offsets * root, rcond=None)[0]
        left = offsets - system @ solution
        bound = 1.5 * max(1.48 * float(np.median(np.abs(left))), 0.01)
        weights = np.asarray(np.minimum(1.0, bound / np.maximum(np.abs(left), 1e-12)), dtype=np.float64)
    return np.asarray(solution, dtype=np.float64), np.asarray(left, dtype=np.float64), weights


def _convex(corners: NDArray[np.float64]) -> bool:
    sides = np.roll(corners, -1, axis=0) - corners
    following = np.roll(sides, -1, axis=0)
    turn = sides[:, 0] * following[:, 1] - sides[:, 1] * following[:, 0]
    return bool((turn > 0).all() or (turn < 0).all())
