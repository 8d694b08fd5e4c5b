"""Jobs that end when nobody waits for them any more, and never within what must be whole."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from scene3d.viewer._jobs import Jobs

PATIENCE = 60.0
"""Seconds after which what was awaited is a failure."""


def test_a_long_job_ends_when_it_next_says_how_far_it_is() -> None:
    jobs, begun, other = Jobs(), threading.Event(), []

    def endless(tell: Any) -> None:
        while True:
            tell(0.5, "still busy")
            begun.set()

    running = jobs.run("endless", endless)
    waiting = jobs.run("waiting", lambda _: other.append(1))
    assert begun.wait(PATIENCE)
    jobs.close()
    running.result(PATIENCE)
    assert waiting.cancelled()
    assert other == []
    assert (jobs.failed, jobs.now) == ("", None)


def test_a_save_is_whole_before_a_job_ends(tmp_path: Path) -> None:
    jobs, halfway, go_on = Jobs(), threading.Event(), threading.Event()
    after: list[str] = []

    def save(tell: Any) -> None:
        with (tmp_path / "file").open("w") as file:
            file.write("one ")
            halfway.set()
            go_on.wait(PATIENCE)
            file.write("whole")
        tell(0.5)
        after.append("showing it")

    running = jobs.run("saving", save)
    assert halfway.wait(PATIENCE)
    jobs.close()
    go_on.set()
    running.result(PATIENCE)
    assert (tmp_path / "file").read_text() == "one whole"
    assert after == []


def test_a_viewer_stops_while_a_long_job_runs(small_scene: Path, view: Any) -> None:
    viewer, begun = view(small_scene), threading.Event()

    def endless(tell: Any) -> None:
        while True:
            tell(0.5)
            begun.set()

    running = viewer.session.jobs.run("endless", endless)
    assert begun.wait(PATIENCE)
    viewer.stop()
    running.result(PATIENCE)
    assert viewer.session.jobs.failed == ""
