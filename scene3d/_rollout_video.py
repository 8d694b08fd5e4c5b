"""A rollout as a video: splats ride on the poses of one future, seen from a fixed camera or from a path of cameras.

Deformables rest as in the scene. A recording of the same deed is drawn over the picture: the outline of the recorded
object's collider and a faint tint within, so that one sees where the future leaves it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from scene3d._errors import UsageError
from scene3d._pose_paths import poses_at

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from dynamics import Rollout, TriangleMesh
    from scene3d._camera import Camera
    from scene3d._recorded_motion import RecordedMotion
    from scene3d._scene import Scene, SceneView

__all__ = ["FPS", "best_view", "frame_count", "rollout_video", "silhouette"]

FPS = 30.0
OUTLINE = (255, 40, 200)
TINT = 0.18
"""Share of the outline's colour within it."""
THICK = 2
"""Of the outline [px]."""
MOVED = 0.01
"""What goes farther than this moves [m]."""
NEAR = 0.01
"""Triangles with a corner nearer to the camera than this are not drawn [m]."""
CENTRAL = 0.85
"""Part of the picture, from its middle, that counts as well within it."""
STANDING, SIZE, FULL = 0.3, 0.15, 0.8
"""Worth of having all that stands in the picture, and of spanning this part of it; all that moves in it is worth 1."""
LOOKS = 12
"""Moments of the first future, and ends of others, that are looked at."""
Array = NDArray[np.float64]


def frame_count(rollout: Rollout) -> int:
    """Frames of a video of a rollout."""
    return int(np.floor(rollout.dt * (len(rollout) - 1) * FPS + 1e-6)) + 1


def best_view(scene: Scene, rollout: Rollout) -> SceneView:
    """The capture's view that has all that moves in its picture, in whatever future, and shows it large.

    Raises:
        UsageError: The scene has no cameras.
    """
    if not scene.views:
        raise UsageError("This scene came without capture cameras. Use --camera orbit or --camera FILE.json.")
    moving, standing = _corners(scene, rollout)
    return max(scene.views, key=lambda view: _worth(view.camera, moving, standing))


def rollout_video(
    scene: Scene,
    rollout: Rollout,
    cameras: Sequence[Camera],
    path: Path,
    *,
    future: int = 0,
    recorded: Sequence[RecordedMotion] = (),
    on_progress: Callable[[int, int], None] | None = None,
) -> int:
    """Render a future at 30 frames a second and write an MP4; returns how many frames it has.

    Args:
        scene: The scene.
        rollout: Of its world.
        cameras: One, or one for each of `frame_count` frames; all of one size.
        path: File to write; replaced when it exists. Its folder must exist.
        future: Which of the futures.
        recorded: Objects whose recorded motion is drawn over it, as long as it lasts.
        on_progress: Called with the number of frames that are done, and of all.

    Raises:
        UsageError: There is no such future, it holds what is no number, or the cameras do not fit.
        OutputError: The file cannot be written.
    """
    from scene3d._video import open_video

    poses = _poses(scene, rollout, future)
    count = frame_count(rollout)
    if len(cameras) not in (1, count) or len({(camera.width, camera.height) for camera in cameras}) != 1:
        raise UsageError(
            f"A video takes one camera, or one for each of its {count} frames and all of one size, found "
            f"{len(cameras)}."
        )
    times = np.arange(count) / FPS
    moving = poses_at(rollout.dt * np.arange(len(rollout), dtype=np.float64), poses, times)
    ghosts = [_ghost(scene, motion, times) for motion in recorded]
    with open_video(path, cameras[0].width, cameras[0].height, FPS) as append:
        for frame in range(count):
            camera = cameras[frame % len(cameras)]
            picture = _rendered(scene, camera, moving[:, frame])
            for mesh, path_of in ghosts:
                pose = path_of[frame]
                if pose is not None:
                    picture = _outlined(picture, silhouette(mesh, pose, camera))
            append(picture)
            if on_progress is not None:
                on_progress(frame + 1, count)
    return count


def silhouette(mesh: TriangleMesh, T_world_body: Array, camera: Camera) -> NDArray[np.bool_]:
    """Which pixels (H, W) a mesh at a pose covers, whatever is in front of it."""
    import torch
    from PIL import Image, ImageDraw

    from dynamics.poses import transform_points

    points = transform_points(torch.from_numpy(T_world_body)[None], torch.from_numpy(mesh.vertices)).numpy()
    pixels, depth = _projected(camera, points)
    mask = Image.new("1", (camera.width, camera.height))
    draw = ImageDraw.Draw(mask)
    corners = pixels[mesh.faces]
    seen = (depth[mesh.faces] > NEAR).all(axis=1)
    for triangle in corners[seen].reshape(-1, 6).tolist():
        draw.polygon(triangle, fill=1)
    return np.array(mask, dtype=bool)


def _poses(scene: Scene, rollout: Rollout, future: int) -> Array:
    """Of the objects over time, (objects, T, 7)."""
    futures = len(rollout.T_world_body)
    if not 0 <= future < futures:
        raise UsageError(f"There is no future {future}; the rollout has 0 to {futures - 1}.")
    poses = rollout.T_world_body[future, :, : len(scene.objects)].double().numpy()
    finite = np.isfinite(poses).all(axis=(1, 2))
    if not finite.all():
        seconds = rollout.dt * int(np.argmin(finite))
        raise UsageError(
            f"Future {future} holds what is no number from {seconds:.3g} s on, so it cannot be shown. Choose another "
            "--future."
        )
    return np.moveaxis(poses, 1, 0)


def _rendered(scene: Scene, camera: Camera, objects: Array) -> NDArray[np.uint8]:
    import torch

    from scene3d.render import render

    poses = scene.T_world_body.clone()
    poses[1:] = torch.from_numpy(objects)
    with torch.no_grad():
        frame = render(scene.splats, camera.to(dtype=scene.splats.means.dtype), T_world_body=poses)
    return (frame.rgb.clamp(0, 1) * 255).round().byte().numpy()


def _ghost(scene: Scene, motion: RecordedMotion, times: Array) -> tuple[TriangleMesh, list[Array | None]]:
    """The object's collider, and where it was recorded in each frame; None before the recording and after it."""
    first, last = motion.times[0] - 0.5 / FPS, motion.times[-1] + 0.5 / FPS
    path = poses_at(motion.times, motion.poses, np.clip(times, motion.times[0], motion.times[-1]))
    shown = [pose if first <= time <= last else None for pose, time in zip(path, times.tolist(), strict=True)]
    return scene.objects[scene.index(motion.name)].body.mesh, shown


def _outlined(picture: NDArray[np.uint8], mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """The picture (H, W, 3) with a tint where the mask is, and its outline."""
    inner = mask.copy()
    for _ in range(THICK):
        padded = np.pad(inner, 1, constant_values=True)
        inner = inner & padded[2:, 1:-1] & padded[:-2, 1:-1] & padded[1:-1, 2:] & padded[1:-1, :-2]
    drawn = picture.astype(np.float32)
    colour = np.array(OUTLINE, dtype=np.float32)
    drawn[mask] += TINT * (colour - drawn[mask])
    drawn[mask & ~inner] = colour
    return drawn.round().astype(np.uint8)


def _projected(camera: Camera, points: Array) -> tuple[Array, Array]:
    """Pixels (P, 2) and depths (P,) [m] of points (P, 3) in the world."""
    T = camera.T_cam_world.double().numpy()
    local = points @ T[:3, :3].T + T[:3, 3]
    image = local @ camera.K.double().numpy().T
    depth = local[:, 2]
    return image[:, :2] / np.where(np.abs(depth) < 1e-9, 1e-9, depth)[:, None], depth


def _corners(scene: Scene, rollout: Rollout) -> tuple[Array, Array]:
    """Corners of the boxes around what moves, on its way and at its ends, and around all at the beginning; (P, 3)."""
    import torch

    from dynamics.poses import transform_points

    count, futures = len(scene.objects), len(rollout.T_world_body)
    # As many looks at ends as at the way, so that what ends elsewhere counts as much as what passes by.
    moments, others = (torch.linspace(0, last, LOOKS).round().long() for last in (len(rollout) - 1, futures - 1))
    poses = torch.cat([rollout.T_world_body[0, moments, :count], rollout.T_world_body[others, -1, :count]]).double()
    poses = poses[poses.flatten(1).isfinite().all(dim=1)]
    far = (poses[..., :3] - poses[:1, :, :3]).norm(dim=-1).amax(dim=0) > MOVED
    moving, standing = list[Array](), list[Array]()
    for index, thing in enumerate(scene.objects):
        corners = torch.from_numpy(thing.body.mesh.bounds[np.array(list(np.ndindex(2, 2, 2))), np.arange(3)])
        places = transform_points(poses[:, index, None], corners).numpy()
        standing.append(places[0])
        if bool(far[index]):
            moving.append(places.reshape(-1, 3))
    return np.concatenate(moving or standing), np.concatenate(standing)


def _worth(camera: Camera, moving: Array, standing: Array) -> float:
    """How well a view shows places (P, 3) that something moves over, and (Q, 3) where all stood."""
    within, size = _within(camera, moving)
    return within + STANDING * _within(camera, standing)[0] + SIZE * size


def _within(camera: Camera, places: Array) -> tuple[float, float]:
    """The share of places that are well within the picture, and how much of what is to be spanned those span."""
    pixels, depth = _projected(camera, places)
    from_middle = pixels / np.array([camera.width, camera.height]) * 2 - 1
    inside = (depth > NEAR) & (np.abs(from_middle).max(axis=1) < CENTRAL)
    if not inside.any():
        return 0.0, 0.0
    span = (np.ptp(pixels[inside], axis=0) / (camera.width, camera.height)).max()
    return float(inside.mean()), min(float(span) / FULL, 1.0)
