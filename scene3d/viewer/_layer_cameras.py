"""The capture's cameras where they stood, with their photos; a click goes there, and shows the photo beside.

Photos are read small, one after the other, and a scene whose photos are gone shows frames alone. A camera that somebody
looks from would cover all that they see: it is hidden until they look from elsewhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from scene3d.viewer._act_pose import rotation
from scene3d.viewer._layer import Layer

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from scene3d._camera import Camera
    from scene3d._scene import SceneView
    from scene3d.viewer._signal import Signal

__all__ = ["CameraLayer", "look_from"]

MOST_CAMERAS = 60
THUMBNAIL = 96
"""Longest side [px]."""
COLOR, HELD_OUT = (235, 235, 235), (255, 170, 90)
LENGTH = 0.05
"""Of the drawn cameras, for a table in metres [m]: they have the volume of a pyramid of this height and square side."""


class CameraLayer(Layer):
    """Frusta with thumbnails."""

    name, label = "cameras", "Cameras"
    hint = "Where the photos were taken (orange: kept out of fitting); click one to look from there"

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self._screens: dict[str, NDArray[np.float64]] = {}
        """Half the width and height of each photo in the page, and its distance from its camera, shape (3,)."""
        self.session.shields.append(self.hit)

        @self.server.on_client_connect
        def _(client: Any) -> None:
            client.camera.on_update(lambda _: self._make_room())

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
            self._screens[str(index)] = LENGTH * self.nodes.size * _screen(view.camera)
            self.handles[str(index)] = self._frustum(index, view)
        self._make_room()

    def hit(self, origin: ArrayLike, direction: ArrayLike) -> bool:
        """Whether a ray meets a photo, so that a click on it selects nothing behind it."""
        for name, handle in tuple(self.handles.items()):
            R = rotation(handle.wxyz).T
            start, along = R @ (np.asarray(origin) - handle.position), R @ np.asarray(direction)
            x, y, z = self._screens[name]
            # Whoever clicked may look from there by now; it is hidden only from those who did before.
            if np.linalg.norm(start) < z or abs(along[2]) < 1e-9 or (z - start[2]) / along[2] <= 0:
                continue
            met = start + (z - start[2]) / along[2] * along
            if abs(met[0]) <= x and abs(met[1]) <= y:
                return True
        return False

    def _make_room(self) -> None:
        """Hide the cameras that somebody looks from."""
        if not self.shown or not self.handles:
            return
        eyes = [np.asarray(client.camera.position) for client in self.server.get_clients().values()]
        for name, handle in tuple(self.handles.items()):
            near = self._screens[name][2]
            visible = not any(float(np.linalg.norm(handle.position - eye)) < near for eye in eyes)
            if handle.visible != visible:
                handle.visible = visible

    def _frustum(self, index: int, view: SceneView) -> Any:
        camera = view.camera
        pose = camera.T_world_cam.double().numpy()
        handle = self.server.scene.add_camera_frustum(
            self.path(str(index)),
            fov=_fov(camera),
            aspect=camera.width / camera.height,
            scale=LENGTH * self.nodes.size,
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
                self.session.choose_photo(view.name)

        return handle


def look_from(client: Any, camera: Camera, ahead: float = 0.5) -> None:
    """Put a client's view where a camera is."""
    pose = camera.T_world_cam.double().numpy()
    with client.atomic():
        client.camera.up_direction = -pose[:3, 1]
        client.camera.position = pose[:3, 3]
        client.camera.look_at = pose[:3, 3] + ahead * pose[:3, 2]
        client.camera.fov = _fov(camera)


def _screen(camera: Camera) -> NDArray[np.float64]:
    """As viser draws a frustum of length 1: half the width and height of its end, and how far that is."""
    y = np.tan(_fov(camera) / 2)
    x = y * camera.width / camera.height
    return np.array([x, y, 1.0]) / np.cbrt(x * y / 3)


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
