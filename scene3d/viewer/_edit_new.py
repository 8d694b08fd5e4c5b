"""Controls that find objects: everything that stands on a table, or the one thing that is clicked on next.

A scene without objects is segmented as a whole, as by `scene3d segment`; photos are then looked for, because masks may
lie beside them, and that they are gone is said. A click needs no photo.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scene3d.viewer._edit_click import add_clicked, where_ray_meets
from scene3d.viewer._edit_job import Tellable, change_scene, show_scene
from scene3d.viewer._picture_moment import moment_of

if TYPE_CHECKING:
    from viser import ViserServer

    from scene3d._scene import Scene
    from scene3d.viewer._jobs import Tell
    from scene3d.viewer._session import Session

__all__ = ["add_new_controls"]

TOOL = "point"
"""Name of the tool that takes the click."""
MARK, CANCEL = "Add by a click", "Click on the thing, or cancel"


def add_new_controls(session: Session, server: ViserServer, said: Tellable) -> None:
    """Add the controls where the caller's container is open.

    Args:
        session: Whose scene gets new objects.
        server: Where clicks come from.
        said: Is told what became of it.
    """
    gui = server.gui
    with gui.add_folder("New object"):
        name = gui.add_text("Name", "", hint="Empty: it gets a number.")
        mark = gui.add_button(MARK, hint="Then click on a thing in the page that is no object yet.")
        find = gui.add_button("Find objects", color="gray", hint="Tell apart everything that stands on a surface.")

    def follow() -> None:
        mark.label = CANCEL if session.tool == TOOL else MARK
        find.visible = not session.scene.objects

    @mark.on_click
    def _(_: Any) -> None:
        session.take_clicks("" if session.tool == TOOL else TOOL)

    @find.on_click
    def _(_: Any) -> None:
        session.jobs.run("Finding objects", lambda tell: _find(session, said, tell))

    @server.scene.on_click()
    def _(event: Any) -> None:
        if session.tool == TOOL:
            session.take_clicks("")
            _add(session, event.ray_origin, event.ray_direction, name.value.strip(), said)

    session.tool_changed.connect(follow)
    session.scene_changed.connect(follow)
    follow()


def _add(session: Session, origin: Any, direction: Any, name: str, said: Tellable) -> None:
    """Make what a ray meets an object, or select the object that it meets."""
    moment, made = moment_of(session), [name]

    def change(scene: Scene, tell: Tell) -> tuple[Scene, str]:
        tell(0.02, "looking where the click is")
        met = where_ray_meets(moment, origin, direction)
        if met.component:
            session.select(met.component - 1)
            raise _known(moment.scene.objects[met.component - 1].name)
        changed, words = add_clicked(scene, met, origin, name, tell)
        made[0] = changed.objects[-1].name
        return changed, words

    change_scene(session, f"Adding {name or 'an object'}", change, said, select=lambda: made[0])


def _known(name: str) -> Exception:
    from scene3d._errors import SegmentError

    return SegmentError(f"That is {name}, an object already; it is selected now.")


def _find(session: Session, said: Tellable, tell: Tell) -> None:
    from scene3d.files import load_scene
    from scene3d.segment import segment_folder

    segment_folder(session.folder, progress=lambda what, share: tell(0.6 * share, what))
    scene = load_scene(session.folder)
    notes = scene.source.get("segment", {}).get("notes", ())
    count = len(scene.objects)
    words = " ".join([f"{count} object{'s' if count != 1 else ''} found.", *map(str, notes)])
    show_scene(session, scene, words, said, tell)
