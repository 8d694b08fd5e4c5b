"""Targets at every size: colours, what is valid, depth with its holes and edges, and what must be transparent."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from scene3d import Camera
from scene3d.capture import Photo
from scene3d.fit._photos import LEVELS, Target, _pyramid

HEIGHT, WIDTH = 96, 128


def pyramid(depth: np.ndarray | None = None, outside: np.ndarray | None = None) -> list[Target]:
    rgb = np.full((HEIGHT, WIDTH, 3), 200, np.uint8)
    valid = np.ones((HEIGHT, WIDTH), bool)
    valid[:, :4] = False
    camera = Camera.from_fov(WIDTH, HEIGHT, 1.0, torch.eye(4))
    return _pyramid(Photo(rgb, valid, camera, depth=depth, outside=outside))


def test_without_geometry_there_is_none() -> None:
    """The engines then render no depth, so a capture of photos costs what it always did."""
    for target in pyramid():
        assert target.depth is None and target.outside is None
    assert all(target.depth is None for target in pyramid(depth=np.zeros((HEIGHT, WIDTH), np.float32)))


def test_outside_is_black_and_not_compared() -> None:
    outside = np.zeros((HEIGHT, WIDTH), bool)
    outside[:, 66:] = True  # Not a multiple of 4: the coarsest level has a mixed column.
    for reduction, target in zip(LEVELS, pyramid(outside=outside), strict=True):
        assert target.outside is not None and target.valid is not None
        bare, valid = target.outside.numpy() != 0, target.valid.numpy() != 0
        assert not (bare & valid).any()
        edge = 66 / reduction
        assert not bare[:, : int(np.ceil(edge))].any() and bare[:, int(np.ceil(edge)) :].all()
        assert valid[:, 4 // reduction : int(edge)].all() and not valid[:, int(edge) :].any()
        assert float(target.rgb[:, int(np.ceil(edge)) :].max()) == 0.0
        assert target.rgb[0, int(edge) - 1, 0] == pytest.approx(200 / 255)


def test_depth_is_nowhere_between_two_surfaces_and_nowhere_in_holes() -> None:
    depth = np.full((HEIGHT, WIDTH), 1.0, np.float32)
    depth[:, 50:] = 2.0
    depth[20:40, 90:110] = 0.0
    for reduction, target in zip(LEVELS, pyramid(depth=depth), strict=True):
        assert target.depth is not None
        found = target.depth.numpy()
        assert set(np.unique(found)) == {0.0, 1.0, 2.0}
        assert (found[:, [49 // reduction, 50 // reduction]] == 0).all()
        assert (found[24 // reduction : 36 // reduction, 94 // reduction : 106 // reduction] == 0).all()
        assert (found[:, : 4 // reduction] == 0).all(), "not where the photo saw nothing"
        assert (found > 0).mean() > 0.75


def test_depth_of_a_slope_stays_exact() -> None:
    """A plane that recedes by half over the image is no edge at any size."""
    y = (np.arange(HEIGHT, dtype=np.float32) + 0.5) / HEIGHT
    depth = np.repeat((1.0 / (1.0 - 0.5 * y))[:, None], WIDTH, axis=1).astype(np.float32)
    for target in pyramid(depth=depth):
        assert target.depth is not None
        found = target.depth.numpy()
        rows = (np.arange(found.shape[0]) + 0.5) / found.shape[0]
        exact = 1.0 / (1.0 - 0.5 * rows)
        assert (found[:, 4:] > 0).all()
        assert np.abs(found[:, 4:] / exact[:, None] - 1).max() < 1e-3
