"""`fit` as a whole: that it learns, repeats, keeps its limits, and gets over a NaN."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest
import torch

import scene3d.capture
from scene3d._errors import FitError
from scene3d.capture import Capture, PointCloud
from scene3d.fit import FitConfig, FitProgress, FitResult, _fit, fit
from scene3d.render import _kernels, render

from .conftest import Recorder, same_bits

Install = Callable[..., Recorder]
SIDE = 96


def psnr(result: FitResult, capture: Capture) -> float:
    """Mean over the held-out photos [dB]."""
    found = []
    for view in capture.split()[1]:
        photo = view.load(SIDE)
        rgb = render(result.splats, photo.camera.to(dtype=torch.float32)).rgb.clamp(0, 1)
        found.append(-10 * math.log10(float((rgb - torch.from_numpy(photo.rgb) / 255).square().mean())))
    return float(np.mean(found))


def test_held_out_photos_are_approached(capture: Capture) -> None:
    config = FitConfig(steps=1000, longest_side=SIDE, budget=4000, sh_degree=1, density_every=50)
    first = fit(capture, msgspec.structs.replace(config, steps=1))
    result = fit(capture, config)
    assert (result.steps, result.interrupted) == (1000, False)
    assert len(result.splats) == 4000
    assert result.splats.sh_degree == 1
    assert psnr(first, capture) < 15.0  # Measured 13.5.
    assert psnr(result, capture) > 20.2  # Measured 21.7.


def test_views_of_the_result_are_the_cameras_that_were_fitted(capture: Capture, short: FitConfig) -> None:
    result = fit(capture, msgspec.structs.replace(short, steps=1))
    assert [view.name for view in result.views] == [view.name for view in capture.views]
    assert {view.name for view in result.views if view.held_out} == {view.name for view in capture.split()[1]}
    assert {max(view.camera.width, view.camera.height) for view in result.views} == {64}


@pytest.mark.usefixtures("threads")
def test_same_seed_same_bits_for_any_number_of_threads(capture: Capture, short: FitConfig) -> None:
    _kernels.set_threads(1)
    one = fit(capture, short)
    _kernels.set_threads(2)
    two = fit(capture, short)
    assert same_bits(one.splats, two.splats)
    assert not same_bits(fit(capture, short, seed=1).splats, two.splats)


@pytest.mark.parametrize("budget", [700, 2000])
@pytest.mark.usefixtures("every_step")
def test_budget_is_never_exceeded(capture: Capture, short: FitConfig, budget: int) -> None:
    """Neither by first splats, of which there are about 1700, nor by growth."""
    seen: list[FitProgress] = []
    result = fit(capture, msgspec.structs.replace(short, budget=budget), on_progress=seen.append)
    assert max(progress.splats for progress in seen) <= budget
    assert len(result.splats) > 0.9 * budget


@pytest.mark.usefixtures("every_step")
def test_progress(capture: Capture, short: FitConfig) -> None:
    seen: list[FitProgress] = []
    fit(capture, short, on_progress=seen.append)
    preparing = [progress for progress in seen if progress.step == 0]
    fitting = seen[len(preparing) :]
    assert {progress.stage.rstrip("0123456789%") for progress in preparing} == {"reading photos "}
    assert [progress.step for progress in fitting] == list(range(1, 241))
    assert list(dict.fromkeys(progress.stage for progress in fitting)) == ["fitting 1/4", "fitting 1/2", "fitting"]
    assert all(progress.steps == 240 and progress.budget_seconds is None for progress in fitting)
    assert all(progress.iterations_per_second > 0 for progress in fitting)
    assert fitting[-1].eta_seconds == 0
    assert all(5 < progress.psnr < 40 for progress in fitting)


@pytest.mark.usefixtures("every_step")
def test_seconds_replace_steps(capture: Capture, short: FitConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock that goes on by a sixteenth of a second each time it is asked."""
    ticks = iter(range(10_000))
    monkeypatch.setattr(_fit, "time", SimpleNamespace(perf_counter=lambda: next(ticks) / 16))
    seen: list[FitProgress] = []
    result = fit(capture, msgspec.structs.replace(short, seconds=8.0), on_progress=seen.append)
    assert (result.seconds, result.steps) == (8.0, 128)
    fitting = [progress for progress in seen if progress.step > 0]
    assert all(progress.steps is None and progress.budget_seconds == 8.0 for progress in fitting)
    assert list(dict.fromkeys(progress.stage for progress in fitting)) == ["fitting 1/4", "fitting 1/2", "fitting"]
    assert fitting[63].eta_seconds == pytest.approx(4.0)
    assert fitting[-1].eta_seconds == 0


def test_a_nan_rolls_back_and_slows_down(capture: Capture, short: FitConfig, recorder: Install) -> None:
    calm = recorder()
    fit(capture, short)
    spoilt = recorder(spoil=lambda call, _: call == 112)
    result = fit(capture, short)
    # Call 112 was step 112; good states are kept every 5 * 20 steps, so call 113 is step 100 again.
    assert spoilt.cameras[113:] == calm.cameras[100:]
    assert spoilt.rates[:113] == calm.rates[:113]
    assert spoilt.rates[113:] == pytest.approx([rate / 2 for rate in calm.rates[100:]])
    train, _ = capture.split()
    (named,) = (v.name for v in train if v.camera.position.tolist() == pytest.approx(spoilt.cameras[112]))
    assert result.notes == (
        f"The loss became NaN at step 112 on photo {named}: rolled back to step 100, rates halved.",
    )
    assert result.steps == 240
    assert all(torch.isfinite(value).all() for value in (result.splats.means, result.splats.sh0))


def test_a_nan_before_the_first_good_state_starts_again(capture: Capture, short: FitConfig, recorder: Install) -> None:
    spoilt = recorder(spoil=lambda call, _: call == 3)
    result = fit(capture, msgspec.structs.replace(short, steps=10))
    assert "at step 3 on photo" in result.notes[0] and "rolled back to step 0" in result.notes[0]
    assert spoilt.cameras[4:8] == spoilt.cameras[:4]
    assert spoilt.calls == 4 + 10


def test_going_back_twice_goes_back_to_the_same_state(capture: Capture, short: FitConfig, recorder: Install) -> None:
    spoilt = recorder(spoil=lambda call, _: call in (112, 112 + 13))
    result = fit(capture, short)
    again = (100, 113, 126)  # Calls that are step 100.
    assert all(torch.equal(spoilt.exposures[call], spoilt.exposures[100]) for call in again)
    assert spoilt.rates[126] == pytest.approx(spoilt.rates[100] / 4)
    assert len(result.notes) == 2, "the first one is not forgotten"


def test_a_photo_that_never_works_is_named(capture: Capture, short: FitConfig, recorder: Install) -> None:
    train, _ = capture.split()
    place = train[5].camera.position
    spoilt = recorder(spoil=lambda _, target: torch.allclose(target.camera.position, place.float(), atol=1e-6))
    with pytest.raises(FitError, match=rf"photo {train[5].name}, and smaller steps did not help\. Check this photo"):
        fit(capture, short)
    assert min(spoilt.rates) == pytest.approx(spoilt.rates[0] / 8)


def test_points_are_triangulated_where_there_are_none(capture: Capture, short: FitConfig) -> None:
    few = replace(capture, views=capture.views[:8], points=None)
    seen: list[FitProgress] = []
    result = fit(few, msgspec.structs.replace(short, steps=2, budget=20_000), on_progress=seen.append)
    (note,) = result.notes
    assert re.fullmatch(r"\d{4} points were triangulated from matches between the photos\.", note)
    assert len(result.splats) >= int(note[:4])
    assert any(progress.stage.startswith("matching") for progress in seen)


@pytest.mark.parametrize("matched", [True, False])
def test_held_out_photos_are_never_opened(
    capture: Capture, short: FitConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, matched: bool
) -> None:
    """Neither to fit, nor to triangulate, nor to colour random points."""
    if not matched:
        none = PointCloud(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.uint8))
        monkeypatch.setattr(scene3d.capture, "triangulate", lambda *_, **__: none)
    _, held_out = capture.split()
    gone = tuple(replace(v, path=tmp_path / "gone.jpg") if v in held_out else v for v in capture.views)
    result = fit(replace(capture, views=gone, points=None), msgspec.structs.replace(short, steps=2, budget=20_000))
    assert len(result.notes) == (1 if matched else 2)
    assert matched or len(result.splats) >= 10_000
    assert sum(view.held_out for view in result.views) == 3


def test_any_backend_can_fit(capture: Capture) -> None:
    few = replace(capture, views=capture.views[:4])
    config = FitConfig(
        steps=40, longest_side=32, budget=300, sh_degree=1, density_every=20, half_until=0, quarter_until=0
    )
    seen: dict[str, list[Any]] = {"reference": [], "cpu": []}
    results = {name: fit(few, config, backend=name, on_progress=seen[name].append) for name in seen}
    for name, result in results.items():
        assert result.steps == 40, name
        assert 200 < len(result.splats) <= 300, name
