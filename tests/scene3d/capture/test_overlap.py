"""Which photos hang together, on real photos of one place, of two, and of nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from scene3d.capture._decode import decode_upright
from scene3d.capture._overlap import find_overlap


def greys(paths: list[Path]) -> list[np.ndarray]:
    return [cv2.cvtColor(decode_upright(path, 480), cv2.COLOR_RGB2GRAY) for path in paths]


@pytest.fixture(scope="module")
def fox(needs: Callable[[str], Path]) -> list[np.ndarray]:
    return greys(sorted(needs("fox/images").iterdir())[::2])


@pytest.fixture(scope="module")
def kitchen(needs: Callable[[str], Path]) -> list[np.ndarray]:
    return greys(sorted(needs("redkitchen").glob("*.color.jpg"))[::6])


@pytest.mark.parametrize("ordered", [True, False])
def test_one_place_is_one_group(fox: list[np.ndarray], ordered: bool) -> None:
    shares: list[float] = []
    overlap = find_overlap(fox, ordered=ordered, progress=shares.append)
    assert overlap.groups == (tuple(range(25)),)
    assert overlap.alone == ()
    assert overlap.tried < 25 * 24 / 2
    assert all(a < b and inliers >= 16 for a, b, inliers in overlap.links)
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_two_places_and_photos_of_nothing(fox: list[np.ndarray], kitchen: list[np.ndarray]) -> None:
    wall = np.full((270, 480), 120, np.uint8)
    noise = np.random.default_rng(0).integers(0, 256, (270, 480), dtype=np.uint8)
    order = [*kitchen, wall, *fox[:10], noise]
    overlap = find_overlap(order, ordered=False)
    first = len(kitchen)
    assert overlap.groups == (tuple(range(first)), tuple(range(first + 1, first + 11)))
    assert overlap.alone == (first, first + 11)
    assert overlap.degree(first) == 0
    assert overlap.degree(0) > 0


def test_same_photos_same_answer(kitchen: list[np.ndarray]) -> None:
    assert find_overlap(kitchen, ordered=False) == find_overlap(kitchen, ordered=False, threads=1)


def test_few_photos(fox: list[np.ndarray]) -> None:
    assert find_overlap(fox[:2], ordered=True).groups == ((0, 1),)
    assert find_overlap(fox[:1], ordered=True).alone == (0,)
    assert find_overlap([np.zeros((1, 1), np.uint8)] * 3, ordered=False).alone == (0, 1, 2)
    assert find_overlap([], ordered=False).groups == ()
