"""Surfaces painted by numbers: wood, cloth, glaze, yarn, bricks. All seeded, nothing is loaded from disk.

Every picture is sRGB, (H, W, 3) uint8 unless said otherwise, first row at the top (largest v).
"""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np


def noise(shape: tuple[int, int], cells: tuple[int, int], rng: np.random.Generator, octaves: int = 4) -> np.ndarray:
    """Fractal noise (H, W) in about [-1, 1]; `cells` is the number of coarsest cells in y and x."""
    total = np.zeros(shape, np.float32)
    weight = 1.0
    for k in range(octaves):
        n = (min(shape[0], cells[0] * 2**k) + 1, min(shape[1], cells[1] * 2**k) + 1)
        grid = rng.uniform(-1, 1, n).astype(np.float32)
        total += weight * cv2.resize(grid, shape[::-1], interpolation=cv2.INTER_CUBIC)
        weight *= 0.5
    return total / 1.6


def mix(a: np.ndarray | tuple, b: np.ndarray | tuple, t: np.ndarray) -> np.ndarray:
    """Colours a (0) to b (1) by weights t (H, W) as floats (H, W, 3) in 0-255."""
    t = np.clip(t, 0, 1)[..., None]
    return np.asarray(a, np.float32) * (1 - t) + np.asarray(b, np.float32) * t


def as_bytes(image: np.ndarray) -> np.ndarray:
    """Float picture in 0-255 to uint8."""
    return np.clip(image + 0.5, 0, 255).astype(np.uint8)


def wood(shape: tuple[int, int], planks: int, rng: np.random.Generator, dark: tuple, pale: tuple) -> np.ndarray:
    """Planks along x with year rings, pores and joints; returns floats (H, W, 3) in 0-255."""
    h, w = shape
    out = np.empty((h, w, 3), np.float32)
    edges = np.linspace(0, h, planks + 1).astype(int)
    for top, bottom in pairwise(edges):
        ph = bottom - top
        s = (ph, w)
        y = np.linspace(-1, 1, ph, dtype=np.float32)[:, None] + rng.uniform(-0.6, 0.6)
        bend = 0.55 * noise(s, (2, 5), rng, 3)
        rings = np.sin(2 * np.pi * (2.6 * (y + bend) ** 2 + 2.2 * (y + bend) + rng.uniform(0, 1)) * 2.0)
        grain = noise(s, (max(2, ph // 7), max(3, w // 260)), rng, 3)
        pores = noise(s, (max(2, ph // 3), max(3, w // 60)), rng, 2)
        value = 0.48 + 0.23 * rings + 0.34 * grain + 0.10 * noise(s, (3, 6), rng, 2) + rng.uniform(-0.16, 0.16)
        color = mix(dark, pale, value)
        color *= (1 - 0.42 * np.clip(pores - 0.42, 0, 1))[..., None]
        color *= (1 + 0.035 * rng.standard_normal(s).astype(np.float32))[..., None]
        color[:3] *= 0.45
        color[-2:] *= 0.6
        out[top:bottom] = color
    return out


def place_mat(shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Woven cotton mat with bands of triangles and diamonds, floats (H, W, 3) in 0-255."""
    h, w = shape
    y, x = np.mgrid[0:h, 0:w].astype(np.float32)
    colors = np.array([(214, 201, 172), (38, 78, 104), (196, 88, 52), (226, 168, 66), (60, 112, 96)], np.float32)
    index = np.zeros((h, w), int)
    band = 0.115 * h
    k, t = np.floor(y / band), (y % band) / band
    tri = np.abs((x / band * 1.2) % 1 - 0.5) * 2
    dia = np.abs((x / band * 0.6) % 1 - 0.5) * 2 + np.abs(t - 0.5) * 2
    index = np.where(k % 4 == 1, np.where(t > tri, 1, 3), index)
    index = np.where(k % 4 == 2, np.where(dia < 0.42, 2, np.where(dia < 0.8, 1, 0)), index)
    index = np.where(k % 4 == 3, np.where(t < tri, 2, 4), index)
    index = np.where((t < 0.09) | (t > 0.93), 1, index)
    border = 0.035 * h
    edge = np.minimum(np.minimum(x, w - 1 - x), np.minimum(y, h - 1 - y))
    index = np.where(edge < border, 1, np.where(edge < 1.5 * border, 3, index))
    image = colors[index]
    thread = 5.0
    over = ((x // thread + y // thread) % 2).astype(bool)
    weave = np.where(over, np.sin(np.pi * (x % thread) / thread), np.sin(np.pi * (y % thread) / thread))
    image *= (0.66 + 0.40 * weave * (1 + 0.25 * rng.standard_normal((h, w)).astype(np.float32)))[..., None]
    return image * (1 + 0.10 * noise((h, w), (6, 8), rng, 4))[..., None]


def pasted(
    base: np.ndarray, patch: np.ndarray, centre: tuple[float, float], angle: float, per_metre: float
) -> np.ndarray:
    """Lay a patch on a table picture, with a soft dark edge as if it were a little thick.

    Args:
        base: (H, W, 3) floats; its middle is the world's origin, x to the right and y up.
        patch: (h, w, 3) floats at the same resolution.
        centre: x and y of the patch's middle in metres.
        angle: counter-clockwise turn in radians.
        per_metre: pixels per metre.

    Returns:
        Weights (H, W) in [0, 1] of where the patch lies; `base` is changed in place.
    """
    h, w = base.shape[:2]
    ph, pw = patch.shape[:2]
    c, s = np.cos(angle), np.sin(angle)
    px, py = w / 2 + centre[0] * per_metre, h / 2 - centre[1] * per_metre
    to_base = np.array([[c, s, 0], [-s, c, 0]], np.float32)
    to_base[:, 2] = np.array([px, py]) - to_base[:, :2] @ [pw / 2, ph / 2]
    warped = cv2.warpAffine(patch.astype(np.float32), to_base, (w, h), flags=cv2.INTER_LINEAR)
    mask = cv2.warpAffine(np.ones((ph, pw), np.float32), to_base, (w, h), flags=cv2.INTER_LINEAR)
    shadow = cv2.GaussianBlur(mask, (0, 0), 0.0022 * per_metre)
    base *= (1 - 0.5 * shadow * (1 - mask))[..., None]
    base *= (1 - mask)[..., None]
    base += warped * mask[..., None]
    return mask


def glaze(rng: np.random.Generator, inside: bool) -> np.ndarray:
    """Reactive stoneware glaze: sea green running down over speckled cream (or all sea green inside)."""
    h, w = 900, 2048
    y = np.linspace(1, 0, h, dtype=np.float32)[:, None]
    wave = noise((1, w), (1, 9), rng, 4)
    wave = wave + (wave[:, ::-1] - wave) * 0.5 * np.abs(np.linspace(-1, 1, w, dtype=np.float32)) ** 4
    edge = np.ones((h, w), np.float32) if inside else (y - 0.55 - 0.10 * wave) / 0.05
    green = mix((22, 84, 92), (92, 158, 150), 0.5 + 0.45 * noise((h, w), (14, 30), rng, 4))
    cream = mix((222, 208, 178), (238, 228, 204), 0.5 + 0.5 * noise((h, w), (9, 20), rng, 3))
    rust = np.clip(1 - np.abs(edge - 0.35) / 0.75, 0, 1) * (0 if inside else 1)
    image = mix(cream, green, edge)
    image = mix(image, np.broadcast_to(np.float32([150, 92, 46]), image.shape), 0.75 * rust)
    spots = np.zeros((h, w), np.uint8)
    for _ in range(900 if not inside else 500):
        cv2.circle(spots, (int(rng.integers(w)), int(rng.integers(h))), int(rng.integers(1, 5)), 255, -1, cv2.LINE_AA)
    return as_bytes(mix(image, np.broadcast_to(np.float32([62, 42, 28]), image.shape), spots / 255 * 0.8))


def rope_yarn(rng: np.random.Generator) -> np.ndarray:
    """One turn of a three-strand rope (u) by 10 mm of length (v): slanting yarns, one strand dyed."""
    h, w = 256, 768
    y, x = np.mgrid[0:h, 0:w].astype(np.float32)
    u, v = x / w, y / h
    yarn = 0.5 + 0.5 * np.sin(2 * np.pi * (12 * u + 3 * v))
    fibre = noise((h, w), (24, 90), rng, 2)
    phi = np.abs((3 * u) % 1 - 0.5) * 2
    # u = 0 is the crest of the first strand.
    crest = np.clip(phi * 1.25 - 0.02, 0, 1) ** 0.6
    strand = np.floor((3 * u + 0.5) % 3)
    color = np.where((strand == 1)[..., None], np.float32([38, 92, 158]), np.float32([226, 208, 166]))
    shade = (0.55 + 0.45 * yarn) * (0.40 + 0.60 * crest) * (1 + 0.16 * fibre)
    return as_bytes(color * shade[..., None] * 1.12)


def bricks(rng: np.random.Generator) -> np.ndarray:
    """Whitewashed brick wall, 32 courses."""
    h, w = 1600, 2400
    y, x = np.mgrid[0:h, 0:w].astype(np.float32)
    row = y // 50
    col = (x + 75 * (row % 2)) // 150
    gap = (y % 50 < 6) | ((x + 75 * (row % 2)) % 150 < 6)
    tone = rng.uniform(-1, 1, (40, 40))[row.astype(int), col.astype(int)]
    image = mix((168, 108, 84), (212, 170, 142), 0.5 + 0.38 * tone + 0.35 * noise((h, w), (40, 60), rng, 4))
    image = mix(image, np.broadcast_to(np.float32([196, 186, 172]), image.shape), gap * 0.9)
    return as_bytes(image)


def wallpaper(rng: np.random.Generator) -> np.ndarray:
    """Pale wall with a printed repeat of leaves."""
    h, w = 1200, 2400
    image = np.full((h, w, 3), (222, 222, 208), np.uint8)
    for i in range(20):
        for j in range(11):
            cx, cy = 60 + 120 * i + 60 * (j % 2), 60 + 110 * j
            for k in range(5):
                a = -90 + 50 * (k - 2) + int(rng.integers(-8, 8))
                tip = (int(cx + 26 * np.cos(np.radians(a))), int(cy + 26 * np.sin(np.radians(a))))
                color = (150, 172, 150) if k % 2 else (190, 176, 140)
                cv2.ellipse(image, tip, (22, 8), a, 0, 360, color, -1, cv2.LINE_AA)
    return as_bytes(image.astype(np.float32) * (1 + 0.03 * noise((h, w), (30, 60), rng, 4))[..., None])


def rug(rng: np.random.Generator) -> np.ndarray:
    """Patterned carpet."""
    h, w = 1000, 1400
    y, x = np.mgrid[0:h, 0:w].astype(np.float32)
    ring = np.maximum(np.abs(x - w / 2) / w, np.abs(y - h / 2) / h) * 2
    wave = np.sin(x / 26) * np.sin(y / 26) + 0.6 * np.sin((x + y) / 41) * np.sin((x - y) / 41)
    palette = np.float32([(112, 34, 36), (34, 48, 84), (196, 168, 120), (150, 74, 48)])
    index = np.where(
        ring > 0.94,
        2,
        np.where(ring > 0.80, np.where(wave > 0.25, 2, 1), np.where(wave > 0.5, 2, np.where(wave < -0.6, 3, 0))),
    )
    return as_bytes(palette[index] * (0.8 + 0.3 * rng.random((h, w, 1), np.float32)))


def lid(rng: np.random.Generator) -> np.ndarray:
    """Brushed aluminium."""
    streaks = noise((256, 1024), (2, 400), rng, 2) + 0.6 * noise((256, 1024), (80, 4), rng, 2)
    return as_bytes(np.repeat((206 + 14 * streaks)[..., None], 3, 2))
