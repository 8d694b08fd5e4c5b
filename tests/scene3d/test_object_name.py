"""Names of objects: anything that people write, nothing that leads out of a folder."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scene3d._errors import UsageError
from scene3d._object_name import checked_name, checked_names, folder_name


@pytest.mark.parametrize("name", ["red mug", "Ä tasse", "杯子", "C3PO #2 (left)", "con", "a.b", "x" * 64, "-"])
def test_names_that_are_fine(name: str) -> None:
    assert checked_name(f"  {name} ") == name


@pytest.mark.parametrize(
    "name", ["", "  ", "../x", "a/b", "C:\\x", ".", "..", "...", "a\nb", "a\0b", "\u202egum", "x" * 65, "a\tb"]
)
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(UsageError, match="cannot be the name of an object"):
        checked_name(name)


def test_names_differ() -> None:
    assert checked_names(["mug", " can"]) == ("mug", "can")
    with pytest.raises(UsageError, match="Two objects are called 'mug'"):
        checked_names(["mug", "mug "])


@pytest.mark.parametrize(
    ("name", "folder"),
    [("red mug", "red_mug"), ("Käse", "kase"), ("杯子", "object"), ("CON", "object_con"), ("lpt1", "object_lpt1")],
)
def test_folders(name: str, folder: str) -> None:
    assert folder_name(name) == folder
    assert folder_name(name, [folder, f"{folder}_2"]) == f"{folder}_3"


@given(st.text(max_size=80), st.lists(st.text(max_size=3)))
def test_folders_are_plain_and_free(name: str, taken: list[str]) -> None:
    try:
        checked = checked_name(name)
    except UsageError:
        return
    folder = folder_name(checked, taken)
    assert re.fullmatch(r"[a-z0-9_]{1,60}", folder)
    assert folder not in taken
