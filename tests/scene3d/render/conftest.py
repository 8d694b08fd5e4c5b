"""Seeded scenes for the renderer's tests: small, overlapping, with several bodies, far from every threshold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch

from dynamics.poses import identity
from scene3d import Camera, Gaussians
from scene3d.render._reference import threshold_margin


@dataclass(frozen=True)
class Case:
    """A scene, a camera and body poses in float64."""

    splats: Gaussians
    camera: Camera
    T_world_body: torch.Tensor
    seed: int


def make_case(seed: int, count: int = 25, width: int = 45, height: int = 37, bodies: int = 3, degree: int = 3) -> Case:
    """Random splats around the origin, seen from 3 m; everything float64."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    splats = Gaussians(
        means=0.5 * normal(count, 3),
        quats=normal(count, 4),
        scales=0.4 * normal(count, 3) - 1.9,
        opacities=1.5 * normal(count) + 1.0,
        sh0=0.7 * normal(count, 1, 3),
        shN=0.15 * normal(count, (degree + 1) ** 2 - 1, 3),
        component_index=torch.randint(0, bodies, (count,), generator=generator).int(),
    )
    poses = identity(bodies).double() + 0.1 * normal(bodies, 7)
    look = Camera.look_at(torch.tensor([0.3, -3.0, 0.4]).double(), torch.zeros(3).double())
    camera = Camera.from_fov(width, height, 0.9, look).to(dtype=torch.float64)
    return Case(splats, camera, poses, seed)


@pytest.fixture(scope="session")
def clear_cases() -> list[Case]:
    """Scenes in which no contribution comes within 1e-5 of a threshold, so that agreement is not up to rounding."""
    found: list[Case] = []
    for seed in range(2000):
        case = make_case(seed)
        if threshold_margin(case.splats, case.camera, T_world_body=case.T_world_body) > 1e-5:
            found.append(case)
        if len(found) == 3:
            return found
    raise AssertionError("no clear scene among 2000 seeds")


@pytest.fixture(scope="session")
def case_of() -> Callable[..., Case]:
    """`make_case`, for tests that choose their own sizes."""
    return make_case
