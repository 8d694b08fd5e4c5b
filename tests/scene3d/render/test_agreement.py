"""The fast backends against the float64 reference: images and every gradient, on every instruction set."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from scene3d import Camera, Gaussians
from scene3d.render import _kernels, render

ARRAYS = ("means", "quats", "scales", "opacities", "sh0", "shN")


@pytest.fixture(params=_kernels.supported_isas())
def isa(request: pytest.FixtureRequest) -> Iterator[str]:
    """Every instruction set that this processor and build have."""
    before = _kernels.isa()
    _kernels.set_isa(request.param)
    yield request.param
    _kernels.set_isa(before)


def images_and_gradients(case, backend: str, dtype: torch.dtype, device: str = "cpu"):
    """Images and gradients of a random linear functional of all of them."""
    arrays = {name: getattr(case.splats, name).to(device, dtype).requires_grad_() for name in ARRAYS}
    splats = Gaussians(**arrays, component_index=case.splats.component_index.to(device))
    pose = case.camera.T_world_cam.to(device, dtype).requires_grad_()
    bodies = case.T_world_body.to(device, dtype).requires_grad_()
    camera = Camera(case.camera.width, case.camera.height, case.camera.K.to(device, dtype), pose)
    generator = torch.Generator().manual_seed(case.seed + 1)
    features = torch.randn(len(splats), 5, generator=generator, dtype=torch.float64).to(device, dtype).requires_grad_()
    frame = render(splats, camera, T_world_body=bodies, features=features, backend=backend)
    images = {"rgb": frame.rgb, "alpha": frame.alpha, "depth": frame.depth, "features": frame.features}
    total = torch.zeros((), dtype=dtype, device=device)
    for name, image in images.items():
        weight = torch.randn(image.shape, generator=generator, dtype=torch.float64).to(device, dtype)
        if name == "depth":  # Expected depth is ill-conditioned where almost nothing is.
            weight = weight * (frame.alpha.detach() > 0.05)
        total = total + (image * weight).sum()
    leaves = {**arrays, "camera": pose, "bodies": bodies, "features": features}
    grads = dict(zip(leaves, torch.autograd.grad(total, list(leaves.values())), strict=True))
    grads["camera"] = grads["camera"][:3]
    return {name: image.detach() for name, image in images.items()}, grads


def check(case, backend: str, device: str = "cpu") -> None:
    """Agreement within the bounds that the project promises."""
    expected, expected_grads = images_and_gradients(case, "reference", torch.float64)
    found, found_grads = images_and_gradients(case, backend, torch.float32, device)
    for name in ("rgb", "alpha", "features"):
        difference = (found[name].cpu().double() - expected[name]).abs()
        assert (difference < 1e-3).double().mean() >= 0.999, name
        assert difference.max() < 1 / 255 + 1e-3, name
    seen = expected["alpha"] > 0.05
    assert ((found["depth"].cpu().double() - expected["depth"]).abs()[seen] < 1e-3).double().mean() >= 0.999
    for name, grad in expected_grads.items():
        error = (found_grads[name].cpu().double() - grad).norm() / grad.norm()
        assert error < 1e-3, f"{name}: {error:.2e}"


def test_cpu_agrees_with_the_reference(clear_cases, isa: str) -> None:
    for case in clear_cases:
        check(case, "cpu")


@pytest.mark.gpu
def test_cuda_agrees_with_the_reference(clear_cases) -> None:
    for case in clear_cases:
        check(case, "cuda", "cuda")


def test_large_scene_images_agree(case_of, isa: str) -> None:
    """Hundreds of overlapping splats: stopping, clamping and tile borders all occur."""
    case = case_of(7, count=600, width=101, height=75)
    expected = render(case.splats, case.camera, T_world_body=case.T_world_body, backend="reference")
    found = render(case.splats.to(dtype=torch.float32), case.camera, T_world_body=case.T_world_body.float())
    assert expected.alpha.max() > 0.9998  # Pixels stop.
    difference = (found.rgb.double() - expected.rgb).abs()
    assert (difference < 1e-3).double().mean() >= 0.999
    assert difference.max() < 1 / 255 + 1e-3


def test_instruction_sets_agree(case_of) -> None:
    case = case_of(3, count=400, width=97, height=64)
    splats = case.splats.to(dtype=torch.float32)
    before, images = _kernels.isa(), []
    for name in _kernels.supported_isas():
        _kernels.set_isa(name)
        images.append(render(splats, case.camera, T_world_body=case.T_world_body.float()).rgb)
    _kernels.set_isa(before)
    for image in images[1:]:
        assert (image - images[0]).abs().max() < 1 / 255 + 1e-3
        assert ((image - images[0]).abs() < 1e-4).float().mean() > 0.999
