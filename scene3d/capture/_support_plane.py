"""The plane that most of a capture stands on, and the colours that the photos give it.

Up from the cameras -> horizontal planes at many heights -> each photo is warped over the plane into every other one and
compared in windows -> the height at which they agree best, refined, with a small tilt -> where they agree, a gain
per photo and channel that takes its colours to those of the others, because every camera sets exposure and white
balance alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from scene3d.capture._camera_up import camera_up
from scene3d.capture._geometry import Poses, depth_range, unproject

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from scene3d._camera import Camera

__all__ = [
    "SweepView",
    "WorldPlane",
    "agreement",
    "pixel_grid",
    "plane_depth",
    "support_plane",
    "warped",
    "white_balanced",
]

HEIGHTS = 72
"""Heights that are tried between the cameras and the far end of what they look at."""
TILTS = (0.0, -0.02, 0.02, -0.05, 0.05)
"""Slopes that are tried around the cameras' up, about two axes."""
WINDOW = 11
"""Side of the windows that are compared [px]."""
LEAST_TEXTURE = 0.006
"""Standard deviation of grey in a window that counts as texture; below it, windows agree with anything."""
LEAST_AGREEMENT = 0.06
"""Mean agreement over a plane below which it is no support plane."""
MOST_SLANT = 0.06
"""Cosine between a ray and the plane's normal below which the plane is seen too flatly."""


@dataclass(frozen=True)
class SweepView:
    """One small photo."""

    camera: Camera
    """Pinhole camera of these pixels."""
    rgb: NDArray[np.float32]
    """Colours in [0, 1], shape (H, W, 3)."""
    valid: NDArray[np.bool_]
    """Pixels that may be used, shape (H, W)."""


@dataclass(frozen=True)
class WorldPlane:
    """normal . x = offset in the world."""

    normal: NDArray[np.float64]
    """Unit normal, towards the cameras, shape (3,)."""
    offset: float
    """Distance from the origin along the normal."""


def pixel_grid(camera: Camera) -> NDArray[np.float64]:
    """Centres of all pixels, shape (H, W, 2)."""
    columns, rows = np.meshgrid(np.arange(camera.width) + 0.5, np.arange(camera.height) + 0.5)
    return np.stack([columns, rows], axis=-1).astype(np.float64)


def plane_depth(poses: Poses, index: int, plane: WorldPlane, grid: NDArray) -> NDArray[np.float64]:
    """Depth (H, W) at which one camera sees the plane; infinite where it does not or too flatly."""
    rays = unproject(poses, grid, index)
    slope = rays @ plane.normal
    height = plane.offset - float(plane.normal @ poses.centres[index])
    steep = np.abs(slope) > MOST_SLANT * np.linalg.norm(rays, axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        depth = np.where(steep, height / slope, np.inf)
    return np.where(depth > 0, depth, np.inf)


def warped(
    views: Sequence[SweepView], poses: Poses, index: int, other: int, depth: NDArray
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """What another photo shows where this one's pixels lie at that depth: colours (H, W, 3), and where it sees them."""
    import cv2

    known = np.isfinite(depth)
    # One matrix from pixels to the other image, for rays of depth 1; a sweep does this thousands of times.
    across = poses.K[other] @ poses.R[other]
    toward = (across @ poses.R[index].T @ np.linalg.inv(poses.K[index])).astype(np.float32)
    start = (across @ (poses.centres[index] - poses.centres[other])).astype(np.float32)
    z = np.where(known, depth, 1.0).astype(np.float32)
    x, y, w = (axis * z + shift for axis, shift in zip(_image_axes(views[index].camera, toward), start, strict=True))
    width, height = poses.sizes[other]
    ahead = np.where(w > 1e-6, w, 1.0)
    x, y = x / ahead, y / ahead
    known &= (w > 1e-6) & (x > 1) & (y > 1) & (x < width - 1) & (y < height - 1)
    at = np.stack([np.where(known, x - 0.5, -1.0), np.where(known, y - 0.5, -1.0)], axis=-1).astype(np.float32)
    rgb = cv2.remap(views[other].rgb, at[..., 0], at[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    valid = cv2.remap(views[other].valid.astype(np.uint8), at[..., 0], at[..., 1], cv2.INTER_NEAREST)
    return np.asarray(rgb, dtype=np.float32), known & (np.asarray(valid) > 0)


def _image_axes(camera: Camera, matrix: NDArray) -> tuple[NDArray, NDArray, NDArray]:
    """The three products of a matrix (3, 3) with all pixels (x, y, 1), each (H, W)."""
    x = np.arange(camera.width, dtype=np.float32) + 0.5
    y = np.arange(camera.height, dtype=np.float32)[:, None] + 0.5
    first, second, third = (row[0] * x + row[1] * y + row[2] for row in matrix)
    return first, second, third


def agreement(mine: NDArray, theirs: NDArray, seen: NDArray, window: int = WINDOW) -> NDArray[np.float32]:
    """Zero-mean normalised correlation of grey in windows, shape (H, W), in [-1, 1]; 0 without texture or unseen."""
    import cv2

    def mean(image: NDArray) -> NDArray[np.float32]:
        return np.asarray(cv2.blur(image, (window, window)), dtype=np.float32)

    weight = seen.astype(np.float32)
    share = np.maximum(mean(weight), 1e-6)
    a, b = (cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) * weight for image in (mine, theirs))
    mean_a, mean_b = mean(a) / share, mean(b) / share
    var_a, var_b = mean(a * a) / share - mean_a**2, mean(b * b) / share - mean_b**2
    both = mean(a * b) / share - mean_a * mean_b
    floor = LEAST_TEXTURE**2
    score = both / np.sqrt(np.maximum(var_a, 0) + floor) / np.sqrt(np.maximum(var_b, 0) + floor)
    return np.where(seen & (share > 0.5), score, 0).astype(np.float32)


def support_plane(views: Sequence[SweepView], poses: Poses) -> WorldPlane | None:
    """The plane across the cameras' up over which the photos agree best; None when they agree over none."""
    up = camera_up([view.camera for view in views]).up
    near, far = depth_range(poses)
    ahead = poses.centres + poses.R[:, 2] * far
    top, bottom = float((poses.centres @ up).min()), float((ahead @ up).min())
    # Closer to the cameras the same error in height shifts pixels more; heights are spaced like depth, inversely.
    drops = 1 / np.linspace(1 / (0.3 * near), 1 / max(top - bottom, near), HEIGHTS)
    half = [_halved(view) for view in views]
    half_poses = Poses.of([view.camera for view in half])
    scores = [_score(half, half_poses, WorldPlane(up, top - drop)) for drop in drops]
    best = int(np.argmax(scores))
    if scores[best] < LEAST_AGREEMENT:
        return None
    plane = WorldPlane(up, top - float(drops[best]))
    step = float(drops[min(best + 1, HEIGHTS - 1)] - drops[max(best - 1, 0)]) / 2
    middle = poses.centres.mean(axis=0) + poses.R[:, 2].mean(axis=0) * near
    for size in (1.0, 0.5):
        plane = _refined(half, half_poses, plane, middle, step * size, size)
    return _refined(views, poses, plane, middle, 0.25 * step, 0.25)


def _halved(view: SweepView) -> SweepView:
    import cv2

    camera = view.camera.resized(max(1, view.camera.width // 2), max(1, view.camera.height // 2))
    size = (camera.width, camera.height)
    valid = cv2.resize(view.valid.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
    rgb = np.asarray(cv2.resize(view.rgb, size, interpolation=cv2.INTER_AREA), dtype=np.float32)
    return SweepView(camera, rgb, np.asarray(valid))


def _refined(
    views: Sequence[SweepView], poses: Poses, plane: WorldPlane, middle: NDArray, step: float, size: float
) -> WorldPlane:
    """The best of planes that are a little higher, lower, or tilted."""
    first = np.cross(plane.normal, np.eye(3)[int(np.argmin(np.abs(plane.normal)))])
    first /= np.linalg.norm(first)
    foot = middle - plane.normal * (plane.normal @ middle - plane.offset)
    for axis in (first, np.cross(plane.normal, first)):
        tries = []
        for tilt in TILTS:
            normal = np.asarray(plane.normal + size * tilt * axis, dtype=np.float64)
            normal /= np.linalg.norm(normal)
            tries += [WorldPlane(normal, float(normal @ foot) + shift * step) for shift in (-0.5, 0.0, 0.5)]
        plane = max(tries, key=lambda tried: _score(views, poses, tried))
        foot = foot - plane.normal * (plane.normal @ foot - plane.offset)
    return plane


def _score(views: Sequence[SweepView], poses: Poses, plane: WorldPlane) -> float:
    """Mean agreement of all pairs over the plane."""
    total = pixels = 0.0
    for i, view in enumerate(views):
        depth = plane_depth(poses, i, plane, pixel_grid(view.camera))
        for j in range(len(views)):
            if j != i:
                theirs, seen = warped(views, poses, i, j, depth)
                total += float(agreement(view.rgb, theirs, seen & view.valid).sum())
                pixels += float(seen.size)
    return total / max(pixels, 1.0)


def white_balanced(views: Sequence[SweepView], poses: Poses, plane: WorldPlane, rounds: int = 4) -> list[SweepView]:
    """The photos with colours mapped so that they agree on the plane: a gain per channel and photo."""
    balanced = list(views)
    for _ in range(rounds):
        gains = [_gain(balanced, poses, plane, i) for i in range(len(views))]
        # Half a step each, because all photos move at once.
        balanced = [
            replace(view, rgb=(view.rgb * np.sqrt(gain)).astype(np.float32))
            for view, gain in zip(balanced, gains, strict=True)
        ]
    return balanced


def _gain(views: Sequence[SweepView], poses: Poses, plane: WorldPlane, index: int) -> NDArray[np.float64]:
    """Gain (3,) that takes this photo's colours to those of the others on the plane."""
    mine, theirs = [], []
    depth = plane_depth(poses, index, plane, pixel_grid(views[index].camera))
    for j in range(len(views)):
        if j != index:
            rgb, seen = warped(views, poses, index, j, depth)
            seen &= views[index].valid
            mine.append(views[index].rgb[seen])
            theirs.append(rgb[seen])
    a, b = np.concatenate(mine).astype(np.float64), np.concatenate(theirs).astype(np.float64)
    if len(a) < 100:
        return np.ones(3)
    # A gain and no offset: one bare surface does not determine both.
    ratio = np.log(np.maximum(b, 0.02)) - np.log(np.maximum(a, 0.02))
    gain = np.median(ratio, axis=0)
    for _ in range(5):
        weight = 1 / (1 + (np.abs(ratio - gain).sum(axis=1) / 0.15) ** 2)
        gain = (ratio * weight[:, None]).sum(axis=0) / weight.sum()
    return np.exp(np.clip(gain, -0.7, 0.7))
