"""The CPU backend beyond agreement: determinism, edge cases, batches, and its refusals."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import torch

from scene3d import Camera, Gaussians
from scene3d._errors import DeviceError
from scene3d.render import _kernels, available_backends, get_renderer, render


@pytest.fixture
def threads() -> Iterator[None]:
    """Restore the number of threads."""
    yield
    _kernels.set_threads(0)


def gradient_bits(case) -> list[torch.Tensor]:
    splats = case.splats.to(dtype=torch.float32).requires_grad_()
    pose = case.camera.T_world_cam.float().requires_grad_()
    camera = Camera(case.camera.width, case.camera.height, case.camera.K.float(), pose)
    frame = render(splats, camera, T_world_body=case.T_world_body.float())
    (frame.rgb.square().sum() + frame.depth.sum()).backward()
    return [frame.rgb.detach(), splats.means.grad, splats.quats.grad, splats.shN.grad, pose.grad]


@pytest.mark.usefixtures("threads")
def test_same_bits_for_any_number_of_threads(case_of) -> None:
    case = case_of(2, count=5000, width=203, height=151)
    results = []
    for count in (1, 2, 5):
        _kernels.set_threads(count)
        assert _kernels.threads() == count
        results.append(gradient_bits(case))
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            assert torch.equal(a, b)


def test_no_splats_and_none_in_view() -> None:
    camera = Camera.from_fov(33, 20, 1.0, torch.eye(4))
    empty = Gaussians.from_points(torch.zeros(0, 3), torch.zeros(0, 3), sigma=0.1)
    behind = Gaussians.from_points(torch.tensor([[0.0, 0.0, -1.0]]), torch.ones(1, 3), sigma=0.1).requires_grad_()
    background = torch.tensor([0.1, 0.2, 0.3])
    for splats in (empty, behind):
        frame = render(splats, camera, background=background)
        assert torch.equal(frame.rgb, background.expand(20, 33, 3))
        assert frame.alpha.max() == 0 and frame.depth.max() == 0
    render(behind, camera).rgb.sum().backward()
    assert behind.means.grad is not None and behind.means.grad.abs().max() == 0


def test_non_finite_splats_are_not_drawn() -> None:
    camera = Camera.from_fov(33, 20, 1.0, torch.eye(4))
    good = Gaussians.from_points(torch.tensor([[0.0, 0.0, 2.0]]), torch.ones(1, 3), sigma=0.1)
    for name in ("means", "scales", "opacities", "quats"):
        bad = Gaussians.from_points(torch.tensor([[0.1, 0.0, 1.0]]), torch.ones(1, 3), sigma=0.1)
        getattr(bad, name)[0] = float("nan")
        frame = render(Gaussians.cat([good, bad]), camera)
        assert torch.equal(frame.rgb, render(good, camera).rgb), name


def test_huge_and_tiny_splats() -> None:
    """A splat larger than the image, one far smaller than a pixel, one at the near plane."""
    camera = Camera.from_fov(70, 50, 1.0, torch.eye(4)).to(dtype=torch.float64)
    splats = Gaussians.from_points(
        torch.tensor([[0.0, 0.0, 5.0], [0.2, 0.1, 3.0], [0.001, 0.001, 0.0101]]).double(),
        torch.rand(3, 3).double(),
        sigma=torch.tensor([20.0, 1e-6, 1e-4]).double(),
    )
    expected = render(splats, camera, backend="reference")
    found = render(splats.to(dtype=torch.float32), camera)
    assert (found.rgb.double() - expected.rgb).abs().max() < 1e-3


def test_batch_is_the_views_one_by_one(case_of) -> None:
    case = case_of(4)
    splats = case.splats.to(dtype=torch.float32)
    other = Camera.look_at(torch.tensor([1.0, -2.5, 0.8]), torch.zeros(3))
    single = case.camera.to(dtype=torch.float32)
    views = [single, Camera(single.width, single.height, single.K, other)]
    poses = torch.stack([case.T_world_body, case.T_world_body.flip(0)]).float()
    batch = render(splats, Camera.stack(views), T_world_body=poses)
    assert batch.rgb.shape == (2, single.height, single.width, 3)
    for i, view in enumerate(views):
        assert torch.equal(batch.rgb[i], render(splats, view, T_world_body=poses[i]).rgb)


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_can_render(case_of) -> None:
    """Data loaders fork: the child has no worker threads and must make its own."""
    case = case_of(6, count=3000, width=128, height=96)
    # No large torch operation in the child: torch's own threads do not survive a fork.
    splats, poses = case.splats.to(dtype=torch.float32), case.T_world_body.float()
    expected = render(splats, case.camera, T_world_body=poses).rgb
    child = os.fork()
    if child == 0:
        try:
            found = render(splats, case.camera, T_world_body=poses).rgb
            os._exit(0 if (found.numpy() == expected.numpy()).all() else 3)
        except BaseException:
            os._exit(4)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_refusals(case_of) -> None:
    case = case_of(1)
    splats = case.splats.to(dtype=torch.float32)
    with pytest.raises(ValueError, match="features must have shape"):
        render(splats, case.camera, features=torch.zeros(3, 2))
    with pytest.raises(ValueError, match="component_index"):
        render(splats, case.camera, T_world_body=case.T_world_body[:2])
    with pytest.raises(ValueError, match="backends are cpu, cuda and reference"):
        render(splats, case.camera, backend="metal")
    if not torch.cuda.is_available():
        assert "cuda" not in available_backends()
        with pytest.raises(DeviceError, match="--device cpu"):
            get_renderer("cuda")
