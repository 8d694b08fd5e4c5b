"""An edit as a job: the scene is read anew, changed, saved through its commit point, and shown.

Reading it anew means that what somebody changed from a terminal meanwhile is not lost. Rollouts stay in the page, and
so does the moment shown, as long as they are of the same bodies, under whatever names; those that are not stay on disk.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from scene3d.viewer._edit_change import same_bodies
from scene3d.viewer._renamed_tracks import renamed_track

if TYPE_CHECKING:
    from concurrent.futures import Future

    from scene3d._scene import Scene
    from scene3d.viewer._jobs import Tell
    from scene3d.viewer._session import Session

__all__ = ["Change", "Tellable", "change_scene", "show_scene"]

Change = Callable[["Scene", "Tell"], tuple["Scene", str]]
"""A scene -> the changed one, and what changed in words."""
Tellable = Callable[[str], None]


def change_scene(
    session: Session, label: str, change: Change, said: Tellable, *, select: Callable[[], str] | None = None
) -> Future[None]:
    """Change the scene in the background.

    Args:
        session: Whose scene.
        label: What is being done, for the progress bar.
        change: Gives the new scene; what it raises is shown and changes nothing.
        said: Is told what changed, in words.
        select: Name of the object that is selected afterwards; None keeps the selection by its name.
    """

    def work(tell: Tell) -> None:
        from scene3d.files import load_scene, save_scene

        scene = load_scene(session.folder)
        changed, words = change(scene, tell)
        tell(0.6, "saving")
        save_scene(changed, session.folder, overwrite=True)
        show_scene(session, load_scene(session.folder), words, said, tell, select() if select else None)

    return session.jobs.run(label, work)


def show_scene(
    session: Session, scene: Scene, words: str, said: Tellable, tell: Tell, select: str | None = None
) -> None:
    """Show a scene that was saved, with what can stay of the page's rollouts and selection, and renew its report."""
    from scene3d.report import renew_objects_report

    tell(0.7, "showing")
    world = session.world_of(scene)
    with session.lock:
        before, tracks, chosen = session.scene, session.tracks[1:], session.selected
        names = [thing.name for thing in scene.objects]
        same = same_bodies(before, scene)
        if chosen is not None and not same:
            name = before.objects[chosen].name
            chosen = names.index(name) if name in names else None
        session.replace_scene(scene, world, [renamed_track(track, before, scene) for track in tracks] if same else ())
        session.select(names.index(select) if select in names else chosen)
    if tracks and not same:
        words += f" {_counted(len(tracks))} of the bodies before left the page; what was saved is still on disk."
    said(words)
    tell(0.85, "renewing the report")
    renew_objects_report(session.folder / "report", scene, title=session.folder.resolve().name)


def _counted(count: int) -> str:
    return "One rollout" if count == 1 else f"{count} rollouts"
