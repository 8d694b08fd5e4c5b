"""Depth for a few photos taken from far apart, where hardly any feature matches: a start for a fit, not a measurement.

small photos, their support plane, colours balanced on it -> per photo, planes at many heights over the support plane
and at many depths; at each, what the other photos show there is compared in windows -> a pixel lies on the support
plane where colours agree there, else at the best plane if it is textured, clearly right, and the depth of another photo
says the same -> what hides the support plane from others' view of it stands upright on it -> the rest is put on a
sphere around everything, where it can hide nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from scene3d.capture._geometry import Poses, depth_range, project, unproject
from scene3d.capture._support_plane import (
    SweepView,
    WorldPlane,
    agreement,
    pixel_grid,
    plane_depth,
    support_plane,
    warped,
    white_balanced,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["SweepView", "Swept", "sweep"]

SURFACE, UPRIGHT, BEHIND = 1, 2, 3
"""How a pixel got its depth: matched, standing on the support plane, or nothing known."""
DEPTHS, HEIGHTS = 40, 24
HIGHEST = 0.4
"""Largest height over the support plane that is tried, relative to that of the cameras."""
SAME_COLOUR = 0.11
"""Difference of colours, 0 to 1, at which windows count half as agreeing."""
ON_PLANE = 0.5
"""Agreement from which a pixel lies on the support plane."""
PATTERN, LIKE, UNLIKE = 0.03, 0.3, 0.6
"""Standard deviation of grey that is a pattern, the correlation from which two are the same, and what of the agreement
is lost where they are not."""
SURE = 0.75
"""Correlation from which a swept depth is believed."""
CLEARLY = 0.1
"""By how much its correlation must exceed that on the support plane."""
ALIKE = 0.06
"""Largest difference of colours, 0 to 1, of neighbouring pixels of one thing."""
CONSISTENT = 0.03
"""Relative difference to the depth of another photo."""
AROUND = 1.4
"""Radius of the sphere behind everything, relative to the farthest camera."""
INSIDE = 0.97
"""Share of the outline of the support plane that counts as inside it, since its edge has a thickness."""
WINDOW = 9
SPECK, ISLAND = 0.001, 0.005
"""Shares of the pixels: swept depth on smaller patches is chance; smaller islands are no part of the support plane, and
smaller holes in it, such as highlights, are."""


@dataclass(frozen=True)
class Swept:
    """What was found for one photo."""

    depth: NDArray[np.float32]
    """Depth along the camera's z axis, known everywhere, shape (H, W)."""
    kind: NDArray[np.uint8]
    """`SURFACE`, `UPRIGHT` or `BEHIND`, shape (H, W)."""


def sweep(views: Sequence[SweepView]) -> tuple[list[Swept], WorldPlane | None]:
    """Depth of every pixel of every photo, and the support plane if there is one.

    Args:
        views: At least two posed photos of about 160 to 240 pixels.
    """
    poses = Poses.of([view.camera for view in views])
    plane = support_plane(views, poses)
    if plane is not None:
        views = white_balanced(views, poses, plane)
    flat = [_plane_mask(views, poses, i, plane) for i in range(len(views))]
    footprint = None if plane is None else _footprint(poses, views, plane, flat)
    found = [_swept(views, poses, i, plane) for i in range(len(views))]
    sound = [_without_specks(_consistent(poses, i, found), SPECK, holes=False) for i in range(len(views))]
    out = []
    for i, view in enumerate(views):
        depth = _sphere_depth(poses, i, pixel_grid(view.camera))
        kind = np.full(depth.shape, BEHIND, np.uint8)
        if plane is not None and footprint is not None:
            over = plane_depth(poses, i, plane, pixel_grid(view.camera))
            hides = ~flat[i] & _within(poses, i, plane, over, footprint)
            upright, z = _upright(view, poses, i, plane, flat[i], hides, over)
            depth, kind = np.where(upright, z, depth), np.where(upright, UPRIGHT, kind)
            depth, kind = np.where(flat[i], over, depth), np.where(flat[i], SURFACE, kind)
        depth, kind = np.where(sound[i], found[i], depth), np.where(sound[i], SURFACE, kind)
        out.append(Swept(depth.astype(np.float32), kind.astype(np.uint8)))
    return out, plane


def _plane_mask(views: Sequence[SweepView], poses: Poses, index: int, plane: WorldPlane | None) -> NDArray[np.bool_]:
    """Pixels (H, W) at which the photos show the same colour on the support plane."""
    import cv2

    view = views[index]
    if plane is None:
        return np.zeros(view.valid.shape, dtype=bool)
    depth = plane_depth(poses, index, plane, pixel_grid(view.camera))
    grey = view.rgb.mean(axis=-1)
    variance = (cv2.blur(grey * grey, (WINDOW, WINDOW)) - cv2.blur(grey, (WINDOW, WINDOW)) ** 2).clip(0)
    pattern = variance / (variance + PATTERN**2)
    scores = []
    for j in range(len(views)):
        if j != index:
            theirs, seen = warped(views, poses, index, j, depth)
            away = cv2.blur(np.abs(view.rgb - theirs).mean(axis=-1), (5, 5))
            score = 1 / (1 + (away / SAME_COLOUR) ** 2)
            # A thing that overlaps itself has the same colour, but another pattern.
            like = (agreement(view.rgb, theirs, seen, WINDOW) / LIKE).clip(0, 1)
            scores.append(np.where(seen, score * (1 - UNLIKE * pattern * (1 - like)), np.nan))
    score = _best_half(np.stack(scores))
    judged = np.isfinite(score)
    # The colours of what lies on the plane and of what does not speak for pixels that no other photo sees.
    guess = _colour_odds(view.rgb, judged & (score > 0.7), judged & (score < 0.4))
    mixed = np.where(judged, np.where(guess > 0, 0.7 * score + 0.3 * guess, score), 0.8 * guess)
    smooth = _edge_aware(view.rgb.mean(axis=-1), mixed.astype(np.float32))
    mask = (smooth > ON_PLANE) & np.isfinite(depth) & (depth < _sphere_depth(poses, index, pixel_grid(view.camera)))
    return _without_specks(mask, ISLAND) & view.valid


def _best_half(scores: NDArray) -> NDArray[np.float64]:
    """Mean of the better half of the photos that see a pixel, because the others may see something in front."""
    order = -np.sort(np.where(np.isfinite(scores), -scores, np.inf), axis=0)
    count = np.isfinite(scores).sum(axis=0)
    half = (count + 1) // 2
    taken = np.arange(len(scores))[:, None, None] < half
    total = np.where(taken & np.isfinite(order), order, 0).sum(axis=0)
    return np.where(count > 0, total / np.maximum(half, 1), np.nan)


def _colour_odds(rgb: NDArray, inside: NDArray, outside: NDArray) -> NDArray[np.float32]:
    """How likely (H, W) a pixel's colour is one from inside rather than outside, by two blurred histograms."""
    from scipy.ndimage import gaussian_filter

    bins = (rgb.clip(0, 0.999) * 24).astype(np.int64)
    both = []
    for mask in (inside, outside):
        histogram = np.zeros((24, 24, 24))
        np.add.at(histogram, tuple(bins[mask].T), 1.0)
        both.append(gaussian_filter(histogram, 1.0) / max(1, mask.sum()))
    a, b = (histogram[tuple(np.moveaxis(bins, -1, 0))] for histogram in both)
    return (a / (a + b + 1e-6)).astype(np.float32)


def _edge_aware(guide: NDArray, image: NDArray, radius: int = 4, eps: float = 1e-3) -> NDArray[np.float32]:
    """A guided filter [He 2010]: smooth, but not across edges of the guide."""
    import cv2

    def mean(values: NDArray) -> NDArray:
        return cv2.blur(values.astype(np.float32), (2 * radius + 1, 2 * radius + 1))

    mean_guide, mean_image = mean(guide), mean(image)
    slope = (mean(guide * image) - mean_guide * mean_image) / (mean(guide * guide) - mean_guide**2 + eps)
    return mean(slope) * guide + mean(mean_image - slope * mean_guide)


def _without_specks(mask: NDArray[np.bool_], share: float, holes: bool = True) -> NDArray[np.bool_]:
    """The mask without islands, and holes, of fewer pixels than this share of all."""
    import cv2

    for value in (True, False)[: 1 + holes]:
        _, labels, stats, _ = cv2.connectedComponentsWithStats((mask == value).astype(np.uint8), connectivity=4)
        small = np.flatnonzero(stats[:, cv2.CC_STAT_AREA] < share * mask.size)
        mask = np.where(np.isin(labels, small[small > 0]), not value, mask)
    return mask


def _swept(views: Sequence[SweepView], poses: Poses, index: int, plane: WorldPlane | None) -> NDArray[np.float64]:
    """Depth (H, W) of the plane at which windows correlate best, where that is clear; 0 elsewhere."""
    grid = pixel_grid(views[index].camera)
    near, far = depth_range(poses)
    tried = [np.full(grid.shape[:2], z) for z in 1 / np.linspace(1 / near, 1 / far, DEPTHS)]
    floor = np.full(grid.shape[:2], -1.0)
    if plane is not None:
        height = float((poses.centres @ plane.normal).mean() - plane.offset)
        on = plane_depth(poses, index, plane, grid)
        floor = _correlation(views, poses, index, on)
        steps = HIGHEST * height * np.linspace(0, 1, HEIGHTS + 1)[1:] ** 2
        tried += [plane_depth(poses, index, WorldPlane(plane.normal, plane.offset + h), grid) for h in steps]
    best, depth = np.full(grid.shape[:2], -1.0), np.zeros(grid.shape[:2])
    for z in tried:
        score = _correlation(views, poses, index, z)
        better = score > best
        best, depth = np.where(better, score, best), np.where(better, z, depth)
    keep = (best > SURE) & (best > floor + CLEARLY) & np.isfinite(depth)
    return np.where(keep, depth, 0.0)


def _correlation(views: Sequence[SweepView], poses: Poses, index: int, depth: NDArray) -> NDArray[np.float64]:
    """Mean correlation (H, W) with the better half of the photos that see the pixel there, of like colour only."""
    import cv2

    scores = []
    for j in range(len(views)):
        if j != index:
            theirs, seen = warped(views, poses, index, j, depth)
            score = agreement(views[index].rgb, theirs, seen, WINDOW)
            away = cv2.blur(np.abs(views[index].rgb - theirs).mean(axis=-1), (3, 3))
            scores.append(np.where(seen, score / (1 + (away / (2 * SAME_COLOUR)) ** 2), np.nan))
    return np.nan_to_num(_best_half(np.stack(scores)), nan=-1.0)


def _consistent(poses: Poses, index: int, found: Sequence[NDArray]) -> NDArray[np.bool_]:
    """Pixels (H, W) whose point another photo found at the same depth."""
    height, width = found[index].shape
    mask = np.zeros((height, width), dtype=bool)
    rows, columns = np.nonzero(found[index] > 0)
    pixels = np.stack([columns + 0.5, rows + 0.5], axis=-1)
    points = poses.centres[index] + unproject(poses, pixels, index) * found[index][rows, columns][:, None]
    for j, theirs in enumerate(found):
        if j != index:
            agrees = np.abs(_sampled(poses, j, points, theirs) - 1) < CONSISTENT
            mask[rows[agrees], columns[agrees]] = True
    return mask


def _sampled(poses: Poses, other: int, points: NDArray, image: NDArray) -> NDArray[np.float64]:
    """What an image (H, W) of depth says over that of the points (M, 3) there; infinite where not seen."""
    pixels, z = project(poses, points, other)
    seen = (z > 0) & (pixels >= 0).all(axis=-1) & (pixels < poses.sizes[other]).all(axis=-1)
    column, row = np.where(seen[..., None], pixels, 0).astype(np.int64).T
    return np.where(seen & (image[row, column] > 0), image[row, column] / np.where(seen, z, 1.0), np.inf)


def _on_plane(poses: Poses, index: int, plane: WorldPlane, depth: NDArray) -> NDArray[np.float32]:
    """Where the plane is met by each pixel, in two axes of its own, shape (H, W, 2); depths (H, W) are finite."""
    first = np.cross(plane.normal, np.eye(3)[int(np.argmin(np.abs(plane.normal)))])
    axes = np.stack([first, np.cross(plane.normal, first)]) / np.linalg.norm(first)
    grid = np.stack(np.meshgrid(np.arange(depth.shape[1]) + 0.5, np.arange(depth.shape[0]) + 0.5), axis=-1)
    points = poses.centres[index] + unproject(poses, grid, index) * depth[..., None]
    return (points @ axes.T).astype(np.float32)


def _footprint(
    poses: Poses, views: Sequence[SweepView], plane: WorldPlane, flat: Sequence[NDArray]
) -> NDArray[np.float32] | None:
    """Convex outline (V, 2) of what all photos show of the support plane; what is seen in it hides the plane."""
    import cv2

    parts = []
    for i, view in enumerate(views):
        depth = plane_depth(poses, i, plane, pixel_grid(view.camera))
        parts.append(_on_plane(poses, i, plane, np.where(flat[i], depth, 1.0))[_largest(flat[i])])
    points = np.concatenate(parts)
    return np.asarray(cv2.convexHull(points), dtype=np.float32)[:, 0] if len(points) >= 3 else None


def _largest(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    import cv2

    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=4)
    if count < 2:
        return mask
    return labels == 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))


def _within(
    poses: Poses, index: int, plane: WorldPlane, depth: NDArray, outline: NDArray[np.float32]
) -> NDArray[np.bool_]:
    """Pixels (H, W) that look at the inside of the outline, a little less than all of it."""
    known = np.isfinite(depth)
    at = _on_plane(poses, index, plane, np.where(known, depth, 1.0))
    middle = outline.mean(axis=0)
    corners = middle + INSIDE * (outline - middle)
    after = np.roll(corners, -1, axis=0) - corners
    turn = np.stack(
        [a[0] * (at[..., 1] - c[1]) - a[1] * (at[..., 0] - c[0]) for a, c in zip(after, corners, strict=True)]
    )
    return known & ((turn >= 0).all(axis=0) | (turn <= 0).all(axis=0))


def _upright(
    view: SweepView,
    poses: Poses,
    index: int,
    plane: WorldPlane,
    flat: NDArray[np.bool_],
    hides: NDArray[np.bool_],
    over: NDArray,
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Pixels (H, W) that stand on the support plane, and their depth: each is as far as its foot below it."""
    import cv2

    rays = unproject(poses, pixel_grid(view.camera), index)
    level = rays - (rays @ plane.normal)[..., None] * plane.normal
    reach = np.linalg.norm(level, axis=-1)
    distance = np.where(np.isfinite(over), over * reach, 0.0)
    below = np.zeros(flat.shape[1])
    standing, foot = np.zeros(flat.shape, dtype=bool), np.zeros(flat.shape)
    # What stands may reach higher than the plane behind it, but not by more than is certain to stand.
    left = np.zeros(flat.shape[1])
    for row in range(flat.shape[0] - 1, -1, -1):
        under = min(row + 1, flat.shape[0] - 1)
        alike = np.abs(view.rgb[row] - view.rgb[under]).max(axis=-1) < ALIKE
        certain = ~flat[row] & hides[row]
        standing[row] = certain | (~flat[row] & standing[under] & alike & (left > 0))
        left = np.where(certain, left + 1, np.where(standing[row], left - 1, 0))
        # Where the photo ends below, the foot is what the ray itself meets.
        fresh = flat[row] | (standing[row] & (below == 0))
        below = np.where(fresh, distance[row], below)
        foot[row] = below
    # Single columns that run up a wall are chance.
    standing = cv2.morphologyEx(standing.astype(np.uint8), cv2.MORPH_OPEN, np.ones((1, 5), np.uint8)) > 0
    standing |= hides
    standing &= foot > 0
    foot = cv2.medianBlur(foot.astype(np.float32), 5)
    return standing, foot / np.maximum(reach, 1e-9)


def _sphere_depth(poses: Poses, index: int, grid: NDArray) -> NDArray[np.float64]:
    """Depth (H, W) of a sphere around all cameras and what they look at."""
    near, far = depth_range(poses)
    middle = poses.centres.mean(axis=0) + poses.R[:, 2].mean(axis=0) * 0.3 * (near + far) / 2
    radius = AROUND * max(float(np.linalg.norm(poses.centres - middle, axis=1).max()), 0.3 * far)
    rays = unproject(poses, grid, index)
    offset = poses.centres[index] - middle
    a, b, c = (rays * rays).sum(axis=-1), rays @ offset, float(offset @ offset) - radius**2
    return (-b + np.sqrt(np.maximum(b * b - a * c, 0))) / a
