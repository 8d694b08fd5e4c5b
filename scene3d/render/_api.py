"""`render`: the one entry point to all backends.

It checks what it is given, chooses a backend, loops over the views of a batched camera, and composes the result over
the background colour.
"""

from __future__ import annotations

import importlib.util
from functools import cache
from typing import TYPE_CHECKING

from scene3d._errors import DeviceError
from scene3d._frame import Frame
from scene3d.render._protocol import Renderer, RenderSettings

if TYPE_CHECKING:
    from torch import Tensor

    from scene3d._camera import Camera
    from scene3d._gaussians import Gaussians

__all__ = ["available_backends", "get_renderer", "render"]

_DEFAULTS = RenderSettings()


def available_backends() -> tuple[str, ...]:
    """Names of the backends that work on this machine, best first."""
    import torch

    cuda = torch.cuda.is_available() and importlib.util.find_spec("gsplat") is not None
    return (("cuda",) if cuda else ()) + ("cpu", "reference")


@cache
def get_renderer(name: str) -> Renderer:
    """The backend of that name.

    Raises:
        DeviceError: ``cuda`` was asked for without a CUDA device or without gsplat.
        ValueError: There is no backend of that name.
    """
    if name == "cpu":
        from scene3d.render._cpu import CpuRenderer

        return CpuRenderer()
    if name == "reference":
        from scene3d.render._reference import ReferenceRenderer

        return ReferenceRenderer()
    if name == "cuda":
        from scene3d.render._cuda import CudaRenderer

        return CudaRenderer()
    raise ValueError(f"There is no render backend '{name}'; backends are cpu, cuda and reference.")


def _check(splats: Gaussians, camera: Camera, features: Tensor | None) -> None:
    if features is not None and (features.ndim != 2 or features.shape[0] != len(splats)):
        raise ValueError(f"features must have shape ({len(splats)}, F), found {tuple(features.shape)}.")
    if camera.K.shape[-2:] != (3, 3) or camera.T_world_cam.shape[-2:] != (4, 4):
        raise ValueError(
            f"A camera needs K (..., 3, 3) and T_world_cam (..., 4, 4), found {tuple(camera.K.shape)} "
            f"and {tuple(camera.T_world_cam.shape)}."
        )
    if camera.K.shape[:-2] != camera.T_world_cam.shape[:-2]:
        raise ValueError("K and T_world_cam of a camera must share their leading dimensions.")


def render(
    splats: Gaussians,
    camera: Camera,
    *,
    T_world_body: Tensor | None = None,
    features: Tensor | None = None,
    background: Tensor | None = None,
    backend: str | None = None,
    settings: RenderSettings = _DEFAULTS,
) -> Frame:
    """Render splats from one camera or from a batch of views.

    Args:
        splats: N splats. Gradients flow to every float array.
        camera: One view, or a batch with leading dimensions (C,). Gradients flow to the pose, not to K.
        T_world_body: Body poses [m], xyz + wxyz, shape (nb, 7), or (C, nb, 7) with one set per view. Splat i moves
            with body ``splats.component_index[i]``. None leaves every body at the origin.
        features: Extra channels to accumulate as sum(w f), shape (N, F).
        background: Colour behind the splats, shape (3,); black by default.
        backend: ``cpu``, ``cuda`` or ``reference``; by default the one of the splats' device.
        settings: Conventions; the defaults agree with gsplat.

    Returns:
        Images (H, W, ...) for one view, (C, H, W, ...) for a batch.

    Raises:
        DeviceError: The backend is not available on this machine.
        ValueError: Shapes do not fit.
    """
    import torch

    _check(splats, camera, features)
    name = backend or ("cuda" if splats.means.is_cuda else "cpu")
    if name == "cpu" and splats.means.is_cuda:
        raise DeviceError("The cpu backend was asked to render splats that lie on CUDA; move them with .to('cpu').")
    renderer = get_renderer(name)
    if not camera.batch_shape:
        if T_world_body is not None and T_world_body.ndim != 2:
            raise ValueError(f"T_world_body must have shape (nb, 7) for one view, found {tuple(T_world_body.shape)}.")
        frame = renderer.render_view(splats, camera, T_world_body=T_world_body, features=features, settings=settings)
        return _over(frame, background)
    frames = [
        render(
            splats,
            camera[i],
            T_world_body=T_world_body[i] if T_world_body is not None and T_world_body.ndim > 2 else T_world_body,
            features=features,
            background=background,
            backend=name,
            settings=settings,
        )
        for i in range(camera.batch_shape[0])
    ]
    stacked = None
    if features is not None:
        stacked = torch.stack([frame.features for frame in frames if frame.features is not None])
    return Frame(
        torch.stack([frame.rgb for frame in frames]),
        torch.stack([frame.alpha for frame in frames]),
        torch.stack([frame.depth for frame in frames]),
        stacked,
    )


def _over(frame: Frame, background: Tensor | None) -> Frame:
    if background is None:
        return frame
    rgb = frame.rgb + (1 - frame.alpha)[..., None] * background.to(frame.rgb)
    return Frame(rgb, frame.alpha, frame.depth, frame.features)
