"""The exported page: small, whole or not there, and it plays from disk without a server."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scene3d import load_scene
from scene3d._errors import OutputError, UsageError
from scene3d.viewer._export_html import export_html
from scene3d.viewer._track import track_of

from .conftest import PATIENCE, SORTED
from .small_scenes import save_sliding, sliding


def _slide(future: int, time: float, poses: Any) -> None:
    poses[0, 0] += 0.1 * time
    poses[1, 1] += 0.1 * future * time


def _red(image: np.ndarray) -> np.ndarray:
    image = image.astype(int)
    return (image[..., 0] > image[..., 1] + 90) & (image[..., 0] > image[..., 2] + 90)


def test_a_page_plays_from_disk_without_a_server(
    small_scene: Path, tmp_path: Path, browser: Any, canvas: Any, wait_until: Any
) -> None:
    world, rollout = sliding(load_scene(small_scene), _slide, seconds=2.0)
    saved = save_sliding(small_scene, world, rollout, deeds=["push box,1,0,0"])
    done = export_html(small_scene, tmp_path / "page.html", title="A <desk>")
    assert done.size == done.path.stat().st_size < 2e6
    assert (done.frames, done.seconds, done.splats) == (61, 2.0, done.of_splats)
    context = browser.new_context(viewport={"width": 640, "height": 400}, offline=True)
    page = context.new_page()
    page.set_default_timeout(1000 * PATIENCE)
    page.goto(done.path.as_uri())
    # Unsorted splats would be drawn as well, but wrongly.
    page.wait_for_function(SORTED, polling=100)
    assert page.title() == "A <desk>"
    assert page.get_by_text(f"rollout {saved}", exact=False).count() == 1
    places: list[float] = []

    def moved() -> bool:
        columns = np.nonzero(_red(canvas(page)))[1]
        if len(columns):
            places.append(float(columns.mean()))
        return max(places, default=0) - min(places, default=0) > 12

    wait_until(page, moved, "the box to move")
    # It begins again by itself.
    wait_until(page, lambda: moved() and places[-1] < max(places) - 12, "the box to come back")
    context.close()


def test_it_takes_the_future_and_the_seconds_that_were_asked_for(small_scene: Path, tmp_path: Path) -> None:
    world, rollout = sliding(load_scene(small_scene), _slide, futures=2, seconds=1.0)
    saved = save_sliding(small_scene, world, rollout)
    done = export_html(small_scene, tmp_path / "page.html", rollout=saved, future=1, seconds=0.5)
    assert (done.frames, done.seconds) == (16, 0.5)
    with pytest.raises(UsageError, match="future 2; the rollout has 0 to 1"):
        export_html(small_scene, tmp_path / "other.html", rollout=saved, future=2)
    with pytest.raises(UsageError, match="no rollout '009'"):
        export_html(small_scene, tmp_path / "other.html", rollout="009")
    with pytest.raises(UsageError, match="above 0 s"):
        export_html(small_scene, tmp_path / "other.html", seconds=0)
    assert not (tmp_path / "other.html").exists()


def test_a_future_that_holds_no_numbers_is_refused(small_scene: Path, tmp_path: Path) -> None:
    _, rollout = sliding(load_scene(small_scene), _slide, seconds=0.5)
    poses = rollout.T_world_body.clone()
    poses[0, 3, 0, 0] = float("nan")
    track = track_of("broken", replace(rollout, T_world_body=poses))
    with pytest.raises(UsageError, match="no number"):
        export_html(small_scene, tmp_path / "page.html", rollout=track)


def test_a_still_scene_and_a_level_of_detail(small_scene: Path, tmp_path: Path) -> None:
    done = export_html(small_scene, tmp_path / "page.html", splats=1000)
    assert (done.frames, done.seconds, done.splats) == (1, 0.0, 1000)
    assert "1,000 that show most" in done.notes[0]


def test_nothing_is_overwritten_unasked(small_scene: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text("mine")
    with pytest.raises(OutputError, match="exists already"):
        export_html(small_scene, page)
    assert page.read_text() == "mine"
    export_html(small_scene, page, overwrite=True, splats=500)
    assert page.stat().st_size > 1e5
    with pytest.raises(OutputError, match=r"ends in \.html"):
        export_html(small_scene, tmp_path / "page.viser")
    assert sorted(path.name for path in tmp_path.glob(".*")) == []


def test_five_seconds_of_the_demo_scene_are_below_five_megabytes(tabletop_copy: Path, tmp_path: Path) -> None:
    world, rollout = sliding(load_scene(tabletop_copy), _slide, seconds=5.0)
    save_sliding(tabletop_copy, world, rollout)
    done = export_html(tabletop_copy, tmp_path / "page.html")
    assert (done.frames, done.seconds, done.splats) == (151, 5.0, done.of_splats)
    assert 67_000 < done.splats and 1e6 < done.size < 5e6
