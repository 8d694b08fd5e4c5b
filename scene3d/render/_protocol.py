"""The seam between the renderer's users and its backends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from torch import Tensor

    from scene3d._camera import Camera
    from scene3d._frame import Frame
    from scene3d._gaussians import Gaussians

__all__ = ["ALPHA_MAX", "ALPHA_MIN", "TRANSMITTANCE_MIN", "RenderSettings", "Renderer"]

ALPHA_MIN = 1.0 / 255.0
"""Contributions below are skipped."""
ALPHA_MAX = 0.999
"""Opacity of one splat at one pixel is clamped to this."""
TRANSMITTANCE_MIN = 1e-4
"""A pixel stops before the splat that would take its transmittance to or below this."""


@dataclass(frozen=True)
class RenderSettings:
    """What rarely changes between calls; the defaults are gsplat's."""

    eps2d: float = 0.3
    """Variance added to every projected covariance [px^2]."""
    near_plane: float = 0.01
    """Splats closer than this along the camera's z axis are dropped [m]."""
    sh_degree: int | None = None
    """Degree of spherical harmonics to evaluate; None for all that are stored."""


class Renderer(Protocol):
    """A backend: renders one view, differentiably."""

    name: str
    """Name to ask for it by."""

    def render_view(
        self,
        splats: Gaussians,
        camera: Camera,
        *,
        T_world_body: Tensor | None = None,
        features: Tensor | None = None,
        settings: RenderSettings,
    ) -> Frame:
        """Render one view over black.

        Args:
            splats: N splats; gradients flow to every float array.
            camera: A single view; gradients flow to its pose, not to its intrinsics.
            T_world_body: Poses of the bodies [m], xyz + wxyz, shape (nb, 7); None puts every body at the origin.
            features: Channels to accumulate, shape (N, F).
            settings: Conventions and thresholds.
        """
        ...
