"""Gravity from what the place stands on: points and cameras in, the up direction and how sure it is out.

The cameras say roughly where up is. A support plane (table, floor, desk) says it exactly: large, spread in two
directions, below the cameras, with nothing underneath, and not far off the cameras' opinion. Planes parallel to it
vote with it. Without one, a wall at least corrects the cameras' up to be perpendicular to it. Nothing is random but
RANSAC, which is seeded.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from scene3d.capture._camera_up import camera_up
from scene3d.capture._planes import Plane, common_normal, find_planes, thin

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from scene3d._camera import Camera

__all__ = ["UpEstimate", "estimate_up"]

THICKNESS = 0.01
"""Points this far from a plane belong to it, as a share of the typical distance from point to camera."""
CONES = {True: math.radians(30), False: math.radians(55)}
"""Largest angle between a support plane's normal and the prior, when the prior is sure and when it is not."""
LEAST_SHARE = 0.05
FEWEST_VOXELS = 40
"""A support plane has at least this many voxels, and this share of all."""
CAMERAS_ABOVE = 0.9
LARGEST_SHARE_BELOW = 0.4
"""Cells of the plane's footprint that may hold much under it: a floor seen through glass, reflections, false points."""
LARGEST_NOISE = 0.8
"""Standard deviation across a surface, in thicknesses; 1.5 for a slice through a cloud without any surface."""
PARALLEL = math.radians(1.5)
WALL = math.radians(15)
"""A plane this close to vertical is a wall."""


@dataclass(frozen=True)
class UpEstimate:
    """Where up is, and why."""

    up: tuple[float, float, float]
    """Unit direction against gravity, in the world of the points."""
    plane: tuple[tuple[float, float, float], float] | None
    """Support plane n . x + d = 0 as (n, d), the cameras on its positive side; None without one. With parallel planes
    in the vote n differs from `up` a little."""
    share: float
    """Share of the cloud's area that lies on the support plane, 0 to 1; 0 without one."""
    angle: float
    """Angle between `up` and the cameras' up (or the prior that was given) [rad]."""
    source: Literal["support plane", "cameras"]
    """What decided."""
    note: str
    """A sentence for the user."""


def estimate_up(
    points: ArrayLike,
    cameras: Sequence[Camera],
    *,
    weights: ArrayLike | None = None,
    prior: Sequence[float] | None = None,
    seed: int = 0,
) -> UpEstimate:
    """Find the direction that points up.

    Args:
        points: Points of the place in any unit, shape (M, 3); noise, outliers and uneven density are expected.
        cameras: Single views that look at them, at least one.
        weights: Trust in each point, at least 0, shape (M,); None for equal trust.
        prior: Rough up direction, shape (3,), instead of what the cameras' poses say.
        seed: Seed of RANSAC.

    Raises:
        ValueError: There is no camera, shapes do not fit, or the prior has no direction.
    """
    if not cameras:
        raise ValueError("Estimating gravity needs at least one camera.")
    xyz, trust = _checked(points, weights)
    held = camera_up(cameras)
    rough, sure = (held.up, held.sure) if prior is None else (_unit(prior), False)
    centres = np.stack([camera.position.detach().cpu().double().numpy() for camera in cameras])
    unit = _typical_distance(xyz, centres)
    if unit is None:
        return _from_cameras(rough, rough, "too few points to find a support plane")
    thickness = THICKNESS * unit
    cloud = thin(xyz, trust, 2 * thickness, seed)
    fewest = max(FEWEST_VOXELS, round(LEAST_SHARE * len(cloud.voxels)))
    found = find_planes(cloud, thickness, fewest=fewest, seed=seed)
    planes = [_facing(p, rough) for p in found if _is_surface(p, thickness)]
    candidates = [plane for plane in planes if _supports(plane, cloud.voxels, centres, thickness)]
    scores = [_score(plane, rough, CONES[sure]) for plane in candidates]
    if not scores or max(scores) <= 0:
        return _from_walls(rough, planes)
    best = candidates[int(np.argmax(scores))]
    parallel = [best, *(p for p in planes if p is not best and _angle(p.normal, best.normal) < PARALLEL)]
    up = common_normal(parallel)
    share, angle = len(best.voxels) / len(cloud.voxels), _angle(up, rough)
    others = f" and {len(parallel) - 1} parallel to it" if len(parallel) > 1 else ""
    whose = "the cameras'" if prior is None else "the given"
    note = (
        f"Up from the support plane ({100 * share:.0f} % of the points' area{others}), "
        f"{math.degrees(angle):.0f} degrees from {whose} up."
    )
    plane = (_tuple(best.normal), best.offset)
    return UpEstimate(_tuple(up), plane, share, angle, "support plane", note)


def _checked(points: ArrayLike, weights: ArrayLike | None) -> tuple[NDArray, NDArray | None]:
    """Finite points and their weights."""
    xyz = np.asarray(points, dtype=np.float64)
    if xyz.ndim != 2 or xyz.shape[1] != 3:
        raise ValueError(f"points must have shape (M, 3), found {xyz.shape}.")
    finite = np.isfinite(xyz).all(axis=1)
    if weights is None:
        return xyz[finite], None
    trust = np.asarray(weights, dtype=np.float64)
    if trust.shape != (len(xyz),) or not (np.isfinite(trust).all() and (trust >= 0).all()):
        raise ValueError(f"weights must be {len(xyz)} finite numbers of at least 0, found shape {trust.shape}.")
    finite &= trust > 0
    return xyz[finite], trust[finite]


def _typical_distance(points: NDArray, centres: NDArray) -> float | None:
    """Median distance from the points to the nearest quarter of the cameras, None when there are too few points.

    The very nearest camera would let a few close-ups decide.
    """
    from scipy.spatial import KDTree

    if len(points) < FEWEST_VOXELS:
        return None
    sample = points[:: max(1, len(points) // 20_000)]
    nearest = np.asarray(KDTree(centres).query(sample, k=math.ceil(0.25 * len(centres)))[0]).reshape(len(sample), -1)
    distance = float(np.median(nearest[:, -1]))
    return distance if distance > 0 else None


def _facing(plane: Plane, up: NDArray) -> Plane:
    """The plane with its normal on the side of up."""
    if plane.normal @ up >= 0:
        return plane
    return Plane(-plane.normal, -plane.offset, plane.voxels, plane.scatter, plane.noise)


def _is_surface(plane: Plane, thickness: float) -> bool:
    """Whether the plane is a sheet that is spread in two directions, not a slice through a cloud or a strip."""
    if plane.noise > LARGEST_NOISE * thickness:
        return False
    narrow, wide = np.sqrt(np.linalg.eigvalsh(np.cov(plane.voxels.T)).clip(0))[1:]
    return bool(narrow > 4 * thickness and narrow > 0.15 * wide)


def _supports(plane: Plane, voxels: NDArray, centres: NDArray, thickness: float) -> bool:
    """Whether the cameras are above the plane and next to nothing is under it."""
    if (plane.heights(centres) > 0).mean() < CAMERAS_ABOVE:
        return False
    below = voxels[plane.heights(voxels) < -3 * thickness]
    on, under = (Counter(map(tuple, _cells(plane, part, thickness).tolist())) for part in (plane.voxels, below))
    # The plane goes on as a mathematical one and grazes other things; only cells that it fills are its own.
    full = [cell for cell, count in on.items() if count >= 0.5 * np.quantile(list(on.values()), 0.9)]
    return sum(under[cell] > 0.5 * on[cell] for cell in full) <= LARGEST_SHARE_BELOW * len(full)


def _cells(plane: Plane, points: NDArray, thickness: float) -> NDArray[np.int64]:
    """Cell (M, 2) of the plane that each point lies over or under."""
    axes = np.linalg.svd(plane.normal[None])[2][1:]
    return np.floor(points @ axes.T / (10 * thickness)).astype(np.int64)


def _score(plane: Plane, up: NDArray, cone: float) -> float:
    """Area of the plane, worth less the farther it is from the prior."""
    angle = _angle(plane.normal, up)
    return len(plane.voxels) * math.exp(-((angle / cone) ** 2)) if angle <= cone else 0.0


def _from_walls(rough: NDArray, planes: list[Plane]) -> UpEstimate:
    """The prior, made perpendicular to the largest wall when there is one."""
    walls = [plane for plane in planes if abs(plane.normal @ rough) < math.sin(WALL)]
    if not walls:
        return _from_cameras(rough, rough, "no support plane was found")
    normal = max(walls, key=lambda wall: len(wall.voxels)).normal
    return _from_cameras(
        _unit(rough - (rough @ normal) * normal), rough, "no support plane was found; a wall was taken to be vertical"
    )


def _from_cameras(up: NDArray, rough: NDArray, why: str) -> UpEstimate:
    note = f"Up from the way the photos were held: {why}. Give --up if the scene is tilted."
    return UpEstimate(_tuple(up), None, 0.0, _angle(up, rough), "cameras", note)


def _unit(vector: Sequence[float] | NDArray) -> NDArray[np.float64]:
    array = np.asarray(vector, dtype=np.float64)
    length = float(np.linalg.norm(array))
    if array.shape != (3,) or not (np.isfinite(length) and length > 0):
        raise ValueError(f"An up direction is three finite numbers, not all zero; found {vector}.")
    return array / length


def _angle(a: NDArray, b: NDArray) -> float:
    """Angle between unit vectors [rad]; exact for small ones too."""
    return 2 * math.atan2(float(np.linalg.norm(a - b)), float(np.linalg.norm(a + b)))


def _tuple(vector: NDArray) -> tuple[float, float, float]:
    return (float(vector[0]), float(vector[1]), float(vector[2]))
