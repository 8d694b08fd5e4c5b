"""Where an object stands: places that a person gives, and the pose in which a body stands on its support there.

A place names the world position of the origin of the body's frame; without Z the body is set down so that its lowest
point touches the support under X, Y. A turn is always about the vertical, by an angle from how the object stands now.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from scene3d._errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from scene3d._scene import Scene
    from scene3d._support import SupportPlane

__all__ = ["Place", "Pose", "mesh_in_world", "posed", "rotation_of", "set_down", "support_below", "turned", "within"]

Pose = tuple[float, float, float, float, float, float, float]
"""xyz + wxyz."""
LEVEL = 0.1
"""Cosine to the vertical under which a plane has no height at a given X, Y."""


@dataclass(frozen=True)
class Place:
    """A position, and a turn."""

    x: float
    """[scene units]"""
    y: float
    """[scene units]"""
    z: float | None = None
    """[scene units]; None sets the object down on its support."""
    yaw: float = 0.0
    """Turn about the vertical, counter-clockwise from above [rad]."""


def posed(scene: Scene, T_world_body: Sequence[float], vertices: NDArray, place: Place) -> Pose:
    """Pose of a body at a place.

    Args:
        scene: Its supports say how high things stand.
        T_world_body: How the body is turned now; its position does not matter.
        vertices: Of its mesh, in the body frame, shape (V, 3).
        place: Where to.

    Raises:
        UsageError: Z is not given, and the world's up is not its Z.
    """
    xyz = (place.x, place.y, 0.0 if place.z is None else place.z)
    pose = turned((*xyz, *T_world_body[3:7]), scene.up, place.yaw)
    if place.z is not None:
        return pose
    return set_down(pose, vertices, support_below(scene, (place.x, place.y, np.inf), mesh_in_world(pose, vertices)))


def set_down(pose: Pose, vertices: NDArray, support: SupportPlane) -> Pose:
    """The pose moved along the world's Z until the body's lowest vertex lies on the support.

    Raises:
        UsageError: The support is upright.
    """
    if support.normal[2] < LEVEL:
        raise UsageError("The scene's up is not +Z, so its supports have no height at X, Y. Give Z too, as X,Y,Z.")
    lowest = float(support.heights(mesh_in_world(pose, vertices)).min())
    return (pose[0], pose[1], pose[2] - lowest / float(support.normal[2]), *pose[3:])


def turned(pose: Sequence[float], up: Sequence[float], yaw: float) -> Pose:
    """The pose turned about a vertical through its own origin, by ``yaw`` [rad]."""
    import torch

    from dynamics.poses import multiply

    quat = torch.tensor(pose[3:7], dtype=torch.float64)
    if yaw:
        axis = np.asarray(up, dtype=np.float64) / np.linalg.norm(up)
        spin = torch.tensor([math.cos(yaw / 2), *(math.sin(yaw / 2) * axis)], dtype=torch.float64)
        quat = multiply(spin, quat)
        quat = quat / quat.norm()
    x, y, z, qw, qx, qy, qz = (float(value) for value in (*pose[:3], *quat.tolist()))
    return (x, y, z, qw, qx, qy, qz)


def rotation_of(pose: Sequence[float]) -> NDArray[np.float64]:
    """Rotation (3, 3) of a pose."""
    import torch

    from dynamics.poses import rotation_from_wxyz

    return rotation_from_wxyz(torch.tensor(pose[3:7], dtype=torch.float64)).numpy()


def mesh_in_world(pose: Sequence[float], vertices: ArrayLike) -> NDArray[np.float64]:
    """Vertices (V, 3) of the body frame in the world."""
    return np.asarray(vertices, dtype=np.float64) @ rotation_of(pose).T + np.asarray(pose[:3], dtype=np.float64)


def support_below(scene: Scene, point: Sequence[float], body: NDArray) -> SupportPlane:
    """The highest support under a point, else the largest.

    Args:
        scene: Where no support was found in it, things stand on the level of the lowest one.
        point: World position, shape (3,).
        body: World positions of what is to stand there, the level where nothing else does, shape (V, 3).
    """
    if not scene.supports:
        return _level(scene, body)
    under = []
    for support in scene.supports:
        z = _height_at(support, point[0], point[1])
        if z is not None and z <= point[2] + 4 * support.noise and within(support, [[point[0], point[1], z]])[0]:
            under.append((z, support))
    return max(under, key=lambda found: found[0])[1] if under else scene.supports[0]


def _level(scene: Scene, body: NDArray) -> SupportPlane:
    from scene3d._support import SupportPlane

    up = np.asarray(scene.up, dtype=np.float64) / np.linalg.norm(scene.up)
    standing = [mesh_in_world(thing.T_world_body, thing.body.mesh.vertices) for thing in scene.objects] or [body]
    return SupportPlane(up, float(np.min([(points @ up).min() for points in standing])), 0.0, np.zeros((0, 3)))


def within(support: SupportPlane, points: ArrayLike) -> NDArray[np.bool_]:
    """Which points (M, 3) lie above or below the support's outline; all do when it has none."""
    points = np.asarray(points, dtype=np.float64)
    corners = support.outline
    if len(corners) < 3:
        return np.ones(len(points), dtype=bool)
    inward = np.cross(support.normal, np.roll(corners, -1, axis=0) - corners)
    return ((points[:, None] - corners) * inward).sum(axis=2).min(axis=1) >= 0


def _height_at(support: SupportPlane, x: float, y: float) -> float | None:
    normal = support.normal
    return None if normal[2] < LEVEL else float((support.offset - normal[0] * x - normal[1] * y) / normal[2])
