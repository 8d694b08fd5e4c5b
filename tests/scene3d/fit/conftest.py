"""A small real capture for fitting, a recorder around the engine, and a comparison of splats bit by bit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from scene3d import Gaussians
from scene3d.capture import Capture, read_capture, triangulate
from scene3d.fit import FitConfig, _fit
from scene3d.fit._engine import StepResult
from scene3d.fit._engine_cpu import CpuEngine
from scene3d.fit._optimizer import NAMES
from scene3d.render import _kernels


@pytest.fixture(scope="session")
def capture(tabletop: Path) -> Capture:
    """Every third photo of the demo capture without its depth, 17 to fit and 3 held out, with points from those 17."""
    whole = read_capture(tabletop)
    some = replace(whole, views=tuple(replace(view, depth=None) for view in whole.views[::3]))
    train, _ = some.split()
    return replace(some, points=triangulate(replace(some, views=train), longest_side=320))


@pytest.fixture(scope="session")
def short() -> FitConfig:
    """A fit of a second that still prunes, grows, changes size, adds spherical harmonics and fits colour maps."""
    return FitConfig(steps=240, longest_side=64, budget=2500, sh_degree=1, density_every=20, exposure=True)


def bits(splats: Gaussians) -> dict[str, torch.Tensor]:
    """The bit patterns of all arrays, so that NaN equals NaN and -0 differs from 0."""
    return {name: getattr(splats, name).contiguous().view(torch.int32) for name in NAMES}


def same_bits(one: Gaussians, other: Gaussians) -> bool:
    """Whether two sets of splats are the same to the last bit."""
    a, b = bits(one), bits(other)
    return all(torch.equal(a[name], b[name]) for name in NAMES)


Hook = Callable[[], None]


@dataclass
class Recorder:
    """The CPU engine, watched and disturbed: what happens at which call is up to the test; calls count from 0."""

    before: dict[int, Hook] = field(default_factory=dict)
    """What to do before a call's step."""
    after: dict[int, Hook] = field(default_factory=dict)
    """What to do when the splats of a call have moved."""
    spoil: Callable[[int, Any], bool] = lambda _call, _target: False
    """Whether a call diverges: its splats and its loss become NaN."""
    calls: int = 0
    cameras: list[tuple[float, ...]] = field(default_factory=list)
    """Where each call's camera stood [m]: says which photo it was."""
    exposures: list[torch.Tensor] = field(default_factory=list)
    """Colour map of each call, (3, 4)."""
    rates: list[float] = field(default_factory=list)
    """Learning rate of colours at each call."""
    engine: CpuEngine = field(default_factory=CpuEngine)

    def step(self, splats: Any, target: Any, exposure: Any, now: Any, *rest: Any) -> StepResult:
        call, self.calls = self.calls, self.calls + 1
        self.cameras.append(tuple(target.camera.position.tolist()))
        self.rates.append(now.rates["sh0"])
        if exposure is not None:
            self.exposures.append(exposure.clone())
        self.before.get(call, lambda: None)()
        result = self.engine.step(splats, target, exposure, now, *rest)
        self.after.get(call, lambda: None)()
        if self.spoil(call, target):
            splats.params["means"].fill_(float("nan"))
            return replace(result, loss=float("nan"))
        return result


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Recorder]:
    """``recorder(...)``: the engine of all fits from now on."""

    def install(**options: Any) -> Recorder:
        made = Recorder(**options)
        monkeypatch.setattr(_fit, "_engine", lambda *_: made)
        return made

    return install


@pytest.fixture
def every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Progress is reported after every step, whatever the clock says."""
    monkeypatch.setattr(_fit, "REPORT_EVERY", -1.0)


@pytest.fixture
def threads() -> Iterator[None]:
    """Restore the number of kernel threads."""
    yield
    _kernels.set_threads(0)
