"""Any splat file: found by its contents or name, written by its suffix, losses said."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from scene3d._errors import FileFormatError, UsageError
from scene3d.files import load_ply, load_splats, save_ply, save_splats

from .conftest import largest, seeded


def test_ply_is_exact_and_keeps_bodies_and_up(tmp_path: Path) -> None:
    before = replace(seeded(100), component_index=torch.arange(100, dtype=torch.int32) % 3)
    assert save_splats(before, tmp_path / "a.ply", comments=["made for a test"], up=(0.0, 0.6, -0.8)) == ()
    found = load_splats(tmp_path / "a.ply")
    assert found.format == "ply"
    assert found.up == pytest.approx((0.0, 0.6, -0.8))
    assert torch.equal(found.splats.component_index, before.component_index)
    assert largest(before.shN, found.splats.shN) == 0
    assert b"comment made for a test\n" in (tmp_path / "a.ply").read_bytes()[:300]
    save_ply(before, tmp_path / "b.ply")
    assert load_splats(tmp_path / "b.ply").up is None


@pytest.mark.parametrize("comment", ["up axis 0 0 0", "up axis nan 0 1", "up axis 1e9 0 0", "up axis z", "up axis 1 2"])
def test_an_up_axis_that_is_none(tmp_path: Path, comment: str) -> None:
    save_ply(seeded(2), tmp_path / "a.ply", comments=[comment])
    assert load_splats(tmp_path / "a.ply").up is None


def test_contents_win_over_the_name(tmp_path: Path) -> None:
    before = seeded(10)
    for suffix in ("ply", "spz", "glb"):
        save_splats(before, tmp_path / f"a.{suffix}")
        (tmp_path / f"a.{suffix}").rename(tmp_path / f"{suffix}.bin")
        assert load_splats(tmp_path / f"{suffix}.bin").format == suffix


@pytest.mark.parametrize("suffix", [".spz", ".splat", ".glb"])
def test_lost_bodies_are_said(tmp_path: Path, suffix: str) -> None:
    splats = replace(seeded(10), component_index=torch.arange(10, dtype=torch.int32) % 3)
    assert "Which of 3 bodies each splat rides on was lost." in save_splats(splats, tmp_path / f"a{suffix}")


@pytest.mark.parametrize("name", ["a.ksplat", "a.sog", "a", "a.txt", "a.compressed.ply"])
def test_suffixes_that_are_not_written(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match=r"these are \.ply, \.spz, \.splat, \.glb"):
        save_splats(seeded(3), tmp_path / name)


def test_files_that_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "a.ksplat").write_bytes(b"\0\1")
    with pytest.raises(FileFormatError, match=r"no splat file that is read; export it as \.ply or \.splat"):
        load_splats(tmp_path / "a.ksplat")
    (tmp_path / "a.txt").write_text("hello")
    with pytest.raises(FileFormatError, match=r"Read are 3DGS \.ply, compressed \.ply, \.spz"):
        load_splats(tmp_path / "a.txt")
    with pytest.raises(FileFormatError, match="cannot be read"):
        load_splats(tmp_path / "absent.spz")
    with pytest.raises(FileFormatError, match="a folder without splats"):
        load_splats(tmp_path)


def test_load_ply_reads_what_load_splats_reads(tmp_path: Path) -> None:
    before = seeded(30)
    save_splats(before, tmp_path / "a.ply")
    assert largest(load_ply(tmp_path / "a.ply").means, before.means) == 0
