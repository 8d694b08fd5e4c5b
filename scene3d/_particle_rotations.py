"""How each particle of a deformable turned: rest shape and present positions in, one rotation for each out.

Solids and cloths: the rotation that takes a particle's rest neighbours nearest to their present places, by polar
decomposition of their moment [Mueller 2005]; of a cloth the normal takes part, because a flat neighbourhood says
nothing across. A rope's neighbourhood is a line, which says nothing about turning around itself: there a frame is
carried along the chain without twist [Bishop 1975], and the one angle that is left open is the one nearest to how the
whole rope turned. Gradients go through the polar decomposition by implicit differentiation, which is finite where
derivatives of singular vectors are not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from dynamics import Particles

__all__ = ["particle_rotations", "polar_rotation", "shortest_rotation"]

TINY = 1e-12
"""Of the moment's size: stiffness where it says nothing."""


def particle_rotations(particles: Particles, x: Tensor) -> Tensor:
    """Rotation of each particle from the rest shape.

    Args:
        particles: P particles at rest.
        x: Positions now [m], float64, shape (P, 3).

    Returns:
        Rotation matrices (P, 3, 3). One rigid motion of all particles gives its rotation for each; a rope that is
        straight, and stays so, takes the shortest rotation.
    """
    import torch

    rest = torch.from_numpy(particles.points).to(x)
    if particles.kind == "rope":
        return _along_rope(rest, x)
    moment = _neighbour_moments(particles, rest, x)
    if particles.kind == "cloth":
        cells = torch.from_numpy(particles.cells).to(x.device).long()
        before, after = _normals(rest, cells), _normals(x, cells)
        moment = moment + after[:, :, None] * before[:, None, :]
    return polar_rotation(moment)


def polar_rotation(moment: Tensor) -> Tensor:
    """The rotations (..., 3, 3) nearest to matrices (..., 3, 3): of all, R has the largest trace(R^T M).

    Differentiable once; where a matrix leaves rotations open, one of them is returned and its gradient is finite.
    """
    import torch

    with torch.no_grad():
        U, _, Vh = torch.linalg.svd(moment)
        flip = torch.ones_like(moment[..., 0])
        flip[..., 2] = torch.sign(torch.linalg.det(U @ Vh))
        R = (U * flip[..., None, :]) @ Vh
        S = R.mT @ moment
        S = (S + S.mT) / 2
        trace = torch.diagonal(S, dim1=-2, dim2=-1).sum(-1)[..., None, None]
        eye = torch.eye(3, dtype=moment.dtype, device=moment.device)
        size = moment.norm(dim=(-2, -1), keepdim=True)
        stiffness = trace * eye - S + (TINY * size + 1e-300) * eye
    # At R the axial part of R^T M is zero: one Newton step changes nothing, but its derivative is that of the rotation.
    B = R.mT @ moment
    axial = torch.stack([B[..., 2, 1] - B[..., 1, 2], B[..., 0, 2] - B[..., 2, 0], B[..., 1, 0] - B[..., 0, 1]], dim=-1)
    omega = torch.linalg.solve(stiffness, axial[..., None])[..., 0]
    return R + R @ _cross_matrix(omega - omega.detach())


def shortest_rotation(a: Tensor, b: Tensor) -> Tensor:
    """Rotations (..., 3, 3) that take unit vectors ``a`` (..., 3) to ``b`` without turning around them.

    Opposite vectors turn by half a turn about some axis across.
    """
    import torch

    w = 1 + (a * b).sum(-1)
    opposite = w < TINY
    axis = torch.linalg.cross(a, b)
    x, y, z = a.unbind(-1)
    some = torch.where((x.abs() < 0.6)[..., None], torch.stack([0 * x, -z, y], -1), torch.stack([z, 0 * y, -x], -1))
    safe = torch.where(opposite, torch.ones_like(w), w)[..., None, None]
    K = _cross_matrix(axis)
    eye = torch.eye(3, dtype=a.dtype, device=a.device)
    turned = eye + K + K @ K / safe
    some = torch.nn.functional.normalize(some, dim=-1)
    half = 2 * some[..., :, None] * some[..., None, :] - eye
    return torch.where(opposite[..., None, None], half, turned)


def _neighbour_moments(particles: Particles, rest: Tensor, x: Tensor) -> Tensor:
    """Sum over neighbours of (x_k - x_j) (b_k - b_j)^T / |b_k - b_j|^2, shape (P, 3, 3)."""
    import torch

    a, b = torch.from_numpy(particles.edges).to(x.device).long().T
    before, after = rest[b] - rest[a], x[b] - x[a]
    products = after[:, :, None] * (before / (before * before).sum(1, keepdim=True))[:, None, :]
    moment = x.new_zeros(len(x), 3, 3)
    # Seen from either end the product is the same: both differences change their sign.
    return moment.index_add(0, a, products).index_add(0, b, products)


def _normals(points: Tensor, cells: Tensor) -> Tensor:
    """Unit normals of the particles of a cloth, by area, shape (P, 3)."""
    import torch

    a, b, c = (points[cells[:, i]] for i in range(3))
    faces = torch.linalg.cross(b - a, c - a)
    total = torch.zeros_like(points)
    for corner in range(3):
        total = total.index_add(0, cells[:, corner], faces)
    return torch.nn.functional.normalize(total, dim=1, eps=1e-30)


def _along_rope(rest: Tensor, x: Tensor) -> Tensor:
    """Rotations of the beads of a chain: carried without twist, then all turned by one angle about the chain."""
    import torch

    whole = _whole_rotation(rest, x)
    before, after = _tangents(rest), _tangents(x)
    steps_before = shortest_rotation(before[:-1], before[1:])
    steps_after = shortest_rotation(after[:-1], after[1:])
    first = shortest_rotation(whole @ before[0], after[0]) @ whole
    carried = [first]
    for there, here in zip(steps_after.unbind(), steps_before.unbind(), strict=True):
        carried.append(there @ carried[-1] @ here.mT)
    R = torch.stack(carried)
    # Over all beads trace(whole^T Rot(t, angle) R) = c cos(angle) + s sin(angle) + rest, whose maximum is closed-form.
    B = R @ whole.mT
    along = torch.einsum("pi,pij,pj->p", after, B, after)
    c = (torch.diagonal(B, dim1=1, dim2=2).sum(1) - along).sum()
    s = (_cross_matrix(after) * B).sum(dim=(1, 2)).sum()
    # Rot(t, angle) = cos I + sin [t]x + (1 - cos) t t^T.
    length = torch.sqrt(c * c + s * s)
    known = length > 1e-9
    length = torch.where(known, length, torch.ones_like(length))
    cos, sin = torch.where(known, c / length, torch.ones_like(c)), torch.where(known, s / length, torch.zeros_like(s))
    eye = torch.eye(3, dtype=x.dtype, device=x.device)
    spin = cos * eye + sin * _cross_matrix(after) + (1 - cos) * after[:, :, None] * after[:, None, :]
    return spin @ R


def _whole_rotation(rest: Tensor, x: Tensor) -> Tensor:
    """Best rotation (3, 3) of the whole chain.

    A chain that is nearly straight says little about turning around itself, and that little may be noise. As far as the
    chain changed its shape, the shortest rotation of its long axis takes part.
    """
    import torch

    before, after = rest - rest.mean(dim=0), x - x.mean(dim=0)
    moment = after.T @ before
    size = (before * before).sum().detach()
    axis = torch.linalg.svd(before.detach()).Vh[0]
    turned = torch.nn.functional.normalize(moment @ axis, dim=0, eps=1e-30)
    shortest = shortest_rotation(axis, turned)
    rigid = polar_rotation(moment + TINY * size * shortest)
    misfit = (after * after).sum() + (before * before).sum() - 2 * (rigid * moment).sum()
    return polar_rotation(moment + (misfit.clamp_min(0) + TINY * size) * shortest)


def _tangents(points: Tensor) -> Tensor:
    """Unit tangents of a chain (P, 3)."""
    import torch

    steps = torch.nn.functional.normalize(points[1:] - points[:-1], dim=1, eps=1e-30)
    inner = torch.nn.functional.normalize(steps[1:] + steps[:-1], dim=1, eps=1e-30)
    return torch.cat([steps[:1], inner, steps[-1:]])


def _cross_matrix(v: Tensor) -> Tensor:
    """[v]x (..., 3, 3) with [v]x u = v x u."""
    import torch

    x, y, z = v.unbind(-1)
    zero = torch.zeros_like(x)
    return torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=-1).reshape(*v.shape, 3)
