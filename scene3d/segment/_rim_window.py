"""One view of a hole's rim, ready to be rendered again and again while only the rim's colours and opacities change.

What does not change is prepared once: splats that the view does not see are left out, and those that it sees carry the
colour that it sees them in, so that no spherical harmonics are carried along or evaluated. The pictures stay the same.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from scene3d._camera import Camera
    from scene3d._gaussians import Gaussians

__all__ = ["RimWindow", "rim_window"]

REACH = 3.4
"""Deviations from its centre at which a splat of any opacity is too faint to be drawn (1/255)."""
EDGE = 4.0
"""What the renderer's own blur adds to that [px]."""


@dataclass(frozen=True, eq=False)
class RimWindow:
    """A view, what it must show, and what it sees of the splats."""

    camera: Camera
    rgb: Tensor
    """What it must show, shape (H, W, 3)."""
    weight: Tensor
    """What each pixel counts, shape (H, W)."""
    splats: Gaussians
    """Splats that stay as they are and then those of the rim, as far as seen; SH of degree 0."""
    which: Tensor
    """Places of the latter in the rim, int64, shape (r,)."""
    tint: Tensor
    """What the higher harmonics of the latter add to their coefficients of degree 0 in this view, shape (r, 1, 3)."""

    def error(self, colours: Tensor, opacities: Tensor) -> Tensor:
        """Weighted sum of squared differences of colour.

        Args:
            colours: SH coefficients of degree 0 of all of the rim, shape (R, 1, 3).
            opacities: Its logits, shape (R,).
        """
        import torch

        from scene3d.render import render

        still = len(self.splats) - len(self.which)
        sh0 = torch.cat([self.splats.sh0[:still], colours[self.which] + self.tint])
        logits = torch.cat([self.splats.opacities[:still], opacities[self.which]])
        shown = render(replace(self.splats, sh0=sh0, opacities=logits), self.camera)
        return (self.weight[..., None] * (shown.rgb - self.rgb).square()).sum()


def rim_window(still: Gaussians, rim: Gaussians, camera: Camera, rgb: Tensor, weight: Tensor) -> RimWindow:
    """Prepare a view.

    Args:
        still: Splats that stay as they are, in the world's frame.
        rim: Those that will change, R of them.
        camera: A single view.
        rgb: What it must show, shape (H, W, 3).
        weight: What each pixel counts, shape (H, W).
    """
    from scene3d._gaussians import Gaussians

    which = _seen(rim, camera).nonzero()[:, 0]
    parts = [still[_seen(still, camera).nonzero()[:, 0]], rim[which]]
    tints = [_tint(part, camera) for part in parts]
    flat = [replace(part, sh0=part.sh0 + tint, shN=part.shN[:, :0]) for part, tint in zip(parts, tints, strict=True)]
    return RimWindow(camera, rgb, weight, Gaussians.cat(flat), which, tints[1])


def _seen(splats: Gaussians, camera: Camera) -> Tensor:
    """Which splats (N,) may reach into the picture: none that does is missed."""
    import torch

    T = camera.T_cam_world.to(splats.means)
    point = splats.means @ T[:3, :3].T + T[:3, 3]
    front = point[:, 2] > 0
    z = point[:, 2].where(front, torch.ones_like(point[:, 2]))
    size = splats.scales.amax(dim=1).exp() / z
    seen = front
    for axis, side in enumerate((camera.width, camera.height)):
        focal, middle = float(camera.K[axis, axis]), float(camera.K[axis, 2])
        # Off the axis splats are drawn longer, but the renderer draws none longer than a little beside the picture.
        slant = (max(abs(middle), abs(side - middle)) + 0.3 * side) / focal
        reach = REACH * focal * size * (1 + slant * slant) ** 0.5 + EDGE
        at = focal * point[:, axis] / z + middle
        seen = seen & (at > -reach) & (at < side + reach)
    return seen


def _tint(splats: Gaussians, camera: Camera) -> Tensor:
    """What the harmonics above degree 0 add to the coefficients of degree 0 as a view sees them, shape (N, 1, 3)."""
    import torch

    from scene3d._gaussians import SH_C0
    from scene3d.render._spherical_harmonics import sh_basis

    way = torch.nn.functional.normalize(splats.means - camera.position.to(splats.means), dim=-1, eps=1e-12)
    basis = sh_basis(splats.sh_degree, way)
    return torch.einsum("nk,nkc->nc", basis, splats.shN)[:, None] / SH_C0
