"""Text in pictures: a font that the machine has, and only characters that it can draw.

DejaVu draws nearly every script and comes with most systems; where it is missing, Pillow's own font has hardly more
than English. What a font lacks is replaced by its plain letter, or by a question mark.
"""

from __future__ import annotations

import unicodedata
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw
    from PIL.ImageFont import FreeTypeFont

__all__ = ["drawable", "font", "shortened", "text_width", "write"]

FILES = {
    False: ("DejaVuSans.ttf", "NotoSans-Regular.ttf", "Arial Unicode.ttf", "arial.ttf"),
    True: ("DejaVuSans-Bold.ttf", "NotoSans-Bold.ttf", "Arial Bold.ttf", "arialbd.ttf"),
}
MISSING = "\U0010fffe"
"""A code point that never has a glyph: what fonts draw for it, they draw for everything that they lack."""


@cache
def font(size: int, bold: bool = False) -> FreeTypeFont:
    """The best font that the machine has, of that size [px]."""
    from PIL import ImageFont

    for name in FILES[bold]:
        try:
            return ImageFont.truetype(name, size)
        except OSError:
            continue
    own = ImageFont.load_default(size)
    assert isinstance(own, ImageFont.FreeTypeFont)
    return own


def drawable(text: str, size: int = 16, bold: bool = False) -> str:
    """The text with every character that the font lacks replaced."""
    return "".join(_drawable(character, size, bold) for character in text)


def text_width(text: str, size: int, bold: bool = False) -> int:
    """Width of a line [px]."""
    return round(font(size, bold).getlength(drawable(text, size, bold)))


def shortened(text: str, width: int, size: int, bold: bool = False) -> str:
    """The text, or as much of its beginning as fits into a width [px]."""
    if text_width(text, size, bold) <= width:
        return text
    while text and text_width(text + "...", size, bold) > width:
        text = text[:-1]
    return text.rstrip() + "..."


def write(
    draw: ImageDraw,
    at: tuple[float, float],
    text: str,
    fill: tuple[int, int, int],
    size: int,
    *,
    bold: bool = False,
    anchor: str = "la",
) -> None:
    """Draw one line of text."""
    draw.text(at, drawable(text, size, bold), fill=fill, font=font(size, bold), anchor=anchor)


@cache
def _drawable(character: str, size: int, bold: bool) -> str:
    if character.isspace() or not character.isprintable():
        return " " if character.isspace() else "?"
    if _has(character, size, bold):
        return character
    plain = unicodedata.normalize("NFKD", character)[0]
    return plain if _has(plain, size, bold) else "?"


def _has(character: str, size: int, bold: bool) -> bool:
    return _glyph(character, size, bold) != _glyph(MISSING, size, bold)


def _glyph(character: str, size: int, bold: bool) -> tuple[tuple[int, int], bytes]:
    """Size and pixels of what the font draws."""
    from PIL import Image, ImageDraw

    box = font(size, bold).getbbox(character)
    image = Image.new("L", (2 * size, 2 * size))
    ImageDraw.Draw(image).text((0, 0), character, fill=255, font=font(size, bold))
    return (round(box[2]), round(box[3])), image.tobytes()
