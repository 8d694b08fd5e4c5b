"""Which views are measured, and what the figures are."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from scene3d import Scene3dError
from scene3d.capture import DepthFile
from scene3d.report import Metrics, evaluate

from .conftest import offset_of

if TYPE_CHECKING:
    from .conftest import Measured


def metrics_of(measured: Measured) -> Metrics:
    return evaluate(measured.splats, measured.views, measured.capture, seconds=12.345, steps=700)


def test_held_out_means(measured: Measured) -> None:
    metrics = metrics_of(measured)
    expected = [-20 * math.log10(offset_of(i)) for i in (0, 8, 16)]
    assert [image.name for image in metrics.held_out] == ["photo_00.png", "photo_08.png", "photo_16.png"]
    assert [image.psnr for image in metrics.held_out] == pytest.approx(expected, abs=1e-3)
    assert metrics.psnr == pytest.approx(sum(expected) / 3, abs=1e-3)
    assert metrics.psnr_cc is not None
    assert metrics.psnr_cc > 60


def test_some_training_views_are_measured_too(measured: Measured) -> None:
    metrics = metrics_of(measured)
    assert sum(not image.held_out for image in metrics.images) == 12
    assert metrics.note == "train_psnr is of 12 of 14 fitted photos."
    assert metrics.train_psnr is not None


def test_document(measured: Measured) -> None:
    document = json.loads(json.dumps(metrics_of(measured).as_dict(), allow_nan=False))
    assert document["seconds"] == 12.35 or document["seconds"] == 12.34
    assert (document["steps"], document["splats"], document["device"]) == (700, 5, "cpu")
    assert (document["width"], document["height"]) == (64, 48)
    keys = {"name", "psnr", "ssim", "psnr_cc", "held_out", "depth_error", "depth_error_p90"}
    assert set(document["images"][0]) == keys
    assert "threads" in document["machine"]


def test_nothing_held_out(measured: Measured) -> None:
    views = tuple(replace(view, held_out=False) for view in measured.views)
    metrics = evaluate(measured.splats, views, measured.capture, seconds=1, steps=1)
    assert metrics.psnr is None
    assert metrics.ssim is None
    assert metrics.train_psnr is not None
    assert "null" in metrics.note


def test_a_photo_that_is_gone(measured: Measured) -> None:
    capture = replace(measured.capture, views=measured.capture.views[1:])
    with pytest.raises(Scene3dError, match=r"photo_00\.png"):
        evaluate(measured.splats, measured.views, capture, seconds=1, steps=1)


def with_depth(measured: Measured, offset: float, **changes: object) -> Measured:
    """Depth maps beside all photos, ``offset`` [m] farther than the fake render; the upper quarter is unknown."""
    rows = np.linspace(1, 2, 48)[:, None].repeat(64, 1) + offset
    rows[:12] = 0
    views = []
    for view in measured.capture.views:
        path = view.path.with_suffix(".depth.png")
        Image.fromarray((1000 * rows).round().astype(np.uint16)).save(path)
        views.append(replace(view, depth=DepthFile(path)))
    return replace(measured, capture=replace(measured.capture, views=tuple(views), **changes))


def test_depth_is_compared_where_the_sensor_knows_it(measured: Measured) -> None:
    metrics = metrics_of(with_depth(measured, 0.013))
    assert metrics.depth_error == pytest.approx(0.013, abs=6e-4)
    assert all(image.depth_error == pytest.approx(0.013, abs=6e-4) for image in metrics.images)
    assert metrics_of(measured).depth_error is None


def test_depth_means_nothing_without_metres(measured: Measured) -> None:
    assert metrics_of(with_depth(measured, 0.0, metric=False)).depth_error is None


def test_renders_should_be_black_outside_an_alpha_mask(measured: Measured) -> None:
    views = []
    for view in measured.capture.views:
        path = view.path.with_suffix(".mask.png")
        Image.fromarray(np.pad(np.full((48, 32), 255, np.uint8), ((0, 0), (0, 32)))).save(path)
        views.append(replace(view, mask=path, mask_mode="alpha"))
    masked = metrics_of(replace(measured, capture=replace(measured.capture, views=tuple(views))))
    ignored = tuple(replace(view, mask_mode="ignore") for view in views)
    plain = metrics_of(measured)
    assert masked.psnr is not None and plain.psnr is not None
    assert masked.psnr < 12 < plain.psnr  # The fake render is grey everywhere.
    without = metrics_of(replace(measured, capture=replace(measured.capture, views=ignored)))
    assert without.psnr == pytest.approx(plain.psnr, abs=0.01)
