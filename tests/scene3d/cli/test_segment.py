"""`scene3d segment` from words to words: the table, the document, and one message for each thing that is wrong."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from scene3d import Gaussians, Scene, load_scene, save_scene

from ..segment.made_up_desk import block, splats
from ..segment.photographed_desk import BLUE, RED, TRUTH, desk, photographed, write_ids, write_masks

if TYPE_CHECKING:
    from .conftest import Command

LABEL = TRUTH[TRUTH != BLUE]
SPECK, PEA = 3, 4


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    """The red block alone on the desk, with photos."""
    return photographed(tmp_path / "photos", desk()[TRUTH != BLUE])


@pytest.fixture
def folder(scene: Scene, tmp_path: Path) -> Path:
    return save_scene(scene, tmp_path / "desk")


def test_segment_and_segment_again(command: Command, scene: Scene, folder: Path, tmp_path: Path) -> None:
    drawn = write_masks(tmp_path / "drawn", scene, LABEL, {"red block": RED}, {})
    outcome = command("segment", folder, "--masks", drawn, "--mass", "red block=0.3", "--material", "red block=wood")
    assert outcome.code == 0, outcome.err
    row = next(line for line in outcome.out.splitlines() if line.strip().startswith("red block"))
    assert row.split()[2] == "rigid"
    assert "300 g" in row and "wood" in row
    assert (folder / "report" / "objects.png").is_file()
    first = load_scene(folder)

    outcome = command("segment", folder)
    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err.startswith(f"error: {folder} has objects already (red block); pass --overwrite")

    outcome = command("segment", folder, "--overwrite", "--json")
    assert outcome.code == 0, outcome.err
    document = json.loads(outcome.out)
    assert (document["method"], document["scene"]) == ("shape", str(folder))
    assert Path(document["sheet"]).is_file()
    (thing,) = document["objects"]
    assert (thing["name"], thing["mass"], thing["material"]) == ("red block", 0.3, "wood")
    assert "mass" not in thing["guessed"]
    assert load_scene(folder).objects[0].T_world_body[:3] == pytest.approx(first.objects[0].T_world_body[:3], abs=0.004)

    assert command("edit", folder, "--undo").code == 0
    assert load_scene(folder).source["segment"]["method"] == "masks"


def test_ids_that_come_and_go_and_things_of_few_splats(command: Command, tmp_path: Path) -> None:
    """What can be made of the masks is made, and each thing that is wrong with them is said once."""
    tiny = block(0.15, 0.1, (0.02, 0.016, 0.012), step=0.004)[:40]
    made = Gaussians.cat([desk()[TRUTH != BLUE], splats((tiny, (0.1, 0.6, 0.1)), sigma=0.003)])
    scene = photographed(tmp_path / "photos", made)
    label = torch.cat([LABEL, torch.full((40,), PEA)])
    label[torch.nonzero(LABEL == 0)[400:403, 0]] = SPECK
    ids = write_ids(tmp_path / "ids", scene, label, gone={RED: [1, 4, 6]})
    (ids / "names.json").write_text('{"1": "red block", "3": "a speck", "4": "pea"}', encoding="utf-8")
    folder = save_scene(scene, tmp_path / "desk")
    outcome = command("segment", folder, "--masks", ids)
    assert outcome.code == 0, outcome.err
    found = {thing.name: thing for thing in load_scene(folder).objects}
    # 40 splats are enough where masks show an outline; three are not.
    assert set(found) == {"red block", "pea"}
    assert found["pea"].T_world_body[:3] == pytest.approx((0.15, 0.1, 0.0), abs=0.005)
    assert np.ptp(found["pea"].body.mesh.vertices, axis=0).max() < 0.05
    notes = outcome.err.splitlines()
    gone = "'red block' is missing from the masks of 3 photos that show it; they did not vote against it."
    assert notes.count(gone) == 1
    assert sum("speck" in note and "stays" in note and "background" in note for note in notes) == 1


def test_no_support(command: Command, tmp_path: Path) -> None:
    points = torch.nn.functional.normalize(torch.randn(500, 3), dim=1) * 0.1
    ball = Gaussians.from_points(points, torch.rand(500, 3), sigma=0.01, opacity=0.9)
    folder = save_scene(photographed(tmp_path / "photos", ball), tmp_path / "ball")
    outcome = command("segment", folder)
    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err == (
        "error: No level surface is seen that things could stand on, so objects cannot be told apart without help. "
        "Give instance masks with the capture, or name things by clicks: --point IMAGE,U,V,NAME.\n"
    )


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (("--material", "mug=stonewear"), 2, "There is no material 'stonewear'. Did you mean 'stoneware'?"),
        (("--material", "mug"), 2, "Found --material mug; it is written NAME=VALUE"),
        (("--material", "../mug=steel"), 2, "'../mug' cannot be the name of an object."),
        (("--mass", "mug=heavy"), 2, "Found --mass mug=heavy; it is written NAME=KG, for example mug=0.35."),
        (("--mass", "mug=-1"), 2, "Found --mass mug=-1; a mass is a number above zero, in kilograms."),
        (("--kind", "mug=soft"), 2, "Found --kind mug=soft; a kind is one of rigid, deformable."),
        (("--min-height", "-1"), 2, "Found --min-height -1; it takes a length of zero or more"),
        (("--min-height", "1"), 1, "Nothing rises more than 1 m above the surface"),
        (("--masks", "nowhere"), 1, "There is no folder nowhere of masks."),
        (("--masks", "nowhere", "--no-masks"), 2, "--masks FOLDER and --no-masks contradict each other"),
        (("--point", "00.png,80"), 2, "Found the point '00.png,80'; it is written IMAGE,U,V"),
        (("--point", "00.png,80,60,../../mug"), 2, "'../../mug' cannot be the name of an object."),
        (("--point", "holiday.png,80,60,mug"), 2, "names the photo 'holiday.png', which there is not"),
        (("--point", "00.png,800,60,mug"), 2, "800,60 lies outside"),
        (
            ("--kind", "mug=rigid"),
            2,
            "names 'mug', which is no object of the scene. These were found: object-1.",
        ),
        (("--sam2", "nowhere", "--point", "00.png,80,60"), 1, "There is no folder nowhere. --sam2 takes"),
    ],
)
def test_what_is_wrong_is_said_once(
    command: Command, folder: Path, options: tuple[str, ...], code: int, words: str
) -> None:
    before = (folder / "scene.yaml").read_bytes()
    outcome = command("segment", folder, *options)
    assert (outcome.code, outcome.out) == (code, ""), outcome.err
    assert words in outcome.err
    assert outcome.err.count("error: ") == 1 and "Traceback" not in outcome.err
    assert (folder / "scene.yaml").read_bytes() == before


@pytest.mark.parametrize("name", ["../../evil", "..", "a/b"])
def test_names_in_masks_lead_nowhere(command: Command, scene: Scene, folder: Path, tmp_path: Path, name: str) -> None:
    ids = write_ids(tmp_path / "ids", scene, LABEL)
    (ids / "names.json").write_text(json.dumps({"1": name}), encoding="utf-8")
    outcome = command("segment", folder, "--masks", ids)
    assert outcome.code == 2
    assert f"{name!r} cannot be the name of an object. A name has 1 to 64 printable characters" in outcome.err


def test_a_mask_that_names_nothing(command: Command, scene: Scene, folder: Path, tmp_path: Path) -> None:
    ids = write_ids(tmp_path / "ids", scene, LABEL)
    (ids / "names.json").write_text('{"1": "red", "7": "ghost"}', encoding="utf-8")
    outcome = command("segment", folder, "--masks", ids)
    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err == (
        "error: No pixel of the 8 masks shows 'ghost'. Draw it in one mask at least, or leave the name out.\n"
    )


def test_no_scene_and_no_cameras(command: Command, scene: Scene, tmp_path: Path) -> None:
    assert command("segment", tmp_path / "nowhere").code == 1
    blind = save_scene(replace(scene, views=()), tmp_path / "blind")
    outcome = command("segment", blind)
    assert outcome.code == 1
    assert "remembers no cameras" in outcome.err


def test_ctrl_c_leaves_the_scene_as_it_was(command: Command, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def impatient(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    monkeypatch.setattr("scene3d.segment._make_objects.make_objects", impatient)
    outcome = command("segment", folder)
    assert (outcome.code, outcome.out, outcome.err.splitlines()[-1]) == (130, "", "Stopped.")
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
