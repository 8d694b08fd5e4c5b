"""What the viewer has to say: what is shown, what cannot be done with it, what is being worked on, what went wrong."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from viser import ViserServer

    from scene3d.viewer._body_nodes import BodyNodes
    from scene3d.viewer._session import Session

__all__ = ["add_help", "add_status", "scene_words"]

SHOWN_FOR = 8.0
"""How long an error stays in the corner [s]."""
HELP = (
    "**Drag** turns the view, **right drag** shifts it, the **wheel** comes closer. **Click** selects an object, "
    "**F** looks at it.\n\n"
    "**Space** plays, **shift + arrows** go frame by frame, **ctrl + Z** takes back, "
    "**ctrl + shift + P** lists all commands."
)


def add_status(session: Session, server: ViserServer, nodes: BodyNodes) -> None:
    """Add a line about the scene, and a bar while something is being worked on."""
    words = server.gui.add_markdown(scene_words(session, nodes))
    label = server.gui.add_markdown("", visible=False)
    bar = server.gui.add_progress_bar(0.0, visible=False, animated=True)
    told = [""]
    lock = threading.Lock()

    def follow() -> None:
        with lock:
            now, failed = session.jobs.now, session.jobs.failed
            label.visible = bar.visible = now is not None
            if now is not None:
                label.content = f"{now.label} {now.words}".strip()
                bar.value = round(100.0 * min(max(now.share, 0.0), 1.0), 1)
            fresh = failed if failed != told[0] else ""
            told[0] = failed
        if fresh:
            _notify(server, "That did not work", fresh, "red")

    def renew() -> None:
        words.content = scene_words(session, nodes)

    session.jobs.changed.connect(follow)
    session.scene_changed.connect(renew)
    session.tracks_changed.connect(renew)
    session.noticed.connect(lambda: _notify(server, "Note", session.notice, "yellow"))


def add_help(server: ViserServer) -> None:
    """Add how to move about, folded away."""
    with server.gui.add_folder("Help", expand_by_default=False):
        server.gui.add_markdown(HELP)


def scene_words(session: Session, nodes: BodyNodes) -> str:
    """How much there is, how much of it is drawn, and what cannot be done, in Markdown."""
    scene, arrays = session.scene, nodes.arrays
    count = len(scene.objects)
    things = "no objects" if not count else f"{count} object{'s' if count > 1 else ''}"
    lines = [f"{things}, {len(scene.splats):,} splats"]
    if arrays is not None and arrays.shown < arrays.total:
        lines[0] += f" ({arrays.shown:,} drawn)"
    if not count:
        lines.append("Nothing can move yet: find objects with `scene3d segment`.")
    elif session.world is None:
        lines.append("It has no metric scale, so nothing can be pushed: set it with `scene3d scale`.")
    bad = int(session.track.bad.sum())
    if bad:
        lines.append(f"**{bad} of {session.track.futures} futures hold what is no number and are not shown.**")
    return "\n\n".join(lines)


def _notify(server: ViserServer, title: str, text: str, color: Literal["red", "yellow"]) -> None:
    for client in server.get_clients().values():
        client.add_notification(title, text, auto_close_seconds=SHOWN_FOR, color=color)
