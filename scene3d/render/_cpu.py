"""The CPU backend: the C++ kernels of ``csrc`` behind torch autograd.

Stored splat arrays go to the kernels as they are; activations, spherical harmonics, projection, sorting, blending and
all of their gradients happen there. Poses are composed in torch before, and come back as gradients of one
body-to-camera transform per body.
"""

# The autograd function is a torch class, so this module, imported only when the backend is used, imports torch itself.
from __future__ import annotations

from typing import Any

import torch  # noqa: TID253
from torch import Tensor  # noqa: TID253

from scene3d._camera import Camera
from scene3d._frame import Frame
from scene3d._gaussians import Gaussians
from scene3d.render import _kernels
from scene3d.render._bodies import body_to_camera
from scene3d.render._protocol import RenderSettings

__all__ = ["CpuRenderer", "add_label_weights", "kernel_call"]


def _plain(tensor: Tensor) -> Tensor:
    return tensor.detach().to(torch.float32).contiguous()


def kernel_call(
    arrays: tuple[Tensor, ...],
    component: Tensor | None,
    features: Tensor | None,
    camera: Camera,
    R: Tensor,
    t: Tensor,
    settings: RenderSettings,
    sh_degree: int,
) -> _kernels.Call:
    """The kernels' view of one call; ``arrays`` are the six float arrays of `Gaussians`, contiguous float32."""
    K = camera.K
    if K[0, 1] != 0:
        raise ValueError("The cpu backend takes intrinsics without skew.")
    return _kernels.Call(
        *arrays,
        R=R,
        t=t,
        component=component,
        features=features,
        width=camera.width,
        height=camera.height,
        intrinsics=(float(K[0, 0]), float(K[1, 1]), float(K[0, 2]), float(K[1, 2])),
        sh_degree=sh_degree,
        eps2d=settings.eps2d,
        near_plane=settings.near_plane,
    )


def add_label_weights(
    votes: Tensor,
    splats: Gaussians,
    camera: Camera,
    labels: Tensor,
    weights: Tensor | None = None,
    *,
    T_world_body: Tensor | None = None,
    settings: RenderSettings,
) -> None:
    """Add alpha T of each splat over the pixels of each label of one view to its votes, at the price of a render.

    Args:
        votes: Added to, float32 in CPU memory, shape (N, L).
        splats: N splats; nothing flows back to them.
        camera: A single view.
        labels: Labels of its pixels, shape (H, W); others than 0 to L - 1 count for nothing.
        weights: What each pixel counts, shape (H, W); None for 1.
        T_world_body: Poses of the bodies [m], xyz + wxyz, shape (nb, 7); None puts every body at the origin.
        settings: Conventions and thresholds.

    Raises:
        ValueError: Shapes do not fit.
    """
    camera = camera.to("cpu")
    R, t = body_to_camera(camera, T_world_body)
    component = splats.component_index.to(torch.int32).contiguous() if R.shape[0] > 1 else None
    arrays = (splats.means, splats.quats, splats.scales, splats.opacities, splats.sh0, splats.shN)
    plain = tuple(_plain(array) for array in arrays)
    call = kernel_call(plain, component, None, camera, _plain(R), _plain(t), settings, 0)
    pixels = None if weights is None else _plain(weights)
    _kernels.label_weights(call, labels.to(torch.int32).contiguous(), pixels, votes)


class _Render(torch.autograd.Function):
    """Images rgb (H, W, 3), alpha (H, W), sum(w z) (H, W), features (H, W, F) of splat arrays and body transforms."""

    @staticmethod
    def forward(
        ctx: Any,
        camera: Camera,
        settings: RenderSettings,
        sh_degree: int,
        component: Tensor,
        features: Tensor | None,
        R: Tensor,
        t: Tensor,
        *arrays: Tensor,
    ) -> tuple[Tensor, ...]:
        plain = tuple(_plain(array) for array in arrays)
        plain_features = None if features is None else _plain(features)
        call = kernel_call(plain, component, plain_features, camera, _plain(R), _plain(t), settings, sh_degree)
        state = _kernels.State()
        shape = (camera.height, camera.width)
        rgb, alpha, depth = torch.empty(*shape, 3), torch.empty(shape), torch.empty(shape)
        image = None if features is None else torch.empty(*shape, features.shape[1])
        _kernels.forward(call, state, rgb, alpha, depth, image)
        ctx.call, ctx.state, ctx.has_features = call, state, features is not None
        ctx.shapes = [(array.shape, array.dtype) for array in arrays]
        ctx.pose_dtype, ctx.feature_dtype = R.dtype, None if features is None else features.dtype
        ctx.bodies = R.shape[0]
        outputs = (rgb, alpha, depth) if image is None else (rgb, alpha, depth, image)
        ctx.save_for_backward(*outputs)
        return outputs

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        outputs = ctx.saved_tensors
        image = outputs[3] if ctx.has_features else None
        g = [grad.to(torch.float32).contiguous() for grad in grads]
        out = [torch.zeros(shape) for shape, _ in ctx.shapes]
        d_features = None if image is None else torch.zeros(out[0].shape[0], image.shape[2])
        body_R = torch.empty(ctx.bodies, 3, 3, dtype=torch.float64)
        body_t = torch.empty(ctx.bodies, 3, dtype=torch.float64)
        _kernels.backward(
            ctx.call,
            ctx.state,
            outputs[0],
            outputs[1],
            outputs[2],
            image,
            g_rgb=g[0],
            g_alpha=g[1],
            g_depth=g[2],
            g_features=g[3] if image is not None else None,
            score_map=None,
            means=out[0],
            quats=out[1],
            scales=out[2],
            opacities=out[3],
            sh0=out[4],
            shN=out[5],
            d_features=d_features,
            screen=None,
            score=None,
            ids=None,
            body_R=body_R,
            body_t=body_t,
            compact=False,
        )
        arrays = [grad.to(dtype) for grad, (_, dtype) in zip(out, ctx.shapes, strict=True)]
        if d_features is not None:
            d_features = d_features.to(ctx.feature_dtype)
        return (None, None, None, None, d_features, body_R.to(ctx.pose_dtype), body_t.to(ctx.pose_dtype), *arrays)


class CpuRenderer:
    """C++ kernels; float32 arithmetic whatever the precision of the inputs."""

    name = "cpu"

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
        camera = camera.to("cpu")
        R, t = body_to_camera(camera, T_world_body)
        degree = splats.sh_degree if settings.sh_degree is None else settings.sh_degree
        component = splats.component_index.to(torch.int32).contiguous() if R.shape[0] > 1 else None
        images = _Render.apply(
            camera,
            settings,
            degree,
            component,
            features,
            R,
            t,
            splats.means,
            splats.quats,
            splats.scales,
            splats.opacities,
            splats.sh0,
            splats.shN,
        )
        rgb, alpha, weighted_depth = images[:3]
        depth = weighted_depth / alpha.clamp_min(1e-10)
        return Frame(rgb, alpha, depth, images[3] if features is not None else None)
