"""Scale from sensor depth: the demo capture in other units, misread depth, hidden points, depth that does not fit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from scene3d import Scene3dError
from scene3d.capture import Capture, PointCloud, View, read_capture, triangulate
from scene3d.capture._depth_scale import TooFewDepths, depth_scale
from scene3d.capture._similarity import Similarity, transform_capture


@pytest.fixture(scope="module")
def small(tabletop: Path) -> Capture:
    """Twenty photos of the demo capture, ten of them with depth, with points from their poses."""
    capture = read_capture(tabletop)
    capture = replace(capture, views=capture.views[::3])
    return replace(capture, points=triangulate(capture, longest_side=320))


def in_units(capture: Capture, unit: float) -> Capture:
    """The capture with lengths in units of so many metres, which it does not know."""
    return replace(transform_capture(capture, Similarity(1 / unit)), metric=False)


def points(capture: Capture) -> PointCloud:
    assert capture.points is not None
    return capture.points


@pytest.mark.parametrize("unit", [1.0, 0.02, 37.0])
def test_unit_is_found(small: Capture, unit: float) -> None:
    capture = in_units(small, unit)
    found = depth_scale(capture, points(capture))
    assert found.scale == pytest.approx(unit, rel=0.003)
    assert 0 < found.relative_error < 0.003
    assert found.source == "depth"
    assert "10 depth maps" in found.detail


def test_hidden_and_false_points_change_little(small: Capture) -> None:
    capture = in_units(small, 2.0)
    cloud = points(capture).points
    under = cloud + np.random.default_rng(0).uniform((0, 0, -0.6), (0, 0, -0.1), cloud.shape)
    both = np.concatenate([cloud, under.astype(np.float32)])
    found = depth_scale(capture, PointCloud(both, np.zeros((len(both), 3), np.uint8)))
    assert found.scale == pytest.approx(2.0, rel=0.01)


@pytest.mark.parametrize(
    ("factor", "words"),
    [(1000.0, "seem to be in millimetres"), (0.001, "read as millimetres"), (2.2, "different units")],
)
def test_metric_capture_must_come_out_at_one(small: Capture, factor: float, words: str) -> None:
    assert depth_scale(small, points(small)).scale == pytest.approx(1, rel=0.003)

    def misread(view: View) -> View:
        if view.depth is None:
            return view
        return replace(view, depth=replace(view.depth, unit=view.depth.unit * factor, farthest=float("inf")))

    with pytest.raises(Scene3dError, match=words):
        depth_scale(replace(small, views=tuple(misread(view) for view in small.views)), points(small))


def test_depth_of_another_place_is_refused(small: Capture) -> None:
    depths = [view.depth for view in small.views if view.depth is not None]
    others = iter(depths[5:] + depths[:5])
    views = tuple(view if view.depth is None else replace(view, depth=next(others)) for view in small.views)
    rng = np.random.default_rng(0)
    spread = rng.uniform(-2, 2, (5000, 3)).astype(np.float32)
    capture = replace(small, views=views, metric=False)
    with pytest.raises(Scene3dError, match="do not fit together"):
        depth_scale(capture, PointCloud(spread, np.zeros((5000, 3), np.uint8)))


def test_too_few_points(small: Capture) -> None:
    few = PointCloud(points(small).points[:3], points(small).colors[:3])
    with pytest.raises(TooFewDepths, match="sparse points fall onto sensor depth"):
        depth_scale(small, few)
    without = replace(small, views=tuple(replace(view, depth=None) for view in small.views))
    with pytest.raises(TooFewDepths, match="in 0 views"):
        depth_scale(without, points(small))
