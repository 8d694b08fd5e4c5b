"""Where a picture can be taken from: the page's own view, the capture's cameras, and cameras from files.

Files are those that `scene3d render --cameras` takes; what lies in ``SCENE/cameras/*.json`` is offered, for example the
cameras of a policy. A view of the capture knows its photo, which is decoded once.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from viser import ClientHandle

    from scene3d._camera import Camera
    from scene3d._scene import Scene, SceneView
    from scene3d.capture._capture import Photo

__all__ = ["PAGE", "camera_of_client", "load_photo", "photo_words", "views_of"]

PAGE = "This page"
"""The choice that follows whoever moved last."""
MOST_FILES, MOST_CAMERAS = 20, 200
"""Files and cameras that are offered."""


def views_of(scene: Scene, folder: Path) -> dict[str, SceneView]:
    """Views that can be chosen besides the page's own, by what they are called."""
    found: dict[str, SceneView] = {}
    for view in scene.views[:: max(1, -(-len(scene.views) // MOST_CAMERAS))]:
        name = PurePosixPath(view.name).stem
        name = name if f"Photo {name}" not in found else view.name
        found[f"Photo {name}" + (" (held out)" if view.held_out else "")] = view
    for path in sorted((folder / "cameras").glob("*.json"))[:MOST_FILES]:
        found.update({f"{path.stem}: {PurePosixPath(view.name).stem}": view for view in _cameras(path)})
    return found


def photo_words(view: SceneView, photo: Photo | None) -> str:
    """What a photo is called, or why there is none, in Markdown."""
    name = PurePosixPath(view.name).stem
    if photo is not None:
        return f"Photo {name}" + (", held out of fitting" if view.held_out else "")
    return f"Photo {name} is not there." if view.photo is None else f"Photo {name} is not at `{view.photo.path}`."


def _cameras(path: Path) -> tuple[SceneView, ...]:
    """Cameras of a file; none of one that cannot be read, for it was not asked for by name."""
    from scene3d._errors import Scene3dError
    from scene3d.files._camera_file import decode_cameras

    try:
        return decode_cameras(path)[:MOST_CAMERAS]
    except Scene3dError:
        return ()


def camera_of_client(client: ClientHandle, longest_side: int) -> Camera:
    """What a page looks through, at a size of its shape [px]."""
    import torch

    from dynamics.poses import matrix_from_pose
    from scene3d._camera import Camera

    seen = client.camera
    width, height = max(1, seen.image_width), max(1, seen.image_height)
    scale = longest_side / max(width, height)
    size = max(1, round(scale * width)), max(1, round(scale * height))
    pose = torch.tensor([*seen.position, *seen.wxyz], dtype=torch.float64)
    fov_x = 2 * np.arctan(np.tan(seen.fov / 2) * size[0] / size[1])
    return Camera.from_fov(*size, float(fov_x), matrix_from_pose(pose).float())


def load_photo(view: SceneView) -> Photo | None:
    """The photo of a view at the size that was fitted; None when there is none or it is gone."""
    from scene3d._errors import CaptureError

    if view.photo is None or not view.photo.path.is_file():
        return None
    try:
        return view.photo.load(max(view.camera.width, view.camera.height))
    except CaptureError:
        return None
