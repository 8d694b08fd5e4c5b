"""Drawing what is out of date, in a thread."""

from __future__ import annotations

import threading

from scene3d.viewer._painter import Painter


def test_what_is_spoilt_often_is_drawn_once_more_at_the_end() -> None:
    failed: list[str] = []
    painter = Painter(lambda name, error: failed.append(f"{name}: {error}"))
    begun, go_on = threading.Event(), threading.Event()
    drawn: list[int] = []
    value = [0]

    def draw() -> None:
        drawn.append(value[0])
        begun.set()
        assert go_on.wait(30)

    stale = painter.add("a", draw)
    stale()
    assert begun.wait(30)
    for value[0] in range(1, 50):
        stale()
    go_on.set()
    assert painter.finish()
    painter.stop()
    assert drawn == [0, 49]
    assert not failed


def test_one_that_fails_stops_no_other() -> None:
    failed: list[str] = []
    drawn: list[str] = []
    painter = Painter(lambda name, error: failed.append(f"{name}: {error}"))

    def broken() -> None:
        raise ValueError("no")

    spoil = [painter.add("broken", broken), painter.add("fine", lambda: drawn.append("fine"))]
    for stale in spoil:
        stale()
    assert painter.finish()
    painter.stop()
    assert (failed, drawn) == (["broken: no"], ["fine"])
    assert not painter._thread.is_alive()
