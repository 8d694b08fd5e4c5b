"""The contact sheet: photo | render | error | depth of the worst, the median and the best view, with legends.

Rows come from `choose_rows`, pictures from `draw_panels`; this file only places them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from scene3d.report._evaluate import compare
from scene3d.report._panels import ERROR_CEILING, Row, colour_bar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw

    from scene3d._gaussians import Gaussians
    from scene3d._scene import SceneView
    from scene3d.capture import Capture
    from scene3d.report._evaluate import Metrics
    from scene3d.report._panels import Panels

__all__ = ["choose_rows", "contact_sheet", "sheet_size"]

PANEL_WIDTH = 420
MARGIN, GAP = 28, 8
TITLE, CAPTION, LEGEND = 64, 34, 52
COLUMNS = ("photo", "render", "error", "depth")

PAPER, INK, QUIET = (22, 24, 29), (236, 238, 242), (150, 156, 168)


def choose_rows(metrics: Metrics, splats: Gaussians, views: Sequence[SceneView], capture: Capture) -> list[Row]:
    """The worst, the median and the best held-out view by PSNR (of the fitted ones when none was held out)."""
    ranked = sorted(metrics.held_out or metrics.images, key=lambda image: image.psnr)
    places = {"worst": 0, "median": len(ranked) // 2, "best": len(ranked) - 1}
    rows: dict[int, str] = {}
    for label, place in places.items():
        rows.setdefault(place, label)
    if len(ranked) == 1:
        rows = {0: "only"}
    by_name = {view.name: view for view in views}
    return [
        Row(label, ranked[place], compare(splats, by_name[ranked[place].name], capture))
        for place, label in rows.items()
    ]


def sheet_size(panels: Sequence[Panels]) -> tuple[int, int]:
    """Width and height [px] of the sheet of these rows."""
    heights = [CAPTION + _panel_height(row.photo) for row in panels]
    return 2 * MARGIN + len(COLUMNS) * PANEL_WIDTH + (len(COLUMNS) - 1) * GAP, TITLE + sum(heights) + LEGEND + MARGIN


def contact_sheet(
    rows: Sequence[Row], panels: Sequence[Panels], depths: tuple[float, float], *, title: str, summary: str, unit: str
) -> Image:
    """Draw the sheet.

    Args:
        rows: Views to show, top to bottom.
        panels: Their pictures.
        depths: Depths at the two ends of the depth map.
        title: Name of the scene.
        summary: Its figures in a few words.
        unit: Unit of depth, empty for none.
    """
    from PIL import Image, ImageDraw

    sheet = Image.new("RGB", sheet_size(panels), PAPER)
    draw = ImageDraw.Draw(sheet)
    _text(draw, (MARGIN, 20), title, INK, 22)
    _text(draw, (sheet.width - MARGIN, 24), summary, QUIET, 16, anchor="ra")
    y = TITLE
    for row, pictures in zip(rows, panels, strict=True):
        _caption(draw, y, row, headings=y == TITLE)
        y += CAPTION
        for column, picture in enumerate(pictures):
            size = (PANEL_WIDTH, _panel_height(picture))
            sheet.paste(picture.resize(size, Image.Resampling.LANCZOS), (_left(column), y))
        y += _panel_height(pictures.photo)
    near, far = depths
    _legend(sheet, draw, 2, y + 14, "error", "0", f"{ERROR_CEILING:g} or more")
    _legend(sheet, draw, 3, y + 14, "depth", f"{near:.3g}{unit}", f"{far:.3g}{unit}")
    return sheet


def _caption(draw: ImageDraw, y: int, row: Row, *, headings: bool) -> None:
    """The line above a row: rank, file and figures; the first one also names the columns."""
    m = row.metrics
    held_out = "" if m.held_out else " (fitted)"
    _text(draw, (_left(0), y + 10), f"{row.label}: {_shortened(m.name)}{held_out}", INK, 15)
    _text(draw, (_left(1) + PANEL_WIDTH, y + 10), f"{m.psnr:.2f} dB    SSIM {m.ssim:.3f}", INK, 15, anchor="ra")
    if headings:
        for column, name in enumerate(COLUMNS[1:], 1):
            _text(draw, (_left(column), y + 11), name, QUIET, 14)


def _legend(sheet: Image, draw: ImageDraw, column: int, y: int, kind: str, low: str, high: str) -> None:
    sheet.paste(colour_bar(kind, PANEL_WIDTH, 10), (_left(column), y))
    _text(draw, (_left(column), y + 16), low, QUIET, 14)
    _text(draw, (_left(column) + PANEL_WIDTH, y + 16), high, QUIET, 14, anchor="ra")


def _text(
    draw: ImageDraw, at: tuple[int, int], text: str, fill: tuple[int, int, int], size: int, anchor: str = "la"
) -> None:
    from PIL import ImageFont

    draw.text(at, text, fill=fill, font=ImageFont.load_default(size), anchor=anchor)


def _shortened(name: str, most: int = 40) -> str:
    return name if len(name) <= most else "..." + name[-most + 3 :]


def _left(column: int) -> int:
    return MARGIN + column * (PANEL_WIDTH + GAP)


def _panel_height(picture: Image) -> int:
    return max(1, round(PANEL_WIDTH * picture.height / picture.width))
