"""A scene and one future of it -> one HTML file that plays by itself, from disk and without a network.

viser's own recording is used: splats go in once, in the frames of their bodies, then only the poses of what moves, 30
times a second. The file holds viser's client, so it opens anywhere; it begins at the capture's first camera, plays,
rests a moment and begins again. Viser records what a server would send, so one listens at a free port of this machine
while that is collected, and is closed again.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from scene3d._errors import OutputError, UsageError
from scene3d.viewer._session import Session
from scene3d.viewer._track import Track

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray
    from viser import ViserServer

    from scene3d._scene import Scene
    from scene3d.viewer._splat_arrays import SceneArrays

__all__ = ["MOST_SPLATS", "Exported", "export_html"]

RATE = 30.0
"""Poses a second."""
BENT_EVERY = 3
"""What changes its shape is sent anew at every so many of these moments: all of its splats, not a pose."""
REST = 1.0
"""What has ended stays for so long before it begins again [s]."""
MOST_SPLATS = 130_000
"""A page of so many has some 5 MB."""
STILL = 1e-5
"""Poses that change by less than this are not sent again [m, and parts of a unit quaternion]."""
CAPTION = (
    '<div style="position:fixed;left:16px;top:14px;z-index:9;pointer-events:none;font:13px/1.45 system-ui,sans-serif;'
    'color:{ink};opacity:.82"><b style="font-weight:600">{title}</b><br>{words}</div>'
)

FROM_DISK = (
    '<script>if(location.protocol==="file:"){const make=URL.createObjectURL;URL.createObjectURL=(part)=>{'
    'if(/javascript/.test(part.type))throw new Error("no worker from a blob");return make.call(URL,part);};}</script>'
)
"""Chromium refuses module workers from blobs in pages from disk, and splats stay unsorted; the client then takes a data
address for its worker, as it does wherever there are no blobs."""


@dataclass(frozen=True)
class Exported:
    """What was written."""

    path: Path
    size: int
    """[bytes]"""
    splats: int
    """Of the file."""
    of_splats: int
    """Of the scene; larger when only the ones that show most were taken."""
    seconds: float
    """Of what moves; 0 for a still scene."""
    frames: int
    """Moments in it."""
    notes: tuple[str, ...] = ()
    """Sentences for people."""


def export_html(
    source: Session | Path | str,
    file: Path | str,
    *,
    rollout: str | Track | None = None,
    future: int = 0,
    seconds: float | None = None,
    splats: int = MOST_SPLATS,
    dark: bool = True,
    overwrite: bool = False,
    title: str = "",
) -> Exported:
    """Write a page that shows a scene in motion, to be opened from disk.

    Args:
        source: A scene folder, or what is being looked at.
        file: Ends in ``.html``; it appears whole or not at all.
        rollout: A saved rollout by its id, or a track. None takes what the session shows; of a folder its last saved
            rollout, or the still scene where there is none.
        future: Which of its futures, from 0.
        seconds: Only the first so many seconds [s]; None takes all.
        splats: At most so many are taken, those that show most.
        dark: Dark surroundings, which splats were fitted over.
        overwrite: Replace a file that exists.
        title: Of the page; empty takes the folder's name.

    Raises:
        OutputError: The file exists, has another ending or cannot be written.
        UsageError: There is no such rollout or future, or it holds what is no number.
    """
    from scene3d.files._atomic import make_folder, write_atomic
    from scene3d.viewer._splat_arrays import scene_arrays

    file = Path(file)
    _check_file(file, overwrite)
    folder, scene, track, future = _what(source, rollout, future)
    times = _times(track, seconds)
    if splats < 1:
        raise UsageError(f"Found {splats} splats to export; it takes at least 1.")
    arrays = scene_arrays(scene, splats)
    title = title or folder.resolve().name
    words = _words(track, future)
    with _server(dark) as server:
        text = _recorded(server, scene, arrays, track, future, times, dark)
    content = _titled(text, title, words, dark).encode()
    make_folder(file.parent)
    write_atomic(file, [content])
    notes = []
    if arrays.shown < arrays.total:
        notes.append(f"Of {arrays.total:,} splats the {arrays.shown:,} that show most were taken.")
    moving = float(times[-1]) if len(times) > 1 else 0.0
    return Exported(file, len(content), arrays.shown, arrays.total, moving, len(times), tuple(notes))


def _check_file(file: Path, overwrite: bool) -> None:
    if file.suffix.lower() not in (".html", ".htm"):
        raise OutputError(f"A page is a file that ends in .html, found {file}. Call it {file.stem or 'scene'}.html.")
    if file.is_dir():
        raise OutputError(f"{file} is a folder. Choose another file name.")
    if file.exists() and not overwrite:
        raise OutputError(f"{file} exists already. Choose another name, or pass --overwrite.")


def _what(source: Session | Path | str, rollout: str | Track | None, future: int) -> tuple[Path, Scene, Track, int]:
    """Folder, scene, track and future that are meant."""
    from scene3d._rollout_folder import list_rollouts, load_rollout
    from scene3d.viewer._track import saved_track, still_track

    if isinstance(source, Session):
        with source.lock:
            folder, scene, track = source.folder, source.scene, source.track
            future = source.future if rollout is None else future
    else:
        from scene3d.files import load_scene

        folder = Path(source)
        scene = load_scene(folder)
        rest = np.array([thing.T_world_body for thing in scene.objects], dtype=np.float32).reshape(-1, 7)
        track = still_track("", rest)
        if rollout is None:
            rollout = next(reversed(list_rollouts(folder)), None)
    if isinstance(rollout, Track):
        track = rollout
    elif rollout is not None:
        track = saved_track(load_rollout(scene, folder, rollout))
    if not 0 <= future < track.futures:
        raise UsageError(f"There is no future {future}; the rollout has 0 to {track.futures - 1}.")
    if track.bad[future]:
        raise UsageError(f"Future {future} holds what is no number, so it cannot be shown. Choose another one.")
    return folder, scene, track, future


def _times(track: Track, seconds: float | None) -> NDArray[np.float64]:
    """Moments that are recorded [s], the first at 0."""
    if seconds is not None and not seconds > 0:
        raise UsageError(f"Found {seconds:g} s to export; it takes a time above 0 s.")
    end = track.duration if seconds is None else min(seconds, track.duration)
    return np.arange(int(np.floor(end * RATE + 1e-6)) + 1) / RATE


@contextmanager
def _server(dark: bool) -> Iterator[ViserServer]:
    """A server at a free port of this machine, which nobody is told of."""
    from scene3d.viewer._listen import close_server, open_server

    server = open_server("127.0.0.1", 0, "scene3d")
    try:
        server.gui.configure_theme(dark_mode=dark, show_logo=False, show_share_button=False)
        # Splats need no light, and the page would stay pale until a picture of a sky is unpacked.
        server.scene.configure_environment_map(None)
        yield server
    finally:
        close_server(server)


def _recorded(
    server: ViserServer,
    scene: Scene,
    arrays: SceneArrays,
    track: Track,
    future: int,
    times: NDArray[np.float64],
    dark: bool,
) -> str:
    """The page as viser makes it."""
    from scene3d.viewer._viewer import look_as_the_capture

    server.scene.set_up_direction(scene.up)
    look_as_the_capture(server, scene)
    frames, splats = _nodes(server, scene, arrays)
    sent = np.full((len(frames), 7), np.inf, dtype=np.float32)
    _pose(frames, track.poses_at(future, 0.0), sent)
    recording = server.get_scene_serializer()
    for number, time in enumerate(times.tolist()[1:], start=1):
        recording.insert_sleep(1 / RATE)
        _pose(frames, track.poses_at(future, time), sent)
        if number % BENT_EVERY == 0:
            _bend(scene, arrays, splats, track, future, time)
    if len(times) > 1:
        recording.insert_sleep(REST)
    return recording.as_html(dark_mode=dark)


def _nodes(server: ViserServer, scene: Scene, arrays: SceneArrays) -> tuple[list[Any], list[Any]]:
    """Background and bodies: the frames of the bodies, and their splats (None where there are none)."""
    from scene3d.viewer._splat_arrays import MAGNIFIED

    paths = ["/background", *(f"/bodies/{thing.name}" for thing in scene.objects)]
    frames, splats = [], []
    for path, part in zip(paths, arrays.parts, strict=True):
        frames.append(server.scene.add_frame(path, show_axes=False))
        given = part.centers, part.covariances, part.rgbs, part.opacities
        add = server.scene.add_gaussian_splats
        splats.append(add(f"{path}/splats", *given, scale=1 / MAGNIFIED) if len(part.centers) else None)
    return frames[1:], splats[1:]


def _pose(frames: list[Any], poses: NDArray[np.float32], sent: NDArray[np.float32]) -> None:
    """Move what has moved."""
    for index, frame in enumerate(frames):
        pose = poses[index]
        if np.abs(pose - sent[index]).max() > STILL:
            frame.position, frame.wxyz = pose[:3], pose[3:]
            sent[index] = pose


def _bend(scene: Scene, arrays: SceneArrays, splats: list[Any], track: Track, future: int, time: float) -> None:
    """Send the splats of what changes its shape."""
    from scene3d.viewer._deformed import deformed_arrays

    x = track.particles_at(future, time)
    for index, thing in enumerate(scene.objects):
        if x is None or thing.binding is None or splats[index] is None:
            continue
        bent = deformed_arrays(scene, arrays, index, track.poses_at(future, time), x)
        if bent is not None:
            splats[index].set_gaussians(bent.centers, bent.covariances, bent.rgbs, bent.opacities)


def _words(track: Track, future: int) -> str:
    if track.duration <= 0:
        return "as the photos show it"
    return f"rollout {track.name}" + (f", future {future + 1} of {track.futures}" if track.futures > 1 else "")


def _titled(text: str, title: str, words: str, dark: bool) -> str:
    """The page with a title and a caption in its corner, fit to be opened from disk."""
    ink = "#e8eaee" if dark else "#1c1f24"
    caption = CAPTION.format(title=escape(title), words=escape(words), ink=ink)
    start, end = text.find("<title>"), text.find("</title>")
    if 0 <= start < end:
        text = f"{text[:start]}<title>{escape(title)}{text[end:]}"
    text = text.replace("<head>", f"<head>{FROM_DISK}", 1)
    before, body, after = text.rpartition("</body>")
    return f"{before}{caption}{body}{after}" if body else text + caption
