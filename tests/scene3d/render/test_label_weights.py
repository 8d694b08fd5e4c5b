"""The kernel that sums alpha T per label: against the gradient of the reference renderer, and its edges."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from scene3d import Camera, Gaussians
from scene3d.render import _kernels, render
from scene3d.render._cpu import add_label_weights
from scene3d.render._protocol import RenderSettings


@pytest.fixture
def kernels() -> Iterator[None]:
    """Restore threads and instruction set."""
    isa = _kernels.isa()
    yield
    _kernels.set_threads(0)
    _kernels.set_isa(isa)


def weights_of(case, labels: Tensor, count: int, pixels: Tensor | None = None) -> Tensor:
    votes = torch.zeros(len(case.splats), count)
    add_label_weights(
        votes, case.splats, case.camera, labels, pixels, T_world_body=case.T_world_body, settings=RenderSettings()
    )
    return votes


def by_gradient(case, labels: Tensor, count: int, pixels: Tensor | None = None) -> Tensor:
    probe = torch.zeros(len(case.splats), count, dtype=torch.float64, requires_grad=True)
    frame = render(case.splats, case.camera, T_world_body=case.T_world_body, features=probe, backend="reference")
    assert frame.features is not None
    maps = (labels[..., None] == torch.arange(count)).double()
    maps = maps if pixels is None else maps * pixels[..., None]
    return torch.autograd.grad(frame.features, probe, maps)[0]


@pytest.mark.parametrize("count", [1, 3, 40])
def test_sums_are_those_of_the_reference(clear_cases, count: int) -> None:
    for case in clear_cases:
        labels = torch.randint(-1, count + 1, (case.camera.height, case.camera.width))
        pixels = torch.rand(labels.shape, dtype=torch.float64)
        for weighted in (None, pixels):
            expected = by_gradient(case, labels, count, weighted)
            found = weights_of(case, labels, count, weighted).double()
            assert (found - expected).abs().max() <= 1e-5 * expected.abs().max()


@pytest.mark.usefixtures("kernels")
def test_same_bits_for_any_number_of_threads(case_of) -> None:
    case = case_of(2, count=5000, width=203, height=151)
    labels = torch.arange(203) // 30 + torch.arange(151)[:, None] // 40
    results = []
    for threads in (1, 2, 5):
        _kernels.set_threads(threads)
        results.append(weights_of(case, labels, 12))
    assert results[0].sum() > 1000
    assert all(torch.equal(results[0], other) for other in results[1:])


@pytest.mark.usefixtures("kernels")
def test_every_instruction_set_agrees(case_of) -> None:
    case = case_of(3, count=800, width=101, height=77)
    labels = torch.arange(101).expand(77, 101) // 20
    expected = weights_of(case, labels, 6)
    for isa in _kernels.supported_isas():
        _kernels.set_isa(isa)
        assert (weights_of(case, labels, 6) - expected).abs().max() < 1e-2 + 1e-4 * expected.max()


def test_sums_make_up_the_opacity(case_of) -> None:
    case = case_of(5, count=3000, width=130, height=70)
    votes = weights_of(case, torch.zeros(70, 130, dtype=torch.int32), 1)
    alpha = render(case.splats.to(dtype=torch.float32), case.camera, T_world_body=case.T_world_body.float()).alpha
    assert float(votes.sum()) == pytest.approx(float(alpha.sum()), rel=1e-4)


def test_votes_are_added_to(case_of) -> None:
    case = case_of(1)
    labels = torch.zeros(case.camera.height, case.camera.width, dtype=torch.int32)
    votes = torch.full((len(case.splats), 2), 7.0)
    add_label_weights(
        votes, case.splats, case.camera, labels, T_world_body=case.T_world_body, settings=RenderSettings()
    )
    assert torch.allclose(votes[:, 0] - 7, weights_of(case, labels, 2)[:, 0], atol=1e-4)
    assert (votes[:, 1] == 7).all()


def test_wrong_shapes_are_refused() -> None:
    camera = Camera.from_fov(33, 20, 1.0, torch.eye(4))
    splats = Gaussians.from_points(torch.tensor([[0.0, 0.0, 2.0]]), torch.ones(1, 3), sigma=0.1)
    settings = RenderSettings()
    with pytest.raises(ValueError, match="labels must have shape"):
        add_label_weights(torch.zeros(1, 2), splats, camera, torch.zeros(33, 20), settings=settings)
    with pytest.raises(ValueError, match="votes must have shape"):
        add_label_weights(torch.zeros(2, 2), splats, camera, torch.zeros(20, 33), settings=settings)
    with pytest.raises(ValueError, match="weights must have shape"):
        add_label_weights(torch.zeros(1, 2), splats, camera, torch.zeros(20, 33), torch.zeros(3, 3), settings=settings)
