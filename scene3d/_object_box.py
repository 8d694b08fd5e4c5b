"""How large an object is, as a person with a ruler would say: the tightest upright box around its mesh."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scene3d._scene_object import SceneObject

__all__ = ["upright_sides"]


def upright_sides(thing: SceneObject, up: Sequence[float]) -> tuple[float, float, float]:
    """Sides of the tightest box around an object's mesh that stands upright, where the object is.

    The tightest rectangle around points has a side along one of their convex hull [Freeman and Shapira 1975].

    Args:
        thing: The object.
        up: Direction that points up, of any length, shape (3,).

    Returns:
        The longer lying side, the shorter lying side, the height [scene units]; zeros for a mesh without vertices.
    """
    from scipy.spatial import ConvexHull, QhullError
    from scipy.spatial.transform import Rotation

    if not len(thing.body.mesh.vertices):
        return (0.0, 0.0, 0.0)
    turned = Rotation.from_quat(np.asarray(thing.T_world_body, dtype=np.float64)[[4, 5, 6, 3]])
    points = turned.apply(thing.body.mesh.vertices)
    z = np.asarray(up, dtype=np.float64) / np.linalg.norm(up)
    x = np.cross(z, np.eye(3)[np.abs(z).argmin()])
    x /= np.linalg.norm(x)
    heights, lying = points @ z, points @ np.stack([x, np.cross(z, x)], axis=1)
    try:
        corners = lying[ConvexHull(lying).vertices]
    except QhullError:  # All in one line seen from above.
        corners = lying
    edges = np.roll(corners, -1, axis=0) - corners
    edges = edges[np.linalg.norm(edges, axis=1) > 0]
    best = (math.inf, 0.0, 0.0)
    for along in edges / np.linalg.norm(edges, axis=1, keepdims=True):
        sides = float(np.ptp(corners @ along)), float(np.ptp(corners @ [-along[1], along[0]]))
        best = min(best, (sides[0] * sides[1], max(sides), min(sides)))
    return best[1], best[2], float(np.ptp(heights))
