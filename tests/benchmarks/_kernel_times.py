"""Times of the CPU kernels on one scene, stage by stage, and through torch as a user calls them.

The kernels are given everything that they can do at once: colour, alpha and depth images, and gradients of all splat
arrays and of the body's pose. Medians after a warm-up, in milliseconds. Also the comparison with the scalar loop that
comes before any ratio is worth printing.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from _scalar_loop import ScalarLoop
from _scenes import BenchmarkScene

from scene3d import Gaussians
from scene3d.render import RenderSettings, _kernels, render
from scene3d.render._bodies import body_to_camera
from scene3d.render._cpu import kernel_call
from scene3d.render._spherical_harmonics import colors_in_view

ARRAYS = ("means", "quats", "scales", "opacities", "sh0", "shN")
WARM_UP = 3


class KernelRun:
    """The kernels on one scene with buffers of their own."""

    def __init__(self, scene: BenchmarkScene, sh_degree: int | None = None) -> None:
        splats, camera = scene.splats, scene.camera
        arrays = tuple(getattr(splats, name).contiguous() for name in ARRAYS)
        R, t = body_to_camera(camera, None)
        degree = splats.sh_degree if sh_degree is None else sh_degree
        self.call = kernel_call(arrays, None, None, camera, R.contiguous(), t.contiguous(), RenderSettings(), degree)
        self.state = _kernels.State()
        shape = (camera.height, camera.width)
        self.rgb, self.alpha, self.depth = torch.empty(*shape, 3), torch.empty(shape), torch.empty(shape)
        generator = torch.Generator().manual_seed(1)
        self.g_rgb, self.g_alpha, self.g_depth = (
            torch.randn(image.shape, generator=generator) for image in (self.rgb, self.alpha, self.depth)
        )
        # Zeros: rows of splats that are out of sight are not written.
        self.grads = {name: torch.zeros_like(array) for name, array in zip(ARRAYS, arrays, strict=True)}
        self.body_R, self.body_t = torch.empty(1, 3, 3, dtype=torch.float64), torch.empty(1, 3, dtype=torch.float64)

    def forward(self) -> None:
        """Fill the images."""
        _kernels.forward(self.call, self.state, self.rgb, self.alpha, self.depth, None)

    def backward(self, depth: bool = True) -> None:
        """Fill the gradients."""
        _kernels.backward(
            self.call, self.state, self.rgb, self.alpha, self.depth, None, g_rgb=self.g_rgb, g_alpha=self.g_alpha,
            g_depth=self.g_depth if depth else None, g_features=None, score_map=None, **self.grads, d_features=None,
            screen=None, score=None, ids=None, body_R=self.body_R, body_t=self.body_t, compact=False,
        )  # fmt: skip


def seconds_of(call: Callable[[], Any]) -> float:
    """Wall seconds of one call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def median_ms(samples: list[float]) -> float:
    """Seconds -> the median in milliseconds."""
    return round(1e3 * statistics.median(samples), 3)


def time_stages(run: KernelRun, repeats: int) -> dict[str, float]:
    """Median milliseconds of the stages, of both passes, and of both together."""
    rows = []
    for _ in range(WARM_UP + repeats):
        forward, backward = seconds_of(run.forward), seconds_of(run.backward)
        rows.append((*run.state.seconds, forward, backward, forward + backward))
    names = ("project", "sort_bin", "raster", "raster_gradient", "forward", "backward", "both")
    columns = zip(*rows[WARM_UP:], strict=True)
    return {name: median_ms(list(column)) for name, column in zip(names, columns, strict=True)}


def time_forward(run: KernelRun, repeats: int) -> float:
    """Median milliseconds of the forward pass alone."""
    samples = [seconds_of(run.forward) for _ in range(WARM_UP + repeats)]
    return median_ms(samples[WARM_UP:])


def time_through_torch(scene: BenchmarkScene, run: KernelRun, repeats: int) -> float:
    """Median milliseconds of `render` and `backward` as a user calls them."""
    splats = copy_with_gradients(scene.splats)

    def step() -> None:
        frame = render(splats, scene.camera, backend="cpu")
        torch.autograd.backward([frame.rgb, frame.alpha, frame.depth], [run.g_rgb, run.g_alpha, run.g_depth])

    samples = [seconds_of(step) for _ in range(WARM_UP + repeats)]
    return median_ms(samples[WARM_UP:])


def copy_with_gradients(splats: Gaussians) -> Gaussians:
    """Leaves of a new graph with the same values."""
    copies = {name: getattr(splats, name).detach().clone() for name in ARRAYS}
    return Gaussians(**copies, component_index=splats.component_index).requires_grad_()


def disagreement(scene: BenchmarkScene, run: KernelRun) -> dict[str, float]:
    """How far the kernels and the scalar loop are apart: share of pixels beyond 1e-3, and ||g - h|| / ||h||.

    Both work in single precision, so some pairs fall on different sides of a threshold. Colour channels within 1e-5 of
    zero, where rounding alone decides whether max(0, colour) passes a gradient, are left out of the SH gradients.
    """
    splats = copy_with_gradients(scene.splats)
    loop = ScalarLoop(splats, scene.camera)
    loop.forward()
    _, grads = loop.backward(run.g_rgb.numpy(), run.g_alpha.numpy())
    loop.carry_back(grads)
    run.forward()
    run.backward(depth=False)
    with torch.no_grad():
        off_the_kink = colors_in_view(splats, *body_to_camera(scene.camera, None), splats.sh_degree) > 1e-5
    wrong = np.abs(run.rgb.numpy() - loop.rgb).max(axis=-1) > 1e-3
    found = {"pixels_beyond_1e-3": float(wrong.mean())}
    for name in ARRAYS:
        expected = getattr(splats, name).grad
        if expected is not None and expected.numel():
            difference = run.grads[name] - expected
            if name in ("sh0", "shN"):
                difference = difference * off_the_kink[:, None]
            found[name] = float(difference.norm() / expected.norm().clamp_min(1e-20))
    if found["pixels_beyond_1e-3"] > 1e-3 or max(found.values()) > 1e-2:
        raise AssertionError(f"{scene.name}: the kernels and the scalar loop disagree: {found}")
    return {name: float(f"{value:.2g}") for name, value in found.items()}
