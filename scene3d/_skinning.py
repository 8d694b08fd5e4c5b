"""Splats of a deformable where its particles are now: rest shape, binding and particle positions in, splats out.

particles -> one rotation for each, from how its neighbourhood turned -> every splat moves by the weighted mean of its
particles' rigid motions, turns by the weighted mean of their quaternions, and its view-dependent colour turns with it.
All is evaluated from the rest shape, never from the last frame, so particles that come back bring every splat back, and
one rigid motion of all particles is that motion of all splats. Differentiable in the positions.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from scene3d._particle_rotations import particle_rotations
from scene3d._sh_rotation import rotate_sh

if TYPE_CHECKING:
    from torch import Tensor

    from dynamics import Particles
    from scene3d._gaussians import Gaussians
    from scene3d._scene_object import Binding

__all__ = ["deform"]


def deform(splats: Gaussians, binding: Binding, particles: Particles, x: Tensor) -> Gaussians:
    """Splats at other positions of their particles.

    Linear blend skinning: x' = sum_j w_j (R_j (x - b_j) + b_j'), with b_j the particles' rest positions and b_j' their
    present ones. Sizes, opacities and base colours stay.

    Args:
        splats: The deformable's N splats at rest, in the body frame.
        binding: As from `bind`, for these splats in this order.
        particles: P particles at rest, in the body frame.
        x: Their positions now [m], shape (P, 3), on the splats' device.

    Returns:
        Splats in the same frame as ``x``: give positions in the body frame to get splats for the body's pose, and
        positions in the world to get splats in the world. Same precision as ``splats``; inside, double.

    Raises:
        ValueError: The numbers of splats, particles or positions do not fit together.
    """
    import torch

    from dynamics.poses import multiply, rotation_from_wxyz, wxyz_from_rotation

    _check(splats, binding, particles, x)
    rest = torch.from_numpy(particles.points).to(x.device)
    now = x.double()
    index = torch.from_numpy(binding.indices).to(x.device).long()
    weights = torch.from_numpy(binding.weights).to(x.device).double()
    weights = weights / weights.sum(dim=1, keepdim=True)
    R = particle_rotations(particles, now)
    # As differences from rest, so that what does not move keeps its bits.
    turn = R - torch.eye(3, dtype=R.dtype, device=R.device)
    shift = now - rest - (turn @ rest[:, :, None])[:, :, 0]
    affine = _blended(torch.cat([turn, shift[:, :, None]], dim=2), index, weights)
    means = splats.means.double()
    means = means + torch.einsum("nij,nj->ni", affine[:, :, :3], means) + affine[:, :, 3]
    quats = _blended(wxyz_from_rotation(R), index, weights, signed=True)
    quats = torch.nn.functional.normalize(quats, dim=1)
    return replace(
        splats,
        means=means.to(splats.means.dtype),
        quats=multiply(quats, splats.quats.double()).to(splats.quats.dtype),
        shN=rotate_sh(splats.shN, rotation_from_wxyz(quats)),
    )


def _blended(values: Tensor, index: Tensor, weights: Tensor, *, signed: bool = False) -> Tensor:
    """Weighted sums (N, ..) of the particles' values (P, ..).

    Args:
        values: Of each particle.
        index: Particles of each splat, shape (N, k).
        weights: Shape (N, k).
        signed: Values that point away from a splat's first one count with their sign turned: q and -q are one rotation.
    """
    shape = (-1, *[1] * (values.dim() - 1))
    first = values[index[:, 0]]
    total = weights[:, 0].reshape(shape) * first
    for column in range(1, index.shape[1]):
        value, weight = values[index[:, column]], weights[:, column]
        if signed:
            weight = weight * (1 - 2 * ((value * first).sum(dim=1) < 0).to(weight.dtype))
        total = total + weight.reshape(shape) * value
    return total


def _check(splats: Gaussians, binding: Binding, particles: Particles, x: Tensor) -> None:
    count = len(particles.points)
    if tuple(x.shape) != (count, 3):
        raise ValueError(f"{count} particles need positions ({count}, 3), found {tuple(x.shape)}.")
    if binding.indices.shape != binding.weights.shape or len(binding.indices) != len(splats):
        raise ValueError(
            f"A binding of {len(splats)} splats has indices and weights ({len(splats)}, k), found "
            f"{binding.indices.shape} and {binding.weights.shape}."
        )
    if binding.indices.size and (binding.indices.min() < 0 or binding.indices.max() >= count):
        raise ValueError(f"The binding names particle {binding.indices.max()} of {count}. Bind the splats again.")
