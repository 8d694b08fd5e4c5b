"""Layers in the page: each switch draws something, and switched off again nothing of it is left."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from scene3d import load_scene

from .small_scenes import save_sliding, sliding

SWITCH = """(label) => {
  const found = [...document.querySelectorAll('label')].find((one) => one.textContent.trim() === label);
  document.getElementById(found.getAttribute('for')).click();
}"""


def _slide(future: int, moment: float, poses: Any) -> None:
    poses[2, 0] += (0.3 + 0.03 * future) * moment
    poses[2, 1] -= 0.05 * future * moment
    angle = 2.0 * moment
    poses[2, 3:] = torch.tensor([np.cos(angle / 2), 0, 0, np.sin(angle / 2)])


def _rollouts(folder: Path) -> list[str]:
    scene = load_scene(folder)
    world, rollout = sliding(scene, _slide, futures=4)
    _, other = sliding(scene, lambda _, moment, poses: poses[0, 1].sub_(0.2 * moment))
    return [save_sliding(folder, world, rollout), save_sliding(folder, world, other)]


def test_every_switch_draws_and_takes_back(
    small_scene: Path, view: Any, open_page: Any, canvas: Any, settle: Any, wait_until: Any
) -> None:
    viewer = view(small_scene, rollouts=_rollouts(small_scene))
    viewer.session.seek(0.5)
    page = open_page(viewer.url, 640, 400)
    page.get_by_role("tab", name="Layers").click()

    def pressed(label: str) -> np.ndarray:
        page.evaluate(SWITCH, label)
        page.wait_for_timeout(300)
        assert viewer.nodes.painter.finish()
        assert viewer.session.jobs.failed == ""
        return settle(page).astype(int)

    # What is on at the beginning goes first, and the rest is seen without ghosts, which is quicker to draw.
    for label in ("Other futures", "Paths"):
        before = settle(page).astype(int)
        assert _changed(before, pressed(label)) > 30, label
    plain = settle(page).astype(int)
    for label in ("Colliders", "Names", "Cameras", "Other rollouts", "Spread", "Velocities"):
        assert _changed(plain, pressed(label)) > 30, label
        pressed(label)
        wait_until(page, lambda: _changed(plain, canvas(page).astype(int)) == 0, f"{label} to be gone")
    gone = pressed("Splats")
    assert _changed(gone, np.full_like(gone, 255)) == 0
    pressed("Splats")
    wait_until(page, lambda: _changed(plain, canvas(page).astype(int)) == 0, "splats to be back")


def test_what_there_is_nothing_of_is_greyed_out(small_scene: Path, view: Any) -> None:
    """Without a browser: what a switch says and whether it can be pressed."""
    viewer = view(small_scene)
    boxes = {
        handle.label: handle
        for handle in viewer.server.gui._gui_input_handle_from_uuid.values()
        if hasattr(handle, "label")
    }
    assert boxes["Particles"].disabled
    assert boxes["Particles"].hint == "This scene has no deformable objects."
    assert boxes["Other futures"].disabled
    assert not boxes["Colliders"].disabled
    session = viewer.session
    world, rollout = sliding(session.scene, _slide, futures=2)
    from scene3d.viewer._track import track_of

    session.add(track_of("two", rollout))
    assert not boxes["Other futures"].disabled
    assert world is not None


def test_ghosts_stand_where_the_other_futures_are(small_scene: Path, view: Any) -> None:
    viewer = view(small_scene, rollouts=_rollouts(small_scene))
    session, scene = viewer.session, viewer.server.scene
    session.seek(0.5)
    assert viewer.nodes.painter.finish()
    handles = scene._handle_from_node_name.items()
    ghosts = {name: handle for name, handle in handles if name.startswith("/layers/futures/2/")}
    still = [scene.get_handle_by_name(f"/layers/futures/{body}") for body in (0, 1)]
    assert still == [None, None], "only what moves has ghosts"
    seen = sorted(tuple(np.round(ghost.position, 4)) for ghost in ghosts.values() if ghost.visible)
    expected = sorted(tuple(np.round(session.track.poses_at(future, 0.5)[2, :3], 4)) for future in (1, 2, 3))
    np.testing.assert_allclose(seen, expected, atol=1e-4)
    session.show(session.shown, 2)
    assert viewer.nodes.painter.finish()
    hidden = [name for name, ghost in ghosts.items() if not ghost.visible]
    assert len(hidden) == 1
    assert hidden[0].endswith("-2")


def test_forces_are_drawn_while_time_stands(small_scene: Path, view: Any) -> None:
    viewer = view(small_scene, rollouts=_rollouts(small_scene))
    nodes, scene = viewer.nodes, viewer.server.scene
    layer = nodes.painter._draws["Forces"].__self__
    layer.switch(True)
    assert nodes.painter.finish()
    arrows = scene.get_handle_by_name("/layers/forces/forces")
    assert arrows is not None
    assert (arrows.points[:, 1, 2] > arrows.points[:, 0, 2]).all(), "the table pushes upwards"
    assert [handle.visible for handle in nodes.splats] == [True, False, False, False]
    viewer.session.set_clock(playing=True)
    # Every moment spoils the drawing again while time passes, so the painter is not waited for but watched.
    late = time.monotonic() + 60
    while not all(handle.visible for handle in nodes.splats) and time.monotonic() < late:
        time.sleep(0.02)
    assert all(handle.visible for handle in nodes.splats)
    assert scene.get_handle_by_name("/layers/forces/forces") is None
    viewer.session.set_clock(playing=False)
    layer.switch(False)
    assert nodes.painter.finish()
    assert scene.get_handle_by_name("/layers/forces/forces") is None
    assert all(handle.visible for handle in nodes.splats)
    assert viewer.session.jobs.failed == ""


def _changed(a: np.ndarray, b: np.ndarray) -> int:
    return int((np.abs(a - b).max(axis=2) > 20).sum())
