"""Editing in the page: what is said there is saved, shown and taken back, and a click makes a new object."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from scene3d import load_scene

from ..segment.loose_scene import loose, seen_larger
from .small_scenes import save_sliding, sliding, small_scene, write_small_scene


def _names(folder: Path) -> tuple[str, ...]:
    return tuple(thing.name for thing in load_scene(folder).objects)


def _choose(page: Any, label: str, option: str) -> None:
    page.get_by_role("combobox", name=label, exact=True).click()
    page.get_by_role("option", name=option, exact=True).click()


def _open_edit(page: Any, name: str = "") -> None:
    page.get_by_role("tab", name="Edit").click()
    if name:
        _choose(page, "Object", name)
        page.get_by_role("button", name="Save changes").wait_for()


def _write(page: Any, label: str, text: str, *, last: bool = False) -> None:
    """Into a text field; viser's labels of those do not say what they are for."""
    labels = page.locator(f"label:text-is('{label}'):visible")
    (labels.last if last else labels.first).locator("xpath=following::input[1]").fill(text)


def _press(page: Any, label: str) -> None:
    page.get_by_role("button", name=label, exact=True).click()


def _green(image: np.ndarray) -> np.ndarray:
    image = image.astype(int)
    return (image[..., 1] > image[..., 0] + 40) & (image[..., 1] > image[..., 2] + 40)


def _slide(future: int, time: float, poses: Any) -> None:
    poses[0, 1] += 0.05 * time


def test_what_is_said_of_an_object_is_saved_and_shown(
    small_scene: Path, view: Any, open_page: Any, wait_until: Any
) -> None:
    viewer = view(small_scene)
    page = open_page(viewer.url)
    _open_edit(page, "can")
    _write(page, "Name", "tin")
    _choose(page, "Material", "ceramic")
    _press(page, "Save changes")
    wait_until(page, lambda: "tin" in _names(small_scene), "the scene folder")
    wait_until(page, lambda: not viewer.session.jobs.now, "the job")
    saved = load_scene(small_scene).objects[1]
    assert saved.body.material.name == "ceramic" and "friction" not in saved.guessed
    assert [thing.name for thing in viewer.session.scene.objects] == ["box", "tin", "mug"]
    page.wait_for_function("() => window.__viserMutable.nodeRefFromName['/bodies/tin/splats'] != null")
    chosen = page.get_by_role("combobox", name="Object", exact=True)
    wait_until(page, lambda: chosen.input_value() == "tin", "the name in the page")
    wait_until(page, lambda: page.get_by_text("can is of ceramic", exact=False).count() == 1, "what was done")


def test_removing_and_merging_are_taken_back(
    small_scene: Path, view: Any, open_page: Any, canvas: Any, settle: Any, wait_until: Any
) -> None:
    world, rollout = sliding(load_scene(small_scene), _slide)
    saved = save_sliding(small_scene, world, rollout)
    viewer = view(small_scene, rollouts=[saved])
    page = open_page(viewer.url)
    before = int(_green(settle(page)).sum())
    assert before > 300 and len(viewer.session.tracks) == 2
    _open_edit(page, "can")
    _press(page, "Remove")
    wait_until(page, lambda: _names(small_scene) == ("box", "mug"), "the scene folder")
    wait_until(page, lambda: _green(canvas(page)).sum() < 0.1 * before, "the can to go")
    # The rollout moves a can that there is no more; on disk it stays.
    assert len(viewer.session.tracks) == 1 and (small_scene / "rollouts" / saved).is_dir()
    _press(page, "Undo")
    wait_until(page, lambda: _names(small_scene) == ("box", "can", "mug"), "the scene folder")
    wait_until(page, lambda: _green(canvas(page)).sum() > 0.8 * before, "the can to come back")
    wait_until(page, lambda: not viewer.session.jobs.now, "the job")
    _choose(page, "Object", "box")
    _choose(page, "Merge with", "mug")
    _press(page, "Merge")
    wait_until(page, lambda: _names(small_scene) == ("box", "can"), "the scene folder")
    wait_until(page, lambda: not viewer.session.jobs.now, "the job")
    _press(page, "Undo")
    wait_until(page, lambda: len(_names(small_scene)) == 3, "the scene folder")


def test_a_click_on_a_thing_makes_it_an_object(
    tmp_path: Path, view: Any, open_page: Any, settle: Any, wait_until: Any
) -> None:
    folder = write_small_scene(tmp_path / "desk", seen_larger(loose(small_scene(), "can")))
    viewer = view(folder)
    page = open_page(viewer.url)
    rows, columns = np.nonzero(_green(settle(page)))
    _open_edit(page)
    _write(page, "Name", "tin", last=True)
    _press(page, "Add by a click")
    wait_until(page, lambda: viewer.session.tool == "point", "the tool")
    page.mouse.click(float(np.median(columns)), float(np.median(rows)))
    wait_until(page, lambda: _names(folder) == ("box", "mug", "tin"), f"the tin; {viewer.session.jobs.failed}")
    made = load_scene(folder).objects[2]
    assert np.abs(np.array(made.T_world_body[:2]) - (0.0, 0.1)).max() < 0.02
    wait_until(page, lambda: viewer.session.selected == 2, "the selection")
    assert viewer.session.tool == ""


def test_a_wrong_edit_changes_nothing(small_scene: Path, view: Any, open_page: Any, wait_until: Any) -> None:
    viewer = view(small_scene)
    before = (small_scene / "scene.yaml").read_bytes()
    page = open_page(viewer.url)
    _open_edit(page, "can")
    _write(page, "Name", "mug")
    _press(page, "Save changes")
    wait_until(page, lambda: viewer.session.jobs.failed, "the refusal")
    assert "already" in viewer.session.jobs.failed
    assert (small_scene / "scene.yaml").read_bytes() == before
