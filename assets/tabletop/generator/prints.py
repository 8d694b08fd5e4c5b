"""Printed things: papers, the marker, the can's label, the tea carton, pictures on the wall. All names are invented.

Pictures are sRGB, first row at the top; (H, W, 3) floats in 0-255 where they go on the table, else uint8.
"""

from __future__ import annotations

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from .textures import as_bytes, mix, noise

WORDS = (
    "table light morning paper kettle garden river stone copper window orchard lantern meadow walnut harbour quiet "
    "amber saddle violet ribbon cedar mellow thunder biscuit marble compass linen saffron willow"
).split()


def font(size: float) -> ImageFont.FreeTypeFont:
    """Pillow's built-in face."""
    return ImageFont.load_default(size=size)


def page(shape: tuple[int, int], rng: np.random.Generator, title: str) -> np.ndarray:
    """A printed leaf: headline, a picture, two columns of small print; floats (H, W, 3) in 0-255."""
    h, w = shape
    image = Image.new("RGB", (w, h), (238, 234, 222))
    draw = ImageDraw.Draw(image)
    m = w // 14
    draw.text((m, m), title, (30, 30, 34), font(w / 9))
    draw.line((m, m + w // 7, w - m, m + w // 7), (160, 40, 30), max(2, w // 150))
    top = m + w // 6
    picture = noise((w // 2, w - 2 * m), (3, 4), rng, 5)
    art = mix((40, 74, 110), (238, 178, 96), 0.5 + 0.7 * picture)
    image.paste(Image.fromarray(as_bytes(art)), (m, top))
    y = top + w // 2 + m // 2
    while y < h - m:
        for x in (m, w // 2 + m // 3):
            text = ""
            while draw.textlength(text, font(w / 38)) < w // 2 - 2 * m:
                text += str(rng.choice(WORDS)) + " "
            draw.text((x, y), text, (50, 50, 54), font(w / 38))
        y += int(w / 30)
    return np.asarray(image, np.float32) * (1 + 0.015 * noise(shape, (9, 9), rng, 4))[..., None]


def marker(pixels: int, quiet: int) -> np.ndarray:
    """ArUco DICT_4X4_50 id 0, `pixels` wide, inside `quiet` pixels of white; floats (H, W, 3) in 0-255."""
    bits = cv2.aruco.generateImageMarker(cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_4X4_50), 0, pixels)
    grey = cv2.copyMakeBorder(bits, quiet, quiet, quiet, quiet, cv2.BORDER_CONSTANT, value=255).astype(np.float32)
    return np.repeat((18 + grey * (214 / 255))[..., None], 3, 2)


def can_label(rng: np.random.Generator) -> np.ndarray:
    """Wrap-round print of a drinks can."""
    h, w = 1100, 2048
    image = Image.fromarray(
        as_bytes(mix((236, 120, 24), (250, 196, 52), np.linspace(0, 1, h)[:, None] * np.ones((1, w))))
    )
    draw = ImageDraw.Draw(image)
    for side in (0, w // 2):
        cx = side + w // 4
        for k in range(28):
            a = 2 * np.pi * k / 28
            p = [
                (cx + r * np.cos(a + d), 400 + r * np.sin(a + d))
                for r, d in ((235, -0.05), (330 + 40 * (k % 2), 0), (235, 0.05))
            ]
            draw.polygon(p, (255, 238, 170))
        draw.ellipse((cx - 225, 175, cx + 225, 625), (188, 34, 38))
        draw.ellipse((cx - 205, 195, cx + 205, 605), outline=(255, 240, 205), width=6)
        draw.text((cx, 370), "SOLARA", (255, 246, 220), font(104), anchor="mm")
        draw.text((cx, 470), "blood orange", (255, 214, 130), font(48), anchor="mm")
        draw.text((cx, 800), "sparkling & cold", (120, 24, 26), font(64), anchor="mm")
        for k in range(9):
            draw.ellipse((cx - 300 + 70 * k, 900 - 20 * (k % 2), cx - 260 + 70 * k, 940 - 20 * (k % 2)), (206, 52, 30))
    x = w // 2 - 60
    for k in range(40):
        if rng.uniform() < 0.55:
            draw.rectangle((x + 3 * k, 760, x + 3 * k + 2, 960), (24, 20, 20))
    for k in range(16):
        words = " ".join(rng.choice(WORDS, 3))
        draw.text((w - 120, 220 + 32 * k), words, (110, 30, 20), font(24), anchor="mm")
    draw.rectangle((0, 0, w, 40), (188, 34, 38))
    draw.rectangle((0, h - 46, w, h), (188, 34, 38))
    return np.asarray(image).copy()


def carton(rng: np.random.Generator) -> np.ndarray:
    """Atlas of a tea carton's six sides (see `shapes.rounded_box`)."""
    s = 820
    atlas = Image.new("RGB", (3 * s, 2 * s))
    base, ink, gold = (30, 74, 66), (244, 236, 214), (222, 172, 78)

    def front(narrow: float) -> Image.Image:
        hills = np.full((s, s, 3), base, np.float32)
        y, x = np.mgrid[0:s, 0:s].astype(np.float32) / s
        hills[:] = mix((244, 206, 140), (250, 236, 205), y * 1.6)
        hills[(x - 0.68) ** 2 * narrow**2 + (y - 0.42) ** 2 < 0.011] = (222, 84, 48)
        for k, (level, c) in enumerate(
            [(0.50, (132, 160, 122)), (0.58, (86, 130, 92)), (0.68, (50, 98, 74)), (0.80, base)]
        ):
            ridge = level + 0.05 * noise((1, s), (1, 3 + k), rng, 4)
            rows = (y > ridge) & (np.sin(90 * (y - ridge) * (1 + k)) > -0.75)
            hills[y > ridge] = np.float32(c) * 0.8
            hills[rows] = c
        im = Image.fromarray(as_bytes(hills))
        d = ImageDraw.Draw(im)
        d.rectangle((0, 0, s, 250), base)
        d.line((0, 256, s, 256), gold, 8)
        return im

    def lettered(im: Image.Image, lines: list[tuple[int, int, str, tuple]], aspect: float) -> Image.Image:
        """Draw text stretched so that it looks right on a side `aspect` times as high as wide."""
        layer = Image.new("RGBA", (s, int(s * aspect)))
        d = ImageDraw.Draw(layer)
        for y, size, text, color in lines:
            d.text((s / 2, y * aspect), text, color, font(size), anchor="mm")
        layer = layer.resize((s, s), Image.LANCZOS)
        im.paste(layer, (0, 0), layer)
        return im

    title = [
        (90, 150, "HILLSIDE", ink),
        (190, 84, "green tea", gold),
        (700, 60, "40 bags  80 g", ink),
        (760, 40, "first flush", gold),
    ]
    broad = lettered(front(1.0), title, 1.5)
    broad2 = lettered(front(1.0), title, 1.5)
    facts = Image.new("RGB", (s, s), (236, 226, 198))
    small = [(60, 110, "NUTRITION", (30, 60, 54))]
    small += [
        (120 + 34 * k, 62, " ".join(rng.choice(WORDS, 3)) + f"  {rng.integers(1, 90)} mg", (50, 60, 56))
        for k in range(15)
    ]
    facts = lettered(facts, small, 3.0)
    d = ImageDraw.Draw(facts)
    for k in range(0, 440, 8):
        d.rectangle((190 + k, 670, 190 + k + int(rng.integers(2, 7)), 780), (20, 20, 20))
    side = Image.new("RGB", (s, s), base)
    d = ImageDraw.Draw(side)
    for i in range(9):
        for j in range(17):
            cx, cy = 50 + 90 * i, 28 + 48 * j
            d.ellipse((cx - 34, cy - 12, cx + 34, cy + 12), outline=gold, width=4)
            d.line((cx - 34, cy, cx + 34, cy), (70, 120, 96), 3)
    side = lettered(side, [(400, 150, "TEA", ink)], 3.0)
    lid = Image.new("RGB", (s, s), base)
    d = ImageDraw.Draw(lid)
    d.rectangle((0, 480, s, 492), (18, 44, 40))
    d.rectangle((300, 492, 520, 640), outline=(18, 44, 40), width=8)
    lid = lettered(lid, [(200, 150, "HILLSIDE", ink), (350, 80, "open here", gold)], 2.0)
    cells = [broad, broad2, facts, side, lid, side]
    for k, cell in enumerate(cells):
        atlas.paste(cell, ((k % 3) * s, (k // 3) * s))
    image = np.asarray(atlas, np.float32)
    return as_bytes(image * (1 + 0.02 * noise(image.shape[:2], (30, 40), rng, 3))[..., None])


def painting(rng: np.random.Generator, hue: int) -> np.ndarray:
    """An abstract picture to hang on the wall."""
    image = np.full((400, 520, 3), (236, 230, 218), np.uint8)
    for _ in range(26):
        hsv = np.uint8(
            [[[(hue + int(rng.integers(-22, 22))) % 180, int(rng.integers(70, 200)), int(rng.integers(90, 240))]]]
        )
        color = tuple(int(c) for c in cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)[0, 0])
        centre = (int(rng.integers(40, 480)), int(rng.integers(40, 360)))
        size = (int(rng.integers(14, 110)), int(rng.integers(10, 60)))
        cv2.ellipse(image, centre, size, int(rng.integers(0, 180)), 0, 360, color, -1, cv2.LINE_AA)
    return image
