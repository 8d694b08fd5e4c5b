"""View-dependent colour in torch: real spherical harmonics to degree 3, the field's signs and order [Kerbl 2023].

Directions are unit vectors from the camera to the splat in the splat's *body* frame, so that colour turns with its
body. The result is the post-activation colour max(0, 0.5 + sum_k Y_k(d) sh_k) that gsplat takes in all its versions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from scene3d._gaussians import SH_C0

if TYPE_CHECKING:
    from torch import Tensor

    from scene3d._gaussians import Gaussians

__all__ = ["colors_in_view", "sh_basis"]

_C1 = 0.4886025119029199
_C2 = (1.0925484305920792, -1.0925484305920792, 0.31539156525252005, -1.0925484305920792, 0.5462742152960396)
_C3 = (
    -0.5900435899266435,
    2.890611442640554,
    -0.4570457994644658,
    0.3731763325901154,
    -0.4570457994644658,
    1.445305721320277,
    -0.5900435899266435,
)


def sh_basis(degree: int, directions: Tensor) -> Tensor:
    """Basis functions of degree 1 to ``degree`` at unit directions (N, 3), shape (N, (degree + 1)^2 - 1)."""
    import torch

    x, y, z = directions.unbind(-1)
    functions: list[Tensor] = []
    if degree >= 1:
        functions += [-_C1 * y, _C1 * z, -_C1 * x]
    xx, yy, zz = x * x, y * y, z * z
    if degree >= 2:
        functions += [
            _C2[0] * x * y,
            _C2[1] * y * z,
            _C2[2] * (2 * zz - xx - yy),
            _C2[3] * x * z,
            _C2[4] * (xx - yy),
        ]
    if degree >= 3:
        functions += [
            _C3[0] * y * (3 * xx - yy),
            _C3[1] * x * y * z,
            _C3[2] * y * (4 * zz - xx - yy),
            _C3[3] * z * (2 * zz - 3 * xx - 3 * yy),
            _C3[4] * x * (4 * zz - xx - yy),
            _C3[5] * z * (xx - yy),
            _C3[6] * x * (xx - 3 * yy),
        ]
    return torch.stack(functions, dim=-1) if functions else directions.new_zeros(directions.shape[0], 0)


def colors_in_view(splats: Gaussians, R: Tensor, t: Tensor, degree: int) -> Tensor:
    """Post-activation colours (N, 3) for a camera with body-to-camera transforms ``R`` (nb, 3, 3), ``t`` (nb, 3)."""
    import torch

    colors = 0.5 + SH_C0 * splats.sh0[:, 0]
    if degree > 0:
        camera_in_body = -torch.einsum("bij,bi->bj", R, t)
        body = splats.component_index.long() if R.shape[0] > 1 else splats.component_index.long() * 0
        directions = torch.nn.functional.normalize(splats.means - camera_in_body[body], dim=-1, eps=1e-12)
        basis = sh_basis(degree, directions)
        colors = colors + torch.einsum("nk,nkc->nc", basis, splats.shN[:, : basis.shape[1]])
    return colors.clamp_min(0)
