"""Splat values in few bits: what the compressed formats have in common.

SPZ, .splat, compressed PLY and SOG store opacities as bytes and (all but .splat) rotations as the three smallest
components of a unit quaternion. A compressed file may also claim any size for what it holds, so the readers ask here,
before they take memory, whether a claim is one that a real file could make.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scene3d._errors import FileFormatError, OutputError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor

    from scene3d._gaussians import Gaussians

__all__ = [
    "MIB",
    "check_expansion",
    "coefficients_last",
    "finite_or_refuse",
    "logits_of_bytes",
    "quats_of_smallest_three",
    "read_bytes",
    "require_finite",
]

MIB = 1024 * 1024

FREE_EXPANSION = 16 * MIB
MOST_EXPANSION = 256
"""A file may unpack to 16 MiB whatever it weighs, and beyond that to 256 times its size. Real splats, whose positions
hardly compress, reach 10 times; deflate could reach 1032 and Zstandard far more."""

OTHERS = np.array([[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2]])
"""Places of the three smallest components, by the place of the largest."""


def read_bytes(path: Path) -> bytes:
    """A file as bytes.

    Raises:
        FileFormatError: It cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise FileFormatError(f"{path} cannot be read ({error.strerror}).") from error


def check_expansion(path: Path, unpacked: int, stored: int) -> None:
    """Refuse a compressed file that says it holds far more than its size allows.

    Args:
        path: The file, for the message.
        unpacked: What it says that it unpacks to [bytes].
        stored: What it weighs [bytes].

    Raises:
        FileFormatError: No real file would.
    """
    if unpacked > FREE_EXPANSION + MOST_EXPANSION * stored:
        raise FileFormatError(
            f"{path} says that it unpacks to {unpacked / MIB:.0f} MiB, but it weighs only {stored / MIB:.3f} MiB; no "
            "file of splats compresses that well. It is damaged or made to fill the memory; export it again."
        )


def logits_of_bytes(alpha: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Logit of opacities stored as 0 to 255; the ends mean a quarter step inside, so that they stay finite."""
    levels = np.arange(256, dtype=np.float64)
    levels[[0, 255]] = 0.25, 254.75
    return np.log(levels / (255 - levels)).astype(np.float32)[alpha]


def quats_of_smallest_three(small: NDArray[np.float32], largest: NDArray[np.integer]) -> NDArray[np.float32]:
    """Unit quaternions (N, 4) from three components (N, 3), in order, and the place (N,) of the positive fourth."""
    quats = np.empty((len(small), 4), np.float32)
    rest = np.sqrt(np.maximum(0, 1 - np.einsum("ij,ij->i", small, small)))
    for place in range(4):
        rows = np.flatnonzero(largest == place)
        for column, other in enumerate(OTHERS[place]):
            quats[rows, other] = small[rows, column]
        quats[rows, place] = rest[rows]
    return quats


def finite_or_refuse(path: Path, splats: Gaussians) -> Gaussians:
    """The splats, when all of their values can be rendered.

    Raises:
        FileFormatError: Some are NaN or infinite, or have no rotation.
    """
    usable = (splats.quats**2).sum(dim=1) > 0
    for array in _floats(splats):
        if not _is_finite(array):
            usable &= array.flatten(1).isfinite().all(dim=1)
    if not bool(usable.all()):
        bad = int((~usable).sum())
        raise FileFormatError(
            f"{path}: {bad} of {len(splats)} splats hold NaN, infinite values or no rotation. "
            "Clean the file in a splat editor and export it again."
        )
    return splats


def require_finite(splats: Gaussians, path: Path) -> None:
    """Refuse to write splats that no reader would take back.

    Raises:
        OutputError: Some hold NaN or infinite values.
    """
    if not all(_is_finite(array) for array in _floats(splats)):
        raise OutputError(f"{path} was not written: some splats hold NaN or infinite values. Remove them first.")


def _floats(splats: Gaussians) -> list[Tensor]:
    return [splats.means, splats.scales, splats.opacities[:, None], splats.sh0, splats.quats, splats.shN]


def _is_finite(array: Tensor) -> bool:
    """Whether all values are. One that is not makes the sum so too, and sums are ten times quicker than looking."""
    return bool(array.sum().isfinite()) or bool(array.isfinite().all())


def coefficients_last(channel_major: NDArray) -> NDArray:
    """SH as PLY has it, (N, 3 K) with all red first, in our order (N, K, 3)."""
    n, width = channel_major.shape
    return channel_major.reshape(n, 3, width // 3).transpose(0, 2, 1)
