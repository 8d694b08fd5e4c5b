"""Takes the front page's pictures of the viewer: docs/images/viewer.jpg and docs/images/viewer.webp.

    python assets/scenes/make_viewer_pictures.py [--out docs/images] [--chromium FILE] [--only still|moving]

A copy of the demo scene is simulated in several futures, opened in the viewer and photographed in a headless browser,
which draws on the CPU: some minutes. Needs playwright and Chromium (development only).
"""

from __future__ import annotations

import argparse
import base64
import io
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from playwright.sync_api import sync_playwright

from scene3d import load_scene
from scene3d._rollout_folder import save_simulation
from scene3d._simulate import Push, simulate
from scene3d.viewer import Viewer, open_viewer

SCENE = Path(__file__).parent / "tabletop"
ARGUMENTS = (
    "--no-sandbox",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-background-networking",
)
SIZE, SMALL = (1600, 900), (800, 450)
"""Of the still picture and of the animation [px]."""
PUSH, SECONDS, FUTURES = Push("can", (1.5, -5.0, 0.0), 0.12), 2.5, 16
MOMENT = 0.35
"""Of the still picture [s]."""
EYE, TARGET, FOV = (-0.05, -0.66, 0.51), (0.085, 0.005, 0.035), 0.66
"""Camera and what it looks at [m]; vertical field of view [rad]."""
NEXT, ARROW = "mug", {"Direction [°]": "335", "Force [N]": "3"}
"""What is selected, and the push that is aimed at it."""
NUMBER = "xpath=following::input[contains(@class, 'NumberInput-input')][1]"
FPS, STEP, END, HOLD = 10, 0.1, 1.2, 10
"""Of the animation: pictures a second, time between them [s], the last one's time [s], frames that it stays."""
PATIENCE = 90.0
"""Seconds that a picture may take."""
LARGEST = {"viewer.jpg": 400_000, "viewer.webp": 2_000_000}
"""Bytes."""
SCRIPTS = Path(__file__).parents[2] / "tests" / "scene3d" / "viewer"


def main() -> None:
    """Simulate, open, photograph."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("docs/images"))
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    parser.add_argument("--only", choices=("still", "moving"), default="")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        scene = Path(shutil.copytree(SCENE, Path(folder) / SCENE.name))
        _simulate(scene)
        if given.only != "moving":
            with _page(scene, given.chromium, SIZE) as (viewer, page):
                _aim(viewer, page)
                _look(viewer, page, MOMENT)
                _save(given.out / "viewer.jpg", [_screenshot(page)])
        if given.only != "still":
            with _page(scene, given.chromium, SMALL) as (viewer, page):
                frames = list(_frames(viewer, page))
            _save(given.out / "viewer.webp", [*frames, *[frames[-1]] * HOLD])


def _simulate(folder: Path) -> None:
    simulation = simulate(load_scene(folder), pushes=[PUSH], samples=FUTURES, seconds=SECONDS)
    save_simulation(simulation, folder, deeds=[f"push {PUSH.name}," + ",".join(f"{v:g}" for v in PUSH.force)])


@contextmanager
def _page(folder: Path, chromium: str, size: tuple[int, int]) -> Iterator[tuple[Viewer, Any]]:
    """The viewer and its page, looking from `EYE`."""
    viewer = open_viewer(folder, rollouts=["001"], port=0)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, headless=True, args=list(ARGUMENTS))
        page = browser.new_page(viewport={"width": size[0], "height": size[1]})
        page.set_default_timeout(1000 * PATIENCE)
        page.goto(f"{viewer.url}?fixedDpr=1")
        page.wait_for_function(_scripts().SORTED, polling=200)
        page.locator(".mantine-Notification-closeButton").first.click()
        for client in viewer.server.get_clients().values():
            client.camera.position, client.camera.look_at = EYE, TARGET
            client.camera.up_direction, client.camera.fov = (0.0, 0.0, 1.0), FOV
        yield viewer, page
        browser.close()
    viewer.stop()


def _aim(viewer: Viewer, page: Any) -> None:
    """Select something and aim a push at it."""
    viewer.session.select(viewer.session.scene.index(NEXT))
    for label, value in ARROW.items():
        page.locator(f"label:text-is('{label}'):visible").locator(NUMBER).fill(value)


def _look(viewer: Viewer, page: Any, moment: float) -> None:
    """Show a moment, and wait until the picture stands still."""
    viewer.session.show(1, 0)
    viewer.session.seek(moment)
    before, end = None, time.monotonic() + PATIENCE
    while time.monotonic() < end:
        page.wait_for_timeout(400)
        now = _canvas(page)
        if before is not None and np.array_equal(now, before):
            return
        before = now


def _frames(viewer: Viewer, page: Any) -> Iterator[Image.Image]:
    page.get_by_text("scene3d", exact=False).first.click()  # Folds the panel, which would hide a third of this.
    for moment in np.arange(0, END + 1e-6, STEP):
        _look(viewer, page, float(moment))
        yield _screenshot(page)


@cache
def _scripts() -> Any:
    """What the tests run in pages."""
    sys.path.insert(0, str(SCRIPTS))
    return import_module("page_scripts")


def _canvas(page: Any) -> np.ndarray:
    data = page.evaluate(_scripts().PICTURE)
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data.split(",", 1)[1]))))


def _screenshot(page: Any) -> Image.Image:
    return Image.open(io.BytesIO(page.screenshot())).convert("RGB")


def _save(path: Path, frames: list[Image.Image]) -> None:
    """As good as the size allows."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for quality in range(90, 20, -5):
        buffer = io.BytesIO()
        if path.suffix == ".webp":
            more = {"save_all": True, "append_images": frames[1:], "duration": round(1000 / FPS), "loop": 0}
            frames[0].save(buffer, "WEBP", quality=quality, method=4, **more)
        else:
            frames[0].save(buffer, "JPEG", quality=quality, optimize=True, progressive=True)
        if buffer.tell() <= LARGEST[path.name]:
            path.write_bytes(buffer.getvalue())
            print(f"{path}: {buffer.tell() / 1e3:.0f} kB, quality {quality}")
            return


if __name__ == "__main__":
    main()
