"""Poses by group axioms, and against scipy."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from dynamics import poses

number = st.floats(-3, 3, allow_nan=False)


@st.composite
def pose(draw: st.DrawFn) -> torch.Tensor:
    wxyz = torch.tensor([draw(number) for _ in range(4)], dtype=torch.float64)
    if wxyz.norm() < 1e-3:
        wxyz = torch.tensor([1.0, 0, 0, 0], dtype=torch.float64)
    xyz = torch.tensor([draw(number) for _ in range(3)], dtype=torch.float64)
    return torch.cat([xyz, wxyz / wxyz.norm()])


def same(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Equal as rigid motions; q and -q are one rotation."""
    return torch.allclose(poses.matrix_from_pose(a), poses.matrix_from_pose(b), atol=1e-10)


@given(pose(), pose(), pose())
def test_composition_is_associative(a: torch.Tensor, b: torch.Tensor, c: torch.Tensor) -> None:
    assert same(poses.compose(poses.compose(a, b), c), poses.compose(a, poses.compose(b, c)))


@given(pose())
def test_identity_and_inverse(a: torch.Tensor) -> None:
    one = poses.identity().double()
    assert same(poses.compose(a, one), a)
    assert same(poses.compose(one, a), a)
    assert same(poses.compose(a, poses.invert(a)), one)
    assert same(poses.compose(poses.invert(a), a), one)


@given(pose(), pose())
def test_composition_is_the_matrix_product(a: torch.Tensor, b: torch.Tensor) -> None:
    product = poses.matrix_from_pose(a) @ poses.matrix_from_pose(b)
    assert torch.allclose(poses.matrix_from_pose(poses.compose(a, b)), product, atol=1e-10)


@given(pose(), pose())
def test_points_follow_composition(a: torch.Tensor, b: torch.Tensor) -> None:
    points = torch.linspace(-2, 2, 12, dtype=torch.float64).reshape(4, 3)
    chained = poses.transform_points(a, poses.transform_points(b, points))
    assert torch.allclose(poses.transform_points(poses.compose(a, b), points), chained, atol=1e-10)


@given(pose())
def test_matrices_round_trip(a: torch.Tensor) -> None:
    back = poses.pose_from_matrix(poses.matrix_from_pose(a))
    assert same(back, a)
    assert back[3] >= 0
    assert torch.isclose(back[3:].norm(), torch.tensor(1.0, dtype=torch.float64))


def test_rotations_agree_with_scipy() -> None:
    rotation = Rotation.random(500, rng=np.random.default_rng(0))
    wxyz = poses.wxyz_from_xyzw(torch.from_numpy(rotation.as_quat()))
    assert np.allclose(poses.rotation_from_wxyz(wxyz).numpy(), rotation.as_matrix(), atol=1e-12)
    recovered = poses.xyzw_from_wxyz(poses.wxyz_from_rotation(torch.from_numpy(rotation.as_matrix())))
    assert np.allclose(recovered.numpy(), rotation.as_quat(canonical=True), atol=1e-12)
    product = poses.multiply(wxyz[:250], wxyz[250:])
    expected = (rotation[:250] * rotation[250:]).as_matrix()
    assert np.allclose(poses.rotation_from_wxyz(product).numpy(), expected, atol=1e-12)


def test_half_turns_are_stable() -> None:
    for axis in np.eye(3):
        turn = Rotation.from_rotvec(np.pi * axis)
        wxyz = poses.wxyz_from_rotation(torch.from_numpy(turn.as_matrix()))
        assert np.allclose(poses.rotation_from_wxyz(wxyz).numpy(), turn.as_matrix(), atol=1e-12)


def test_gradients_pass_finite_differences() -> None:
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.randn(3, 7, generator=generator, dtype=torch.float64, requires_grad=True) for _ in range(2))
    assert torch.autograd.gradcheck(poses.compose, (a, b))
    assert torch.autograd.gradcheck(lambda p: poses.pose_from_matrix(poses.matrix_from_pose(p)), (a,))


def test_batches_broadcast() -> None:
    one, many = poses.identity(), poses.identity(5, 2)
    assert poses.compose(one, many).shape == (5, 2, 7)
    assert poses.transform_points(many[:, :, None], torch.zeros(4, 3)).shape == (5, 2, 4, 3)
