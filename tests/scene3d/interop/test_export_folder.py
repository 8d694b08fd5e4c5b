"""Exports appear whole or not at all, and never take anything away that is not theirs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scene3d._errors import CaptureError, OutputError
from scene3d.interop._export_folder import MANIFEST, new_export


def export(folder: Path, text: str = "new", *, overwrite: bool = False) -> None:
    with new_export(folder, overwrite=overwrite) as new:
        (new / "images").mkdir()
        (new / "images" / "0.txt").write_text(text)
        (new / f"{text}.txt").write_text(text)


def listing(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_new_and_empty_folders(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for name in ("empty", "not/there/yet"):
        export(tmp_path / name)
        assert listing(tmp_path / name) == [MANIFEST, "images/0.txt", "new.txt"]
        assert json.loads((tmp_path / name / MANIFEST).read_text())["files"] == ["images/0.txt", "new.txt"]


def test_overwriting_leaves_nothing_of_the_old_one(tmp_path: Path) -> None:
    export(tmp_path / "out", "old")
    with pytest.raises(OutputError, match="holds an export already; pass overwrite=True"):
        export(tmp_path / "out")
    assert (tmp_path / "out" / "images" / "0.txt").read_text() == "old"
    export(tmp_path / "out", overwrite=True)
    assert listing(tmp_path) == [f"out/{MANIFEST}", "out/images/0.txt", "out/new.txt"]
    assert sorted(tmp_path.iterdir()) == [tmp_path / "out"]


@pytest.mark.parametrize("error", [CaptureError("photo is broken"), KeyboardInterrupt(), OSError(28, "No space left")])
def test_failure_changes_nothing(tmp_path: Path, error: BaseException) -> None:
    export(tmp_path / "out", "old")
    for folder in ("out", "other"):
        with pytest.raises(OutputError if isinstance(error, OSError) else type(error)):
            with new_export(tmp_path / folder, overwrite=True) as new:
                (new / "half").write_text("")
                raise error
    assert listing(tmp_path) == [f"out/{MANIFEST}", "out/images/0.txt", "out/old.txt"]
    assert sorted(tmp_path.iterdir()) == [tmp_path / "out"]


@pytest.mark.parametrize("overwrite", [False, True])
def test_files_of_others_are_never_touched(tmp_path: Path, overwrite: bool) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "only copy.tex").write_text("dear")
    with pytest.raises(OutputError, match="holds files that no export wrote"):
        export(tmp_path / "thesis", overwrite=overwrite)
    export(tmp_path / "out", "old")
    (tmp_path / "out" / "images" / "mine.txt").write_text("dear")
    with pytest.raises(OutputError, match=r"holds images/mine\.txt, which the export there did not write"):
        export(tmp_path / "out", overwrite=overwrite)
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="is a file; choose another folder"):
        export(tmp_path / "file", overwrite=overwrite)
    assert listing(tmp_path / "out") == [MANIFEST, "images/0.txt", "images/mine.txt", "old.txt"]


def test_a_file_that_appears_while_writing_is_kept(tmp_path: Path) -> None:
    export(tmp_path / "out", "old")
    with pytest.raises(OutputError, match=r"holds late\.txt"), new_export(tmp_path / "out", overwrite=True):
        (tmp_path / "out" / "late.txt").write_text("dear")
    assert listing(tmp_path) == [f"out/{MANIFEST}", "out/images/0.txt", "out/late.txt", "out/old.txt"]


@pytest.mark.parametrize(
    "text", ["", "[]", '{"made_by": "scene3d"}', '{"made_by": "scene3d", "files": [1]}', "[" * 99999, "\x00"]
)
def test_lists_that_are_no_lists(tmp_path: Path, text: str) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / MANIFEST).write_text(text)
    with pytest.raises(OutputError, match="holds files that no export wrote"):
        export(tmp_path / "out", overwrite=True)


def test_links_inside_an_old_export_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "dear").mkdir()
    (tmp_path / "dear" / "0.txt").write_text("dear")
    export(tmp_path / "out", "old")
    (tmp_path / "out" / "images" / "0.txt").unlink()
    (tmp_path / "out" / "images").rmdir()
    (tmp_path / "out" / "images").symlink_to(tmp_path / "dear")
    with pytest.raises(OutputError, match="holds images, which the export there did not write"):
        export(tmp_path / "out", overwrite=True)
    assert (tmp_path / "dear" / "0.txt").read_text() == "dear"


def test_a_linked_target_is_written_where_it_leads(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "disk")
    export(tmp_path / "out")
    assert (tmp_path / "out").is_symlink()
    assert listing(tmp_path / "disk") == [MANIFEST, "images/0.txt", "new.txt"]
