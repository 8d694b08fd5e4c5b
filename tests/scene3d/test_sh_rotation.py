"""Colours of splats that turn one by one, against the matrices of one rotation and against the basis itself."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from dynamics.poses import rotation_from_wxyz
from scene3d._sh_rotation import rotate_sh
from scene3d.render._spherical_harmonics import sh_basis


def rotations(count: int, seed: int = 0) -> torch.Tensor:
    quats = torch.randn(count, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return rotation_from_wxyz(quats)


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
@settings(max_examples=10)
@given(st.integers(0, 2**31))
def test_each_splat_shows_the_same_to_turned_directions(degree: int, seed: int) -> None:
    R = rotations(3, seed)
    shN = torch.randn(3, (degree + 1) ** 2 - 1, 3, dtype=torch.float64)
    d = torch.nn.functional.normalize(torch.randn(20, 3, dtype=torch.float64), dim=1)
    after = rotate_sh(shN, R)
    for i in range(3):
        assert_close(sh_basis(degree, d @ R[i].T) @ after[i], sh_basis(degree, d) @ shN[i], atol=1e-12, rtol=0)
        assert_close(after[i : i + 1], rotate_sh(shN[i : i + 1], R[i]), atol=1e-12, rtol=0)


def test_slices_change_nothing_and_types_stay() -> None:
    shN, R = torch.randn(5000, 15, 3), rotations(5000)
    found = rotate_sh(shN, R)
    assert found.dtype == torch.float32
    assert torch.equal(found[4990:], rotate_sh(shN[4990:], R[4990:]))
    assert rotate_sh(shN[:0], R[:0]).shape == (0, 15, 3)


def test_no_turn_keeps_the_bits() -> None:
    shN = torch.randn(100, 15, 3)
    assert torch.equal(rotate_sh(shN, torch.eye(3, dtype=torch.float64).expand(100, 3, 3)), shN)


def test_gradients() -> None:
    shN = torch.randn(3, 15, 3, dtype=torch.float64, requires_grad=True)
    quats = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda c, q: rotate_sh(c, rotation_from_wxyz(q)), (shN, quats))
