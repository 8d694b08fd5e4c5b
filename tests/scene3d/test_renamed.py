"""Words about objects that are called otherwise now."""

from __future__ import annotations

import pytest

from scene3d._renamed import renamed_outcomes, renamed_words

NAMES = {"can": "tin", "can 2": "jar", "mug": "mug", "drop": "ball", "a.c": "a,b"}


@pytest.mark.parametrize(
    ("words", "now"),
    [
        ("push can,3,0,0", "push tin,3,0,0"),
        ("push can 2,3,0,0", "push jar,3,0,0"),
        ("push can 2", "push jar"),
        ("push can 3", "push tin 3"),  # The third push of the can, for no object is called so.
        ("push canary,3,0,0", "push canary,3,0,0"),
        ("drop drop,0.1", "drop ball,0.1"),
        ("put mug", "put mug"),
        ("let go of can", "let go of tin"),
        ("can: mass 0.3 kg, friction 0.2", "tin: mass 0.3 kg, friction 0.2"),
        ("001: push can", "001: push tin"),
        ("push can at 0.4 s: drop can 2", "push tin at 0.4 s: drop jar"),
        ("push a.c,1,0,0", "push a,b,1,0,0"),
        ("push abc,1,0,0", "push abc,1,0,0"),
        ("actions can.yaml", "actions can.yaml"),
    ],
)
def test_only_names_are_changed(words: str, now: str) -> None:
    assert renamed_words(words, NAMES) == now


def test_nothing_is_changed_without_names() -> None:
    assert renamed_words("push can", {}) == "push can"


def test_outcomes_keep_everything_but_their_names() -> None:
    rows = [{"name": "can", "outcome": "stays"}, {"name": "floor", "outcome": "moves"}]
    assert renamed_outcomes(rows, NAMES) == [{"name": "tin", "outcome": "stays"}, {"name": "floor", "outcome": "moves"}]
    assert rows[0]["name"] == "can"
