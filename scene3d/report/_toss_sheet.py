"""The sheet of evaluated tosses: the best, the median and the worst one from the side and from above, and the table.

Which tosses those are is said by the position error of the best model; this file places pictures and figures.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scene3d.report._lettering import text_width, write
from scene3d.report._toss_drawing import RECORDED, Colour, Shape, draw_toss, view_of
from scene3d.report._toss_table import columns_of, figure_lines, model_cells, name_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw

    from dynamics._evaluate import Evaluation
    from dynamics._evaluate_models import ModelName

__all__ = ["toss_pictures", "toss_sheet"]

PAPER, INK, QUIET = (22, 24, 29), (236, 238, 242), (150, 156, 168)
COLOURS: dict[str, Colour] = {"physics_network": (255, 158, 74), "physics_identified": (86, 170, 232)}
WIDTH, MARGIN, GAP = 1280, 28, 10
SIDE, ABOVE = (850, 250), (364, 250)
TITLE, CAPTION, ROW, LINE = 70, 30, 24, 22
DRAWN: tuple[ModelName, ...] = ("physics_identified", "physics_network")


def toss_sheet(evaluation: Evaluation, document: Mapping[str, Any], title: str) -> Image:
    """Draw the sheet.

    Args:
        evaluation: Paths to draw.
        document: Its figures, from `evaluation_document`.
        title: What was evaluated.
    """
    from PIL import Image, ImageDraw

    rows = toss_pictures(evaluation)
    lines = figure_lines(document)
    height = TITLE + len(rows) * (CAPTION + SIDE[1] + GAP) + 20 + ROW * (len(document["models"]) + 3)
    height += LINE * (len(lines) + len(document["notes"])) + 2 * MARGIN
    sheet = Image.new("RGB", (WIDTH, height), PAPER)
    draw = ImageDraw.Draw(sheet)
    write(draw, (MARGIN, 18), title, INK, 24, bold=True)
    _legend(draw, [name for name in DRAWN if name in evaluation.errors])
    y = TITLE
    for caption, figures, side, above in rows:
        write(draw, (MARGIN, y + 6), caption, INK, 15, bold=True)
        write(draw, (WIDTH - MARGIN, y + 7), figures, QUIET, 14, anchor="ra")
        y += CAPTION
        sheet.paste(side, (MARGIN, y))
        sheet.paste(above, (MARGIN + SIDE[0] + GAP, y))
        y += SIDE[1] + GAP
    y = _table(draw, document, y + 20)
    bottom = _words(draw, lines, document["notes"], y + 14)
    return sheet.crop((0, 0, WIDTH, bottom + MARGIN // 2))


def toss_pictures(evaluation: Evaluation) -> list[tuple[str, str, Image, Image]]:
    """Caption, figures, side view and view from above of the best, the median and the worst toss."""
    from dynamics._evaluate_document import ranked_tosses

    shapes = [Shape(points) for points in evaluation.shapes]
    names: list[ModelName] = [name for name in DRAWN if name in evaluation.paths]
    rows: list[tuple[str, str, Image, Image]] = []
    for label, place in ranked_tosses(evaluation).items():
        truth = evaluation.truth[place]
        drawn = [(evaluation.paths[name][place], COLOURS[name]) for name in names]
        paths = [truth, *(path for path, _ in drawn)]
        side = draw_toss(shapes, truth, drawn, view_of(shapes, paths, "side"), SIDE)
        above = draw_toss(shapes, truth, drawn, view_of(shapes, paths, "above"), ABOVE)
        sample = " (in sample)" if evaluation.samples[place] == "seen" else ""
        caption = f"{label}: toss {evaluation.scored[place]}{sample}"
        rows.append((caption, _figures(evaluation, names, place), side, above))
    return rows


def _figures(evaluation: Evaluation, names: Sequence[str], place: int) -> str:
    """Errors of the drawn models in that toss."""
    parts: list[str] = []
    for name, errors in evaluation.errors.items():
        if name in names:
            position: NDArray[np.float64] = errors.position_percent
            words = f"{position[place]:.1f} % of width, {errors.rotation_deg[place]:.1f} deg"
            parts.append(f"{name.removeprefix('physics_')}: {words}")
    return "      ".join(parts)


def _legend(draw: ImageDraw, names: Sequence[str]) -> None:
    """Colours of what is drawn, at the right of the title."""
    entries = [("recorded", RECORDED), *((name, COLOURS[name]) for name in names)]
    x = WIDTH - MARGIN
    for text, colour in reversed(entries):
        x -= text_width(text, 14)
        write(draw, (x, 24), text, QUIET, 14)
        x -= 22
        draw.rectangle((x, 26, x + 14, 38), fill=colour)
        x -= 22


def _table(draw: ImageDraw, document: Mapping[str, Any], y: int) -> int:
    """Headings and rows of models; returns where they end."""
    columns = columns_of(document)
    first = MARGIN + 230
    step = (WIDTH - MARGIN - first) / len(columns)
    for number, (_, heading, unit, _) in enumerate(columns):
        right = round(first + (number + 1) * step)
        write(draw, (right, y), heading, QUIET, 14, anchor="ra")
        write(draw, (right, y + 18), unit, QUIET, 13, anchor="ra")
    y += 44
    for row in document["models"]:
        colour = COLOURS.get(row["model"], INK)
        write(draw, (MARGIN, y), name_of(row), colour, 15)
        for number, (figure, half) in enumerate(model_cells(row, columns)):
            right = round(first + (number + 1) * step)
            write(draw, (right, y + 1), f"\xb1{half}", QUIET, 13, anchor="ra")
            write(draw, (right - 52, y), figure, colour, 15, anchor="ra")
        y += ROW
    return y


def _words(draw: ImageDraw, lines: Sequence[tuple[str, str]], notes: Sequence[str], y: int) -> int:
    """Lines below the table; returns where they end."""
    indent = max((text_width(name, 14) for name, _ in lines), default=0) + 24
    for name, value in lines:
        write(draw, (MARGIN + indent - 24, y), name.strip(), QUIET, 14, anchor="ra")
        write(draw, (MARGIN + indent, y), value, INK, 14)
        y += LINE
    for note in notes:
        write(draw, (MARGIN, y), note, QUIET, 13)
        y += LINE
    return y
