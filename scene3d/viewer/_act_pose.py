"""Poses xyz + wxyz in numpy: turning them into rotations, and where things put by hand may stand.

What somebody drags through a table is lifted until its lowest point lies on top of it: a simulation that begins with
two things in one place begins with an explosion.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from dynamics import World
    from scene3d._scene import Scene

__all__ = ["diagonal", "kept_above", "rotation", "up_of"]


def rotation(wxyz: ArrayLike) -> NDArray[np.float64]:
    """The rotation (3, 3) of a quaternion of any length above 0."""
    q = np.asarray(wxyz, dtype=np.float64)
    w, x, y, z = q / np.linalg.norm(q)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


def diagonal(scene: Scene, index: int) -> float:
    """Of the box around an object [m], at most that of a middling one: tools on a long rope stay small."""
    sizes = [float(np.linalg.norm(np.diff(thing.body.mesh.bounds, axis=0))) for thing in scene.objects]
    return min(sizes[index], float(np.median(sizes)))


def up_of(world: World) -> NDArray[np.float64]:
    """Unit vector (3,) against gravity; +Z where there is none."""
    down = np.asarray(world.gravity, dtype=np.float64)
    length = float(np.linalg.norm(down))
    return -down / length if length > 0 else np.array([0.0, 0.0, 1.0])


def kept_above(
    world: World, poses: NDArray[np.float32], index: int, pose: ArrayLike, *, objects: int
) -> NDArray[np.float32]:
    """A pose (7,), lifted as far as needed so that nothing of the body is in the table or the floor below it.

    Args:
        world: From `scene_world`: objects, supports, and last the floor.
        poses: Where its bodies are, shape (nb, 7).
        index: The body.
        pose: Where it is to be, shape (7,).
        objects: So many bodies come before the supports.
    """
    wanted = np.array(pose, dtype=np.float64)
    up, body = up_of(world), world.bodies[index]
    R = rotation(wanted[3:])
    lowest = float((body.mesh.vertices @ (R.T @ up)).min() + wanted[:3] @ up)
    middle = R @ body.com + wanted[:3]
    heights = [float(np.asarray(poses[-1][:3], dtype=np.float64) @ up)]
    for slab, place in zip(world.bodies[objects:-1], poses[objects:-1].astype(np.float64), strict=True):
        axes = rotation(place[3:])
        low, high = slab.mesh.bounds
        x, y, _ = axes.T @ (middle - place[:3])
        if low[0] <= x <= high[0] and low[1] <= y <= high[1]:
            heights.append(float((axes @ np.array([x, y, high[2]]) + place[:3]) @ up))
    wanted[:3] += max(0.0, max(heights) - lowest) * up
    return wanted.astype(np.float32)
