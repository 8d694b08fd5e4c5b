"""Proves that an installed wheel works: three splats are rendered and come out where they belong, with gradients.

Run by an interpreter that has the wheel and no checkout: by `test_wheel.py` here and by cibuildwheel for every wheel
that is released. `python -I wheel_smoke.py` keeps the folder of this file, and so the sources, off the path.
"""

from __future__ import annotations

import sys
from importlib.metadata import entry_points
from pathlib import Path

import torch

import scene3d
from scene3d import Camera, Gaussians, render

WIDTH, HEIGHT = 48, 32


def main() -> None:
    """Render red, green and blue splats side by side and check the picture."""
    home = Path(scene3d.__file__).resolve().parent
    assert Path(sys.prefix).resolve() in home.parents, f"{home} is not the installed package"
    assert list((home / "configs").rglob("*.yaml")), "the presets travel inside the package"
    assert (home.parent / "dynamics" / "contact" / "all.safetensors").is_file(), "and so does the contact network"
    assert {"reconstruct", "render", "info"} <= {entry.name for entry in entry_points(group="scene3d.verbs")}

    points = torch.tensor([[-0.5, 0.0, 0.0], [0.0, 0.0, 0.0], [0.5, 0.0, 0.0]])
    splats = Gaussians.from_points(points, torch.eye(3), sigma=0.1, opacity=0.9).requires_grad_()
    pose = Camera.look_at(torch.tensor([0.0, -2.0, 0.0]), torch.zeros(3))
    frame = render.render(splats, Camera.from_fov(WIDTH, HEIGHT, 1.0, pose))
    assert frame.rgb.shape == (HEIGHT, WIDTH, 3)
    columns = frame.rgb.detach().sum(0).argmax(0).tolist()
    assert columns == sorted(columns) and columns[0] < WIDTH // 3 and columns[2] > WIDTH - WIDTH // 3, columns
    frame.rgb.sum().backward()
    assert splats.means.grad is not None and bool(splats.means.grad.isfinite().all())
    print(f"scene3d {scene3d.__version__} works from {home}")


if __name__ == "__main__":
    main()
