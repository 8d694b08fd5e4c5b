"""Objects out of what they stand on: a twin in, the same with some objects a hair higher out.

Reconstructed bottoms overlap their support by a fraction of a millimetre. Our own dynamics lets such objects sleep
until they are touched; engines would push them out at speed. So each is lifted by just its overlap, which is said;
what joints tie together goes up as one piece, and not at all where a joint holds it in its place.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from sim_bridge.usd._body_prims import collider_parts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dynamics import Body
    from sim_bridge.usd._twin import Twin

__all__ = ["lifted"]

SAID = 1e-3
"""Lifts above this are said one by one [m]."""
TOUCHING = 1e-6
"""Overlaps below this are none [m]."""


def lifted(twin: Twin, objects: int) -> Twin:
    """Objects moved up until no part of them is inside the upper half of a slab, or below the floor.

    Args:
        twin: Bodies and where they are.
        objects: How many of the bodies, the first, are objects.
    """
    poses, notes = twin.poses.copy(), list(twin.notes)
    for index in range(objects):
        placed = _touching_points(twin.bodies[index], poses[index])
        for other in range(objects, len(twin.bodies)):
            lift = _overlap(placed, twin.bodies[other], twin.poses[other])
            placed = placed + np.array([0.0, 0.0, lift])
            poses[index, 2] += lift
    _keep_together(twin, poses)
    lifts = [float(lift) for lift in (poses - twin.poses)[:objects, 2]]
    for body, lift in zip(twin.bodies, lifts, strict=False):
        if lift > SAID:
            notes.append(f"{body.name!r} overlapped what it stands on and is lifted by {1000 * lift:.1f} mm.")
    small = [lift for lift in lifts if 0 < lift <= SAID]
    if small:
        count = "One object" if len(small) == 1 else f"{len(small)} objects"
        notes.append(f"{count} overlapped the support by up to {1000 * max(small):.2f} mm: lifted by that.")
    return replace(twin, poses=poses, notes=tuple(notes))


def _keep_together(twin: Twin, poses: NDArray[np.float64]) -> None:
    """Give bodies that joints tie together the greatest of their lifts, and those that a joint holds fast none."""
    from scene3d._scene_joints import hanging

    fast = [index for index, body in enumerate(twin.bodies) if body.motion != "dynamic"]
    lifts = poses[:, 2] - twin.poses[:, 2]
    for index in {side for joint in twin.joints for side in (joint.parent, joint.child) if side >= 0}:
        group = hanging(twin.joints, index)
        held = bool(group.anchors) or not group.objects.isdisjoint(fast)
        poses[index, 2] = twin.poses[index, 2] + (0.0 if held else lifts[sorted(group.objects)].max())


def _overlap(points: NDArray[np.float64], body: Body, pose: NDArray[np.float64]) -> float:
    """How far points (N, 3) must go up to leave the upper half of a slab, or a half-space [m]."""
    if body.primitive is None:
        return 0.0
    local = (points - pose[:3]) @ _rotation(pose)
    top, depth = (0.0, np.inf) if body.primitive.kind == "plane" else (body.primitive.size[2], body.primitive.size[2])
    within = local[:, 2] < top - TOUCHING
    if np.isfinite(depth):
        x, y, _ = body.primitive.size
        within &= (np.abs(local[:, 0]) < x) & (np.abs(local[:, 1]) < y) & (local[:, 2] > top - depth)
    if not within.any():
        return 0.0
    # Straight up leads out of a tilted top after depth / cos.
    return float((top - local[within, 2]).max() / max(_rotation(pose)[2, 2], 0.1))


def _touching_points(body: Body, pose: NDArray[np.float64]) -> NDArray[np.float64]:
    """Lowest points that a body can touch with, in the stage [m], shape (P, 3)."""
    if body.particles is not None:
        return body.particles.points @ _rotation(pose).T + pose[:3] - [0, 0, body.particles.radius]
    points = np.concatenate([part.vertices for part in collider_parts(body)])
    return points @ _rotation(pose).T + pose[:3]


def _rotation(pose: NDArray[np.float64]) -> NDArray[np.float64]:
    import torch

    from dynamics.poses import rotation_from_wxyz

    return rotation_from_wxyz(torch.from_numpy(pose[3:])).numpy()
