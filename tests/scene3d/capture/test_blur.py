"""The blur measure: order and threshold under synthetic motion of real photos."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scene3d._errors import CaptureError
from scene3d.capture._blur import BLURRED_FROM, blur


def grey(path: Path, longest_side: int = 480) -> np.ndarray:
    image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    assert image is not None
    scale = longest_side / max(image.shape)
    return cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)


def smeared(image: np.ndarray, length: float, angle: float) -> np.ndarray:
    """Motion over ``length`` pixels during the exposure."""
    kernel = np.zeros((41, 41), np.float32)
    for t in np.linspace(-length / 2, length / 2, 400):
        point = np.float32([[1, 0, 20 + t * np.cos(angle)], [0, 1, 20 + t * np.sin(angle)]])  # type: ignore[arg-type]
        kernel += cv2.warpAffine(np.float32([[1]]), point, (41, 41))  # type: ignore[call-overload]
    return cv2.filter2D(image, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REFLECT)


def check_smearing(photos: list[Path]) -> None:
    for path in photos:
        image = grey(path)
        sharp = blur(image)
        assert sharp < BLURRED_FROM
        for angle in (0.0, 0.8, 1.57):
            values = [sharp, *(blur(smeared(image, length, angle)) for length in (4, 12, 20))]
            assert values == sorted(values)
            assert values[2] > BLURRED_FROM, (path.name, values)


def test_motion_is_found_whatever_the_content(needs: Callable[[str], Path], tabletop: Path) -> None:
    check_smearing(sorted(needs("fox/images").iterdir())[::12])
    check_smearing(sorted((tabletop / "images").glob("*.jpg"))[2::20])


def test_really_blurred_frames(needs: Callable[[str], Path]) -> None:
    """Frames that were looked at: a still camera, and one that is swung round."""
    folder = needs("redkitchen")
    still = [blur(grey(folder / f"frame-{n:06d}.color.jpg")) for n in (8, 72, 88)]
    swung = [blur(grey(folder / f"frame-{n:06d}.color.jpg")) for n in (392, 448, 456, 472)]
    assert max(still) < 0.4
    assert min(swung) > BLURRED_FROM


def test_size_and_exposure_hardly_matter(needs: Callable[[str], Path]) -> None:
    path = sorted(needs("fox/images").iterdir())[0]
    value = blur(grey(path))
    assert blur(grey(path, 1920)) == pytest.approx(value, abs=0.02)
    dark = (grey(path) * 0.4).astype(np.uint8)
    assert blur(dark) == pytest.approx(value, abs=0.05)


def test_one_colour_is_not_sharp() -> None:
    assert blur(np.full((480, 640), 128, np.uint8)) == 1.0


@given(st.integers(2, 90), st.integers(2, 90), st.integers(0, 2**16))
def test_always_between_zero_and_one(height: int, width: int, seed: int) -> None:
    image = np.random.default_rng(seed).integers(0, 256, (height, width), dtype=np.uint8)
    assert 0.0 <= blur(image) <= 1.0


@pytest.mark.parametrize("shape", [(0, 5), (10, 10, 3), (1, 1)])
def test_wrong_shape(shape: tuple[int, ...]) -> None:
    with pytest.raises(CaptureError, match="grey image"):
        blur(np.zeros(shape, np.uint8))
