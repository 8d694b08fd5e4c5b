"""Splats as viser takes them: centres, covariances, colours and opacities of each body.

scene -> at most so many splats -> one colour each -> no narrower than a pixel of the photos -> arrays of each body.

viser keeps covariances in half precision, whose least number would flatten splats thinner than a quarter of a
millimetre; lengths are therefore multiplied by `MAGNIFIED` and the node is drawn at 1 / MAGNIFIED. It draws one colour
per splat, so view-dependent colour is taken as the capture's cameras saw it on average. Splats were fitted at the size
of the photos, where the renderer widens each by a third of a pixel; a page looks closer, and what is narrower than a
pixel of the nearest photo would leave holes there, so that width is added in space [Yu 2024, Mip-Splatting].
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from scene3d.viewer._level_of_detail import MOST_SPLATS, thinned

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from scene3d._camera import Camera
    from scene3d._gaussians import Gaussians
    from scene3d._scene import Scene

__all__ = ["MAGNIFIED", "SceneArrays", "SplatArrays", "scene_arrays", "splat_arrays", "splat_colors", "splat_widths"]

MAGNIFIED = 100.0
CAMERAS = 8
"""So many of the capture's cameras decide the colour."""
LOOKING = 32
"""So many tell how near the photos were."""
PIXEL_VARIANCE = 0.3
"""What the renderer adds to every splat [px^2], as `RenderSettings.eps2d`."""
FEW = 200_000
"""Splats whose arrays one thread computes in a quarter of a second."""
WIDEST = 250.0
"""Standard deviations above would overflow half precision [MAGNIFIED units]."""


@dataclass(frozen=True, eq=False)
class SplatArrays:
    """N splats of one body, lengths times `MAGNIFIED`."""

    centers: NDArray[np.float32]
    """Shape (N, 3)."""
    covariances: NDArray[np.float32]
    """Shape (N, 3, 3)."""
    rgbs: NDArray[np.float32]
    """0 to 1, shape (N, 3)."""
    opacities: NDArray[np.float32]
    """0 to 1, shape (N, 1)."""


@dataclass(frozen=True, eq=False)
class SceneArrays:
    """The splats of a scene for a browser."""

    parts: tuple[SplatArrays, ...]
    """Of the background, then of each object; may be empty."""
    indices: tuple[Tensor, ...]
    """Which of the scene's splats those are."""
    colors: tuple[Tensor, ...]
    """0 to 1, shape (N, 3) each."""
    widths: tuple[Tensor, ...]
    """Standard deviation that is added [m], shape (N,) each."""
    total: int
    """Splats of the scene."""

    @property
    def shown(self) -> int:
        """Splats of the browser."""
        return sum(len(index) for index in self.indices)


def scene_arrays(scene: Scene, most: int = MOST_SPLATS) -> SceneArrays:
    """All that a browser needs of the splats; `shown` is below `total` where level of detail took some away."""
    with _few_threads(len(scene.splats)):
        return _scene_arrays(scene, most)


@contextmanager
def _few_threads(splats: int) -> Iterator[None]:
    """One thread for few splats: a browser that loads meanwhile has the other processor, and each step would wait."""
    import torch

    threads = torch.get_num_threads()
    if splats <= FEW:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _scene_arrays(scene: Scene, most: int) -> SceneArrays:
    chosen = thinned(scene.splats, most)
    splats = scene.splats[chosen.indices].detach()
    splats = replace(splats, scales=splats.scales + chosen.growth.log()[:, None].to(splats.scales))
    part_scene = replace(scene, splats=splats)
    colors, widths = splat_colors(part_scene), splat_widths(part_scene)
    masks = [splats.component_index == component for component in range(len(scene.objects) + 1)]
    return SceneArrays(
        tuple(splat_arrays(splats[mask], colors[mask], widths[mask]) for mask in masks),
        tuple(chosen.indices[mask.cpu()] for mask in masks),
        tuple(colors[mask] for mask in masks),
        tuple(widths[mask] for mask in masks),
        len(scene.splats),
    )


def splat_arrays(splats: Gaussians, colors: Tensor, widths: Tensor | None = None) -> SplatArrays:
    """Of splats in their body's frame, with colours (N, 3) and widths (N,) as from `splat_colors`, `splat_widths`."""
    import torch

    from dynamics.poses import rotation_from_wxyz

    with torch.no_grad():
        R = rotation_from_wxyz(torch.nn.functional.normalize(splats.quats.float(), dim=1))
        sigma = (MAGNIFIED * splats.scales.float().exp()).clamp(max=WIDEST)
        if widths is not None:
            sigma = (sigma.square() + (MAGNIFIED * widths[:, None]).square()).sqrt().clamp(max=WIDEST)
        half = R * sigma[:, None, :]
        return SplatArrays(
            (MAGNIFIED * splats.means).float().cpu().numpy(),
            (half @ half.transpose(1, 2)).cpu().numpy(),
            colors.float().cpu().numpy(),
            torch.sigmoid(splats.opacities.float())[:, None].cpu().numpy(),
        )


def splat_colors(scene: Scene) -> Tensor:
    """One colour (N, 3) for each splat of a scene: the mean over some of the cameras that saw it, 0 to 1."""
    import torch

    from scene3d._gaussians import SH_C0
    from scene3d.render._spherical_harmonics import colors_in_view

    splats = scene.splats
    cameras = _some(scene.cameras, CAMERAS)
    if splats.sh_degree == 0 or not cameras:
        return (0.5 + SH_C0 * splats.sh0[:, 0]).clamp(0, 1)
    total = torch.zeros_like(splats.means)
    with torch.no_grad():
        for camera in cameras:
            total += colors_in_view(splats, *_seen_from(scene, camera), splats.sh_degree)
    return (total / len(cameras)).clamp(0, 1)


def splat_widths(scene: Scene) -> Tensor:
    """Deviation (N,) [m] that a pixel of the nearest photo leaves open; 0 for splats that no photo shows."""
    import torch

    from dynamics.poses import rotation_from_wxyz

    means = scene.splats.means.float()
    nearest = torch.zeros(len(means))
    with torch.no_grad():
        poses = scene.T_world_body.to(means)[scene.splats.component_index.long()]
        world = (rotation_from_wxyz(poses[:, 3:]) @ means[:, :, None])[:, :, 0] + poses[:, :3]
        for camera in _some(scene.cameras, LOOKING):
            P = camera.K.to(world) @ torch.linalg.inv(camera.T_world_cam.to(world))[:3]
            x, y, z = (world @ P[:, :3].T + P[:, 3]).unbind(dim=1)
            seen = (z > 0.01) & (x > 0) & (x < camera.width * z) & (y > 0) & (y < camera.height * z)
            nearest = torch.where(seen, torch.maximum(nearest, float(camera.K[0, 0]) / z), nearest)
    return torch.where(nearest > 0, PIXEL_VARIANCE**0.5 / nearest.clamp_min(1e-9), torch.zeros_like(nearest))


def _seen_from(scene: Scene, camera: Camera) -> tuple[Tensor, Tensor]:
    """Rotations (nb, 3, 3) and translations (nb, 3) from the frames of the bodies to a camera."""
    import torch

    from dynamics.poses import rotation_from_wxyz

    poses = scene.T_world_body.to(scene.splats.means)
    T = torch.linalg.inv(camera.T_world_cam.to(scene.splats.means))
    return T[:3, :3] @ rotation_from_wxyz(poses[:, 3:]), poses[:, :3] @ T[:3, :3].T + T[:3, 3]


def _some(cameras: Sequence[Camera], most: int) -> Sequence[Camera]:
    return cameras[:: max(1, len(cameras) // most)]
