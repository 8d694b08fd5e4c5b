"""Projected Gauss-Seidel in plain torch: the twin of the Warp kernels, differentiable by autograd.

Row after row, the impulse is corrected so that the row's velocity reaches its target, and projected onto its bounds;
a sweep visits every row once [Catto 2005, "Iterative Dynamics with Temporal Coherence"; Jourdan et al. 1998].
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dynamics._rows import FRICTION, LIMITED

if TYPE_CHECKING:
    from torch import Tensor

    from dynamics._rows import Rows

__all__ = ["solve_rows"]


def solve_rows(rows: Rows, twist: Tensor, sweeps: int, guess: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Impulses that bring velocities to the rows' targets as far as bounds allow.

    Args:
        rows: R rows for each of B worlds.
        twist: Velocities before, linear of the centre of mass and angular, world axes, shape (B, nb, 6).
        sweeps: Number of Gauss-Seidel sweeps.
        guess: Impulses to start from, within the bounds, shape (B, R); None starts from zero.

    Returns:
        Velocities after, shape (B, nb, 6), and impulses, shape (B, R).
    """
    import torch

    batch = torch.arange(len(twist), device=twist.device)
    diagonal = (rows.J * rows.W).sum(-1) + rows.softness
    impulses = list((torch.zeros_like(rows.target) if guess is None else guess).unbind(1))
    v = twist
    most = int(rows.count.max()) if len(twist) else 0
    if guess is not None:
        for r in range(most):
            v = _pushed(rows, v, r, impulses[r], batch)
    for _ in range(sweeps):
        for r in range(most):
            used = rows.count > r
            limited = used & (rows.kind[:, r] == LIMITED)
            friction = used & (rows.kind[:, r] == FRICTION)
            if bool(limited.any()):
                new = impulses[r] + (rows.target[:, r] - _speed(rows, v, r, batch)) / _safe(diagonal[:, r])
                new = torch.minimum(torch.maximum(new, rows.low[:, r]), rows.high[:, r])
                change = torch.where(limited, new - impulses[r], torch.zeros_like(new))
                impulses[r] = impulses[r] + change
                v = _pushed(rows, v, r, change, batch)
            if bool(friction.any()):
                v = _friction(rows, v, r, friction, impulses, diagonal, batch)
    return v, torch.stack(impulses, dim=1)


def _friction(
    rows: Rows, v: Tensor, r: int, mask: Tensor, impulses: list[Tensor], diagonal: Tensor, batch: Tensor
) -> Tensor:
    import torch

    d = _safe(torch.maximum(diagonal[:, r], diagonal[:, r + 1]))
    a = impulses[r] + (rows.target[:, r] - _speed(rows, v, r, batch)) / d
    b = impulses[r + 1] + (rows.target[:, r + 1] - _speed(rows, v, r + 1, batch)) / d
    pressed = torch.stack(impulses, dim=1).gather(1, rows.normal[:, r, None].long())[:, 0]
    limit = rows.mu[:, r] * pressed
    length = (a * a + b * b + 1e-30).sqrt()
    shrink = torch.where(length > limit, limit / length, torch.ones_like(length))
    zero = torch.zeros_like(a)
    first = torch.where(mask, a * shrink - impulses[r], zero)
    second = torch.where(mask, b * shrink - impulses[r + 1], zero)
    impulses[r], impulses[r + 1] = impulses[r] + first, impulses[r + 1] + second
    return _pushed(rows, _pushed(rows, v, r, first, batch), r + 1, second, batch)


def _speed(rows: Rows, v: Tensor, r: int, batch: Tensor) -> Tensor:
    a, b = rows.body_a[:, r].long(), rows.body_b[:, r].long()
    speed = (rows.J[:, r, :6] * v[batch, a.clamp_min(0)]).sum(-1)
    other = (rows.J[:, r, 6:] * v[batch, b.clamp_min(0)]).sum(-1)
    return speed + other * (b >= 0)


def _pushed(rows: Rows, v: Tensor, r: int, change: Tensor, batch: Tensor) -> Tensor:
    import torch

    a, b = rows.body_a[:, r].long(), rows.body_b[:, r].long()
    added = torch.zeros_like(v).index_put((batch, a.clamp_min(0)), rows.W[:, r, :6] * change[:, None], accumulate=True)
    other = rows.W[:, r, 6:] * (change * (b >= 0))[:, None]
    return v + added.index_put((batch, b.clamp_min(0)), other, accumulate=True)


def _safe(diagonal: Tensor) -> Tensor:
    """A row between bodies that cannot move has diagonal 0 and no effect."""
    return diagonal.clamp_min(1e-12)
