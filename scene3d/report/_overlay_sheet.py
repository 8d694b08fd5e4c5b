"""The objects of a scene on one sheet: photos with what was found in them, and a card for each object.

A card has the object's figures, its splats by themselves, and its collider from two sides with the faces that no photo
saw in another colour. `overlay_sheet` draws it; `write_objects_report` writes it to ``objects.png`` of a scene's
report, with the same figures as ``objects.json`` and a section of its page.
"""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scene3d._errors import OutputError
from scene3d.files._atomic import make_folder, write_atomic
from scene3d.report._html import with_objects
from scene3d.report._label_pictures import Overlay, choose_views, colour_of, overlay
from scene3d.report._lettering import shortened, text_width, write
from scene3d.report._object_pictures import UNSEEN_COLOURS, draw_object
from scene3d.report._object_table import mass_in_words, object_rows, size_in_words
from scene3d.report._sheet import INK, PAPER, QUIET

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw

    from scene3d._scene import Scene, SceneView

__all__ = ["overlay_sheet", "renew_objects_report", "write_objects_report"]

WIDTH = 1760
MARGIN, GAP = 28, 8
TITLE, CAPTION = 68, 26
PHOTOS, ACROSS = 6, 3
CARD, PICTURE, CARDS_ACROSS = 226, 176, 2
MOST_CARDS = 24
CARD_PAPER = (31, 34, 41)
LARGEST_PAGE = 256 * 1024 * 1024
"""Bytes of an index.html that is added to."""


def overlay_sheet(scene: Scene, views: Sequence[SceneView] | None = None, *, title: str = "") -> Image:
    """Draw the sheet.

    Args:
        scene: Scene with objects and cameras.
        views: Views to show; None chooses six from all around that together show every object.
        title: Name of the scene.
    """
    from PIL import Image, ImageDraw

    rows = object_rows(scene)
    if views is None:
        views = choose_views(scene, scene.views, PHOTOS) if scene.views else []
    across = 4 if len(views) == 4 else ACROSS  # Four in one line, not one alone in a second.
    width = (WIDTH - 2 * MARGIN - (across - 1) * GAP) // across
    photos = [overlay(scene, view, width) for view in views]
    lines = [photos[first : first + across] for first in range(0, len(photos), across)]
    heights = [CAPTION + max(photo.picture.height for photo in line) + GAP for line in lines]
    shown = rows[:MOST_CARDS]
    cards = -(-len(shown) // CARDS_ACROSS)
    sheet = Image.new("RGB", (WIDTH, TITLE + sum(heights) + 20 + cards * (CARD + GAP) + 40 + MARGIN), PAPER)
    draw = ImageDraw.Draw(sheet)
    summary = _summary(scene, rows)
    write(draw, (WIDTH - MARGIN, 28), summary, QUIET, 16, anchor="ra")
    space = WIDTH - 2 * MARGIN - text_width(summary, 16) - 40
    write(draw, (MARGIN, 22), shortened(title or "Objects", space, 24, bold=True), INK, 24, bold=True)
    y = TITLE
    for line, height in zip(lines, heights, strict=True):
        _photo_line(sheet, draw, y, line, width)
        y += height
    y += 20
    for number, row in enumerate(shown):
        column, line = number % CARDS_ACROSS, number // CARDS_ACROSS
        card = (WIDTH - 2 * MARGIN - (CARDS_ACROSS - 1) * GAP) // CARDS_ACROSS
        at = (MARGIN + column * (card + GAP), y + line * (CARD + GAP))
        _card(sheet, draw, at, card, scene, number, row)
    _legend(draw, y + cards * (CARD + GAP) + 14, len(rows) - len(shown))
    return sheet


def write_objects_report(folder: Path | str, scene: Scene, *, title: str = "") -> Path:
    """Write ``objects.png`` and ``objects.json``, and add the objects to ``index.html`` if it is there.

    Args:
        folder: Folder to write into, usually ``SCENE/report``; what it holds under the same names is replaced.
        scene: Scene with objects.
        title: Name of the scene.

    Returns:
        The path of objects.png.

    Raises:
        OutputError: The folder cannot be written.
    """
    folder = Path(folder)
    rows = object_rows(scene)
    sheet = overlay_sheet(scene, title=title)
    contents = {
        "objects.png": _png(sheet),
        "objects.json": (json.dumps(rows, indent=2, allow_nan=False) + "\n").encode(),
    }
    try:
        make_folder(folder)
        page = folder / "index.html"
        if page.is_file() and page.stat().st_size <= LARGEST_PAGE:
            text = page.read_bytes().decode(errors="replace")
            contents["index.html"] = with_objects(text, rows, sheet, colour_of).encode()
        for name, content in contents.items():
            write_atomic(folder / name, [content])
    except OutputError as error:
        raise OutputError(f"{error} The scene itself is saved, only its report is missing.") from error
    return folder / "objects.png"


def renew_objects_report(folder: Path | str, scene: Scene, *, title: str = "") -> None:
    """Make a report of objects true again after the scene has changed; where there was none, none is made.

    Args:
        folder: As for `write_objects_report`. Of a scene without objects the sheet is taken away.
        scene: The scene as it is now.
        title: Name of the scene.

    Raises:
        OutputError: The folder cannot be written.
    """
    folder = Path(folder)
    if not (folder / "objects.png").is_file():
        return
    if scene.objects:
        write_objects_report(folder, scene, title=title)
        return
    for name in ("objects.png", "objects.json"):
        with suppress(OSError):
            (folder / name).unlink(missing_ok=True)


def _summary(scene: Scene, rows: Sequence[dict[str, Any]]) -> str:
    deformable = sum(row["kind"] == "deformable" for row in rows)
    parts = [f"{len(rows)} object{'' if len(rows) == 1 else 's'}"]
    if deformable:
        parts.append(f"{deformable} deformable")
    parts.append(f"{len(scene.splats):,} splats")
    if not scene.metric:
        parts.append("no metric scale")
    return "    ".join(parts)


def _photo_line(sheet: Image, draw: ImageDraw, y: int, line: Sequence[Overlay], width: int) -> None:
    for column, photo in enumerate(line):
        left = MARGIN + column * (width + GAP)
        name = photo.name if photo.is_photo else f"{photo.name} (render: the photo is gone)"
        write(draw, (left, y + 4), shortened(name, width, 14), QUIET, 14)
        sheet.paste(photo.picture, (left, y + CAPTION))


def _card(
    sheet: Image, draw: ImageDraw, at: tuple[int, int], width: int, scene: Scene, number: int, row: dict[str, Any]
) -> None:
    """Figures and pictures of one object."""
    x, y = at
    colour = colour_of(number)
    draw.rounded_rectangle((x, y, x + width, y + CARD), radius=10, fill=CARD_PAPER)
    pictures = draw_object(scene, number, PICTURE, paper=CARD_PAPER, colour=colour)
    left = x + width - 3 * PICTURE - 14
    for column, picture in enumerate((pictures.splats, pictures.collider, pictures.underneath)):
        sheet.paste(picture, (left + column * PICTURE, y + 8))
    for column, caption in enumerate(("splats", "collider", "from below")):
        write(draw, (left + (column + 0.5) * PICTURE, y + CARD - 24), caption, QUIET, 13, anchor="ma")
    draw.rounded_rectangle((x + 18, y + 21, x + 34, y + 37), radius=4, fill=colour)
    space = left - x - 54
    write(draw, (x + 44, y + 16), shortened(row["name"], space, 20, bold=True), INK, 20, bold=True)
    write(draw, (x + 44, y + 43), f"{row['kind']}, {row['splats']:,} splats", QUIET, 14)
    top = y + 74
    for name, value in _figures(row):
        write(draw, (x + 18, top), name, QUIET, 14)
        for text in _wrapped(value, left - x - 114, 15):
            write(draw, (x + 106, top - 1), text, INK, 15)
            top += 20
        top += 2


def _figures(row: dict[str, Any]) -> list[tuple[str, str]]:
    mass = mass_in_words(row)
    return [
        ("size", size_in_words(row)),
        ("mass", mass.partition(" (")[0]),
        *([("90 %", mass.partition(" (")[2].rstrip(")"))] if "(" in mass else []),
        ("material", row["material"]),
        ("confidence", f"{row['confidence']:.2f}"),
        ("guessed", ", ".join(row["guessed"]) or "nothing"),
    ]


def _wrapped(text: str, width: int, size: int, most: int = 2) -> list[str]:
    """The text on at most so many lines of a width [px]."""
    lines = [""]
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}".strip()
        if text_width(longer, size) <= width or not lines[-1]:
            lines[-1] = longer
        elif len(lines) < most:
            lines.append(word)
        else:
            lines[-1] = longer
    return [shortened(line, width, size) for line in lines]


def _legend(draw: ImageDraw, y: int, more: int) -> None:
    for column in range(16):
        stripe = UNSEEN_COLOURS[column // 4 % 2]
        draw.line((MARGIN + column, y + 2, MARGIN + column, y + 17), fill=stripe)
    text = "no photo saw this part of the collider: it was closed by guess"
    write(draw, (MARGIN + 24, y), text, QUIET, 14)
    if more > 0:
        write(draw, (WIDTH - MARGIN, y), f"and {more} more in objects.json", QUIET, 14, anchor="ra")


def _png(image: Image) -> bytes:
    import io

    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
