"""Three pictures of a rollout: how it begins, how its first future ends, and where all futures end.

They are taken from the camera of the capture that sees best what moves. In the last one the first future is
solid and the others are ghosts: how much of a pixel their moved objects make up, at a share of their colour.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scene3d._rollout_video import best_view
from scene3d.report._moment import Moment, draw, shares_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from dynamics import Rollout
    from scene3d._camera import Camera
    from scene3d._scene import Scene

__all__ = ["rollout_pictures"]

WIDTH = 480
"""Longest side of a picture [px]."""
MOST_GHOSTS = 12
"""Futures that are drawn as ghosts, evenly chosen."""
GHOST = 0.45
"""Strongest share of a ghost's colour."""
MOVED = 0.003
"""Objects that are this far from where they began have moved [m]."""


def rollout_pictures(scene: Scene, rollout: Rollout) -> list[tuple[str, NDArray[np.uint8]]]:
    """Captions and pictures (H, W, 3); none of a scene without cameras or a rollout that holds what is no number.

    Args:
        scene: With cameras.
        rollout: Of this scene's bodies.
    """
    count = len(scene.objects)
    poses = rollout.T_world_body[:, :, :count].detach().float().cpu().numpy()
    good = np.flatnonzero(np.isfinite(poses).all(axis=(1, 2, 3)))
    if not scene.views or not len(good):
        return []
    first, last = int(good[0]), poses.shape[1] - 1
    away = np.linalg.norm(poses[good][:, -1, :, :3] - poses[good][:, 0, :, :3], axis=-1)
    moved = np.flatnonzero((away > MOVED).any(axis=0))
    camera = best_view(scene, rollout).camera.fitted(WIDTH)
    start = draw(_moment_at(scene, rollout, first, 0), camera)[0]
    end = draw(_moment_at(scene, rollout, first, last), camera)[0]
    pictures = [("the beginning", start), ("the end", end)]
    if len(good) > 1:
        pictures.append(
            (f"the ends of {len(good)} futures", _fan(scene, rollout, camera, end, good[1:], moved.tolist()))
        )
    return pictures


def _moment_at(scene: Scene, rollout: Rollout, future: int, index: int) -> Moment:
    """One kept state of one future."""
    poses = rollout.T_world_body[future, index, : len(scene.objects)].detach().float().cpu().numpy()
    x = rollout.x[future, index].detach().float().cpu().numpy()
    deformable = any(thing.binding is not None for thing in scene.objects)
    return Moment(scene, poses, x if deformable and len(x) and np.isfinite(x).all() else None, at_rest=False)


def _fan(
    scene: Scene,
    rollout: Rollout,
    camera: Camera,
    end: NDArray[np.uint8],
    others: NDArray[np.int64],
    moved: Sequence[int],
) -> NDArray[np.uint8]:
    """The end of the first future with the moved objects of the others as ghosts."""
    chosen = others[np.unique(np.linspace(0, len(others) - 1, MOST_GHOSTS).round().astype(int))]
    strength = max(GHOST / np.sqrt(len(chosen)), 0.14)
    picture = end.astype(np.float32)
    channels = [index + 1 for index in moved]
    for future in chosen.tolist():
        moment = _moment_at(scene, rollout, future, -1)
        share = strength * shares_of(moment, camera)[..., channels].sum(axis=-1, keepdims=True)
        picture += share * (draw(moment, camera)[0].astype(np.float32) - picture)
    return picture.round().clip(0, 255).astype(np.uint8)
