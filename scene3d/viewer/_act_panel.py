"""Acting on the scene: which object, what to do to it, what came of it.

The panel holds no state of its own: it calls `Acts` and the tools, and follows their signals. Values that it sets
itself come back to it without a client, and are passed over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scene3d.viewer._act_clicks import select_by_click, to_the_right
from scene3d.viewer._act_highlight import BRAND, Highlight
from scene3d.viewer._act_look import look_at_selected, sees_selected
from scene3d.viewer._act_sliders import ChangeSliders
from scene3d.viewer._act_text import about, outcome_text
from scene3d.viewer._acts import Acts
from scene3d.viewer._drop_tool import HIGHEST, LOWEST, DropTool
from scene3d.viewer._gizmo import Gizmo
from scene3d.viewer._push_tool import PushTool
from scene3d.viewer._session import NO_OBJECT

if TYPE_CHECKING:
    from viser import GuiEvent, ViserServer

    from scene3d.viewer._body_nodes import BodyNodes
    from scene3d.viewer._session import Session

__all__ = ["add_act_panel"]

TOOLS = ("Push", "Drop", "Move")


def add_act_panel(session: Session, server: ViserServer, nodes: BodyNodes) -> Acts:
    """Add the controls where the caller's container is open; returns what they can do."""
    return _Panel(session, server).acts


class _Panel:
    def __init__(self, session: Session, server: ViserServer) -> None:
        self._session, self._gui = session, server.gui
        self.acts = Acts(session)
        self._push, self._drop = PushTool(self.acts, server), DropTool(self.acts, server)
        self._gizmo, self._highlight = Gizmo(self.acts, server), Highlight(session, server)
        self._add_object()
        self._add_tools()
        self._add_start()
        self._result = self._gui.add_markdown("", visible=False)
        self._add_history(server)
        ChangeSliders(self.acts, server)
        select_by_click(session, server, self._push, self._drop, self._gizmo)
        for signal in (session.selection_changed, session.scene_changed, self.acts.changed):
            signal.connect(self._follow)
        for signal in (self._push.changed, self._drop.changed):
            signal.connect(self._follow_tools)
        session.moment_changed.connect(self._follow_moment)
        session.tracks_changed.connect(self._follow_track)
        self.acts.history.changed.connect(self._follow_track)
        self._follow()
        self._follow_track()

    # What there is.

    def _add_object(self) -> None:
        self._object = self._gui.add_dropdown("Object", self._names(), hint="Or click it in the scene")
        self._about = self._gui.add_markdown("")

        @self._object.on_update
        def _(event: GuiEvent[Any]) -> None:
            if event.client is not None:
                self._push.facing = to_the_right(event.client.camera.wxyz)
                names = self._names()
                self._session.select(names.index(event.target.value) - 1 if event.target.value in names else None)
                if not sees_selected(self._session, event.client):
                    look_at_selected(self._session, event.client)

        self._gui.add_command("Look at the selected object", hotkey="F").on_trigger(
            lambda event: _say(event, look_at_selected(self._session, event.client))
        )

    def _add_tools(self) -> None:
        gui = self._gui
        self._tool = gui.add_dropdown("Tool", TOOLS, hint="What the arrow or the handles in the scene do")
        self._angle = gui.add_slider("Direction [°]", 0.0, 360.0, 1.0, 0.0, hint="Or drag the tip of the arrow")
        self._force = gui.add_slider("Force [N]", 0.1, 10.0, 0.1, 1.0, hint="Or drag the tip of the arrow")
        self._pushed = gui.add_slider("For [s]", 0.02, 1.0, 0.02, 0.2, hint="How long it is pushed")
        self._height = gui.add_slider("Height [m]", LOWEST, HIGHEST, 0.01, 0.1, hint="Or drag the end of the arrow")
        self._back = gui.add_button("Put back", color="gray", hint="To where this moment has it")
        self._tool.on_update(lambda _: self._follow())

        @self._angle.on_update
        def _(event: GuiEvent[Any]) -> None:
            if event.client is not None:
                self._push.set(angle=float(event.target.value))

        @self._force.on_update
        def _(event: GuiEvent[Any]) -> None:
            if event.client is not None:
                self._push.set(force=float(event.target.value))

        @self._pushed.on_update
        def _(event: GuiEvent[Any]) -> None:
            if event.client is not None:
                self._push.set(seconds=float(event.target.value))

        @self._height.on_update
        def _(event: GuiEvent[Any]) -> None:
            if event.client is not None:
                self._drop.set(float(event.target.value))

        @self._back.on_click
        def _(_: GuiEvent[Any]) -> None:
            if self._session.selected is not None:
                self.acts.put_back(self._session.selected)

    def _add_start(self) -> None:
        self._start = self._gui.add_button("Push", color=BRAND, hint="From the moment shown on")
        self._start.on_click(lambda event: _say(event, self._begin()))

    def _add_history(self, server: ViserServer) -> None:
        kept = self._gui.add_button_group(
            "Rollout", ("Save", "Remove"), hint="Save writes it into the scene folder; Remove takes it off the page"
        )
        done = self._gui.add_button_group("History", ("Undo", "Redo"), hint="Of what was done in this tab")
        does = {
            "Save": self.acts.branches.save,
            "Remove": self.acts.branches.remove,
            "Undo": self._undo,
            "Redo": self._redo,
        }
        for buttons in (kept, done):
            buttons.on_click(lambda event: _say(event, does[event.target.value]()))
        server.gui.add_command("Undo", hotkey="Z", modifier="cmd/ctrl").on_trigger(
            lambda event: _say(event, self._undo())
        )
        server.gui.add_command("Redo", hotkey="Z", modifier="cmd/ctrl+shift").on_trigger(
            lambda event: _say(event, self._redo())
        )

    # What it does.

    def _begin(self) -> str:
        index, aim = self._session.selected, self._push.aim
        if index is None:
            return "Choose an object first: click it, or take it from the list."
        if self._tool.value == "Move":
            return self.acts.let_go(index)
        if aim is None:
            return self.acts.why_not(index)
        if self._tool.value == "Drop":
            return self.acts.drop(index, self._drop.height)
        return self.acts.push(index, self._push.force(), aim.seconds)

    def _undo(self) -> str:
        return "" if self.acts.history.undo() else "There is nothing to undo."

    def _redo(self) -> str:
        return "" if self.acts.history.redo() else "There is nothing to do again."

    # What it shows.

    def _names(self) -> tuple[str, ...]:
        return (NO_OBJECT, *(thing.name for thing in self._session.scene.objects))

    def _follow(self) -> None:
        session, acts = self._session, self.acts
        with session.lock:
            index = session.selected
            if self._object.options != self._names():
                self._object.options = self._names()
            self._object.value = self._names()[0 if index is None else index + 1]
            self._about.content = about(acts, index)
            reason = "" if index is None else acts.why_not(index)
            chosen = index is not None and session.world is not None
            tool = self._tool.value if chosen else ""
            usable = chosen and not reason
            self._tool.visible = chosen
            for handle in (self._angle, self._force, self._pushed):
                handle.visible = usable and tool == "Push"
            self._height.visible = usable and tool == "Drop"
            self._back.visible = tool == "Move" and index in session.moved
            self._start.visible = usable or tool == "Move"
            if chosen and index is not None:
                verb = {"Push": "Push", "Drop": "Drop", "Move": "Let go of"}[tool]
                many = f"{acts.futures} future{'s' * (acts.futures > 1)}"
                self._start.label = f"{verb} {session.scene.objects[index].name} · {many}"
            self._start.disabled = acts.full
            self._push.show(tool == "Push")
            self._drop.show(tool == "Drop")
            self._gizmo.show(tool == "Move")
            self._follow_tools()

    def _follow_tools(self) -> None:
        aim = self._push.aim
        if aim is not None:
            self._force.max, self._force.min = aim.most, round(aim.most / 100, 2)
            self._force.step = round(aim.most / 100, 2)
            self._angle.value, self._force.value, self._pushed.value = aim.angle, aim.force, aim.seconds
        self._height.value = self._drop.height

    def _follow_moment(self) -> None:
        moved = self._session.selected in self._session.moved
        if self._back.visible != (moved and self._tool.value == "Move"):
            self._back.visible = not self._back.visible

    def _follow_track(self) -> None:
        with self._session.lock:
            text = outcome_text(self._session.track)
            self._result.content, self._result.visible = text, bool(text)


def _say(event: Any, words: str) -> None:
    """Tell whoever clicked why nothing happened."""
    client = getattr(event, "client", None)
    if words and client is not None:
        client.add_notification("Not now", words, auto_close_seconds=6.0)
