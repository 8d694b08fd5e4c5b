"""Splats stay hidden until a page has sorted them, whenever it comes, and are never hidden for good."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from scene3d.viewer import Viewer, _first_picture, open_viewer


class _Server:
    """Pages that speak when they are told to."""

    def __init__(self, *pages: _Page) -> None:
        self.pages = {page.client_id: page for page in pages}
        self.connected: list[Callable[[Any], None]] = []

    def get_clients(self) -> dict[int, _Page]:
        return dict(self.pages)

    def on_client_connect(self, listener: Callable[[Any], None]) -> None:
        self.connected.append(listener)
        for page in self.pages.values():
            listener(page)


class _Page:
    def __init__(self, client_id: int) -> None:
        self.client_id = client_id
        self.listeners: list[Callable[[object], None]] = []
        self.camera = SimpleNamespace(on_update=self.listeners.append)

    def speak(self) -> None:
        for listener in self.listeners:
            listener(self.camera)


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds of the timers that were started; they fire when the test says so."""
    started: list[float] = []

    def timer(seconds: float, do: Callable[[], None]) -> Any:
        return SimpleNamespace(start=lambda: started.append(seconds), cancel=lambda: None, daemon=True, do=do)

    monkeypatch.setattr(_first_picture.threading, "Timer", timer)
    monkeypatch.setattr(_first_picture, "SAME_WORD", 0.0)
    return started


def _session() -> Any:
    return SimpleNamespace(lock=threading.RLock(), closed=SimpleNamespace(connect=lambda listener: None))


def test_a_page_that_was_there_speaks_twice(waits: list[float]) -> None:
    page = _Page(1)
    _first_picture.FirstPicture(_session(), _Server(page), SimpleNamespace())  # type: ignore[arg-type]
    page.speak()
    assert waits == [_first_picture.PATIENCE]
    page.speak()
    page.speak()
    assert waits == [_first_picture.PATIENCE, _first_picture.SORTING]


def test_a_page_that_comes_speaks_once_more(waits: list[float]) -> None:
    server, page = _Server(), _Page(1)
    _first_picture.FirstPicture(_session(), server, SimpleNamespace())  # type: ignore[arg-type]
    assert waits == []
    server.connected[0](page)
    page.speak()
    assert waits == [_first_picture.PATIENCE, _first_picture.SORTING]


def test_splats_are_hidden_until_the_first_page_and_then_for_nobody(
    small_scene: Path, view: Callable[..., Viewer], open_page: Any
) -> None:
    viewer = view(small_scene)
    assert not any(handle.visible for handle in viewer.nodes.splats)
    viewer.nodes.show_splats(False)
    viewer.nodes.show_splats(True)
    assert not any(handle.visible for handle in viewer.nodes.splats)
    open_page(viewer.url, 320, 240)
    assert all(handle.visible for handle in viewer.nodes.splats)


def test_it_listens_before_the_scene_is_read(small_scene: Path, browser: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[str, tuple[str, ...]]] = []
    pages: list[Any] = []
    shown: list[int] = []

    def listening(url: str, rollouts: tuple[str, ...]) -> None:
        told.append((url, rollouts))
        pages.append(browser.new_page(viewport={"width": 320, "height": 240}))
        pages[0].goto(f"{url}?fixedDpr=1")
        pages[0].get_by_text("Loading desk").wait_for()
        shown.append(pages[0].get_by_text("Rollout").count())

    viewer = open_viewer(small_scene, port=0, prepare=False, on_listen=listening)
    try:
        assert told == [(viewer.url, ())]
        assert shown == [0]
        pages[0].get_by_text("3 objects").wait_for()
        assert pages[0].get_by_text("Loading desk").count() == 0
        pages[0].wait_for_function(f"() => ({_visible()})", polling=100)
        camera = next(iter(viewer.server.get_clients().values())).camera
        assert abs(camera.position - viewer.server.initial_camera.position).max() < 1e-3
    finally:
        pages[0].close()
        viewer.stop()


def _visible() -> str:
    return "window.__viserSceneTree.getState()['/background/splats']?.effectiveVisibility === true"
