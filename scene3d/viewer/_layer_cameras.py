"""The capture's cameras where they stood, with their photos; a click goes there.

Photos are read small, one after the other, and a scene whose photos are gone shows frames alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from scene3d.viewer._layer import Layer

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from scene3d._camera import Camera
    from scene3d._scene import SceneView
    from scene3d.viewer._signal import Signal

__all__ = ["CameraLayer", "look_from"]

MOST_CAMERAS = 60
THUMBNAIL = 96
"""Longest side [px]."""
COLOR, HELD_OUT = (235, 235, 235), (255, 170, 90)


class CameraLayer(Layer):
    """Frusta with thumbnails."""

    name, label = "cameras", "Cameras"
    hint = "Where the photos were taken (orange: kept out of fitting); click one to look from there"

    def lacking(self) -> str:
        return "" if self.session.scene.views else "This scene does not remember its cameras."

    def follows(self) -> tuple[Signal, ...]:
        return (self.session.scene_changed,)

    def draw(self) -> None:
        self.clear()
        views = self.session.scene.views
        chosen = views[:: -(-len(views) // MOST_CAMERAS)]
        for index, view in enumerate(chosen):
            if not self.shown:
                return
            self.handles[str(index)] = self._frustum(index, view)

    def _frustum(self, index: int, view: SceneView) -> Any:
        camera = view.camera
        pose = camera.T_world_cam.double().numpy()
        handle = self.server.scene.add_camera_frustum(
            self.path(str(index)),
            fov=_fov(camera),
            aspect=camera.width / camera.height,
            scale=0.05 * self.nodes.size,
            thickness=0.0012 * self.nodes.size,
            color=HELD_OUT if view.held_out else COLOR,
            image=_thumbnail(view),
            wxyz=_wxyz(pose[:3, :3]),
            position=pose[:3, 3],
            cast_shadow=False,
            receive_shadow=False,
        )

        @handle.on_click
        def _(event: Any) -> None:
            if event.client is not None:
                look_from(event.client, camera)

        return handle


def look_from(client: Any, camera: Camera, ahead: float = 0.5) -> None:
    """Put a client's view where a camera is."""
    pose = camera.T_world_cam.double().numpy()
    with client.atomic():
        client.camera.up_direction = -pose[:3, 1]
        client.camera.position = pose[:3, 3]
        client.camera.look_at = pose[:3, 3] + ahead * pose[:3, 2]
        client.camera.fov = _fov(camera)


def _fov(camera: Camera) -> float:
    return float(2 * np.arctan(camera.height / 2 / float(camera.K[1, 1])))


def _wxyz(R: NDArray[np.float64]) -> NDArray[np.float64]:
    import torch

    from dynamics.poses import wxyz_from_rotation

    return wxyz_from_rotation(torch.from_numpy(np.ascontiguousarray(R))).numpy()


def _thumbnail(view: SceneView) -> NDArray[np.uint8] | None:
    from scene3d._errors import Scene3dError

    if view.photo is None or not view.photo.path.is_file():
        return None
    try:
        return view.photo.load(THUMBNAIL).rgb
    except (OSError, Scene3dError):
        return None
