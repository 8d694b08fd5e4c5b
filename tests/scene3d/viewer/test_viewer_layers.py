"""Layers in the page: each switch draws something, and switched off again nothing of it is left."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from scene3d import Scene, load_scene
from scene3d.capture._capture import View
from scene3d.viewer._act_pose import rotation
from scene3d.viewer._layer_cameras import LENGTH, _screen
from scene3d.viewer._track import track_of

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
    for label in ("Colliders", "Names", "Other rollouts", "Spread", "Velocities"):
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
    session.add(track_of("two", rollout))
    assert not boxes["Other futures"].disabled
    assert world is not None


def test_ghosts_stand_where_the_other_futures_are(small_scene: Path, view: Any) -> None:
    viewer = view(small_scene, rollouts=_rollouts(small_scene))
    session, scene = viewer.session, viewer.server.scene
    session.seek(0.5)
    assert viewer.nodes.painter.finish()
    ghosts = _ghosts(scene)
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


def test_a_camera_that_is_clicked_shows_its_view_and_its_photo(
    small_scene: Path, view: Any, open_page: Any, settle: Any, wait_until: Any, tmp_path: Path
) -> None:
    viewer = view(small_scene)
    session = viewer.session
    session.replace_scene(_with_photos(session.scene, tmp_path), session.world)
    page = open_page(viewer.url, 960, 700)
    page.get_by_role("tab", name="Layers").click()
    page.get_by_role("checkbox", name="Cameras", exact=True).click()
    scene = viewer.server.scene
    wait_until(page, lambda: scene.get_handle_by_name("/layers/cameras/8") is not None, "the cameras")
    # The view is that of the first camera, which would cover it.
    wait_until(page, lambda: not scene.get_handle_by_name("/layers/cameras/0").visible, "room to look")
    camera = next(iter(viewer.server.get_clients().values())).camera
    camera.position = (0.9, -1.6, 1.0)
    camera.look_at = (0.2, -0.6, 0.3)
    wait_until(page, lambda: scene.get_handle_by_name("/layers/cameras/0").visible, "the first camera")
    drawn = settle(page).astype(int)
    page.get_by_role("checkbox", name="Cameras", exact=True).click()
    wait_until(page, lambda: scene.get_handle_by_name("/layers/cameras/0") is None, "the cameras to go")
    assert _changed(drawn, settle(page).astype(int)) > 1000
    page.get_by_role("checkbox", name="Cameras", exact=True).click()
    wait_until(page, lambda: scene.get_handle_by_name("/layers/cameras/8") is not None, "the cameras again")
    assert _changed(drawn, settle(page).astype(int)) < 100
    chosen = session.scene.views[6]
    pose = chosen.camera.T_world_cam.numpy()
    x, y, z = rotation(camera.wxyz).T @ (
        pose[:3, 3] + _screen(chosen.camera)[2] * LENGTH * pose[:3, 2] - camera.position
    )
    focal = 350 / np.tan(camera.fov / 2)
    page.mouse.click(480 + focal * x / z, 350 + focal * y / z)
    wait_until(page, lambda: np.abs(np.asarray(camera.position) - pose[:3, 3]).max() < 1e-4, "the view from there")
    ahead = np.asarray(camera.look_at) - pose[:3, 3]
    np.testing.assert_allclose(ahead / np.linalg.norm(ahead), pose[:3, 2], atol=1e-4)
    assert camera.fov == pytest.approx(2 * np.arctan(320 / float(chosen.camera.K[1, 1])), abs=1e-4)
    wait_until(page, lambda: page.get_by_text("Photo 6", exact=True).count() == 1, "the photo beside")
    assert session.selected is None, "what lies behind a photo is not selected"
    page.get_by_role("tab", name="Picture").click()
    wait_until(
        page, lambda: page.get_by_role("combobox", name="View", exact=True).input_value() == "Photo 6", "it there"
    )
    assert viewer.nodes.painter.finish() and session.jobs.failed == ""


def _with_photos(scene: Scene, folder: Path) -> Scene:
    """Photos of one grey each."""
    views = []
    for number, known in enumerate(scene.views):
        path, size = folder / f"{number}.png", (known.camera.width, known.camera.height)
        Image.new("RGB", size, (20 * number,) * 3).save(path)
        views.append(replace(known, photo=View(known.name, path, known.camera)))
    return replace(scene, views=tuple(views))


def test_ghosts_wait_for_a_rollout_that_can_use_them(small_scene: Path, view: Any) -> None:
    """Splats that come or go make the page dark until all are sorted anew."""
    viewer = view(small_scene, rollouts=_rollouts(small_scene))
    session, scene = viewer.session, viewer.server.scene
    session.seek(0.5)
    assert viewer.nodes.painter.finish()
    before = _ghosts(scene)
    assert len([handle for handle in before.values() if handle.visible]) >= 3
    session.show(0)
    assert viewer.nodes.painter.finish()
    assert not any(handle.visible for handle in before.values())
    world, rollout = sliding(session.scene, lambda future, *moment: _slide(2 * future, *moment), futures=4)
    session.add(track_of("again", rollout))
    session.seek(0.5)
    assert viewer.nodes.painter.finish()
    after = _ghosts(scene)
    assert after == before
    seen = sorted(tuple(np.round(ghost.position, 4)) for ghost in after.values() if ghost.visible)
    expected = sorted(tuple(session.track.poses_at(future, 0.5)[2, :3]) for future in (1, 2, 3))
    np.testing.assert_allclose(seen, expected, atol=1e-4)
    # Another scene has other bodies.
    session.replace_scene(replace(session.scene), world)
    assert viewer.nodes.painter.finish()
    assert _ghosts(scene) == {}


def _ghosts(scene: Any) -> dict[str, Any]:
    handles = scene._handle_from_node_name.items()
    return {name: handle for name, handle in handles if name.startswith("/layers/futures/2/")}


def test_forces_are_drawn_while_time_stands(small_scene: Path, view: Any) -> None:
    viewer = view(small_scene, rollouts=_rollouts(small_scene))
    nodes, scene = viewer.nodes, viewer.server.scene
    nodes.unveil()  # Else splats wait for a page.
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
