"""The report of evaluated dynamics as one page that opens offline: figures, drawn tosses, the table.

It has the style of a scene's page, whose style sheet it takes; pictures are inlined.
"""

from __future__ import annotations

import base64
import io
import re
from html import escape
from typing import TYPE_CHECKING, Any

from scene3d.report._toss_sheet import toss_pictures
from scene3d.report._toss_table import columns_of, figure_lines, model_cells, name_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from PIL.Image import Image

    from dynamics._evaluate import Evaluation

__all__ = ["style_sheet", "toss_page"]

EXTRA = """
.toss { display: grid; grid-template-columns: 7fr 3fr; gap: 10px; }
.models td:not(:first-child), .models th:not(:first-child) { text-align: right; white-space: nowrap; }
.models td small { margin-left: 4px; }
.models tr.best td { font-weight: 600; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 4px 20px; }
dt { color: var(--quiet); } dd { margin: 0; }
"""


def toss_page(evaluation: Evaluation, document: Mapping[str, Any], title: str) -> str:
    """The whole page as text.

    Args:
        evaluation: Paths to draw.
        document: Its figures, from `evaluation_document`.
        title: What was evaluated.
    """
    tosses = "\n".join(
        f'<h2>{escape(caption)} <span class="figures">{escape(figures)}</span></h2>\n<div class="toss">'
        f'<img src="{_inline(side)}" alt="From the side"><img src="{_inline(above)}" alt="From above"></div>'
        for caption, figures, side, above in toss_pictures(evaluation)
    )
    lines = "\n".join(f"<dt>{escape(n.strip())}</dt><dd>{escape(v)}</dd>" for n, v in figure_lines(document))
    notes = "\n".join(f'<p class="note">{escape(note)}</p>' for note in document["notes"])
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}: dynamics</title>
<style>{style_sheet()}{EXTRA}</style>
</head>
<body>
<h1>{escape(title)}</h1>
{_table(document)}
<dl>
{lines}
</dl>
{notes}
<p class="note">Filled: recorded. Orange: physics with the network. Blue: identified physics.</p>
{tosses}
<footer>\xb1 is half of the 95 % bootstrap interval over tosses.</footer>
</body>
</html>
"""


def _table(document: Mapping[str, Any]) -> str:
    columns = columns_of(document)
    headings = "".join(f"<th>{escape(heading)}<br>{escape(unit)}</th>" for _, heading, unit, _ in columns)
    best = document["uncertainty"]["model"] if document["uncertainty"] else ""
    rows: list[str] = []
    for row in document["models"]:
        cells = "".join(f"<td>{figure}<small>\xb1{half}</small></td>" for figure, half in model_cells(row, columns))
        kind = ' class="best"' if row["model"] == best else ""
        rows.append(f"<tr{kind}><td>{escape(name_of(row))}</td>{cells}</tr>")
    body = "\n".join(rows)
    return (
        f'<table class="models">\n<thead><tr><th>model</th>{headings}</tr></thead>\n<tbody>\n{body}\n</tbody></table>'
    )


def style_sheet() -> str:
    """The style sheet of a scene's page."""
    from importlib.resources import files

    text = files("scene3d.report").joinpath("page.html").read_text(encoding="utf-8")
    found = re.search(r"<style>(.*?)</style>", text, re.DOTALL)
    return found.group(1) if found else ""


def _inline(image: Image) -> str:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
