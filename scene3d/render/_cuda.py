"""The CUDA backend: `gsplat.rasterization` (1.5.3 and 1.6), called so that both versions agree with the other backends.

Body poses are applied to the splats in torch, spherical harmonics are evaluated by us in the body frame, and the
post-activation colours, the depth and any features go through gsplat as plain channels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from scene3d._errors import DeviceError
from scene3d._frame import Frame
from scene3d.render._bodies import body_to_camera
from scene3d.render._spherical_harmonics import colors_in_view

if TYPE_CHECKING:
    from torch import Tensor

    from scene3d._camera import Camera
    from scene3d._gaussians import Gaussians
    from scene3d.render._protocol import RenderSettings

__all__ = ["CudaRenderer"]


class CudaRenderer:
    """gsplat on a CUDA device.

    Raises:
        DeviceError: There is no CUDA device, or gsplat is not installed.
    """

    name = "cuda"

    def __init__(self) -> None:
        import importlib.util

        import torch

        if not torch.cuda.is_available():
            raise DeviceError(
                "The cuda backend was asked for, but torch finds no CUDA device here; use --device cpu, or install a "
                "CUDA build of torch on a machine with an NVIDIA GPU."
            )
        if importlib.util.find_spec("gsplat") is None:
            raise DeviceError("The cuda backend needs gsplat; install it with: pip install 'scene3d[cuda]'.")

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
        from gsplat import rasterization

        device = splats.means.device
        camera = camera.to(device, splats.means.dtype)
        R, t = body_to_camera(camera, None if T_world_body is None else T_world_body.to(device))
        degree = splats.sh_degree if settings.sh_degree is None else settings.sh_degree
        channels = [colors_in_view(splats, R, t, degree)]
        if features is not None:
            channels.append(features.to(device))
        means, quats = _in_world(splats, T_world_body)
        colors = torch.cat(channels, dim=-1)
        image, alpha, _ = rasterization(
            means,
            quats,
            splats.scales.exp(),
            torch.sigmoid(splats.opacities),
            colors,
            camera.T_cam_world[None],
            camera.K[None],
            camera.width,
            camera.height,
            near_plane=settings.near_plane,
            eps2d=settings.eps2d,
            render_mode="RGB+ED",
            packed=False,
            backgrounds=None,
        )
        image, alpha = image[0], alpha[0, ..., 0]
        return Frame(image[..., :3], alpha, image[..., -1], None if features is None else image[..., 3:-1])


def _in_world(splats: Gaussians, T_world_body: Tensor | None) -> tuple[Tensor, Tensor]:
    """Means and orientations (N, 3), (N, 4) in the world."""
    from dynamics.poses import multiply, transform_points

    if T_world_body is None:
        return splats.means, splats.quats
    poses = T_world_body.to(splats.means)[splats.component_index.long()]
    return transform_points(poses, splats.means), multiply(poses[:, 3:], splats.quats)
