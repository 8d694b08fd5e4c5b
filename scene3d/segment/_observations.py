"""What the splats look like from the capture's cameras: colour, opacity, depth, and how sure the depth is.

Segmentation, colliders and hole filling all look at surfaces, not at splats. `observe` renders one view; the expected
depth of a pixel at an object's edge is a mixture of front and back, which the spread of depth along the ray gives away.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

    from scene3d._camera import Camera
    from scene3d._gaussians import Gaussians

__all__ = ["Observation", "observe"]


@dataclass(frozen=True, eq=False)
class Observation:
    """One rendered view."""

    camera: Camera
    """Single view of these pixels."""
    rgb: NDArray[np.float32]
    """sRGB colour over black, shape (H, W, 3)."""
    alpha: NDArray[np.float32]
    """Opacity in [0, 1], shape (H, W)."""
    depth: NDArray[np.float32]
    """Expected camera z [scene units], 0 where nothing is, shape (H, W)."""
    spread: NDArray[np.float32]
    """Standard deviation of z along the ray [scene units], shape (H, W)."""
    features: NDArray[np.float32]
    """Extra channels sum(w f), shape (H, W, F)."""

    def points(self) -> NDArray[np.float64]:
        """World positions (H, W, 3) at the expected depth."""
        K = self.camera.K.double().numpy()
        T = self.camera.T_world_cam.double().numpy()
        columns, rows = np.meshgrid(np.arange(self.camera.width) + 0.5, np.arange(self.camera.height) + 0.5)
        rays = np.stack([(columns - K[0, 2]) / K[0, 0], (rows - K[1, 2]) / K[1, 1], np.ones_like(rows)], axis=-1)
        return np.asarray((rays * self.depth[..., None]) @ T[:3, :3].T + T[:3, 3], dtype=np.float64)


def observe(splats: Gaussians, camera: Camera, *, features: Tensor | None = None) -> Observation:
    """Render one view with the spread of its depth.

    Args:
        splats: N splats in the world's frame (component 0).
        camera: A single view.
        features: Extra channels of the splats, shape (N, F), e.g. one-hot labels.
    """
    import torch

    from scene3d.render import render

    with torch.no_grad():
        splats = splats.detach()
        T = camera.T_world_cam.to(splats.means)
        z = ((splats.means - T[:3, 3]) @ T[:3, 2])[:, None]
        extra = z.new_zeros(len(splats), 0) if features is None else features.to(z)
        frame = render(splats, camera, features=torch.cat([z, z * z, extra], dim=1))
    assert frame.features is not None
    alpha = frame.alpha.clamp_min(1e-6)
    mean, square = frame.features[..., 0] / alpha, frame.features[..., 1] / alpha
    spread = (square - mean * mean).clamp_min(0).sqrt()
    parts = (frame.rgb, frame.alpha, frame.depth, spread, frame.features[..., 2:])
    return Observation(camera, *(part.cpu().numpy() for part in parts))
