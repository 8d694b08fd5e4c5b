"""The reference backend: plain torch, any precision, every splat against every pixel.

It is the definition that the fast backends are tested against, and slow: memory grows with splats times pixels, so it
works through the image in strips of rows. `threshold_margin` says how close any contribution comes to a threshold
where rounding alone would decide, so that tests can choose scenes in which agreement is meaningful.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from scene3d._frame import Frame
from scene3d.render._bodies import body_to_camera
from scene3d.render._projection import Projected, project
from scene3d.render._protocol import ALPHA_MAX, ALPHA_MIN, TRANSMITTANCE_MIN, RenderSettings
from scene3d.render._spherical_harmonics import colors_in_view

if TYPE_CHECKING:
    from torch import Tensor

    from scene3d._camera import Camera
    from scene3d._gaussians import Gaussians

__all__ = ["ReferenceRenderer", "threshold_margin"]

_PAIRS_AT_ONCE = 4_000_000


class ReferenceRenderer:
    """Plain torch; see the module's text."""

    name = "reference"

    def render_view(
        self,
        splats: Gaussians,
        camera: Camera,
        *,
        T_world_body: Tensor | None = None,
        features: Tensor | None = None,
        settings: RenderSettings,
    ) -> Frame:
        """See `Renderer.render_view`."""
        import torch

        splats, camera, channels, screen = _prepare(splats, camera, T_world_body, features, settings)
        strips = [_blend(_alphas(screen, camera, rows), channels) for rows in _strips(len(channels), camera)]
        image = torch.cat([strip[0] for strip in strips])
        alpha = torch.cat([strip[1] for strip in strips])
        depth = image[..., 3] / alpha.clamp_min(1e-10)
        return Frame(image[..., :3], alpha, depth, None if features is None else image[..., 4:])


def _prepare(
    splats: Gaussians, camera: Camera, T_world_body: Tensor | None, features: Tensor | None, settings: RenderSettings
) -> tuple[Gaussians, Camera, Tensor, Projected]:
    """Visible splats front to back: their screen geometry and channels (M, 3 + 1 + F)."""
    import torch

    camera = camera.to(splats.means.device, splats.means.dtype)
    R, t = body_to_camera(camera, T_world_body)
    screen = project(splats, camera, R, t, settings)
    degree = splats.sh_degree if settings.sh_degree is None else settings.sh_degree
    channels = [colors_in_view(splats, R, t, degree), screen.depths[:, None]]
    if features is not None:
        channels.append(features.to(splats.means))
    keep = (screen.depths > settings.near_plane) & (screen.opacities > ALPHA_MIN)
    order = keep.nonzero()[:, 0]
    order = order[torch.argsort(screen.depths[order], stable=True)]
    sorted_screen = Projected(
        screen.means[order],
        screen.conics[order],
        screen.depths[order],
        screen.opacities[order],
        screen.covariances[order],
    )
    return splats, camera, torch.cat(channels, dim=-1)[order], sorted_screen


def _strips(count: int, camera: Camera) -> list[range]:
    rows = max(1, _PAIRS_AT_ONCE // max(1, count * camera.width))
    return [range(y, min(y + rows, camera.height)) for y in range(0, camera.height, rows)]


def _alphas(screen: Projected, camera: Camera, rows: range) -> Tensor:
    """Opacity of every splat at every pixel of the rows before thresholds, shape (rows, W, M)."""
    import torch

    means = screen.means
    x = torch.arange(camera.width, dtype=means.dtype, device=means.device) + 0.5
    y = torch.arange(rows.start, rows.stop, dtype=means.dtype, device=means.device) + 0.5
    dx = x[None, :, None] - means[:, 0]
    dy = y[:, None, None] - means[:, 1]
    A, B, C = screen.conics.unbind(-1)
    power = -0.5 * (A * dx * dx + C * dy * dy) - B * dx * dy
    return screen.opacities * power.exp()


def _thresholds(alpha: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Effective alphas, transmittance before each splat, and the pixel's transmittance after it, all (..., M)."""
    import torch

    effective = torch.where(alpha >= ALPHA_MIN, alpha.clamp_max(ALPHA_MAX), torch.zeros_like(alpha))
    after = torch.cumprod(1 - effective, dim=-1)
    # The first splat that would take the pixel to the limit, and all behind it, do not count.
    open_ = after.detach() > TRANSMITTANCE_MIN
    effective = torch.where(open_, effective, torch.zeros_like(effective))
    before = torch.cat([torch.ones_like(after[..., :1]), after[..., :-1]], dim=-1)
    return effective, before, after


def _blend(alpha: Tensor, channels: Tensor) -> tuple[Tensor, Tensor]:
    effective, before, _ = _thresholds(alpha)
    weights = effective * before
    return weights @ channels, weights.sum(-1)


def threshold_margin(
    splats: Gaussians,
    camera: Camera,
    *,
    T_world_body: Tensor | None = None,
    settings: RenderSettings | None = None,
) -> float:
    """Smallest distance of any contribution to a threshold.

    Thresholds are alpha = 1/255 and alpha = 0.999, transmittance = 1e-4 (its distance counted relative to it, times
    1/255), and equal depths of neighbours in the sorted order [m].
    """
    import torch

    settings = settings or RenderSettings()
    with torch.no_grad():
        _, camera, channels, screen = _prepare(splats, camera, T_world_body, None, settings)
        margin = float("inf")
        if len(channels) > 1:
            margin = float(screen.depths.diff().min())
        for rows in _strips(len(channels), camera):
            alpha = _alphas(screen, camera, rows)
            _, before, after = _thresholds(alpha)
            reached = before > TRANSMITTANCE_MIN
            near = torch.minimum((alpha - ALPHA_MIN).abs(), (alpha - ALPHA_MAX).abs())
            stop = (after / TRANSMITTANCE_MIN - 1).abs() * ALPHA_MIN
            if reached.any():
                margin = min(margin, float(near[reached].min()), float(stop[reached].min()))
    return margin
