"""A tiny capture on disk and a renderer whose pictures are known, so that every figure can be computed by hand."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from PIL import Image

from scene3d import Camera, Capture, Frame, Gaussians, SceneView
from scene3d.capture import View

WIDTH, HEIGHT, COUNT = 64, 48, 17


@dataclass(frozen=True)
class Measured:
    """A capture, the cameras of its scene and its splats."""

    capture: Capture
    views: tuple[SceneView, ...]
    splats: Gaussians


def offset_of(index: int) -> float:
    """How much brighter the fake render of photo ``index`` is."""
    return 0.01 * (index + 1)


@pytest.fixture
def measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Measured:
    """17 photos of a gradient, three of them held out; photo i is rendered `offset_of(i)` too bright."""
    ramp = np.linspace(40, 120, WIDTH, dtype=np.uint8)[None, :, None].repeat(HEIGHT, 0).repeat(3, 2)
    views = []
    for i in range(COUNT):
        path = tmp_path / f"photo_{i:02d}.png"
        Image.fromarray(ramp).save(path)
        T_world_cam = torch.eye(4)
        T_world_cam[0, 3] = float(i)
        views.append(View(path.name, path, Camera.from_fov(WIDTH, HEIGHT, math.radians(60), T_world_cam)))
    capture = Capture(tmp_path, tuple(views), metric=True)
    held_out = {view.name for view in capture.split()[1]}

    def fake_render(splats: Gaussians, camera: Camera, **_: object) -> Frame:
        rgb = torch.from_numpy(ramp).float() / 255 + offset_of(round(float(camera.position[0])))
        depth = torch.linspace(1, 2, HEIGHT)[:, None].expand(HEIGHT, WIDTH)
        return Frame(rgb, torch.ones(HEIGHT, WIDTH), depth)

    renderer = ModuleType("scene3d.render")
    renderer.render = fake_render  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "scene3d.render", renderer)
    scene_views = tuple(SceneView(view.name, view.camera, view.name in held_out) for view in views)
    splats = Gaussians.from_points(torch.rand(5, 3), torch.rand(5, 3), sigma=0.1)
    return Measured(capture, scene_views, splats)
