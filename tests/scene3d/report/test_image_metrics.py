"""PSNR and SSIM against values computed by hand and against a loop over windows."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from scene3d.report import psnr, psnr_cc, ssim


def random_pair(height: int = 20, width: int = 17) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(7)
    photo = torch.rand(height, width, 3, generator=generator)
    return (photo + 0.1 * torch.randn(height, width, 3, generator=generator)).clamp(0, 1), photo


def ssim_by_loop(image: np.ndarray, photo: np.ndarray, valid: np.ndarray) -> float:
    """Wang 2004, window by window, channel by channel."""
    offsets = np.arange(11) - 5
    weights = np.exp(-(offsets[:, None] ** 2 + offsets[None, :] ** 2) / (2 * 1.5**2))
    weights /= weights.sum()
    values = []
    for y in range(image.shape[0] - 10):
        for x in range(image.shape[1] - 10):
            if not valid[y : y + 11, x : x + 11].all():
                continue
            for c in range(3):
                a, b = image[y : y + 11, x : x + 11, c], photo[y : y + 11, x : x + 11, c]
                ma, mb = (weights * a).sum(), (weights * b).sum()
                va, vb = (weights * (a - ma) ** 2).sum(), (weights * (b - mb) ** 2).sum()
                cov = (weights * (a - ma) * (b - mb)).sum()
                values.append((2 * ma * mb + 1e-4) * (2 * cov + 9e-4) / ((ma**2 + mb**2 + 1e-4) * (va + vb + 9e-4)))
    return float(np.mean(values))


@given(st.floats(0.001, 0.5))
@settings(max_examples=20, deadline=None)
def test_psnr_of_a_known_offset(offset: float) -> None:
    photo = torch.full((12, 12, 3), 0.25, dtype=torch.float64)
    assert psnr(photo + offset, photo) == pytest.approx(-20 * math.log10(offset), abs=1e-9)


def test_psnr_counts_valid_pixels_only() -> None:
    photo = torch.zeros(12, 12, 3)
    image = photo.clone()
    image[:6] = 0.1
    image[6:] = 1.0
    valid = torch.zeros(12, 12, dtype=torch.bool)
    valid[:6] = True
    assert psnr(image, photo, valid) == pytest.approx(20.0, abs=1e-5)


def test_psnr_of_identical_images_is_finite() -> None:
    photo = torch.rand(12, 12, 3)
    assert psnr(photo, photo) == 100.0


def test_psnr_clamps_overshooting_renders() -> None:
    assert psnr(torch.full((12, 12, 3), 1.7), torch.ones(12, 12, 3)) == 100.0


@pytest.mark.parametrize("masked", [False, True])
def test_ssim_agrees_with_a_loop_over_windows(masked: bool) -> None:
    image, photo = random_pair()
    valid = torch.ones(20, 17, dtype=torch.bool)
    if masked:
        valid[2:4, 1:3] = False
    expected = ssim_by_loop(image.double().numpy(), photo.double().numpy(), valid.numpy())
    assert ssim(image, photo, valid if masked else None) == pytest.approx(expected, abs=1e-12)


def test_ssim_of_identical_images_is_one() -> None:
    _, photo = random_pair()
    assert ssim(photo, photo) == pytest.approx(1.0, abs=1e-12)


def test_ssim_without_a_whole_valid_window_uses_valid_centres() -> None:
    image, photo = random_pair()
    valid = torch.zeros(20, 17, dtype=torch.bool)
    valid[10, 8] = True
    assert -1 <= ssim(image, photo, valid) <= 1


def test_ssim_refuses_tiny_images() -> None:
    with pytest.raises(ValueError, match="at least 11 pixels"):
        ssim(torch.rand(5, 20, 3), torch.rand(5, 20, 3))


def test_colour_fit_forgives_exposure_and_tint() -> None:
    _, photo = random_pair()
    tinted = photo * torch.tensor([0.5, 0.6, 0.4]) + torch.tensor([0.1, 0.0, 0.2])
    assert psnr(tinted, photo) < 15
    assert psnr_cc(tinted, photo) > 70


def test_colour_fit_never_hurts() -> None:
    image, photo = random_pair()
    assert psnr_cc(image, photo) >= psnr(image, photo) - 1e-6


def test_colour_fit_of_a_flat_render() -> None:
    _, photo = random_pair()
    assert math.isfinite(psnr_cc(torch.full_like(photo, 0.5), photo))
