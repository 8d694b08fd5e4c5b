"""View-dependent colour under a rotation: spherical harmonics coefficients of a turned splat.

A splat that is turned by R must show towards the direction R d what it showed towards d. The functions of one degree
span a space that rotations map onto itself, so the new coefficients are a matrix (the real Wigner D matrix) times the
old ones. That matrix is read off the basis itself, at directions that determine it with room to spare: Y(R d) = D Y(d).
It therefore has the signs and the order that the renderer uses, whatever they are.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["rotate_sh", "sh_rotation"]

DIRECTIONS = 64
"""Directions at which the basis is sampled; 7 unknowns a row are the most that a degree up to 3 has."""
FEW_DIRECTIONS = 12
"""Directions at which splats that turn one by one are sampled: few, for speed, and well spread for 7 unknowns."""
SLICE = 2048
"""Splats that are turned at once."""


def sh_rotation(degree: int, R: Tensor) -> Tensor:
    """Matrix that turns the coefficients of degrees 1 to ``degree`` (0 to 3), block-diagonal and orthogonal.

    Args:
        degree: Highest degree, 0 to 3.
        R: Rotation (3, 3).

    Returns:
        float64, shape (K, K) with K = (degree + 1)^2 - 1.
    """
    import torch

    from scene3d.render._spherical_harmonics import sh_basis

    directions = _directions(DIRECTIONS)
    before = sh_basis(degree, directions)
    after = sh_basis(degree, directions @ R.detach().cpu().double().T)
    D = torch.zeros(before.shape[1], before.shape[1], dtype=torch.float64)
    for order in range(1, degree + 1):
        block = slice(order**2 - 1, (order + 1) ** 2 - 1)
        D[block, block] = torch.linalg.lstsq(before[:, block], after[:, block]).solution.T
    return D


def rotate_sh(shN: Tensor, R: Tensor) -> Tensor:
    """Coefficients (N, K, 3) of degrees 1 and up after splats were turned.

    Degree 0 has no direction and stays as it is. Each splat may have a rotation of its own; then the result is
    differentiable in the rotations too.

    Args:
        shN: Coefficients.
        R: One rotation of all splats (3, 3), or one for each (N, 3, 3).
    """
    import torch

    degree = math.isqrt(shN.shape[1] + 1) - 1
    if degree == 0:
        return shN
    if R.dim() == 3:
        parts = zip(shN.split(SLICE), R.split(SLICE), strict=True)
        turned = [_rotated_each(part.double(), turns.double(), degree).to(shN.dtype) for part, turns in parts]
        return torch.cat(turned) if turned else shN
    D = sh_rotation(degree, R).to(shN.device)
    return torch.einsum("kl,nlc->nkc", D, shN.double()).to(shN.dtype)


def _rotated_each(shN: Tensor, R: Tensor, degree: int) -> Tensor:
    """Coefficients (N, K, 3) turned by a rotation each (N, 3, 3).

    Each splat's colour is evaluated at directions that are turned back, and the coefficients are read off the values.
    """
    import torch

    from scene3d.render._spherical_harmonics import sh_basis

    directions = _directions(FEW_DIRECTIONS).to(shN.device)
    still = sh_basis(degree, directions)
    back = torch.einsum("di,nij->ndj", directions, R)
    basis = sh_basis(degree, back.reshape(-1, 3)).reshape(len(R), FEW_DIRECTIONS, still.shape[1])
    turned = []
    for order in range(1, degree + 1):
        block = slice(order**2 - 1, (order + 1) ** 2 - 1)
        # As a change of what was there, so that a splat that does not turn keeps its bits.
        change = torch.bmm(basis[:, :, block] - still[:, block], shN[:, block])
        turned.append(shN[:, block] + torch.linalg.pinv(still[:, block]) @ change)
    return torch.cat(turned, dim=1)


def _directions(count: int) -> Tensor:
    """Unit vectors (count, 3), evenly spread: a spiral of equal steps in height and of the golden angle."""
    import torch

    i = torch.arange(count, dtype=torch.float64)
    z = 1 - (2 * i + 1) / count
    angle = i * math.pi * (3 - math.sqrt(5))
    radius = (1 - z * z).sqrt()
    return torch.stack([radius * angle.cos(), radius * angle.sin(), z], dim=1)
