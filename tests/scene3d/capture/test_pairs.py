"""Which photos are matched: all of few, the neighbours and the alike of many."""

from __future__ import annotations

import numpy as np
import pytest

from scene3d.capture._pairs import EXHAUSTIVE_UP_TO, alike, choose_pairs, vlad


@pytest.mark.parametrize("ordered", [False, True])
def test_few_photos_are_all_matched(ordered: bool) -> None:
    assert len(choose_pairs(30, ordered=ordered)) == 30 * 29 // 2


def test_many_photos_are_matched_with_those_that_look_alike() -> None:
    count = EXHAUSTIVE_UP_TO + 60
    place = np.arange(count) % 4  # Photos of four corners, shuffled.
    likeness = (place[:, None] == place).astype(np.float32)
    pairs = choose_pairs(count, ordered=False, likeness=likeness)
    assert len(pairs) == len(set(pairs)) and all(a < b for a, b in pairs)
    assert all(place[a] == place[b] for a, b in pairs)
    assert {photo for pair in pairs for photo in pair} == set(range(count))


def test_frames_of_a_video_are_matched_with_their_neighbours_and_where_it_comes_back() -> None:
    count = 120
    likeness = np.zeros((count, count), np.float32)
    likeness[0, 115] = likeness[115, 0] = 1.0
    pairs = set(choose_pairs(count, ordered=True, likeness=likeness))
    assert {(a, a + 1) for a in range(count - 1)} <= pairs
    assert {(40, 40 + step) for step in (2, 8, 16, 32)} <= pairs
    assert (0, 115) in pairs
    assert len(pairs) < count * 20


def test_photos_without_features_are_alike_to_none_and_break_nothing() -> None:
    rng = np.random.default_rng(0)
    rows = [rng.random((200, 16)).astype(np.float32), np.zeros((0, 16), np.float32), rng.random((150, 16)) + 2]
    codes = vlad(rows)
    assert np.allclose(np.linalg.norm(codes, axis=1), [1, 0, 1], atol=1e-5)
    assert np.array_equal(codes, vlad(rows))
    assert (vlad([np.zeros((0, 16))] * 3) == 0).all()


def test_likeness_finds_the_photos_of_one_place() -> None:
    """Two places are two mixtures of features; each photo draws from one of them."""
    rng = np.random.default_rng(1)
    places = [rng.normal(size=(60, 32)), rng.normal(size=(60, 32))]
    rows = [places[k % 2][rng.choice(60, 300)] + 0.1 * rng.normal(size=(300, 32)) for k in range(8)]
    codes = vlad([row.astype(np.float32) for row in rows])
    for photo, others in enumerate(alike(codes @ codes.T, 3)):
        assert {other % 2 for other in others} == {photo % 2}
