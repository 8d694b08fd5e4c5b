"""The README is true: its Python session runs, and its links lead somewhere."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import scene3d
from scene3d import Camera, Gaussians, Scene, SceneView

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


PICTURES, PHYSICS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


@pytest.mark.parametrize("session", [PICTURES, PHYSICS])
def test_sessions_are_short(session: str) -> None:
    assert len([line for line in session.splitlines() if line.strip()]) <= 15


def test_the_session_of_physics_runs() -> None:
    names: dict[str, Any] = {}
    exec(compile(PHYSICS, "README.md", "exec"), names)
    assert names["futures"].T_world_body.shape == (64, 481, 2, 7)
    assert 0.049 < float(names["futures"].T_world_body[:, -1, 1, 2].min()) < 0.06  # All of them lie on a face.


def test_the_session_of_pictures_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(3)
    points = torch.rand(50, 3, generator=generator) - 0.5
    splats = Gaussians.from_points(points, points + 0.5, sigma=0.05, opacity=0.8, sh_degree=1)
    pose = Camera.look_at(torch.tensor([0.0, -2.0, 0.5]), torch.zeros(3))
    view = SceneView("0000.jpg", Camera.from_fov(640, 480, math.radians(60), pose))
    scene3d.save_scene(Scene(splats, (view,)), tmp_path / "outputs" / "tabletop")
    monkeypatch.chdir(tmp_path)
    exec(compile(PICTURES, "README.md", "exec"), {})
    with Image.open("view.png") as image:
        assert image.size == (320, 240)
        assert np.asarray(image).max() > 50
    assert len(scene3d.load_ply("tabletop.ply")) == 50


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)", README):
        assert target.startswith("https://") or (ROOT / target).exists(), target


def test_the_table_has_its_place() -> None:
    assert README.index("<!-- numbers:begin -->") < README.index("<!-- numbers:end -->")
