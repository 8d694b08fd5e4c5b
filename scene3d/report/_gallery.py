"""The gallery of a scene's report: pictures of its rollouts, and screenshots that somebody kept.

`renew_gallery` brings the section of ``SCENE/report/index.html`` up to date, or writes a small page where there is none
(a scene that was not reconstructed here has no report). Pictures are inlined, so that the page opens offline; those of
rollouts that are drawn already are taken over as they are. A rollout that was compared with a recording shows its plot.
"""

from __future__ import annotations

import re
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scene3d._errors import OutputError, Scene3dError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from scene3d._rollout_folder import SavedRollout
    from scene3d._scene import Scene

__all__ = ["renew_gallery"]

GALLERY, END = "<!-- gallery -->", "<!-- /gallery -->"
"""What of a page belongs to the gallery."""
MOST_ROLLOUTS, MOST_SCREENSHOTS = 6, 12
"""The newest are shown."""
SHOT = 640
"""Longest side of a screenshot in the page [px]."""
LARGEST_PAGE, LARGEST_SHOT = 256 << 20, 64 << 20
"""Bytes of files that are read."""
STYLE = """<style>.gallery { display: grid; gap: 10px; grid-template-columns: repeat(3, 1fr); align-items: start; }
.gallery figcaption { padding-top: 4px; }
.gallery .plot { grid-column: 1 / -1; max-width: 880px; }
@media (max-width: 760px) { .gallery { grid-template-columns: 1fr; } }</style>"""


def renew_gallery(folder: Path | str, scene: Scene | None = None) -> Path | None:
    """Bring the gallery of a scene's report up to date.

    Args:
        folder: Scene folder.
        scene: What is in it, if somebody has read it already.

    Returns:
        The page; None when there is nothing to show and no page to take anything from.

    Raises:
        OutputError: The page cannot be written.
        FileFormatError: Not a scene folder, or a damaged one.
    """
    from scene3d.files import load_scene
    from scene3d.files._atomic import make_folder, write_atomic

    folder = Path(folder)
    page = folder / "report" / "index.html"
    text = _text(page)
    scene = load_scene(folder) if scene is None else scene
    parts = [*_rollouts(folder, scene, _drawn(text)), *_screenshots(folder)]
    if not parts and GALLERY not in text:
        return page if text else None
    body = "\n".join([STYLE, *parts]) if parts else ""
    section = f"{GALLERY}\n{body}\n{END}"
    try:
        make_folder(page.parent)
        write_atomic(page, [(_with(text, section) if text else _page(folder.resolve().name, section)).encode()])
    except OutputError as error:
        raise OutputError(f"{error} Rollouts and screenshots themselves are saved.") from error
    return page


def _text(page: Path) -> str:
    if not page.is_file() or page.stat().st_size > LARGEST_PAGE:
        return ""
    return page.read_bytes().decode(errors="replace")


def _with(text: str, section: str) -> str:
    """A page with another gallery, in place of the one it had."""
    before, found, rest = text.partition(GALLERY)
    _, closed, after = rest.partition(END)
    if not (found and closed):
        mark = "<h2>All measured photos</h2>" if "<h2>All measured photos</h2>" in text else "<footer>"
        before, mark, after = text.partition(mark)
        after = mark + after
    return f"{before}{section}{after}"


def _page(title: str, section: str) -> str:
    from scene3d.report._toss_page import style_sheet

    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}: report</title>
<style>{style_sheet()}</style>
</head>
<body>
<h1>{escape(title)}</h1>
{section}
<footer></footer>
</body>
</html>
"""


def _drawn(text: str) -> dict[str, str]:
    """Sections of rollouts that the page has already, by their keys."""
    found = re.findall(r'(<section data-rollout="([^"]{1,200})">.*?</section>)', text, re.DOTALL)
    return {key: section for section, key in found}


def _rollouts(folder: Path, scene: Scene, drawn: Mapping[str, str]) -> list[str]:
    from scene3d._compare import PLOT
    from scene3d._rollout_folder import list_rollouts, load_rollout

    parts: list[str] = []
    for name in reversed(list_rollouts(folder)[-MOST_ROLLOUTS:]):
        parts_of = (folder / "scene.yaml", *(folder / "rollouts" / name / part for part in ("states.npz", PLOT)))
        times = [part.stat().st_mtime_ns for part in parts_of if part.is_file()]
        key = escape(" ".join([name, *(f"{time:x}" for time in times)]))
        if key not in drawn:
            try:
                saved = load_rollout(scene, folder, name)
            except Scene3dError:
                continue  # Of the scene as it was before an edit, most likely: its bodies cannot be drawn any more.
            parts.append(_rollout(scene, saved, key))
        else:
            parts.append(drawn[key])
    return [part for part in parts if part]


def _rollout(scene: Scene, saved: SavedRollout, key: str) -> str:
    from scene3d._compare import PLOT
    from scene3d.report._gallery_pictures import rollout_pictures

    figures = [_figure(picture, caption) for caption, picture in rollout_pictures(scene, saved.rollout)]
    if not figures:
        return ""
    figures += _plot(saved.folder / PLOT)
    deeds = ", ".join(saved.deeds) or "left alone"
    return (
        f'<section data-rollout="{key}">\n<h2>Rollout {escape(saved.id)} <span>{escape(deeds)}</span>'
        f'<span class="figures">{escape(_outcome(saved.document))}</span></h2>\n'
        f'<div class="gallery">{"".join(figures)}</div></section>'
    )


def _plot(path: Path) -> list[str]:
    """The plot of a comparison in the whole width, on white as it was drawn."""
    import base64

    try:
        content = path.read_bytes() if path.stat().st_size <= LARGEST_SHOT else b""
    except OSError:
        content = b""
    if not content.startswith(b"\x89PNG"):
        return []
    source = f"data:image/png;base64,{base64.b64encode(content).decode('ascii')}"
    caption = "compared with a recording"
    return [f'<figure class="plot"><img src="{source}" alt="{caption}"><figcaption>{caption}</figcaption></figure>']


def _outcome(document: Mapping[str, Any]) -> str:
    """What became of the objects that did not stay, in a few words."""
    said: list[str] = []
    if document.get("flagged") and len(document["flagged"]) == document.get("futures"):
        return "no future can be trusted"
    for row in document.get("outcomes", ()):
        shares = row.get("shares", {})
        likeliest = max(shares, key=lambda name: shares[name], default="stays")
        if likeliest != "stays":
            sure = f" in {100 * shares[likeliest]:.0f} %" if document.get("futures") != 1 else ""
            said.append(f"{row.get('name')} {likeliest}{sure}")
    return "; ".join(said) or "everything stays"


def _screenshots(folder: Path) -> list[str]:
    where = folder / "report" / "screenshots"
    shots = sorted(path for path in where.glob("*.png") if path.is_file() and path.stat().st_size <= LARGEST_SHOT)
    figures = [figure for path in reversed(shots[-MOST_SCREENSHOTS:]) if (figure := _shot(path))]
    if not figures:
        return []
    return [f'<h2>Screenshots <span>{len(shots)}</span></h2>\n<div class="gallery">{"".join(figures)}</div>']


def _shot(path: Path) -> str:
    import numpy as np
    from PIL import Image

    try:
        with Image.open(path) as image:
            small = image.convert("RGB")
    except (OSError, ValueError, Image.DecompressionBombError):
        return ""
    small.thumbnail((SHOT, SHOT))
    link = escape(f"screenshots/{path.name}")
    return f'<a href="{link}">{_figure(np.asarray(small), path.stem)}</a>'


def _figure(picture: NDArray[np.uint8], caption: str) -> str:
    from PIL import Image

    from scene3d.report._html import inline

    source = inline(Image.fromarray(picture))
    return f'<figure><img src="{source}" alt="{escape(caption)}"><figcaption>{escape(caption)}</figcaption></figure>'
