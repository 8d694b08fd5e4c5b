"""Tracks that came to be in a session: shown, taken off the page, saved, each of which can be undone.

A branch knows what it branched off; saving it saves that first, for a branch without its origin is half a story.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from scene3d._errors import UsageError
from scene3d.viewer._act_place import Place, find, go, place_of
from scene3d.viewer._track import Track, saved_name, track_of
from scene3d.viewer._what_if import Moment, branch_name

if TYPE_CHECKING:
    from scene3d._simulate import Simulation
    from scene3d.viewer._jobs import Tell
    from scene3d.viewer._session import Session
    from scene3d.viewer._undo import History

__all__ = ["Branches"]


class Branches:
    """What was simulated in one session."""

    def __init__(self, session: Session, history: History) -> None:
        self._session, self._history = session, history
        self._made: list[Track] = []

    def add(self, simulation: Simulation, moment: Moment, place: Place, label: str, deeds: list[str]) -> None:
        """Show new futures and play them.

        Args:
            simulation: What came of it.
            moment: Where it began.
            place: What was shown when somebody asked for it.
            label: In words, e.g. ``push can``.
            deeds: What was done, for the record.
        """
        session = self._session
        document = {**simulation.document(), "deeds": deeds, "branch_future": moment.future}
        with session.lock:
            taken = {track.name for track in (*session.tracks, *self._made)}
            name = _free(branch_name(moment, label), taken)
            made = track_of(name, simulation.rollout, document=document, branch=moment.branch, simulation=simulation)
            if made.bad.all():
                raise UsageError("Every one of these futures came to hold what is no number; there is nothing to show.")
            self._made.append(made)
            session.add(made)
            session.set_clock(playing=True)

            def back() -> None:
                with session.lock:
                    self._take(made)
                    go(session, place)

            self._history.add(label, back, lambda: self._bring(made))

    def forget(self) -> None:
        """The scene is another one."""
        self._made.clear()

    def remove(self) -> str:
        """Take the track that is shown off the page; what is saved stays in its folder. Returns why not, or nothing."""
        session = self._session
        with session.lock:
            if session.shown == 0:
                return "This is the scene as photographed; it stays."
            place, at, track = place_of(session), session.shown, session.track
            self._made.append(track)
            session.remove(at)

            def back() -> None:
                with session.lock:
                    if find(session, track) is None:
                        session.tracks.insert(min(at, len(session.tracks)), self._latest(track))
                        session.shown += session.shown >= at
                go(session, place)

            self._history.add(f"remove {track.name}", back, lambda: self._take(track))
        return ""

    def _bring(self, track: Track) -> None:
        """Show a track that may have left the page."""
        with self._session.lock:
            if find(self._session, track) is None:
                self._session.add(self._latest(track))

    def _take(self, track: Track) -> None:
        """Take a track off the page."""
        with self._session.lock:
            index = find(self._session, track)
            if index is not None:
                self._session.remove(index)

    def save(self) -> str:
        """Write the track that is shown, and what it branched off, into the scene folder; returns why not, or ""."""
        track, scene = self._session.track, self._session.scene
        if track.saved:
            return f"It is saved already, as rollout {track.id or track.name}."
        if track.simulation is None:
            return "This is the scene as photographed; push something, and save what comes of it."

        def work(tell: Tell) -> None:
            from scene3d._scene_world import body_names
            from scene3d.files import load_scene
            from scene3d.report import renew_gallery
            from scene3d.viewer._edit_change import same_bodies

            tell(0.1, track.name)
            if self._session.scene is not scene:
                raise UsageError("The scene was edited meanwhile, so this rollout is of things that are gone.")
            now = load_scene(self._session.folder)
            if not same_bodies(scene, now) or body_names(scene) != body_names(now):
                raise UsageError(
                    "The scene on disk was changed by something else, so this rollout would be one of another scene. "
                    "Open the viewer anew."
                )
            self._save(track)
            tell(0.8, "report")
            renew_gallery(self._session.folder)

        self._session.jobs.run("Save", work)
        return ""

    def _save(self, track: Track) -> Track:
        from scene3d._rollout_folder import save_simulation

        track = self._latest(track)
        simulation = track.simulation
        if track.saved or simulation is None:
            return track
        branch = None
        if track.branch is not None:
            origin = track.branch[0]
            parent = next((t for t in (*self._session.tracks, *self._made) if origin in (t.id, t.name)), None)
            if parent is not None:
                parent = self._save(parent)
            if parent is not None and parent.saved:
                branch = (parent.id, track.branch[1], int(track.document.get("branch_future", 0)))
        # Its origin may be called otherwise by now.
        track = self._latest(track)
        deeds = tuple(track.document.get("deeds", ()))
        path = save_simulation(simulation, self._session.folder, deeds=deeds, branch=branch)
        origin = None if branch is None else branch[:2]
        name = saved_name(path.name, deeds, origin)
        saved = replace(track, name=name, id=path.name, saved=True, branch=origin)
        self._exchange(track, saved)
        return saved

    def _exchange(self, old: Track, new: Track) -> None:
        """Everywhere; what branched off it follows its new name."""

        def changed(track: Track) -> Track:
            if track.poses is old.poses:
                return new
            if track.branch is not None and track.branch[0] == old.name:
                return replace(track, branch=(new.id, track.branch[1]))
            return track

        with self._session.lock:
            self._made = [changed(track) for track in self._made]
            self._session.tracks[:] = [changed(track) for track in self._session.tracks]
            self._session.tracks_changed.send()

    def _latest(self, track: Track) -> Track:
        """The same track, as it is called now."""
        return next((t for t in (*self._session.tracks, *self._made) if t.poses is track.poses), track)


def _free(name: str, taken: set[str]) -> str:
    if name not in taken:
        return name
    return next(f"{name} {number}" for number in range(2, 1 << 20) if f"{name} {number}" not in taken)
