"""A comparison of futures with a recording as one picture: errors over time and the band that the futures stated.

A row for each object, positions on the left, rotations on the right. The shaded area is where 90 % of the futures are,
the bold line where the recording was: below the edge of the area it was foreseen. The thin line is the error of the
future that has what is most likely.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw

    from scene3d._compare import BodyComparison

__all__ = ["comparison_plot"]

FINER = 2
"""Drawn this many times finer than it is shown."""
WIDTH, ROW, HEAD = 880, 190, 44
LEFT, RIGHT, TOP, BOTTOM = 58, 16, 26, 30
PAPER, AXIS, TEXT, AREA, RECORDED, LIKELIEST = (
    (255, 255, 255),
    (205, 209, 216),
    (60, 66, 78),
    (214, 228, 246),
    (24, 92, 184),
    (226, 120, 30),
)
TICKS = (1, 2, 2.5, 5, 10)
Array = NDArray[np.float64]


def comparison_plot(comparisons: Sequence[BodyComparison]) -> Image:
    """The picture, 880 pixels wide."""
    from PIL import Image, ImageDraw

    height = HEAD + ROW * len(comparisons)
    picture = Image.new("RGB", (FINER * WIDTH, FINER * height), PAPER)
    draw = ImageDraw.Draw(picture)
    _legend(draw, any(comparison.away is not None for comparison in comparisons))
    for number, body in enumerate(comparisons):
        top = HEAD + ROW * number
        places, turns = (body.position, body.away, body.reach), (body.rotation, body.turned, body.reach_turned)
        in_cm = [None if part is None else 100 * part for part in places]
        in_degrees = [None if part is None else np.degrees(part) for part in turns]
        _panel(draw, (0, top), f"{body.name}: position [cm]", body.times, in_cm)
        _panel(draw, (WIDTH // 2, top), f"{body.name}: rotation [deg]", body.times, in_degrees)
    return picture.resize((WIDTH, height), Image.Resampling.LANCZOS)


def _legend(draw: ImageDraw, band: bool) -> None:
    from scene3d.report._lettering import text_width, write

    entries = [("error of the likeliest future", LIKELIEST)]
    if band:
        entries += [("recording, from the mean future", RECORDED), ("90 % of the futures", AREA)]
    x = LEFT
    for words, colour in entries:
        draw.rectangle((FINER * x, FINER * 16, FINER * (x + 18), FINER * 24), fill=colour)
        write(draw, (FINER * (x + 24), FINER * 20), words, TEXT, FINER * 12, anchor="lm")
        x += 48 + text_width(words, 12)


def _panel(draw: ImageDraw, corner: tuple[int, int], title: str, times: Array, curves: Sequence[Array | None]) -> None:
    """Axes and the three curves: error, distance from the mean, radius of the band."""
    from scene3d.report._lettering import shortened, write

    x0, x1 = corner[0] + LEFT, corner[0] + WIDTH // 2 - RIGHT
    y0, y1 = corner[1] + ROW - BOTTOM, corner[1] + TOP
    most = max(float(curve.max()) for curve in curves if curve is not None)
    step = _step(max(most, 1e-3), 4)
    most, late = step * max(1, int(np.ceil(most / step - 1e-9))), max(float(times[-1]), 1e-3)

    def at(t: Array, value: Array) -> list[tuple[float, float]]:
        xs, ys = x0 + (x1 - x0) * t / late, y0 + (y1 - y0) * value / most
        return [(FINER * x, FINER * y) for x, y in zip(xs.tolist(), ys.tolist(), strict=True)]

    write(draw, (FINER * x0, FINER * (y1 - 16)), shortened(title, x1 - x0, 12), TEXT, FINER * 12, bold=True)
    error, away, reach = curves
    if reach is not None:
        ends = at(times[[-1, 0]], np.zeros(2))
        draw.polygon([*at(times, reach), *ends], fill=AREA)
    for value in np.arange(0, most + 0.5 * step, step):
        (start, end) = at(np.array([0.0, late]), np.array([value, value]))
        draw.line([start, end], fill=AXIS, width=FINER)
        write(draw, (start[0] - FINER * 6, start[1]), f"{value:g}", TEXT, FINER * 11, anchor="rm")
    wide = _step(late, 6)
    for time in np.arange(0, late + 1e-9, wide):
        ((x, y),) = at(np.array([time]), np.array([0.0]))
        write(draw, (x, y + FINER * 5), f"{time:g} s", TEXT, FINER * 11, anchor="ma")
    if away is not None:
        draw.line(at(times, away), fill=RECORDED, width=3 * FINER, joint="curve")
    if error is not None:
        draw.line(at(times, error), fill=LIKELIEST, width=FINER, joint="curve")


def _step(most: float, count: int) -> float:
    """A round number that fits about so many times."""
    rough = most / count
    power = 10 ** np.floor(np.log10(rough))
    return float(next(power * tick for tick in TICKS if power * tick >= rough * (1 - 1e-9)))
