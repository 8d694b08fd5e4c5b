"""The C++ loss and Adam against their torch twins."""

from __future__ import annotations

import pytest
import torch

from scene3d import Gaussians
from scene3d.fit._engine import BETAS, EPS
from scene3d.fit._engine_autograd import photometric_loss, sparse_adam
from scene3d.fit._optimizer import NAMES, SplatOptimizer
from scene3d.render import _kernels


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("weight", [0.0, 0.2, 1.0])
def test_loss(masked: bool, weight: float) -> None:
    rgb, target = torch.rand(39, 53, 3) * 1.1, torch.rand(39, 53, 3)
    valid = (torch.rand(39, 53) > 0.2).to(torch.uint8) if masked else None
    exposure = torch.eye(3, 4) + 0.05 * torch.randn(3, 4)
    grad, error = torch.empty_like(rgb), torch.empty(39, 53)
    found = _kernels.loss(rgb, target, valid, exposure, weight, grad, error)
    x, e = rgb.double().requires_grad_(), exposure.double().requires_grad_()
    loss, mse, error_map = photometric_loss(x, target.double(), valid, e, weight)
    loss.backward()
    assert x.grad is not None and e.grad is not None
    assert found["loss"] == pytest.approx(float(loss.detach()), rel=1e-5)
    assert found["mse"] == pytest.approx(float(mse), rel=1e-5)
    assert (grad.double() - x.grad).norm() / x.grad.norm() < 1e-4
    assert torch.allclose(torch.tensor(found["grad_exposure"]).view(3, 4).double(), e.grad, rtol=1e-3, atol=1e-6)
    assert torch.allclose(error.double(), error_map, atol=1e-6)


def test_adam() -> None:
    """Rows outside the ids stay, rows inside move alike, over several steps with different rows."""
    splats = Gaussians.from_points(torch.randn(60, 3), torch.rand(60, 3), sigma=0.1, sh_degree=2)
    ours, twin = SplatOptimizer.of(splats, 2), SplatOptimizer.of(splats, 2)
    rates = {name: 0.01 * (i + 1) for i, name in enumerate(NAMES)}
    for _ in range(4):
        ids = torch.randperm(60)[:25].sort().values
        grads = {name: torch.randn(25, *splats.__dict__[name].shape[1:]) for name in NAMES}
        groups = [(ours.params[n], ours.first[n], ours.second[n], grads[n], rates[n]) for n in NAMES]
        _kernels.adam(ids.int(), ours.steps, groups, *BETAS, EPS)
        sparse_adam(twin, ids, grads, rates)
    assert torch.equal(ours.steps, twin.steps)
    for name in NAMES:
        assert torch.allclose(ours.params[name], twin.params[name], atol=1e-5), name
        assert torch.allclose(ours.second[name], twin.second[name], rtol=1e-4), name


def test_kernels_refuse_what_does_not_fit() -> None:
    rgb = torch.zeros(4, 5, 3)
    with pytest.raises(ValueError, match="target must have shape"):
        _kernels.loss(rgb, torch.zeros(5, 5, 3), None, None, 0.2, torch.empty(4, 5, 3), None)
    splats = SplatOptimizer.of(Gaussians.from_points(torch.zeros(2, 3), torch.zeros(2, 3), sigma=1.0), 0)
    with pytest.raises(ValueError, match="ids outside"):
        _kernels.adam(torch.tensor([2], dtype=torch.int32), splats.steps, [], *BETAS, EPS)
