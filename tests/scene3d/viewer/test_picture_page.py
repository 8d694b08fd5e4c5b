"""The Picture tab: what it shows is what our renderer makes of the camera that was chosen, at the moment shown."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from scene3d import load_scene
from scene3d.render import render

from .small_scenes import save_sliding, sliding

STEPS, SHARE = 40, 0.002
"""JPEG changes fewer pixels than this share by so many of 255 steps."""


NO_PICTURE = np.zeros((0, 0, 3), dtype=np.uint8)
FIRST_PICTURE = """async () => {
    const shown = (image) => image.offsetParent != null && image.src.startsWith('blob:');
    const image = [...document.querySelectorAll('img')].filter(shown)[0];
    if (!image) return null;
    const answer = await fetch(image.src).catch(() => null);
    if (!answer) return null;
    const data = await answer.blob();
    const reader = new FileReader();
    return await new Promise((done) => { reader.onload = () => done(reader.result); reader.readAsDataURL(data); });
}"""
"""Pictures of ours are blobs; others on the page, such as a logo while it loads, are not. Each new picture gets a new
address, so that there may be none yet, or one that is just given up."""


def _picture(page: Any) -> np.ndarray:
    """The first picture of the open tab, (H, W, 3); empty while the page has none."""
    data = page.evaluate(FIRST_PICTURE)
    if data is None:
        return NO_PICTURE
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data.split(",", 1)[1]))).convert("RGB"))


def _expected(folder: Path, view: int, poses: Any = None) -> np.ndarray:
    scene = load_scene(folder)
    bodies = scene.T_world_body
    if poses is not None:
        bodies[1:] = poses[: len(scene.objects)]
    frame = render(scene.splats, scene.cameras[view], T_world_body=bodies)
    return (frame.rgb.clamp(0, 1) * 255).round().byte().numpy()


def _near(picture: np.ndarray, expected: np.ndarray) -> bool:
    if picture.shape != expected.shape:
        return False
    return bool((np.abs(picture.astype(float) - expected).max(axis=-1) > STEPS).mean() < SHARE)


def _slide(future: int, time: float, poses: Any) -> None:
    poses[0, 1] -= 0.3 * time


def test_it_shows_what_our_renderer_makes_of_a_camera(
    small_scene: Path, view: Any, open_page: Any, wait_until: Any
) -> None:
    world, rollout = sliding(load_scene(small_scene), _slide)
    saved = save_sliding(small_scene, world, rollout)
    viewer = view(small_scene, rollouts=[saved])
    page = open_page(viewer.url)
    page.get_by_role("tab", name="Picture").click()
    page.get_by_role("combobox", name="View", exact=True).click()
    page.get_by_role("option", name="Photo 3", exact=True).click()
    rest = _expected(small_scene, 3)
    wait_until(page, lambda: _near(_picture(page), rest), "the camera's picture")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download PNG").click()
    saved_picture = np.asarray(Image.open(download.value.path()))
    assert bool((saved_picture == rest).all()), "a PNG has every bit"
    # Another moment, another picture.
    viewer.session.seek(0.5)
    moved = _expected(small_scene, 3, rollout.T_world_body[0, 30])
    assert not _near(moved, rest)
    wait_until(page, lambda: _near(_picture(page), moved), "the moment's picture")


def test_a_screenshot_is_downloaded_and_kept(
    small_scene: Path, view: Any, open_page: Any, canvas: Any, wait_until: Any
) -> None:
    viewer = view(small_scene)
    page = open_page(viewer.url, 640, 400)
    page.get_by_role("tab", name="Picture").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Screenshot").click()
    kept = small_scene / "report" / "screenshots" / "001.png"
    assert Path(download.value.path()).read_bytes() == kept.read_bytes()
    picture, drawn = np.asarray(Image.open(kept)).astype(int), canvas(page).astype(int)
    assert picture.shape == drawn.shape
    # Red, green and blue things are where the page has them.
    strong = np.ptp(drawn, axis=-1) > 90
    assert strong.sum() > 1000
    assert (np.abs(picture - drawn)[strong].mean(axis=-1) < 40).mean() > 0.9
    wait_until(page, lambda: not viewer.session.jobs.now, "the job")
    assert "screenshots/001.png" in (small_scene / "report" / "index.html").read_text()


def test_it_follows_the_view_of_the_page(small_scene: Path, view: Any, open_page: Any, wait_until: Any) -> None:
    viewer = view(small_scene)
    page = open_page(viewer.url)
    page.get_by_role("tab", name="Picture").click()
    wait_until(page, lambda: max(_picture(page).shape) == 640, "a whole picture")
    before = _picture(page)
    client = next(iter(viewer.server.get_clients().values()))
    client.camera.position = np.asarray(client.camera.position) + np.array([0.1, 0.0, 0.1])
    wait_until(page, lambda: (now := _picture(page)).shape == before.shape and not _near(now, before), "another one")
    # The page and our renderer agree on where things are.
    page.get_by_role("combobox", name="Show", exact=True).click()
    page.get_by_role("option", name="Objects", exact=True).click()
    orange = (230, 159, 0)
    wait_until(page, lambda: _share_of(_picture(page), orange) > 0.003, "the colour of the first object")


def _share_of(picture: np.ndarray, hue: tuple[int, int, int]) -> float:
    return float((np.abs(picture.astype(float) - hue).max(axis=-1) < 60).mean())
