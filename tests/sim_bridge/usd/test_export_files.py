"""Stages as files: whole or not at all, nothing replaced unasked, packages aligned and split."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pxr import Sdf, Usd, UsdGeom

from scene3d import Scene
from scene3d._errors import OutputError, UsageError
from sim_bridge.mjcf import export_mjcf
from sim_bridge.urdf import export_urdf
from sim_bridge.usd import _splat_files, _target, export_usd


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_is_there_is_kept_unless_asked(tiny_scene: Scene, tmp_path: Path) -> None:
    target = tmp_path / "tiny.usdc"
    target.write_bytes(b"mine")

    with pytest.raises(OutputError, match="--overwrite"):
        export_usd(tiny_scene, target)
    assert target.read_bytes() == b"mine" and names(tmp_path) == ["tiny.usdc"]
    export_usd(tiny_scene, target, overwrite=True)

    assert Usd.Stage.Open(str(target))
    assert names(tmp_path) == ["initial_conditions.json", "tiny.usdc"]


def test_edited_conditions_are_kept_unless_asked(tiny_scene: Scene, tmp_path: Path) -> None:
    export_usd(tiny_scene, tmp_path / "a.usdc")
    # The same poses: another stage may join.
    export_usd(tiny_scene, tmp_path / "b.usdc")
    (tmp_path / "initial_conditions.json").write_text("{}", encoding="utf-8")

    with pytest.raises(OutputError, match=r"initial_conditions\.json is there already"):
        export_usd(tiny_scene, tmp_path / "c.usdc")

    assert names(tmp_path) == ["a.usdc", "b.usdc", "initial_conditions.json"]


@pytest.mark.parametrize("name", ["tiny.ply", "tiny", "tiny.USDX"])
def test_other_endings_are_refused(tiny_scene: Scene, tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match=r"\.usd, \.usda, \.usdc, \.usdz"):
        export_usd(tiny_scene, tmp_path / name)


@pytest.mark.parametrize("export", [export_usd, export_mjcf, export_urdf])
def test_names_that_no_disk_takes_are_refused(tiny_scene: Scene, tmp_path: Path, export: Any) -> None:
    suffix = {"export_usd": ".usda", "export_mjcf": ".xml", "export_urdf": ".urdf"}[export.__name__]
    with pytest.raises(OutputError, match="File name too long"):
        export(tiny_scene, tmp_path / f"{'y' * 300}{suffix}")
    assert not list(tmp_path.iterdir())


def test_folders_are_made_and_not_overwritten(tiny_scene: Scene, tmp_path: Path) -> None:
    assert export_usd(tiny_scene, tmp_path / "new" / "deep" / "tiny.usdc").path.is_file()
    (tmp_path / "folder.usdc").mkdir()

    with pytest.raises(OutputError, match="is a folder"):
        export_usd(tiny_scene, tmp_path / "folder.usdc", overwrite=True)


@pytest.mark.parametrize("suffix", [".usdc", ".usdz"])
def test_what_fails_leaves_nothing_behind(
    tiny_scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    target = tmp_path / f"tiny{suffix}"
    target.write_bytes(b"mine")

    def full(made: Path, path: Path) -> None:
        assert made.stat().st_size > 1000
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("sim_bridge.usd._export.settle", full)
    with pytest.raises(OutputError, match="disk is full"):
        export_usd(tiny_scene, target, overwrite=True)

    assert target.read_bytes() == b"mine" and names(tmp_path) == [target.name]


def test_what_usd_cannot_write_is_said(tiny_scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Sdf.Layer, "Export", lambda *_: False)

    with pytest.raises(OutputError, match=r"tiny\.usdc cannot be written"):
        export_usd(tiny_scene, tmp_path / "tiny.usdc")

    assert names(tmp_path) == []


@pytest.mark.parametrize("suffix", [".usda", ".usdc", ".usdz"])
def test_a_full_disk_is_one_clear_sentence(tabletop_loaded: Scene, tmp_path: Path, suffix: str) -> None:
    resource = pytest.importorskip("resource", reason="Windows has no limit for sizes of files")
    scene = replace(tabletop_loaded, objects=(), splats=tabletop_loaded.splats[:1000], filled=0)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        with pytest.raises(OutputError) as error:
            export_usd(scene, tmp_path / f"table{suffix}")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

    assert str(error.value).startswith(f"{tmp_path / 'table'}{suffix} cannot be written")
    assert "Is the disk full?" in str(error.value)
    # Places in USD's own source say nothing to anybody.
    assert ".cpp" not in str(error.value) and len(str(error.value)) < 400
    assert names(tmp_path) == []


def member_offsets(path: Path) -> dict[str, int]:
    """Where the data of each member begin, behind its local header of 30 bytes, name and padding."""
    raw = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        found = {}
        for info in archive.infolist():
            assert info.compress_type == zipfile.ZIP_STORED
            header = info.header_offset
            lengths = [int.from_bytes(raw[header + at : header + at + 2], "little") for at in (26, 28)]
            found[info.filename] = header + 30 + sum(lengths)
    return found


def test_packages_are_aligned_to_64_bytes(tiny_scene: Scene, tmp_path: Path) -> None:
    exported = export_usd(tiny_scene, tmp_path / "tiny.usdz")

    offsets = member_offsets(exported.path)
    assert list(offsets) == ["scene.usdc"]
    assert all(offset % 64 == 0 for offset in offsets.values())
    assert Usd.Stage.Open(str(exported.path)).GetDefaultPrim().GetPath() == "/World"


def test_large_packages_are_split_and_read_the_same(tiny_scene: Scene, tmp_path: Path) -> None:
    whole = Usd.Stage.Open(str(export_usd(tiny_scene, tmp_path / "whole.usdc").path))

    # 17 splats of 92 bytes each in the background: 10 fit into a part.
    exported = export_usd(tiny_scene, tmp_path / "split.usdz", part_bytes=1000)

    offsets = member_offsets(exported.path)
    assert next(iter(offsets)) == "scene.usdc" and len(offsets) == 7
    assert all(offset % 64 == 0 for offset in offsets.values())
    stage = Usd.Stage.Open(str(exported.path))
    for name in ("Background", "box", "can"):
        prims = [p for p in stage.GetPrimAtPath(f"/World/{name}").GetChildren() if p.GetName().startswith("splat")]
        assert [prim.GetName() for prim in prims] == ["splat", "splat_001"]
        assert all(prim.GetTypeName() == "ParticleField3DGaussianSplat" for prim in prims)
        one = whole.GetPrimAtPath(f"/World/{name}/splat")
        for attribute in ("positions", "opacities", "radiance:sphericalHarmonicsCoefficients"):
            parts = [np.array(prim.GetAttribute(attribute).Get()) for prim in prims]
            assert np.array_equal(np.concatenate(parts), one.GetAttribute(attribute).Get())
        size = prims[0].GetAttribute("radiance:sphericalHarmonicsCoefficients").GetMetadata("elementSize")
        assert size == 4


def test_split_packages_keep_time_and_the_turn_of_the_world(tiny_scene: Scene, tmp_path: Path) -> None:
    scene = replace(tiny_scene, up=(0.0, 1.0, 0.0), objects=(), supports=())

    exported = export_usd(scene, tmp_path / "split.usdz", part_bytes=500)

    stage = Usd.Stage.Open(str(exported.path))
    splats = [prim for prim in stage.Traverse() if prim.GetName().startswith("splat")]
    assert len(splats) == 4
    for prim in splats:
        matrix = UsdGeom.Xformable(prim).ComputeLocalToWorldTransform(Usd.TimeCode.Default())
        assert tuple(matrix.TransformDir((0, 1, 0))) == pytest.approx((0, 0, 1), abs=1e-12)


def test_packages_that_would_pass_4_gib_are_refused(
    tiny_scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_splat_files, "PACKAGE_BYTES", 4000)

    with pytest.raises(OutputError, match=r"\.usdz ends at 4 GiB.*--half"):
        export_usd(tiny_scene, tmp_path / "tiny.usdz")

    assert names(tmp_path) == []
    export_usd(tiny_scene, tmp_path / "tiny.usdz", half=True)


def test_files_have_the_rights_that_the_user_gives_new_files(tiny_scene: Scene, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.touch()

    exported = export_usd(tiny_scene, tmp_path / "tiny.usdz")

    assert exported.path.stat().st_mode == other.stat().st_mode
    assert _target.SUFFIXES == (".usd", ".usda", ".usdc", ".usdz")
