"""How far away is what a photo shows at a pixel: asked of the other photos.

Splats that were fitted to colours alone look right from everywhere and may still lie centimetres behind a smooth
surface. A small patch around the pixel is therefore carried to many depths, on planes of a few orientations, and looked
up in the neighbouring photos; where they show the same pattern (normalised cross-correlation, the better half of the
photos, because something may stand in the way), there is the surface.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from scene3d.capture._geometry import Poses, project

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from scene3d.capture._capture import View

__all__ = ["photo_depth"]

LONGEST_SIDE = 1280
"""Size at which photos are compared [px]."""
HALF = 6
"""Half the side of the patch [px]."""
NEIGHBOURS = 8
ANGLES = (3.0, 30.0)
"""Angles between two photos' rays at which their patches are compared [deg]."""
STEP = 0.5
"""Motion of the patch in the most sensitive photo from one depth to the next [px]."""
MOST_DEPTHS = 600
LEAST_CONTRAST = 4.0
"""Standard deviation of a patch [grey levels] under which it shows nothing to compare."""
LEAST_SCORE = 0.7
"""Correlation from which photos agree."""
RIVAL = 0.06
"""Another depth that scores this close to the best makes it a guess."""
APART = 0.03
"""Depths that differ by less than this share are not rivals."""


def photo_depth(
    views: Sequence[View],
    index: int,
    ray: NDArray[np.float64],
    depths: tuple[float, float],
    normals: NDArray[np.float64],
) -> tuple[float, float] | None:
    """Depth of a pixel of view `index`, and its standard error; None when the photos do not say.

    Args:
        views: Posed photos; their files must be there.
        index: The photo with the pixel.
        ray: The pixel's ray in that camera's frame with z = 1, shape (3,).
        depths: Nearest and farthest depth to look at.
        normals: World normals of the planes to try beside the one that faces the camera, shape (P, 3).
    """
    poses = Poses.of([view.camera.fitted(LONGEST_SIDE) for view in views])
    others = _neighbours(poses, index, ray, float(np.sqrt(depths[0] * depths[1])))
    if len(others) < 2:
        return None
    home = _grey(views[index])
    patch = (poses.K[index] @ ray)[:2] + _offsets()
    template = _sample(home, patch)
    if not (np.isfinite(template).all() and template.std() > LEAST_CONTRAST):
        return None
    steps = _depths(poses, index, others, ray, depths)
    greys = [_grey(views[other]) for other in others]
    best: tuple[float, float, float] | None = None
    for normal in [poses.R[index, 2], *normals]:
        scores = _scores(poses, index, others, greys, template, _carried(poses, index, patch, ray, steps, normal))
        found = _peak(steps, scores)
        if found is not None and (best is None or found[2] > best[2]):
            best = found
    return None if best is None else best[:2]


def _offsets() -> NDArray[np.float64]:
    side = np.arange(-HALF, HALF + 1, dtype=np.float64)
    return np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)


def _grey(view: View) -> NDArray[np.float32]:
    import cv2

    rgb = replace(view, mask=None, depth=None).load(LONGEST_SIDE).rgb
    return np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), dtype=np.float32)


def _sample(grey: NDArray[np.float32], pixels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Grey levels at pixels (..., 2), NaN outside of the photo."""
    import cv2

    flat = (pixels.reshape(-1, 2) - 0.5).astype(np.float32)
    found = np.empty(len(flat), dtype=np.float32)
    for start in range(0, len(flat), 30000):  # OpenCV addresses up to 32767 pixels in a row.
        part = flat[start : start + 30000]
        border = {"borderMode": cv2.BORDER_CONSTANT, "borderValue": float("nan")}
        found[start : start + 30000] = np.ravel(cv2.remap(grey, part[:, :1], part[:, 1:], cv2.INTER_LINEAR, **border))
    return found.reshape(pixels.shape[:-1]).astype(np.float64)


def _neighbours(poses: Poses, index: int, ray: NDArray[np.float64], depth: float) -> list[int]:
    """Views that see the point at a typical depth from somewhere else, nearest angles to 12 degrees first."""
    point = poses.centres[index] + depth * (ray @ poses.R[index])
    towards = point - poses.centres
    towards /= np.maximum(np.linalg.norm(towards, axis=1), 1e-12)[:, None]
    angle = np.degrees(np.arccos(np.clip(towards @ towards[index], -1, 1)))
    everyone = np.arange(len(poses.K))
    pixels, front = project(poses, point[None], everyone)
    seen = (front > 0) & (pixels > 0).all(axis=1) & (pixels < poses.sizes).all(axis=1)
    fit = seen & (angle > ANGLES[0]) & (angle < ANGLES[1])
    chosen = everyone[fit]
    return [int(i) for i in chosen[np.argsort(np.abs(angle[fit] - 12.0), kind="stable")][:NEIGHBOURS]]


def _depths(
    poses: Poses, index: int, others: list[int], ray: NDArray[np.float64], depths: tuple[float, float]
) -> NDArray[np.float64]:
    """Depths at which the patch has moved by about STEP in the photo where it moves most."""
    inverse = np.linspace(1 / depths[1], 1 / depths[0], 64)
    points = poses.centres[index] + (1 / inverse)[:, None] * (ray @ poses.R[index])
    pixels, _ = project(poses, points[:, None], np.array(others)[None])
    moved = np.linalg.norm(np.diff(pixels, axis=0), axis=-1)
    length = np.concatenate([[0.0], np.cumsum(np.median(moved, axis=1))])
    count = int(np.clip(length[-1] / STEP, 16, MOST_DEPTHS))
    return 1 / np.interp(np.linspace(0, length[-1], count), length, inverse)


def _carried(
    poses: Poses,
    index: int,
    patch: NDArray[np.float64],
    ray: NDArray[np.float64],
    depths: NDArray[np.float64],
    normal: NDArray[np.float64],
) -> NDArray[np.float64]:
    """World points (D, S, 3) of the patch on planes through the ray at each depth."""
    rays = np.concatenate([patch, np.ones((len(patch), 1))], axis=1) @ np.linalg.inv(poses.K[index]).T
    directions, middle = rays @ poses.R[index], ray @ poses.R[index]
    facing = directions @ normal
    # Planes seen along their own direction carry nothing: such patches leave the photos and score nothing.
    share = (middle @ normal) / np.where(np.abs(facing) < 1e-3, np.nan, facing)
    return poses.centres[index] + depths[:, None, None] * (share[:, None] * directions)


def _scores(
    poses: Poses,
    index: int,
    others: list[int],
    greys: list[NDArray[np.float32]],
    template: NDArray[np.float64],
    points: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Mean correlation (D,) with the better half of the photos; -1 where too few show the patch."""
    t = template - template.mean()
    t /= np.linalg.norm(t)
    found = []
    for other, grey in zip(others, greys, strict=True):
        pixels, front = project(poses, points, other)
        pixels[~(front > 0)] = np.nan
        seen = _sample(grey, np.nan_to_num(pixels, nan=-1e4))
        seen -= seen.mean(axis=1, keepdims=True)
        strength = np.linalg.norm(seen, axis=1)
        score = (seen @ t) / np.maximum(strength, 1e-6)
        found.append(np.where(np.isfinite(score) & (strength > LEAST_CONTRAST), score, -1.0))
    ranked = -np.sort(-np.stack(found), axis=0)
    return ranked[: max(2, len(others) // 2)].mean(axis=0)


def _peak(depths: NDArray[np.float64], scores: NDArray[np.float64]) -> tuple[float, float, float] | None:
    """Depth, error and score of the best peak; None when it is weak, at an end of the range, or has a rival."""
    k = int(np.argmax(scores))
    if scores[k] < LEAST_SCORE or not 0 < k < len(scores) - 1:
        return None
    rivals = np.abs(depths / depths[k] - 1) > APART
    if rivals.any() and scores[rivals].max() > scores[k] - RIVAL:
        return None
    before, at, after = scores[k - 1 : k + 2]
    bend = before - 2 * at + after
    shift = float(np.clip(0.5 * (before - after) / bend, -0.5, 0.5)) if bend < 0 else 0.0
    depth = float(np.interp(k + shift, np.arange(len(depths)), depths))
    # Half the width of the part of the peak that loses less than the noise of a correlation.
    top = np.flatnonzero(scores > at - 0.02)
    error = max(abs(depths[min(k + 1, top.max())] - depths[max(k - 1, top.min())]) / 2, 0.25 * np.ptp(depths[top]))
    return depth, float(error), float(at)
