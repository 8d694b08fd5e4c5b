"""The scenes that render.py measures: seeded splats with 8 contributing per pixel, and a fox that was fitted before.

The seeded scene fills the view of one camera with N splats of random size, shape, opacity and colour (SH degree 3) and
scales them all until, counted exactly by the scalar loop, a pixel is the sum of 8 splats on average. The blur that
every splat gets on the screen sets a floor to its size: 200k splats at 320x240 would contribute 20 to a pixel however
small they are. Such a scene extends beyond the picture instead, as real ones do, so that only some are visible.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import torch
from _scalar_loop import ScalarLoop, Screen

from scene3d import Camera, Gaussians

PER_PIXEL = 8.0
"""Contributing splats of an average pixel of the seeded scene."""
MOST_BLUR = 0.8
"""Largest share of a splat's area on the screen that the blur alone may make."""
BLUR = 0.3
"""Variance that the projection adds [px^2]."""


@dataclass(frozen=True)
class BenchmarkScene:
    """What is rendered."""

    name: str
    splats: Gaussians
    camera: Camera


def scene_name(splats: int, width: int, height: int) -> str:
    """For example 50k-640x480."""
    return f"{splats // 1000}k-{width}x{height}"


def seeded(count: int, width: int, height: int, seed: int = 0) -> BenchmarkScene:
    """Random splats, 8 contributing to an average pixel."""
    camera = Camera.from_fov(width, height, 2 * math.atan(0.5 / 0.9), torch.eye(4))
    splats = _random(count, camera, seed)
    screen, area, scaled = Screen.of(splats, camera), PER_PIXEL, splats
    for _ in range(3):  # What stops or falls off the edge is not known before it is counted.
        scaled = _grown(splats, _log_factor(screen, camera, area))
        area *= PER_PIXEL / contributing_per_pixel(scaled, camera)
    return BenchmarkScene(scene_name(count, width, height), scaled, camera)


def fitted(folder: Path, longest_side: int = 480) -> BenchmarkScene:
    """A scene folder, seen by its first capture camera."""
    import scene3d

    scene = scene3d.load_scene(folder)
    return BenchmarkScene("fitted fox", scene.splats, scene.views[0].camera.fitted(longest_side))


@torch.no_grad()
def contributing_per_pixel(splats: Gaussians, camera: Camera) -> float:
    """Exact mean number of splats that a pixel is the sum of."""
    return ScalarLoop(splats, camera).count(lanes=4)["contributing"] / (camera.width * camera.height)


def _random(count: int, camera: Camera, seed: int) -> Gaussians:
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    opacities = normal(count)
    spread = _spread(opacities, camera)
    z = 2 + 2 * torch.rand(count, generator=generator)
    across = spread * (torch.rand(count, 2, generator=generator) - 0.5)
    half_views = torch.tensor([camera.width / float(camera.K[0, 0]), camera.height / float(camera.K[1, 1])])
    return Gaussians.create(
        means=torch.cat([across * half_views * z[:, None], z[:, None]], dim=1),
        quats=normal(count, 4),
        scales=0.4 * normal(count, 3),
        opacities=opacities,
        sh0=normal(count, 1, 3),
        shN=0.1 * normal(count, 15, 3),
    )


def _spread(opacities: torch.Tensor, camera: Camera) -> float:
    """Side of the scene over the side of the view, above 1 where the blur would cover the view too often."""
    extents = (2 * torch.log(255 * torch.sigmoid(opacities))).clamp_min(0)
    blurred = float(math.pi * BLUR * extents.sum()) / (camera.width * camera.height)
    return max(1.0, math.sqrt(blurred / (MOST_BLUR * PER_PIXEL)))


@torch.no_grad()
def _grown(splats: Gaussians, log_factor: float) -> Gaussians:
    return Gaussians.create(
        splats.means, splats.quats, splats.scales + log_factor, splats.opacities, splats.sh0, splats.shN
    )


@torch.no_grad()
def _log_factor(screen: Screen, camera: Camera, area: float) -> float:
    """By how much splats must grow for their ellipses to cover the view `area` times, by bisection.

    A covariance on the screen is the blur plus a part that grows with the square of the size.
    """
    a, b, c = torch.from_numpy(screen.covariances).double().unbind(-1)
    corner = torch.tensor([camera.width, camera.height])
    inside = ((screen.means > 0) & (screen.means < corner)).all(dim=-1)
    extents = torch.from_numpy(screen.extents)[inside].double()
    a, b, c = (a - BLUR)[inside], b[inside], (c - BLUR)[inside]
    low, high = -12.0, 2.0
    for _ in range(40):
        middle = 0.5 * (low + high)
        square = math.exp(2 * middle)
        determinants = (square * a + BLUR) * (square * c + BLUR) - (square * b) ** 2
        covered = float(math.pi * (extents * determinants.clamp_min(0).sqrt()).sum()) / (camera.width * camera.height)
        low, high = (low, middle) if covered > area else (middle, high)
    return low
