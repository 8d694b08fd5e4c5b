"""A tiny scene folder, the command as a function, and a stand-in for fitting."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import numpy as np
import pytest
import torch
from PIL import Image

from scene3d import Camera, Capture, Gaussians, Scene, SceneView, save_scene
from scene3d.cli import main

WIDTH, HEIGHT = 48, 36


@dataclass(frozen=True)
class Outcome:
    """What a call of the command left behind."""

    code: int
    out: str
    err: str


Command = Callable[..., Outcome]


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs `scene3d` with 80 columns, without colours."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.delenv("SCENE3D_DEBUG", raising=False)

    def run(*args: str | Path) -> Outcome:
        capsys.readouterr()
        code = main([str(arg) for arg in args])
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return run


def splats() -> Gaussians:
    """A flat board of 8 x 8 coloured splats at the origin, one metre wide."""
    x, y = torch.meshgrid(torch.linspace(-0.5, 0.5, 8), torch.linspace(-0.5, 0.5, 8), indexing="ij")
    points = torch.stack([x.flatten(), y.flatten(), torch.zeros(64)], dim=1)
    return Gaussians.from_points(points, (points + 0.5).clamp(0, 1), sigma=0.08, opacity=0.95)


def views(count: int = 3, folder: str = "images/") -> tuple[SceneView, ...]:
    """Cameras on a circle of 1.5 m, 1 m above the board, looking at its middle."""
    result = []
    for i in range(count):
        angle = 2 * math.pi * i / count
        position = torch.tensor([1.5 * math.cos(angle), 1.5 * math.sin(angle), 1.0])
        pose = Camera.look_at(position, torch.zeros(3))
        camera = Camera.from_fov(WIDTH, HEIGHT, math.radians(60), pose)
        result.append(SceneView(f"{folder}{i:03d}.png", camera, held_out=i == 0))
    return tuple(result)


@pytest.fixture
def scene_folder(tmp_path: Path) -> Path:
    """A saved scene with three cameras."""
    metrics = {"psnr": 31.4159, "ssim": 0.95, "train_psnr": 33.0, "seconds": 12.0, "splats": 64, "device": "cpu"}
    scene = Scene(splats(), views(), metric=True, source={"capture": "photos/desk"}, metrics=metrics)
    return save_scene(scene, tmp_path / "desk")


@pytest.fixture
def capture_folder(tmp_path: Path) -> Path:
    """17 posed photos of the board as a transforms.json."""
    folder = tmp_path / "photos"
    (folder / "images").mkdir(parents=True)
    flip = np.diag([1.0, -1.0, -1.0, 1.0])
    frames = []
    for view in views(17):
        Image.fromarray(np.full((HEIGHT, WIDTH, 3), 128, np.uint8)).save(folder / view.name)
        pose = view.camera.T_world_cam.double().numpy() @ flip
        frames.append({"file_path": view.name, "transform_matrix": pose.tolist()})
    K = views(1)[0].camera.K
    intrinsics = {"fl_x": float(K[0, 0]), "fl_y": float(K[1, 1]), "cx": WIDTH / 2, "cy": HEIGHT / 2}
    document = {**intrinsics, "w": WIDTH, "h": HEIGHT, "frames": frames}
    (folder / "transforms.json").write_bytes(msgspec.json.encode(document))
    return folder


@dataclass(frozen=True)
class FakeProgress:
    step: int = 50
    steps: int | None = 100
    seconds: float = 5.0
    budget_seconds: float | None = None
    iterations_per_second: float = 10.0
    psnr: float = 27.3
    splats: int = 64_000
    stage: str = "fitting"
    eta_seconds: float = 65.0

    @staticmethod
    def preparing(stage: str, share: float) -> FakeProgress:
        return FakeProgress(step=0, steps=None, seconds=0.0, psnr=math.nan, stage=f"{stage} {100 * share:.0f}%")


@dataclass(frozen=True)
class FakeResult:
    splats: Gaussians
    views: tuple[SceneView, ...]
    seconds: float = 5.0
    steps: int = 100
    interrupted: bool = False
    notes: tuple[str, ...] = ("Four photos were dark.",)


class FakeConfig(msgspec.Struct, frozen=True):
    seconds: float = 180.0


@dataclass
class FakeFit:
    """Stands in for `scene3d.fit`: remembers how it was called and returns the board, or other splats, at once."""

    interrupted: bool = False
    result: Gaussians | None = None
    calls: int = 0
    config: Any = None

    def fit(self, capture: Capture, config: FakeConfig, *, on_progress: Any, **_: Any) -> FakeResult:
        self.calls += 1
        self.config = config
        if on_progress is not None:
            on_progress(FakeProgress())
        held_out = {view.name for view in capture.split()[1]}
        seen = tuple(SceneView(view.name, view.camera, view.name in held_out) for view in capture.views)
        return FakeResult(self.result or splats(), seen, interrupted=self.interrupted)


@pytest.fixture
def fake_fit(monkeypatch: pytest.MonkeyPatch) -> FakeFit:
    fake = FakeFit()
    module = ModuleType("scene3d.fit")
    module.__dict__.update(fit=fake.fit, load_preset=lambda _: FakeConfig(), load_config=lambda _: FakeConfig())
    module.__dict__["FitProgress"] = FakeProgress
    monkeypatch.setitem(sys.modules, "scene3d.fit", module)
    return fake


@pytest.fixture
def reference_renderer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plain torch in place of the C++ kernel, so that these tests need no compiler."""
    import scene3d.render

    render = scene3d.render.render

    def render_by_reference(*args: Any, **keywords: Any) -> Any:
        return render(*args, **{**keywords, "backend": "reference"})

    monkeypatch.setattr(scene3d.render, "render", render_by_reference)


def texts(folder: Path, pattern: str = "*") -> Sequence[str]:
    """File names below a folder, sorted."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob(pattern) if path.is_file())
