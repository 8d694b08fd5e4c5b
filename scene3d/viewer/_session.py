"""What is being looked at: one scene, its tracks, the moment shown, what is selected.

Panels and tools call its methods; what has changed is told by signals, and nodes in the page follow those. All clients
share one session. Its methods may be called from any thread: they hold `lock`. What takes longer than half a second
runs in `jobs`, never in a callback.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from scene3d.viewer._clock import Clock
from scene3d.viewer._jobs import Jobs
from scene3d.viewer._signal import Signal
from scene3d.viewer._track import Track, still_track

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from dynamics import World
    from scene3d._scene import Scene

__all__ = ["NO_OBJECT", "Session", "physics_of"]

NO_OBJECT = "none / click one"
"""Among names in lists; no object is called so, for no name has a slash."""
PHOTOS = "photos"
"""Name of the track in which nothing moves."""


class Session:
    """One scene in one viewer."""

    def __init__(self, folder: Path, scene: Scene, world: World | None) -> None:
        self.folder = folder
        """The scene folder."""
        self.scene = scene
        self.world = world
        """Its physics; None when it has no objects or no metric scale."""
        self.assume_scale = False
        """Take a unit of a scene without metric scale for a metre."""
        self.tracks: list[Track] = [still_track(PHOTOS, _rest(scene, world))]
        """The first is the scene as the photos show it."""
        self.shown = 0
        """Which track is shown as splats."""
        self.future = 0
        """Which of its futures."""
        self.clock = Clock()
        self.selected: int | None = None
        """Object that is selected."""
        self.moved: dict[int, NDArray[np.float32]] = {}
        """Poses (7,) of objects that somebody put elsewhere by hand, at the moment shown; forgotten when it changes."""
        self.tool = ""
        """Which tool has the clicks in the page now; empty: they select."""
        self.photo = ""
        """Name of the view of the capture that somebody chose last; empty when nobody did."""
        self.shields: list[Callable[[ArrayLike, ArrayLike], bool]] = []
        """Whether something that takes clicks itself lies on a ray from an origin (3,) in a direction (3,)."""
        self.lock = threading.RLock()
        self.jobs = Jobs()
        self.scene_changed = Signal()
        """Splats, objects or the world are others."""
        self.tracks_changed = Signal()
        """There are other tracks, or another one is shown."""
        self.moment_changed = Signal()
        """Bodies stand elsewhere."""
        self.clock_changed = Signal()
        """Time runs or stands, or at another speed."""
        self.selection_changed = Signal()
        self.tool_changed = Signal()
        self.photo_chosen = Signal()
        self.notice = ""
        """What was last to be told to people."""
        self.noticed = Signal()
        self.closed = Signal()
        """The viewer ends: threads should too."""

    @property
    def track(self) -> Track:
        """The one that is shown."""
        return self.tracks[self.shown]

    def poses(self) -> NDArray[np.float32]:
        """Where the bodies are at the moment shown, (nb, 7)."""
        with self.lock:
            poses = self.track.poses_at(self.future, self.clock.time)
            for index, pose in self.moved.items():
                poses[index] = pose
            return poses

    def particles(self) -> NDArray[np.float32] | None:
        """Where the particles of all deformables are in the world, (np, 3); None when all are as at rest."""
        with self.lock:
            return self.track.particles_at(self.future, self.clock.time)

    def say(self, notice: str) -> None:
        """Tell people something, once."""
        with self.lock:
            self.notice = notice
            self.noticed.send()

    def tick(self, seconds: float) -> None:
        """Let real time pass [s]."""
        with self.lock:
            was_playing = self.clock.playing
            if self.clock.advance(seconds):
                self._new_moment()
            if self.clock.playing != was_playing:
                self.clock_changed.send()

    def set_clock(self, *, playing: bool | None = None, speed: float | None = None, loop: bool | None = None) -> None:
        """Let time run or stand, faster or slower, once or again and again."""
        with self.lock:
            if playing:
                self.clock.play()
            elif playing is not None:
                self.clock.playing = False
            if speed is not None:
                self.clock.speed = speed
            if loop is not None:
                self.clock.loop = loop
            self.clock_changed.send()

    def step(self, frames: int) -> None:
        """Stand still and show a frame some frames on, or back if negative."""
        with self.lock:
            self.set_clock(playing=False)
            self.seek((self.track.frame(self.clock.time) + frames) * self.track.dt)

    def seek(self, time: float) -> None:
        """Show another time [s]."""
        with self.lock:
            if time != self.clock.time:
                self.clock.seek(time)
                self._new_moment()

    def show(self, track: int, future: int = 0) -> None:
        """Show another track, from its beginning if it is not the one that was shown."""
        with self.lock:
            if self.tracks[track].bad[future]:
                good = np.flatnonzero(~self.tracks[track].bad)
                if not len(good):
                    self.say(f"Rollout {self.tracks[track].name} holds what is no number, so it is not shown.")
                    self.tracks_changed.send()
                    return
                self.say(f"Future {future + 1} holds what is no number; future {good[0] + 1} is shown instead.")
                future = int(good[0])
            same = track == self.shown
            self.shown, self.future = track, future
            self.clock.duration = self.track.duration
            self.clock.seek(self.clock.time if same else 0.0)
            self.clock.playing &= self.clock.duration > 0
            self.tracks_changed.send()
            self._new_moment()

    def add(self, track: Track, *, show: bool = True) -> int:
        """Add a track; returns its place."""
        with self.lock:
            self.tracks.append(track)
            if show:
                self.show(len(self.tracks) - 1)
            else:
                self.tracks_changed.send()
            return len(self.tracks) - 1

    def remove(self, track: int) -> None:
        """Take a track away; the scene as the photos show it stays."""
        with self.lock:
            if track == 0:
                return
            del self.tracks[track]
            if self.shown == track:
                self.shown, self.future = 0, 0
                self.show(0)
            else:
                self.shown -= self.shown > track
                self.tracks_changed.send()

    def select(self, index: int | None) -> None:
        """Select an object, or none."""
        with self.lock:
            if index is not None and not 0 <= index < len(self.scene.objects):
                index = None
            if index != self.selected:
                self.selected = index
                self.selection_changed.send()

    def take_clicks(self, tool: str) -> None:
        """Let a tool have the clicks in the page, or none (empty): then they select."""
        with self.lock:
            if tool != self.tool:
                self.tool = tool
                self.tool_changed.send()

    def choose_photo(self, name: str) -> None:
        """Show a photo of the capture beside the page, by the name of its view."""
        with self.lock:
            self.photo = name
            self.photo_chosen.send()

    def put(self, index: int, pose: NDArray[np.float32] | None) -> None:
        """Put an object elsewhere by hand, pose (7,); None puts it back."""
        with self.lock:
            if pose is None:
                self.moved.pop(index, None)
            else:
                self.moved[index] = np.asarray(pose, dtype=np.float32)
            self.moment_changed.send()

    def replace_scene(self, scene: Scene, world: World | None, tracks: Sequence[Track] = ()) -> None:
        """Go on with an edited scene.

        Args:
            scene: The scene.
            world: Its physics.
            tracks: Those that were there, in their order, if they are of this scene too: then the moment shown stays.
                Without them there are none, for their bodies may be others.
        """
        with self.lock:
            self.scene, self.world, self.selected = scene, world, None
            self.tracks = [still_track(PHOTOS, _rest(scene, world)), *tracks]
            if not tracks:
                self.shown = self.future = 0
                self.clock = replace(self.clock, time=0.0, duration=0.0, playing=False)
            self.moved.clear()
            self.scene_changed.send()
            self.tracks_changed.send()
            self.selection_changed.send()
            self.moment_changed.send()

    def world_of(self, scene: Scene) -> World | None:
        """The physics of a scene that is to be shown; None when it has no objects or no metric scale."""
        return physics_of(scene, self.assume_scale)

    def _new_moment(self) -> None:
        self.moved.clear()
        self.moment_changed.send()


def physics_of(scene: Scene, assume_scale: bool) -> World | None:
    """The world of a scene; None when it has no objects or no metric scale."""
    from scene3d._scene_world import scene_world

    if not scene.objects or not (scene.metric or assume_scale):
        return None
    return scene_world(scene, assume_scale=assume_scale)


def _rest(scene: Scene, world: World | None) -> NDArray[np.float32]:
    if world is not None:
        from scene3d._scene_world import scene_state

        return scene_state(scene, world).T_world_body[0].float().numpy()
    return np.array([thing.T_world_body for thing in scene.objects], dtype=np.float32).reshape(-1, 7)
