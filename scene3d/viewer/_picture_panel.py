"""The scene as our own renderer sees it, beside the photo of the same camera.

The page's splats have one colour each; here is what the renderer makes of them, from the page's present view, from a
camera of the capture, or from a camera file. What changes asks a thread for a picture; the panel shows what it drew.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np

from scene3d.report._moment import KINDS, Moment, colours, draw
from scene3d.viewer._layer_cameras import look_from
from scene3d.viewer._picture_moment import moment_of
from scene3d.viewer._picture_thread import PictureThread
from scene3d.viewer._picture_views import PAGE, camera_of_client, load_photo, photo_words, views_of

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from viser import ClientHandle, ViserServer

    from scene3d._camera import Camera
    from scene3d._scene import SceneView
    from scene3d.capture._capture import Photo
    from scene3d.viewer._body_nodes import BodyNodes
    from scene3d.viewer._session import Session

__all__ = ["PicturePanel", "add_picture_panel"]

MOVING, RESTING, CAPTURED = 240, 640, 960
"""Longest side of pictures while things move, when they rest, and from cameras of the capture [px]."""
EMPTY = (38, 40, 46)


def add_picture_panel(session: Session, server: ViserServer, nodes: BodyNodes) -> PicturePanel:
    """Add the controls where the caller's container is open."""
    return PicturePanel(session, server)


class PicturePanel:
    """Controls, the picture and the photo."""

    def __init__(self, session: Session, server: ViserServer) -> None:
        self._session, self._server = session, server
        self._views = views_of(session.scene, session.folder)
        self._photos: dict[str, Photo | None] = {}
        self._client: ClientHandle | None = None
        self._lock = threading.Lock()
        self._closed = threading.Event()
        gui = server.gui
        blank = np.full((3, 4, 3), EMPTY, dtype=np.uint8)
        self.view = gui.add_dropdown(
            "View",
            (PAGE, *self._views),
            hint="Where the picture is taken from: your own view, a camera of the capture or of SCENE/cameras/*.json.",
        )
        self.kind = gui.add_dropdown(
            "Show", tuple(kind.capitalize() for kind in KINDS), hint="Colours, depth, or which object is where."
        )
        self.picture = gui.add_image(blank, label="Our renderer", format="jpeg", jpeg_quality=90)
        self.words = gui.add_markdown("")
        self.photo = gui.add_image(blank, label="Photo", format="jpeg", jpeg_quality=90, visible=False)
        self._buttons()
        self._thread = PictureThread(self._draw)
        self._follow()

    def render(self, longest_side: int | None = None) -> NDArray[np.uint8] | None:
        """The picture as it would be at rest, (H, W, 3); None without a page to take the view of.

        Args:
            longest_side: Of the page's view [px]; None takes the page's own size. Views of cameras have their size.
        """
        camera = self._camera(longest_side)
        return None if camera is None else draw(moment_of(self._session), camera, self._kind())[0]

    def close(self) -> None:
        """Draw nothing any more."""
        self._closed.set()
        self._thread.close()

    def _buttons(self) -> None:
        from scene3d.viewer._picture_save import add_save_buttons

        look = self._server.gui.add_button(
            "Look from there", visible=False, hint="Move your own view to where this picture is taken from."
        )
        add_save_buttons(self._session, self._server, self.render)

        @look.on_click
        def _(event: Any) -> None:
            view = self._views.get(self.view.value)
            if event.client is not None and view is not None:
                seen = event.client.camera
                ahead = float(np.linalg.norm(np.asarray(seen.look_at) - np.asarray(seen.position)))
                look_from(event.client, view.camera, max(ahead, 0.1))

        @self.view.on_update
        def _(_: Any) -> None:
            look.visible = self.view.value != PAGE
            self._thread.ask()

        @self.kind.on_update
        def _(_: Any) -> None:
            self._thread.ask()

    def _follow(self) -> None:
        """Ask for a picture whenever something changes."""
        session = self._session
        session.moment_changed.connect(self._thread.ask)
        session.scene_changed.connect(self._renew)
        session.closed.connect(self.close)
        session.photo_chosen.connect(self._choose)

        @self._server.on_client_connect
        def _(client: ClientHandle) -> None:
            self._moved(client)
            client.camera.on_update(lambda camera: self._moved(camera.client))

        @self._server.on_client_disconnect
        def _(client: ClientHandle) -> None:
            if self._client is client:
                self._client = None
                self._thread.ask()

        self._thread.ask()

    def _moved(self, client: ClientHandle) -> None:
        self._client = client
        if self.view.value == PAGE:
            self._thread.ask()

    def _renew(self) -> None:
        """Another scene: other views, perhaps."""
        with self._lock:
            self._views = views_of(self._session.scene, self._session.folder)
        options = (PAGE, *self._views)
        if tuple(self.view.options) != options:
            self.view.options = options
        self._thread.ask()

    def _choose(self) -> None:
        """Somebody chose a photo elsewhere in the page."""
        with self._lock:
            found = [name for name, view in self._views.items() if view.name == self._session.photo]
        if found:
            self.view.value = found[0]

    def _kind(self) -> Any:
        return str(self.kind.value).lower()

    def _chosen(self) -> SceneView | None:
        with self._lock:
            return self._views.get(self.view.value)

    def _camera(self, longest_side: int | None) -> Camera | None:
        view = self._chosen()
        if view is not None:
            return view.camera
        client = self._client or next(iter(self._server.get_clients().values()), None)
        if client is None:
            return None
        return camera_of_client(client, longest_side or max(client.camera.image_width, client.camera.image_height))

    def _draw(self, moving: bool) -> None:
        """What the thread does; an error becomes words in the panel."""
        try:
            camera, view = self._camera(RESTING), self._chosen()
            if camera is None:
                return
            moment, kind = moment_of(self._session), self._kind()
            picture, words = draw(moment, camera.fitted(MOVING if moving else CAPTURED), kind)
            if self._closed.is_set():
                return
            self.picture.image = picture
            if not moving:
                photo = None if view is None else self._photo(view)
                self._show_photo(photo)
                self.words.content = " · ".join(filter(None, (_size(picture), words, self._likeness(moment, kind))))
        except Exception as error:
            self.words.content = f"No picture: {error}"

    def _show_photo(self, photo: Photo | None) -> None:
        if photo is not None:
            self.photo.image = photo.rgb
        self.photo.visible = photo is not None

    def _photo(self, view: SceneView) -> Photo | None:
        if view.name not in self._photos:
            self._photos = {view.name: load_photo(view)}
        return self._photos[view.name]

    def _likeness(self, moment: Moment, kind: str) -> str:
        """How near the picture comes to the photo, where that can be said."""
        view = self._chosen()
        if view is None or kind != "colour":
            return ""
        photo = self._photo(view)
        if photo is None:
            return "" if view.photo is None else photo_words(view, None)
        if not moment.at_rest:
            return "objects are not where the photo shows them"
        return f"**{_psnr(moment, view, photo):.1f} dB**" + (", held out" if view.held_out else ", fitted")


def _psnr(moment: Moment, view: SceneView, photo: Photo) -> float:
    """Likeness to a photo [dB], as in the report."""
    import torch

    from scene3d.report import psnr

    height, width = photo.rgb.shape[:2]
    rgb = torch.from_numpy(photo.rgb.astype(np.float32) / 255)
    if photo.outside is not None:
        rgb[torch.from_numpy(photo.outside)] = 0.0
    frame = colours(moment, view.camera.resized(width, height))
    return psnr(frame.rgb.cpu(), rgb, torch.from_numpy(np.asarray(photo.valid)))


def _size(picture: NDArray[np.uint8]) -> str:
    return f"{picture.shape[1]} x {picture.shape[0]}"
