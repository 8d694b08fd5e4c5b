"""EWA projection of splats to the screen in plain torch: the readable twin of ``csrc/project.h``.

Means go through the pinhole model, covariances through its Jacobian [Zwicker 2001, eq. 31], with gsplat's
conventions: the tangent in the Jacobian is clamped to the field of view plus 30 %, ``eps2d`` blurs the result.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from scene3d._camera import Camera
    from scene3d._gaussians import Gaussians
    from scene3d.render._protocol import RenderSettings

__all__ = ["Projected", "project"]

_FOV_MARGIN = 0.3


@dataclass(frozen=True)
class Projected:
    """Splats on the screen, in the order they were given."""

    means: Tensor
    """Centres [px], shape (N, 2)."""
    conics: Tensor
    """Inverse covariance (A, B, C) of A dx^2 + 2 B dx dy + C dy^2 [1/px^2], shape (N, 3)."""
    depths: Tensor
    """Camera z [m], shape (N,)."""
    opacities: Tensor
    """Activated opacities, shape (N,)."""
    covariances: Tensor
    """Blurred covariances (a, b, c) [px^2], shape (N, 3)."""


def project(splats: Gaussians, camera: Camera, R: Tensor, t: Tensor, settings: RenderSettings) -> Projected:
    """Project splats with body-to-camera transforms ``R`` (nb, 3, 3) and ``t`` (nb, 3)."""
    import torch

    from dynamics.poses import rotation_from_wxyz

    body = splats.component_index.long() if R.shape[0] > 1 else splats.component_index.long() * 0
    rotation = R[body]
    points = (rotation @ splats.means[..., None]).squeeze(-1) + t[body]
    x, y, z = points.unbind(-1)
    # Splats behind the camera are dropped by the caller; a safe depth keeps their gradients finite.
    z = torch.where(z > settings.near_plane, z, torch.ones_like(z))
    fx, fy, cx, cy = camera.K[0, 0], camera.K[1, 1], camera.K[0, 2], camera.K[1, 2]
    axes = rotation @ rotation_from_wxyz(splats.quats) * splats.scales.exp()[:, None, :]

    margin_x = _FOV_MARGIN * 0.5 * camera.width / fx
    margin_y = _FOV_MARGIN * 0.5 * camera.height / fy
    ux = (x / z).clamp(float(-cx / fx - margin_x), float((camera.width - cx) / fx + margin_x))
    uy = (y / z).clamp(float(-cy / fy - margin_y), float((camera.height - cy) / fy + margin_y))
    row_x = (fx / z)[:, None] * (axes[:, 0] - ux[:, None] * axes[:, 2])
    row_y = (fy / z)[:, None] * (axes[:, 1] - uy[:, None] * axes[:, 2])
    a = (row_x * row_x).sum(-1) + settings.eps2d
    b = (row_x * row_y).sum(-1)
    c = (row_y * row_y).sum(-1) + settings.eps2d
    det = a * c - b * b
    return Projected(
        means=torch.stack([fx * x / z + cx, fy * y / z + cy], dim=-1),
        conics=torch.stack([c / det, -b / det, a / det], dim=-1),
        depths=points[:, 2],
        opacities=torch.sigmoid(splats.opacities),
        covariances=torch.stack([a, b, c], dim=-1),
    )
