"""The files of a report: sizes, contents, and that the page opens offline."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from PIL import Image

from scene3d._errors import OutputError
from scene3d.report import evaluate, write_report
from scene3d.report._panels import EMPTY, depth_picture, depth_range

if TYPE_CHECKING:
    from .conftest import Measured

VOID = {"meta", "img", "input", "br", "hr", "link"}


class Checker(HTMLParser):
    """Tags that are opened and not closed, and the addresses that a page would fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.counts: dict[str, int] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.counts[tag] = self.counts.get(tag, 0) + 1
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "data")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def written(measured: Measured, folder: Path) -> Path:
    metrics = evaluate(measured.splats, measured.views, measured.capture, seconds=9, steps=300)
    page = write_report(folder, metrics, measured.splats, measured.views, measured.capture, title="a <table> & a mug")
    assert page == folder / "index.html"
    return folder


def test_files(measured: Measured, tmp_path: Path) -> None:
    folder = written(measured, tmp_path / "scene" / "report")
    assert sorted(path.name for path in folder.iterdir()) == ["index.html", "metrics.json", "preview.png"]
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["splats"] == 5


def test_sheet_has_a_row_per_view(measured: Measured, tmp_path: Path) -> None:
    with Image.open(written(measured, tmp_path / "report") / "preview.png") as sheet:
        assert sheet.size == (4 * 420 + 3 * 8 + 2 * 28, 64 + 3 * (34 + 315) + 52 + 28)
        assert sheet.getpixel((28 + 10, 64 + 34 + 100)) != sheet.getpixel((5, 5))


def test_page_is_well_formed_and_needs_no_network(measured: Measured, tmp_path: Path) -> None:
    text = (written(measured, tmp_path / "report") / "index.html").read_text()
    checker = Checker()
    checker.feed(text)
    checker.close()
    assert checker.open == []
    assert checker.addresses
    assert all(address.startswith("data:image/jpeg;base64,") for address in checker.addresses)
    assert not re.search(r"https?://|url\(|@import|//cdn", text)
    assert checker.counts["tr"] == 1 + 15
    assert "a &lt;table&gt; &amp; a mug" in text


def test_worst_median_best_are_shown(measured: Measured, tmp_path: Path) -> None:
    text = (written(measured, tmp_path / "report") / "index.html").read_text()
    assert re.findall(r"<h2>(\w+) <span>(photo_\d+)", text) == [
        ("worst", "photo_16"),
        ("median", "photo_08"),
        ("best", "photo_00"),
    ]


def test_one_view_makes_one_row(measured: Measured, tmp_path: Path) -> None:
    measured = replace(measured, views=measured.views[:1])
    text = (written(measured, tmp_path / "report") / "index.html").read_text()
    assert re.findall(r"<h2>(\w+) <span>(photo_\d+)", text) == [("only", "photo_00")]


def test_a_report_is_replaced(measured: Measured, tmp_path: Path) -> None:
    first = written(measured, tmp_path / "report") / "index.html"
    first.write_text("old")
    written(measured, tmp_path / "report")
    assert first.read_text().startswith("<!doctype html>")


def test_a_folder_that_cannot_be_written(measured: Measured, tmp_path: Path) -> None:
    (tmp_path / "report").write_text("a file")
    with pytest.raises(OutputError, match="The scene itself is saved"):
        written(measured, tmp_path / "report")


def test_depth_without_opacity_is_empty() -> None:
    depth, alpha = torch.ones(4, 4), torch.ones(4, 4)
    alpha[0, 0] = 0.1
    picture = depth_picture(depth, alpha, (0.5, 2.0))
    assert picture.getpixel((0, 0)) == EMPTY
    assert picture.getpixel((1, 1)) != EMPTY


def test_depth_range_without_any_solid_pixel() -> None:
    assert depth_range([torch.ones(4, 4)], [torch.zeros(4, 4)]) == (0.0, 1.0)
