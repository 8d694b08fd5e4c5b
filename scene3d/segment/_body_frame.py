"""The frame of a body: upright, on its support under its centre of mass, x along the longer side of its footprint.

Fixed once when the body is made, from its shape alone, so that the same thing seen again gets nearly the same frame.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scene3d.segment._collider_grid import tight_turn, upright_axes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dynamics import TriangleMesh
    from scene3d._support import SupportPlane

__all__ = ["body_frame", "support_under"]

ROUND = 1.05
"""Footprints whose sides differ by less are round: their yaw is that of the world."""
REACH = 0.5
"""The support is this close to the object's lowest part, as a share of the object's size."""
BESIDE = 0.3
"""An object may stand this far beyond what was seen of its support, as a share of its size."""


def body_frame(
    mesh: TriangleMesh, com: NDArray, up: NDArray, support: SupportPlane | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Where a body's frame lies in the world: rotation (3, 3) world from body, and origin (3,) [scene units].

    Args:
        mesh: The collider in the world.
        com: Its centre of mass in the world, shape (3,).
        up: World direction that points up, shape (3,).
        support: What it stands on: the origin lies in its plane; None puts it at the centre of mass.
    """
    axes = upright_axes(up if support is None else support.normal)
    angle, longer, shorter = tight_turn(mesh.vertices @ axes[:2].T)
    if longer < ROUND * shorter:
        angle = 0.0
    c, s = np.cos(angle), np.sin(angle)
    x = c * axes[0] + s * axes[1]
    R_world_body = np.stack([x, np.cross(axes[2], x), axes[2]], axis=1)
    origin = np.asarray(com, dtype=np.float64)
    if support is not None:
        origin = origin - support.heights(origin) * support.normal
    return R_world_body, origin


def support_under(points: NDArray, supports: tuple[SupportPlane, ...]) -> SupportPlane | None:
    """What points (N, 3) of an object stand on: of the planes around their foot the one that is closest to it."""
    size = float(np.linalg.norm(np.ptp(points, axis=0)))
    middle = np.median(points, axis=0)
    best: tuple[float, SupportPlane] | None = None
    for support in supports:
        heights = support.heights(points)
        low, centre = float(np.quantile(heights, 0.03)), float(np.median(heights))
        # What no photo shows is fuzzy: splats of the foot may sink into the table.
        if centre <= 0 or abs(low) > REACH * size or not _over(support, middle, BESIDE * size):
            continue
        if best is None or abs(low) < best[0]:
            best = abs(low), support
    return None if best is None else best[1]


def _over(support: SupportPlane, point: NDArray, slack: float) -> bool:
    """Whether a point lies above a support's outline or less than ``slack`` beside it."""
    corners = support.outline
    if len(corners) < 3:
        return True
    sides = np.roll(corners, -1, axis=0) - corners
    outward = np.cross(sides, support.normal)
    length = np.linalg.norm(outward, axis=1)
    away = ((point - corners) * outward).sum(axis=1)[length > 0] / length[length > 0]
    return bool(away.max(initial=-np.inf) <= slack)
