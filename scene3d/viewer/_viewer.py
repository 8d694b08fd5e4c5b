"""A scene folder becomes a page: a server, a session, the nodes that follow it and the panels that change it.

The server listens before the scene is read, so that a browser loads the page meanwhile. A thread lets time pass 60
times a second and sends poses when they have changed. Physics, which takes seconds to make ready, is prepared when the
first browser has its picture. `Viewer.stop` ends threads, jobs and server; the page then says by itself that it lost
its server.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from scene3d.viewer._level_of_detail import MOST_SPLATS

if TYPE_CHECKING:
    from viser import ViserServer

    from scene3d._scene import Scene
    from scene3d.viewer._acts import Acts
    from scene3d.viewer._body_nodes import BodyNodes
    from scene3d.viewer._glance import Glance
    from scene3d.viewer._session import Session

__all__ = ["Viewer", "look_as_the_capture", "open_viewer"]

RATE = 60.0
"""Moments a second, at most."""
BRAND = (56, 142, 214)
FOV = float(np.radians(75.0))
"""Where no photo says how wide, from bottom to top [rad]."""
SKY, GROUND = 3.2, (60, 55, 60)
"""How bright meshes are where they face up, and in which colour below."""
COMING = 1.0
"""A page may take so long to come that was told where to go [s]."""
LOOK_FIRST = 8.0
"""Between the first browser and the preparation of physics [s]."""


@dataclass(frozen=True, eq=False)
class Viewer:
    """A running viewer."""

    session: Session
    server: ViserServer
    nodes: BodyNodes
    notes: tuple[str, ...]
    """Sentences for the terminal: rollouts that were left out, splats that are not drawn, another port."""
    _stopped: threading.Event
    _thread: threading.Thread

    @property
    def url(self) -> str:
        """Where the page is."""
        from scene3d.viewer._listen import url_of

        return url_of(self.server)

    def wait(self) -> None:
        """Until it is stopped, or Ctrl-C."""
        # Waiting without an end cannot be interrupted everywhere.
        while not self._stopped.wait(0.5):
            pass

    def stop(self) -> None:
        """End it; a second call does nothing."""
        from scene3d.viewer._listen import close_server

        if self._stopped.is_set():
            return
        self._stopped.set()
        self._thread.join()
        self.session.closed.send()
        self.nodes.close()
        self.session.jobs.close()
        close_server(self.server)


def open_viewer(
    folder: Path | str,
    *,
    rollouts: Sequence[str] | None = None,
    host: str = "127.0.0.1",
    port: int = 8080,
    assume_scale: bool = False,
    most_splats: int = MOST_SPLATS,
    prepare: bool = True,
    on_listen: Callable[[str, tuple[str, ...]], None] | None = None,
) -> Viewer:
    """Serve a scene folder as a page.

    Args:
        folder: Scene folder.
        rollouts: Saved rollouts that are shown with it, by their ids, the first at once; None takes the newest ones.
        host: Address to listen at; the default is this machine only.
        port: The next free one is taken if it is in use; 0 takes any.
        assume_scale: Take a unit of a scene without metric scale for a metre, so that things can be pushed.
        most_splats: At most so many are drawn; of more those that show most.
        prepare: Make physics ready while people look around.
        on_listen: Told where the page is, and the ids of the rollouts that will be in it, before the scene is read,
            which takes a second or more.

    Raises:
        UsageError: A rollout is not there or belongs to another scene, or nobody can listen at that address.
        FileFormatError: The scene or a rollout that was asked for is damaged. Then nobody listens any more.
    """
    from scene3d.viewer._glance import glance
    from scene3d.viewer._listen import close_server, open_server, url_of

    folder = Path(folder)
    seen = glance(folder, rollouts)
    server = open_server(host, port, f"{seen.title} · scene3d")
    try:
        _furnish(server, seen)
        loading = server.gui.add_markdown(f"Loading {seen.title} …")
        if on_listen is not None:
            on_listen(url_of(server), seen.rollouts)
        session, notes = _open_session(folder, rollouts, assume_scale)
        nodes, acts = _fill(session, server, most_splats, COMING if on_listen is not None else 0.0)
        loading.remove()
    except BaseException:
        close_server(server)
        raise
    if port not in (0, server.get_port()):
        notes.append(f"Port {port} is taken; the page is at port {server.get_port()}.")
    if nodes.arrays is not None and nodes.arrays.shown < nodes.arrays.total:
        notes.append(f"Of {nodes.arrays.total:,} splats {nodes.arrays.shown:,} are drawn, chosen by lot.")
    if prepare:
        _prepare_later(session, server, acts)
    stopped = threading.Event()
    thread = threading.Thread(target=_run, args=(session, stopped), name="scene3d-viewer", daemon=True)
    thread.start()
    return Viewer(session, server, nodes, tuple(notes), stopped, thread)


def _furnish(server: ViserServer, seen: Glance) -> None:
    """What the page looks like, whatever is in it."""
    server.gui.configure_theme(dark_mode=True, show_logo=False, show_share_button=False, brand_color=BRAND)
    # Splats are lit already. A picture of a sky to light meshes by would have to be unpacked and filtered first, and
    # the page stays pale until then.
    server.scene.configure_environment_map(None)
    server.scene.configure_default_lights(cast_shadow=False)
    server.scene.add_light_hemisphere("/sky", ground_color=GROUND, intensity=SKY, position=seen.up)
    # A page that is there already turns the camera by what it knows of up.
    server.scene.set_up_direction(seen.up)


def _open_session(folder: Path, rollouts: Sequence[str] | None, assume_scale: bool) -> tuple[Session, list[str]]:
    from scene3d.files import load_scene
    from scene3d.viewer._saved_tracks import saved_tracks
    from scene3d.viewer._session import Session, physics_of

    scene = load_scene(folder)
    tracks, notes = saved_tracks(scene, folder, rollouts)
    session = Session(folder, scene, physics_of(scene, assume_scale))
    session.assume_scale = assume_scale
    for track in tracks:
        session.add(track, show=False)
    if tracks:
        session.show(1)
    return session, notes


def _fill(session: Session, server: ViserServer, most_splats: int, coming: float) -> tuple[BodyNodes, Acts]:
    """What is in the page: splats first, for people look before they touch."""
    from scene3d.viewer._body_nodes import BodyNodes
    from scene3d.viewer._first_picture import FirstPicture

    nodes = BodyNodes(session, server, most_splats, veiled=True)
    try:
        first = FirstPicture(session, server, nodes)
        look_as_the_capture(server, session.scene)
        first.wait(coming)
        return nodes, _add_panels(session, server, nodes)
    except BaseException:
        session.closed.send()
        nodes.close()
        raise


def _add_panels(session: Session, server: ViserServer, nodes: BodyNodes) -> Acts:
    from scene3d.viewer._act_panel import add_act_panel
    from scene3d.viewer._edit_panel import add_edit_panel
    from scene3d.viewer._layers_panel import add_layers_panel
    from scene3d.viewer._picture_panel import add_picture_panel
    from scene3d.viewer._status_panel import add_help, add_status
    from scene3d.viewer._timeline import add_timeline

    add_status(session, server, nodes)
    add_timeline(session, server)
    tabs = server.gui.add_tab_group()
    with tabs.add_tab("Act"):
        acts = add_act_panel(session, server, nodes)
    panels = {"Layers": add_layers_panel, "Picture": add_picture_panel, "Edit": add_edit_panel}
    for title, add in panels.items():
        with tabs.add_tab(title):
            add(session, server, nodes)
    add_help(server)
    return acts


def _prepare_later(session: Session, server: ViserServer, acts: Acts) -> None:
    """Make physics ready once somebody looks, after the first picture, which would have to wait for it otherwise."""
    begun = threading.Event()

    def prepare() -> None:
        if session.world is not None:
            session.jobs.run("Preparing physics", acts.prepare)

    @server.on_client_connect
    def _(_: object) -> None:
        if not begun.is_set():
            begun.set()
            later = threading.Timer(LOOK_FIRST, prepare)
            later.daemon = True
            later.start()

    session.scene_changed.connect(lambda: prepare() if begun.is_set() else None)


def look_as_the_capture(server: ViserServer, scene: Scene) -> None:
    """Begin where the first photo was taken, but upright, for the view turns about that axis from then on.

    A scene without photos is seen whole from above and aside.
    """
    if not scene.cameras:
        _look_at_all(server, scene)
        return
    camera = scene.cameras[0]
    pose = camera.T_world_cam.double().numpy()
    target = np.mean([thing.T_world_body[:3] for thing in scene.objects], axis=0) if scene.objects else None
    depth = 1.0 if target is None else float((target - pose[:3, 3]) @ pose[:3, 2])
    server.initial_camera.position = pose[:3, 3]
    server.initial_camera.look_at = pose[:3, 3] + max(depth, 0.1) * pose[:3, 2]
    server.initial_camera.up = np.asarray(scene.up, dtype=np.float64)
    server.initial_camera.fov = float(2 * np.arctan(camera.height / 2 / float(camera.K[1, 1])))


def _look_at_all(server: ViserServer, scene: Scene) -> None:
    from scene3d._flatten import in_world

    means = (
        in_world(replace(scene.splats, shN=scene.splats.shN[:, :0]), scene.T_world_body)
        .means.detach()
        .cpu()
        .double()
        .numpy()
    )
    means = means[np.isfinite(means).all(axis=1)]
    if not len(means):
        return
    up = np.asarray(scene.up, dtype=np.float64)
    # Some splats are far away in every scene, and what is looked at is among the others.
    low, high = np.quantile(means, [0.1, 0.9], axis=0)
    aside = np.cross(up, np.eye(3)[np.abs(up).argmin()])
    away = 1.2 * max(float(np.linalg.norm(high - low)), 0.1)
    server.initial_camera.look_at = (low + high) / 2
    server.initial_camera.position = (low + high) / 2 + away * (0.8 * aside / np.linalg.norm(aside) + 0.6 * up)
    server.initial_camera.up = up
    server.initial_camera.fov = FOV


def _run(session: Session, stopped: threading.Event) -> None:
    last = time.monotonic()
    while not stopped.wait(1 / RATE):
        now = time.monotonic()
        try:
            session.tick(now - last)
        except Exception as error:
            session.set_clock(playing=False)
            session.jobs.report("Showing the next moment", error)
        last = now
