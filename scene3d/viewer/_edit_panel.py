"""Segmenting and editing in the page: what `scene3d edit` and `scene3d segment --point` do, on what is selected.

Controls fill themselves with what is known of the selected object. Every change is a job that saves the scene through
its commit point; nothing asks whether one is sure, for Undo takes anything back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scene3d.viewer._edit_change import LEAST_MASS, Said, apply, said_of
from scene3d.viewer._edit_job import change_scene, show_scene
from scene3d.viewer._session import NO_OBJECT

if TYPE_CHECKING:
    from collections.abc import Callable

    from viser import ViserServer

    from scene3d._scene import Scene
    from scene3d.viewer._body_nodes import BodyNodes
    from scene3d.viewer._jobs import Tell
    from scene3d.viewer._session import Session

__all__ = ["EditPanel", "add_edit_panel"]


def add_edit_panel(session: Session, server: ViserServer, nodes: BodyNodes) -> EditPanel:
    """Add the controls where the caller's container is open."""
    return EditPanel(session, server)


class EditPanel:
    """Controls of one object, of all, and for new ones."""

    def __init__(self, session: Session, server: ViserServer) -> None:
        self._session, self._gui = session, server.gui
        self._shown: Said | None = None
        self._add_object()
        self._add_history()
        self._said = self._gui.add_markdown("", visible=False)
        self._add_pair()
        self._add_new(server)
        for signal in (session.selection_changed, session.scene_changed):
            signal.connect(self._fill)
        self._fill()

    def _add_object(self) -> None:
        from dynamics._material import load_materials

        gui = self._gui
        self._object = gui.add_dropdown("Object", (NO_OBJECT,), hint="Also by a click on it in the page.")
        self._form = gui.add_form(None)
        with self._form:
            self._name = gui.add_text("Name", "")
            self._material = gui.add_dropdown("Material", tuple(load_materials()), hint="Its mass follows, if guessed.")
            self._mass = gui.add_number(
                "Mass [kg]", 0.1, min=0.0, step=LEAST_MASS, hint="Say it only if it was weighed."
            )
            self._kind = gui.add_dropdown("Kind", ("rigid", "deformable"))
            save = gui.add_button("Save changes", hint="Into the scene folder, as `scene3d edit` does.")
        self._deeds = gui.add_button_group("Edit", ("Duplicate", "Split", "Remove"))

        @self._object.on_update
        def _(event: Any) -> None:
            if event.client is not None:
                names = [thing.name for thing in self._session.scene.objects]
                chosen = self._object.value
                self._session.select(names.index(chosen) if chosen in names else None)

        save.on_click(lambda _: self._save())
        save.on_click(lambda _: self._form.submit())  # It is not dirty any more.
        self._form.on_submit(lambda event: self._save() if event.client is not None else None)
        self._deeds.on_click(lambda _: self._do(str(self._deeds.value)))

    def _add_pair(self) -> None:
        self._other = self._gui.add_dropdown("Merge with", (NO_OBJECT,))
        self._merge = self._gui.add_button(
            "Merge", color="gray", hint="Make the selected object and this one a single object."
        )
        self._merge.on_click(lambda _: self._merge_two())

    def _add_new(self, server: ViserServer) -> None:
        from scene3d.viewer._edit_new import add_new_controls

        add_new_controls(self._session, server, self._tell)

    def _add_history(self) -> None:
        history = self._gui.add_button_group("History", ("Undo", "Redo"))
        history.on_click(lambda _: self._restore(back=history.value == "Undo"))

    def _tell(self, words: str) -> None:
        self._said.content, self._said.visible = words, True

    def _fill(self) -> None:
        """Show what is known of the selected object."""
        session = self._session
        with session.lock:
            scene, index = session.scene, session.selected
        names = tuple(thing.name for thing in scene.objects)
        chosen = NO_OBJECT if index is None else names[index]
        _choose(self._object, (NO_OBJECT, *names), chosen)
        others = tuple(name for name in names if name != chosen) or (NO_OBJECT,)
        _choose(self._other, others, self._other.value if self._other.value in others else others[0])
        self._shown = None if index is None else said_of(scene, index)
        if self._shown is not None:
            self._name.value, self._mass.value = self._shown.name, self._shown.mass
            self._kind.value = self._shown.kind
            options = self._material.options
            if self._shown.material not in options:
                self._material.options = (*options, self._shown.material)
            self._material.value = self._shown.material
        for part in (self._form, self._deeds, self._other, self._merge):
            part.visible = self._shown is not None
        if len(names) < 2:
            self._other.visible = self._merge.visible = False

    def _save(self) -> None:
        shown = self._shown
        if shown is None:
            return
        said = Said(self._name.value, self._material.value, float(self._mass.value), self._kind.value)

        def change(scene: Scene, tell: Tell) -> tuple[Scene, str]:
            return apply(scene, shown.name, said, shown)

        renamed = said.name.strip()
        change_scene(self._session, f"Changing {shown.name}", change, self._tell, select=lambda: renamed)

    def _do(self, deed: str) -> None:
        from scene3d.edit import duplicate, remove, split

        shown = self._shown
        if shown is None:
            return
        name = shown.name
        deeds: dict[str, tuple[Callable[[Scene], Scene], str]] = {
            "Duplicate": (lambda scene: duplicate(scene, name), f"There is a copy of {name} beside it."),
            "Split": (lambda scene: split(scene, name), f"{name} is in its separate pieces now."),
            "Remove": (lambda scene: remove(scene, name), f"{name} is gone. Undo brings it back."),
        }
        change, words = deeds[deed]
        change_scene(self._session, f"{deed} {name}", lambda scene, _: (change(scene), words), self._tell)

    def _merge_two(self) -> None:
        from scene3d.edit import merge

        shown, other = self._shown, str(self._other.value)
        if shown is None or other == NO_OBJECT:
            return
        name = shown.name

        def change(scene: Scene, _: Tell) -> tuple[Scene, str]:
            return merge(scene, name, other), f"{name} and {other} are {name} now."

        change_scene(self._session, f"Merging {name} and {other}", change, self._tell)

    def _restore(self, *, back: bool) -> None:
        from scene3d.files import restore_next, restore_previous

        folder = self._session.folder

        def work(tell: Tell) -> None:
            scene = restore_previous(folder) if back else restore_next(folder)
            words = "The scene is as it was before the last change." if back else "What was undone is done again."
            show_scene(self._session, scene, words, self._tell, tell)

        self._session.jobs.run("Undo" if back else "Redo", work)


def _choose(dropdown: Any, options: tuple[str, ...], value: str) -> None:
    """Other options and one of them, without a moment in which the value is none of them."""
    if tuple(dropdown.options) != options:
        dropdown.options = options
    if dropdown.value != value:
        dropdown.value = value
