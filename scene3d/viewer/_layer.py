"""What all layers have in common: a switch in the page, and nodes that are drawn anew when what they follow changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from viser import ViserServer

    from scene3d.viewer._body_nodes import BodyNodes
    from scene3d.viewer._session import Session
    from scene3d.viewer._signal import Signal

__all__ = ["Layer"]


class Layer:
    """Nodes below ``/layers/NAME``; subclasses draw them."""

    name = ""
    """As in the names of nodes."""
    label = ""
    hint = ""
    on = False
    """Whether it is drawn when the page opens."""
    moves = False
    """Whether it follows the moment, not just the scene and its tracks."""

    def __init__(self, session: Session, server: ViserServer, nodes: BodyNodes) -> None:
        self.session, self.server, self.nodes = session, server, nodes
        self.handles: dict[str, Any] = {}
        """Nodes by what they show."""
        self.shown = self.on
        self.stale = nodes.painter.add(self.label, self._paint)
        for signal in self.follows():
            signal.connect(self._told)

    def follows(self) -> tuple[Signal, ...]:
        """What makes it stale."""
        session = self.session
        return session.scene_changed, session.tracks_changed, *((session.moment_changed,) if self.moves else ())

    def lacking(self) -> str:
        """Why there is nothing to draw in this scene; empty when there is."""
        return ""

    def switch(self, on: bool) -> None:
        """Show or hide it."""
        self.shown = on
        self.stale()

    def draw(self) -> None:
        """Bring the nodes to what the session shows now; called in the painter's thread."""
        raise NotImplementedError

    def clear(self) -> None:
        """Take all nodes away."""
        for name in tuple(self.handles):
            self.drop(name)

    def drop(self, name: str) -> None:
        """Take a node away; it may be gone already with the body that it hung below."""
        handle = self.handles.pop(name)
        if self.server.scene.get_handle_by_name(handle.name) is handle:
            handle.remove()

    def path(self, name: str) -> str:
        """Name of a node of this layer."""
        return f"/layers/{self.name}/{name}"

    def _told(self) -> None:
        if self.shown:
            self.stale()

    def _paint(self) -> None:
        if self.shown and not self.lacking():
            self.draw()
        elif self.handles:
            self.clear()
