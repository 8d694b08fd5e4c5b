"""The reference itself: finite differences, a picture computed by hand, and gsplat's own torch functions."""

from __future__ import annotations

import math

import pytest
import torch

from dynamics.poses import rotation_from_wxyz
from scene3d import Camera, Gaussians
from scene3d.render import RenderSettings, render
from scene3d.render._projection import project
from scene3d.render._spherical_harmonics import sh_basis

ARRAYS = ("means", "quats", "scales", "opacities", "sh0", "shN")


def test_gradients_pass_finite_differences(clear_cases) -> None:
    """Central differences along random directions, for every input at once and for each alone."""
    case = clear_cases[0]
    generator = torch.Generator().manual_seed(3)
    weight = torch.randn(case.camera.height, case.camera.width, 3, generator=generator, dtype=torch.float64)

    def value(inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        splats = Gaussians(**{n: inputs[n] for n in ARRAYS}, component_index=case.splats.component_index)
        camera = Camera(case.camera.width, case.camera.height, case.camera.K, inputs["camera"])
        frame = render(splats, camera, T_world_body=inputs["bodies"], backend="reference")
        return (frame.rgb * weight).sum() + (frame.alpha * weight[..., 0]).sum() + frame.depth.sum()

    start = {n: getattr(case.splats, n).clone() for n in ARRAYS}
    start |= {"camera": case.camera.T_world_cam.clone(), "bodies": case.T_world_body.clone()}
    leaves = {n: v.requires_grad_() for n, v in start.items()}
    grads = dict(zip(leaves, torch.autograd.grad(value(leaves), list(leaves.values())), strict=True))
    step = 1e-7  # Well inside the margin to the next threshold.
    for name, grad in grads.items():
        direction = torch.randn(grad.shape, generator=generator, dtype=torch.float64)
        if name == "camera":
            direction[3] = 0
        direction /= direction.norm()
        ahead = {n: (v.detach() + step * direction if n == name else v.detach()) for n, v in leaves.items()}
        behind = {n: (v.detach() - step * direction if n == name else v.detach()) for n, v in leaves.items()}
        difference = (value(ahead) - value(behind)) / (2 * step)
        assert float(difference) == pytest.approx(
            float((grad * direction).sum()), rel=1e-4, abs=1e-5 * float(grad.norm())
        )


def test_one_splat_by_hand() -> None:
    """An isotropic splat on the axis: alpha at the central pixel and one pixel beside it, from the formula."""
    focal, depth, sigma, logit = 100.0, 2.0, 0.05, 0.4
    camera = Camera(5, 5, torch.tensor([[focal, 0, 2.5], [0, focal, 2.5], [0, 0, 1.0]]).double(), torch.eye(4).double())
    splats = Gaussians.from_points(
        torch.tensor([[0.0, 0.0, depth]]).double(), torch.tensor([[0.2, 0.5, 0.9]]).double(), sigma=sigma
    )
    splats.opacities.fill_(logit)
    frame = render(splats, camera, backend="reference")
    opacity = 1 / (1 + math.exp(-logit))
    variance = (focal * sigma / depth) ** 2 + 0.3
    beside = opacity * math.exp(-0.5 / variance)
    assert float(frame.alpha[2, 2]) == pytest.approx(opacity, abs=1e-12)
    assert float(frame.alpha[2, 3]) == pytest.approx(beside, abs=1e-12)
    assert torch.allclose(frame.rgb[2, 3], beside * torch.tensor([0.2, 0.5, 0.9]).double(), atol=1e-7)
    assert float(frame.depth[2, 2]) == pytest.approx(depth, abs=1e-12)


def test_projection_agrees_with_gsplat(case_of) -> None:
    torch_impl = pytest.importorskip("gsplat.cuda._torch_impl")
    case = case_of(11, count=200, bodies=1)
    splats, camera = case.splats, case.camera
    R, t = camera.T_cam_world[:3, :3][None], camera.T_cam_world[:3, 3][None]
    ours = project(splats, camera, R, t, RenderSettings())
    covariances, _ = torch_impl._quat_scale_to_covar_preci(
        torch.nn.functional.normalize(splats.quats, dim=-1), splats.scales.exp(), compute_preci=False
    )
    theirs = torch_impl._fully_fused_projection(
        splats.means, covariances, camera.T_cam_world[None], camera.K[None], camera.width, camera.height, eps2d=0.3
    )
    seen = (theirs[0][0] > 0).all(-1)
    assert seen.sum() > 100
    for mine, other in ((ours.means, theirs[1][0]), (ours.depths, theirs[2][0]), (ours.conics, theirs[3][0])):
        assert torch.allclose(mine[seen], other[seen].to(mine), rtol=1e-6, atol=1e-8)


def test_spherical_harmonics_agree_with_gsplat() -> None:
    torch_impl = pytest.importorskip("gsplat.cuda._torch_impl")
    directions = torch.nn.functional.normalize(torch.randn(50, 3, dtype=torch.float64), dim=-1)
    coefficients = torch.randn(50, 16, 3, dtype=torch.float64)
    theirs = torch_impl._spherical_harmonics(3, directions, coefficients)
    constant = 0.28209479177387814 * coefficients[:, 0]
    ours = constant + torch.einsum("nk,nkc->nc", sh_basis(3, directions), coefficients[:, 1:])
    assert torch.allclose(ours, theirs, atol=1e-6)


def test_spherical_harmonics_are_orthonormal() -> None:
    """The integral of Y_i Y_j over the sphere is the identity (Monte-Carlo free: Gauss-Legendre times trapezoid)."""
    import numpy as np

    z, weight = np.polynomial.legendre.leggauss(12)
    phi = np.arange(24) * 2 * math.pi / 24
    zz, pp = (torch.from_numpy(a.ravel()) for a in np.meshgrid(z, phi, indexing="ij"))
    weights = torch.from_numpy(np.repeat(weight, 24)) * 2 * math.pi / 24
    r = (1 - zz * zz).sqrt()
    basis = sh_basis(3, torch.stack([r * pp.cos(), r * pp.sin(), zz], dim=-1))
    gram = (basis * weights[:, None]).T @ basis
    assert torch.allclose(gram, torch.eye(15, dtype=torch.float64), atol=1e-9)


def test_moving_a_body_turns_its_colour_with_it(case_of) -> None:
    """A body and the camera moved together give the same picture, with view-dependent colour."""
    case = case_of(5, bodies=1)
    before = render(case.splats, case.camera, backend="reference")
    pose = torch.tensor([0.3, -0.2, 0.5, 0.6, 0.3, -0.5, 0.2], dtype=torch.float64)
    pose[3:] /= pose[3:].norm()
    T = torch.eye(4, dtype=torch.float64)
    T[:3, :3], T[:3, 3] = rotation_from_wxyz(pose[3:]), pose[:3]
    camera = Camera(case.camera.width, case.camera.height, case.camera.K, T @ case.camera.T_world_cam)
    after = render(case.splats, camera, T_world_body=pose[None], backend="reference")
    assert torch.allclose(before.rgb, after.rgb, atol=1e-9)
