"""Pictures without a page: what is drawn, from where, how near to the photo, and how often."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from scene3d import load_scene
from scene3d.report._moment import Moment, draw
from scene3d.viewer import Session
from scene3d.viewer._picture_moment import moment_of
from scene3d.viewer._picture_save import keep_screenshot
from scene3d.viewer._picture_thread import PictureThread
from scene3d.viewer._picture_views import load_photo, views_of


def _session(folder: Path) -> Session:
    scene = load_scene(folder)
    return Session(folder, scene, None)


def test_a_moment_is_at_rest_until_something_is_elsewhere(small_scene: Path) -> None:
    session = _session(small_scene)
    assert moment_of(session).at_rest
    pose = session.poses()[1]
    pose[0] += 0.01
    session.put(1, pose)
    moment = moment_of(session)
    assert not moment.at_rest and moment.poses[1, 0] == pytest.approx(pose[0])
    pose[0] = np.nan
    session.put(1, pose)
    assert moment_of(session).at_rest, "what is no number is drawn where the photos show it"


def test_depth_and_objects_are_told_apart(small_scene: Path) -> None:
    moment = moment_of(_session(small_scene))
    camera = moment.scene.cameras[4]
    depth, words = draw(moment, camera, "depth")
    assert depth.shape == (camera.height, camera.width, 3) and words.endswith("m, near is bright")
    picture, _ = draw(moment, camera, "objects")
    # In the middle stand a green can, a red box and a blue mug, painted in the colours of the report instead.
    plain, _ = draw(moment, camera)
    assert np.abs(picture.astype(int) - plain).max() > 100
    grey = np.ptp(picture.astype(int), axis=-1) < 8
    assert 0.3 < grey.mean() < 0.98


def test_cameras_of_files_are_offered_and_damaged_ones_are_not(small_scene: Path) -> None:
    scene = load_scene(small_scene)
    known = views_of(scene, small_scene)
    assert list(known) == [f"Photo {index}" for index in range(9)]
    (small_scene / "cameras").mkdir()
    (small_scene / "cameras" / "wrist.json").write_bytes((small_scene / "cameras.json").read_bytes())
    (small_scene / "cameras" / "broken.json").write_text(json.dumps({"what": 1}))
    found = views_of(scene, small_scene)
    assert [name for name in found if name not in known] == [f"wrist: {index}" for index in range(9)]
    held_out = replace(scene, views=(replace(scene.views[0], held_out=True), *scene.views[1:]))
    assert next(iter(views_of(held_out, small_scene))) == "Photo 0 (held out)"


def test_a_photo_that_is_gone_is_none(tabletop_scene: Path) -> None:
    view = load_scene(tabletop_scene).views[0]
    photo = load_photo(view)
    assert photo is not None and photo.rgb.shape == (view.camera.height, view.camera.width, 3)
    assert view.photo is not None
    assert load_photo(replace(view, photo=replace(view.photo, path=Path("/nowhere.jpg")))) is None
    assert load_photo(replace(view, photo=None)) is None


def test_stale_wishes_are_dropped_and_rest_gives_a_whole_picture() -> None:
    begun, go, whole = threading.Event(), threading.Event(), threading.Event()
    drawn: list[bool] = []

    def draw_one(moving: bool) -> None:
        drawn.append(moving)
        begun.set()
        assert go.wait(30)
        if not moving:
            whole.set()

    thread = PictureThread(draw_one)
    thread.ask()
    assert begun.wait(30)
    for _ in range(50):  # While the first is being drawn.
        thread.ask()
    go.set()
    assert whole.wait(30)
    thread.close()
    assert drawn[0] and not drawn[-1] and len(drawn) <= 4


def test_screenshots_are_numbered_and_get_into_the_report(small_scene: Path) -> None:
    picture = np.full((30, 40, 3), (200, 30, 30), dtype=np.uint8)
    first, second = keep_screenshot(small_scene, picture), keep_screenshot(small_scene, picture)
    assert (first.name, second.name) == ("001.png", "002.png")
    page = (small_scene / "report" / "index.html").read_text()
    assert 'href="screenshots/002.png"' in page and "Screenshots <span>2</span>" in page


def test_a_moment_without_objects_can_be_drawn(small_scene: Path) -> None:
    scene = load_scene(small_scene)
    bare = replace(scene, objects=(), splats=scene.splats[scene.splats.component_index == 0])
    moment = Moment(bare, np.zeros((0, 7), np.float32))
    for kind in ("colour", "depth", "objects"):
        assert draw(moment, bare.cameras[0], kind)[0].dtype == np.uint8
