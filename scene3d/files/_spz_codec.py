"""SPZ attributes as bytes <-> splats: the quantisation and the axes of the format [nianticlabs/spz, MIT].

Per splat: position 3 x 24-bit fixed point; opacity 8 bits; colour 3 x 8 bits of 0.15 sh0 + 0.5; log scale 3 x 8 bits in
steps of 1/16 from -10; rotation as x, y, z in 8 bits each (versions 1 and 2) or as its smallest three components in
10 bits each (3 and 4); SH 8 bits from -1 to 1, of which 5 (degree 1) or 4 are used. SPZ has x right, y up, z back; a
3DGS PLY has x right, y down, z forward. Splats here keep the axes of the PLY, so y and z change sign on the way, and
with them y and z of quaternions and every SH coefficient that is odd under that half turn about x.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from scene3d._gaussians import Gaussians
from scene3d.files._packing import logits_of_bytes, quats_of_smallest_three

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

__all__ = ["STREAMS", "PackedSplats", "pack", "stream_widths", "unpack"]

STREAMS = ("positions", "alphas", "colors", "scales", "rotations", "sh")
"""Attributes in file order."""
MOST_DEGREE = 4

FLIP = np.array([1, -1, -1], np.float32)
"""What a half turn about x does to a vector, and to the vector part of a quaternion."""
FLIP_SH = np.array([-1, -1, 1, -1, 1, 1, -1, 1, -1, 1, -1, -1, 1, -1, 1], np.float32)
"""What it does to SH coefficients of degree 1 to 3 [parity of the basis functions in y and z]."""

COLOR_SCALE = 0.15
SCALE_FIRST, SCALE_STEPS = -10.0, 16.0
SMALL_STEPS = 511 * np.sqrt(2)
"""Steps per unit of a smallest-three component: 9 bits of magnitude for 0 to sqrt(1/2)."""
SH_STEP_FIRST, SH_STEP_REST = 8, 16
"""Steps of SH coefficients of degree 1, and of degrees 2 and 3, in 1/128."""

COARSEST_BITS, FINEST_BITS = 12, 16
"""Fraction bits of positions that are written unless the extent forbids: 12 is the format's habit."""
LARGEST_FIXED = 2**23 - 1
ROWS_AT_ONCE = 32768


@dataclass(frozen=True)
class PackedSplats:
    """What an SPZ file holds, unpacked from its compression."""

    version: int
    """1 to 4."""
    degree: int
    """SH degree, 0 to 4."""
    fractional_bits: int
    """Bits after the binary point of a position, 0 to 23."""
    antialiased: bool
    """Made for a renderer that compensates the screen-space dilation."""
    streams: dict[str, NDArray[np.uint8]]
    """By name of `STREAMS`, shapes (N, width)."""


def stream_widths(version: int, degree: int) -> dict[str, int]:
    """Bytes per splat of each stream."""
    rotations = 3 if version < 3 else 4
    sh = 3 * ((degree + 1) ** 2 - 1)
    positions = 6 if version == 1 else 9
    return dict(zip(STREAMS, (positions, 1, 3, 3, rotations, sh), strict=True))


def unpack(packed: PackedSplats) -> Gaussians:
    """The splats in the axes of a 3DGS PLY; SH beyond degree 3 is left out."""
    import torch

    streams = packed.streams
    colors = (streams["colors"].astype(np.float32) / 255 - 0.5) / COLOR_SCALE
    return Gaussians.create(
        means=torch.from_numpy(_positions(streams["positions"], packed)),
        quats=torch.from_numpy(_quats(streams["rotations"], packed.version)),
        scales=torch.from_numpy(streams["scales"].astype(np.float32) / np.float32(SCALE_STEPS) + SCALE_FIRST),
        opacities=torch.from_numpy(logits_of_bytes(streams["alphas"][:, 0])),
        sh0=torch.from_numpy(colors)[:, None, :],
        shN=torch.from_numpy(_sh(streams["sh"])),
    )


def _positions(stored: NDArray[np.uint8], packed: PackedSplats) -> NDArray[np.float32]:
    if packed.version == 1:
        return np.ascontiguousarray(stored).view("<f2").astype(np.float32) * FLIP
    words = np.zeros((len(stored), 3, 4), np.uint8)
    words[..., 1:] = stored.reshape(-1, 3, 3)
    # The three bytes lie at the top of a word, so shifting them down extends the sign.
    fixed = words.view("<i4")[..., 0] >> 8
    means = fixed.astype(np.float32)
    means *= FLIP * np.float32(2.0**-packed.fractional_bits)
    return means


def _quats(stored: NDArray[np.uint8], version: int) -> NDArray[np.float32]:
    """Rotations (N, 4), wxyz."""
    if version < 3:
        xyz = stored.astype(np.float32) / np.float32(127.5) - 1
        xyz *= FLIP
        quats = np.empty((len(xyz), 4), np.float32)
        quats[:, 1:] = xyz
        quats[:, 0] = np.sqrt(np.maximum(0, 1 - np.einsum("ij,ij->i", xyz, xyz)))
        return quats
    words = np.ascontiguousarray(stored).view("<u4")[:, 0]
    small = np.empty((len(words), 3), np.float32)
    for column, shift in enumerate((20, 10, 0)):
        part = ((words >> shift) & 0x3FF).astype(np.int16)
        small[:, column] = np.where(part & 0x200, -(part & 0x1FF), part) / np.float32(SMALL_STEPS)
    xyzw = quats_of_smallest_three(small, words >> 30)
    xyzw[:, :3] *= FLIP
    return xyzw[:, [3, 0, 1, 2]]


def _sh(stored: NDArray[np.uint8]) -> NDArray[np.float32]:
    kept = stored[:, : 3 * len(FLIP_SH)]
    values = np.empty((len(kept), kept.shape[1] // 3, 3), np.float32)
    factors = FLIP_SH[: values.shape[1], None] / np.float32(128)
    for start in range(0, len(kept), ROWS_AT_ONCE):
        part = values[start : start + ROWS_AT_ONCE]
        np.subtract(kept[start : start + ROWS_AT_ONCE].reshape(part.shape), np.float32(128), out=part, dtype=np.float32)
        part *= factors
    return values


def pack(splats: Gaussians, *, fine_sh: bool = False) -> tuple[PackedSplats, int]:
    """Quantise splats whose values are finite; also the number of splats that a range of the format changed.

    With `fine_sh` all 8 bits of each SH coefficient are used, which compress less.
    """
    import torch

    values = splats.detach().to("cpu", torch.float32)
    clipped = np.zeros(len(splats), bool)
    bits = fraction_bits(values)
    streams = {
        "positions": _pack_positions(values.means.numpy(), bits),
        "alphas": _bytes(values.opacities.sigmoid().numpy()[:, None] * 255, clipped),
        "colors": _bytes(values.sh0[:, 0].numpy() * np.float32(COLOR_SCALE * 255) + np.float32(127.5), clipped),
        "scales": _bytes((values.scales.numpy() - np.float32(SCALE_FIRST)) * np.float32(SCALE_STEPS), clipped),
        "rotations": _pack_quats(values.quats),
        "sh": _pack_sh(values.shN, clipped, (1, 1) if fine_sh else (SH_STEP_FIRST, SH_STEP_REST)),
    }
    return PackedSplats(4, splats.sh_degree, bits, False, streams), int(np.count_nonzero(clipped))


def fraction_bits(splats: Gaussians) -> int:
    """Fraction bits for the positions: a tenth of the usual splat, as far as 24 bits reach the farthest one.

    Returns:
        12 to 16; fewer, even below zero, when the farthest position leaves no room.
    """
    if not len(splats):
        return COARSEST_BITS
    step = 0.1 * float(np.exp(splats.scales.median().item()))
    wanted = int(np.clip(np.ceil(-np.log2(max(step, 1e-30))), COARSEST_BITS, FINEST_BITS))
    farthest = max(float(splats.means.abs().max()), 1e-30)
    return min(wanted, int(np.floor(np.log2(LARGEST_FIXED / farthest))))


def _pack_positions(means: NDArray[np.float32], bits: int) -> NDArray[np.uint8]:
    # float64: a float32 product could round beyond the largest fixed-point number.
    fixed = np.rint(means * (FLIP * 2.0 ** max(bits, 0)).astype(np.float64)).astype("<i4")
    return fixed.view(np.uint8).reshape(-1, 3, 4)[..., :3].reshape(-1, 9)


def _bytes(values: NDArray[np.float32], clipped: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Rounded to 0 to 255; marks the rows that lay outside by more than half a step."""
    if values.size and (values.min() < -0.5 or values.max() > 255.5):
        clipped |= ((values < -0.5) | (values > 255.5)).any(axis=1)
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def _pack_quats(quats: Tensor) -> NDArray[np.uint8]:
    import torch

    xyzw = torch.nn.functional.normalize(quats, dim=1)[:, [1, 2, 3, 0]].numpy()
    xyzw[:, :3] *= FLIP
    largest = np.abs(xyzw).argmax(axis=1).astype(np.uint32)
    words = largest.copy()
    turned = np.take_along_axis(xyzw, largest[:, None].astype(np.intp), axis=1)[:, 0] < 0
    for place in range(4):
        part = xyzw[:, place]
        magnitude = np.minimum(np.rint(np.abs(part) * SMALL_STEPS), 511).astype(np.uint32)
        sign = ((part < 0) ^ turned).astype(np.uint32) << 9
        words = np.where(largest == place, words, words << 10 | sign | magnitude)
    return words.astype("<u4").view(np.uint8).reshape(-1, 4)


def _pack_sh(shN: Tensor, clipped: NDArray[np.bool_], step: tuple[int, int]) -> NDArray[np.uint8]:
    """Bytes that are multiples of ``step`` from 128, of degree 1 and of higher ones."""
    n, count, _ = shN.shape
    packed = np.empty((n, count, 3), np.uint8)
    steps = np.where(np.arange(count) < 3, *step).astype(np.float32)[:, None]
    factors = 128 * FLIP_SH[:count, None] / steps
    for start in range(0, n, ROWS_AT_ONCE):
        part = shN[start : start + ROWS_AT_ONCE].numpy() * factors
        if part.size:
            np.rint(part, out=part)
            part *= steps
            part += 128
            # 256 is what values up to half a step above the largest byte round to.
            if part.min() < 0 or part.max() > 256:
                clipped[start : start + ROWS_AT_ONCE] |= ((part < 0) | (part > 256)).any(axis=(1, 2))
            np.clip(part, 0, 255, out=part)
        packed[start : start + ROWS_AT_ONCE] = part
    return packed.reshape(n, 3 * count)
