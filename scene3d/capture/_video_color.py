"""One decoded video frame -> upright sRGB pixels.

swscale turns YUV into RGB with the matrix and range that the stream names, or the usual ones of its size. SDR values
then count as sRGB, which is how players show them. HDR video of phones (HLG and PQ of BT.2100, in BT.2020 colours) is
decoded to light, its diffuse white (203 cd/m^2, BT.2408) becomes white, and what is brighter is pressed under it; so
HDR and SDR recordings of one place look alike.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from scene3d.capture._video_file import VideoInfo

__all__ = ["reduced_grey", "upright_rgb"]

ITU709, ITU601, BT2020 = 1, 5, 9
MATRICES = {1: ITU709, 4: 4, 5: ITU601, 6: ITU601, 7: 7, 9: BT2020, 10: BT2020}
"""Colour matrix of a stream [ITU-T H.273] -> swscale's name of it."""
HD_HEIGHT = 720
"""Unlabelled video of at least this height [px] has the matrix of BT.709, smaller one that of BT.601."""
LIMITED, FULL = 1, 2
DIFFUSE_WHITE = 203.0
"""Luminance of white paper in HDR video [cd/m^2]."""
SHOULDER = 0.75
"""Linear light from which highlights are pressed together."""
BT2020_TO_BT709 = (
    (1.6605, -0.5876, -0.0728),
    (-0.1246, 1.1329, -0.0083),
    (-0.0182, -0.1006, 1.1187),
)
"""Of linear light, BT.2087."""


def reduced_grey(frame: Any, longest_side: int) -> NDArray[np.uint8]:
    """Grey values (h, w) of a frame as it is stored, at most ``longest_side`` pixels wide or high."""
    scale = min(1.0, longest_side / max(frame.width, frame.height))
    size = (max(2, round(frame.width * scale)), max(2, round(frame.height * scale)))
    return frame.to_ndarray(width=size[0], height=size[1], format="gray", interpolation="AREA")


def upright_rgb(frame: Any, info: VideoInfo) -> NDArray[np.uint8]:
    """Pixels (H, W, 3) of a frame at the upright size of its video."""
    hdr = info.transfer != "sdr"
    turn = info.placement
    size = (info.height, info.width) if turn.transposed else (info.width, info.height)
    source = _matrix(frame)
    rgb = frame.to_ndarray(
        width=size[0],
        height=size[1],
        format="rgb48le" if hdr else "rgb24",
        interpolation="BICUBIC",
        src_colorspace=source,
        dst_colorspace=source,
        src_color_range=_range(frame),
        dst_color_range=FULL,
    )
    if hdr:
        rgb = to_srgb(rgb, info.transfer)
    if turn.transposed:
        rgb = rgb.swapaxes(0, 1)
    return np.ascontiguousarray(rgb[:: -1 if turn.flip_y else 1, :: -1 if turn.flip_x else 1])


def _matrix(frame: Any) -> int:
    usual = ITU709 if min(frame.width, frame.height) >= HD_HEIGHT else ITU601
    return MATRICES.get(int(frame.colorspace or 2), usual)


def _range(frame: Any) -> int:
    if frame.format.name.startswith("yuvj") or int(frame.color_range or 0) == FULL:
        return FULL
    return LIMITED


def to_srgb(signal: NDArray[np.uint16], transfer: str) -> NDArray[np.uint8]:
    """BT.2100 values (H, W, 3) of HLG or PQ -> sRGB (H, W, 3)."""
    light = _light_table(transfer)[signal]
    if transfer == "hlg":
        # The system gamma 1.2 of a 1000 cd/m^2 display acts on luminance.
        luminance = light @ np.array([0.2627, 0.6780, 0.0593], np.float32)
        light *= (1000.0 / DIFFUSE_WHITE * np.maximum(luminance, 1e-9) ** 0.2)[..., None]
    linear = np.maximum(light @ np.array(BT2020_TO_BT709, np.float32).T, 0.0)
    # One factor for all three channels keeps the hue.
    brightest = linear.max(axis=-1, keepdims=True)
    above = np.maximum(brightest - SHOULDER, 0.0)
    pressed = SHOULDER + (1 - SHOULDER) * above / (above + (1 - SHOULDER))
    linear *= np.where(above > 0, pressed / np.maximum(brightest, 1e-9), 1.0).astype(np.float32)
    table = _srgb_table()
    return table[np.minimum((linear * (len(table) - 1) + 0.5).astype(np.int32), len(table) - 1)]


@cache
def _light_table(transfer: str) -> NDArray[np.float32]:
    """Of each 16-bit value: scene light 0 to 1 for HLG, light relative to diffuse white for PQ."""
    value = np.arange(65536) / 65535.0
    if transfer == "hlg":
        a, b, c = 0.17883277, 0.28466892, 0.55991073
        light = np.where(value <= 0.5, value**2 / 3.0, (np.exp((value - c) / a) + b) / 12.0)
    else:
        m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
        root = value ** (1 / m2)
        light = (np.maximum(root - c1, 0.0) / (c2 - c3 * root)) ** (1 / m1) * 10000.0 / DIFFUSE_WHITE
    return light.astype(np.float32)


@cache
def _srgb_table() -> NDArray[np.uint8]:
    """Values in sRGB [IEC 61966-2-1] of linear light in 16384 steps; even the dark ones are finer than 8 bits."""
    linear = np.linspace(0.0, 1.0, 16384)
    curve = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.round(255.0 * curve).astype(np.uint8)
