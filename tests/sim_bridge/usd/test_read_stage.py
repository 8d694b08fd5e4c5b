"""Opening files of others: damaged ones are one clear error, and nothing outside of a file's folder is ever opened."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pxr import Gf, Sdf, Usd, UsdGeom

from scene3d._errors import FileFormatError
from sim_bridge.usd import check_usd, import_usd
from sim_bridge.usd._check import findings
from sim_bridge.usd._import import scene_of
from sim_bridge.usd._read_stage import open_stage

from .made_stages import new_stage, save, sound_stage


def _names(stage: Any) -> set[str]:
    return {str(prim.GetPath()) for prim in stage.TraverseAll()}


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """The place of a stage beside the folder of the stage that names it; `_write_outside` puts it there."""
    (tmp_path / "folder").mkdir()
    return tmp_path / "secret.usda"


def _write_outside(outside: Path) -> None:
    # Only after the stage that names it is made, so that making that one cannot have opened it.
    stage = new_stage(outside)
    UsdGeom.Xform.Define(stage, "/World/secret")
    outside.write_text(stage.GetRootLayer().ExportToString(), encoding="utf-8")


@pytest.mark.parametrize("suffix", [".usda", ".usdc", ".usdz", ".usd"])
@pytest.mark.parametrize("read", [findings, scene_of])
def test_damaged_files_are_one_clear_error(tmp_path: Path, suffix: str, read: Any) -> None:
    whole = save(sound_stage(tmp_path), tmp_path / "whole.usdc").read_bytes()
    for name, data in (("short", whole[: len(whole) // 2]), ("noise", bytes(range(256)) * 9), ("empty", b"")):
        path = tmp_path / f"{name}{suffix}"
        path.write_bytes(data)
        with pytest.raises(FileFormatError, match=rf"{name}\{suffix} cannot be read as USD"):
            read(path)


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match="does not exist"):
        open_stage(tmp_path / "gone.usda")
    (tmp_path / "folder.usd").mkdir()
    with pytest.raises(FileFormatError, match=r"folder\.usd is a folder, not a USD file"):
        open_stage(tmp_path / "folder.usd")
    (tmp_path / "scene.ply").write_bytes(b"ply")
    with pytest.raises(FileFormatError, match=r"no USD file by its suffix. Read are .usd, .usda"):
        open_stage(tmp_path / "scene.ply")


def _hurt(path: Path, seed: int) -> Path:
    """The sound stage with a few bytes changed, the same ones for the same seed."""
    rng = np.random.default_rng(seed)
    whole = save(sound_stage(path), path.with_name(f"whole{path.suffix}")).read_bytes()
    hurt = np.frombuffer(whole, dtype=np.uint8).copy()
    places = rng.integers(0, len(hurt), rng.integers(1, 9))
    low, high = (0, 256) if path.suffix == ".usdc" else (32, 127)
    hurt[places] = rng.integers(low, high, len(places))
    path.write_bytes(hurt.tobytes())
    return path


@pytest.mark.parametrize(("suffix", "seed"), [(".usdc", 82), (".usdc", 7), (".usdc", 8), (".usda", 9)])
@pytest.mark.parametrize("read", [check_usd, import_usd])
def test_flipped_bytes_never_crash(tmp_path: Path, suffix: str, seed: int, read: Any) -> None:
    try:
        read(_hurt(tmp_path / f"hurt{suffix}", seed))
    except FileFormatError as error:
        assert str(error).startswith(str(tmp_path / f"hurt{suffix}"))


def test_a_reader_that_dies_or_hangs_is_a_damaged_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(sound_stage(tmp_path), tmp_path / "stage.usdc")
    monkeypatch.setattr("sim_bridge.usd._read_probe.MEMORY", 100 << 20)  # Too little to start.
    with pytest.raises(FileFormatError, match=r"stage.usdc cannot be read as USD \(the reader gave up"):
        import_usd(path)
    monkeypatch.setattr("sim_bridge.usd._read_probe.WAIT", 0.0)
    with pytest.raises(FileFormatError, match="is not read to its end"):
        check_usd(path)


def test_bombs_of_references_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Each prim brings the one before twice: 2^40 prims in a kilobyte.
    rows = ["#usda 1.0", 'def Xform "x0" {', "}"]
    for number in range(1, 40):
        refs = f"(prepend references = </x{number - 1}>)"
        rows += [f'def Xform "x{number}" {{', f'def "a" {refs} {{', "}", f'def "b" {refs} {{', "}", "}"]
    (tmp_path / "bomb.usda").write_text("\n".join(rows), encoding="utf-8")
    monkeypatch.setattr("sim_bridge.usd._read_probe.SECONDS", 2)
    with pytest.raises(FileFormatError, match=r"bomb\.usda cannot be read"):
        import_usd(tmp_path / "bomb.usda")


def test_references_out_of_the_folder_are_not_followed(tmp_path: Path, outside: Path) -> None:
    folder = tmp_path / "folder"
    inner = new_stage(folder / "inner.usda")
    UsdGeom.Xform.Define(inner, "/World/kept")
    inner.DefinePrim("/World/deep").GetReferences().AddReference("../secret.usda")
    save(inner, folder / "inner.usda")
    (folder / "link.usda").symlink_to(outside)

    stage = new_stage(folder / "stage.usda")
    stage.DefinePrim("/World/a").GetReferences().AddReference("./inner.usda")
    stage.DefinePrim("/World/b").GetReferences().AddReference("../secret.usda")
    stage.DefinePrim("/World/c").GetPayloads().AddPayload(str(outside))
    stage.DefinePrim("/World/d").GetReferences().AddReference("./link.usda")
    stage.DefinePrim("/World/e").GetReferences().AddReference("https://example.com/secret.usda")
    stage.DefinePrim("/World/f").GetReferences().AddReference('`"../secret.usda"`')
    stage.DefinePrim("/World/i").GetReferences().AddReference('`"${WHERE}"`')
    stage.GetRootLayer().subLayerPaths.append("../secret.usda")
    choice = stage.DefinePrim("/World/g").GetVariantSets().AddVariantSet("which")
    choice.AddVariant("one")
    choice.SetVariantSelection("one")
    with choice.GetVariantEditContext():
        stage.GetPrimAtPath("/World/g").GetReferences().AddReference("../secret.usda")
    clips = Usd.ClipsAPI(stage.DefinePrim("/World/h"))
    clips.SetClipAssetPaths(Sdf.AssetPathArray([Sdf.AssetPath("../secret.usda")]))
    path = save(stage, folder / "stage.usda")
    before = path.read_bytes()
    _write_outside(outside)

    opened = open_stage(path)
    assert "/World/a/kept" in _names(opened.stage)
    assert not [name for name in _names(opened.stage) if "secret" in name]
    assert Sdf.Layer.Find(str(outside)) is None
    names = {asset.name for asset in opened.outside}
    assert {"../secret.usda", str(outside), "./link.usda", "https://example.com/secret.usda", '`"${WHERE}"`'} <= names
    assert {asset.layer for asset in opened.outside} == {str(path), str(folder / "inner.usda")}
    rules = [finding.rule for finding in findings(path) if finding.severity == "error"]
    assert rules.count("outside") == len({asset.name for asset in opened.outside})
    assert Sdf.Layer.Find(str(outside)) is None
    assert path.read_bytes() == before


def test_the_same_reference_inside_the_folder_is_followed(tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    part = new_stage(tmp_path / "part.usda")
    UsdGeom.Xform.Define(part, "/World/leg")
    save(part, tmp_path / "parts" / "part.usda")
    stage = new_stage(tmp_path / "stage.usda")
    stage.DefinePrim("/World/a").GetReferences().AddReference("parts/part.usda")
    stage.DefinePrim("/World/b").GetReferences().AddReference("parts/gone.usda")
    opened = open_stage(save(stage, tmp_path / "stage.usda"))
    assert "/World/a/leg" in _names(opened.stage)
    assert not opened.outside
    assert [asset.name for asset in opened.missing] == ["parts/gone.usda"]


def test_packages_keep_to_themselves(tmp_path: Path, outside: Path) -> None:
    part = new_stage(tmp_path / "part.usda")
    UsdGeom.Xform.Define(part, "/World/leg")
    save(part, tmp_path / "part.usdc")
    stage = new_stage(tmp_path / "stage.usda")
    stage.DefinePrim("/World/a").GetReferences().AddReference("./part.usdc")
    stage.DefinePrim("/World/b").GetReferences().AddReference(str(outside))
    save(stage, tmp_path / "stage.usda")
    with Sdf.ZipFileWriter.CreateNew(str(tmp_path / "all.usdz")) as package:
        package.AddFile(str(tmp_path / "stage.usda"), "stage.usda")
        package.AddFile(str(tmp_path / "part.usdc"), "part.usdc")
    (tmp_path / "part.usdc").unlink()
    _write_outside(outside)
    opened = open_stage(tmp_path / "all.usdz")
    assert "/World/a/leg" in _names(opened.stage)
    assert not [name for name in _names(opened.stage) if "secret" in name]
    assert [asset.name for asset in opened.outside] == [str(outside)]
    assert Sdf.Layer.Find(str(outside)) is None


def test_a_file_that_was_written_again_is_read_again(tmp_path: Path) -> None:
    stage = new_stage(tmp_path / "stage.usda")
    held = open_stage(save(stage, tmp_path / "stage.usda"))
    UsdGeom.Xform.Define(stage, "/World/new")
    (tmp_path / "stage.usda").write_text(stage.GetRootLayer().ExportToString(), encoding="utf-8")
    assert "/World/new" in _names(open_stage(tmp_path / "stage.usda").stage)
    assert held.stage


def test_too_many_prims_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sim_bridge.usd._read_stage.MOST_PRIMS", 50)
    stage = new_stage(tmp_path / "stage.usda")
    for number in range(60):
        UsdGeom.Xform.Define(stage, f"/World/x{number}")
    with pytest.raises(FileFormatError, match="more than 50 prims"):
        open_stage(save(stage, tmp_path / "stage.usda"))


def test_an_orientation_of_no_numbers_is_none_as_usd_itself_takes_it(tmp_path: Path) -> None:
    stage = sound_stage(tmp_path)
    box = stage.GetPrimAtPath("/World/box")
    kept = box.GetAttribute("xformOp:translate").Get()
    box.GetAttribute("xformOp:orient").Set(Gf.Quatd(float("nan"), 0, 0, 0))
    (thing,) = scene_of(save(stage, tmp_path / "turned.usda")).scene.objects
    assert thing.T_world_body == pytest.approx((*kept, 1, 0, 0, 0))
