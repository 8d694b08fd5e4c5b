"""Which views `scene3d render` makes: the capture's cameras, those of a file, or a turntable.

Every choice ends as a list of `SceneView`, named so that each becomes a file of its own.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from scene3d._errors import UsageError
from scene3d._scene import SceneView

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scene3d import Scene

__all__ = ["parse_size", "shots_of", "turntable_shots"]

SIZE_WITHOUT_CAMERAS = (960, 720)
"""Width and height [px] of views of splats that came without cameras."""

LARGEST_SIDE = 16384


def parse_size(text: str) -> tuple[int, int]:
    """Width and height [px] of ``WxH``."""
    match = re.fullmatch(r"(\d{1,6})[xX×](\d{1,6})", text.strip())
    size = (int(match[1]), int(match[2])) if match else (0, 0)
    if not all(1 <= side <= LARGEST_SIDE for side in size):
        raise UsageError(
            f"Found --size {text}; it takes WxH in pixels, up to {LARGEST_SIDE}, for example --size 1280x720."
        )
    return size


def shots_of(scene: Scene, cameras: str, names: Sequence[str], size: tuple[int, int] | None) -> tuple[SceneView, ...]:
    """Views of the capture (``capture``) or of a camera file, sorted as they are stored.

    Args:
        scene: The scene.
        cameras: ``capture``, or the path of a JSON file in the format of a scene's cameras.json.
        names: Only these, by image name with or without folder and suffix; empty for all.
        size: Width and height [px]; None keeps each camera's.

    Raises:
        UsageError: There are no such cameras.
        FileFormatError: The file is damaged.
    """
    if cameras == "capture":
        views = scene.views
        if not views:
            raise UsageError(
                "These splats came without capture cameras. Use --cameras turntable or --cameras FILE.json."
            )
    else:
        views = _from_file(Path(cameras))
    if names:
        views = tuple(_find(views, name) for name in names)
    if size is not None:
        views = tuple(replace(view, camera=view.camera.resized(*size)) for view in views)
    return views


def turntable_shots(scene: Scene, frames: int, size: tuple[int, int] | None) -> tuple[SceneView, ...]:
    """Views of one turn around what the capture looked at, or around the splats when there are no cameras."""
    from scene3d._flatten import flatten
    from scene3d._orbit import orbit_splats, turntable

    if scene.views:
        batch = turntable(scene.cameras, frames, up=scene.up, size=size)
    else:
        batch = orbit_splats(flatten(scene).splats, frames, up=scene.up, size=size or SIZE_WITHOUT_CAMERAS)
    return tuple(SceneView(f"{i:04d}", batch[i]) for i in range(frames))


def _from_file(path: Path) -> tuple[SceneView, ...]:
    from scene3d.files._camera_file import decode_cameras

    if not path.is_file():
        raise UsageError(
            f"Found --cameras {path}; it takes capture, turntable, or a JSON file like a scene's cameras.json."
        )
    views = decode_cameras(path)
    if not views:
        raise UsageError(f"{path} lists no cameras. Give a file like a scene's cameras.json.")
    return views


def _find(views: Sequence[SceneView], name: str) -> SceneView:
    import difflib

    for view in views:
        path = PurePosixPath(view.name)
        if name in (view.name, path.name, path.stem):
            return view
    near = difflib.get_close_matches(name, [view.name for view in views], n=1, cutoff=0.3)
    hint = f" Did you mean '{near[0]}'?" if near else f" The first is '{views[0].name}'." if views else ""
    raise UsageError(f"There is no view '{name}' among {len(views)} cameras.{hint}")
