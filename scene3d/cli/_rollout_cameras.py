"""From where `scene3d simulate --video` looks: a camera of the capture, cameras of a file, or an orbit.

The text of ``--camera`` in; one camera out, or one for each frame of the video.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from scene3d._errors import UsageError

if TYPE_CHECKING:
    from dynamics import Rollout
    from scene3d._camera import Camera
    from scene3d._scene import Scene

__all__ = ["check_camera", "rollout_cameras"]

ORBIT = "orbit"


def check_camera(scene: Scene, text: str | None, size: tuple[int, int] | None, frames: int) -> None:
    """Raises UsageError if there is no such camera, before anything long is done."""
    if text == ORBIT or (text is None and not scene.views):
        return
    if text is not None:
        _named(scene, text, size, frames)


def rollout_cameras(
    scene: Scene, text: str | None, size: tuple[int, int] | None, frames: int, rollout: Rollout
) -> list[Camera]:
    """One camera, or one for each frame.

    Args:
        scene: The scene.
        text: Name of a view of the capture, path of a camera file that lists one camera or one for each frame,
            ``orbit`` for a turn around what the capture looked at, or None for the view that shows best what moves.
        size: Width and height [px]; None keeps the cameras' own.
        frames: Of the video.
        rollout: What it shows.

    Raises:
        UsageError: There is no such camera, or the file lists another number.
        FileFormatError: The file is damaged.
    """
    from scene3d._rollout_video import best_view
    from scene3d.cli._shots import turntable_shots

    if text == ORBIT or (text is None and not scene.views):
        return [view.camera for view in turntable_shots(scene, frames, size)]
    if text is None:
        camera = best_view(scene, rollout).camera
        return [camera if size is None else camera.resized(*size)]
    return _named(scene, text, size, frames)


def _named(scene: Scene, text: str, size: tuple[int, int] | None, frames: int) -> list[Camera]:
    from scene3d.cli._shots import shots_of

    if Path(text).suffix.lower() == ".json":
        if not Path(text).is_file():
            raise UsageError(f"There is no file {text}. --camera takes {ORBIT}, a view's name, or a file of cameras.")
        views = shots_of(scene, text, (), size)
        if len(views) not in (1, frames):
            raise UsageError(
                f"{text} lists {len(views)} cameras; a video takes one, or one for each of its {frames} frames."
            )
    else:
        views = shots_of(scene, "capture", (text,), size)
    cameras = [view.camera for view in views]
    if len({(camera.width, camera.height) for camera in cameras}) > 1:
        raise UsageError(f"The cameras of {text} have different sizes. Add --size WxH.")
    return cameras
