"""The gallery of a report: pictures of rollouts, renewed when there are others, in a page that opens offline."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from scene3d import load_scene
from scene3d._rollout_folder import save_simulation
from scene3d._simulate import Simulation
from scene3d.report._gallery import _outcome, renew_gallery
from scene3d.report._gallery_pictures import rollout_pictures

PAGE = "<html><head></head><body><h2>All measured photos</h2><table></table><footer></footer></body></html>"


@pytest.fixture
def scene_folder(tabletop_scene: Path, tmp_path: Path) -> Path:
    """A copy of the demo scene."""
    return Path(shutil.copytree(tabletop_scene, tmp_path / "tabletop"))


def _slid(folder: Path, futures: int = 1) -> Simulation:
    """The mug slides; each future goes another way."""
    from scene3d._scene_world import scene_state, scene_world

    scene = load_scene(folder)
    world = scene_world(scene)
    state = scene_state(scene, world, worlds=futures)
    times = 4
    import torch

    from dynamics import Rollout

    poses = state.T_world_body[:, None].repeat(1, times, 1, 1)
    for future in range(futures):
        for index in range(times):
            poses[future, index, 0, 0] += 0.05 * index
            poses[future, index, 0, 1] -= 0.04 * index * future
    twist = torch.zeros(*poses.shape[:3], 6)

    def held(part: Any) -> Any:
        return part[:, None].repeat(1, times, *[1] * (part.dim() - 1))

    none = torch.zeros(futures, times, 0)
    rollout = Rollout(poses, twist, none, none, held(state.x), held(state.v), held(state.still), none.sum(2), 0.25)
    return Simulation(world, rollout, (), None, "", (), "nothing")


def test_pictures_show_the_beginning_the_end_and_all_ends(scene_folder: Path) -> None:
    scene, simulation = load_scene(scene_folder), _slid(scene_folder, futures=3)
    pictures = dict(rollout_pictures(scene, simulation.rollout))
    assert list(pictures) == ["the beginning", "the end", "the ends of 3 futures"]
    start, end, fan = (picture.astype(int) for picture in pictures.values())
    assert start.shape == (360, 480, 3)
    assert 0.005 < (np.abs(end - start).max(axis=-1) > 25).mean() < 0.3
    # Ghosts: some pixels differ from the end, and less than a solid object would.
    assert 0.002 < (np.abs(fan - end).max(axis=-1) > 10).mean() < 0.2
    broken = replace(simulation.rollout, T_world_body=simulation.rollout.T_world_body * float("nan"))
    assert rollout_pictures(scene, broken) == []
    assert rollout_pictures(replace(scene, views=()), simulation.rollout) == []


def test_a_page_gets_a_section_and_keeps_the_rest(scene_folder: Path) -> None:
    assert renew_gallery(scene_folder) is None
    page = scene_folder / "report" / "index.html"
    page.parent.mkdir()
    page.write_text(PAGE)
    save_simulation(_slid(scene_folder), scene_folder, deeds=["push <mug>,1,0,0"])
    assert renew_gallery(scene_folder) == page
    text = page.read_text()
    assert text.index("Rollout 001") < text.index("All measured photos")
    assert "push &lt;mug&gt;" in text and text.count("data:image/jpeg") == 2
    assert not re.search(r"(src|href)=\"https?:", text) and len(text) < 400_000
    # A second one: the first is taken over as it was drawn, and nothing is there twice.
    first = re.search(r"<section.*?</section>", text, re.DOTALL)
    save_simulation(_slid(scene_folder), scene_folder)
    renew_gallery(scene_folder)
    text = page.read_text()
    assert first is not None and first.group() in text
    assert (text.count("<section"), text.count("<!-- gallery -->")) == (2, 1)
    assert text.index("Rollout 002") < text.index("Rollout 001")
    shutil.rmtree(scene_folder / "rollouts")
    renew_gallery(scene_folder)
    assert "Rollout" not in page.read_text() and page.read_text().endswith("</html>")


def test_a_comparison_is_shown_below_its_pictures(scene_folder: Path) -> None:
    scene = load_scene(scene_folder)
    where = save_simulation(_slid(scene_folder), scene_folder)
    plain = renew_gallery(scene_folder, scene)
    assert plain is not None and "compared with" not in plain.read_text()
    Image.new("RGB", (40, 20)).save(where / "compare.png")
    page = renew_gallery(scene_folder, scene)
    assert page is not None and page.read_text().count("data:image/png;base64,iVBOR") == 1
    (where / "compare.png").write_bytes(b"<script>")
    renew_gallery(scene_folder, scene)
    assert "compared with" not in page.read_text() and page.read_text().count("<section") == 1


def test_what_is_said_of_a_rollout() -> None:
    rows = [{"name": "mug", "shares": {"stays": 0.25, "moves": 0.75}}, {"name": "box", "shares": {"stays": 1.0}}]
    assert _outcome({"outcomes": rows, "futures": 4}) == "mug moves in 75 %"
    assert _outcome({"outcomes": rows, "futures": 1}) == "mug moves"
    assert _outcome({"outcomes": rows[1:], "futures": 4}) == "everything stays"
    assert _outcome({"outcomes": [], "futures": 2, "flagged": [0, 1]}) == "no future can be trusted"


def test_without_a_report_a_page_is_made(scene_folder: Path) -> None:
    save_simulation(_slid(scene_folder), scene_folder)
    page = renew_gallery(scene_folder)
    assert page is not None
    text = page.read_text()
    assert text.startswith("<!doctype html>") and "<h1>tabletop</h1>" in text and "Rollout 001" in text


def test_rollouts_of_other_bodies_and_damaged_screenshots_are_left_out(scene_folder: Path) -> None:
    from scene3d.edit import remove
    from scene3d.files import save_scene

    save_simulation(_slid(scene_folder), scene_folder)
    save_scene(remove(load_scene(scene_folder), "toy"), scene_folder, overwrite=True)
    shots = scene_folder / "report" / "screenshots"
    shots.mkdir(parents=True)
    (shots / "001.png").write_bytes(b"no picture")
    assert renew_gallery(scene_folder) is None
