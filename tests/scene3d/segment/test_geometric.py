"""Labels from geometry alone: the demo's five things and no other, and a made-up desk whose truth is exact."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from scene3d import Scene3dError
from scene3d._flatten import flatten
from scene3d.capture import read_capture
from scene3d.files import load_scene
from scene3d.segment import find_instances
from scene3d.segment._cluster_outline import sharpened
from scene3d.segment._find_supports import find_supports
from scene3d.segment._geometric import labels_from_geometry
from scene3d.segment._surface_points import surface_points

from .made_up_desk import around, block, board, counts, splats

WOOD, RED, BLUE = (0.6, 0.4, 0.2), (0.9, 0.1, 0.1), (0.1, 0.1, 0.9)
PARTS = (
    (board(), WOOD),
    (block(-0.1, 0, (0.06, 0.06, 0.12)), RED),
    (block(0.12, 0.05, (0.05, 0.05, 0.04)), BLUE),
)


@pytest.fixture(scope="module")
def scorer(request: pytest.FixtureRequest) -> ModuleType:
    """The benchmarks' scorer; tests are no package, so it is loaded by its path."""
    path = Path(request.config.rootpath) / "tests" / "benchmarks" / "_label_iou.py"
    spec = importlib.util.spec_from_file_location("_label_iou", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look their module up by name.
    import sys

    sys.modules["_label_iou"] = module
    spec.loader.exec_module(module)
    return module


def test_a_made_up_desk() -> None:
    desk, views = splats(*PARTS), around()
    surface = surface_points(desk, views)
    supports = find_supports(surface, (0, 0, 1))
    labels = labels_from_geometry(desk, views, surface, supports, metric=True)
    assert labels.names == ("object-1", "object-2")
    assert labels.named == (False, False)
    assert labels.of_splat.dtype == torch.int64
    assert all(0.5 < confidence <= 1 for confidence in labels.confidence)
    truth = counts(*PARTS)
    for label in (1, 2):
        found, real = labels.of_splat.numpy() == label, truth == label
        assert (found & real).sum() / (found | real).sum() > 0.9


def test_an_empty_desk_says_so() -> None:
    desk, views = splats(PARTS[0]), around(4)
    surface = surface_points(desk, views)
    with pytest.raises(Scene3dError, match="--min-height"):
        labels_from_geometry(desk, views, surface, find_supports(surface, (0, 0, 1)), metric=True)


def test_an_object_that_every_photo_cuts_is_told() -> None:
    desk = splats(PARTS[0], PARTS[1], (block(0.25, 0.0, (0.08, 0.08, 0.1)), BLUE))
    views = [view.resized(view.width, view.height) for view in around(24)]
    # Only views whose right border runs through the blue block.
    cut = []
    for view in views:
        where = view.T_cam_world @ torch.tensor([0.25, 0.0, 0.05, 1.0])
        column = float(view.K[0, 0] * where[0] / where[2] + view.K[0, 2])
        if column > view.width * 0.55:
            narrow = view.K.clone()
            narrow[0, 2] += view.width - column
            cut.append(type(view)(view.width, view.height, narrow, view.T_world_cam))
    surface = surface_points(desk, cut)
    labels = labels_from_geometry(desk, cut, surface, find_supports(surface, (0, 0, 1)), metric=True)
    assert any("cut by the border" in note for note in labels.notes)


def test_outlines_move_to_colours() -> None:
    rgb = np.full((60, 80, 3), 0.2, dtype=np.float32)
    rgb[20:40, 20:60] = [0.9, 0.8, 0.1]
    rgb += 0.02 * np.random.default_rng(0).standard_normal(rgb.shape).astype(np.float32)
    truth = np.zeros((60, 80), dtype=np.int64)
    truth[20:40, 20:60] = 1
    rough = np.zeros_like(truth)
    rough[20:36, 20:60] = 1
    found = sharpened(rough, rgb, 5.0)
    assert (found != truth).mean() < 0.2 * (rough != truth).mean()
    assert np.array_equal(sharpened(np.zeros_like(truth), rgb, 5.0), np.zeros_like(truth))


def test_the_scorer_is_exact(scorer: ModuleType) -> None:
    desk, views = splats(*PARTS), around(2)
    truth = torch.from_numpy(counts(*PARTS))
    maps = scorer.label_maps(desk, truth, views)
    assert scorer.label_iou(desk, truth, views, maps) == (1.0, 1.0)
    swapped = torch.tensor([0, 2, 1])[truth]
    assert scorer.label_iou(desk, swapped, views, maps) == (0.0, 0.0)
    score = scorer.matched_iou(desk, swapped, views, maps)
    assert score.iou == (1.0, 1.0)
    assert score.label == (2, 1)
    assert score.extra == ()
    maps[0][:60] = -1
    assert scorer.label_iou(desk, truth, views, maps) == (1.0, 1.0)


def test_the_tabletop_without_masks(tabletop_scene: Path, tabletop: Path, scorer: ModuleType) -> None:
    scene = flatten(load_scene(tabletop_scene))
    flat = scene.splats
    cameras = scene.cameras
    surface = surface_points(flat, cameras)
    labels = labels_from_geometry(flat, cameras, surface, find_supports(surface, scene.up), metric=True)
    assert len(labels.names) == 5
    capture = read_capture(tabletop)
    instances = find_instances(tabletop, capture.views)
    chosen = list(range(2, len(cameras), 8))
    maps = [instances.label_map(capture.views[i], cameras[i]) for i in chosen]
    score = scorer.matched_iou(flat, labels.of_splat, [cameras[i] for i in chosen], maps)
    assert score.extra == ()
    assert min(score.iou) > 0.85
