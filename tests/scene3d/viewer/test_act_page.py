"""Acting in the page: clicks, arrows and handles in a real browser."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scene3d._rollout_folder import list_rollouts
from scene3d.viewer import Viewer
from scene3d.viewer._act_pose import rotation
from scene3d.viewer._acts import _ENGINE, Acts

from .small_scenes import PLACES

BOX, CAN, MUG = range(3)
WIDTH, HEIGHT = 960, 700


@pytest.fixture
def acting(
    small_scene: Path, view: Any, open_page: Any, wait_until: Any, monkeypatch: pytest.MonkeyPatch
) -> tuple[Viewer, Any, Acts]:
    """A viewer, its page and what its buttons call; three futures of a second, without the network."""
    made: list[Acts] = []

    class Quick(Acts):
        def __init__(self, session: Any) -> None:
            super().__init__(session)
            self.futures, self.seconds, self.network = 3, 1.0, False
            made.append(self)

    monkeypatch.setattr("scene3d.viewer._act_panel.Acts", Quick)
    viewer = view(small_scene)
    page = open_page(viewer.url, WIDTH, HEIGHT)
    wait_until(page, viewer.server.get_clients, "the client")
    return viewer, page, made[0]


def pixel(viewer: Viewer, point: Any) -> tuple[float, float]:
    """Where a point of the world is in the page."""
    camera = next(iter(viewer.server.get_clients().values())).camera
    x, y, z = rotation(camera.wxyz).T @ (np.asarray(point, dtype=float) - camera.position)
    focal = HEIGHT / 2 / np.tan(camera.fov / 2)
    return WIDTH / 2 + focal * x / z, HEIGHT / 2 + focal * y / z


def node(viewer: Viewer, name: str) -> Any:
    return viewer.server.scene.get_handle_by_name(name)


def button(page: Any, name: str) -> Any:
    return page.get_by_role("button", name=name)


def drag(page: Any, start: tuple[float, float], end: tuple[float, float], *, let_go: bool = True) -> None:
    page.mouse.move(*start)
    page.wait_for_timeout(300)
    page.mouse.down()
    for share in np.linspace(0.1, 1.0, 8):
        page.mouse.move(*(np.array(start) + share * (np.array(end) - start)).tolist())
        page.wait_for_timeout(60)
    if let_go:
        page.mouse.up()


def test_a_click_selects_and_a_click_beside_selects_nothing(acting: Any, settle: Any, wait_until: Any) -> None:
    viewer, page, _ = acting
    session = viewer.session
    before = settle(page)
    page.mouse.click(*pixel(viewer, PLACES["can"]))
    wait_until(page, lambda: session.selected == CAN, "the can")
    wait_until(page, lambda: button(page, "Push can").count() == 1, "its button")
    after = settle(page)
    assert (np.abs(after.astype(int) - before).max(axis=2) > 60).sum() > 200  # Corners and an arrow.
    page.mouse.click(*pixel(viewer, (-0.05, -0.12, 0.0)))
    wait_until(page, lambda: session.selected is None, "nothing to be selected")
    assert bool((settle(page) == before).all())
    # Another tool has the clicks: they select nothing.
    session.take_clicks("another")
    page.mouse.click(*pixel(viewer, PLACES["mug"]))
    page.wait_for_timeout(500)
    assert session.selected is None


def test_a_push_moves_the_body_along_the_arrow_that_was_dragged(acting: Any, wait_until: Any) -> None:
    viewer, page, acts = acting
    session = viewer.session
    page.mouse.click(*pixel(viewer, PLACES["can"]))
    wait_until(page, lambda: session.selected == CAN, "the can")
    wait_until(page, lambda: node(viewer, "/tools/push_ball") is not None, "an arrow")
    ball = node(viewer, "/tools/push_ball")
    start, middle = np.array(ball.position), np.array(PLACES["can"])
    # To the right of whoever clicked, at first.
    right = rotation(next(iter(viewer.server.get_clients().values())).camera.wxyz)[:2, 0]
    assert (start - middle)[:2] @ right > 0.98 * np.linalg.norm((start - middle)[:2]) * np.linalg.norm(right)
    target = np.array([middle[0] - 0.18, middle[1] + 0.02, start[2]])
    page.wait_for_timeout(500)
    drag(page, pixel(viewer, start), pixel(viewer, target))
    wait_until(page, lambda: np.linalg.norm(ball.position - target) < 0.02, "the arrow to point there")
    button(page, "Push can").click()
    wait_until(page, lambda: len(session.tracks) == 2, "new futures")
    track = session.track
    assert track.name == "push can"
    way = track.poses[:, -1, CAN, :2] - track.poses[:, 0, CAN, :2]
    along = (target - middle)[:2] / np.linalg.norm((target - middle)[:2])
    assert bool((way @ along > 0.03).all())
    assert bool((way @ along > 3 * np.abs(way @ [-along[1], along[0]])).all())
    wait_until(page, lambda: "can" in page.inner_text("body") and "moves" in page.inner_text("body"), "outcomes")
    button(page, "Save").click()
    wait_until(page, lambda: list_rollouts(session.folder) == ("001",), "it to be saved")
    wait_until(page, lambda: session.track.name == "001: push can", "its name")
    page.keyboard.press("Control+z")
    wait_until(page, lambda: len(session.tracks) == 1, "undoing it")
    assert list_rollouts(session.folder) == ("001",)
    assert acts.session.jobs.failed == ""


def test_handles_move_the_selected_body_until_whoever_drags_leaves(acting: Any, wait_until: Any) -> None:
    viewer, page, acts = acting
    session = viewer.session
    session.select(BOX)
    page.get_by_role("combobox", name="Tool", exact=True).click()
    page.get_by_role("option", name="Move", exact=True).click()
    wait_until(page, lambda: node(viewer, "/tools/gizmo") is not None, "the handles")
    page.wait_for_timeout(800)
    gizmo = node(viewer, "/tools/gizmo")
    middle = np.array(gizmo.position)
    grip = middle + 0.6 * gizmo.scale * np.eye(3)[0]  # On the red axis.
    drag(page, pixel(viewer, grip), pixel(viewer, grip + 0.06 * np.eye(3)[0]), let_go=False)
    wait_until(page, lambda: BOX in session.moved, "the box to follow")
    assert len(acts.history) == 0
    page.close()
    left = time.monotonic()
    while len(acts.history) == 0 and time.monotonic() - left < 60:
        time.sleep(0.05)
    assert acts.history.last == "move box"
    pose = session.poses()[BOX]
    assert 0.02 < pose[0] - PLACES["box"][0] < 0.1
    assert pose[1:3] == pytest.approx(PLACES["box"][1:], abs=1e-3)
    assert acts.history.undo() == "move box"
    assert session.moved == {}


def test_a_body_that_goes_while_it_is_selected_leaves_nothing_behind(acting: Any, wait_until: Any) -> None:
    from dataclasses import fields, replace

    from scene3d._scene_world import scene_world

    viewer, page, acts = acting
    session = viewer.session
    session.select(MUG)
    page.get_by_text("What if").click()
    mass = page.locator("label:text-is('Mass [kg]')").locator("xpath=following::input[2]")
    mass.fill("1.5")
    mass.press("Enter")
    wait_until(page, lambda: acts.changes and acts.changes[MUG].mass == pytest.approx(1.5), "another mass")
    scene = session.scene
    kept = scene.splats.component_index <= CAN
    splats = type(scene.splats)(**{f.name: getattr(scene.splats, f.name)[kept] for f in fields(scene.splats)})
    smaller = replace(scene, objects=scene.objects[:2], splats=splats)
    session.replace_scene(smaller, scene_world(smaller))
    wait_until(page, lambda: page.get_by_text("Click an object").count() == 1, "the panel to say so")
    for name in ("/tools/selected", "/tools/push", "/tools/push_ball", "/tools/gizmo"):
        assert node(viewer, name) is None, name
    assert acts.changes == {}
    page.mouse.click(*pixel(viewer, PLACES["box"]))
    wait_until(page, lambda: session.selected == BOX, "the box")


def test_two_people_push_at_once(acting: Any, open_page: Any, wait_until: Any) -> None:
    viewer, page, acts = acting
    session = viewer.session
    other = open_page(viewer.url, WIDTH, HEIGHT)
    wait_until(page, lambda: len(viewer.server.get_clients()) == 2, "both pages")
    with _ENGINE:  # Neither is done before both have asked.
        for one, name, body in ((page, "can", CAN), (other, "mug", MUG)):
            one.mouse.click(*pixel(viewer, PLACES[name]))
            wait_until(one, lambda body=body: session.selected == body, f"the {name}")
            one.wait_for_timeout(500)
            button(one, f"Push {name}").click()
            wait_until(one, lambda body=body: len(acts._asked) == body, f"the push of the {name}")
    wait_until(page, lambda: len(session.tracks) == 3 and not acts.busy, "the futures of both")
    assert [track.name for track in session.tracks[1:]] == ["push can", "push mug"]
    for track, body in zip(session.tracks[1:], (CAN, MUG), strict=True):
        assert np.linalg.norm(track.poses[:, -1, body, :3] - track.poses[:, 0, body, :3], axis=1).min() > 0.01
    # What one chooses now, the other sees.
    other.get_by_role("combobox", name="Rollout", exact=True).click()
    other.get_by_role("option", name="push can", exact=True).click()
    for one in (page, other):
        shown = one.get_by_role("combobox", name="Rollout", exact=True)
        wait_until(one, lambda shown=shown: shown.input_value() == "push can", "the rollout in both pages")
    assert session.track.name == "push can"
    assert session.jobs.failed == ""
