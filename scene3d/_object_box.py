"""How large an object is, as a person with a ruler would say: the tightest upright box around its mesh."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scene3d._scene_object import SceneObject

__all__ = ["upright_sides"]

TURNS = 180
"""Directions that are tried within a right angle, half a degree apart."""


def upright_sides(thing: SceneObject, up: Sequence[float]) -> tuple[float, float, float]:
    """Sides of the tightest box around an object's mesh that stands upright, where the object is.

    Args:
        thing: The object.
        up: Direction that points up, of any length, shape (3,).

    Returns:
        The longer lying side, the shorter lying side, the height [scene units]; zeros for a mesh without vertices.
    """
    from scipy.spatial.transform import Rotation

    if not len(thing.body.mesh.vertices):
        return (0.0, 0.0, 0.0)
    turned = Rotation.from_quat(np.asarray(thing.T_world_body, dtype=np.float64)[[4, 5, 6, 3]])
    points = turned.apply(thing.body.mesh.vertices)
    z = np.asarray(up, dtype=np.float64) / np.linalg.norm(up)
    x = np.cross(z, np.eye(3)[np.abs(z).argmin()])
    x /= np.linalg.norm(x)
    heights, lying = points @ z, points @ np.stack([x, np.cross(z, x)], axis=1)
    angles = np.arange(TURNS) * (math.pi / 2 / TURNS)
    a = np.ptp(lying @ np.stack([np.cos(angles), np.sin(angles)]), axis=0)
    b = np.ptp(lying @ np.stack([-np.sin(angles), np.cos(angles)]), axis=0)
    best = int((a * b).argmin())
    return (float(max(a[best], b[best])), float(min(a[best], b[best])), float(np.ptp(heights)))
