"""What is drawn besides splats, and how much of it: a switch for each layer, with a hint.

Layers that have nothing to show in this scene are greyed out and say why. The photo of a camera that was clicked is
shown below them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scene3d.viewer._layer_arrows import ContactLayer, VelocityLayer
from scene3d.viewer._layer_bodies import ColliderLayer, LabelLayer, ParticleLayer, SplatLayer
from scene3d.viewer._layer_cameras import CameraLayer
from scene3d.viewer._layer_ghosts import FutureLayer, OtherTrackLayer
from scene3d.viewer._layer_paths import TrajectoryLayer, TubeLayer
from scene3d.viewer._picture_views import load_photo, photo_words

if TYPE_CHECKING:
    from viser import GuiEvent, ViserServer

    from scene3d.viewer._body_nodes import BodyNodes
    from scene3d.viewer._layer import Layer
    from scene3d.viewer._session import Session

__all__ = ["add_layers_panel"]

LAYERS: tuple[type[Layer], ...] = (
    SplatLayer,
    ColliderLayer,
    ParticleLayer,
    LabelLayer,
    CameraLayer,
    FutureLayer,
    OtherTrackLayer,
    TrajectoryLayer,
    TubeLayer,
    VelocityLayer,
    ContactLayer,
)


def add_layers_panel(session: Session, server: ViserServer, nodes: BodyNodes) -> None:
    """Add the controls where the caller's container is open."""
    for kind in LAYERS:
        _add_switch(kind(session, server, nodes), session, server)
    _add_photo(session, server)


def _add_switch(layer: Layer, session: Session, server: ViserServer) -> None:
    box = server.gui.add_checkbox(layer.label, layer.on, hint=layer.hint)

    @box.on_update
    def _(event: GuiEvent[Any]) -> None:
        if event.client is not None:
            layer.switch(box.value)

    def renew() -> None:
        lacking = layer.lacking()
        box.disabled = bool(lacking)
        box.hint = lacking or layer.hint

    session.scene_changed.connect(renew)
    session.tracks_changed.connect(renew)
    renew()
    layer.stale()


def _add_photo(session: Session, server: ViserServer) -> None:
    import numpy as np

    blank = np.zeros((3, 4, 3), dtype=np.uint8)
    picture = server.gui.add_image(blank, format="jpeg", jpeg_quality=90, visible=False)
    words = server.gui.add_markdown("", visible=False)

    def renew() -> None:
        view = next((view for view in session.scene.views if view.name == session.photo), None)
        photo = None if view is None else load_photo(view)
        if photo is not None:
            picture.image = photo.rgb
        picture.visible = photo is not None
        words.content = "" if view is None else photo_words(view, photo)
        words.visible = view is not None

    session.photo_chosen.connect(renew)
    session.scene_changed.connect(renew)
