# pyright: basic, reportIncompatibleMethodOverride=false
"""The Warp solver as a torch function: tensors in, tensors out, gradients by the hand-written adjoint kernel."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

    from dynamics._rows import Rows

__all__ = ["solve_rows_warp"]


def solve_rows_warp(rows: Rows, twist: Tensor, sweeps: int) -> tuple[Tensor, Tensor]:
    """`dynamics._solve.solve_rows` by Warp kernels in float32; same arguments and results, differentiable once."""
    diagonal = (rows.J * rows.W).sum(-1) + rows.softness
    plain = (rows.count, rows.kind, rows.body_a, rows.body_b, rows.normal)
    return _function().apply(plain, sweeps, twist, rows.J, rows.W, diagonal, rows.target, rows.low, rows.high, rows.mu)


@cache
def _function() -> Any:
    import torch
    import warp as wp

    from dynamics import _solve_kernels as kernels

    def arrays(*tensors: Tensor) -> list[Any]:
        return [wp.from_torch(tensor, requires_grad=False) for tensor in tensors]

    class Solve(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, plain: tuple[Tensor, ...], sweeps: int, twist: Tensor, *values: Tensor) -> Any:
            count, kind, a, b, normal = plain
            J, W, diagonal, target, low, high, mu = (value.detach().float().contiguous() for value in values)
            after = twist.detach().float().clone().contiguous()
            impulses = torch.zeros_like(target)
            history = target.new_zeros(sweeps, *target.shape)
            inputs = arrays(count, kind, a, b, J, W, diagonal, target, low, high, normal, mu)
            device = str(twist.device)
            wp.launch(
                kernels.solve_rows,
                dim=len(twist),
                inputs=[*inputs, sweeps, *arrays(after, impulses, history)],
                device=device,
            )
            ctx.plain, ctx.sweeps = plain, sweeps
            ctx.save_for_backward(J, W, diagonal, target, low, high, mu, after, history)
            return after, impulses

        @staticmethod
        def backward(ctx: Any, grad_after: Tensor, grad_impulses: Tensor) -> Any:
            count, kind, a, b, normal = ctx.plain
            J, W, diagonal, target, low, high, mu, after, history = ctx.saved_tensors
            v = after.clone()
            gv, gl = grad_after.float().clone().contiguous(), grad_impulses.float().clone().contiguous()
            grads = [torch.zeros_like(value) for value in (J, W, diagonal, target, low, high, mu)]
            inputs = arrays(count, kind, a, b, J, W, diagonal, target, low, high, normal, mu)
            wp.launch(
                kernels.solve_rows_adjoint,
                dim=len(v),
                inputs=[*inputs, ctx.sweeps, *arrays(v, history, gv, gl, *grads)],
                device=str(v.device),
            )
            return None, None, gv, *grads

    return Solve
