"""The CPU engine: forward, loss, backward and Adam are calls into the C++ kernels, without autograd between.

Nothing here is a large torch operation: torch's own threads would spin beside our pool and cost more than they do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from scene3d.fit._engine import BETAS, DEPTH_NOISE, EPS, Penalty, StepResult
from scene3d.fit._optimizer import NAMES
from scene3d.render import RenderSettings

if TYPE_CHECKING:
    from torch import Tensor

    from scene3d.fit._density import DensityStats
    from scene3d.fit._optimizer import SplatOptimizer
    from scene3d.fit._photos import Target
    from scene3d.fit._schedule import Moment

__all__ = ["CpuEngine"]


class CpuEngine:
    """Keeps its buffers between steps; they are as large as the splats and the image."""

    def __init__(self) -> None:
        from scene3d.render import _kernels

        self._kernels = _kernels
        self._state = _kernels.State()
        self._images: dict[tuple[int, int], tuple[Tensor, ...]] = {}
        self._geometry: dict[tuple[int, int], tuple[Tensor, ...]] = {}
        self._grads: dict[str, Tensor] = {}
        self._settings = RenderSettings()

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

        from scene3d.render._bodies import body_to_camera
        from scene3d.render._cpu import kernel_call

        k = self._kernels
        camera = target.camera
        rgb, alpha, grad_rgb, error = self._image_buffers(camera.height, camera.width)
        R, t = body_to_camera(camera, None)
        arrays = tuple(splats.params[name] for name in NAMES)
        call = kernel_call(arrays, None, None, camera, R.contiguous(), t, self._settings, now.sh_degree)
        # Without sensor depth no depth is rendered, and without either kind of geometry nothing here costs anything.
        sensor = target.depth if now.depth_weight > 0 else None
        outside = target.outside if now.alpha_weight > 0 else None
        depth, grad_alpha, grad_depth = self._geometry_buffers(camera.height, camera.width, sensor, outside)
        k.forward(call, self._state, rgb, alpha, depth, None)
        loss = k.loss(rgb, target.rgb, target.valid, exposure, ssim_weight, grad_rgb, error)
        total_loss = loss["loss"]
        if grad_alpha is not None:
            weights = (now.depth_weight, now.alpha_weight, DEPTH_NOISE)
            total_loss += k.geometry_loss(
                alpha, depth, sensor, target.valid, outside, *weights, grad_alpha, grad_depth
            )["loss"]
        g = self._gradient_buffers(splats)
        k.backward(
            call,
            self._state,
            rgb,
            alpha,
            depth,
            None,
            g_rgb=grad_rgb,
            g_alpha=grad_alpha,
            g_depth=grad_depth,
            g_features=None,
            score_map=error,
            **{name: g[name] for name in NAMES},
            d_features=None,
            screen=g["screen"],
            score=g["score"],
            ids=g["ids"],
            body_R=None,
            body_t=None,
            compact=True,
        )
        seen = self._state.visible
        ids = g["ids"][:seen]
        total = len(splats)
        k.penalize(
            ids,
            splats.params["opacities"],
            splats.params["scales"],
            penalty.opacity / total,
            penalty.scale / (3 * total * penalty.extent),
            g["opacities"],
            g["scales"],
        )
        groups = [
            (splats.params[name], splats.first[name], splats.second[name], g[name], now.rates[name]) for name in NAMES
        ]
        k.adam(ids, splats.steps, groups, *BETAS, EPS)
        half_side = 0.5 * max(camera.width, camera.height)
        k.collect(ids, g["screen"], g["score"], half_side, stats.seen, stats.pull, stats.covered)
        grad_exposure = torch.tensor(loss["grad_exposure"], dtype=torch.float32).reshape(3, 4)
        return StepResult(total_loss, loss["mse"], grad_exposure)

    def _image_buffers(self, height: int, width: int) -> tuple[Tensor, ...]:
        import torch

        if (height, width) not in self._images:
            shape = (height, width)
            self._images[shape] = (
                torch.empty(*shape, 3),
                torch.empty(shape),
                torch.empty(*shape, 3),
                torch.empty(shape),
            )
        return self._images[height, width]

    def _geometry_buffers(
        self, height: int, width: int, sensor: Tensor | None, outside: Tensor | None
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        """Weighted depth, gradient of alpha and gradient of depth, None for each that is not needed."""
        import torch

        if sensor is None and outside is None:
            return None, None, None
        if (height, width) not in self._geometry:
            self._geometry[height, width] = tuple(torch.empty(height, width) for _ in range(3))
        depth, grad_alpha, grad_depth = self._geometry[height, width]
        return (None, grad_alpha, None) if sensor is None else (depth, grad_alpha, grad_depth)

    def _gradient_buffers(self, splats: SplatOptimizer) -> dict[str, Tensor]:
        import torch

        n = len(splats)
        if not self._grads or self._grads["means"].shape[0] < n:
            room = n + n // 4
            self._grads = {name: torch.empty(room, *splats.params[name].shape[1:]) for name in NAMES}
            self._grads["screen"], self._grads["score"] = torch.empty(room), torch.empty(room)
            self._grads["ids"] = torch.empty(room, dtype=torch.int32)
        return self._grads
