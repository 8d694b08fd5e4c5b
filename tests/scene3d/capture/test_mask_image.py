"""What masks and alpha channels make of pixels: kept, ignored, outside, or neither."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from scene3d._camera import Camera
from scene3d._errors import CaptureError
from scene3d.capture import View


def view(path: Path, width: int = 80, height: int = 60, distortion: tuple[float, ...] = ()) -> View:
    K = torch.tensor([[70.0, 0, 43], [0, 70, 31], [0, 0, 1]])
    return View(path.name, path, Camera(width, height, K, torch.eye(4)), distortion)


def save(path: Path, pixels: np.ndarray, **options: Any) -> Path:
    Image.fromarray(pixels.astype(np.uint8)).save(path, **options)
    return path


def half_mask(path: Path, mode: str) -> Path:
    """Left half black, right half white, in some mode."""
    grey = Image.new("L", (80, 60))
    grey.paste(255, (40, 0, 80, 60))
    match mode:
        case "RGBA":  # White everywhere, but transparent on the left.
            mask = Image.merge("RGBA", [Image.new("L", (80, 60), 255)] * 3 + [grey])
        case "0 and 1":
            mask = Image.fromarray((np.asarray(grey) // 255).astype(np.uint8))
        case "I;16":
            mask = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
        case _:
            mask = grey.convert(mode)
    mask.save(path)
    return path


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "0 and 1", "I;16"])
def test_a_mask_of_any_mode(tmp_path: Path, mode: str) -> None:
    seen = view(save(tmp_path / "a.png", np.full((60, 80, 3), 120)))
    photo = replace(seen, mask=half_mask(tmp_path / "mask.png", mode)).load()
    assert not photo.valid[:, :40].any()
    assert photo.valid[:, 40:].all()
    assert photo.outside is None


def test_grey_is_kept_from_128_on(tmp_path: Path) -> None:
    mask = np.repeat(np.arange(80)[None] + 88, 60, axis=0)
    seen = view(save(tmp_path / "a.png", np.full((60, 80, 3), 120)))
    photo = replace(seen, mask=save(tmp_path / "mask.png", mask)).load()
    assert np.array_equal(photo.valid, mask >= 128)


def test_alpha_mode_demands_transparency_of_black(tmp_path: Path) -> None:
    seen = view(save(tmp_path / "a.png", np.full((60, 80, 3), 120)))
    seen = replace(seen, mask=half_mask(tmp_path / "mask.png", "L"), mask_mode="alpha")
    photo = seen.load()
    assert photo.valid.all()
    assert photo.outside is not None
    assert np.array_equal(np.flatnonzero(photo.outside[0]), np.arange(40))
    # 80 to 23: the middle target pixel covers both halves and is neither.
    reduced = seen.load(23)
    assert reduced.outside is not None
    assert reduced.valid.all(axis=0).tolist() == [True] * 11 + [False] + [True] * 11
    assert reduced.outside.all(axis=0).tolist() == [True] * 11 + [False] * 12
    assert not replace(seen, mask_mode="ignore").load(23).valid[:, :12].any()


def test_alpha_mode_under_distortion(tmp_path: Path) -> None:
    seen = view(save(tmp_path / "a.png", np.full((60, 80, 3), 120)), distortion=(0.3, 0.0, 0.0, 0.0))
    seen = replace(seen, mask=half_mask(tmp_path / "mask.png", "L"), mask_mode="alpha")
    photo, plain = seen.load(), replace(seen, mask=None).load()
    assert photo.outside is not None
    assert not (photo.valid & ~plain.valid).any()
    mixed = plain.valid & ~photo.valid
    assert mixed.any(axis=0).sum() <= 3  # Only the seam is neither kept nor outside.
    assert not (photo.outside & ~photo.valid).any()
    assert photo.outside[30, 20]
    assert not photo.outside[30, 60]


def test_transparent_pixels_of_the_photo_count_as_black(tmp_path: Path) -> None:
    pixels = np.full((60, 80, 4), 255)
    pixels[:30, :, 3] = 0
    seen = view(save(tmp_path / "a.png", pixels))
    both = replace(seen, mask=half_mask(tmp_path / "mask.png", "L")).load()
    assert both.valid[30:, 40:].all()
    assert both.valid.mean() == 0.25
    cut_out = replace(seen, mask_mode="alpha").load()
    assert cut_out.outside is not None
    assert cut_out.outside[:30].all()
    assert not cut_out.outside[30:].any()
    assert cut_out.valid.all()


def test_a_mask_turns_with_its_photo(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    path = save(tmp_path / "a.jpg", np.zeros((60, 80, 3)), exif=exif)
    stored = np.zeros((60, 80))
    stored[:20, :10] = 255
    upright = np.rot90(stored, -1)
    for name, mask, options in (
        ("stored.png", stored, {}),
        ("upright.png", upright, {}),
        ("tagged.png", stored, {"exif": exif}),
    ):
        always = replace(view(path, 60, 80), upright=True, mask=save(tmp_path / name, mask, **options))
        assert np.array_equal(always.load().valid, upright > 0), name
        as_it_is = replace(view(path), mask=tmp_path / name)
        if name != "upright.png":
            assert np.array_equal(as_it_is.load().valid, stored > 0), name


def test_a_mask_of_another_size(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", np.zeros((60, 80, 3)))
    seen = replace(view(path), mask=save(tmp_path / "mask.png", np.zeros((30, 40))))
    with pytest.raises(CaptureError, match=r"mask\.png is 40x30 pixels, but its photo .*a\.png is 80x60"):
        seen.load()
    (tmp_path / "mask.png").write_bytes(b"")
    with pytest.raises(CaptureError, match=r"mask\.png cannot be decoded .* Copy the mask again"):
        seen.load()


@pytest.mark.data
@pytest.mark.parametrize("index", range(4))
def test_masks_of_the_rope(needs: Callable[[str], Path], index: int) -> None:
    folder = needs("rope4")
    K = torch.tensor(np.load(folder / "intr_list.npy")[index], dtype=torch.float32)
    seen = View("rope", folder / f"img_{index}.png", Camera(640, 480, K, torch.eye(4)))
    seen = replace(seen, mask=folder / f"mask_{index}.png", mask_mode="alpha")
    kept = np.asarray(Image.open(folder / f"mask_{index}.png")) > 0
    photo = seen.load()
    assert photo.outside is not None
    assert np.array_equal(photo.outside, ~kept)
    assert 0.01 < kept.mean() < 0.02
    assert np.array_equal(replace(seen, mask_mode="ignore").load().valid, kept)
    half = seen.load(320)
    blocks = kept.reshape(240, 2, 320, 2).swapaxes(1, 2).reshape(240, 320, 4)
    assert half.outside is not None
    assert np.array_equal(half.outside, ~blocks.any(axis=2))
    assert np.array_equal(half.valid & ~half.outside, blocks.all(axis=2))
