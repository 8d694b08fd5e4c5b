"""What may be asked of segmentation, and what is said at once when it makes no sense."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scene3d import Scene3dError
from scene3d.segment import SegmentRequest, parse_assignments


def said(request: SegmentRequest) -> str:
    with pytest.raises(Scene3dError) as caught:
        request.check()
    assert caught.value.exit_code == 2
    return str(caught.value)


def test_what_makes_sense() -> None:
    SegmentRequest().check()
    SegmentRequest(
        points=("a.jpg,1,2", "a.jpg,3,4,red mug"),
        min_height=0.0,
        materials={"red mug": "Cotton rope", "can": "steel"},
        masses={"red mug": 0.35},
        kinds={"can": "deformable"},
    ).check()


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (SegmentRequest(masks=Path("masks"), use_masks=False), "--masks FOLDER and --no-masks contradict each other"),
        (SegmentRequest(min_height=-0.1), "Found --min-height -0.1; it takes a length of zero or more"),
        (SegmentRequest(min_height=float("nan")), "Found --min-height nan"),
        (SegmentRequest(masses={"mug": 0.0}), "Found --mass mug=0; a mass is a number above zero, in kilograms."),
        (SegmentRequest(masses={"mug": float("inf")}), "Found --mass mug=inf"),
        (SegmentRequest(kinds={"mug": "soft"}), "Found --kind mug=soft; a kind is one of rigid, deformable."),  # type: ignore[dict-item]
        (SegmentRequest(materials={"mug": "stonewear"}), "There is no material 'stonewear'. Did you mean 'stoneware'?"),
        (SegmentRequest(points=("a.jpg,1",)), "Found the point 'a.jpg,1'; it is written IMAGE,U,V or IMAGE,U,V,NAME"),
    ],
)
def test_what_does_not(request_: SegmentRequest, words: str) -> None:
    assert words in said(request_)


@pytest.mark.parametrize("name", ["../mug", "..", "a/b", "a\\b", "mug\n", "x" * 65, "C:\\mug"])
def test_names_that_none_can_have(name: str) -> None:
    if name == "mug\n":  # White space around a name is no part of it.
        SegmentRequest(masses={name: 1.0}).check()
        return
    for request in (
        SegmentRequest(materials={name: "steel"}),
        SegmentRequest(masses={name: 1.0}),
        SegmentRequest(kinds={name: "rigid"}),
        SegmentRequest(points=(f"a.jpg,1,2,{name}",)),
    ):
        assert "cannot be the name of an object" in said(request)


@given(st.dictionaries(st.text("abc =,é/", min_size=1).map(str.strip).filter(bool), st.sampled_from(["1", "steel"])))
def test_assignments_are_read_back(wanted: dict[str, str]) -> None:
    assert parse_assignments([f" {name} = {value} " for name, value in wanted.items()], "--mass", "a=1") == wanted


@pytest.mark.parametrize("text", ["mug", "=1", "mug=", " = "])
def test_no_assignment(text: str) -> None:
    with pytest.raises(Scene3dError, match=r"it is written NAME=VALUE, for example --mass mug=0.3"):
        parse_assignments([text], "--mass", "mug=0.3")


def test_two_values() -> None:
    assert parse_assignments(["mug=1", "mug=1"], "--mass", "mug=0.3") == {"mug": "1"}
    with pytest.raises(Scene3dError, match=r"--mass gives 'mug' two values, 1 and 2. Give one."):
        parse_assignments(["mug=1", "mug=2"], "--mass", "mug=0.3")
