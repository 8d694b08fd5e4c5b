"""Cutting splats along outlines: the picture stays, pieces keep to their sides, and little is cut."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from scene3d import Camera, Gaussians
from scene3d.render import render
from scene3d.segment._boundary import split_straddling, thirds
from scene3d.segment._vote import label_image, labels_of, vote

SIZE = (96, 72)


def above() -> Camera:
    place = torch.tensor([0.0, -0.01, 1.0])
    return Camera.from_fov(*SIZE, 0.9, Camera.look_at(place, torch.zeros(3)))


def carpet(opacity: float = 0.95) -> Gaussians:
    """A few large splats on a plane, none of which ends at x = 0."""
    x, y = torch.meshgrid(torch.linspace(-0.4, 0.4, 7) + 0.03, torch.linspace(-0.3, 0.3, 6), indexing="ij")
    points = torch.stack([x, y, 0 * x], dim=-1).reshape(-1, 3)
    splats = Gaussians.from_points(points, torch.full((len(points), 3), 0.7), sigma=0.06, opacity=opacity)
    splats.scales[:, 2] = np.log(0.002)
    return splats


def halves() -> np.ndarray:
    labels = np.zeros(SIZE[::-1], dtype=np.int32)
    labels[:, SIZE[0] // 2 :] = 1
    return labels


def test_outlines_are_cut_once() -> None:
    splats, camera, mask = carpet(), above(), halves()
    pieces, _ = split_straddling(splats, [camera], [mask], 2)
    before = labels_of(vote(pieces, [camera], [mask], 2)).clamp_min(0)
    again, source = split_straddling(pieces, [camera], [mask], 2, before=before)
    assert (len(again), source.tolist()) == (len(pieces), list(range(len(pieces))))
    # Another outline is a new one.
    moved = np.roll(mask, -24, axis=1)
    moved[:, -24:] = 1
    assert len(split_straddling(pieces, [camera], [moved], 2, before=before)[0]) > len(pieces)


@settings(max_examples=40)
@given(opacity=st.floats(0.1, 0.99), sigma=st.floats(0.03, 0.06), axis=st.integers(0, 1), turn=st.floats(0, 3))
def test_thirds_look_like_the_whole(opacity: float, sigma: float, axis: int, turn: float) -> None:
    whole = Gaussians.from_points(torch.zeros(1, 3), torch.ones(1, 3), sigma=sigma, opacity=opacity)
    whole.quats[:] = torch.tensor([np.cos(turn / 2), 0.0, 0.0, np.sin(turn / 2)])
    whole.scales[:] += torch.tensor([0.3, 0.0, -0.2])
    expected = render(whole, above()).alpha
    found = render(thirds(whole, torch.tensor([axis])), above()).alpha
    assert (found - expected).abs().max() < 0.09 * expected.max()


def test_pieces_keep_to_their_sides() -> None:
    splats, camera, mask = carpet(), above(), halves()
    pieces, source = split_straddling(splats, [camera], [mask], 2)
    assert len(splats) < len(pieces) < 5 * len(splats)
    assert torch.equal(source.unique(), torch.arange(len(splats)))

    def wrong(cut: Gaussians) -> int:
        labels = labels_of(vote(cut, [camera], [mask], 2))
        return int((label_image(cut, labels, camera, 2) != mask).sum())

    assert wrong(pieces) < 0.6 * wrong(splats)
    assert (render(pieces, camera).rgb - render(splats, camera).rgb).abs().max() < 0.06


def test_what_no_outline_crosses_stays() -> None:
    splats, camera = carpet(), above()
    pieces, source = split_straddling(splats, [camera], [np.ones(SIZE[::-1], np.int32)], 2)
    assert torch.equal(pieces.means, splats.means)
    assert torch.equal(source, torch.arange(len(splats)))
    pieces, source = split_straddling(splats, [camera], [halves()], 2)
    alone = torch.bincount(source)[source] == 1
    assert torch.equal(pieces.means[alone], splats.means[source[alone]])
    assert (splats.means[source[~alone], 0].abs() < 0.2).all()


def test_a_mask_of_noise_does_not_blow_up_the_scene() -> None:
    splats = carpet()
    noise = np.random.default_rng(0).integers(0, 3, SIZE[::-1])
    pieces, _ = split_straddling(splats, [above()], [noise], 3)
    assert len(pieces) <= len(splats) * 1.5**4


@pytest.mark.parametrize("rounds", [0, 1])
def test_rounds(rounds: int) -> None:
    pieces, _ = split_straddling(carpet(), [above()], [halves()], 2, rounds=rounds)
    assert (len(pieces) > 42) == bool(rounds)
