"""The viewer in a real browser: small scenes, a headless Chromium, and how tests wait for and read what it draws.

    url = view(small_scene).url        a running viewer, stopped when the test ends
    page = open_page(url)              its page, splats sorted and standing still
    canvas(page)                       what is drawn, (H, W, 3) uint8 over white, without the panels
    coverage(page)                     how much of each pixel splats and meshes cover, (H, W) in 0 to 1
    wait_until(page, condition)        polls, and fails with what was awaited
    settle(page)                       waits until the picture stands still; returns it

One page at a time: software WebGL on two cores draws some 5k splats well and no more.
"""

from __future__ import annotations

import base64
import io
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest

from scene3d.viewer import Viewer, open_viewer

from .page_scripts import PICTURE, SORTED
from .small_scenes import write_small_scene

ARGUMENTS = (
    "--no-sandbox",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
PATIENCE = 90.0
"""Seconds after which what was awaited is a failure: far more than a busy machine takes."""


@pytest.fixture(scope="session")
def browser(missing: Callable[[str], NoReturn]) -> Iterator[Any]:
    """A headless Chromium; the test skips (CI: fails) without one."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        missing("no browser to look at the viewer with; install one: apt install chromium")
    api = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
    with api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium, headless=True, args=list(ARGUMENTS))
        yield running
        running.close()


@pytest.fixture(scope="session")
def _small_scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small_scene(tmp_path_factory.mktemp("viewer") / "desk")


@pytest.fixture
def small_scene(_small_scene: Path, tmp_path: Path) -> Path:
    """A folder of one's own of the scene in small_scenes.py: a table, a red box, a green can and a blue mug."""
    return Path(shutil.copytree(_small_scene, tmp_path / "desk"))


@pytest.fixture
def tabletop_copy(tabletop_scene: Path, tmp_path: Path) -> Path:
    """A folder of one's own of the committed demo scene."""
    return Path(shutil.copytree(tabletop_scene, tmp_path / "tabletop"))


@pytest.fixture
def view() -> Iterator[Callable[..., Viewer]]:
    """``view(folder, ...)`` opens a viewer at a free port; it is stopped when the test ends."""
    running: list[Viewer] = []

    def start(folder: Path, **more: Any) -> Viewer:
        running.append(open_viewer(folder, **{"port": 0, "prepare": False, **more}))
        return running[-1]

    yield start
    for viewer in running:
        viewer.stop()


@pytest.fixture
def open_page(browser: Any) -> Iterator[Callable[..., Any]]:
    """``open_page(url, width=960, height=600)`` gives a page whose splats are drawn and sorted."""
    pages: list[Any] = []

    def start(url: str, width: int = 960, height: int = 600, *, splats: bool = True) -> Any:
        page = browser.new_page(viewport={"width": width, "height": height})
        pages.append(page)
        page.set_default_timeout(1000 * PATIENCE)
        # Else the page lowers its resolution while it is slow, and pictures differ by that.
        page.goto(f"{url}{'&' if '?' in url else '?'}fixedDpr=1")
        page.wait_for_function("() => !document.body.innerText.includes('Connecting...')")
        if splats:
            page.wait_for_function(SORTED, polling=100)
        _close_toast(page)
        _settle(page)
        return page

    yield start
    for page in pages:
        page.close()


@pytest.fixture
def canvas() -> Callable[[Any], np.ndarray]:
    """``canvas(page)``: what is drawn, without panels, uint8 over white, (H, W, 3)."""
    return _canvas


@pytest.fixture
def coverage() -> Callable[[Any], np.ndarray]:
    """``coverage(page)``: how much of each pixel is covered, 0 to 1, (H, W)."""
    return lambda page: _picture(page)[..., 3] / 255.0


@pytest.fixture
def wait_until() -> Callable[..., None]:
    """``wait_until(page, condition, "what for")``: polls a function of no arguments while the page lives on."""
    return _wait_until


@pytest.fixture
def settle() -> Callable[[Any], np.ndarray]:
    """``settle(page)``: `canvas` once it stands still."""
    return _settle


def _wait_until(page: Any, condition: Callable[[], Any], what: str = "the condition") -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, f"waited {PATIENCE:.0f} s for {what}"
        page.wait_for_timeout(100)


def _settle(page: Any) -> np.ndarray:
    seen = [_canvas(page)]

    def still() -> bool:
        seen.append(_canvas(page))
        return seen[-1].shape == seen[-2].shape and bool((seen[-1] == seen[-2]).all())

    page.wait_for_timeout(200)
    _wait_until(page, still, "the picture to stand still")
    return seen[-1]


def _canvas(page: Any) -> np.ndarray:
    picture = _picture(page).astype(np.float32)
    alpha = picture[..., 3:] / 255.0
    return np.rint(picture[..., :3] * alpha + 255.0 * (1 - alpha)).astype(np.uint8)


def _picture(page: Any) -> np.ndarray:
    """The drawing itself at the viewport's size, RGBA."""
    from PIL import Image

    data = base64.b64decode(page.evaluate(PICTURE).split(",", 1)[1])
    image = Image.open(io.BytesIO(data)).convert("RGBA")
    size = page.viewport_size
    return np.asarray(image.resize((size["width"], size["height"])))


def _close_toast(page: Any) -> None:
    """Put away the note that WebGL runs in software."""
    page.evaluate("() => document.querySelector('#webgl-software-rendering button')?.click()")
