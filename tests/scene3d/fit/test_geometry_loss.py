"""The loss on depth and alpha: the C++ kernel against its torch twin and differences, and what it must ignore."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from scene3d.fit._engine import DEPTH_NOISE
from scene3d.fit._engine_autograd import geometry_loss
from scene3d.render import _kernels

HEIGHT, WIDTH = 41, 57


@pytest.fixture
def threads() -> Iterator[None]:
    yield
    _kernels.set_threads(0)


def images(depth: bool, outside: bool, valid: bool) -> dict[str, Any]:
    """Alpha from 0 to 1, depth near the sensor's, which is unknown in a third, a mask, and holes in the photo."""
    shape = (HEIGHT, WIDTH)
    alpha = torch.rand(shape)
    sensor = (1 + 3 * torch.rand(shape)) * (torch.rand(shape) > 0.3)
    rendered = torch.where(sensor > 0, sensor, 2.0) * (1 + 0.05 * torch.randn(shape))
    return {
        "alpha": alpha,
        "depth": alpha * rendered if depth else None,
        "sensor": sensor if depth else None,
        "valid": (torch.rand(shape) > 0.2).to(torch.uint8) if valid else None,
        "outside": (torch.rand(shape) > 0.6).to(torch.uint8) if outside else None,
    }


def kernel(made: dict[str, Any], noise: float = DEPTH_NOISE) -> tuple[dict[str, Any], Tensor, Tensor]:
    g_alpha, g_depth = torch.full((HEIGHT, WIDTH), torch.nan), torch.full((HEIGHT, WIDTH), torch.nan)
    with_depth = made["depth"] is not None
    found = _kernels.geometry_loss(
        made["alpha"],
        made["depth"],
        made["sensor"],
        made["valid"],
        made["outside"],
        0.3,
        0.7,
        noise,
        g_alpha,
        g_depth if with_depth else None,
    )
    return dict(found), g_alpha, g_depth if with_depth else torch.zeros_like(g_alpha)


@pytest.mark.parametrize("valid", [False, True])
@pytest.mark.parametrize(("depth", "outside"), [(True, False), (False, True), (True, True)])
def test_twins_agree(depth: bool, outside: bool, valid: bool) -> None:
    made = images(depth, outside, valid)
    found, g_alpha, g_depth = kernel(made)
    alpha = made["alpha"].double().requires_grad_()
    weighted = (made["depth"] if depth else made["alpha"]).double().detach().requires_grad_()
    sensor = made["sensor"].double() if depth else None
    loss = geometry_loss(alpha, weighted / alpha.clamp_min(1e-10), sensor, made["valid"], made["outside"], 0.3, 0.7)
    expected = torch.autograd.grad(loss, (alpha, weighted), allow_unused=True, materialize_grads=True)
    assert found["loss"] == pytest.approx(float(loss.detach()), rel=1e-5)
    for mine, theirs in zip((g_alpha, g_depth), expected, strict=True):
        assert (mine.double() - theirs).norm() <= 1e-4 * theirs.norm()


def test_gradient_is_the_difference() -> None:
    """Of the kernel itself, at a pixel within the noise, one beyond it, one inside and one outside the object."""
    made = images(depth=True, outside=True, valid=True)
    made["alpha"].clamp_(0.6, 0.9)
    made["depth"] = made["sensor"] * made["alpha"] * torch.where(torch.rand(HEIGHT, WIDTH) > 0.5, 1.004, 1.05)
    _, g_alpha, g_depth = kernel(made)
    step = 1e-3
    for _ in range(12):
        y, x = int(torch.randint(HEIGHT, ())), int(torch.randint(WIDTH, ()))
        for name, gradient in (("alpha", g_alpha), ("depth", g_depth)):
            losses = []
            for sign in (1, -1):
                moved = dict(made, **{name: made[name].clone()})
                moved[name][y, x] += sign * step
                losses.append(kernel(moved)[0]["loss"])
            assert (losses[0] - losses[1]) / (2 * step) == pytest.approx(float(gradient[y, x]), rel=0.02, abs=1e-8)


def test_scale_changes_nothing() -> None:
    """A capture in centimetres has the loss of the same one in metres."""
    made = images(depth=True, outside=False, valid=False)
    large = dict(made, depth=100 * made["depth"], sensor=100 * made["sensor"])
    assert kernel(large)[0]["loss"] == pytest.approx(kernel(made)[0]["loss"], rel=1e-5)


def test_holes_and_transparent_pixels_pull_nothing() -> None:
    made = images(depth=True, outside=False, valid=False)
    silent = (made["sensor"] == 0) | (made["alpha"] < 0.5)
    _, g_alpha, g_depth = kernel(made)
    assert bool(((g_depth == 0) == silent).all())
    assert bool((g_alpha[silent] == 0).all())


@pytest.mark.usefixtures("threads")
def test_same_bits_for_any_number_of_threads() -> None:
    made = images(depth=True, outside=True, valid=True)
    results = []
    for count in (1, 2, 3):
        _kernels.set_threads(count)
        results.append(kernel(made))
    for found, g_alpha, g_depth in results[1:]:
        assert found == results[0][0]
        assert torch.equal(g_alpha, results[0][1])
        assert torch.equal(g_depth, results[0][2])


def test_refuses_what_does_not_fit() -> None:
    made = images(depth=True, outside=True, valid=True)
    with pytest.raises(ValueError, match="go together"):
        kernel(dict(made, sensor=None))
    with pytest.raises(ValueError, match="outside must have shape"):
        kernel(dict(made, outside=torch.zeros(3, 3, dtype=torch.uint8)))
    with pytest.raises(ValueError, match="noise must be positive"):
        kernel(made, noise=0.0)
