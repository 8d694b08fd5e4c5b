"""The page in a browser: it shows the splats where they are, follows the clock, and lets go of everything."""

from __future__ import annotations

import socket
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from scene3d import Camera, load_scene
from scene3d._errors import UsageError
from scene3d.render import render
from scene3d.viewer import Viewer

from .small_scenes import save_sliding, sliding

EDGE = 3
"""Pixels: outlines may be off by that much, for the page blurs them a little otherwise."""


def _camera(viewer: Viewer, width: int, height: int) -> Camera:
    """The page's camera as the server knows it."""
    from dynamics.poses import matrix_from_pose

    camera = next(iter(viewer.server.get_clients().values())).camera
    pose = torch.tensor([*camera.position, *camera.wxyz], dtype=torch.float64)
    fov_x = 2 * np.arctan(np.tan(camera.fov / 2) * width / height)
    return Camera.from_fov(width, height, fov_x, matrix_from_pose(pose).float())


def _grown(mask: np.ndarray, by: int) -> np.ndarray:
    from scipy.ndimage import binary_dilation

    return binary_dilation(mask, iterations=by)


def _slide(future: int, time: float, poses: Any) -> None:
    poses[2, 0] += 0.1 * time


def test_splats_cover_the_expected_pixels_in_their_colours(
    small_scene: Path, view: Any, open_page: Any, coverage: Any, canvas: Any, wait_until: Any
) -> None:
    viewer = view(small_scene)
    page = open_page(viewer.url)
    wait_until(page, viewer.server.get_clients, "the client")
    found = coverage(page)
    height, width = found.shape
    scene = load_scene(small_scene)
    camera, poses = _camera(viewer, width, height), scene.T_world_body
    frame = render(scene.splats, camera, T_world_body=poses, background=torch.ones(3))
    covered, wanted = found > 0.5, frame.alpha.numpy() > 0.5
    assert 0.1 < wanted.mean() < 0.9
    outside = (covered & ~_grown(wanted, EDGE)).sum()
    assert outside == 0
    missing = (wanted & ~_grown(covered, EDGE)).sum()
    assert missing == 0
    assert np.abs(canvas(page) / 255.0 - frame.rgb.numpy()).mean() < 0.02


def test_scrubbing_changes_pixels_and_coming_back_restores_them(
    small_scene: Path, view: Any, open_page: Any, settle: Any
) -> None:
    world, rollout = sliding(load_scene(small_scene), _slide)
    saved = save_sliding(small_scene, world, rollout)
    viewer = view(small_scene, rollouts=[saved])
    page = open_page(viewer.url)
    start = settle(page)
    viewer.session.seek(1.0)
    moved = settle(page)
    viewer.session.seek(0.0)
    back = settle(page)
    changed, restored = (np.abs(moved.astype(int) - start).max(axis=2) > 40).sum(), bool((back == start).all())
    assert changed > 300
    assert restored


def test_play_runs_and_space_pauses(small_scene: Path, view: Any, open_page: Any, wait_until: Any, settle: Any) -> None:
    world, rollout = sliding(load_scene(small_scene), _slide, seconds=4.0)
    viewer = view(small_scene, rollouts=[save_sliding(small_scene, world, rollout, deeds=["push mug,1,0,0"])])
    page = open_page(viewer.url, 640, 480)
    assert page.get_by_text("3 objects").count() == 1
    page.get_by_role("button", name="Play").click()
    clock = viewer.session.clock
    wait_until(page, lambda: clock.time > 0.3, "time to pass")
    page.get_by_role("button", name="Pause").wait_for()
    page.keyboard.press("Space")
    wait_until(page, lambda: not clock.playing, "time to stand")
    stood = clock.time
    page.keyboard.press("Shift+ArrowRight")
    wait_until(page, lambda: clock.time != stood, "a step")
    assert 0 < clock.time - stood <= 1.5 / 60
    page.get_by_role("combobox", name="Speed", exact=True).click()
    page.get_by_role("option", name="1/4, once", exact=True).click()
    wait_until(page, lambda: clock.speed == 0.25, "another speed")
    assert not clock.loop


def test_two_clients_see_the_same_moment(small_scene: Path, view: Any, open_page: Any, settle: Any) -> None:
    world, rollout = sliding(load_scene(small_scene), _slide)
    viewer = view(small_scene, rollouts=[save_sliding(small_scene, world, rollout)])
    first = open_page(viewer.url, 480, 360)
    rest = settle(first)
    viewer.session.seek(0.8)
    second = open_page(viewer.url, 480, 360)
    a, b = settle(first).astype(int), settle(second).astype(int)
    assert np.abs(a - b).mean() < 0.5
    assert np.abs(a - rest).mean() > 1.0


def test_stopping_leaves_no_threads_and_frees_the_port(small_scene: Path, view: Any, open_page: Any) -> None:
    before = set(threading.enumerate())
    viewer = view(small_scene)
    port = viewer.server.get_port()
    page = open_page(viewer.url, 480, 360)
    viewer.stop()
    viewer.stop()
    with pytest.raises(Exception, match="ERR_CONNECTION_REFUSED"):
        page.reload()
    for thread in set(threading.enumerate()) - before:
        thread.join(timeout=10)
        assert not thread.is_alive(), thread.name
    with socket.socket() as free:
        free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        free.bind(("127.0.0.1", port))


def test_work_shows_its_progress_and_errors_are_told(
    small_scene: Path, view: Any, open_page: Any, wait_until: Any
) -> None:
    viewer = view(small_scene)
    page = open_page(viewer.url, 640, 480)
    go_on = threading.Event()

    def work(tell: Any) -> None:
        tell(0.5, "half way")
        assert go_on.wait(60)
        raise UsageError("There is no such thing.")

    done = viewer.session.jobs.run("Testing", work)
    page.get_by_text("Testing half way").wait_for()
    bar = page.get_by_role("progressbar")
    assert bar.get_attribute("aria-valuenow") == "50"
    go_on.set()
    done.result(60)
    page.get_by_text("Testing: There is no such thing.").wait_for()
    wait_until(page, lambda: page.get_by_role("progressbar").count() == 0, "the bar to go")
