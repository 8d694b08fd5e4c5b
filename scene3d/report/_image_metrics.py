"""Image similarity between a render and a photo: PSNR, SSIM, and PSNR after a colour fit.

Each function takes two sRGB images (H, W, 3) in [0, 1] and the mask (H, W) of pixels that count, and returns a number.
Nothing is fitted on test images except in `psnr_cc`, which says so in its name. All sums are in float64.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["PSNR_CEILING", "psnr", "psnr_cc", "ssim"]

PSNR_CEILING = 100.0
"""PSNR [dB] of identical images, so that means stay finite and JSON stays JSON."""

WINDOW = 11
SIGMA = 1.5


def psnr(image: Tensor, photo: Tensor, valid: Tensor | None = None) -> float:
    """Peak signal-to-noise ratio [dB] over the valid pixels, at most `PSNR_CEILING`.

    Args:
        image: Render, sRGB in [0, 1], shape (H, W, 3); values outside are clamped.
        photo: Photo, sRGB in [0, 1], shape (H, W, 3).
        valid: Pixels that count, bool, shape (H, W); None for all.
    """
    error = image.double().clamp(0, 1) - photo.double()
    mse = float((error if valid is None else error[valid]).square().mean())
    return min(PSNR_CEILING, -10 * math.log10(mse)) if mse > 0 else PSNR_CEILING


def psnr_cc(image: Tensor, photo: Tensor, valid: Tensor | None = None) -> float:
    """PSNR [dB] after the affine colour map (3x4, least squares) that brings the render closest to the photo.

    It forgives exposure and white balance, which differ from photo to photo and are no property of the scene.
    """
    import torch

    x = image.double().clamp(0, 1)
    x = torch.cat([x, torch.ones_like(x[..., :1])], dim=-1)
    pixels, targets = (
        (x.flatten(0, 1), photo.double().flatten(0, 1)) if valid is None else (x[valid], photo.double()[valid])
    )
    # A tiny ridge keeps the normal equations solvable for a render of one flat colour.
    normal = pixels.T @ pixels + 1e-9 * len(pixels) * torch.eye(4, dtype=x.dtype, device=x.device)
    colour_map = torch.linalg.solve(normal, pixels.T @ targets)
    return psnr(x @ colour_map, photo, valid)


def ssim(image: Tensor, photo: Tensor, valid: Tensor | None = None) -> float:
    """Structural similarity [wang2004]: 11x11 Gaussian window of sigma 1.5, K = (0.01, 0.03), mean of the channels.

    Only windows that lie inside the image and see valid pixels alone count; where there are none, those with a valid
    centre do.

    Args:
        image: Render, sRGB in [0, 1], shape (H, W, 3) with H, W >= 11; values outside are clamped.
        photo: Photo, sRGB in [0, 1], shape (H, W, 3).
        valid: Pixels that count, bool, shape (H, W); None for all.
    """
    import torch

    if min(image.shape[:2]) < WINDOW:
        raise ValueError(f"SSIM needs images of at least {WINDOW} pixels a side, found {tuple(image.shape[:2])}.")
    x, y = image.double().clamp(0, 1).permute(2, 0, 1), photo.double().permute(2, 0, 1)
    mean_x, mean_y, mean_xx, mean_yy, mean_xy = _blur(torch.stack([x, y, x * x, y * y, x * y]))
    c1, c2 = 0.01**2, 0.03**2
    variances = mean_xx - mean_x**2 + mean_yy - mean_y**2
    covariance = mean_xy - mean_x * mean_y
    similarity = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    similarity = similarity / ((mean_x**2 + mean_y**2 + c1) * (variances + c2))
    return float(similarity.mean() if valid is None else similarity[:, _whole_windows(valid)].mean())


def _blur(maps: Tensor) -> Tensor:
    """Gaussian means of maps (..., H, W) over all windows inside, shape (..., H - 10, W - 10)."""
    weights = [math.exp(-0.5 * ((i - WINDOW // 2) / SIGMA) ** 2) for i in range(WINDOW)]
    total = sum(weights)
    for axis in (-2, -1):  # Shifted sums: torch's convolutions are slow in float64.
        count = maps.shape[axis] - WINDOW + 1
        blurred = maps.narrow(axis, 0, count) * (weights[0] / total)
        for i in range(1, WINDOW):
            blurred.add_(maps.narrow(axis, i, count), alpha=weights[i] / total)
        maps = blurred
    return maps


def _whole_windows(valid: Tensor) -> Tensor:
    """Windows (H - 10, W - 10) that see valid pixels only, or those with a valid centre where there are none."""
    import torch

    invalid = (~valid).to(torch.float32)[None, None]
    whole = torch.nn.functional.max_pool2d(invalid, WINDOW, stride=1)[0, 0] == 0
    margin = WINDOW // 2
    return whole if bool(whole.any()) else valid[margin:-margin, margin:-margin]
