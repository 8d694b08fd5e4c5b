"""SOG version 2 -> splats: values as pixels of lossless WebP images, with a meta.json that explains them [PlayCanvas].

A `.sog` file is a zip of these files; a folder of them, or its meta.json, is read as well. Pixel i of each image
belongs to splat i. Positions have 16 bits per axis (an image for each half) of sign(x) ln(1 + |x|); scales, colours
and SH coefficients are bytes that index a table of 256 values; higher SH comes from a palette of coefficient sets.
Image sizes and zip entries are checked before anything is unpacked.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from scene3d._errors import FileFormatError
from scene3d._gaussians import Gaussians
from scene3d.files._inside import inside
from scene3d.files._packing import (
    MIB,
    check_expansion,
    finite_or_refuse,
    logits_of_bytes,
    quats_of_smallest_three,
    read_bytes,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

__all__ = ["META", "load_sog"]

META = "meta.json"
LONGEST_META = MIB
COEFFICIENTS = {1: 3, 2: 8, 3: 15}
PALETTE_WIDTH = 64
"""Coefficient sets per row of the palette image."""


class _Means(msgspec.Struct):
    mins: tuple[float, float, float]
    maxs: tuple[float, float, float]
    files: tuple[str, str]


class _Coded(msgspec.Struct):
    codebook: list[float]
    files: tuple[str]


class _Quats(msgspec.Struct):
    files: tuple[str]


class _Palette(msgspec.Struct):
    bands: int
    codebook: list[float]
    files: tuple[str, str]


class _Meta(msgspec.Struct):
    version: int
    count: int
    means: _Means
    scales: _Coded
    quats: _Quats
    sh0: _Coded
    shN: _Palette | None = None


def load_sog(path: Path | str) -> Gaussians:
    """Read SOG version 2.

    Args:
        path: A .sog file, a folder with a meta.json, or that meta.json.

    Raises:
        FileFormatError: Another version, files that are missing or damaged, or more pixels than files of their size
            could hold.
    """
    path = Path(path)
    if path.is_file() and path.name != META:
        return _load(path, *_open_zip(path))
    folder = path if path.is_dir() else path.parent
    weight = sum(file.stat().st_size for file in folder.iterdir() if file.is_file())
    return _load(path, lambda name: read_bytes(inside(folder, name, folder / META)), weight)


def _open_zip(path: Path) -> tuple[Callable[[str], bytes], int]:
    """A function that reads an entry, and the size of the archive [bytes]."""
    data = read_bytes(path)

    def read(name: str) -> bytes:
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                entry = archive.getinfo(name)
                check_expansion(path, entry.file_size, len(data))
                with archive.open(entry) as file:
                    return file.read(entry.file_size)
        except KeyError as error:
            raise FileFormatError(f"{path} has no file {name!r}, which SOG needs. Export it again.") from error
        except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
            raise FileFormatError(f"{path} is a damaged .sog archive ({error}). Export it again.") from error

    return read, len(data)


def _load(path: Path, read: Callable[[str], bytes], weight: int) -> Gaussians:
    import torch

    meta = _meta(path, read(META))

    def pixels(name: str) -> NDArray[np.uint8]:
        return _pixels(path, name, read(name), weight).reshape(-1, 4)

    def of_splats(name: str) -> NDArray[np.uint8]:
        found = pixels(name)
        if len(found) < meta.count:
            raise FileFormatError(f"{path} holds {meta.count} splats, but {name} has only {len(found)} pixels.")
        return found[: meta.count]

    low, high = (of_splats(name)[:, :3].astype(np.uint16) for name in meta.means.files)
    scales, colors = of_splats(meta.scales.files[0])[:, :3], of_splats(meta.sh0.files[0])
    shN = np.zeros((meta.count, 0, 3), np.float32)
    if meta.shN is not None:
        palette_file, labels_file = meta.shN.files
        image = _pixels(path, palette_file, read(palette_file), weight)
        shN = _from_palette(path, meta.shN, image, of_splats(labels_file))
    splats = Gaussians.create(
        means=torch.from_numpy(_means(low + np.uint16(256) * high, meta.means)),
        quats=torch.from_numpy(_quats(path, of_splats(meta.quats.files[0]))),
        scales=torch.from_numpy(_table(path, meta.scales.codebook)[scales]),
        opacities=torch.from_numpy(logits_of_bytes(colors[:, 3])),
        sh0=torch.from_numpy(_table(path, meta.sh0.codebook)[colors[:, :3]])[:, None, :],
        shN=torch.from_numpy(shN),
    )
    return finite_or_refuse(path, splats)


def _meta(path: Path, text: bytes) -> _Meta:
    try:
        version = msgspec.json.decode(text[:LONGEST_META], type=dict).get("version")
        if version != 2:
            raise FileFormatError(f"{path} is SOG version {version or 1}; version 2 is read. Export it again.")
        meta = msgspec.json.decode(text, type=_Meta, strict=False)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise FileFormatError(f"{path}: {META} is not that of a SOG file ({error}). Export it again.") from error
    if meta.count < 0 or (meta.shN is not None and meta.shN.bands not in COEFFICIENTS):
        raise FileFormatError(f"{path}: {META} has a count below zero or SH bands other than 1 to 3. Export it again.")
    return meta


def _pixels(path: Path, name: str, data: bytes, weight: int) -> NDArray[np.uint8]:
    """An image as RGBA, shape (H, W, 4)."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data), formats=("WEBP", "PNG")) as image:
            width, height = image.size
            check_expansion(path, 4 * width * height, weight)
            return np.asarray(image.convert("RGBA"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise FileFormatError(f"{path}: {name} is not a WebP image that can be read. Export it again.") from error


def _means(steps: NDArray[np.uint16], meta: _Means) -> NDArray[np.float32]:
    low, high = (np.array(ends, np.float32) for ends in (meta.mins, meta.maxs))
    with np.errstate(over="ignore", invalid="ignore"):
        logs = low + steps.astype(np.float32) * ((high - low) / np.float32(65535))
        return np.sign(logs) * np.expm1(np.abs(logs))


def _quats(path: Path, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    if (pixels[:, 3] < 252).any():
        raise FileFormatError(f"{path}: some rotations have no valid mark in their fourth byte. Export it again.")
    small = (pixels[:, :3] * np.float32(1 / 255) - np.float32(0.5)) * np.float32(np.sqrt(2))
    return quats_of_smallest_three(small, pixels[:, 3] - 252)


def _table(path: Path, codebook: list[float]) -> NDArray[np.float32]:
    if len(codebook) != 256:
        raise FileFormatError(f"{path}: a codebook of {META} has {len(codebook)} values instead of 256.")
    return np.array(codebook, np.float32)


def _from_palette(
    path: Path, meta: _Palette, image: NDArray[np.uint8], labels: NDArray[np.uint8]
) -> NDArray[np.float32]:
    count = COEFFICIENTS[meta.bands]
    if image.shape[1] != PALETTE_WIDTH * count:
        raise FileFormatError(
            f"{path}: the SH palette is {image.shape[1]} pixels wide; {meta.bands} bands need {PALETTE_WIDTH * count}."
        )
    sets = _table(path, meta.codebook)[image[..., :3].reshape(-1, count, 3)]
    index = labels[:, 0].astype(np.intp) | labels[:, 1].astype(np.intp) << 8
    if index.max(initial=0) >= max(len(sets), 1):
        raise FileFormatError(f"{path}: some splats name an SH set that the palette does not have. Export it again.")
    return sets[index]
