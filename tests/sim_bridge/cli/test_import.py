"""`scene3d import`: a stage becomes a scene folder, and what was found and converted is printed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pxr import UsdGeom

from scene3d import Scene, load_scene
from scene3d._errors import FileFormatError, OutputError, UsageError
from sim_bridge.cli.import_stage import ImportStage
from sim_bridge.usd import export_usd

from ..usd.made_stages import new_stage, save, sound_stage


def test_our_own_stage(tiny_scene: Scene, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = export_usd(tiny_scene, tmp_path / "tiny.usdc").path
    assert ImportStage(path, out=tmp_path / "scene").run() == 0
    out = capsys.readouterr().out
    assert [thing.name for thing in load_scene(tmp_path / "scene").objects] == ["box", "can"]
    for words in ("splats    50, SH degree 1", "supports  1", "cameras   3", "scale     metric", "saved "):
        assert words in out
    assert "note      A stage does not hold the photos" in out


def test_conversions_are_in_the_document(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stage = sound_stage(tmp_path)
    UsdGeom.SetStageUpAxis(stage, "Y")
    path = save(stage, tmp_path / "stage.usda")
    assert ImportStage(path, out=tmp_path / "scene", json=True).run() == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["splats"], document["supports"], len(document["objects"])) == (80, 0, 2)
    assert document["notes"][0] == "The stage is Y-up: it was turned to Z-up, by a quarter turn about x."
    assert load_scene(tmp_path / "scene").source["notes"] == document["notes"]


def test_what_is_there_is_kept(tmp_path: Path) -> None:
    path = save(sound_stage(tmp_path), tmp_path / "stage.usda")
    ImportStage(path, out=tmp_path / "scene", quiet=True).run()
    before = (tmp_path / "scene" / "scene.yaml").read_bytes()
    with pytest.raises(OutputError, match="--overwrite"):
        ImportStage(path, out=tmp_path / "scene", quiet=True).run()
    assert (tmp_path / "scene" / "scene.yaml").read_bytes() == before
    assert ImportStage(path, out=tmp_path / "scene", overwrite=True, quiet=True).run() == 0


def test_nothing_is_made_of_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    save(new_stage(tmp_path), tmp_path / "empty.usda")
    with pytest.raises(FileFormatError, match="holds neither Gaussian splats"):
        ImportStage(tmp_path / "empty.usda", out=tmp_path / "scene").run()
    with pytest.raises(UsageError, match=r"--out outputs/empty"):
        ImportStage(tmp_path / "empty.usda").run()
    assert not (tmp_path / "scene").exists()
