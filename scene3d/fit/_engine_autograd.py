"""The autograd engine: any render backend, torch's loss and a torch sparse Adam. It is how a fit runs on CUDA.

The losses here are the torch twins of ``csrc/loss.h`` and ``csrc/geometry_loss.h``, and the update is the twin of
``csrc/adam.h``; tests hold them together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from scene3d._gaussians import Gaussians
from scene3d.fit._engine import BETAS, DEPTH_NOISE, EPS, Penalty, StepResult
from scene3d.fit._optimizer import NAMES
from scene3d.render import RenderSettings, render

if TYPE_CHECKING:
    from torch import Tensor

    from scene3d.fit._density import DensityStats
    from scene3d.fit._optimizer import SplatOptimizer
    from scene3d.fit._photos import Target
    from scene3d.fit._schedule import Moment

__all__ = ["AutogradEngine", "geometry_loss", "photometric_loss", "sparse_adam", "ssim_map"]

OPAQUE_ENOUGH = 0.5
"""Smallest alpha at which expected depth is compared."""
FEWEST_PIXELS = 0.01
"""Divisor of the sums over pixels at least, as a share of the image."""


def ssim_map(image: Tensor, target: Tensor) -> Tensor:
    """Structural similarity per pixel and channel, (H, W, 3), 11-tap Gaussian window of deviation 1.5 [Wang 2004]."""
    import torch

    taps = torch.arange(11, dtype=image.dtype, device=image.device) - 5
    window = torch.exp(-taps * taps / 4.5)
    window = window / window.sum()
    planes = torch.cat([image, target, image * image, target * target, image * target], dim=-1).permute(2, 0, 1)[None]
    count = planes.shape[1]
    columns = window.view(1, 1, 11, 1).expand(count, 1, 11, 1)
    rows = window.view(1, 1, 1, 11).expand(count, 1, 1, 11)
    conv = torch.nn.functional.conv2d
    blurred = conv(conv(planes, columns, padding=(5, 0), groups=count), rows, padding=(0, 5), groups=count)
    mx, my, xx, yy, xy = blurred[0].permute(1, 2, 0).split(3, dim=-1)
    top = (2 * mx * my + 0.01**2) * (2 * (xy - mx * my) + 0.03**2)
    return top / ((mx * mx + my * my + 0.01**2) * (xx - mx * mx + yy - my * my + 0.03**2))


def photometric_loss(
    rgb: Tensor, target: Tensor, valid: Tensor | None, exposure: Tensor | None, ssim_weight: float
) -> tuple[Tensor, Tensor, Tensor]:
    """(1 - w) L1 + w (1 - SSIM) over valid pixels; returns loss, mean squared error, error map (H, W)."""
    import torch

    if exposure is not None:
        rgb = rgb @ exposure[:, :3].T + exposure[:, 3]
    weight = torch.ones_like(rgb) if valid is None else (valid != 0).to(rgb)[..., None].expand_as(rgb)
    count = weight.sum().clamp_min(1)
    error = (rgb - target).abs() * weight
    loss = (1 - ssim_weight) * error.sum() / count
    if ssim_weight > 0:
        loss = loss + ssim_weight * (1 - (ssim_map(rgb, target) * weight).sum() / count)
    mse = (((rgb.detach().clamp(0, 1) - target) ** 2) * weight).sum() / count
    return loss, mse, error.detach().mean(dim=-1)


def geometry_loss(
    alpha: Tensor,
    depth: Tensor,
    sensor_depth: Tensor | None,
    valid: Tensor | None,
    outside: Tensor | None,
    depth_weight: float,
    alpha_weight: float,
) -> Tensor:
    """Huber of the relative error of expected depth, and absolute error of alpha, per pixel whose colour counts."""
    import torch

    counted = torch.ones_like(alpha) if valid is None else (valid != 0).to(alpha)
    loss = alpha.new_zeros(())
    if sensor_depth is not None:
        known = (sensor_depth > 0) & (alpha.detach() >= OPAQUE_ENOUGH)
        ratio = depth / torch.where(known, sensor_depth, 1.0)
        huber = torch.nn.functional.huber_loss(ratio, torch.ones_like(ratio), reduction="none", delta=DEPTH_NOISE)
        loss = loss + depth_weight / DEPTH_NOISE * torch.where(known, huber, 0.0).sum()
    if outside is not None:
        bare = (outside != 0).to(alpha)
        loss = loss + alpha_weight * (alpha * bare + (1 - alpha) * counted * (1 - bare)).sum()
    return loss / counted.sum().clamp_min(FEWEST_PIXELS * alpha.numel())


def sparse_adam(splats: SplatOptimizer, ids: Tensor, grads: dict[str, Tensor], rates: dict[str, float]) -> None:
    """One Adam step on the rows ``ids``; ``grads`` holds one row per id."""
    beta1, beta2 = BETAS
    splats.steps[ids] += 1
    steps = splats.steps[ids].to(grads["means"].dtype)
    for name in NAMES:
        if rates[name] == 0:
            continue
        g = grads[name]
        count = steps.view(-1, *[1] * (g.ndim - 1))
        first = splats.first[name][ids].lerp(g, 1 - beta1)
        second = splats.second[name][ids].lerp(g * g, 1 - beta2)
        splats.first[name][ids], splats.second[name][ids] = first, second
        unbiased = (second / (1 - beta2**count)).sqrt() + EPS
        splats.params[name][ids] -= rates[name] * (first / (1 - beta1**count)) / unbiased


class AutogradEngine:
    """Renders with a named backend and differentiates with torch."""

    def __init__(self, backend: str) -> None:
        self.backend = backend

    def step(
        self,
        splats: SplatOptimizer,
        target: Target,
        exposure: Tensor | None,
        now: Moment,
        penalty: Penalty,
        ssim_weight: float,
        stats: DensityStats,
    ) -> StepResult:
        """See `Engine.step`."""
        import torch

        leaves = {name: splats.params[name].detach().requires_grad_() for name in NAMES}
        # One extra channel of zeros: its gradient under the error map is each splat's covered error.
        probe = leaves["means"].new_zeros(len(splats), 1).requires_grad_()
        frame = render(
            Gaussians.create(**leaves),
            target.camera,
            features=probe,
            backend=self.backend,
            settings=RenderSettings(sh_degree=now.sh_degree),
        )
        color_map = None
        if exposure is not None:
            color_map = exposure.to(frame.rgb.device).detach().requires_grad_()
        loss, mse, error = photometric_loss(frame.rgb, target.rgb, target.valid, color_map, ssim_weight)
        assert frame.features is not None
        total = loss + (frame.features[..., 0] * error).sum()
        wanted = [*leaves.values(), probe] + ([] if color_map is None else [color_map])
        sensor = target.depth if now.depth_weight > 0 else None
        outside = target.outside if now.alpha_weight > 0 else None
        if sensor is not None or outside is not None:
            weights = (now.depth_weight, now.alpha_weight)
            geometry = geometry_loss(frame.alpha, frame.depth, sensor, target.valid, outside, *weights)
            loss, total = loss + geometry, total + geometry
        # Below the final degree some or all of shN is not used.
        grads = torch.autograd.grad(total, wanted, allow_unused=True, materialize_grads=True)
        by_name = dict(zip(NAMES, grads, strict=False))
        covered = grads[len(NAMES)][:, 0]
        ids = ((by_name["opacities"] != 0) | (covered > 0)).nonzero()[:, 0]
        picked = {name: g[ids] for name, g in by_name.items()}
        self._penalise(splats, ids, picked, penalty)
        pull = self._pull(splats, target, ids, picked["means"])
        sparse_adam(splats, ids, picked, now.rates)
        grad_exposure = torch.zeros(3, 4) if color_map is None else grads[-1].cpu()
        stats.seen[ids] += 1
        stats.pull[ids] += pull
        stats.covered[ids] += covered[ids]
        return StepResult(float(loss.detach()), float(mse), grad_exposure)

    def _penalise(self, splats: SplatOptimizer, ids: Tensor, grads: dict[str, Tensor], penalty: Penalty) -> None:
        import torch

        total = len(splats)
        opacity = torch.sigmoid(splats.params["opacities"][ids])
        grads["opacities"] = grads["opacities"] + penalty.opacity / total * opacity * (1 - opacity)
        scale = splats.params["scales"][ids].exp()
        grads["scales"] = grads["scales"] + penalty.scale / (3 * total * penalty.extent) * scale

    def _pull(self, splats: SplatOptimizer, target: Target, ids: Tensor, grad_means: Tensor) -> Tensor:
        """Pull on the projected centre from the pull on the centre: du = f / z dx across the line of sight."""
        R = target.camera.T_cam_world[:3, :3].to(grad_means)
        z = (splats.params["means"][ids] @ R.T + target.camera.T_cam_world[:3, 3].to(grad_means))[:, 2]
        across = (grad_means @ R.T)[:, :2]
        focal = target.camera.K[0, 0].to(grad_means)
        return across.norm(dim=1) * z / focal * (0.5 * max(target.camera.width, target.camera.height))
