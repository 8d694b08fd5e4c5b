"""The solver: torch against the Warp kernels in values and gradients, and what its impulses obey."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from dynamics._rows import Rows
from dynamics._solve import solve_rows
from dynamics._solve_warp import solve_rows_warp

BATCH, BODIES, CONTACTS = 3, 3, 4
VALUES = ("J", "W", "target", "low", "high", "mu", "softness")


def random_rows(dtype: torch.dtype) -> tuple[Rows, torch.Tensor]:
    """Contacts between random bodies, W consistent with one positive inverse inertia per body; one world has fewer."""
    count = 3 * CONTACTS
    body_a = torch.randint(0, BODIES, (BATCH, CONTACTS)).repeat_interleave(3, dim=1)
    body_b = (body_a + torch.randint(1, BODIES + 1, (BATCH, CONTACTS)).repeat_interleave(3, dim=1)) % (BODIES + 1) - 1
    body_b = torch.where(body_b == body_a, -1, body_b)
    J = torch.randn(BATCH, count, 12, dtype=dtype)
    root = torch.randn(BATCH, BODIES, 6, 6, dtype=dtype) * 0.4
    inverse = root @ root.transpose(-1, -2) + torch.eye(6, dtype=dtype)
    worlds = torch.arange(BATCH)[:, None]
    W = torch.cat(
        [
            (inverse[worlds, body_a] @ J[..., :6, None])[..., 0],
            (inverse[worlds, body_b.clamp_min(0)] @ J[..., 6:, None])[..., 0] * (body_b >= 0)[..., None],
        ],
        dim=-1,
    )
    J = torch.cat([J[..., :6], J[..., 6:] * (body_b >= 0)[..., None]], dim=-1)
    row = torch.arange(count, dtype=torch.int32)
    return Rows(
        count=torch.tensor([count, count, 6], dtype=torch.int32),
        kind=torch.tensor([0, 1, -1], dtype=torch.int32).repeat(CONTACTS).expand(BATCH, -1).contiguous(),
        body_a=body_a.int(),
        body_b=body_b.int(),
        J=J,
        W=W,
        target=0.3 * torch.randn(BATCH, count, dtype=dtype),
        low=torch.zeros(BATCH, count, dtype=dtype),
        high=torch.full((BATCH, count), 2.0, dtype=dtype),
        normal=(row // 3 * 3).expand(BATCH, -1).contiguous(),
        mu=torch.full((BATCH, count), 0.4, dtype=dtype),
        softness=torch.full((BATCH, count), 0.05, dtype=dtype),
    ), torch.randn(BATCH, BODIES, 6, dtype=dtype)


def with_gradients(rows: Rows, twist: torch.Tensor) -> tuple[Rows, list[torch.Tensor]]:
    parts = {name: getattr(rows, name).clone().requires_grad_() for name in VALUES}
    return replace(rows, **parts), [twist.clone().requires_grad_(), *parts.values()]


def test_kernels_and_torch_agree_in_values_and_gradients() -> None:
    rows, twist = random_rows(torch.float32)
    weights = torch.randn(BATCH, BODIES, 6), torch.randn(BATCH, 3 * CONTACTS)
    found = []
    for solver in (solve_rows, solve_rows_warp):
        given, leaves = with_gradients(rows, twist)
        after, impulses = solver(given, leaves[0], 6)
        used = torch.arange(3 * CONTACTS) < given.count[:, None]
        value = (after * weights[0]).sum() + (impulses * weights[1] * used).sum()
        found.append(
            (after, impulses * used, torch.autograd.grad(value, leaves, allow_unused=True, materialize_grads=True))
        )
    assert torch.allclose(found[0][0], found[1][0], atol=2e-5)
    assert torch.allclose(found[0][1], found[1][1], atol=2e-5)
    for name, one, two in zip(("twist", *VALUES), found[0][2], found[1][2], strict=True):
        assert torch.allclose(one, two, atol=2e-4 * (1 + float(one.abs().max()))), name


def test_gradients_are_those_of_finite_differences() -> None:
    rows, twist = random_rows(torch.float64)

    def solved(target: torch.Tensor, mu: torch.Tensor, start: torch.Tensor) -> torch.Tensor:
        return solve_rows(replace(rows, target=target, mu=mu), start, 2)[0]

    inputs = tuple(part.clone().requires_grad_() for part in (rows.target, rows.mu, twist))
    assert torch.autograd.gradcheck(solved, inputs, eps=1e-7, atol=1e-5)


def test_impulses_stay_within_the_cone_and_push_only() -> None:
    rows, twist = random_rows(torch.float64)
    _, impulses = solve_rows(rows, twist, 10)
    contact = impulses.reshape(BATCH, CONTACTS, 3)
    assert (contact[..., 0] >= 0).all() and (contact[..., 0] <= 2).all()
    assert (contact[..., 1:].norm(dim=-1) <= 0.4 * contact[..., 0] + 1e-9).all()
    assert contact[..., 0].max() > 0
    assert (impulses[2, 6:] == 0).all(), "rows that are not in use"


def test_velocities_are_what_the_impulses_make_of_them() -> None:
    rows, twist = random_rows(torch.float64)
    after, impulses = solve_rows(rows, twist, 10)
    expected = twist.clone()
    for world in range(BATCH):
        for row in range(3 * CONTACTS):
            push = rows.W[world, row] * impulses[world, row]
            expected[world, rows.body_a[world, row]] += push[:6]
            if rows.body_b[world, row] >= 0:
                expected[world, rows.body_b[world, row]] += push[6:]
    assert torch.allclose(after, expected, atol=1e-12)


def test_a_good_guess_saves_sweeps() -> None:
    rows, twist = random_rows(torch.float64)
    settled, impulses = solve_rows(rows, twist, 200)
    guessed, _ = solve_rows(rows, twist, 1, impulses)
    cold, _ = solve_rows(rows, twist, 1)
    assert (guessed - settled).abs().max() < 1e-6 * float((cold - settled).abs().max()) + 1e-9


def test_no_rows_change_nothing() -> None:
    rows, twist = random_rows(torch.float32)
    rows = replace(rows, count=torch.zeros(BATCH, dtype=torch.int32))
    assert torch.equal(solve_rows(rows, twist, 4)[0], twist)
    assert torch.equal(solve_rows_warp(rows, twist, 4)[0], twist)


def test_a_limited_row_gives_no_more_than_it_may() -> None:
    rows, twist = random_rows(torch.float64)
    rows = replace(rows, target=torch.full_like(rows.target, 100.0))
    _, impulses = solve_rows(rows, twist, 4)
    assert impulses[0, ::3].max().item() == pytest.approx(2.0)
