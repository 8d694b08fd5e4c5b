"""The report as one page that opens offline: figures, compared pictures, and a table of all measured images.

Pictures are inlined as JPEG, the style follows the reader's light or dark setting, and the only script is the line that
moves the divider between photo and render. The page's text is in `page.html`, with ``$name`` for what is filled in.
Objects are found after the page was written: `with_objects` adds them to the text of a finished page.
"""

from __future__ import annotations

from html import escape
from string import Template
from typing import TYPE_CHECKING, Any

from scene3d.report._object_table import mass_in_words, size_in_words
from scene3d.report._panels import ERROR_CEILING, colour_bar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from PIL.Image import Image

    from scene3d.report._evaluate import ImageMetrics, Metrics
    from scene3d.report._panels import Panels, Row

__all__ = ["inline", "page", "with_objects"]

BAR_FLOOR, BAR_CEILING = 10.0, 40.0
"""PSNR [dB] at the two ends of the bars in the table."""
OBJECTS, END_OF_OBJECTS = "<!-- objects -->", "<!-- /objects -->"
"""What of a page belongs to its objects."""


def page(
    metrics: Metrics,
    rows: Sequence[Row],
    panels: Sequence[Panels],
    depths: tuple[float, float],
    *,
    title: str,
    unit: str,
) -> str:
    """The whole page as text.

    Args:
        metrics: Figures of the scene.
        rows: Views that are shown.
        panels: Their pictures.
        depths: Depths at the two ends of the depth map.
        title: Name of the scene.
        unit: Unit of depth, empty for none.
    """
    from importlib.resources import files

    template = Template(files("scene3d.report").joinpath("page.html").read_text(encoding="utf-8"))
    return template.substitute(
        title=escape(title),
        tiles="\n".join(_tile(*tile) for tile in _tiles(metrics)),
        note=f'<p class="note">{escape(metrics.note)}</p>' if metrics.note else "",
        views="\n".join(_view(row, pictures) for row, pictures in zip(rows, panels, strict=True)),
        error_bar=inline(colour_bar("error", 256, 8)),
        depth_bar=inline(colour_bar("depth", 256, 8)),
        error_ceiling=f"{ERROR_CEILING:g}",
        near=f"{depths[0]:.3g}{unit}",
        far=f"{depths[1]:.3g}{unit}",
        images="\n".join(_image_row(image) for image in metrics.images),
        size=f"{metrics.width} x {metrics.height}",
        machine=escape(metrics.machine),
    )


def with_objects(
    text: str, rows: Sequence[Mapping[str, Any]], sheet: Image, colour_of: Callable[[int], tuple[int, int, int]]
) -> str:
    """A finished page with the objects of its scene, in place of those that it had.

    Args:
        text: The page.
        rows: Figures of the objects, as from `object_rows`.
        sheet: Their overlay sheet.
        colour_of: sRGB colour of the object with that number.
    """
    section = f"{OBJECTS}\n{_objects(rows, sheet, colour_of) if rows else ''}\n{END_OF_OBJECTS}"
    before, found, rest = text.partition(OBJECTS)
    _, closed, after = rest.partition(END_OF_OBJECTS)
    if not (found and closed):
        # A page from before there were objects, or of another hand.
        before, mark, after = text.partition("<footer>")
        after = mark + after
    return f"{before}{section}{after}"


def _objects(rows: Sequence[Mapping[str, Any]], sheet: Image, colour_of: Callable[[int], tuple[int, int, int]]) -> str:
    """Heading, sheet and table of the objects."""
    headings = "".join(f"<th>{name}</th>" for name in ("object", "kind", "size", "mass (90 %)", "splats", "confidence"))
    body = "\n".join(_object_row(row, colour_of(number)) for number, row in enumerate(rows))
    return f"""<h2>Objects <span>{len(rows)}</span></h2>
<figure><img src="{inline(sheet)}" alt="Photos with the objects outlined, and a card for each object"></figure>
<table class="objects">
<thead><tr>{headings}<th>guessed</th></tr></thead>
<tbody>
{body}
</tbody>
</table>"""


def _object_row(row: Mapping[str, Any], colour: tuple[int, int, int]) -> str:
    chip = f'<i style="background:rgb({colour[0]},{colour[1]},{colour[2]})"></i>'
    cells = (row["kind"], size_in_words(row), mass_in_words(row), f"{row['splats']:,}", f"{row['confidence']:.2f}")
    return (
        f"<tr><td>{chip}{escape(row['name'])}</td>"
        + "".join(f"<td>{escape(cell)}</td>" for cell in cells)
        + f'<td class="quiet">{escape(", ".join(row["guessed"]) or "nothing")}</td></tr>'
    )


def _tiles(metrics: Metrics) -> list[tuple[str, str, str]]:
    """Figure, name and explanation of each summary tile."""
    tiles: list[tuple[str, str, str]] = []
    if metrics.psnr is not None and metrics.ssim is not None and metrics.psnr_cc is not None:
        tiles += [
            (f"{metrics.psnr:.2f} dB", "PSNR", f"mean of {len(metrics.held_out)} held-out photos"),
            (f"{metrics.ssim:.3f}", "SSIM", "1 is identical"),
            (f"{metrics.psnr_cc:.2f} dB", "PSNR, colours fitted", "exposure forgiven"),
        ]
    if metrics.train_psnr is not None:
        tiles.append((f"{metrics.train_psnr:.2f} dB", "PSNR, fitted photos", "far above held-out: overfitted"))
    if metrics.depth_error is not None:
        tiles.append((f"{1000 * metrics.depth_error:.0f} mm", "depth error", "median, against the sensor"))
    tiles.append((f"{metrics.splats:,}", "splats", ""))
    tiles.append((f"{metrics.seconds:.0f} s", "fitting", f"{metrics.steps:,} steps on {escape(metrics.device)}"))
    return tiles


def _tile(figure: str, name: str, explanation: str) -> str:
    return f"<li><b>{figure}</b><span>{name}</span><small>{explanation}</small></li>"


def _view(row: Row, panels: Panels) -> str:
    name, m = escape(row.metrics.name), row.metrics
    width, height = panels.photo.size
    return f"""<section>
<h2>{row.label} <span>{name}{"" if m.held_out else " (fitted)"}</span>
<span class="figures">{m.psnr:.2f} dB, SSIM {m.ssim:.3f}, {m.psnr_cc:.2f} dB with colours fitted</span></h2>
<div class="panels">
<figure class="compare" style="aspect-ratio:{width}/{height}">
<img src="{inline(panels.photo)}" alt="Photo {name}">
<img class="over" src="{inline(panels.render)}" alt="Render of {name}">
<input type="range" min="0" max="100" value="50" aria-label="Divider between photo and render"
 oninput="this.parentNode.style.setProperty('--at',this.value+'%')">
<figcaption>photo | render: drag</figcaption></figure>
<figure><img src="{inline(panels.error)}" alt="Error of {name}"><figcaption>error</figcaption></figure>
<figure><img src="{inline(panels.depth)}" alt="Depth of {name}"><figcaption>depth</figcaption></figure>
</div></section>"""


def _image_row(image: ImageMetrics) -> str:
    share = min(1.0, max(0.0, (image.psnr - BAR_FLOOR) / (BAR_CEILING - BAR_FLOOR)))
    kind = "held out" if image.held_out else "fitted"
    return (
        f'<tr class="{kind.replace(" ", "-")}"><td>{escape(image.name)}</td><td>{kind}</td>'
        f'<td class="bar"><i style="width:{100 * share:.1f}%"></i><b>{image.psnr:.2f}</b></td>'
        f"<td>{image.ssim:.3f}</td><td>{image.psnr_cc:.2f}</td></tr>"
    )


def inline(image: Image) -> str:
    """A picture as a data URL."""
    import base64
    import io

    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=88)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
