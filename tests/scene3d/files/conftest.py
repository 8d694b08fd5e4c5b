"""Splats with values that fitted ones have, and what the tests of all splat formats measure."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import torch

from scene3d import Gaussians

MIB = 1024 * 1024


def seeded(count: int, degree: int = 3, seed: int = 0, extent: float = 3.0) -> Gaussians:
    """Random splats within the ranges of every format; some opacities are nearly 0 and 1."""
    g = torch.Generator().manual_seed(seed)

    def draw(*shape: int, low: float = -1.0, high: float = 1.0) -> torch.Tensor:
        return torch.rand(count, *shape, generator=g) * (high - low) + low

    return Gaussians.create(
        means=draw(3, low=-extent, high=extent),
        quats=torch.randn(count, 4, generator=g) * 2 + 1e-3,
        scales=draw(3, low=-9.5, high=1.0),
        opacities=draw(low=-9.0, high=9.0),
        sh0=draw(1, 3, low=-1.7, high=1.7),
        shN=draw((degree + 1) ** 2 - 1, 3, low=-0.99, high=0.99),
    )


def largest(a: torch.Tensor, b: torch.Tensor) -> float:
    """Largest difference of two arrays."""
    assert a.shape == b.shape
    return float((a - b).abs().max()) if a.numel() else 0.0


def degrees(a: Gaussians, b: Gaussians) -> float:
    """Largest angle between the rotations of two sets [degree]."""
    p, q = (torch.nn.functional.normalize(s.quats.double(), dim=1) for s in (a, b))
    # Through the sine: the cosine of a small angle has lost it.
    sine = torch.minimum((p - q).norm(dim=1), (p + q).norm(dim=1)) / 2
    return float(torch.rad2deg(4 * torch.asin(sine)).max()) if len(a) else 0.0


@pytest.fixture
def little_memory() -> Callable[..., object]:
    """A context in which Python may not take more than some memory [MiB] at once."""

    @contextmanager
    def measure(mib: float = 40) -> Iterator[None]:
        tracemalloc.start()
        try:
            yield
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert peak < mib * MIB

    return measure
