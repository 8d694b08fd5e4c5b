"""Textures continued into holes: flat colours stay flat, stripes go on, gradients are spread."""

from __future__ import annotations

import numpy as np
import pytest

from scene3d.segment._inpaint import inpaint, spread


def hole(shape: tuple[int, int], half: int) -> np.ndarray:
    known = np.ones(shape, dtype=bool)
    middle = tuple(slice(n // 2 - half, n // 2 + half) for n in shape)
    known[middle] = False
    return known


def test_one_colour_stays_one_colour() -> None:
    image = np.full((60, 70, 3), [0.2, 0.5, 0.7])
    assert np.allclose(inpaint(image, hole((60, 70), 12)), image, atol=1e-6)


def test_stripes_go_on() -> None:
    column = np.arange(90)
    image = np.where((column // 6 % 2)[None, :, None], [0.9, 0.8, 0.1], [0.1, 0.2, 0.5]) * np.ones((80, 1, 1))
    known = hole((80, 90), 14)
    broken = np.where(known[..., None], image, 0.5)
    found = inpaint(broken, known)
    assert np.array_equal(found[known], broken[known].astype(np.float32))
    assert np.abs(found - image)[~known].mean() < 0.02
    assert np.abs(spread(broken, known) - image)[~known].mean() > 0.1


def test_a_slope_is_spread_where_little_is_known() -> None:
    image = np.linspace(0, 1, 12)[None, :, None] * np.ones((11, 1, 3))
    known = hole((11, 12), 3)
    assert np.allclose(inpaint(np.where(known[..., None], image, 7.0), known), image, atol=1e-6)


@pytest.mark.parametrize("shape", [(1, 1), (3, 40), (40, 40)])
def test_any_size_and_the_same_twice(shape: tuple[int, int]) -> None:
    chance = np.random.default_rng(0)
    image, known = chance.random((*shape, 3)), chance.random(shape) > 0.3
    known[0, 0] = True
    first = inpaint(image, known)
    assert first.shape == image.shape
    assert np.isfinite(first).all()
    assert np.array_equal(first, inpaint(image, known))
