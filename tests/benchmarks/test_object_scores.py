"""The scores of the objects' benchmark on masks whose overlap is known, and the rows that README makes of them."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

HERE = Path(__file__).resolve().parent


def _module(name: str) -> ModuleType:
    """A module beside this file; tests are no package, so it is loaded by its path."""
    spec = importlib.util.spec_from_file_location(f"_objects{name}", HERE / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # Dataclasses look their module up by name.
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def scorer() -> ModuleType:
    return _module("_label_iou")


def _square(low: int, high: int) -> np.ndarray:
    mask = np.zeros((40, 40), dtype=bool)
    mask[low:high, 10:20] = True
    return mask


@pytest.mark.parametrize(("shift", "tolerance", "iou"), [(2, 2, 1.0), (2, 0, 8 / 12), (5, 2, 9 / 15), (30, 2, 0.0)])
def test_pixels_within_the_tolerance_are_right(scorer: ModuleType, shift: int, tolerance: int, iou: float) -> None:
    mask = _square(0, 10)
    found = _square(shift, 10 + shift)
    # Three rows on either side are out of reach when a strip of ten is shifted by five, of fifteen rows in all.
    assert scorer.tolerant_iou(found, mask, tolerance) == pytest.approx(iou)
    assert scorer.tolerant_iou(mask, found, tolerance) == pytest.approx(iou)


def test_nothing_found_scores_nothing(scorer: ModuleType) -> None:
    mask, empty = _square(0, 10), np.zeros((40, 40), dtype=bool)
    assert scorer.tolerant_iou(empty, mask, 2) == 0
    assert scorer.tolerant_iou(empty, empty, 2) == 1


def test_labels_are_matched_by_their_overlap(scorer: ModuleType) -> None:
    masks = np.zeros((10, 10), dtype=int)
    masks[:4], masks[4:8] = 1, 2
    found = np.zeros((10, 10), dtype=int)
    found[:3], found[4:8] = 3, 1  # Object 1 is label 3, without its last row; object 2 is label 1; label 2 is nowhere.
    counts = scorer.overlaps([found], [masks])
    labels = scorer.match_labels(counts)
    assert labels == (3, 1)
    assert scorer.iou_of_labels(counts, labels) == pytest.approx((0.75, 1.0))
    assert scorer.iou_of_labels(counts, (0, 9)) == (0.0, 0.0)


def test_rows_tell_the_worst_object(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(iou: float, seconds: float) -> dict:
        mug = {"as": "mug", "iou": 0.97, "iou_held_out": 0.97, "com_mm": 1.0, "inertia_percent": 3.0}
        mug |= {"removal_db": 0.05, "wall_median_mm": 1.8, "wall_p95_mm": 2.7, "depth_mm": -1.5}
        can = {"as": "can", "iou": iou, "iou_held_out": iou, "com_mm": 2.0, "volume_percent": -3.0}
        can |= {"inertia_percent": 9.0, "removal_db": -0.19}
        objects = {"mug": mug, "can": can, "box": {"iou": 0.0, "iou_held_out": 0.0}}
        return {"objects": objects, "extra": ["object-9"], "wall_seconds": seconds, "can_in_mug_mm": 2.0}

    machine = {"cpu": "A", "cores": 2, "isa": "avx2", "torch": "2", "date": "2030-01-01", "commit": "abc"}
    runs = {"tabletop-masks": run(0.95, 70), "tabletop-shape": run(0.9, 50)}
    monkeypatch.syspath_prepend(HERE)
    text = _module("_table").render_table({"machine": machine, "objects": {"runs": runs}})
    assert "0.000 (box) / 0.000 (box)" in text
    assert "2 of 3, 1 extra / 2 of 3, 1 extra" in text
    assert "2.0 (can) / 2.0 (can)" in text
    assert "-3.0, none, none / -3.0, none, none" in text
    assert "-0.19 (can)" in text
    assert "70 / 50" in text
